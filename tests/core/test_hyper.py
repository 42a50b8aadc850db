from dataclasses import replace
from fractions import Fraction

import pytest

from zk_autograd.core.errors import VerificationError
from zk_autograd.core.hyper import AdamHyper, LionHyper, RmspropHyper, Rule, SgdHyper

ADAM = AdamHyper(Fraction(1, 1000), Fraction(9, 10), Fraction(999, 1000), Fraction(1, 10**8))
SGD = SgdHyper(Fraction(1, 10))


def test_the_names_of_the_rules_are_those_of_the_format() -> None:
    assert [rule.value for rule in Rule] == ["sgd", "sgd-momentum", "sgd-nesterov", "adam", "adamw", "lion", "rmsprop"]


@pytest.mark.parametrize("name", ["lr", "beta1", "beta2", "eps", "weight_decay"])
def test_a_negative_hyper_parameter_of_adam_is_refused(name: str) -> None:
    with pytest.raises(VerificationError, match=f"{name} is negative.*found -0.5"):
        replace(ADAM, **{name: Fraction(-1, 2)})


@pytest.mark.parametrize("name", ["lr", "momentum", "weight_decay"])
def test_a_negative_hyper_parameter_of_sgd_is_refused(name: str) -> None:
    with pytest.raises(VerificationError, match=f"{name} is negative.*found -0.5"):
        replace(SGD, **{name: Fraction(-1, 2)})


@pytest.mark.parametrize("name", ["lr", "beta1", "beta2", "weight_decay"])
def test_a_negative_hyper_parameter_of_lion_is_refused(name: str) -> None:
    with pytest.raises(VerificationError, match=f"{name} is negative.*found -0.5"):
        replace(LionHyper(Fraction(1), Fraction(0), Fraction(0)), **{name: Fraction(-1, 2)})


@pytest.mark.parametrize("name", ["lr", "alpha", "eps", "weight_decay"])
def test_a_negative_hyper_parameter_of_rmsprop_is_refused(name: str) -> None:
    with pytest.raises(VerificationError, match=f"{name} is negative.*found -0.5"):
        replace(RmspropHyper(Fraction(1), Fraction(0), Fraction(0)), **{name: Fraction(-1, 2)})
