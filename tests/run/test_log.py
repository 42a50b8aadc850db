"""The log's two files, by themselves."""

from pathlib import Path

import pytest

from tests.run.trainer import SIGNER, TracedFiles
from zk_autograd.core.errors import RunError
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.note import open_note, parse_checkpoint
from zk_autograd.run.layout import Layout
from zk_autograd.run.log import RunLog

ORIGIN = "zk-autograd/test"


@pytest.fixture
def files(tmp_path: Path) -> TracedFiles:
    (tmp_path / "log").mkdir()
    (tmp_path / "private").mkdir()
    return TracedFiles(tmp_path)


def opened(path: Path, files: TracedFiles) -> RunLog:
    return RunLog(Layout(path), ORIGIN, [SIGNER], files)


def test_the_checkpoint_is_over_the_records_that_were_put_before_it(tmp_path: Path, files: TracedFiles) -> None:
    log = opened(tmp_path, files)
    assert (log.size, log.head) == (0, None)
    for leaf in (b"one", b"two"):
        log.put(leaf)
    log.sign()
    log.put(b"three")
    head = parse_checkpoint(open_note((tmp_path / "log" / "checkpoint").read_bytes(), [SIGNER.public_key]).text)
    assert (head.origin, head.size, head.root) == (ORIGIN, 2, root([leaf_hash(b"one"), leaf_hash(b"two")]))
    assert (log.size, log.head) == (3, head)
    assert (tmp_path / "log" / "records.jsonl").read_bytes() == b"one\ntwo\nthree\n"


def test_a_checkpoint_is_written_once(tmp_path: Path, files: TracedFiles) -> None:
    log = opened(tmp_path, files)
    log.put(b"one")
    for _ in range(2):
        log.sign()
    opened(tmp_path, files).sign()
    assert [name for name in files.done if "checkpoint" in name] == ["write log/checkpoint #0"]


def test_found_records_are_confirmed_one_by_one_and_then_others_follow(tmp_path: Path, files: TracedFiles) -> None:
    log = opened(tmp_path, files)
    log.put(b"one")
    log.sign()
    log.put(b"two")
    log.put(b"three")
    files.append(tmp_path / "log" / "records.jsonl", b"fo")

    log = opened(tmp_path, files)
    assert [log.take_leaves(), log.take_leaves()] == [[b"one", b"two", b"three"], []]
    assert (log.size, log.confirms()) == (1, True)
    log.put(b"two")
    with pytest.raises(RunError, match=r"record 2 of .*records.jsonl is not what the journal says"):
        log.put(b"four")
    log.put(b"three")
    assert not log.confirms()
    log.put(b"four")
    log.sign()
    assert (tmp_path / "log" / "records.jsonl").read_bytes() == b"one\ntwo\nthree\nfour\n"
    assert opened(tmp_path, files).size == 4


@pytest.mark.parametrize("copied", ["log", "none", "branch"])
def test_what_was_signed_once_is_never_signed_differently(tmp_path: Path, files: TracedFiles, copied: str) -> None:
    """The public files are restored from an older copy, or are gone: continuing would be a fork."""
    log = opened(tmp_path, files)
    records, checkpoint = tmp_path / "log" / "records.jsonl", tmp_path / "log" / "checkpoint"
    log.put(b"one")
    log.sign()
    old = records.read_bytes(), checkpoint.read_bytes()
    log.put(b"two")
    head = log.sign()
    new = records.read_bytes(), checkpoint.read_bytes()
    records.write_bytes({"none": b"", "branch": b"one\nother\n"}.get(copied, old[0]))
    if copied == "none":
        checkpoint.unlink()
    else:
        checkpoint.write_bytes(old[1])
    with pytest.raises(RunError, match=r"does not hold the 2 records that were signed last, by .*private/head"):
        opened(tmp_path, files)
    records.write_bytes(new[0])
    checkpoint.write_bytes(old[1])  # as a crash between the two checkpoints leaves it
    log = opened(tmp_path, files)
    log.put(b"two")
    assert log.sign() == head


def test_a_log_of_an_earlier_version_has_no_head_beside_it(tmp_path: Path, files: TracedFiles) -> None:
    log = opened(tmp_path, files)
    log.put(b"one")
    log.sign()
    (tmp_path / "private" / "head").unlink()
    log = opened(tmp_path, files)
    assert log.size == 1
    log.put(b"two")
    log.sign()
    assert (tmp_path / "private" / "head").read_bytes() == (tmp_path / "log" / "checkpoint").read_bytes()
    assert (tmp_path / "private" / "head").stat().st_mode & 0o777 == 0o600


def test_a_signer_that_signs_wrongly_is_told(tmp_path: Path, files: TracedFiles) -> None:
    class Liar:
        public_key = SIGNER.public_key

        def sign(self, text: str) -> bytes:
            return bytes(64)

    log = RunLog(Layout(tmp_path), ORIGIN, [Liar()], files)
    log.put(b"one")
    with pytest.raises(RunError, match="checkpoint can't be signed: wrong signature"):
        log.sign()
    assert not (tmp_path / "log" / "checkpoint").exists()
