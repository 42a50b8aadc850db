"""What a monitor sees, look by look, of a log that grows, forks, falls back or hides records."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.verify.forks import KEY, OTHER, SIGNER, signed
from zk_autograd.core.errors import StorageError, UnreadableError, UsageError
from zk_autograd.core.keys import Ed25519Signer, PublicKey, Signer
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.evidence.fork_evidence import ForkEvidence, SignedHead
from zk_autograd.monitoring import state as state_module
from zk_autograd.monitoring.state import State
from zk_autograd.monitoring.watching import Event, Kind, Watcher, watch
from zk_autograd.verify.consistency import Verdict, decide

KEYS = (KEY,)
BOTH = (KEY, OTHER.public_key)


def records(size: int, branch: int | None = None) -> list[bytes]:
    """The records of a log, other ones from `branch` on."""
    return [b"%d %d" % (i, branch is not None and i >= branch) for i in range(size)]


class Run:
    """A run's log as it is served."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "log").mkdir(parents=True)

    def show(
        self,
        leaves: Sequence[bytes],
        size: int | None = None,
        *,
        signers: Sequence[Signer] = (SIGNER,),
        records: Sequence[bytes] | None = None,
        more: bytes = b"",
        **options: str,
    ) -> SignedHead:
        """A checkpoint over the first `size` leaves, and these or other records."""
        hashes = [leaf_hash(leaf) for leaf in leaves[:size]]
        made = signed(len(hashes), root(hashes), signers=signers, **options)
        served = leaves if records is None else records
        (self.folder / "log/records.jsonl").write_bytes(b"".join(leaf + b"\n" for leaf in served))
        (self.folder / "log/checkpoint").write_bytes(made.note + more)
        return made

    def open(self) -> RunFolder:
        return RunFolder(self.folder)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path / "run")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


def look(run: Run, folder: Path, keys: Sequence[PublicKey] = KEYS) -> Event:
    """One monitor's only look."""
    with State(folder) as state:
        (event,) = watch(Watcher(state, keys), run.open, None)
    return event


def kept(folder: Path, name: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((folder / name).iterdir())]


def proved(event: Event, *sizes: int) -> None:
    """Asserts that the event's evidence proves a fork to anybody, of checkpoints of these sizes."""
    assert event.kind is Kind.FORK
    assert event.evidence is not None
    evidence = ForkEvidence.parse(event.evidence.read_bytes())
    assert decide(evidence, KEYS).verdict is Verdict.FORK
    assert (evidence.smaller.checkpoint.size, evidence.larger.checkpoint.size) == sizes


# ---- a log that grows --------------------------------------------------------------------------


def test_each_new_root_is_told_and_kept_whole(run: Run, folder: Path) -> None:
    notes = []
    for size, kind in ((2, Kind.FIRST), (2, Kind.SAME), (3, Kind.NEW), (7, Kind.NEW), (7, Kind.SAME), (8, Kind.NEW)):
        made = run.show(records(9), size)
        event = look(run, folder)
        assert (event.kind, int(event.kind.exit_status)) == (kind, 0)
        assert event.head == made
        notes += [made.note] if kind is not Kind.SAME else []
    assert kept(folder, "heads") == notes


@pytest.mark.parametrize("size", [0, 1])
def test_a_log_may_begin_with_nothing(run: Run, folder: Path, size: int) -> None:
    run.show(records(5), size)
    assert look(run, folder).kind is Kind.FIRST
    run.show(records(5))
    assert look(run, folder).kind is Kind.NEW


# ---- forks -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "branch"), [(5, 2), (5, 4), (8, 0), (8, 4), (3, 1), (1, 0)])
def test_another_past_is_a_fork_and_stays_one(run: Run, folder: Path, size: int, branch: int) -> None:
    run.show(records(5))
    assert look(run, folder).kind is Kind.FIRST
    run.show(records(size, branch))
    event = look(run, folder)
    proved(event, *sorted((5, size)))
    assert event.kind.exit_status == 1
    run.show(records(9))
    assert look(run, folder).kind is Kind.FORK
    assert len(list(folder.glob("fork-*"))) == 1


@pytest.mark.parametrize("size", [5, 3])
def test_a_fork_shows_though_its_records_are_withheld(run: Run, folder: Path, size: int) -> None:
    run.show(records(5))
    look(run, folder)
    run.show(records(size, 1), records=[])
    proved(look(run, folder), size, 5)


def test_a_longer_branch_without_records_is_kept_until_the_other_reaches_it(run: Run, folder: Path) -> None:
    run.show(records(5))
    look(run, folder)
    hidden = run.show(records(7, 6), records=records(7))
    event = look(run, folder)
    assert (event.kind, event.sentences) == (Kind.UNTOLD, ("its records are not those of its checkpoint",))
    assert kept(folder, "pending") == [hidden.note]
    run.show(records(6))
    assert look(run, folder).kind is Kind.NEW
    run.show(records(8))
    proved(look(run, folder), 7, 8)


