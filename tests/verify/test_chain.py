"""Step 6: segments, genesis and close fit together."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest

from tests.verify.run_builder import (
    LOG_POLICY,
    POLICY,
    Run,
    StandInChecker,
    StandInSystem,
    commitment,
    honest,
    judge,
    refused,
    stand_in_commit,
)
from zk_autograd.core import backends
from zk_autograd.core.backends import BACKENDS
from zk_autograd.core.formats import IntArray
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import Block, Genesis, Parameter, Prover, StateCommitments
from zk_autograd.core.trust import Missing
from zk_autograd.verify.outcome import Status, Step
from zk_autograd.verify.proof_system import ProofChecker
from zk_autograd.verify.report import Report


def with_block(state: StateCommitments, name: str, block: int, value: bytes) -> StateCommitments:
    blocks = list(state[name])
    blocks[block] = value
    return {**state, name: tuple(blocks)}


def edit(run: Run, place: int, /, **changes: object) -> None:
    run.segments[place] = replace(run.segments[place], **changes)  # type: ignore[arg-type]


def test_step6_segment_left_out(tmp_path: Path) -> None:
    run = honest()
    del run.segments[1]
    run.reprove()
    refused(judge(run, tmp_path), 6, "a segment is out of place", record=3)


def test_step6_segment_left_out_and_the_rest_renumbered(tmp_path: Path) -> None:
    run = honest()
    del run.segments[1]
    edit(run, 1, index=1)
    run.reprove()
    refused(judge(run, tmp_path), 6, "steps are not consecutive", record=3)


def test_step6_segment_left_out_and_steps_renumbered(tmp_path: Path) -> None:
    run = honest()
    del run.segments[1]
    edit(run, 1, index=1, first=4, last=5)
    run.reprove()
    refused(
        judge(run, tmp_path), 6, "the state-in of segment 1 is not the state-out of segment 0: W of block 0", record=3
    )


def test_step6_segment_repeated(tmp_path: Path) -> None:
    run = honest()
    run.segments.insert(1, run.segments[0])
    refused(judge(run, tmp_path), 6, "a segment is out of place", record=3)


def test_step6_segments_swapped(tmp_path: Path) -> None:
    run = honest()
    run.segments[0], run.segments[1] = run.segments[1], run.segments[0]
    refused(judge(run, tmp_path), 6, "a segment is out of place", record=2)


@pytest.mark.parametrize("first", [3, 5])
def test_step6_gap_or_overlap(tmp_path: Path, first: int) -> None:
    run = honest("none")
    edit(run, 1, first=first, last=first + 2)
    refused(judge(run, tmp_path, LOG_POLICY), 6, "steps are not consecutive", record=3)


def test_step6_first_step_is_one(tmp_path: Path) -> None:
    run = honest("none")
    for i in range(3):
        edit(run, i, first=run.segments[i].first + 1, last=run.segments[i].last + 1)
    refused(judge(run, tmp_path, LOG_POLICY), 6, "steps are not consecutive", record=2)


@pytest.mark.parametrize("name", ["W", "M", "V"])
@pytest.mark.parametrize("block", [0, 1])
@pytest.mark.parametrize(("segment", "source"), [(0, "the genesis"), (2, "the state-out of segment 1")])
def test_step6_state_in_is_not_the_state_before(
    tmp_path: Path, name: str, block: int, segment: int, source: str
) -> None:
    run = honest()
    changed = with_block(run.segments[segment].state_in, name, block, commitment())
    edit(run, segment, state_in=changed)
    run.reprove()
    message = f"the state-in of segment {segment} is not {source}: {name} of block {block}"
    refused(judge(run, tmp_path), 6, message, record=2 + segment)


@pytest.mark.parametrize("backend", ["none", "ezkl"])
@pytest.mark.parametrize("name", ["M", "V"])
@pytest.mark.parametrize("block", [0, 1])
def test_step6_first_state_is_not_zero(tmp_path: Path, backend: str, name: str, block: int) -> None:
    """The chain holds from the genesis on, but what it starts from is no zero."""
    run = honest(backend)
    assert run.genesis is not None
    changed = with_block(run.genesis.state, name, block, commitment(backend))
    run.genesis = Genesis(changed, run.genesis.zero_salts)
    edit(run, 0, state_in=changed)
    if backend == "ezkl":
        run.reprove()
    refused(judge(run, tmp_path), 6, f"{name} of block {block} is not zero at the start", record=1)


def test_step6_salt_of_another_zero(tmp_path: Path) -> None:
    run = honest("none")
    assert run.genesis is not None
    salts = with_block(run.genesis.zero_salts, "V", 1, bytes(32))
    run.genesis = Genesis(run.genesis.state, salts)
    refused(judge(run, tmp_path), 6, "V of block 1 is not zero at the start", record=1)


def test_step6_rule_without_zero_states(tmp_path: Path) -> None:
    report = judge(honest("none", rule=Rule.SGD), tmp_path, LOG_POLICY)
    assert report.findings[Step.CHAIN].status is Status.PASSED
    assert "zero" not in " ".join(report.findings[Step.CHAIN].sentences)


@pytest.mark.parametrize("rule", [Rule.ADAM, Rule.SGD])
def test_step6_work_on_a_state_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: Rule) -> None:
    """SGD's has no zeros at the start, and its published weights are committed to again."""
    monkeypatch.setitem(backends.BACKENDS, "none", replace(backends.BACKENDS["none"], max_committed=7))
    refused(judge(honest("none", rule=rule), tmp_path, LOG_POLICY), 6, "too large, and too many", record=0)


