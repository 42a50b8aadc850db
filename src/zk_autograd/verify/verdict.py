"""Step 11, Verdict: the union of what the steps showed, against what the policy asks for."""

from collections.abc import Mapping
from dataclasses import dataclass

from zk_autograd.verify.outcome import RESTS_ON, SAMPLES, Finding, Level, Outcome, Status, Step
from zk_autograd.verify.policy import Policy


@dataclass(frozen=True, slots=True)
class Verdict:
    """The levels that were reached, whether those required are among them, why all that is less
    than was asked for (nothing if it isn't), what to do about it, and the step's own outcome."""

    levels: frozenset[Level]
    reached: bool
    missing: tuple[str, ...]
    fix: str
    outcome: Outcome


def decide(outcomes: Mapping[Step, Outcome], policy: Policy) -> Verdict:
    """Step 11, over the outcomes of the steps before it, none of which failed.

    A level is reached if steps show it and those that it rests on, and no step keeps one of them
    from being reached.
    """
    shown = {level for outcome in outcomes.values() for level in outcome.shown}
    kept = {level for outcome in outcomes.values() for level in outcome.missing}
    levels = frozenset(level for level in shown if RESTS_ON[level] <= shown and not kept & {level, *RESTS_ON[level]})
    # The auditor accepts a sample in place of all proofs, or of all segments: L1-sampled is then
    # required instead of L1, L3-sampled instead of L3.
    required = {
        SAMPLES[level] if policy.accept_sample and SAMPLES.get(level) in shown else level for level in policy.require
    }
    asked_for = {needed for level in required for needed in (level, *RESTS_ON[level])}
    missing: list[str] = []
    fix = ""
    for outcome in outcomes.values():
        reasons = [why for level, why in outcome.missing.items() if level in asked_for] + list(outcome.withheld)
        missing += reasons
        fix = fix or (outcome.fix or reasons[0] if reasons else "")
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
