"""What a host keeps: an enclave that lies writes nowhere else, changes nothing, fills no disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from zk_autograd.core.errors import RunError
from zk_autograd.core.note import MAX_NOTE_BYTES
from zk_autograd.enclave.relay.kept import Kept
from zk_autograd.enclave.relay.leaving import SEALED, leaving
from zk_autograd.evidence.layout import ROWS, VIEWS, is_public

RECORDS = "log/records.jsonl"


def put(kept: Kept, way: str, path: str, data: bytes, at: int = 0) -> int:
    return kept.put(way, path, at, len(data), iter([data]))


def files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_lines_grow_a_checkpoint_is_replaced_and_all_else_is_kept_once(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "run")
    assert put(kept, "append", RECORDS, b"one\n") == 4
    assert put(kept, "append", RECORDS, b"two\nthree\n", 4) == 14
    put(kept, "replace", "log/checkpoint", b"first")
    put(kept, "replace", "log/checkpoint", b"second")
    put(kept, "once", "proofs/0-0", b"proof")
    put(kept, "once", "sealed/10-checkpoint.enc", b"sealed")
    put(kept, "once", "environment.json", b"{}")
    assert files(tmp_path / "run") == {
        RECORDS: b"one\ntwo\nthree\n",
        "log/checkpoint": b"second",
        "proofs/0-0": b"proof",
        "environment.json": b"{}",
    }
    assert files(tmp_path / "run.sealed") == {"10-checkpoint.enc": b"sealed"}  # no part of the evidence


def test_the_hosts_own_receipts_and_the_enclaves_stand_in_one_file(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "run")
    put(kept, "append", "anchors/receipts.jsonl", b"its own\n")
    kept.add("anchors/receipts.jsonl", b"the host's")
    assert put(kept, "append", "anchors/receipts.jsonl", b"its next\n", 8) == 17
    assert files(tmp_path / "run")["anchors/receipts.jsonl"] == b"its own\nthe host's\nits next\n"


@pytest.mark.parametrize(
    "path",
    [
        "../outside", "/etc/passwd", "log/../../outside", "log//records.jsonl", "./log/checkpoint", "private/head", "private/train.json",
        "model/../x", "model/.hidden", "proofs/0-0/x", "proofs/00-0", "sealed/../x.enc", "sealed/x", "sealed/a/b.enc", "sealed/A.enc",
        "register/register.sqlite", "", "log", "log/", "log/records.jsonl\0", "LOG/checkpoint", ".bashrc", "policy.toml",
    ],
)  # fmt: skip
@pytest.mark.parametrize("way", ["append", "replace", "once"])
def test_no_other_path_is_written(tmp_path: Path, path: str, way: str) -> None:
    kept = Kept(tmp_path / "run")
    with pytest.raises(RunError, match="no file that may leave"):
        put(kept, way, path, b"line\n")
    assert list(tmp_path.iterdir()) == []


def test_each_public_file_may_leave_and_nothing_beside_sealed_ones() -> None:
    for row in ROWS:
        for name in row.names or ("0-0",):
            rule = leaving(row.path(name))
            assert rule is not None
            assert rule.bound == row.bound
    assert leaving(f"{SEALED}/model.key.json") is not None
    assert not is_public(f"{SEALED}/model.key.json")
    assert leaving(f"register/{VIEWS}2") is None


@pytest.mark.parametrize(
    ("way", "path", "at", "data", "said"),
    [
        ("append", RECORDS, 0, b"other\n", "4 came from it"),
        ("append", RECORDS, 5, b"other\n", "4 came from it"),
        ("append", RECORDS, 4, b"no newline", "no whole lines"),
        ("append", RECORDS, 4, b"\n", "no whole lines"),
        ("append", RECORDS, 4, b"a\n\nb\n", "no whole lines"),
        ("append", RECORDS, 4, b"", "appends 0 bytes"),
        ("replace", RECORDS, 0, b"other\n", "that file's way is 'append'"),
        ("once", RECORDS, 0, b"other\n", "that file's way is 'append'"),
        ("once", "log/checkpoint", 0, b"x", "that file's way is 'replace'"),
        ("replace", "proofs/0-0", 0, b"x", "that file's way is 'once'"),
        ("once", "proofs/0-0", 0, b"x", "never changed"),
        ("once", "proofs/0-1", 3, b"x", "never changed"),
        ("replace", "log/checkpoint", 0, b"x" * (MAX_NOTE_BYTES + 1), "more of log/checkpoint than is taken"),
    ],
)
def test_what_is_there_stays_as_it_is(tmp_path: Path, way: str, path: str, at: int, data: bytes, said: str) -> None:
    kept = Kept(tmp_path / "run")
    put(kept, "append", RECORDS, b"one\n")
    put(kept, "once", "proofs/0-0", b"proof")
    before = files(tmp_path)
    with pytest.raises(RunError) as caught:
        put(kept, way, path, data, at)
    assert said in str(caught.value)
    assert files(tmp_path) == before


def test_a_file_that_ends_early_isnt_there(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "run")

    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise RunError("the enclave ended the connection")

    with pytest.raises(RunError, match="ended the connection"):
        kept.put("once", "proofs/0-0", 0, 8, pieces())
    with pytest.raises(RunError, match="ended the connection"):
        kept.put("append", RECORDS, 0, 8, pieces())
    assert files(tmp_path) == {}


def test_the_files_of_a_run_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty file takes none of the bytes, and a place on the disk all the same."""
    monkeypatch.setattr("zk_autograd.enclave.relay.kept.MAX_FILES", 2)
    kept = Kept(tmp_path / "run")
    for number in range(2):
        put(kept, "once", f"proofs/{number}-0", b"")
    with pytest.raises(RunError, match="more than 2 files"):
        put(kept, "once", "proofs/2-0", b"")
    assert len(files(tmp_path / "run")) == 2


def test_a_run_in_all_is_bounded(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "run", most=10)
    put(kept, "once", "proofs/0-0", b"12345")
    put(kept, "replace", "log/checkpoint", b"1234")
    with pytest.raises(RunError, match="more of log/checkpoint than is taken"):
        put(kept, "replace", "log/checkpoint", b"12")
