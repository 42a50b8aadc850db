"""The circuits' variants by what they have in common, and a start and constants for any of them: an
attack is made on each that it is about."""

from dataclasses import replace
from typing import TypeVar

from attacks.tools.segment import State
from zk_autograd.core.constants import StepConstants
from zk_autograd.core.hyper import Rule
from zk_autograd.prove.ezkl.circuit.variants import CIRCUITS

ADAMS = tuple(name for name, circuit in CIRCUITS.items() if circuit.rule in (Rule.ADAM, Rule.ADAMW))
SGDS = tuple(name for name in CIRCUITS if name not in ADAMS)
BUFFERED = tuple(name for name in SGDS if CIRCUITS[name].rule is not Rule.SGD)
NESTEROVS = tuple(name for name in SGDS if CIRCUITS[name].rule is Rule.NESTEROV)
DECAYING = tuple(name for name, circuit in CIRCUITS.items() if circuit.decays)

DECAY = 53_687
"""D for lr 0.005 and a weight decay of 0.01."""

_START = {"W": 12_345, "M": 987_654_321, "V": 10**6, "B": 54_321}

Constants = TypeVar("Constants", bound=StepConstants)


def start(variant: str, **values: int) -> State:
    """One element's state, with these values; those of other rules are left out."""
    return {name: (_START | values)[name] for name in CIRCUITS[variant].relations.states}


def under(variant: str, constants: Constants, decay: int = DECAY) -> Constants:
    """The constants with weight decay, where the variant has lines for it."""
    return replace(constants, D=decay if CIRCUITS[variant].decays else 0)
