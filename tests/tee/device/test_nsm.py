"""What is said to /dev/nsm, byte for byte, and what is made of its answers. The device itself isn't
here: nothing below tests it, nor that the ioctl reaches it."""

import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cbor2", reason="the package cbor2 is not installed: [tee]")

import cbor2

from tests.tee.nitro.documents import honest
from zk_autograd.core.errors import RunError, UsageError
from zk_autograd.tee.device import nsm, open_device
from zk_autograd.tee.device.nsm import NsmDevice

DATA = bytes(range(64))


def test_a_request_is_written_as_serde_writes_it() -> None:
    """aws-nitro-enclaves-nsm-api: Request::Attestation, a struct variant, in serde_cbor's form."""
    sent: list[bytes] = []

    def exchange(request: bytes) -> bytes:
        sent.append(request)
        return bytes.fromhex("a1") + b"\x6bAttestation" + bytes.fromhex("a1") + b"\x68document\x43abc"

    device = NsmDevice(exchange)
    assert device.kind == "nitro" and "/dev/nsm" in device.name and device.collateral().crls == ()
    assert device.attest(DATA, nonce=b"nn") == b"abc"
    expected = b"\xa1\x6bAttestation\xa3\x69user_data\x58\x40" + DATA + b"\x65nonce\x42nn\x6apublic_key\xf6"
    assert sent == [expected]


def test_the_ioctl_is_the_drivers() -> None:
    """_IOWR(0x0A, 0, 32 bytes), as request_code_readwrite! computes it on a 64-bit system."""
    assert nsm.IOCTL == 0xC0200A00


def test_the_largest_request_that_the_driver_takes_holds_all_that_a_document_does() -> None:
    answers = cbor2.dumps({"Attestation": {"document": b"x"}})
    assert NsmDevice(lambda _: answers).attest(DATA, nonce=bytes(1024), public_key=bytes(1024)) == b"x"
    for much in ({"nonce": bytes(1025)}, {"public_key": bytes(1025)}):
        with pytest.raises(RunError, match="at most 1024"):
            NsmDevice(lambda _: answers).attest(DATA, **much)
    with pytest.raises(RunError, match="64 bytes of data"):
        NsmDevice(lambda _: answers).attest(DATA[1:])


def test_a_document_comes_out_as_it_is() -> None:
    document = honest().document()
    assert NsmDevice(lambda _: cbor2.dumps({"Attestation": {"document": document}})).attest(DATA) == document


@pytest.mark.parametrize("name", ["InvalidArgument", "InputTooLarge", "InternalError", "x\n\x1b[2J"])
def test_an_error_of_the_module_is_named(name: str) -> None:
    with pytest.raises(RunError, match="/dev/nsm refuses") as refused:
        NsmDevice(lambda _: cbor2.dumps({"Error": name})).attest(DATA)
    assert "\x1b" not in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\xa0",
        bytes(12_288),
        cbor2.dumps("Attestation"),
        cbor2.dumps({"Attestation": None}),
        cbor2.dumps({"Attestation": {}}),
        cbor2.dumps({"Attestation": {"document": b""}}),
        cbor2.dumps({"Attestation": {"document": "x"}}),
        cbor2.dumps({"Attestation": {"document": b"x", "more": 1}}),
        cbor2.dumps({"Attestation": {"document": b"x"}, "Error": "InternalError"}),
        cbor2.dumps({"Attestation": {"document": b"x"}}) + b"\x00",
        cbor2.dumps({"Error": 5}),
        cbor2.dumps({"GetRandom": {"random": b"x"}}),
        b"\x81" * 12_000,
    ],
)
def test_any_other_answer_is_refused(answer: bytes) -> None:
    with pytest.raises(RunError, match="/dev/nsm: the module's answer"):
        NsmDevice(lambda _: answer).attest(DATA)


def test_where_the_device_is_not_there_it_is_named() -> None:
    if Path(nsm.PATH).exists():
        pytest.skip(f"{nsm.PATH} is there: this is an enclave")
    with pytest.raises(RunError, match="/dev/nsm isn't there: this is no AWS Nitro enclave"):
        open_device("nitro")
    with pytest.raises(RunError, match="/dev/nsm can't be asked: No such file"):
        nsm._exchange(b"x")


def test_a_file_that_is_no_device_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "nsm"
    path.write_bytes(b"")
    monkeypatch.setattr(nsm, "PATH", str(path))
    with pytest.raises(RunError, match="can't be asked: Inappropriate ioctl"):
        open_device("nitro").attest(DATA)
    with pytest.raises(UsageError, match="takes nothing after its name"):
        open_device("nitro:x")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_: bytes) -> Any:
        raise AssertionError("asked")

    monkeypatch.setitem(sys.modules, "cbor2", None)
    with pytest.raises(RunError, match=r"zk-autograd\[tee\]"):
        NsmDevice(never).attest(DATA)
