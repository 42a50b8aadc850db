"""What a run of a plan would take: its proofs, by the shapes that the provers choose, before
anything is created."""

from dataclasses import dataclass
from pathlib import Path

from zk_autograd.core.backends import BACKENDS
from zk_autograd.core.hyper import Rule
from zk_autograd.core.text import counted
from zk_autograd.optim.options import choose_rule, decays_of, place, read_options
from zk_autograd.prove.choice import choice_of, require_fitting
from zk_autograd.prove.protocol import Wanted
from zk_autograd.train import estimate, selection
from zk_autograd.train.estimate import Estimate
from zk_autograd.train.plan import Plan
from zk_autograd.train.session import loop_of, repeatable


@dataclass(frozen=True, slots=True)
class Forecast:
    """`proofs` says in words how many there would be, and of what kind; `rule` is the one that
    follows from the momentum."""

    rule: Rule
    parameters: int
    proofs: str
    estimate: Estimate


def forecast(plan: Plan, srs: Path | None) -> Forecast:
    """Loads data and model, and creates nothing. UsageError for a plan that can't be begun."""
    require_fitting(plan.prover, srs, plan.preset or None)
    with repeatable():
        groups = selection.parameter_groups(plan, loop_of(plan).model)
    sizes = selection.sizes(groups)
    given = [{**plan.shared_options(), **group} for group in groups]
    rule = choose_rule(plan.rule, given)
    options = [read_options(rule, o, place(i)) for i, o in enumerate(given)]
    decays = bool(decays_of(options))
    planned = choice_of(plan.prover).planned(Wanted(rule, sizes, plan.steps, plan.preset or None, decays))
    found = estimate.of_run(plan.prover, rule, sizes, plan.steps, planned)
    count = counted(found.proofs, "proof") if BACKENDS[plan.prover].proves else "no proofs:"
    proofs = f"{count} {planned.words}"
    return Forecast(rule, sum(sizes), proofs, found)
