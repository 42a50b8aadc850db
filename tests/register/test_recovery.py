"""A register that was lost or restored from an old copy: brought back whole, or not at all."""

import resource
import shutil
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from tests.register.registers import KEYS, ORIGIN, OTHERS, SIGNERS, entries, entry, filled, run_id
from zk_autograd.anchor.file.publish import FileAnchor
from zk_autograd.core.anchors import Kept
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.errors import RunError, StorageError, UsageError
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.register import sign_head
from zk_autograd.register.database import DATABASE, set_aside
from zk_autograd.register.recovery import (
    ForkedRegister,
    Found,
    Source,
    combine,
    require_newest,
    restore,
    salvage,
)
from zk_autograd.register.register import Register


def note(size: int, branch: int | None = None, *, origin: str = ORIGIN, signers: Sequence[object] = SIGNERS) -> bytes:
    head = Checkpoint(origin, size, root([leaf_hash(one.encode()) for one in entries(size, branch)]))
    return sign_head(head, signers)  # type: ignore[arg-type]


def held(*sizes: int, branch: int | None = None, name: str = "it") -> Source:
    """What a file anchor holds after checkpoints of these sizes."""
    leaves = [one.encode() for one in entries(max(sizes), branch)]
    return Source(name).add_kept(
        Kept(note(size, branch), first, tuple(leaves[first:size]))
        for first, size in zip((0, *sizes), sizes, strict=False)
    )


def bare(*notes: bytes, name: str = "notes") -> Source:
    return Source(name, list(notes))


def recovered(folder: Path, *sources: Source) -> Register:
    restore(folder, combine(sources, KEYS), KEYS)
    return Register(folder, SIGNERS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "register"


# ---- brought back ------------------------------------------------------------------------------


def test_from_a_file_anchor(folder: Path, tmp_path: Path) -> None:
    """Everything as before, and it goes on."""
    anchor = FileAnchor(tmp_path / "anchors.jsonl")
    with filled(folder, 20) as register:
        anchor.publish(register.checkpoint, register)
        for one in entries(23)[20:]:
            register.enter(one)
            anchor.publish(register.checkpoint, register)
        before = register.checkpoint
    shutil.rmtree(folder)
    with recovered(folder, Source("file").add_kept(anchor.read(ORIGIN))) as register:
        assert register.checkpoint == before
        assert register.entries(0, 23) == [one.encode() for one in entries(23)]
        view = register.enter(entries(24)[23], 20)
        assert view.verify(ORIGIN, Checkpoint(ORIGIN, 20, register.root_at(20)), KEYS).size == 24
        with pytest.raises(RunError, match="was begun before"):
            register.enter(entry(5, 1, branch=1))


def test_from_an_empty_register_s_anchor(folder: Path) -> None:
    with recovered(folder, bare(note(0))) as register:
        assert register.checkpoint.head.size == 0
        register.enter(entry(0, 1))


def test_the_largest_of_several_sources_counts(folder: Path) -> None:
    with recovered(folder, held(3, 7), held(2, 9, 12), held(12)) as register:
        assert register.checkpoint.head.size == 12


def test_sources_complete_each_other(folder: Path) -> None:
    """One anchor began late, another stopped early, and a run's views have the rest."""
    early, late = held(4), held(4, 9)
    late.leaves = {position: leaf for position, leaf in late.leaves.items() if position >= 4}
    with filled(folder, 11) as register:
        views = [register.view(run_id(number)) for number in range(3)]
    shutil.rmtree(folder)
    run = Source("run").add_views(views)
    assert {view.index for view in views} == {8, 9, 10}
    with recovered(folder, early, late, run) as register:
        assert register.checkpoint.head.size == 11
        assert register.entries(0, 11) == [one.encode() for one in entries(11)]


def test_an_older_copy_is_brought_up_to_date_in_place(folder: Path) -> None:
    filled(folder, 5).close()
    inode = (folder / DATABASE).stat().st_ino
    with Register(folder, SIGNERS) as at_work:  # in another process
        recovered(folder, held(5, 9)).close()
        at_work.enter(entries(10)[9])
        assert at_work.checkpoint.head.size == 10
    assert (folder / DATABASE).stat().st_ino == inode


def test_a_damaged_file_is_kept_beside_the_new_one(folder: Path) -> None:
    filled(folder, 9).close()
    data = bytearray((folder / DATABASE).read_bytes())
    data[:100] = bytes(100)
    (folder / DATABASE).write_bytes(data)
    assert salvage(folder, KEYS) is None
    with recovered(folder, held(9)) as register:
        assert register.checkpoint.head.size == 9
    assert (folder / f"{DATABASE}.damaged-1").read_bytes() == bytes(data)


def test_a_damaged_file_keeps_its_name_until_the_new_one_is_whole(folder: Path) -> None:
    """On a full disk there would be no register any more, and nothing against beginning another."""
    filled(folder, 9).close()
    (folder / DATABASE).write_bytes(bytes(100))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
    try:
        with pytest.raises(StorageError, match="no register can be made"):
            restore(folder, combine([held(9)], KEYS), KEYS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in folder.iterdir()] == [DATABASE]
    recovered(folder, held(9)).close()


def test_a_damaged_file_takes_its_journal_along(folder: Path) -> None:
    """Beside the new file it would be rolled back into that."""
    folder.mkdir()
    for name in ("", ".damaged-1", "-journal"):
        (folder / f"{DATABASE}{name}").write_bytes(name.encode())
    assert set_aside(folder) == folder / f"{DATABASE}.damaged-2"
    found = {path.name.removeprefix(DATABASE): path.read_bytes() for path in folder.iterdir()}
    assert found == {".damaged-1": b".damaged-1", ".damaged-2": b"", ".damaged-2-journal": b"-journal"}
    assert set_aside(folder) is None


def test_whoever_had_the_damaged_file_open_signs_nothing_more(folder: Path) -> None:
    at_work = filled(folder, 9)
    with sqlite3.connect(folder / DATABASE) as connection:
        connection.execute("delete from nodes where level = 3")
    connection.close()
    recovered(folder, held(9)).close()
    with at_work, pytest.raises(RunError, match="moved or replaced while it was open"):
        at_work.enter(entries(10)[9])


def test_an_altered_leaf_in_one_source_doesn_t_matter_if_another_has_it(folder: Path) -> None:
    altered = held(9, name="altered")
    altered.leaves[4] = entry(77, 1).encode()
    for sources in ((altered, held(9)), (held(9), altered)):
        with recovered(folder, *sources) as register:
            assert register.entries(0, 9) == [one.encode() for one in entries(9)]
        shutil.rmtree(folder)


# ---- refused -----------------------------------------------------------------------------------


def refused(kind: type[Exception], why: str, *sources: Source) -> None:
    with pytest.raises(kind, match=why):
        combine(sources, KEYS)


def test_missing_entries_are_named() -> None:
    source = held(5, 20)
    for position in (3, 8, 9, 10, 19):
        del source.leaves[position]
    refused(RunError, r"covers 20 entries, and no source holds the entries 3, 8-10, 19: without them", source)
    refused(RunError, r"covers 21 entries, and no source holds the entries 20: ", held(20), bare(note(21)))
    refused(RunError, r"holds the entries 0-8: ", bare(note(9)))


def test_a_leaf_that_is_not_the_tree_s() -> None:
    source = held(5, 20)
    source.leaves[7] = entry(77, 1).encode()
    refused(ForkedRegister, "the entries that were found are not those of the newest checkpoint", source)


def test_entries_that_no_note_covers() -> None:
    """A damaged register whose newest note can't be read: it signed more than anybody shows."""
    damaged = held(12)
    damaged.notes.clear()
    refused(
        RunError,
        "has an entry 11, and the newest signed checkpoint that was found covers 9: a newer one was signed",
        held(9),
        damaged,
    )


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"no note",
        note(3, signers=OTHERS),
        note(3, origin="zk-autograd/register/" + "0" * 64),
        note(3)[:-20] + b"A" * 19 + b"\n",
        b"\xff",
    ],
    ids=["empty", "none", "other keys", "other origin", "altered signature", "no text"],
)
def test_a_note_that_is_not_ours(bad: bytes) -> None:
    refused(
        RunError,
        "bad holds a note that is none of your register|bad holds a checkpoint of another register",
        held(9),
        bare(bad, name="bad"),
    )


