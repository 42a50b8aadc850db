"""What a run of a plan would take: its proofs by the shapes that the provers choose, before anything is made."""

from dataclasses import dataclass
from pathlib import Path

from zk_autograd.core.hyper import Rule
from zk_autograd.core.text import counted
from zk_autograd.optim.options import choose_rule, decays_of, place, read_options
from zk_autograd.prove.choice import HASHED_BLOCK, preset_called, require_fitting
from zk_autograd.train import estimate, selection
from zk_autograd.train.estimate import Estimate
from zk_autograd.train.plan import Plan
from zk_autograd.train.session import loop_of, repeatable, shared_options


@dataclass(frozen=True, slots=True)
class Forecast:
    """`proofs` says in words how many there would be, and of what kind; `rule` is the one that the momentum makes it."""

    rule: Rule
    parameters: int
    proofs: str
    estimate: Estimate


def forecast(plan: Plan, srs: Path | None) -> Forecast:
    """Loads data and model, and makes nothing. UsageError for a plan that can't be begun."""
    require_fitting(plan.prover, srs, plan.preset or None)
    with repeatable():
        groups = selection.parameter_groups(plan, loop_of(plan).model)
    sizes = selection.sizes(groups)
    given = [{**shared_options(plan), **group} for group in groups]
    rule = choose_rule(plan.rule, given)
    options = [read_options(rule, o, place(i)) for i, o in enumerate(given)]
    if plan.prover == "native":
        from zk_autograd.prove.native import shape

        chosen = shape.choose(rule, sizes, plan.steps, preset_called(plan.preset or None))
        found = estimate.native_run(rule, sizes, plan.steps, block=chosen.block, segment_steps=chosen.steps)
        proofs = f"{counted(found.proofs, 'proof')} of up to {chosen.steps} steps with the circuit {chosen.name}"
    elif plan.prover == "ezkl":
        from zk_autograd.prove.ezkl.circuit import catalogue

        circuit = catalogue.choose(rule, sizes, plan.steps, decays=bool(decays_of(options)))
        found = estimate.proved_run(
            rule,
            sizes,
            plan.steps,
            block=circuit.block,
            segment_steps=circuit.steps,
            proof_bytes=circuit.proof_bytes,
        )
        proofs = f"{counted(found.proofs, 'proof')} with the circuit {circuit.name}"
    else:
        from zk_autograd.prove.hashed.backend import HashedBackend

        capacity = HashedBackend(min(HASHED_BLOCK, sum(sizes))).prover
        found = estimate.hashed_run(rule, sizes, plan.steps, block=capacity.block, segment_steps=capacity.steps)
        proofs = "no proofs: the prover none logs hashes only"
    return Forecast(rule, sum(sizes), proofs, found)
