"""The opinion on a genuine document: each demand in four cells, asked for or not, met or not."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.tee.nitro.documents import NOW
from zk_autograd.core.canonical import Json
from zk_autograd.core.errors import AttestationShort, VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.tee import policy as door
from zk_autograd.tee.nitro.chain import AWS
from zk_autograd.tee.nitro.claim import EMULATED, NitroClaim
from zk_autograd.tee.nitro.judge import MAX_SKEW, Measurement, NitroPolicy, judge, read

PCR = {number: bytes([number + 1]) * 48 for number in (0, 1, 2, 8)}
ZERO = bytes(48)
NONCE = bytes(range(16))
IMAGE = Measurement(PCR[0], PCR[1], PCR[2])
POLICY = NitroPolicy((IMAGE,))
CLAIM = NitroClaim(
    root=AWS,
    module="i-0-enc0",
    at=NOW + timedelta(seconds=100),
    time=NOW,
    pcrs={**{number: ZERO for number in range(16)}, **PCR},
    public_key=None,
    user_data=None,
    nonce=NONCE,
    certificates=4,
    listed=0,
    unlisted=0,
)


def taken(claim: NitroClaim, policy: NitroPolicy) -> bool:
    """Whether the policy takes the claim; both doors say the same."""
    try:
        found = judge(claim, policy)
    except AttestationShort as short:
        assert short.exit_status == 3
        with pytest.raises(AttestationShort, match="^" + short.message[:20].replace("(", r"\(")):
            door.judge(claim, policy)
        return False
    door.judge(claim, policy)
    assert all(found)
    return True


def pcrs(**changes: Any) -> NitroClaim:
    """The claim with other registers; None takes one away."""
    named = {int(name[3:]): value for name, value in changes.items()}
    return replace(CLAIM, pcrs={n: pcr for n, pcr in {**CLAIM.pcrs, **named}.items() if pcr is not None})


@pytest.mark.parametrize(
    ("demand", "met", "unmet"),
    [
        # asked for by the policy, a claim that meets it, one that doesn't
        ({"max_age": 100}, CLAIM, replace(CLAIM, at=NOW + timedelta(seconds=101))),
        ({"max_age": 100}, CLAIM, replace(CLAIM, at=None)),
        ({"max_age": 100}, replace(CLAIM, at=NOW - timedelta(seconds=MAX_SKEW)), replace(CLAIM, at=NOW - timedelta(seconds=MAX_SKEW + 1))),
        ({"max_age": 0}, replace(CLAIM, at=NOW), CLAIM),
        ({"revocation": True}, replace(CLAIM, listed=2), replace(CLAIM, listed=1, unlisted=1)),
        ({"nonce": NONCE}, CLAIM, replace(CLAIM, nonce=None)),
        ({"nonce": NONCE}, CLAIM, replace(CLAIM, nonce=NONCE + b"\0")),
        ({"nonce": NONCE}, CLAIM, replace(CLAIM, nonce=b"")),
        ({"measurements": (replace(IMAGE, pcr8=PCR[8]),)}, CLAIM, pcrs(pcr8=ZERO)),
        ({"measurements": (replace(IMAGE, pcr8=PCR[8]),)}, CLAIM, pcrs(pcr8=None)),
    ],
    ids=["too old", "age unknown", "ahead of its time", "not of the same second", "a list is missing", "no nonce", "longer nonce", "empty nonce", "unsigned image", "no PCR8"],
)  # fmt: skip
def test_a_demand_in_four_cells(demand: dict[str, Any], met: NitroClaim, unmet: NitroClaim) -> None:
    asked = replace(POLICY, **demand)
    assert [taken(met, POLICY), taken(unmet, POLICY)] == [True, True]
    assert [taken(met, asked), taken(unmet, asked)] == [True, False]


@pytest.mark.parametrize(("allowed", "emulated", "expected"), [(0, 0, 1), (0, 1, 0), (1, 0, 1), (1, 1, 1)])
def test_the_emulated_root_in_four_cells(allowed: int, emulated: int, expected: int) -> None:
    """Whoever reads this package can sign under that root: a cheat's laptop would pass."""
    claim = replace(CLAIM, root=EMULATED) if emulated else CLAIM
    assert taken(claim, replace(POLICY, emulated=bool(allowed))) is bool(expected)


def test_the_emulated_root_is_refused_by_name() -> None:
    with pytest.raises(AttestationShort, match=r"emulated device.*found the root 'emulated'"):
        judge(replace(CLAIM, root=EMULATED), POLICY)
    truthy = replace(POLICY, emulated="yes")  # type: ignore[arg-type]  # what no reader gives
    assert not taken(replace(CLAIM, root=EMULATED), truthy)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_each_register_of_the_image_counts(number: int) -> None:
    """The image with another kernel, command line or application."""
    assert taken(CLAIM, POLICY)
    assert not taken(pcrs(**{f"pcr{number}": bytes([9]) * 48}), POLICY)
    assert not taken(pcrs(**{f"pcr{number}": None}), POLICY)


@pytest.mark.parametrize("number", [3, 4, 15])
def test_no_other_register_does(number: int) -> None:
    assert taken(pcrs(**{f"pcr{number}": bytes([9]) * 48}), POLICY)


