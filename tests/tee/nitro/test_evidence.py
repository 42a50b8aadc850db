"""Nitro documents as step 8 is given them: a file, collateral, and the time of an anchor."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography import x509

from tests.tee.nitro.documents import read, real, time_of
from tests.tee.test_revocation import crl
from zk_autograd.core.attestation import AttestationVerifier, Binding, Collateral
from zk_autograd.core.errors import AttestationError, AttestationShort, VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.tee.device import document_of, emulated, open_device
from zk_autograd.tee.device.emulated import EmulatedDevice
from zk_autograd.tee.kinds import verifiers
from zk_autograd.tee.nitro import evidence
from zk_autograd.tee.nitro.chain import AWS
from zk_autograd.tee.nitro.judge import Measurement, NitroPolicy

NITRO = verifiers()["nitro"]
ONE = "54ae0f973da0c740.cose"  # its user data has 64 bytes
AT = int(time_of(ONE).timestamp())
PCRS = {number: bytes([number + 1]) * 48 for number in range(3)}
IMAGE = Measurement(PCRS[0], PCRS[1], PCRS[2])
NONE = Collateral()


def test_it_is_a_verifier_of_its_kind() -> None:
    assert NITRO.KIND == "nitro"
    known: AttestationVerifier = NITRO
    assert known is cast(Any, verifiers())["nitro"]


def test_a_real_document_is_told_in_the_words_of_step_8() -> None:
    found = NITRO.verify(read(ONE), NONE, AT + 60)
    assert (found.kind, found.root, found.emulated, found.time) == ("nitro", AWS, False, AT)
    assert len(found.bound) == 64 and found.bound == found.claim.user_data
    assert found.measurement == f"PCR0 {found.claim.pcrs[0].hex()}"
    assert "rests on AWS" in found.limits[0]
    assert (found.claim.listed, found.claim.unlisted) == (0, 2)
    assert "no revocation list of the time covers 4 certificates of the 4" in found.limits[1]


def test_lists_for_all_leave_no_doubt_to_tell() -> None:
    claim = NITRO.verify(read(ONE), NONE, AT).claim
    assert len(evidence._limits(claim)) == 2
    assert len(evidence._limits(replace(claim, listed=4))) == 1


@pytest.mark.parametrize("name", [name for name in real("accept-at-timestamp") if name != ONE])
def test_data_of_another_length_binds_nothing(name: str) -> None:
    found = NITRO.verify(read(name), NONE, None)
    data = found.claim.user_data
    assert found.bound == (data if data is not None and len(data) == 64 else b"")


def test_without_an_anchor_the_time_is_the_documents_own_which_shows_no_age() -> None:
    found = NITRO.verify(read(ONE), NONE, None)
    assert found.claim.at is None and found.time == AT
    own = Measurement(*(found.claim.pcrs[number] for number in (0, 1, 2)))
    assert NITRO.judge(found, NitroPolicy((own,)))
    with pytest.raises(AttestationShort, match="age isn't known"):
        NITRO.judge(found, NitroPolicy((own,), max_age=10**6))


@pytest.mark.parametrize("later", [-3600, 4 * 3600, 10**9])
def test_at_another_time_it_is_short(later: int) -> None:
    with pytest.raises(AttestationShort):
        NITRO.verify(read(ONE), NONE, AT + later)


@pytest.mark.parametrize("at", [-1, 253_402_300_800, 2**63, 10**30])
def test_a_time_that_is_none_is_refused(at: int) -> None:
    with pytest.raises(AttestationError, match="out of bounds"):
        NITRO.verify(read(ONE), NONE, at)


def test_a_document_of_the_emulated_device_binds_a_run_and_says_what_it_is() -> None:
    binding = Binding(bytes(16), bytes(32), ("a key",), b"release", bytes(16))
    raw = document_of(EmulatedDevice(PCRS), binding.digest(), b"release", bytes(16)).raw
    found = NITRO.verify(raw, NONE, None)
    assert (found.root, found.emulated, found.bound) == ("emulated", True, binding.digest())
    assert found.claim.nonce == bytes(16)
    assert found.limits == (
        "the device was emulated, under a root whose private key is public: its document shows nothing",
    )
    with pytest.raises(AttestationShort, match="the emulated device"):
        NITRO.judge(found, NitroPolicy((IMAGE,)))
    assert "shows nothing" in NITRO.judge(found, NitroPolicy((IMAGE,), emulated=True))[0]
    assert replace(binding, run=bytes([1]) * 16).digest() != found.bound


def test_a_revoked_signer_is_short_and_a_list_that_does_not_name_it_covers_it() -> None:
    raw = EmulatedDevice(PCRS).attest(bytes(64))
    found = NITRO.verify(raw, NONE, None)
    at = int(found.claim.time.timestamp()) + 1
    leaf = x509.load_der_x509_certificate(_leaf(raw))
    root = emulated.root()
    clean = crl(*root, [], found.claim.time)
    assert NITRO.verify(raw, Collateral(crls=(clean,)), at).claim.listed == 1
    revoking = crl(*root, [leaf.serial_number], found.claim.time)
    with pytest.raises(AttestationShort, match="was revoked"):
        NITRO.verify(raw, Collateral(crls=(revoking,)), at)


def _leaf(document: bytes) -> bytes:
    from zk_autograd.tee.nitro.abi import parse

    return parse(document).payload.certificate


def test_collateral_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(AttestationError, match="a revocation list can't be read"):
        NITRO.verify(read(ONE), Collateral(crls=(b"x",)), AT)


def test_trust_is_read_from_a_table_and_allows_something() -> None:
    row = {f"pcr{number}": PCRS[number].hex() for number in range(3)}
    assert NITRO.read_trust(Fields({"measurements": [row]}, "attestation.nitro"), lambda _: b"") == NitroPolicy(
        (IMAGE,)
    )
    with pytest.raises(VerificationError, match="measurements"):
        NITRO.read_trust(Fields({"measurements": []}, "attestation.nitro"), lambda _: b"")


def test_a_device_of_a_file_passes_the_policy_that_names_its_measurements(tmp_path: Path) -> None:
    path = tmp_path / "measured.json"
    path.write_text(json.dumps({f"pcr{number}": pcr.hex() for number, pcr in PCRS.items()}, indent=1))
    raw = open_device(f"emulated:{path}").attest(bytes(64))
    assert NITRO.judge(NITRO.verify(raw, NONE, None), NitroPolicy((IMAGE,), emulated=True))
