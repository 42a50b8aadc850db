"""Two views, read: what a comparison gives to whoever compares, and to others."""

from pathlib import Path

import pytest

from tests.verify.forks import KEY, head, log
from zk_autograd.core.errors import UnreadableError, UsageError
from zk_autograd.evidence import run as evidence_run
from zk_autograd.evidence.fork_evidence import ForkEvidence
from zk_autograd.verify import comparison
from zk_autograd.verify.comparison import check, compare
from zk_autograd.verify.consistency import Verdict, decide

KEYS = (KEY,)


def view(folder: Path, size: int, branch: int | None = None) -> str:
    """A run's log, of records that nobody parses."""
    records = [b"%d %d" % (i, branch is not None and i >= branch) for i in range(size)]
    (folder / "log").mkdir(parents=True)
    (folder / "log/records.jsonl").write_bytes(b"".join(record + b"\n" for record in records))
    (folder / "log/checkpoint").write_bytes(head(log(size, branch)).note)
    return str(folder)


@pytest.mark.parametrize("branch", [None, 1, 3])
def test_what_is_given_on_is_what_was_decided(branch: int | None, tmp_path: Path) -> None:
    found = compare(view(tmp_path / "a", 3), view(tmp_path / "b", 7, branch), KEYS)
    assert found.decision.verdict is (Verdict.FORK if branch == 1 else Verdict.CONSISTENT)
    assert found.proof is not None
    assert decide(ForkEvidence.parse(found.proof), KEYS) == found.decision
    (tmp_path / "file").write_bytes(found.proof)
    assert check(str(tmp_path / "file"), KEYS) == found


def test_nothing_is_given_on_of_what_nobody_can_tell(tmp_path: Path) -> None:
    one, other = view(tmp_path / "a", 3), view(tmp_path / "b", 3, 1)
    assert compare(one, other, KEYS).proof is not None
    assert compare(one, other, ()).proof is None
    (tmp_path / "a/log/checkpoint").unlink()
    assert compare(one, other, KEYS).proof is None


def test_two_origins_are_named_though_no_records_are_there(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(head(log(3)).note)
    other.write_bytes(head(log(7), origin="zk-autograd/other").note)
    found = compare(str(one), str(other), KEYS)
    assert found.decision.verdict is Verdict.UNTOLD
    assert "two logs" in found.decision.sentences[0]


def test_records_have_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = view(tmp_path / "a", 3), view(tmp_path / "b", 7)
    monkeypatch.setattr(comparison, "MAX_LOG", 20)
    found = compare(one, other, KEYS)
    assert found.decision.verdict is Verdict.UNTOLD
    assert "is too large" in found.decision.sentences[0]


def test_records_that_can_t_be_read_here_hide_no_fork(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> list[bytes]:
        raise UnreadableError("a failing disk")

    one, other, longer = (view(tmp_path / name, size, 1) for name, size in (("a", 3), ("b", 3), ("c", 5)))
    forked = view(tmp_path / "d", 3)
    monkeypatch.setattr(evidence_run.Evidence, "leaves", fails)
    assert compare(one, forked, KEYS).decision.verdict is Verdict.FORK
    for pair in ((one, other), (one, longer)):
        with pytest.raises(UnreadableError):
            compare(*pair, KEYS)


@pytest.mark.parametrize("size", [3, 7])
def test_checkpoints_that_agree_vouch_for_no_records_beside_them(size: int, tmp_path: Path) -> None:
    """Whoever exchanged the records of one view gets no "consistent" for them."""
    one, other = view(tmp_path / "a", 3), view(tmp_path / "b", size)
    assert compare(one, other, KEYS).decision.verdict is Verdict.CONSISTENT
    records = tmp_path / "a/log/records.jsonl"
    records.write_bytes(records.read_bytes().replace(b"1", b"2", 1))
    found = compare(one, other, KEYS)
    assert found.decision.verdict is Verdict.UNTOLD
    assert "records are not those of its checkpoint" in found.decision.sentences[0]
    assert found.proof is None


def test_a_loop_of_links_is_no_evidence(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UsageError):
        check(str(tmp_path / "loop"), KEYS)