@pytest.mark.parametrize("zero", [(0, 1, 2), (0,), (1,), (2,)])
def test_zero_registers_are_refused_even_where_the_policy_allows_them(zero: tuple[int, ...]) -> None:
    """Debug mode: the host looks into the enclave. A policy could only name it by mistake."""
    debugged = pcrs(**{f"pcr{number}": ZERO for number in zero})
    allowing = NitroPolicy((Measurement(*(debugged.pcrs[number] for number in (0, 1, 2))),))
    assert not taken(debugged, allowing)
    with pytest.raises(AttestationShort, match="debug mode"):
        judge(debugged, allowing)


def test_no_measurement_allows_nothing() -> None:
    with pytest.raises(AttestationShort, match="the policy allows no image"):
        judge(CLAIM, NitroPolicy(()))


def test_one_of_several_images_is_enough_and_they_are_not_mixed() -> None:
    other = Measurement(*(bytes([7 + number]) * 48 for number in range(3)))
    assert taken(CLAIM, NitroPolicy((other, IMAGE)))
    mixed = NitroPolicy((replace(other, pcr0=PCR[0]), replace(IMAGE, pcr0=other.pcr0)))
    assert not taken(CLAIM, mixed)


def test_a_nonce_that_can_be_guessed_shows_nothing() -> None:
    short = bytes(15)
    assert not taken(replace(CLAIM, nonce=short), replace(POLICY, nonce=short))
    assert not taken(replace(CLAIM, nonce=b""), replace(POLICY, nonce=b""))


def test_what_was_found_is_said() -> None:
    found = judge(CLAIM, replace(POLICY, nonce=NONCE, max_age=100))
    assert found == (
        "the document's chain begins with the root aws-nitro",
        f"the enclave's image is one that the policy allows, by its PCR0, PCR1, PCR2: PCR0 {PCR[0].hex()}",
        f"the document has the nonce that was asked for, {NONCE.hex()}",
        "the document was made 100 seconds before the time for which it was verified, by its own clock",
    )
    assert "shows nothing" in judge(replace(CLAIM, root=EMULATED), replace(POLICY, emulated=True))[0]


# ---- a policy's table ----------------------------------------------------------------------------

ROW: dict[str, Json] = {f"pcr{number}": PCR[number].hex() for number in range(3)}


def table(**changes: Any) -> NitroPolicy:
    values = {"measurements": [ROW], **changes}
    fields = Fields({name: value for name, value in values.items() if value is not ...}, "attestation.nitro")
    found = read(fields)
    fields.end()
    return found


def test_a_table_says_what_is_asked_for() -> None:
    assert table() == POLICY
    assert table(emulated=True) == replace(POLICY, emulated=True)
    assert table(revocation=True) == replace(POLICY, revocation=True)
    row = {**ROW, "pcr8": PCR[8].hex()}
    assert table(measurements=[row, ROW], max_age=5, nonce=NONCE.hex(), revocation=True, emulated=True) == NitroPolicy(
        (replace(IMAGE, pcr8=PCR[8]), IMAGE), 5, NONCE, True, True
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"measurements": ...}, "measurements is missing"),
        ({"measurements": []}, "1 to 64 items"),
        ({"measurements": [ROW] * 65}, "1 to 64 items"),
        ({"measurements": [{}]}, "pcr0 is missing"),
        ({"measurements": [{"pcr0": ROW["pcr0"]}]}, "pcr1 is missing"),
        ({"measurements": [{**ROW, "pcr3": ROW["pcr0"]}]}, "unknown fields"),
        ({"measurements": [{**ROW, "pcr0": PCR[0].hex().upper() + ""}]}, None),
        ({"measurements": [{**ROW, "pcr0": "ab" * 32}]}, "48 bytes"),
        ({"measurements": [{**ROW, "pcr1": "AB" * 48}]}, "lower-case"),
        ({"measurements": [{**ROW, "pcr2": "00" * 48}]}, r"measurements\[0\].pcr2 is zero"),
        ({"measurements": [{**ROW, "pcr8": "00" * 48}]}, r"measurements\[0\].pcr8 is zero"),
        ({"measurements": ROW}, "an array"),
        ({"max_age": -1}, "max_age"),
        ({"max_age": "5"}, "max_age"),
        ({"max_age": 2**40}, "max_age"),
        ({"nonce": "ab" * 15}, "16 to 64 bytes"),
        ({"nonce": "ab" * 65}, "nonce"),
        ({"nonce": "AB" * 16}, "16 to 64 bytes"),
        ({"nonce": "ab" * 16 + "a"}, "16 to 64 bytes"),
        ({"nonce": ""}, "nonce"),
        ({"emulated": "true"}, "true or false"),
        ({"emulated": 1}, "true or false"),
        ({"revocation": "yes"}, "true or false"),
        ({"debug": True}, "unknown fields"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(changes: dict[str, Any], why: str | None) -> None:
    if why is None:  # digits alone: upper case is lower case
        assert table(**changes) == POLICY
        return
    with pytest.raises(VerificationError, match=why):
        table(**changes)
