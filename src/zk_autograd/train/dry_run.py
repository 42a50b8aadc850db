"""What a run of a plan would take: its proofs, by the shapes that the provers choose, and its time
and disk, by a rehearsal that leaves nothing behind.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from zk_autograd.core.backends import BACKENDS
from zk_autograd.core.decimals import parse_decimal
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import Header
from zk_autograd.core.text import counted
from zk_autograd.optim import recording
from zk_autograd.prove.choice import choice_of, require_fitting
from zk_autograd.prove.protocol import Planned, Wanted
from zk_autograd.run.writer import BACKLOG
from zk_autograd.train import estimate, rehearsal
from zk_autograd.train.estimate import Estimate, Proving
from zk_autograd.train.plan import Plan
from zk_autograd.train.session import repeatable
from zk_autograd.train.settings import Machine


@dataclass(frozen=True, slots=True)
class Forecast:
    """`proofs` says in words how many there would be, and of what kind; `rule` is the one that
    follows from the momentum."""

    rule: Rule
    parameters: int
    proofs: str
    estimate: Estimate


def forecast(plan: Plan, srs: Path | None, run: Path, machine: Machine) -> Forecast:
    """Loads data and model, and takes the first steps of a run that would lie at `run`; nothing of
    it stays. UsageError for a plan that can't be begun; GradientError, RangeError for one that
    fails at its first steps; RunError and ProverError where it can't be recorded or proved."""
    require_fitting(plan.prover, srs, plan.preset or None)
    with repeatable(), rehearsal.place_near(recording.place_called(run)) as (folder, there):
        rehearsed = rehearsal.rehearse(plan, machine, folder, there=there)
        header = rehearsed.header
        sizes = [sum(p.size for p in header.parameters if p.group == index) for index in range(len(header.groups))]
        wanted = Wanted(header.rule, sizes, plan.steps, plan.preset or None, _decays(header))
        planned = choice_of(plan.prover).planned(wanted)
        proving = _proving(plan, wanted, planned, folder)
    found = estimate.of_run(
        plan.prover,
        header.rule,
        sizes,
        plan.steps,
        planned,
        rehearsed,
        proving,
        cores=_cores(),
        backlog=BACKLOG,
        shard_steps=_shard_steps(header),
    )
    count = counted(found.proofs, "proof") if BACKENDS[plan.prover].proves else "no proofs:"
    proofs = f"{count} {planned.words}"
    return Forecast(header.rule, header.size, proofs, found)


def _proving(plan: Plan, wanted: Wanted, planned: Planned, folder: Path) -> Proving:
    """By proofs made here, where that doesn't take long; else by what the backend says."""
    sample = choice_of(plan.prover).sample(wanted)
    if sample is None:
        cost = planned.cost
        return Proving(cost.proof_seconds, 0, f"proofs: {cost.basis}; no proof was made here")
    times = rehearsal.time_proofs(plan, sample, folder)
    each = sample.times * times.each
    return Proving(
        each, times.first, f"{sample.words} just now: {times.each:.2f} s each, {each:.1f} s for one of the run"
    )


def _shard_steps(header: Header) -> int | None:
    """After how many steps, at least, a shard of the data ends; None if it doesn't, as where there
    is one alone."""
    if header.exact is None or len(header.shards.counts) == 1:
        return None
    return min(header.shards.counts) // header.data.batch_size


def _decays(header: Header) -> bool:
    """Whether a group has weight decay."""
    texts = (dict(group.hyper).get("weight_decay", "0") for group in header.groups)
    return any(parse_decimal(text, "weight_decay") for text in texts)


def _cores() -> int:
    return len(os.sched_getaffinity(0))