def test_two_checkpoints_of_one_size_whose_records_nobody_shows_are_a_fork(run: Run, folder: Path) -> None:
    run.show(records(2))
    look(run, folder)
    run.show(records(7), records=[])
    assert look(run, folder).kind is Kind.UNTOLD
    run.show(records(7, 6), records=[])
    proved(look(run, folder), 7, 7)


def test_one_key_under_both_is_enough(run: Run, folder: Path) -> None:
    run.show(records(5), signers=(SIGNER, OTHER))
    assert look(run, folder, BOTH).kind is Kind.FIRST
    run.show(records(6), signers=(SIGNER,))
    event = look(run, folder, BOTH)
    assert event.kind is Kind.UNTOLD
    assert "is not signed by the key enclave" in event.sentences[0]
    run.show(records(6, 3), signers=(SIGNER,))
    proved(look(run, folder, BOTH), 6, 6)


def test_whoever_serves_a_checkpoint_in_parts_hides_no_key_s_fork(run: Run, folder: Path) -> None:
    """The first view of a checkpoint has one key's line alone, the second the other's."""
    run.show(records(5), signers=(SIGNER, OTHER))
    assert look(run, folder, BOTH).kind is Kind.FIRST
    for signer in (SIGNER, OTHER, SIGNER):
        run.show(records(7), signers=(signer,), records=[])
        assert look(run, folder, BOTH).kind is Kind.UNTOLD
    assert len(kept(folder, "pending")) == 2
    run.show(records(7, 6), signers=(OTHER,), records=[])
    event = look(run, folder, BOTH)
    assert event.kind is Kind.FORK
    assert event.sentences[-1] == f"both are signed by the pinned key {OTHER.public_key.label}"


def test_a_crash_before_the_evidence_is_written_loses_nothing(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.show(records(5))
    look(run, folder)
    run.show(records(5, 2))

    def crash(*_: object) -> Path:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(State, "convict", crash)
        look(run, folder)
    run.show(records(5))
    proved(look(run, folder), 5, 5)


# ---- no forks ----------------------------------------------------------------------------------


def test_an_older_checkpoint_is_no_fork(run: Run, folder: Path) -> None:
    """The trainer signed it, and whoever serves it again may be somebody else."""
    run.show(records(9))
    look(run, folder)
    for size in (4, 8, 1):
        made = run.show(records(9), size)
        event = look(run, folder)
        assert (event.kind, int(event.kind.exit_status)) == (Kind.OLDER, 3)
        assert "withholds newer records, or lost them" in event.sentences[0]
        assert made.note in kept(folder, "heads")
    assert not list(folder.glob("fork-*"))
    run.show(records(9))
    assert look(run, folder).kind is Kind.SAME


def test_false_records_are_no_fork(run: Run, folder: Path) -> None:
    run.show(records(5))
    look(run, folder)
    for served in (records(8, 2), records(7), [], [b"x"] * 9):
        run.show(records(8), records=served)
        assert look(run, folder).kind is Kind.UNTOLD
    run.show(records(8))
    assert look(run, folder).kind is Kind.NEW


def test_what_no_pinned_key_signed_is_kept_and_no_fork(run: Run, folder: Path) -> None:
    run.show(records(5))
    look(run, folder)
    forged = run.show(records(5, 1), signers=(Ed25519Signer("trainer", bytes(32)),))
    event = look(run, folder)
    assert (event.kind, int(event.kind.exit_status)) == (Kind.UNTOLD, 3)
    (run.folder / "log/checkpoint").write_bytes(b"no note")
    assert look(run, folder).kind is Kind.UNTOLD
    assert sorted(kept(folder, "unusable")) == sorted([forged.note, b"no note"])
    (run.folder / "log/checkpoint").unlink()
    assert look(run, folder).kind is Kind.UNTOLD


def test_another_log_under_the_same_key_is_no_fork(run: Run, folder: Path) -> None:
    run.show(records(5))
    look(run, folder)
    for size in (3, 5, 8):
        run.show(records(size, 0), origin="zk-autograd/other")
        event = look(run, folder)
        assert event.kind is Kind.UNTOLD
        assert "two logs" in event.sentences[0]


def test_other_signatures_beside_are_nothing_new(run: Run, folder: Path) -> None:
    run.show(records(5))
    look(run, folder)
    run.show(records(5), signers=(OTHER, SIGNER))
    assert look(run, folder).kind is Kind.SAME


# ---- the state folder --------------------------------------------------------------------------


def test_what_can_t_be_used_has_a_bound(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "MAX_UNUSABLE", 2)
    monkeypatch.setattr(state_module, "MAX_PENDING", 1)
    run.show([])
    for i in range(4):
        (run.folder / "log/checkpoint").write_bytes(b"%d" % i)
        told = look(run, folder).sentences
        assert ("it is not kept" in told[-1]) == (i >= 2)
    assert len(kept(folder, "unusable")) == 2
    for i in range(3):
        run.show(records(i + 2), records=[])
        assert ("it is not kept" in look(run, folder).sentences[-1]) == (i >= 1)
    assert len(kept(folder, "pending")) == 1
    monkeypatch.setattr(state_module, "MAX_HEADS", 1)
    run.show(records(3))
    assert look(run, folder).kind is Kind.FIRST
    run.show(records(4))
    with pytest.raises(StorageError, match="takes no more"):
        look(run, folder)


def test_one_monitor_at_a_time(run: Run, folder: Path) -> None:
    run.show(records(5))
    with State(folder), pytest.raises(UsageError, match="another monitor"):
        look(run, folder)
    assert look(run, folder).kind is Kind.FIRST


def test_a_state_of_other_keys_is_refused(run: Run, folder: Path) -> None:
    run.show(records(5))
    look(run, folder)
    with pytest.raises(UsageError, match="not signed by all of these keys"):
        look(run, folder, (OTHER.public_key,))
    with pytest.raises(UsageError, match="needs the trainer's key"):
        look(run, folder, ())


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])


