"""The circuits' variants by what they have in common, and a start and constants for any of them: an
attack is made on each that it is about."""

from dataclasses import replace

from attacks.tools.segment import State
from zk_autograd.core.constants import AdamConstants, LionConstants, RmspropConstants, StepConstants
from zk_autograd.core.hyper import Rule
from zk_autograd.prove.ezkl.circuit.variants import CIRCUITS

ADAMS = tuple(name for name, circuit in CIRCUITS.items() if circuit.rule in (Rule.ADAM, Rule.ADAMW))
ROOTED = tuple(name for name, circuit in CIRCUITS.items() if "V" in circuit.relations.states)
"""Adam's and RMSprop's, which divide by a root."""
LIONS = tuple(name for name, circuit in CIRCUITS.items() if circuit.rule is Rule.LION)
SGDS = tuple(name for name, circuit in CIRCUITS.items() if circuit.rule in (Rule.SGD, Rule.SGD_MOMENTUM, Rule.NESTEROV))
BUFFERED = tuple(name for name in SGDS if CIRCUITS[name].rule is not Rule.SGD)
NESTEROVS = tuple(name for name in SGDS if CIRCUITS[name].rule is Rule.NESTEROV)
DECAYING = tuple(name for name, circuit in CIRCUITS.items() if circuit.decays)

DECAY = 53_687
"""D for lr 0.005 and a weight decay of 0.01."""

_START = {"W": 12_345, "M": 987_654_321, "V": 10**6, "B": 54_321}


def start(variant: str, **values: int) -> State:
    """One element's state, with these values; those of other rules are left out."""
    return {name: (_START | values)[name] for name in CIRCUITS[variant].relations.states}


def suited(variant: str, constants: StepConstants) -> StepConstants:
    """Adam's constants as the variant has them: those that it has no use for are left out."""
    rule, c = CIRCUITS[variant].rule, constants
    if rule is Rule.RMSPROP and isinstance(c, AdamConstants):
        return RmspropConstants(c.c2, c.LR, c.E, c.D)
    if rule is Rule.LION and isinstance(c, AdamConstants):
        return LionConstants(c.c1, c.c2, c.LR, c.D)
    return constants


def under(variant: str, constants: StepConstants, decay: int = DECAY) -> StepConstants:
    """The constants, suited to the variant, with weight decay where it has lines for it."""
    return replace(suited(variant, constants), D=decay if CIRCUITS[variant].decays else 0)
