"""What a service holds that the auditor asked: all of it is put together and held against the run.
Nothing that the service says is believed, and nothing is said that it doesn't show."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.verify.agreement import agree
from tests.verify.register_builder import OTHER, PLACES, History, Tree, enter, entered, registered, write
from tests.verify.run_builder import LOG_POLICY, QUANTUM, SECOND, SIGNER, Run, honest, refused, stand_ins
from zk_autograd.anchor.file.publish import FileAnchor
from zk_autograd.anchor.kinds import verifiers
from zk_autograd.core.anchors import AnchorClaim, Kept, Receipt, SignedCheckpoint, Standing
from zk_autograd.core.fields import Fields
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.note import checkpoint_text, sign
from zk_autograd.core.register import Entry, Kind, origin_of, register_signers, sign_head
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.verify.anchor_demands import AnchoredBy
from zk_autograd.verify.anchoring import Asked
from zk_autograd.verify.outcome import Source, Status, Step
from zk_autograd.verify.policy import Policy, TreeHead
from zk_autograd.verify.report import Report
from zk_autograd.verify.verifier import Verifier

NOON = 1_796_040_000
BOTH = (SIGNER.public_key, QUANTUM.public_key)


@dataclass(frozen=True)
class Shelf:
    """A kind whose receipts are the trainer's word until the shelf is asked: {"shelf", "place"}."""

    KIND = "shelf"

    def read_trust(self, fields: Fields, read: Callable[[str], bytes]) -> None:
        return None

    def verify(self, receipt: Receipt, checkpoint: SignedCheckpoint, trust: Any) -> AnchorClaim:
        receipt.require_head(checkpoint.head)
        return AnchorClaim("shelf", Standing.WORD, "on a shelf that the trainer names")

    def confirms(self, kept: Kept, receipt: Receipt) -> bool:
        head = SignedCheckpoint.parse(kept.note).head
        return (head.size, head.root) == (receipt.size, receipt.root) and dict(kept.place) == dict(receipt.body)

    def lies_at(self, rest: str, receipt: Receipt) -> bool:
        return receipt.body["shelf"] == rest.partition("@")[0]


def kept(tree: Tree, size: int, first: int = 0, **changes: Any) -> Kept:
    note = sign_head(tree.head(size), tree.signers)
    leaves = tuple(entry.encode() for entry in tree.entries[first:size])
    return replace(Kept(note, first, leaves, {"shelf": "top", "place": size}), **changes)


def holding(tree: Tree, *sizes: int) -> list[Kept]:
    return [kept(tree, size, first) for first, size in zip((0, *sizes), sizes, strict=False)]


def receipt(tree: Tree, size: int, shelf: str = "top", place: int | None = None) -> Receipt:
    return tree.receipt(size, "shelf", shelf=shelf, place=size if place is None else place)


def judged(folder: Path, held: Sequence[Kept], policy: Policy = LOG_POLICY) -> Report:
    asked = Asked("shelf", "shelf:top@there", NOON, tuple(held))
    with RunFolder(folder) as files:
        report = Verifier(replace(policy, online=(asked,)), stand_ins(), {**verifiers(), "shelf": Shelf()}).verify(
            files
        )
    agree(report)
    return report


def said(report: Report) -> str:
    return " | ".join(report.findings[Step.ANCHORS].sentences)


def anchored(report: Report) -> list[str]:
    return [claim.what for claim in report.claims if claim.source is Source.ANCHORED]


WHOLE = "that shelf:top@there, asked on 2026-11-30T12:00:00Z, held no other branch of the register and no other view of this log"


@pytest.fixture
def made(tmp_path: Path) -> tuple[Run, Tree, Path]:
    run, tree = registered(backend="none")
    folder = run.write(tmp_path / "run")
    write(folder, tree.views(*PLACES), [receipt(tree, 2), receipt(tree, 6)])
    return run, tree, folder


