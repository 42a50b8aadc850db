"""The update rules by name, and their hyper-parameters as exact numbers.

A hyper-parameter is a decimal that `decimals.parse_decimal` reads: never a float, so that a trainer
and a verifier start from the same number. `constants` says which integer it leads to, and which
values are too large.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum
from fractions import Fraction
from typing import TypeAlias

from zk_autograd.core.decimals import decimal_text, parse_decimal, rounded
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


_DIGITS = 6
"""Of a decimal that is shown."""


def of_own_examples(batch_size: int, log_batch: int, rule: Rule, hyper: Mapping[str, str]) -> dict[str, str]:
    """What dividing a batch's sum by 2^log_batch, not by its `batch_size` examples, makes of the
    hyper-parameters (decimals), for the mean over the examples: lr for SGD, with momentum or not;
    eps for Adam, AdamW and RMSprop. Decimals of 6 digits; empty where a batch is a power of two,
    and for Lion."""
    share = Fraction(batch_size, 2**log_batch)
    if share == 1 or rule is Rule.LION:
        return {}
    name = "lr" if "eps" not in hyper else "eps"
    value = parse_decimal(hyper[name], name)
    return {name: decimal_text(rounded(value * share if name == "lr" else value / share, _DIGITS))}


Hyper: TypeAlias = SgdHyper | AdamHyper | LionHyper | RmspropHyper


def require_not_negative(name: str, value: Fraction) -> None:
    """Raises VerificationError if the hyper-parameter `name` is below 0."""
    if value.numerator < 0:  # ten times as fast as comparing fractions
        raise VerificationError(f"{name} is negative", expected="at least 0", found=decimal_text(value))
