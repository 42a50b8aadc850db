from dataclasses import replace
from fractions import Fraction

import pytest

from zk_autograd.core.errors import VerificationError
from zk_autograd.core.hyper import AdamHyper, Hyper, Rule, SgdHyper, require_fit

ADAM = AdamHyper(Fraction(1, 1000), Fraction(9, 10), Fraction(999, 1000), Fraction(1, 10**8))
SGD = SgdHyper(Fraction(1, 10))


def test_the_names_of_the_rules_are_those_of_the_format() -> None:
    assert [rule.value for rule in Rule] == ["sgd", "sgd-momentum", "sgd-nesterov", "adam", "adamw"]


@pytest.mark.parametrize("name", ["lr", "beta1", "beta2", "eps", "weight_decay"])
def test_a_negative_hyper_parameter_of_adam_is_refused(name: str) -> None:
    with pytest.raises(VerificationError, match=f"{name} is negative.*found -0.5"):
        replace(ADAM, **{name: Fraction(-1, 2)})


@pytest.mark.parametrize("name", ["lr", "momentum", "weight_decay"])
def test_a_negative_hyper_parameter_of_sgd_is_refused(name: str) -> None:
    with pytest.raises(VerificationError, match=f"{name} is negative.*found -0.5"):
        replace(SGD, **{name: Fraction(-1, 2)})


@pytest.mark.parametrize(
    ("rule", "hyper", "message"),
    [
        (Rule.ADAM, SGD, "expected AdamHyper, found SgdHyper"),
        (Rule.ADAMW, SGD, "expected AdamHyper, found SgdHyper"),
        (Rule.SGD, ADAM, "expected SgdHyper, found AdamHyper"),
        (Rule.SGD_MOMENTUM, ADAM, "expected SgdHyper, found AdamHyper"),
        (Rule.NESTEROV, ADAM, "expected SgdHyper, found AdamHyper"),
        (Rule.ADAM, replace(ADAM, weight_decay=Fraction(1, 100)), "choose adamw.*found 0.01"),
        (Rule.SGD, replace(SGD, momentum=Fraction(9, 10)), "choose sgd-momentum.*found 0.9"),
    ],
)
def test_hyper_parameters_of_another_rule_are_refused(rule: Rule, hyper: Hyper, message: str) -> None:
    with pytest.raises(VerificationError, match=message):
        require_fit(rule, hyper)


@pytest.mark.parametrize(
    ("rule", "hyper"),
    [
        (Rule.ADAM, ADAM),
        (Rule.ADAMW, replace(ADAM, weight_decay=Fraction(1, 100))),
        (Rule.SGD, replace(SGD, weight_decay=Fraction(1, 100))),
        (Rule.SGD_MOMENTUM, replace(SGD, momentum=Fraction(9, 10))),
        (Rule.NESTEROV, replace(SGD, momentum=Fraction(9, 10))),
    ],
)
def test_hyper_parameters_of_the_rule_fit(rule: Rule, hyper: Hyper) -> None:
    require_fit(rule, hyper)