@pytest.mark.parametrize("count", [1024, 1025])
def test_step6_a_run_of_ezkl_has_at_most_a_thousand_commitments_of_a_first_state(tmp_path: Path, count: int) -> None:
    """Each takes as long whatever it holds, and whoever commits to zeros on purpose pays almost
    nothing."""
    run = honest()
    run.edit_header(
        parameters=(Parameter("p", (4 * count,), 0, 4 * count, 0),),
        unproved=(),
        size=4 * count,
        blocks=tuple(Block(0, 4 * i, 4) for i in range(count)),
    )
    salts = {
        name: tuple(f"{name}{i}".encode().ljust(BACKENDS["ezkl"].salt_bytes) for i in range(count))
        for name in ("M", "V")
    }
    state = {name: tuple(stand_in_commit(np.zeros(4, np.int64), salt) for salt in salts[name]) for name in salts}
    run.genesis = Genesis({"W": (commitment(),) * count, **state}, salts)
    run.segments, run.close, run.proofs = [], None, {}
    looked_at: list[bytes] = []

    class Counting(StandInChecker):
        def commitments(self, messages: Iterable[tuple[IntArray, bytes]]) -> Iterator[bytes]:
            for values, salt in messages:
                looked_at.append(salt)
                yield stand_in_commit(values, salt)

    class System(StandInSystem):
        def checker(self, prover: Prover) -> ProofChecker | Missing:
            return Counting(("W", "M", "V"))

    report = judge(run, tmp_path, system=System())
    if count <= 1024:
        assert report.failure is None
        assert len(looked_at) == 2 * count
    else:
        refused(report, 6, "the run has too many blocks", record=0)
        assert looked_at == []


class _Untouched(StandInChecker):
    """Nothing is to be recomputed."""

    def commitments(self, messages: Iterable[tuple[IntArray, bytes]]) -> Iterator[bytes]:
        raise AssertionError("work before it was bounded")


class _UntouchedSystem(StandInSystem):
    def checker(self, prover: Prover) -> ProofChecker | Missing:
        return _Untouched(("W", "M", "V"))


@pytest.mark.parametrize(("one", "other"), [(("M", 0), ("M", 1)), (("M", 1), ("V", 1)), (("V", 0), ("M", 1))])
def test_step6_one_salt_twice_is_refused_before_anything_is_recomputed(
    tmp_path: Path, one: tuple[str, int], other: tuple[str, int]
) -> None:
    run = honest()
    assert run.genesis is not None
    salts = with_block(run.genesis.zero_salts, *other, run.genesis.zero_salts[one[0]][one[1]])
    run.genesis = replace(run.genesis, zero_salts=salts)
    report = judge(run, tmp_path, system=_UntouchedSystem())
    refused(report, 6, "a trainer draws a fresh one each time", record=1)
    places = sorted((one, other))
    assert report.failure is not None
    assert all(f"{name} of block {block}" in report.failure.message for name, block in places)


