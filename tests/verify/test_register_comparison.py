"""Two runs of one trainer, or their files of views: two branches of the register become evidence
that anybody can check, and nothing else is called a fork."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.verify.register_builder import OTHER, PLACES, Tree, entered, registered, write
from tests.verify.run_builder import KEY, SECOND, SIGNER, Run, honest
from zk_autograd.cli.compare import main as compare_main
from zk_autograd.cli.verify import main
from zk_autograd.core.errors import ExitStatus
from zk_autograd.core.register import View
from zk_autograd.verify.comparison import check, compare
from zk_autograd.verify.consistency import Verdict

KEYS = (KEY,)


def another() -> tuple[Run, Tree]:
    """Another run, id and all, in a register of its own with the same key."""
    run = honest("none", seed=2)
    run.edit_header(run=bytes([3]) * 16, keys=(SIGNER.public_key.encode(),), register=Tree().origin)
    return run, entered(run)


@pytest.fixture
def two(tmp_path: Path) -> Callable[[list[View], list[View]], tuple[str, str]]:
    """Two runs with these views."""
    (one, _), (other, _) = registered(backend="none"), another()

    def made(first: list[View], second: list[View]) -> tuple[str, str]:
        for name, run, views in (("one", one, first), ("other", other, second)):
            write(run.write(tmp_path / name), views)
        return str(tmp_path / "one"), str(tmp_path / "other")

    return made


Two = Callable[[list[View], list[View]], tuple[str, str]]


def test_two_branches_become_evidence_of_a_fork(two: Two, tmp_path: Path) -> None:
    runs = two(registered(backend="none")[1].views(*PLACES), another()[1].views(*PLACES))
    files = [f"{run}/register/views.jsonl" for run in runs]
    for one, other in ((runs[0], runs[1]), (files[0], files[1]), (runs[0], files[1])):
        found = compare(one, other, KEYS)
        assert found.decision.verdict is Verdict.FORK
        assert found.decision.keys == KEYS
        assert found.heads[0].checkpoint.root != found.heads[1].checkpoint.root
        assert found.proof is not None
        (tmp_path / "evidence").write_bytes(found.proof)
        assert check(str(tmp_path / "evidence"), KEYS).decision == found.decision


def test_the_commands_say_it(two: Two, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = two(registered(backend="none")[1].views(*PLACES), another()[1].views(*PLACES))
    out = str(tmp_path / "evidence")
    assert compare_main([*runs, "--key", KEY.encode(), "--out", out]) == ExitStatus.REFUSED
    assert "verdict: FORK PROVED" in capsys.readouterr().out
    assert main([out, "--key", KEY.encode()]) == ExitStatus.REFUSED
    assert main([out, "--key", SECOND.public_key.encode()]) == ExitStatus.LESS  # the trainer is not slandered


def test_one_register_is_consistent_where_both_show_one_size(two: Two) -> None:
    tree = registered(backend="none")[1]
    later = tree.views((1, 2), (3, 6), (5, 7))
    found = compare(*two(tree.views(*PLACES), later), KEYS)
    assert found.decision.verdict is Verdict.CONSISTENT
    assert found.heads[0].checkpoint.size == 6


def test_where_no_size_is_shared_nothing_can_be_told(two: Two) -> None:
    tree = registered(backend="none")[1]
    found = compare(*two(tree.views((1, 2), (3, 4)), tree.views((1, 3), (3, 5))), KEYS)
    assert found.decision.verdict is Verdict.UNTOLD
    assert "no larger size has a checkpoint in both" in found.decision.sentences[0]
    found = compare(*two(tree.views((1, 2), (3, 4)), tree.views((1, 2), (3, 5))), KEYS)
    assert "they agree in the register's first 2 records" in found.decision.sentences[0]


def test_what_another_key_signed_is_no_fork(two: Two) -> None:
    other = another()[1]
    other.signers = (SECOND,)
    found = compare(*two(registered(backend="none")[1].views(*PLACES), other.views(*PLACES)), KEYS)
    assert found.decision.verdict is Verdict.UNTOLD
    assert found.proof is None
    assert compare(*two_again(two), ()).decision.verdict is Verdict.UNTOLD


def two_again(two: Two) -> tuple[str, str]:
    return two(registered(backend="none")[1].views(*PLACES), another()[1].views(*PLACES))


def test_registers_of_two_trainers_need_not_agree(two: Two) -> None:
    other = replace(another()[1], signers=(SECOND,), origin=Tree(signers=(SECOND,)).origin)
    found = compare(*two(registered(backend="none")[1].views(*PLACES), other.views(*PLACES)), (KEY, SECOND.public_key))
    assert "two logs" in found.decision.sentences[0]


def test_runs_in_no_register_are_two_logs(tmp_path: Path) -> None:
    other = honest("none", seed=2)
    other.edit_header(run=bytes([3]) * 16)
    runs = [run.write(tmp_path / str(index)) for index, run in enumerate((honest("none"), other))]
    assert "two logs" in compare(str(runs[0]), str(runs[1]), KEYS).decision.sentences[0]


def test_a_file_of_views_that_is_none_shows_nothing(two: Two, tmp_path: Path) -> None:
    runs = two_again(two)
    torn = tmp_path / "torn.jsonl"
    torn.write_bytes((tmp_path / "one/register/views.jsonl").read_bytes()[:-9])
    found = compare(runs[0], str(torn), KEYS)
    assert found.decision.verdict is Verdict.UNTOLD
    assert "has no checkpoint that can be read" in found.decision.sentences[0]
    (tmp_path / "other/register/views.jsonl").write_bytes(b"{}\n")
    assert compare(*runs, KEYS).decision.verdict is Verdict.UNTOLD


def test_the_begin_of_a_run_that_is_never_shown_is_no_fork_of_itself(two: Two) -> None:
    tree = registered(backend="none")[1]
    assert tree.entries[0] == OTHER
    found = compare(*two(tree.views(*PLACES), tree.views(*PLACES)), KEYS)
    assert found.decision.verdict is Verdict.CONSISTENT


def test_one_log_in_two_branches_of_the_register_is_a_fork_too(tmp_path: Path) -> None:
    """Two copies of one run, whose records agree to the byte."""
    run, tree = registered(backend="none")
    branch = Tree([replace(OTHER, root=bytes(32)), *tree.entries[1:]])
    for name, of in (("one", tree), ("other", branch)):
        write(run.write(tmp_path / name), of.views(*PLACES))
    found = compare(str(tmp_path / "one"), str(tmp_path / "other"), KEYS)
    assert found.decision.verdict is Verdict.FORK
    write(tmp_path / "other", tree.views(*PLACES))
    assert compare(str(tmp_path / "one"), str(tmp_path / "other"), KEYS).decision.verdict is Verdict.CONSISTENT
