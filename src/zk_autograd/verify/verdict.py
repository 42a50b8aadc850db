"""Step 11, Verdict: the union of what the steps showed, against what the policy asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zk_autograd.verify.outcome import RESTS_ON, SAMPLES, Finding, Level, Outcome, Status, Step
from zk_autograd.verify.policy import Policy

if TYPE_CHECKING:
    from zk_autograd.verify.replayed import Replayed


@dataclass(frozen=True, slots=True)
class Verdict:
    """The levels that were reached, whether those required are among them, why all that is less
    than was asked for (nothing if it isn't), what to do about it, and the step's own outcome."""

    levels: frozenset[Level]
    reached: bool
    missing: tuple[str, ...]
    fix: str
    outcome: Outcome


def decide(outcomes: Mapping[Step, Outcome], policy: Policy, replayed: "Replayed | None" = None) -> Verdict:
    """Step 11, over the outcomes of the steps before it, none of which failed; `replayed` is what
    step 9 computed again.

    A level is reached if steps show it and those that it rests on, and no step keeps one of them
    from being reached.
    """
    shown = {level for outcome in outcomes.values() for level in outcome.shown}
    kept = {level for outcome in outcomes.values() for level in outcome.missing}
    levels = frozenset(level for level in shown if RESTS_ON[level] <= shown and not kept & {level, *RESTS_ON[level]})
    # The auditor accepts a sample in place of all proofs, or of all segments: L1-sampled is then
    # required instead of L1, L3-sampled instead of L3.
    accepted = set(SAMPLES) if policy.accept_sample else set()
    few = Level.L3 in accepted and replayed is not None and _too_few(policy, replayed)
    if few:
        accepted.remove(Level.L3)
    required = {SAMPLES[level] if level in accepted and SAMPLES[level] in shown else level for level in policy.require}
    asked_for = {needed for level in required for needed in (level, *RESTS_ON[level])}
    missing: list[str] = []
    fix = ""
    for outcome in outcomes.values():
        reasons = [why for level, why in outcome.missing.items() if level in asked_for] + list(outcome.withheld)
        missing += reasons
        fix = fix or (outcome.fix or reasons[0] if reasons else "")
    if few:
        assert replayed is not None
        missing.append(
            f"the policy takes no fewer than {policy.segments} segments of a challenge for all {replayed.count}, and {len(replayed.drawn)} were drawn"
        )
    # A level isn't reached just because no step says why it wasn't.
    if not missing:
        missing += [f"{level.value} was not reached" for level in sorted(required - levels, key=lambda x: x.value)]
    asked = " and ".join(sorted(level.value for level in policy.require))
    finding = (
        Finding(Status.NOT_SHOWN, (f"asked for {asked}: not all of it was shown",))
        if missing
        else Finding(Status.PASSED, (f"asked for {asked}: shown",))
    )
    return Verdict(levels, required <= levels, tuple(missing), fix if missing else "", Outcome(finding))


def _too_few(policy: Policy, replayed: "Replayed") -> bool:
    """Whether a challenge drew fewer segments than the policy takes for all."""
    return not replayed.whole and len(replayed.drawn) < min(policy.segments or 0, replayed.count)
