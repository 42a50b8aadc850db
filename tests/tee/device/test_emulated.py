"""The device that shows nothing: its documents are Nitro's in form, and its root is refused."""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

pytest.importorskip("cbor2", reason="the package cbor2 is not installed: [tee]")

import cbor2

from zk_autograd.core.errors import RunError, UsageError
from zk_autograd.tee.device import open_device
from zk_autograd.tee.device.emulated import LIFE, EmulatedDevice
from zk_autograd.tee.nitro import verify
from zk_autograd.tee.nitro.abi import parse

PCRS = {number: bytes([number + 1]) * 48 for number in (0, 1, 2, 8)}
DATA = bytes(range(64))
MEASURED = {f"pcr{number}": pcr.hex() for number, pcr in PCRS.items()}


def clock(*times: datetime) -> Callable[[], datetime]:
    left = list(times)
    return lambda: left.pop(0)


def test_its_documents_have_what_was_asked_for() -> None:
    device = EmulatedDevice(PCRS)
    assert (device.kind, device.collateral().crls) == ("nitro", ()) and "shows nothing" in device.name
    before = datetime.now(UTC)
    claim = verify(device.attest(DATA, nonce=b"n" * 20, public_key=b"p" * 1024), at=datetime.now(UTC))
    assert (claim.root, claim.user_data, claim.nonce, claim.public_key) == ("emulated", DATA, b"n" * 20, b"p" * 1024)
    assert {number: pcr for number, pcr in claim.pcrs.items() if any(pcr)} == PCRS and len(claim.pcrs) == 16
    assert before - timedelta(seconds=1) < claim.time < before + timedelta(seconds=60)
    bare = verify(device.attest(DATA), at=datetime.now(UTC))
    assert (bare.nonce, bare.public_key) == (None, None)


def test_it_writes_as_a_real_device_does() -> None:
    """The same fields in the same order, and the same parts around them."""
    real = cbor2.loads((Path(__file__).parents[2] / "data/attestation/nitro/54ae0f973da0c740.cose").read_bytes())
    ours = cbor2.loads(EmulatedDevice(PCRS).attest(DATA))
    assert ours[:2] == real[:2] and len(ours[3]) == len(real[3])
    assert list(cbor2.loads(ours[2])) == list(cbor2.loads(real[2]))


def test_a_certificate_of_three_hours_signs_until_it_ends() -> None:
    begin = datetime(2026, 5, 4, 12, tzinfo=UTC)
    soon, late = begin + LIFE - timedelta(seconds=10), begin + LIFE + timedelta(minutes=1)
    device = EmulatedDevice(PCRS, clock(begin, soon, late))
    first, second, third = (parse(device.attest(DATA)).payload.certificate for _ in range(3))
    assert first == second != third
    certificate = x509.load_der_x509_certificate(first)
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc == timedelta(hours=3)


@pytest.mark.parametrize("seconds", [0, 1, 3600, 10_790, 10_794, 10_795, 10_797, 10_800, 10_803, 20_000])
def test_each_of_its_documents_is_genuine_at_its_own_time(seconds: int) -> None:
    begin = datetime(2026, 5, 4, 12, 0, 0, 900_000, tzinfo=UTC)
    at = begin + timedelta(seconds=seconds)
    device = EmulatedDevice(PCRS, clock(begin, at))
    device.attest(DATA)
    assert verify(device.attest(DATA), at=at).root == "emulated"


def test_two_devices_share_no_key() -> None:
    one, other = (
        x509.load_der_x509_certificate(parse(EmulatedDevice(PCRS).attest(DATA)).payload.certificate).public_key()
        for _ in range(2)
    )
    assert one != other


@pytest.mark.parametrize(
    ("data", "nonce", "key"),
    [(b"", b"", b""), (bytes(63), b"", b""), (DATA, bytes(1025), b""), (DATA, b"", bytes(1025))],
)
def test_it_signs_no_more_than_a_document_holds(data: bytes, nonce: bytes, key: bytes) -> None:
    with pytest.raises(RunError):
        EmulatedDevice(PCRS).attest(data, nonce=nonce, public_key=key)


def test_its_measurements_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "measured.json"
    path.write_text(json.dumps({"image": "x.eif", "more": [1.5, None], **MEASURED}, indent=2))
    claim = verify(open_device(f"emulated:{path}").attest(DATA), at=datetime.now(UTC))
    assert all(claim.pcrs[number] == pcr for number, pcr in PCRS.items())
    path.write_text(json.dumps({**MEASURED, "pcr8": None}))
    assert verify(open_device(f"emulated:{path}").attest(DATA), at=datetime.now(UTC)).pcrs[8] == bytes(48)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "{" * 100_00,
        "[" * 60_000,
        json.dumps({**MEASURED, "pcr0": "AB" * 48}),
        json.dumps({**MEASURED, "pcr1": "ab" * 32}),
        json.dumps({**MEASURED, "pcr2": 5}),
        json.dumps({**MEASURED, "pcr8": "x"}),
        "\xff",
        " " * 70_000,
    ],
)
def test_a_file_of_something_else_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "measured.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match="the file of measurements"):
        open_device(f"emulated:{path}")


def test_a_file_that_is_not_there_or_not_named_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be read"):
        open_device(f"emulated:{tmp_path / 'none'}")
    for spec in ("emulated", "emulated:"):
        with pytest.raises(UsageError, match="emulated:FILE"):
            open_device(spec)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    device = EmulatedDevice(PCRS)
    monkeypatch.setitem(sys.modules, "cbor2", None)
    with pytest.raises(RunError, match=r"zk-autograd\[tee\]"):
        device.attest(DATA)
