"""The update rules by name, and their hyper-parameters as exact numbers.

A hyper-parameter is a decimal that `decimals.parse_decimal` reads: never a float, so that a trainer
and a verifier start from the same number. `constants` says which integer it leads to, and which
values are too large.
"""

from dataclasses import dataclass, fields
from enum import Enum
from fractions import Fraction
from typing import TypeAlias

from zk_autograd.core.decimals import decimal_text
from zk_autograd.core.errors import VerificationError


class Rule(Enum):
    """The update rules; the values are their names in a run's header."""

    SGD = "sgd"
    SGD_MOMENTUM = "sgd-momentum"
    NESTEROV = "sgd-nesterov"
    ADAM = "adam"
    ADAMW = "adamw"
    LION = "lion"
    RMSPROP = "rmsprop"


@dataclass(frozen=True, slots=True)
class SgdHyper:
    """Hyper-parameters of the three SGD rules. `weight_decay` is decoupled; `momentum` is 0 for
    plain SGD.

    Raises VerificationError if one is negative.
    """

    lr: Fraction
    momentum: Fraction = Fraction(0)
    weight_decay: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        for field in fields(self):
            require_not_negative(field.name, getattr(self, field.name))


@dataclass(frozen=True, slots=True)
class AdamHyper:
    """Hyper-parameters of Adam and AdamW. `weight_decay` is decoupled, and 0 for Adam.

    Raises VerificationError if one is negative.
    """

    lr: Fraction
    beta1: Fraction
    beta2: Fraction
    eps: Fraction
    weight_decay: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        for field in fields(self):
            require_not_negative(field.name, getattr(self, field.name))


@dataclass(frozen=True, slots=True)
class LionHyper:
    """Hyper-parameters of Lion. `weight_decay` is decoupled.

    Raises VerificationError if one is negative.
    """

    lr: Fraction
    beta1: Fraction
    beta2: Fraction
    weight_decay: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        for field in fields(self):
            require_not_negative(field.name, getattr(self, field.name))


@dataclass(frozen=True, slots=True)
class RmspropHyper:
    """Hyper-parameters of RMSprop. `weight_decay` is decoupled.

    Raises VerificationError if one is negative.
    """

    lr: Fraction
    alpha: Fraction
    eps: Fraction
    weight_decay: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        for field in fields(self):
            require_not_negative(field.name, getattr(self, field.name))


Hyper: TypeAlias = SgdHyper | AdamHyper | LionHyper | RmspropHyper


def require_not_negative(name: str, value: Fraction) -> None:
    """Raises VerificationError if the hyper-parameter `name` is below 0."""
    if value.numerator < 0:  # ten times as fast as comparing fractions
        raise VerificationError(f"{name} is negative", expected="at least 0", found=decimal_text(value))
