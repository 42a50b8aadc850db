"""What a policy demands of a run beyond levels: the one form of a demand, and of its answer.

A demand is a value (verify.demands has the kinds), named after the policy's field, and it belongs
to the step that knows what it asks about. It is answered when no step has failed: a run in which
something is false meets nothing. A demand that isn't met is *less shown than asked for*, not a
failure: nothing in the run is false.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from zk_autograd.core.keys import PublicKey
from zk_autograd.core.records import Log
from zk_autograd.core.trust import Trust
from zk_autograd.verify.anchoring import NOTHING, Anchoring
from zk_autograd.verify.outcome import Finding, Level, Outcome, Status, Step


@dataclass(frozen=True, slots=True)
class Facts:
    """What the steps found, as values: the records of the view that counts, the pinned keys that
    signed it, what the proofs rest on (None: there are none, or nothing is known of it), the levels
    that step 7 showed, how the published model's part of step 10 ended, what is known of register
    and anchors, how many records the view has, and whether the auditor pinned a key."""

    log: Log
    signers: tuple[PublicKey, ...]
    trust: Trust | None
    proved: frozenset[Level]
    model: Status
    anchoring: Anchoring = NOTHING
    size: int = 0
    pinned: bool = True

    @property
    def steps(self) -> int:
        """The last step of the optimizer in this view."""
        return self.log.segments[-1].last if self.log.segments else 0


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether a demand is met, None if it doesn't concern this run, and what was found: a phrase in
    which texts from the run are quoted."""

    met: bool | None
    found: str


class Demand(Protocol):
    """One demand. `field` is its name in the policy, `expected` a phrase such as "at least 100";
    `claimed`: what it looks at is the trainer's word."""

    @property
    def field(self) -> str: ...

    @property
    def step(self) -> Step: ...

    @property
    def claimed(self) -> bool: ...

    @property
    def expected(self) -> str: ...

    def answer(self, facts: Facts) -> Answer:
        """The answer. Nothing is raised, whatever the records hold."""
        ...


@dataclass(frozen=True, slots=True)
class Checked:
    """A demand and its answer. `met` and `found` are None if it was not looked at."""

    field: str
    expected: str
    claimed: bool = False
    met: bool | None = None
    found: str | None = None


@dataclass(frozen=True, slots=True)
class PolicyChecked:
    """What became of a policy file: its SHA-256 and each of its demands."""

    digest: bytes
    demands: tuple[Checked, ...]


def levels_checked(required: frozenset[Level], reached: frozenset[Level], met: bool) -> Checked:
    """The levels that the policy requires, as an answered demand."""
    asked, found = (" and ".join(sorted(level.value for level in levels)) for levels in (required, reached))
    return Checked("require", asked, met=met, found=found or "none")


def unchecked(demands: Sequence[Demand]) -> tuple[Checked, ...]:
    """The demands of a run that failed, or could not be judged."""
    return tuple(Checked(demand.field, demand.expected, demand.claimed) for demand in demands)


def answered(
    demands: Sequence[Demand], facts: Facts, outcomes: Mapping[Step, Outcome]
) -> tuple[dict[Step, Outcome], tuple[Checked, ...]]:
    """The steps' outcomes with the answers to the demands that belong to them, and the answers."""
    found, checked = dict(outcomes), []
    for demand in demands:
        answer = demand.answer(facts)
        checked.append(Checked(demand.field, demand.expected, demand.claimed, answer.met, answer.found))
        found[demand.step] = _with(found[demand.step], checked[-1])
    return found, tuple(checked)


def _with(outcome: Outcome, checked: Checked) -> Outcome:
    found = f"found {checked.found}"
    if checked.met is None:
        found = f"which does not concern this run: {checked.found}"
    elif checked.claimed:
        found = f"the trainer claims {checked.found}"
    what = f"policy, {checked.field}: asked for {checked.expected}, {found}"
    limits, status, fix = outcome.limits, outcome.finding.status, outcome.fix
    if checked.met is False:
        status = Status.NOT_SHOWN
        fix = fix or f"this run is not what your policy asks for ({checked.field}): take another run"
    if checked.met and checked.claimed:
        limits = (*limits, f"policy, {checked.field}: met by what the trainer claims, which nothing shows")
    return replace(
        outcome,
        finding=Finding(status, (*outcome.finding.sentences, what)),
        withheld=(*outcome.withheld, what) if checked.met is False else outcome.withheld,
        fix=fix,
        limits=limits,
    )
