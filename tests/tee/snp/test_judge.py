"""What an auditor may ask of a report, each in four cells: asked for or not, there or not."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from tests.tee.snp.platforms import CHIP, MEASUREMENT, PARTS, TCB, TURIN_TCB, platform, raw_tcb, revocation_list
from zk_autograd.core import der
from zk_autograd.core.errors import AttestationShort, VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.tee.policy import judge as judge_any
from zk_autograd.tee.snp import SnpClaim
from zk_autograd.tee.snp.abi import HOST, PLATFORM_BITS, POLICY_BITS
from zk_autograd.tee.snp.judge import BITS, SnpPolicy, judge, read

GENOA, TURIN, MILAN, VLEK = platform(), platform("turin"), platform("milan"), platform("genoa", "vlek")
BASE = {"measurements": [MEASUREMENT.hex()]}
POLICY_ONE = 1 << 17


def policy(**table: Any) -> SnpPolicy:
    """Of a table [attestation.snp], as the auditor writes it."""
    fields = Fields({**BASE, **table}, "[attestation.snp]")
    found = read(fields)
    fields.end()
    return found


def allowed(of: Any, asked: SnpPolicy, **changed: Any) -> str:
    """ "" if the policy allows a report with these fields; what falls short if not."""
    return judged(of.verify(of.report(**changed)), asked)


def judged(claim: SnpClaim, asked: SnpPolicy) -> str:
    try:
        said = judge(claim, asked)
    except AttestationShort as error:
        return error.message
    assert all(said)
    return ""


def test_what_it_says() -> None:
    claim = GENOA.verify()
    said = judge(claim, policy(require=["alias-check"], refuse=["tsme"]))
    assert said[0] == f"the launch digest is {MEASUREMENT.hex()}, which your policy allows"
    assert said[1].startswith(
        "a genoa platform's VCEK signed it, of the TCB bootloader 10, tee 2, snp 23, microcode 84"
    )
    assert said[3] == "as required: alias-check, no tsme"


# ---- measurements


@pytest.mark.parametrize("measurements", [[], ["00" * 48], ["00"], [MEASUREMENT.hex().upper() + "AA"], "x", [1]])
def test_a_policy_that_allows_no_guest_is_refused(measurements: Any) -> None:
    with pytest.raises(VerificationError, match="measurements"):
        policy(measurements=measurements)


def test_a_policy_without_measurements_is_refused() -> None:
    with pytest.raises(VerificationError, match="measurements is missing"):
        read(Fields({}, "[attestation.snp]"))


def test_a_policy_made_in_python_fails_closed_too() -> None:
    claim = GENOA.verify()
    with pytest.raises(AttestationShort, match="launch digest"):
        judge(claim, SnpPolicy(frozenset()))
    zero = GENOA.verify(GENOA.report(measurement=bytes(48)))
    with pytest.raises(AttestationShort, match="launch digest"):
        judge(zero, SnpPolicy(frozenset({bytes(48)})))


def test_another_guest_falls_short() -> None:
    other = bytes(reversed(MEASUREMENT))
    assert "launch digest" in allowed(GENOA, policy(), measurement=other)
    assert not allowed(GENOA, policy(measurements=[MEASUREMENT.hex(), other.hex()]), measurement=other)


# ---- bits


@pytest.mark.parametrize("name", BITS)
@pytest.mark.parametrize("asked", ["require", "refuse", ""])
@pytest.mark.parametrize("there", [True, False])
def test_a_bit_is_required_or_refused(name: str, asked: str, there: bool) -> None:
    wanted = policy(**({asked: [name]} if asked else {}))
    set_ = {"policy": POLICY_ONE, "platform_info": 0}
    if there:
        set_["policy" if name in POLICY_BITS else "platform_info"] |= 1 << {**POLICY_BITS, **PLATFORM_BITS}[name]
    short = allowed(GENOA, wanted, **set_)
    if (asked == "require") is not there and asked:
        assert f"{name} is {'set' if there else 'not set'}" in short
    else:
        assert not short


@pytest.mark.parametrize("asked", [{}, {"migration": True}, {"require": list(BITS[:1])}])
def test_debug_is_never_allowed(asked: dict[str, Any]) -> None:
    debug = POLICY_BITS["debug"]
    set_ = {"policy": POLICY_ONE | 1 << debug | 1 << 16, "platform_info": 0xBF}
    assert "debug guest" in allowed(GENOA, policy(**asked), **set_)
    for field in ("require", "refuse"):
        with pytest.raises(VerificationError, match=field):
            policy(**{field: ["debug"]})
    with pytest.raises(VerificationError, match="unknown fields"):
        policy(debug=True)


@pytest.mark.parametrize("asked", [{}, {"migration": False}, {"migration": True}])
@pytest.mark.parametrize("there", [True, False])
def test_a_migration_agent_takes_leave(asked: dict[str, Any], there: bool) -> None:
    short = allowed(GENOA, policy(**asked), policy=POLICY_ONE | there << 18)
    assert bool(short) is (there and not asked.get("migration", False))


@pytest.mark.parametrize("field", [{"policy": POLICY_ONE | 1 << 26}, {"platform_info": 1 << 6}])
def test_a_bit_without_a_meaning_falls_short(field: dict[str, int]) -> None:
    assert "no meaning here" in allowed(GENOA, policy(), **field)


def test_what_is_required_and_refused_is_refused() -> None:
    with pytest.raises(VerificationError, match="requires and refuses"):
        policy(require=["smt"], refuse=["smt"])


@pytest.mark.parametrize("asked", [0, 0b1010])
@pytest.mark.parametrize(("launch", "current"), [(0b1010, 0b1111), (0b0010, 0b1111), (0b1111, 0b1000), (0, 0)])
def test_mitigations_are_in_both_vectors(asked: int, launch: int, current: int) -> None:
    short = allowed(GENOA, policy(mitigations=asked), launch_mitigations=launch, current_mitigations=current)
    assert bool(short) is bool(asked & ~(launch & current))


# ---- who speaks


@pytest.mark.parametrize("asked", [{}, {"signer": "vcek"}, {"signer": "vlek"}])
@pytest.mark.parametrize("of", [GENOA, VLEK], ids=["vcek", "vlek"])
def test_the_kind_of_key(asked: dict[str, str], of: Any) -> None:
    """Gain: a key that a cloud provider can copy passes for a chip's own."""
    short = allowed(of, policy(**asked))
    assert bool(short) is (asked.get("signer", of.kind) != of.kind)


