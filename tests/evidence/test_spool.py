"""The temporary file that fetched bytes stay in."""

import os
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from zk_autograd.core.errors import UnreadableError, VerificationError
from zk_autograd.evidence.source import Place, reader
from zk_autograd.evidence.spool import Spool


@pytest.fixture
def spool() -> Iterator[Spool]:
    made = Spool("a run")
    yield made
    made.close()


def test_what_was_added_is_read(spool: Spool) -> None:
    first, second = spool.add([b"one", b"", b"two"]), spool.add([bytes(range(256)) * 9000])
    assert (first, second, spool.size) == (Place(0, 6), Place(6, 256 * 9000), 6 + 256 * 9000)
    assert spool.read_at(1, 4) == b"netw"
    assert reader(spool, second).read() == bytes(range(256)) * 9000
    assert reader(spool, spool.add([])).read() == b""
    with pytest.raises(VerificationError, match="ends early"):
        spool.read_at(spool.size - 1, 2)


def test_what_broke_off_leaves_nothing(spool: Spool) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionError

    spool.add([b"one"])
    with pytest.raises(ConnectionError):
        spool.add(broken())
    assert spool.add([b"2"]) == Place(3, 1)
    assert spool.read_at(0, 4) == b"one2"


def test_it_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    spool = Spool("a run")
    spool.add([b"x"])
    assert os.listdir(tmp_path) == []
    spool.close()
    spool.close()
    with pytest.raises(UnreadableError, match="what was fetched can't be read"):
        spool.read_at(0, 1)


def test_a_folder_that_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(UnreadableError, match="set TMPDIR to one with room"):
        Spool("a run")


def test_a_disk_that_is_full(spool: Spool) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(UnreadableError, match="File too large; set TMPDIR to one with room"):
            spool.add([bytes(20_000)])
        assert spool.add([b"small"]) == Place(0, 5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
