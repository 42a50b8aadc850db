"""The rows of public files, and what it takes to add one."""

from pathlib import Path

import pytest

from tests.verify.run_builder import LOG_POLICY, honest, stand_ins
from zk_autograd.core.errors import VerificationError
from zk_autograd.evidence import beside, layout
from zk_autograd.evidence.bundle import Bundle
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.evidence.layout import OfTheLog, PublicFile, folders, is_public, row_of
from zk_autograd.evidence.run import Evidence
from zk_autograd.run import packing
from zk_autograd.run.files import Files
from zk_autograd.verify.verifier import Verifier


@pytest.mark.parametrize(
    "path",
    [
        "log/records.jsonl",
        "log/checkpoint",
        "proofs/0-0",
        "proofs/12-3",
        "model/weights.i64.safetensors",
        "model/x",
        "config.toml",
        "model.sig",
        "graph.txt",
        "data/cells",
        "register/views.jsonl",
        "anchors/receipts.jsonl",
        "attestation/document.json",
        "attestation/collateral.json",
    ],
)
def test_public_files_have_a_row(path: str) -> None:
    row = row_of(path)
    assert row is not None
    assert row.path(path.rpartition("/")[2]) == path


@pytest.mark.parametrize(
    "path",
    ["", "/", "log", "log/", "log/x", "/log/checkpoint", "proofs/01-0", "proofs/0", "proofs/0-0/", "model/.x", "model//x", "model/../log/checkpoint",
     "private/header", "private/../config.toml", "other/x", "README.md", "/config.toml", "model/a b", "./config.toml",
     "attestation", "attestation/document", "attestation/document.json.sig", "document.json", "attestation/policy.toml",
     "graph", "data", "data/", "data/graph.txt", "data/cells.npy", "data/../graph.txt", "cells", "Data/cells", "private/data"],
)  # fmt: skip
def test_other_names_are_of_no_public_file(path: str) -> None:
    assert not is_public(path)


def test_rows_are_apart_and_bounded() -> None:
    assert folders() == ("log", "proofs", "model", "data", "register", "anchors", "attestation")
    for row in layout.ROWS:
        assert 0 < row.bound <= 2**36
        for name in row.names:
            assert [other for other in layout.ROWS if other.folder == row.folder and other.has(name)] == [row]


RECEIPT = "register/receipt"


class WithReceipts(Evidence):
    """The accessor."""

    def receipt(self) -> bytes:
        return self.read(RECEIPT, 100)


class Folder(WithReceipts, RunFolder):
    pass


class Archive(WithReceipts, Bundle):
    pass


@pytest.fixture
def receipts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row more, everywhere."""
    rows = (*layout.ROWS, PublicFile("register", OfTheLog(), 100, names=("receipt",)))
    for module in (layout, beside, packing):
        monkeypatch.setattr(module, "ROWS", rows)


def test_a_receipt_is_a_row_and_an_accessor(receipts: None, tmp_path: Path) -> None:
    """It is read from a folder and from a bundle, packed, bounded, and nothing beside the run's
    own; other names beside it are."""
    run = honest("none").write(tmp_path / "run")
    (run / "register").mkdir()
    (run / "register" / "receipt").write_bytes(b"signed")
    packing.pack(run, tmp_path / "b.tar", Files(), lambda *_: None)
    for opened in (Folder(run), Archive(tmp_path / "b.tar")):
        with opened as files:
            assert files.receipt() == b"signed"
            report = Verifier(LOG_POLICY, stand_ins()).verify(files)
            assert (report.exit_status, report.uncovered) == (0, ())
    (run / "register" / "receipt").rename(tmp_path / "receipt")
    packing.pack(run, tmp_path / "empty.tar", Files(), lambda *_: None)
    (run / "register").rmdir()
    packing.pack(run, tmp_path / "none.tar", Files(), lambda *_: None)
    assert (tmp_path / "none.tar").read_bytes() == (tmp_path / "empty.tar").read_bytes()
    (run / "register").mkdir()
    (tmp_path / "receipt").rename(run / "register" / "receipt")
    (run / "register" / "receipts").write_bytes(b"planted")
    with Folder(run) as files:
        report = Verifier(LOG_POLICY, stand_ins()).verify(files)
        assert [file.name for file in report.uncovered or ()] == ["register/receipts"]
        assert report.exit_status == 3
    (run / "register" / "receipt").write_bytes(bytes(101))
    with Folder(run) as files, pytest.raises(VerificationError, match="is too large"):
        files.receipt()


def test_without_its_row_a_receipt_is_no_public_file(tmp_path: Path) -> None:
    run = honest("none").write(tmp_path / "run")
    (run / "register").mkdir()
    (run / "register" / "receipt").write_bytes(b"signed")
    with Folder(run) as files, pytest.raises(VerificationError, match="is not the name of a public file"):
        files.receipt()
    assert not is_public(RECEIPT)