@pytest.mark.parametrize("asked", [None, ["milan"], ["genoa"], ["milan", "genoa", "turin"]])
@pytest.mark.parametrize("of", [GENOA, MILAN, TURIN], ids=["genoa", "milan", "turin"])
def test_product_lines(asked: list[str] | None, of: Any) -> None:
    """Milan's reports can be forged by a published attack: it has to be allowed by name."""
    short = allowed(of, policy(**({} if asked is None else {"products": asked})))
    assert bool(short) is (of.product not in (["genoa", "turin"] if asked is None else asked))


@pytest.mark.parametrize("asked", [None, 0, 1, 3])
@pytest.mark.parametrize("vmpl", [0, 1, 3, HOST])
def test_vmpl(asked: int | None, vmpl: int) -> None:
    """Gain: the host, or what runs beneath the enclave, speaks in its name."""
    short = allowed(GENOA, policy(**({} if asked is None else {"vmpl": asked})), vmpl=vmpl)
    assert bool(short) is (vmpl > (asked or 0))
    assert ("the host asked" in short) is (vmpl == HOST)


@pytest.mark.parametrize("asked", [{}, {"revocation": True}, {"revocation": False}])
@pytest.mark.parametrize("there", [True, False])
def test_a_revocation_list(asked: dict[str, bool], there: bool) -> None:
    short = judged(GENOA.verify(crls=[revocation_list()] if there else []), policy(**asked))
    assert bool(short) is (asked.get("revocation", False) and not there)


# ---- which guest


@pytest.mark.parametrize(("name", "size"), [("family_id", 16), ("image_id", 16), ("host_data", 32)])
@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("there", [True, False])
def test_a_field_is_what_was_asked_for(name: str, size: int, asked: bool, there: bool) -> None:
    table = {name: (b"\x07" * size).hex()} if asked else {}
    short = allowed(GENOA, policy(**table), **{name: b"\x07" * size if there else b"\x08" * size})
    assert bool(short) is (asked and not there)


@pytest.mark.parametrize("asked", [0, 5])
@pytest.mark.parametrize("svn", [0, 4, 5, 2**32 - 1])
def test_guest_svn(asked: int, svn: int) -> None:
    assert bool(allowed(GENOA, policy(guest_svn=asked), guest_svn=svn)) is (svn < asked)