def link(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")


@pytest.mark.parametrize("change", [cut, flip, link, Path.unlink])
@pytest.mark.parametrize("name", ["leaves", "heads/0000000000000000005"])
def test_a_state_that_was_altered_is_refused(run: Run, folder: Path, name: str, change: Callable[[Path], None]) -> None:
    run.show(records(5))
    look(run, folder)
    change(folder / name)
    if name != "leaves" and change is Path.unlink:
        assert look(run, folder).kind is Kind.FIRST  # as if it had never been seen: nobody can tell
        return
    with pytest.raises(UsageError, match=r"altered|not signed by all"):
        look(run, folder)


def test_what_isn_t_a_folder_of_one_s_own_is_refused(run: Run, folder: Path, tmp_path: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(UsageError, match="of your own with --state"):
        look(run, folder)
    with pytest.raises(UsageError):
        State(Path("/dev/null"))
    file = tmp_path / "file"
    file.write_bytes(b"")
    with pytest.raises(UsageError):
        State(file)


class Lost(Exception):
    """The machine stopped."""


@pytest.mark.parametrize("written", [True, False], ids=["persisted", "lost"])
@pytest.mark.parametrize("branch", [None, 1], ids=["grows", "forks"])
def test_each_write_may_be_the_last(
    run: Run, folder: Path, branch: int | None, written: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine stops at each fsync, before or after it; a monitor that begins again comes to
    what it would have come to."""
    run.show(records(5))
    look(run, folder)
    run.show(records(8, branch))
    left = list(stops(folder, run, written, monkeypatch))
    assert len(left) == 4
    for stopped in left:
        event = look(run, stopped)
        if branch is None:
            assert event.kind in (Kind.NEW, Kind.SAME)
            assert len(kept(stopped, "heads")) == 2
        else:
            proved(event, 5, 8)


def stops(folder: Path, run: Run, written: bool, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Copies of the state, each as a look leaves it that stops at another fsync."""
    real, left = os.fsync, [0]

    def fsync(fd: int) -> None:
        left[0] -= 1
        if left[0] >= 0 or written:
            real(fd)
        if left[0] < 0:
            raise Lost

    for number in range(100):
        copy, left[0] = folder.with_name(f"stopped-{number}"), number
        shutil.copytree(folder, copy)
        try:
            with monkeypatch.context() as patch:
                patch.setattr(os, "fsync", fsync)
                look(run, copy)
            return
        except Lost:
            yield copy


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_fails_is_neither_a_fork_nor_none(
    run: Run, folder: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.show(records(5))

    def full(fd: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch, pytest.raises(StorageError):
        patch.setattr(os, "fsync", full)
        look(run, folder)
    assert look(run, folder).kind is Kind.FIRST


# ---- again and again ---------------------------------------------------------------------------


def test_a_monitor_goes_on_until_a_fork_and_repeats_nothing(run: Run, folder: Path) -> None:
    def unreachable() -> None:
        raise UnreadableError("no answer")

    shows: list[Callable[[], object]] = [
        lambda: run.show(records(2)),
        lambda: run.show(records(2)),
        lambda: run.show(records(2)),
        unreachable,
        unreachable,
        lambda: run.show(records(6)),
        lambda: run.show(records(6, 3)),
    ]

    def opened() -> RunFolder:
        shows.pop(0)()
        return run.open()

    slept: list[float] = []
    with State(folder) as state:
        kinds = [event.kind for event in watch(Watcher(state, KEYS), opened, 30, slept.append)]
    assert kinds == [Kind.FIRST, Kind.SAME, Kind.UNREACHED, Kind.NEW, Kind.FORK]
    assert slept == [30] * 6


def test_a_run_that_can_t_be_reached_at_first_is_an_error(folder: Path) -> None:
    def unreachable() -> RunFolder:
        raise UnreadableError("no answer")

    with State(folder) as state:
        for every in (None, 30):
            with pytest.raises(UnreadableError):
                next(watch(Watcher(state, KEYS), unreachable, every))