@pytest.mark.parametrize("sizes", [(1, 4, 1), (3, 3), (2, 4), (4, 1, 1)])
def test_step6_a_block_that_is_not_full_is_the_last_of_its_group(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    run = honest()
    assert run.genesis is not None
    starts = accumulate((0, *sizes[:-1]))
    run.edit_header(blocks=tuple(Block(0, start, size) for start, size in zip(starts, sizes, strict=True)))
    salts = iter(range(100))

    def state(name: str) -> tuple[bytes, ...]:
        return tuple(commitment() for _ in sizes)

    run.genesis = Genesis(
        {name: state(name) for name in "WMV"},
        {name: tuple(bytes([next(salts)]) * 256 for _ in sizes) for name in "MV"},
    )
    run.segments, run.close, run.model, run.proofs = [], None, {}, {}
    refused(judge(run, tmp_path, system=_UntouchedSystem()), 6, "is neither full nor the last of its group", record=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"last_step": 7}, "the wrong last step"), ({"segments": 2}, "the wrong number of segments")],
)
def test_step6_close_record_disagrees(tmp_path: Path, changes: dict[str, int], message: str) -> None:
    run = honest()
    assert run.close is not None
    run.close = replace(run.close, **changes)  # type: ignore[arg-type]
    refused(judge(run, tmp_path), 6, message, record=5)


@pytest.mark.parametrize("name", ["W", "M", "V"])
@pytest.mark.parametrize("block", [0, 1])
def test_step6_close_record_has_another_state(tmp_path: Path, name: str, block: int) -> None:
    run = honest()
    assert run.close is not None
    run.close = replace(run.close, state=with_block(run.close.state, name, block, commitment()))
    refused(judge(run, tmp_path), 6, f"not the last state of the chain: {name} of block {block}", record=5)


def test_step6_close_record_of_the_whole_after_a_prefix(tmp_path: Path) -> None:
    run = honest()
    run.segments.pop()
    refused(judge(run, tmp_path), 6, "the wrong last step", record=4)


def sentences(report: Report) -> str:
    return " ".join(report.findings[Step.CHAIN].sentences)


@pytest.mark.parametrize("lengths", [(1, 3, 2), (3, 1, 1, 3), (1,), (3, 3)])
def test_step6_short_segments_anywhere(tmp_path: Path, lengths: tuple[int, ...]) -> None:
    report = judge(honest(lengths=lengths), tmp_path)
    assert report.exit_status == 0
    short = sum(length < 3 for length in lengths)
    assert (f"padded with no-ops: {short}" in sentences(report)) == bool(short)


def test_step6_more_steps_in_a_short_segment_than_were_proved(tmp_path: Path) -> None:
    """A segment of 2 steps can't pass for one of 3: the constants in its statement would be
    others."""
    run = honest(lengths=(2,))
    proofs, hashes = dict(run.proofs), run.segments[0].proofs
    edit(run, 0, last=3, loss=("0.5",) * 3, saturated=(0,) * 3)
    assert run.close is not None
    run.close = replace(run.close, last_step=3)
    run.reprove()
    run.proofs = proofs
    edit(run, 0, proofs=hashes)
    refused(judge(run, tmp_path), 7, "does not verify", record=2)


def test_step6_unfinished_run(tmp_path: Path) -> None:
    run = honest()
    run.close, run.model = None, {}
    report = judge(run, tmp_path)
    assert report.exit_status == 0
    assert "no close record: the run is unfinished" in sentences(report)
    assert any(limit.startswith("unfinished run") for limit in report.limits)
    assert report.summary is not None
    assert not report.summary.finished
    assert "8 steps, unfinished" in report.text()


def test_step6_run_that_has_not_begun(tmp_path: Path) -> None:
    run = honest()
    run.segments, run.close, run.genesis, run.proofs, run.model = [], None, None, {}, {}
    report = judge(run, tmp_path / "header")
    assert (report.verdict, report.exit_status) == ("L0", 3)
    run.genesis = honest().genesis
    report = judge(run, tmp_path / "genesis")
    assert (report.verdict, report.exit_status) == ("L0", 3)
    assert "no step was recorded" in sentences(report)


def test_step6_without_a_checker_the_chain_is_still_followed(tmp_path: Path) -> None:
    run = honest()
    policy = replace(POLICY, srs=frozenset())
    report = judge(run, tmp_path / "whole", policy)
    assert report.findings[Step.CHAIN].status is Status.NOT_SHOWN
    edit(run, 1, state_in=with_block(run.segments[1].state_in, "W", 0, commitment()))
    refused(judge(run, tmp_path / "broken", policy), 6, "the state-in of segment 1", record=3)