@pytest.mark.parametrize("field", ["id_keys", "author_keys"])
@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("there", [True, False])
def test_keys_of_the_id_block(field: str, asked: bool, there: bool) -> None:
    table = {field: [(b"\x07" * 48).hex(), (b"\x09" * 48).hex()]} if asked else {}
    name = "id_key_digest" if field == "id_keys" else "author_key_digest"
    short = allowed(GENOA, policy(**table), key_info=1, **{name: (b"\x07" if there else b"\x08") * 48})
    assert bool(short) is (asked and not there)


def test_an_authors_key_that_isnt_there_is_none_that_is_allowed() -> None:
    """Zeros stand for no author's key, whatever digest an auditor wrote down."""
    assert "author's key" in allowed(GENOA, policy(author_keys=["00" * 48]), key_info=0)


# ---- versions


@pytest.mark.parametrize("which", ["reported_tcb", "committed_tcb", "current_tcb", "launch_tcb"])
@pytest.mark.parametrize("part", TURIN_TCB)
@pytest.mark.parametrize("product", ["genoa", "turin"])
def test_no_tcb_is_below_the_minimum(which: str, part: str, product: str) -> None:
    """Gain: a hole that AMD closed. In four cells: asked for or not, met or not."""
    of, parts = platform(product), dict(TURIN_TCB if product == "turin" else TCB)
    if part not in parts:
        return
    below = {which: raw_tcb({**parts, part: parts[part] - 1}, product)}
    if which == "reported_tcb":
        of = of.with_leaf(_lower(part, parts[part] - 1))
    tcb = {product: {part: parts[part]}}
    asked = policy(products=[product], tcb=tcb)
    assert not allowed(platform(product), asked)
    assert f"{part} of the {which.removesuffix('_tcb')} TCB is {parts[part] - 1}" in allowed(of, asked, **below)
    assert not allowed(of, policy(products=[product]), **below)
    assert not allowed(platform(product), policy(products=[product]))


def _lower(part: str, value: int) -> dict[str, bytes | None]:
    return {f"3.{PARTS[part]}": der.encode_integer(value)}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"tcb": {"genoa": {"snp": 1}}}, "turin is missing"),
        ({"tcb": {"genoa": {"snp": 1}, "turin": {}}}, "has no minimum"),
        ({"tcb": {"genoa": {"snp": 1}, "turin": {"snp": 256}}}, "0 to 255"),
        ({"tcb": {"genoa": {"fmc": 1}, "turin": {"snp": 1}}}, "unknown fields|no minimum"),
        ({"tcb": {"genoa": {"snp": 1}, "turin": {"snp": 1}, "milan": {"snp": 1}}}, "unknown fields"),
        ({"products": []}, "products"),
        ({"products": ["rome"]}, "one of milan"),
        ({"signer": "any"}, "one of vcek"),
        ({"vmpl": 4}, "0 to 3"),
        ({"id_keys": []}, "id_keys"),
        ({"author_keys": ["00"]}, "author_keys"),
        ({"host_data": "00"}, "host_data"),
        ({"require": ["alias_check"]}, "require"),
        ({"migration": "yes"}, "true or false"),
        ({"measurement": []}, "unknown fields"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(VerificationError, match=message):
        policy(**table)


def test_a_product_without_minima_falls_short_where_there_are_any() -> None:
    asked = SnpPolicy(frozenset({MEASUREMENT}), frozenset({"genoa", "turin"}), tcb={"turin": {"snp": 1}})
    assert "none for genoa" in allowed(GENOA, asked)


def test_all_that_falls_short_is_named() -> None:
    short = allowed(GENOA, policy(products=["turin"], signer="vlek", guest_svn=9), policy=POLICY_ONE | 1 << 19)
    for said in ("product line genoa", "require a VLEK", "guest_svn is 0", "debug guest"):
        assert said in short
    assert CHIP.hex() not in short


def test_the_one_door_of_opinions_leads_here() -> None:
    judge_any(GENOA.verify(), policy())
    with pytest.raises(AttestationShort, match="guest_svn"):
        judge_any(GENOA.verify(), policy(guest_svn=1))


def test_the_policys_page_has_every_field_and_bit() -> None:
    page = (Path(__file__).parents[3] / "docs" / "policy.md").read_text(encoding="utf-8")
    table = page.split("| `[attestation.snp]` | |")[1].split("\n\n")[0]
    fields = [field.name for field in dataclasses.fields(SnpPolicy) if field.name != "tcb"]
    for name in (*fields, *BITS, "[attestation.snp.tcb.PRODUCT]"):
        assert f"`{name}`" in table, name