def test_a_whole_register_is_told_with_its_runs_and_its_receipts_count(made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    report = judged(folder, holding(tree, 2, 4, 6, 7))
    assert report.findings[Step.ANCHORS].status is Status.PASSED, said(report)
    assert WHOLE in anchored(report)
    assert "that all 6 records existed by 2026-11-30T12:00:00Z (shelf)" in anchored(report)
    assert "3 runs begun under this key, 2 of them never closed" in said(report)
    assert [one["standing"] for one in report.to_json()["anchors"]] == ["shown", "shown"]
    (online,) = report.to_json()["online"]
    assert (online["checkpoints"], online["entries"], online["whole"], online["runs_begun"]) == (4, 7, True, 3)
    assert any("asked once" in limit for limit in report.limits)


def test_in_any_order_and_with_entries_kept_twice_it_is_the_same(made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    held = [kept(tree, 7, 3), kept(tree, 2), kept(tree, 6, 1), kept(tree, 4, 0), kept(tree, 4, 2)]
    assert WHOLE in anchored(judged(folder, held))


def test_a_confirmed_receipt_meets_a_demand_that_the_trainers_word_does_not(made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    policy = replace(LOG_POLICY, demands=(AnchoredBy(("shelf",)),))
    assert judged(folder, holding(tree, 2, 4, 6), policy).exit_status == 0
    assert judged(folder, [], replace(policy, keys=())).exit_status == 3
    with RunFolder(folder) as files:
        assert Verifier(policy, stand_ins(), {"shelf": Shelf()}).verify(files).exit_status == 3


def test_a_receipt_that_the_service_does_not_hold_shows_nothing_and_is_not_called_false(
    made: tuple[Run, Tree, Path],
) -> None:
    """The trainer wrote the line by hand, and nothing lies there; or the service keeps it back, or
    was asked before it was there: who asks once can't know which."""
    _, tree, folder = made
    write(folder, tree.views(*PLACES), [receipt(tree, 2), receipt(tree, 6, place=9)])
    words = "shelf:top@there, asked on 2026-11-30T12:00:00Z, does not hold what 1 receipt of shelf says"
    for held in (holding(tree, 2, 4, 6), holding(tree, 2, 4)):
        report = judged(folder, held)
        assert (report.exit_status, report.failure) == (3, None)
        assert report.findings[Step.ANCHORS].status is Status.NOT_SHOWN
        assert any(f"{words}: {tree.head(6).root.hex()}@6" in why for why in report.missing), report.missing
        assert words in said(report)
        assert [one["standing"] for one in report.to_json()["anchors"]] == ["shown", "the trainer's word"]
    report = judged(folder, [])
    assert (report.exit_status, report.failure) == (3, None)
    assert "does not hold what 2 receipts of shelf say" in said(report)


def test_a_service_that_was_asked_before_the_run_went_on_accuses_nobody(made: tuple[Run, Tree, Path]) -> None:
    """Services are asked first, so that a run that goes on meanwhile has all that they hold."""
    _, tree, folder = made
    report = judged(folder, holding(tree, 2))
    assert (report.exit_status, report.failure) == (3, None)
    assert "ask again" in report.fix


def test_a_receipt_of_another_place_than_was_asked_stays_the_trainers_word(made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    write(folder, tree.views(*PLACES), [receipt(tree, 6, shelf="bottom")])
    report = judged(folder, holding(tree, 2, 4, 6))
    assert (report.exit_status, report.failure, report.missing) == (0, None, ())
    assert "does not hold" not in said(report)
    assert [one["standing"] for one in report.to_json()["anchors"]] == ["the trainer's word"]
    assert anchored(report) == []


def test_what_was_deleted_or_written_over_is_told_and_counts_for_nothing(made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    held = [kept(tree, 2), kept(tree, 6, 2, finding="its lock has ended")]
    report = judged(folder, held)
    assert report.findings[Step.ANCHORS].status is Status.NOT_SHOWN
    assert [one["standing"] for one in report.to_json()["anchors"]] == ["shown", "the trainer's word"]
    assert "its lock has ended" in said(report)
    assert WHOLE not in anchored(report)


def _branch(tree: Tree) -> Tree:
    return Tree([*tree.entries[:4], replace(tree.entries[4], root=bytes(32)), *tree.entries[5:]])


BRANCHES: dict[str, Callable[[Tree], list[Kept]]] = {
    "of one size, both there": lambda tree: [*holding(tree, 2, 4, 6), kept(_branch(tree), 6)],
    "of one size, the other is ours": lambda tree: holding(_branch(tree), 2, 4, 6),
    "smaller than the one that is there": lambda tree: [*holding(tree, 2, 4, 7), kept(_branch(tree), 5)],
    "larger, of another past": lambda tree: [kept(_branch(tree), 7)],
    "of one size, without its entries": lambda tree: [kept(_branch(tree), 6, entries=())],
    "without its entries": lambda tree: [*holding(tree, 2, 4, 6), kept(_branch(tree), 5, entries=())],
}


@pytest.mark.parametrize("name", BRANCHES)
def test_another_branch_is_found_wherever_it_lies(name: str, made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    write(folder, tree.views(*PLACES), [tree.receipt(6)])
    report = judged(folder, BRANCHES[name](tree))
    refused(report, 4, "the trainer's register has two branches: two roots for its first")
    assert report.failure is not None
    assert report.failure.expected != report.failure.found


def test_a_larger_branch_whose_entries_are_missing_is_not_called_one_register(made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    report = judged(folder, [*holding(tree, 2, 4, 6), kept(_branch(tree), 7, 6)])
    assert report.failure is None
    assert report.findings[Step.ANCHORS].status is Status.NOT_SHOWN
    assert "so that nothing shows whether they are of one branch: 1" in said(report)
    assert WHOLE not in anchored(report)


def test_of_checkpoints_without_entries_no_branch_and_no_run_is_told(made: tuple[Run, Tree, Path]) -> None:
    """A witness keeps its newest checkpoint alone, which may be of a branch: only the run's own is
    known to be of none."""
    _, tree, folder = made
    write(folder, tree.views(*PLACES), [tree.receipt(6)])
    report = judged(folder, [Kept(tree.note(6)), Kept(_branch(tree).note(7))])
    assert report.failure is None
    assert "1 checkpoint of this register, on one branch with those that the run shows" in said(report)
    assert "so that nothing shows whether they are of one branch: 1" in said(report)
    assert "runs begun" not in said(report)


@pytest.mark.parametrize("size", [3, 4])
def test_entries_fewer_than_the_runs_are_of_one_branch_if_a_checkpoint_is_of_both(
    size: int, made: tuple[Run, Tree, Path]
) -> None:
    """The run shows checkpoints of 4 and 6 entries. What follows 3 at the service may be others."""
    _, tree, folder = made
    write(folder, tree.views(*PLACES), [tree.receipt(6)])
    report = judged(folder, holding(tree, 2, size))
    counted = "2 checkpoints" if size == 4 else "1 checkpoint"
    assert f"{counted} of this register, on one branch with those that the run shows" in said(report)
    assert ("so that nothing shows whether they are of one branch: 1" in said(report)) == (size == 3)
    assert "begun in these entries" in said(report)


def test_entries_that_nobody_signed_are_not_taken(made: tuple[Run, Tree, Path]) -> None:
    """Whoever may write to a service puts false entries beside a true checkpoint: that slanders
    nobody, and shows nothing."""
    _, tree, folder = made
    false = kept(tree, 7, 6, entries=(Entry(Kind.BEGIN, bytes(16), 1, bytes(32)).encode(),))
    report = judged(folder, [*holding(tree, 2, 4, 6), false])
    assert report.failure is None
    assert "3 runs begun" not in said(report)
    assert "2 runs begun in these entries, 1 of them never closed" in said(report)
    assert WHOLE not in anchored(report)


def test_what_the_trainer_did_not_sign_is_not_held_against_them(made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    other = replace(_branch(tree), signers=(SECOND,))
    foreign = replace(tree, origin="zk-autograd/register/" + "0" * 64)
    held = [*holding(tree, 2, 4, 6), kept(other, 6), kept(foreign, 3), Kept(b"junk"), Kept(b"")]
    report = judged(folder, held)
    assert report.failure is None
    assert "not signed by all pinned keys, so not counted: 4" in said(report)
    assert WHOLE in anchored(report)


def test_a_checkpoint_of_another_log_under_the_registers_name_is_none_of_its_own(made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    text = checkpoint_text("zk-autograd/another log", 6, bytes(32))
    report = judged(folder, [*holding(tree, 2, 4, 6), Kept(sign(text, register_signers(tree.signers, tree.origin)))])
    assert report.failure is None
    assert "not signed by all pinned keys, so not counted: 1" in said(report)


def test_a_second_view_of_the_run_in_the_same_register_is_found(made: tuple[Run, Tree, Path]) -> None:
    """One branch of the register, two of the run: each auditor is shown one."""
    run, tree, folder = made
    tree.entries.append(Entry(Kind.CHECKPOINT, run.header.run, 3, bytes([1]) * 32))
    assert judged(folder, holding(tree, 2, 4, 6)).failure is None
    refused(
        judged(folder, holding(tree, 2, 4, 6, 8)),
        4,
        "entry 7 of the register has another root for the run's first 3 records",
    )


def test_a_second_header_of_one_run_id_is_found(made: tuple[Run, Tree, Path]) -> None:
    run, tree, folder = made
    tree.entries.append(Entry(Kind.BEGIN, run.header.run, 1, bytes([1]) * 32))
    refused(
        judged(folder, holding(tree, 2, 4, 6, 8)),
        4,
        "entry 7 of the register has another root for the run's first 1 record",
    )


def test_records_withheld_behind_an_entry_that_is_not_shown_are_found(tmp_path: Path) -> None:
    run, tree = registered(backend="none")
    run.close, run.segments, run.model = None, run.segments[:1], {}
    folder = run.write(tmp_path / "run")
    write(folder, tree.views(*PLACES[:2]))
    assert judged(folder, holding(tree, 2, 4)).failure is None
    refused(judged(folder, holding(tree, 2, 4, 6)), 4, "the register has more of this run's records than are shown")
    chosen = replace(LOG_POLICY, head=TreeHead(run.root(3), 3))
    assert judged(folder, holding(tree, 2, 4, 6), chosen).failure is None


def test_a_service_that_is_behind_shows_no_more_than_it_has(made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    write(folder, tree.views(*PLACES), [receipt(tree, 2)])
    report = judged(folder, holding(tree, 2, 4))
    assert WHOLE not in anchored(report)
    assert "that the first 1 of 6 records existed by 2026-11-30T12:00:00Z (shelf)" in anchored(report)


def test_leaves_that_are_no_entries_are_told(made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    leaves = [*(entry.encode() for entry in tree.entries[:6]), b"something else"]
    head = replace(tree.head(6), size=7, root=root([leaf_hash(leaf) for leaf in leaves]))
    report = judged(folder, [Kept(sign_head(head, tree.signers), 0, tuple(leaves)), *holding(tree, 2, 6)])
    assert "leaves of the register that are no entries: 1" in said(report)
    assert WHOLE not in anchored(report)


def test_without_a_pinned_key_nothing_is_looked_at(made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    report = judged(folder, holding(_branch(tree), 2, 4, 6), replace(LOG_POLICY, keys=()))
    assert report.verdict == "UNPINNED"
    assert "not looked at, since no key is pinned" in said(report)
    assert "runs begun" not in said(report)


def test_an_empty_service_shows_nothing(made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    write(folder, tree.views(*PLACES))
    report = judged(folder, [])
    assert "no checkpoint of this register" in said(report)
    assert report.findings[Step.ANCHORS].status is Status.NOT_SHOWN


def test_the_trainers_own_file_stays_their_word_however_it_is_asked(
    made: tuple[Run, Tree, Path], tmp_path: Path
) -> None:
    """The real anchor `file`, published to and read."""
    _, tree, folder = made

    anchor = FileAnchor(tmp_path / "anchors.jsonl")
    receipts: list[Receipt] = []
    for size in (2, 4, 6):
        note = SignedCheckpoint.parse(sign_head(tree.head(size), tree.signers))
        receipts += anchor.publish(note, History(tree))
    write(folder, tree.views(*PLACES), receipts)
    asked = Asked("file", anchor.spec, NOON, tuple(anchor.read(tree.origin)))
    with RunFolder(folder) as files:
        report = Verifier(replace(LOG_POLICY, online=(asked,)), stand_ins(), verifiers()).verify(files)
    assert (report.exit_status, anchored(report)) == (0, [])
    assert {one["standing"] for one in report.to_json()["anchors"]} == {"the trainer's word"}
    assert "2 runs begun under this key, 1 of them never closed" in said(report)


def test_ten_thousand_entries_are_put_together_in_seconds(tmp_path: Path) -> None:
    run, tree = registered(backend="none")
    folder = run.write(tmp_path / "run")
    write(folder, tree.views(*PLACES))
    for number in range(10_000):
        tree.entries.append(Entry(Kind.BEGIN, number.to_bytes(16, "big"), 1, bytes(32)))
    sizes = [2, 4, 6, 4_000, 10_007]
    report = judged(folder, holding(tree, *sizes))
    assert report.failure is None
    (online,) = report.to_json()["online"]
    assert (online["entries"], online["runs_begun"]) == (
        sizes[-1],
        len({e.run for e in tree.entries[: sizes[-1]] if e.kind is Kind.BEGIN}),
    )


def test_nothing_is_asked_of_a_run_in_no_register(tmp_path: Path) -> None:
    report = judged(honest("none").write(tmp_path / "run"), [Kept(b"junk")])
    assert report.findings[Step.ANCHORS].status is Status.ABSENT


def test_an_entry_of_this_run_beyond_its_close_is_found(made: tuple[Run, Tree, Path]) -> None:
    run, tree, folder = made
    enter(run, tree, Kind.CHECKPOINT, 6)
    refused(judged(folder, holding(tree, 2, 4, 6, 8)), 4, "says that the run is not closed after 6 records")


def _begun_often(path: Path, begins: int) -> tuple[Run, Tree, Path]:
    """A run that shows the last of as many begins, and its close after that."""
    run, _ = registered(backend="none")
    tree = Tree()
    for _ in range(begins):
        enter(run, tree, Kind.BEGIN, 1)
    enter(run, tree, Kind.CLOSE, len(run.leaves()))
    folder = run.write(path)
    write(folder, tree.views((begins - 1, begins), (begins, begins + 1)))
    return run, tree, folder


def test_a_run_that_was_begun_again_until_its_beacon_pleased_is_found(tmp_path: Path) -> None:
    """One header, entered again and again: each time it has another beacon, and other weights."""
    _, tree, folder = _begun_often(tmp_path / "run", 3)
    words = "entry 0 of the register begins this run, which shows a later begin"
    refused(judged(folder, holding(tree, 1, 2, 3, 4)), 4, words)


def test_a_run_that_was_begun_again_after_the_begin_that_it_shows_is_found(made: tuple[Run, Tree, Path]) -> None:
    run, tree, folder = made
    enter(run, tree, Kind.BEGIN, 1)
    refused(judged(folder, holding(tree, 2, 6, 8)), 4, "was begun (entry 7): a second time: entry 5 has 6 records")


def test_a_begin_before_the_one_that_is_shown_is_found_by_a_service_that_is_behind(tmp_path: Path) -> None:
    _, tree, folder = _begun_often(tmp_path / "run", 3)
    refused(judged(folder, holding(tree, 1)), 4, "entry 0 of the register begins this run, which shows a later begin")
    once = tmp_path / "once"
    _, tree, folder = _begun_often(once, 1)
    assert judged(folder, holding(tree, 1)).failure is None


@pytest.mark.parametrize(
    ("added", "words"),
    [
        ([(Kind.CHECKPOINT, 9, 1), (Kind.CHECKPOINT, 9, 2)], "with other records: entry 2 has 9 records of it"),
        ([(Kind.CHECKPOINT, 9, 1), (Kind.CHECKPOINT, 8, 1)], "it fell back: entry 2 has 9 records of it"),
        ([(Kind.CLOSE, 9, 1), (Kind.CHECKPOINT, 10, 1)], "after its close: entry 2 has 9 records of it"),
    ],
)
def test_entries_beyond_a_chosen_root_are_held_against_each_other(
    added: list[tuple[Kind, int, int]], words: str, tmp_path: Path
) -> None:
    """The auditor chose a root of the run: what came later is not compared with the log, but two
    views of it are two views."""
    run, _ = registered(backend="none")
    run.close, run.model = None, {}
    tree = Tree()
    enter(run, tree, Kind.BEGIN, 1)
    enter(run, tree, Kind.CHECKPOINT, 3)
    chosen = replace(LOG_POLICY, head=TreeHead(run.root(3), 3))
    tree.entries += [Entry(kind, run.header.run, size, bytes([n]) * 32) for kind, size, n in added]
    folder = run.write(tmp_path / "run")
    write(folder, tree.views((0, 1), (1, 2)), [receipt(tree, 2)])
    assert judged(folder, holding(tree, 1, 2, 3), chosen).failure is None
    refused(judged(folder, holding(tree, 1, 2, 3, 4), chosen), 4, words)


def test_what_no_honest_trainer_enters_of_other_runs_is_told_and_the_register_is_not_called_whole(
    made: tuple[Run, Tree, Path],
) -> None:
    """Five runs under one id, none of them shown."""
    _, tree, folder = made
    tree.entries += [Entry(Kind.BEGIN, bytes([33]) * 16, 1, bytes([n]) * 32) for n in range(5)]
    report = judged(folder, holding(tree, 2, 6, 12))
    assert report.failure is None
    assert report.findings[Step.ANCHORS].status is Status.NOT_SHOWN
    assert WHOLE not in anchored(report)
    assert "entries that no honest trainer makes: 4, the first: run 2121" in said(report)
    assert "8 runs begun under this key, 7 of them never closed" in said(report)
    (online,) = report.to_json()["online"]
    assert (online["whole"], online["runs_begun"], online["runs_open"]) == (False, 8, 7)


def test_a_run_closed_twice_closes_no_other(made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    tree.entries += [Entry(Kind.CLOSE, tree.entries[0].run, 5, bytes([6]) * 32)] * 2
    tree.entries.append(Entry(Kind.CLOSE, bytes([44]) * 16, 5, bytes(32)))  # which was never begun
    (online,) = judged(folder, holding(tree, 2, 6, 10)).to_json()["online"]
    assert (online["whole"], online["runs_begun"], online["runs_open"]) == (False, 3, 1)


def judged_of_two(folder: Path, one: Sequence[Kept], other: Sequence[Kept], policy: Policy = LOG_POLICY) -> Report:
    """Two services asked in one go."""
    asked = (Asked("shelf", "shelf:top@there", NOON, tuple(one)), Asked("shelf", "shelf:low@here", NOON, tuple(other)))
    with RunFolder(folder) as files:
        verifier = Verifier(replace(policy, online=asked), stand_ins(), {**verifiers(), "shelf": Shelf()})
        report = verifier.verify(files)
    agree(report)
    return report


def _later_branch(tree: Tree) -> Tree:
    """Another branch that begins with all that the run shows."""
    return Tree([*tree.entries[:6], Entry(Kind.BEGIN, bytes([77]) * 16, 1, bytes([3]) * 32), *tree.entries[7:]])


APART: dict[str, Callable[[Tree, Tree], tuple[list[Kept], list[Kept]]]] = {
    "both whole": lambda tree, other: (holding(tree, 2, 6, 7), holding(other, 2, 6, 7)),
    "a head alone, as a witness has it": lambda tree, other: (
        holding(tree, 2, 6, 7),
        [kept(other, 7, entries=())],
    ),
    "the head is in the first": lambda tree, other: ([kept(other, 7, entries=())], holding(tree, 2, 6, 7)),
    "of another size": lambda tree, other: (holding(tree, 2, 6, 8), [kept(other, 7, entries=())]),
    "what each has is missing from the other": lambda tree, other: (holding(tree, 6, 7), [kept(other, 8, 6)]),
    "two heads alone": lambda tree, other: ([kept(tree, 7, entries=())], [kept(other, 7, entries=())]),
}


@pytest.mark.parametrize("name", APART)
def test_what_two_services_hold_is_held_against_each_other(name: str, made: tuple[Run, Tree, Path]) -> None:
    """Each service alone holds one branch: the trainer gave each of them another."""
    _, tree, folder = made
    write(folder, tree.views(*PLACES))
    tree.entries.append(Entry(Kind.BEGIN, bytes([78]) * 16, 1, bytes(32)))
    one, two = APART[name](tree, _later_branch(tree))
    for held in (one, two):
        assert judged(folder, held).failure is None
    refused(judged_of_two(folder, one, two), 4, "the trainer's register has two branches: two roots for its first 7")


def test_a_head_alone_is_placed_by_the_entries_that_another_service_holds(made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    report = judged_of_two(folder, holding(tree, 2, 6, 7), [kept(tree, 4, entries=()), kept(tree, 7, entries=())])
    assert report.findings[Step.ANCHORS].status is Status.PASSED, said(report)
    assert [one["whole"] for one in report.to_json()["online"]] == [True, True]
    assert WHOLE in anchored(report)
    assert not any("low@here" in what for what in anchored(report))  # it held no entries


def test_a_second_view_of_the_run_is_found_in_whichever_service_it_lies(made: tuple[Run, Tree, Path]) -> None:
    run, tree, folder = made
    tree.entries.append(Entry(Kind.CHECKPOINT, run.header.run, 3, bytes([1]) * 32))
    words = "entry 7 of the register has another root for the run's first 3 records"
    refused(judged_of_two(folder, holding(tree, 2, 6), [kept(tree, 8, 6)]), 4, words)


def _of_two_keys(path: Path) -> tuple[Run, Tree, Path]:
    """A run of a trainer with two keys, as `registered`."""
    run = honest("none")
    run.edit_header(keys=tuple(key.encode() for key in BOTH), register=origin_of(BOTH))
    run.signers = (SIGNER, QUANTUM)
    tree = Tree(entered(run).entries, run.signers, origin_of(BOTH))
    folder = run.write(path)
    write(folder, tree.views(*PLACES), [receipt(tree, 6)])
    return run, tree, folder


PARTLY: dict[str, Callable[[Tree], list[Kept]]] = {
    "of one size": lambda other: [kept(other, 6, entries=())],
    "smaller": lambda other: [kept(other, 5, entries=())],
    "larger, with its entries": lambda other: [kept(other, 8, 4)],
    "two larger ones, without theirs": lambda other: [
        kept(other, 8, entries=()),
        kept(replace(other, entries=[*other.entries[:7], replace(OTHER, root=bytes(32))]), 8, entries=()),
    ],
}


@pytest.mark.parametrize("name", PARTLY)
def test_another_branch_signed_by_one_of_the_pinned_keys_is_found(name: str, tmp_path: Path) -> None:
    """The trainer signs the branch that they show with both keys, and the other with one."""
    _, tree, folder = _of_two_keys(tmp_path / "run")
    tree.entries.append(OTHER)
    other = replace(_branch(tree), signers=(SIGNER,), origin=tree.origin)
    report = judged(folder, [*holding(tree, 2, 4, 6, 7), *PARTLY[name](other)], replace(LOG_POLICY, keys=BOTH))
    refused(report, 4, "the trainer's register has two branches: two roots for its first")
    assert report.failure is not None
    assert f"the pinned key {SIGNER.public_key.label} signed both" in report.failure.message


def test_a_larger_head_of_one_key_alone_is_not_called_one_register(tmp_path: Path) -> None:
    _, tree, folder = _of_two_keys(tmp_path / "run")
    tree.entries.append(OTHER)
    other = replace(_branch(tree), signers=(SIGNER,), origin=tree.origin)
    policy = replace(LOG_POLICY, keys=BOTH)
    report = judged(folder, [*holding(tree, 2, 4, 6, 7), kept(other, 8, entries=())], policy)
    assert report.failure is None
    assert report.findings[Step.ANCHORS].status is Status.NOT_SHOWN
    assert "signed by some of the pinned keys alone, and not to be put together with the others: 1" in said(report)
    assert WHOLE not in anchored(report)


def test_what_one_key_signed_of_the_same_branch_takes_nothing_away(tmp_path: Path) -> None:
    _, tree, folder = _of_two_keys(tmp_path / "run")
    alone = replace(tree, signers=(QUANTUM,))
    report = judged(folder, [*holding(tree, 2, 6, 7), kept(alone, 4)], replace(LOG_POLICY, keys=BOTH))
    assert report.findings[Step.ANCHORS].status is Status.PASSED, said(report)
    assert WHOLE in anchored(report)
    assert "not signed by all pinned keys, so not counted: 1" in said(report)


def test_branches_of_two_keys_slander_nobody_who_signed_one(tmp_path: Path) -> None:
    """Two heads of one size, each by another key: whoever has one of the keys may be somebody else,
    and the one that is shown has both."""
    _, tree, folder = _of_two_keys(tmp_path / "run")
    tree.entries.append(OTHER)
    one, two = replace(tree, signers=(SIGNER,)), replace(_branch(tree), signers=(QUANTUM,), origin=tree.origin)
    policy = replace(LOG_POLICY, keys=BOTH)
    held = [*holding(tree, 2, 6, 7), kept(one, 8, entries=()), kept(two, 8, entries=())]
    report = judged(folder, held, policy)
    assert report.failure is None
    assert WHOLE not in anchored(report)


def test_of_heads_that_cannot_be_placed_nothing_is_said_but_that(made: tuple[Run, Tree, Path]) -> None:
    """A head of another branch, larger than all that is known, and no entry: on which branch it is
    nobody knows, nor how many runs were begun."""
    _, tree, folder = made
    write(folder, tree.views(*PLACES))
    other = Tree([Entry(Kind.BEGIN, bytes([77]) * 16, 1, bytes([number]) * 32) for number in range(9)])
    report = judged(folder, [kept(other, 9, entries=())])
    assert "so that nothing shows whether they are of one branch: 1" in said(report)
    assert "on one branch" not in said(report)
    assert "runs begun" not in said(report)
    (online,) = report.to_json()["online"]
    assert (online["checkpoints"], online["whole"], online["runs_begun"]) == (0, False, None)


def test_heads_that_can_be_placed_are_counted_alone(made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    report = judged(folder, [*holding(tree, 2, 6), kept(_later_branch(tree), 7, entries=())])
    assert "2 checkpoints of this register, on one branch" in said(report)
    assert report.to_json()["online"][0]["checkpoints"] == 2


def test_a_service_that_ends_between_two_checkpoints_of_the_run_is_not_said_to_be_on_its_branch(
    made: tuple[Run, Tree, Path],
) -> None:
    """It has five entries, of which the last may be another branch's; the run shows trees of 4 and
    of 6."""
    _, tree, folder = made
    write(folder, tree.views(*PLACES))
    other = replace(tree, entries=[*tree.entries[:4], OTHER])
    for held in (holding(tree, 2, 4, 5), holding(other, 2, 4, 5), [kept(tree, 4, entries=()), kept(other, 5)]):
        report = judged(folder, held)
        assert report.failure is None
        assert report.findings[Step.ANCHORS].status is Status.NOT_SHOWN
        assert "so that nothing shows whether they are of one branch: 1" in said(report)
        assert "on one branch with those that the run shows; entries that are there: 5" in said(report)
    assert judged(folder, holding(tree, 2, 4)).findings[Step.ANCHORS].status is Status.PASSED
    alone = [kept(tree, 4, entries=()), kept(tree, 6, entries=())]
    assert "2 checkpoints of this register, on one branch with" in said(judged(folder, alone))


def test_an_entry_of_the_run_that_stands_elsewhere_in_the_service_is_another_branch(
    made: tuple[Run, Tree, Path],
) -> None:
    """The service ends before the run's next checkpoint, and has another entry where the run shows
    its own."""
    _, tree, folder = made
    write(folder, tree.views((1, 2), (3, 6)))
    other = replace(tree, entries=[*tree.entries[:3], OTHER, tree.entries[4]])
    refused(judged(folder, holding(other, 2, 5)), 4, "another entry 3 than the run shows")
