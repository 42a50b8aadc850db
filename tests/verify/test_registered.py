"""Step 4, the register: each false place of a run in it is refused, by this step and for this
reason."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.verify.register_builder import OTHER, PLACES, Tree, enter, entered, registered, write
from tests.verify.run_builder import LOG_POLICY, QUANTUM, SECOND, SIGNER, Run, honest, refused, stand_ins
from zk_autograd.anchor.kinds import verifiers
from zk_autograd.core.register import Entry, Kind, View, origin_of
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.verify.anchor_demands import InRegister
from zk_autograd.verify.outcome import Source, Status, Step
from zk_autograd.verify.policy import Policy, TreeHead
from zk_autograd.verify.report import Report
from zk_autograd.verify.verifier import Verifier


def judged(folder: Path, policy: Policy = LOG_POLICY) -> Report:
    with RunFolder(folder) as files:
        return Verifier(policy, stand_ins(), verifiers()).verify(files)


@pytest.fixture
def made(tmp_path: Path) -> tuple[Run, Tree, Path]:
    run, tree = registered(backend="none")
    return run, tree, run.write(tmp_path / "run")


def test_a_run_in_its_register_passes_and_the_report_says_where_it_stands(made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    write(folder, tree.views(*PLACES))
    report = judged(folder)
    step = report.findings[Step.ANCHORS]
    assert (report.exit_status, step.status) == (0, Status.PASSED), report.text()
    assert "begun by its entry 1" in step.sentences[0]
    assert "signed by all pinned keys" in step.sentences[0]
    assert "its entry 5 covers all of these 6 records" in step.sentences[1]
    assert report.to_json()["register"] == {
        "origin": tree.origin, "size": 6, "root": tree.head(6).root.hex(), "index": 1, "newest": 5, "records": 6,
    }  # fmt: skip
    assert any("has no other branch" in limit for limit in report.limits)
    assert any("two views of one run" in limit for limit in report.limits)


def test_a_run_whose_newest_records_are_in_no_entry_is_told_apart(made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    write(folder, tree.views(*PLACES[:2]))
    report = judged(folder)
    step = report.findings[Step.ANCHORS]
    assert (report.exit_status, step.status) == (0, Status.NOT_SHOWN)
    assert "covers the first 3 of these 6 records: the other 3 are in no entry" in step.sentences[1]


def test_a_fresh_view_of_an_entry_under_a_newer_checkpoint_is_taken(made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    write(folder, tree.views((1, 2), (1, 3), (1, 3), (3, 5), (5, 7)))
    assert judged(folder).findings[Step.ANCHORS].status is Status.PASSED


def test_without_a_pinned_key_no_signature_is_said_to_be_checked(made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    tree.signers = (SECOND,)
    write(folder, tree.views(*PLACES))
    report = judged(folder, replace(LOG_POLICY, keys=()))
    step = report.findings[Step.ANCHORS]
    assert step.status is Status.NOT_SHOWN
    assert "whose signatures were not checked" in step.sentences[0]


def test_records_beyond_a_root_of_the_auditors_are_not_held_against_the_run(made: tuple[Run, Tree, Path]) -> None:
    run, tree, folder = made
    write(folder, tree.views(*PLACES))
    report = judged(folder, replace(LOG_POLICY, head=TreeHead(run.root(3), 3)))
    step = report.findings[Step.ANCHORS]
    assert (report.failure, step.status) == (None, Status.PASSED)
    assert "covers all of these 3 records" in step.sentences[1]
    assert "entries for later records, which were not compared with the log: 1" in step.sentences[2]


def _with(**changes: object) -> Callable[[Run, Tree], list[View]]:
    """The last view changed."""
    return lambda run, tree: [*tree.views(*PLACES[:2]), replace(tree.views(*PLACES)[2], **changes)]  # type: ignore[arg-type]


def _branch(run: Run, tree: Tree) -> list[View]:
    """A second branch of the register, of another past, of which the run shows the later half."""
    other = Tree([replace(OTHER, root=bytes(32)), *tree.entries[1:]])
    return [*tree.views(*PLACES[:2]), other.view(5, 6, 4)]


def _branch_of_one_size(run: Run, tree: Tree) -> list[View]:
    other = Tree([*tree.entries[:3], replace(tree.entries[3], size=2, root=run.root(2))])
    return [*tree.views(*PLACES[:2]), other.view(3, 4, 4)]


def _reentered(kind: Kind, size: int) -> Callable[[Run, Tree], list[View]]:
    def views(run: Run, tree: Tree) -> list[View]:
        index = enter(run, tree, kind, size)
        return tree.views(*PLACES, (index, index + 1))

    return views


def _unclosed(run: Run, tree: Tree) -> list[View]:
    tree.entries[5] = replace(tree.entries[5], kind=Kind.CHECKPOINT)
    return tree.views(*PLACES)


def _closed_early(run: Run, tree: Tree) -> list[View]:
    tree.entries[3] = replace(tree.entries[3], kind=Kind.CLOSE)
    return tree.views(*PLACES[:2])


def _of_another_header(run: Run, tree: Tree) -> list[View]:
    tree.entries[1] = replace(tree.entries[1], root=honest("none", seed=2).root(1))
    return tree.views(*PLACES)


def _of_another_run(run: Run, tree: Tree) -> list[View]:
    return [*tree.views(*PLACES), tree.view(6, 7, 6)]


def _signed_by_another(run: Run, tree: Tree) -> list[View]:
    tree.signers = (SECOND,)
    return tree.views(*PLACES)


def _of_another_trainer(run: Run, tree: Tree) -> list[View]:
    tree.origin = Tree(origin="zk-autograd/register/" + "0" * 64).origin
    return tree.views(*PLACES)


def _backwards(run: Run, tree: Tree) -> list[View]:
    return [*tree.views(*PLACES[:2]), tree.view(1, 5, 4)]


def _standing_still(run: Run, tree: Tree) -> list[View]:
    """The same records, entered twice."""
    tree.entries[4] = tree.entries[3]
    return tree.views((1, 2), (3, 4), (4, 5), (5, 6))


def _shrinking(run: Run, tree: Tree) -> list[View]:
    tree.entries[5] = Entry(Kind.CHECKPOINT, run.header.run, 2, run.root(2))
    return tree.views(*PLACES)


def _two_views_of_the_log(run: Run, tree: Tree) -> list[View]:
    tree.entries[3] = replace(tree.entries[3], root=bytes(32))
    return tree.views(*PLACES)


FALSE: dict[str, tuple[Callable[[Run, Tree], list[View]], str]] = {
    "no line": (lambda run, tree: [], "has no line: the run's begin is missing"),
    "the begin is left out": (lambda run, tree: tree.views(*PLACES[1:]), "the first entry is not the run's begin"),
    "the begin is another header's": (_of_another_header, "another root for the run's first 1 record"),
    "an entry of another run": (_of_another_run, "the entry is another run's"),
    "an entry of another log of this run": (_two_views_of_the_log, "another root for the run's first 3 records: two views"),
    "signed by another key": (_signed_by_another, "not signed by the key"),
    "the register of another trainer": (_of_another_trainer, "not signed by the key"),
    "another branch": (_branch, "consistency"),
    "another branch, of one size": (_branch_of_one_size, "two branches: two roots for its first 4 entries"),
    "an inclusion proof too short": (_with(inclusion=()), "inclusion"),
    "a consistency proof too short": (_with(consistency=()), "consistency"),
    "another index": (_with(index=4), "inclusion"),
    "a view left out": (lambda run, tree: [tree.views(*PLACES)[0], tree.views(*PLACES)[2]], "does not follow the one before"),
    "an earlier entry again": (_backwards, "stands before that of an earlier line"),
    "records that don't grow": (_standing_still, "the run's records did not grow"),
    "records that shrink": (_shrinking, "the run's records did not grow"),
    "begun twice": (lambda run, tree: [*tree.views(*PLACES[:2]), *_second_begin(run, tree)], "the run is begun twice"),
    "an entry after the close": (_reentered(Kind.CHECKPOINT, 6), "an entry follows the run's close"),
    "a close that is none": (_unclosed, "not closed after 6 records"),
    "a close before the close record": (_closed_early, "closed after 3 records"),
}  # fmt: skip


def _second_begin(run: Run, tree: Tree) -> list[View]:
    index = enter(run, tree, Kind.BEGIN, 1)
    return [tree.view(index, index + 1, PLACES[1][1])]


@pytest.mark.parametrize("name", FALSE)
def test_a_false_place_in_the_register_is_refused(name: str, made: tuple[Run, Tree, Path]) -> None:
    run, tree, folder = made
    change, message = FALSE[name]
    write(folder, change(run, tree))
    refused(judged(folder), 4, message)


def test_a_log_cut_off_behind_an_entry_is_refused(tmp_path: Path) -> None:
    """The trainer withholds the last segments and the close: what is left is true, and signed."""
    run, tree = registered(backend="none")
    run.close, run.segments, run.model = None, run.segments[:1], {}
    folder = run.write(tmp_path / "run")
    write(folder, tree.views(*PLACES))
    refused(judged(folder), 4, "the register has more of this run's records than are shown")
    write(folder, tree.views(*PLACES[:2]))  # they leave the entry out, too: nothing offline shows it
    assert judged(folder).failure is None


def test_the_files_of_a_register_that_the_header_names_must_be_there(made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    refused(judged(folder), 4, "register/views.jsonl is missing")
    write(folder, tree.views(*PLACES))
    (folder / "anchors/receipts.jsonl").unlink()
    refused(judged(folder), 4, "anchors/receipts.jsonl is missing")


@pytest.mark.parametrize("line", [b"", b"{}", b"x", b"\xff", b"[" * 2000, b" " + Tree([OTHER]).view(0, 1).encode()])
def test_a_line_that_is_no_view_is_refused_by_its_number(line: bytes, made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    write(folder, [*tree.views(PLACES[0]), line])
    refused(judged(folder), 4, "register/views.jsonl, line 2: ")


def test_a_torn_last_line_is_refused(made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    write(folder, tree.views(*PLACES))
    whole = (folder / "register/views.jsonl").read_bytes()
    (folder / "register/views.jsonl").write_bytes(whole[:-1])
    refused(judged(folder), 4, "a line of views.jsonl does not end")


def test_both_keys_of_a_trainer_must_have_signed_the_register(tmp_path: Path) -> None:
    run = honest("none")
    tree = Tree(signers=(SIGNER, QUANTUM))
    keys = (SIGNER.public_key, QUANTUM.public_key)
    run.edit_header(keys=tuple(key.encode() for key in keys), register=tree.origin)
    run.signers = (SIGNER, QUANTUM)
    tree = replace(tree, entries=entered(run).entries)
    folder = run.write(tmp_path / "run")
    both = replace(LOG_POLICY, keys=keys)
    write(folder, tree.views(*PLACES))
    assert judged(folder, both).exit_status == 0
    tree.signers = (SIGNER,)
    write(folder, tree.views(*PLACES))
    refused(judged(folder, both), 4, "not signed by the key")
    assert judged(folder).exit_status == 0  # whoever pins one of the two is told so in step 2


def test_a_run_in_no_register_says_so_and_its_files_are_not_read(tmp_path: Path) -> None:
    run = honest("none")
    folder = run.write(tmp_path / "run")
    report = judged(folder)
    step = report.findings[Step.ANCHORS]
    assert (step.status, step.sentences) == (
        Status.ABSENT,
        ("in no register: its trainer kept it out of theirs", "no anchor"),
    )
    assert any("nothing shows how many runs were begun" in limit for limit in report.limits)
    assert report.to_json()["register"] is None
    write(folder, [b"anything"], [b"at all"])
    report = judged(folder)
    assert report.findings[Step.ANCHORS].status is Status.ABSENT
    assert [file.name for file in report.uncovered or ()] == ["anchors/receipts.jsonl", "register/views.jsonl"]
    assert report.exit_status == 3  # nobody may take them for this run's register


def test_no_other_view_is_ever_claimed_by_the_register_alone(made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    write(folder, tree.views(*PLACES))
    claims = {claim.what: claim.source for claim in judged(folder).claims}
    assert claims["that there is no other view of this log, and when it was written"] is Source.ABSENT
    assert Source.ANCHORED not in claims.values()


def test_a_register_that_no_pinned_key_names_is_one_of_any_number(tmp_path: Path) -> None:
    """Only the ML-DSA-44 key is pinned: with each Ed25519 key that the trainer makes beside it they
    have another register, and each run is alone in one."""
    policy = replace(LOG_POLICY, keys=(QUANTUM.public_key,), demands=(InRegister(),))
    for name, other in (("one", SIGNER), ("other", SECOND)):
        run = honest("none")
        run.signers = (other, QUANTUM)
        public = tuple(signer.public_key for signer in run.signers)
        run.edit_header(keys=tuple(key.encode() for key in public), register=origin_of(public))
        tree = Tree(entered(run).entries, run.signers, origin_of(public))
        folder = run.write(tmp_path / name)
        write(folder, tree.views(*PLACES))
        report = judged(folder, policy)
        assert report.failure is None
        assert report.findings[Step.ANCHORS].status is Status.NOT_SHOWN
        assert any("any number of registers" in limit for limit in report.limits), report.limits
        assert report.exit_status == 3
        assert "a register that no pinned key names" in " ".join(report.missing)
        assert judged(folder, replace(policy, demands=())).findings[Step.ANCHORS].status is Status.NOT_SHOWN
        both = judged(folder, replace(policy, keys=public))
        assert (both.exit_status, both.findings[Step.ANCHORS].status) == (0, Status.PASSED)
        assert not any("any number of registers" in limit for limit in both.limits)