def test_nothing_found() -> None:
    refused(UsageError, "nothing of the register", Source("a"), Source("b"))


def test_two_leaves_at_one_position() -> None:
    with pytest.raises(RunError, match="it holds two entries 0"):
        Source("it").add_kept([Kept(b"", 0, (b"a",)), Kept(b"", 0, (b"b",))])


@pytest.mark.parametrize(
    "sources",
    [
        (held(9), held(9, branch=4)),
        (held(9), held(12, branch=4)),
        (held(4, 9), bare(note(6, 2))),
        (held(9), bare(note(0), note(3, 0))),
        (bare(note(9)), bare(note(9, 4))),
    ],
    ids=["one size", "longer", "shorter", "early", "without entries"],
)
def test_two_branches(sources: Iterable[Source]) -> None:
    for given in (list(sources), list(sources)[::-1]):
        with pytest.raises(ForkedRegister, match="your key signed two registers"):
            combine(given, KEYS)


def test_a_newer_one_is_not_taken_back(folder: Path) -> None:
    with filled(folder, 9):
        found = combine([held(5)], KEYS)
        with pytest.raises(UsageError, match="there is nothing to bring back"):
            restore(folder, found, KEYS)
        here = salvage(folder, KEYS)
        assert here is not None
        assert "had 9 entries" in restore(folder, combine([held(5), here], KEYS), KEYS)
        other = combine([held(12, branch=3)], KEYS)
        with pytest.raises(RunError, match="or another branch"):
            restore(folder, other, KEYS)
    with Register(folder, SIGNERS) as register:
        assert register.checkpoint.head.size == 9


def test_entries_that_don_t_lead_to_their_checkpoint_change_nothing(folder: Path) -> None:
    filled(folder, 5).close()
    true = combine([held(9)], KEYS)
    false = Found(true.newest, (*true.leaves[:8], entry(77, 1).encode()))
    with pytest.raises(RunError, match="not those of their checkpoint"):
        restore(folder, false, KEYS)
    with Register(folder, SIGNERS) as register:
        assert register.checkpoint.head.size == 5


# ---- held against its anchor -------------------------------------------------------------------


def test_a_register_continues_its_anchor(folder: Path) -> None:
    with filled(folder, 9) as register:
        for kept in ([], [Kept(note(0))], [Kept(note(4)), Kept(note(9)), Kept(note(2))]):
            require_newest(register, kept, KEYS, "file:x")
        with pytest.raises(
            RunError,
            match=r"has 9 entries, and file:x holds a checkpoint of 10: it was brought back from an older copy",
        ):
            require_newest(register, [Kept(note(3)), Kept(note(10))], KEYS, "file:x")
        branch = note(6, 3)
        with pytest.raises(ForkedRegister) as caught:
            require_newest(register, [Kept(branch)], KEYS, "file:x")
        assert caught.value.notes == (register.checkpoint.note, branch)
        with pytest.raises(RunError, match="none of your register"):
            require_newest(register, [Kept(note(3, signers=OTHERS))], KEYS, "file:x")
