"""A run's report and collateral, as step 8 takes them."""

from dataclasses import replace
from functools import partial

import pytest

from tests.tee.snp.platforms import AT, END, MEASUREMENT, Platform, chip_key, make_leaf, platform, revocation_list
from zk_autograd.core.attestation import AttestationVerifier, Collateral
from zk_autograd.core.errors import AttestationError, AttestationShort, VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.tee.kinds import verifiers
from zk_autograd.tee.snp import Root, evidence
from zk_autograd.tee.snp import verify as verify_report

WHEN = int(AT.timestamp())
GENOA, VLEK, MILAN = platform(), platform("genoa", "vlek"), platform("milan")


@pytest.fixture(autouse=True)
def roots(monkeypatch: pytest.MonkeyPatch) -> None:
    """AMD's roots exchanged for the tests': there is no way to do so from outside."""
    found: dict[str, Root] = {**GENOA.roots, **MILAN.roots}
    monkeypatch.setattr(evidence, "verify_report", partial(verify_report, roots=found))


def collateral(of: Platform, *more: bytes, crls: tuple[bytes, ...] = ()) -> Collateral:
    return Collateral((*more, *of.chain, of.leaf), crls)


def test_it_is_the_verifier_of_its_kind() -> None:
    found: AttestationVerifier = verifiers()["snp"]
    assert found is evidence and found.KIND == "snp"


@pytest.mark.parametrize("of", [GENOA, VLEK, MILAN], ids=["vcek", "vlek", "milan"])
def test_what_a_report_shows(of: Platform) -> None:
    attested = evidence.verify(of.report(), collateral(of), WHEN)
    assert (attested.kind, attested.root, attested.emulated, attested.time) == ("snp", "test", False, None)
    assert attested.bound == b"\x5a" * 64 and MEASUREMENT.hex() in attested.measurement
    said = " ".join(attested.limits)
    assert "it has no time" in said
    assert ("forged reports of Milan" in said) is (of.product == "milan")
    assert ("which machine it was" in said) is (of.kind == "vlek")
    fields = Fields({"measurements": [MEASUREMENT.hex()], "products": ["milan", "genoa"]}, "[attestation.snp]")
    trust = evidence.read_trust(fields, lambda _: b"")
    fields.end()
    assert len(evidence.judge(attested, trust)) == 3


def test_a_policy_that_allows_no_measurement_is_refused() -> None:
    with pytest.raises(VerificationError, match="measurements"):
        evidence.read_trust(Fields({"measurements": []}, "[attestation.snp]"), lambda _: b"")


def test_the_key_is_found_among_others() -> None:
    """In any order: another chip's, another TCB's, a VLEK's, and those of other products."""
    others = (make_leaf("genoa", key=chip_key(2)), VLEK.leaf, *VLEK.chain, *MILAN.chain, MILAN.leaf)
    for certificates in (others, tuple(reversed(others))):
        assert evidence.verify(GENOA.report(), collateral(GENOA, *certificates), WHEN).root == "test"


def test_a_certificate_that_was_made_again_counts_where_it_is_valid() -> None:
    """AMD's service makes a new one for each who asks."""
    late = make_leaf("genoa", begin=AT.replace(year=2027))
    assert evidence.verify(GENOA.report(), collateral(GENOA, late), WHEN).root == "test"
    other = make_leaf("genoa", key=chip_key(2))
    for first, last in ((other, late), (late, other)):
        with pytest.raises(AttestationShort, match="SEV-VCEK was not valid"):
            evidence.verify(GENOA.report(), collateral(replace(GENOA, leaf=last), first), WHEN)


def test_certificates_that_are_missing_fall_short() -> None:
    for left in (Collateral(), Collateral((*GENOA.chain, VLEK.leaf)), Collateral((GENOA.leaf,))):
        with pytest.raises(AttestationShort, match=r"no certificate of the VCEK|is missing"):
            evidence.verify(GENOA.report(), left, WHEN)


def test_another_key_is_false_and_no_missing_one() -> None:
    with pytest.raises(AttestationError, match="not signed by the VCEK") as caught:
        evidence.verify(GENOA.report(), collateral(replace(GENOA, leaf=make_leaf("genoa", key=chip_key(2)))), WHEN)
    assert not isinstance(caught.value, AttestationShort)


def test_without_a_time_the_keys_own_is_taken() -> None:
    assert evidence.verify(GENOA.report(), collateral(GENOA), None).time is None
    for at in (int(END.timestamp()) + 2, 0, -1, 2**62, -(2**62)):
        with pytest.raises(AttestationShort, match=r"not valid|none that"):
            evidence.verify(GENOA.report(), collateral(GENOA), at)


def test_lists_of_the_collateral_are_read() -> None:
    fields = Fields({"measurements": [MEASUREMENT.hex()], "revocation": True}, "[attestation.snp]")
    trust = evidence.read_trust(fields, lambda _: b"")
    assert evidence.judge(evidence.verify(GENOA.report(), collateral(GENOA, crls=(revocation_list(),)), WHEN), trust)
    with pytest.raises(AttestationShort, match="no revocation list"):
        evidence.judge(evidence.verify(GENOA.report(), collateral(GENOA), WHEN), trust)


@pytest.mark.parametrize("junk", [b"", b"\x30\x03abc"])
def test_what_is_no_certificate_is_refused(junk: bytes) -> None:
    with pytest.raises(AttestationError, match="certificate of the collateral can't be read"):
        evidence.verify(GENOA.report(), collateral(GENOA, junk), WHEN)
