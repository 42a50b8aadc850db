"""The circuits by variant: each is a list of parts. A variant is a rule, or an SGD rule with weight
decay.

An AdamW, RMSprop or Lion without decay takes its rule's one circuit, where D may be 0; an SGD rule
without decay takes the cheaper circuit without decay's lines.
"""

from zk_autograd.core.errors import UsageError
from zk_autograd.core.hyper import Rule
from zk_autograd.prove.ezkl.circuit import adam, lion, rmsprop, sgd
from zk_autograd.prove.ezkl.circuit.part import Part, RuleCircuit, composed
from zk_autograd.prove.ezkl.circuit.weights import (
    BOTH_ENDS,
    DECAY,
    FLOOR,
    FLOOR_OF_KEPT,
    GRADIENT,
    LAST_END,
    LAST_END_OF_KEPT,
    MOVED,
    MOVED_AND_DECAYED,
)

_DECAYING = "-decay"
_ADAM = (adam.SQUARE, GRADIENT, adam.FIRST_MOMENT, adam.SECOND_MOMENT)
_SGD: dict[Rule, tuple[tuple[Part, ...], Part]] = {
    Rule.SGD: ((GRADIENT,), sgd.FROM_GRADIENT),
    Rule.SGD_MOMENTUM: ((GRADIENT, sgd.BUFFER), sgd.FROM_BUFFER),
    Rule.NESTEROV: ((GRADIENT, sgd.BUFFER, sgd.AHEAD), sgd.FROM_AHEAD),
}


def _of_adam(rule: Rule, *parts: Part, decays: bool) -> RuleCircuit:
    return composed(rule.value, rule, (*_ADAM, *parts), adam.LAST, decays=decays)


def _of_rmsprop() -> RuleCircuit:
    parts = (adam.SQUARE, GRADIENT, adam.SECOND_MOMENT, MOVED_AND_DECAYED, rmsprop.QUOTIENT, FLOOR, DECAY, LAST_END)
    return composed(Rule.RMSPROP.value, Rule.RMSPROP, parts, adam.LAST, decays=True)


def _of_lion() -> RuleCircuit:
    parts = (GRADIENT, lion.MOMENT, lion.SIGN, FLOOR_OF_KEPT, lion.DECAYED, LAST_END_OF_KEPT)
    return composed(Rule.LION.value, Rule.LION, parts, lion.LAST, decays=True)


def _of_sgd(rule: Rule) -> tuple[RuleCircuit, RuleCircuit]:
    before, quotient = _SGD[rule]
    still = (*before, MOVED, quotient, BOTH_ENDS)
    decayed = (*before, MOVED_AND_DECAYED, quotient, FLOOR, DECAY, LAST_END)
    return (
        composed(rule.value, rule, still, sgd.LAST, decays=False),
        composed(rule.value + _DECAYING, rule, decayed, sgd.LAST, decays=True),
    )


CIRCUITS: dict[str, RuleCircuit] = {
    circuit.relations.rule: circuit
    for circuit in (
        _of_adam(Rule.ADAM, MOVED, adam.QUOTIENT, BOTH_ENDS, decays=False),
        _of_adam(Rule.ADAMW, MOVED_AND_DECAYED, adam.QUOTIENT, FLOOR, DECAY, LAST_END, decays=True),
        *(circuit for rule in _SGD for circuit in _of_sgd(rule)),
        _of_rmsprop(),
        _of_lion(),
    )
}
"""Each variant's circuit."""


def variant_of(rule: Rule, *, decays: bool) -> str:
    """The cheapest variant for runs of `rule`; `decays` is whether a group has weight decay.
    UsageError for a rule without a circuit."""
    for name, circuit in CIRCUITS.items():
        if circuit.rule is rule and circuit.decays >= decays:
            return name
    known = ", ".join(dict.fromkeys(circuit.rule.value for circuit in CIRCUITS.values()))
    raise UsageError(
        f'the prover ezkl has no circuit for the rule {rule.value}, only for {known}: take the prover "native"'
    )
