"""A run of an enclave: its document is there before anything is signed, and its genesis names it,
whatever crash comes between."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from tests.run.plain_run import create, resume
from tests.run.trainer import SIGNER, FailingFiles, FaultyProver, audit, hashed_backend, make_header, train
from zk_autograd.core.attestation import Binding, Document
from zk_autograd.core.errors import RunError, UsageError
from zk_autograd.core.records import ENCLAVE_FORMAT, INSIDE, Header
from zk_autograd.evidence.bundle import Bundle
from zk_autograd.run.files import Files
from zk_autograd.run.packing import pack


def header() -> Header:
    return replace(make_header(hashed_backend()), format=ENCLAVE_FORMAT, proving=INSIDE)


def attest(digest: bytes) -> Document:
    """A stand-in for a device: it says what it was asked to sign."""
    return Document("nitro", Binding(header().run, digest, header().keys).digest())


def document(run: Path) -> bytes:
    return (run / "attestation/document.json").read_bytes()


def test_the_genesis_names_the_document(tmp_path: Path) -> None:
    run, asked = tmp_path / "run", list[bytes]()

    def ask(digest: bytes) -> Document:
        assert not list(run.glob("log/*")), "something was written before the document"
        asked.append(digest)
        return attest(digest)

    writer = create(run, header=header(), attest=ask)
    train(writer, 3)
    writer.close()
    log = audit(run, hashed_backend())
    assert log.genesis is not None
    assert log.genesis.attestation == sha256(document(run)).digest()
    assert asked == [log.header_digest]
    assert Document.parse(document(run)) == attest(log.header_digest)
    pack(run, tmp_path / "run.tar", Files(), lambda *_: None)
    with Bundle(tmp_path / "run.tar") as bundle:
        assert bundle.attestation() == document(run)


def test_header_and_attestation_must_agree(tmp_path: Path) -> None:
    plain = make_header(hashed_backend())
    options: list[tuple[Header, Callable[[bytes], Document] | None]] = [(header(), None), (plain, attest)]
    for made, source in options:
        with pytest.raises(UsageError, match="if, and only if, its header says that it is an enclave's"):
            create(tmp_path / "run", header=made, attest=source)
    assert not (tmp_path / "run").exists()


def test_a_device_that_refuses_leaves_nothing(tmp_path: Path) -> None:
    def refuse(_: bytes) -> Document:
        raise RunError("the device refuses")

    with pytest.raises(RunError, match="the device refuses"):
        create(tmp_path / "run", header=header(), attest=refuse)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("way", ["lost", "kept"])
@pytest.mark.parametrize(
    "write", ["write attestation/document.json #0", "append log/records.jsonl #0", "append log/records.jsonl #1"]
)
def test_a_disk_that_fails_at_the_beginning_leaves_nothing(tmp_path: Path, write: str, way: str) -> None:
    run = tmp_path / "run"
    with pytest.raises(RunError):
        create(run, header=header(), attest=attest, files=FailingFiles(run, write, way))
    assert not run.exists()


def test_a_trainer_that_dies_before_its_header_is_kept_begins_anew(tmp_path: Path) -> None:
    run = tmp_path / "run"
    create(run, header=header(), attest=attest).abandon()
    (run / "private/header").unlink()
    with pytest.raises(RunError, match="its creation was interrupted before the first step"):
        resume(run)


@pytest.mark.parametrize("records", [0, 1])
def test_a_crash_between_document_and_genesis_keeps_the_document(tmp_path: Path, records: int) -> None:
    """The log is cut back to nothing, or to its header, as a crash before the genesis leaves it;
    no second document is asked for."""
    run = tmp_path / "run"
    create(run, header=header(), attest=attest).abandon()
    before = document(run)
    lines = (run / "log/records.jsonl").read_bytes().splitlines(keepends=True)
    (run / "log/records.jsonl").write_bytes(b"".join(lines[:records]))
    for name in ("log/checkpoint", "private/head"):
        (run / name).unlink()
    again = resume(run)
    train(again, 3)
    again.close()
    log = audit(run, hashed_backend())
    assert log.genesis is not None
    assert log.genesis.attestation == sha256(before).digest()
    assert document(run) == before


def test_a_run_is_gone_on_with_under_its_document(tmp_path: Path) -> None:
    run, backend = tmp_path / "run", FaultyProver()
    made = replace(make_header(backend), format=ENCLAVE_FORMAT, proving=INSIDE)
    writer = create(run, backend, header=made, attest=attest)
    train(writer, 3)
    writer.abandon()
    again = resume(run, FaultyProver())
    train(again, 5)
    again.close()
    log = audit(run, FaultyProver())
    assert log.genesis is not None
    assert log.genesis.attestation == sha256(document(run)).digest()
    assert SIGNER.public_key.encode() in log.header.keys


@pytest.mark.parametrize("way", ["missing", "another"])
def test_a_run_whose_document_was_lost_is_not_gone_on_with(tmp_path: Path, way: str) -> None:
    """It could be shown to nobody."""
    run = tmp_path / "run"
    create(run, header=header(), attest=attest).abandon()
    path = run / "attestation/document.json"
    if way == "missing":
        path.unlink()
    else:
        path.write_bytes(attest(bytes(32)).encode())
    with pytest.raises(RunError, match=r"document\.json is missing, or is not the one that the genesis names"):
        resume(run)
