import json
from dataclasses import asdict, replace
from decimal import Decimal, localcontext
from fractions import Fraction
from math import isqrt
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core import make_constants_vectors
from tests.core import oracle_rules as oracle
from zk_autograd.core.constants import (
    AdamConstants,
    AdamSequence,
    ConstantsSequence,
    LionConstants,
    LionSequence,
    RmspropConstants,
    RmspropSequence,
    SgdConstants,
    SgdSequence,
    StepConstants,
    choose_s,
    from_numbers,
    numbers,
)
from zk_autograd.core.decimals import decimal_text, parse_decimal
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.hyper import AdamHyper, Hyper, LionHyper, RmspropHyper, Rule, SgdHyper
from zk_autograd.core.rules.families import FAMILIES, constants_sequence
from zk_autograd.core.schedules import parse

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "data" / "constants_vectors.json").read_text(encoding="utf-8")
)
EACH_RUN = pytest.mark.parametrize("run", VECTORS, ids=lambda run: f"{run['rule']}-k{run['k']}")
EACH_ADAM_RUN = pytest.mark.parametrize(
    "run", [run for run in VECTORS if "P1" in run["steps"][0]], ids=lambda run: f"{run['rule']}-k{run['k']}"
)
ADAM = AdamHyper(Fraction(1, 1000), Fraction(9, 10), Fraction(999, 1000), Fraction(1, 10**8))
SGD = SgdHyper(Fraction(1, 10))
LION = LionHyper(Fraction(1, 10**4), Fraction(9, 10), Fraction(99, 100))
RMSPROP = RmspropHyper(Fraction(1, 100), Fraction(99, 100), Fraction(1, 10**8))


def sequences(k: int = 8) -> list[ConstantsSequence]:
    """One of each kind."""
    return [AdamSequence(ADAM, k), SgdSequence(SGD, k, 30), LionSequence(LION, k), RmspropSequence(RMSPROP, k)]


def hyper_of(rule: Rule, texts: dict[str, str]) -> Hyper:
    values = {name: parse_decimal(text, name) for name, text in texts.items()}
    return FAMILIES[rule].hyper(**values)


def sequence_of(run: dict[str, Any]) -> ConstantsSequence:
    rule = Rule(run["rule"])
    return constants_sequence(rule, hyper_of(rule, run["hyper"]), run["k"], run.get("s") or 0)


@EACH_RUN
def test_constants_equal_the_vectors_up_to_a_million_steps(run: dict[str, Any]) -> None:
    sequence = sequence_of(run)
    for step in run["steps"]:
        constants = asdict(sequence.at(step["t"], parse_decimal(step["lr"], "lr")))
        assert constants == {name: step[name] for name in constants}
    assert run["steps"][-1]["t"] == 10**6


@EACH_ADAM_RUN
def test_every_bit_of_the_bias_correction_equals_the_vectors(run: dict[str, Any]) -> None:
    sequence = sequence_of(run)
    assert isinstance(sequence, AdamSequence)
    for step in run["steps"]:
        bits = sequence.bias_correction(step["t"])
        found = [bits.power1, bits.power2, bits.root, bits.ratio]
        assert found == [int(step[name], 16) for name in ("P1", "P2", "Q", "F")]


def test_the_vectors_are_what_their_generator_makes() -> None:
    for run, made in zip(VECTORS, make_constants_vectors.vectors(last=1000), strict=True):
        steps = [step for step in run["steps"] if step["t"] <= 1000]
        assert {**run, "steps": steps} == made


@EACH_ADAM_RUN
def test_constants_are_the_real_numbers_rounded(run: dict[str, Any]) -> None:
    """The powers' floors are 2^-230 or so in all: the integers are those that unlimited precision
    gives."""
    hyper = {name: Decimal(text) for name, text in run["hyper"].items()}
    with localcontext() as context:
        context.prec = 150
        for step in run["steps"]:
            beta1, beta2 = (1 - Decimal(step[c]) / 2**15 for c in ("c1", "c2"))
            t, lr = step["t"], Decimal(step["lr"])
            root = (1 - beta2**t).sqrt()
            rate = lr * root / (1 - beta1**t) * 2**32
            assert abs(step["LR"] - rate) <= Decimal("0.5")
            eps = hyper["eps"] * root * Decimal(2) ** (run["k"] + 28)
            assert abs(step["E"] - eps) <= Decimal("0.5") or eps < step["E"] == isqrt(2**15 // step["c2"]) + 1
            assert abs(step["D"] - lr * hyper["weight_decay"] * 2**30) <= Decimal("0.5")


def test_default_adam_at_its_first_steps() -> None:
    sequence = constants_sequence(Rule.ADAM, ADAM, 8)
    assert sequence.at(1) == AdamConstants(c1=3277, c2=33, LR=1362904, E=32, D=0)
    assert sequence.at(1_000_000) == AdamConstants(c1=3277, c2=33, LR=4294967, E=687, D=0)


def test_adam_and_adamw_differ_in_the_decay_alone() -> None:
    adam = constants_sequence(Rule.ADAM, ADAM, 8).at(5)
    adamw = constants_sequence(Rule.ADAMW, replace(ADAM, weight_decay=Fraction(1, 100)), 8).at(5)
    assert isinstance(adam, AdamConstants)
    assert adamw == replace(adam, D=10737)


def test_constants_depend_on_the_step_and_not_on_the_order_of_asking() -> None:
    sequence = AdamSequence(ADAM, 8)
    there = [sequence.at(t) for t in (1, 2, 3, 50, 51)]
    back = [sequence.at(t) for t in (51, 50, 3, 2, 1)]
    assert there == back[::-1] == [AdamSequence(ADAM, 8).at(t) for t in (1, 2, 3, 50, 51)]
    assert len(set(there)) == 5


def test_the_learning_rate_of_a_step_replaces_the_hyper_parameter() -> None:
    for sequence in (AdamSequence(ADAM, 8), SgdSequence(SGD, 8, 30)):
        halved = sequence.hyper.lr / 2
        other = constants_sequence(
            Rule.ADAM if isinstance(sequence, AdamSequence) else Rule.SGD,
            replace(sequence.hyper, lr=halved),
            8,
            0 if isinstance(sequence, AdamSequence) else 30,
        )
        assert sequence.at(3, halved) == other.at(3) != sequence.at(3)


def test_an_absurd_step_number_ends() -> None:
    sequence = AdamSequence(replace(ADAM, beta1=Fraction(3, 4), beta2=Fraction(3, 4)), 8)
    assert sequence.at(10**15) == AdamConstants(c1=8192, c2=8192, LR=4294967, E=687, D=0)
    assert sequence.at(10) != sequence.at(10**15)


@pytest.mark.parametrize("t", [0, -1])
def test_steps_are_counted_from_one(t: int) -> None:
    for sequence in sequences():
        with pytest.raises(VerificationError, match=f"number of a step.*expected at least 1, found {t}"):
            sequence.at(t)


def test_a_negative_learning_rate_of_a_step_is_refused() -> None:
    for sequence in sequences():
        with pytest.raises(VerificationError, match="lr is negative"):
            sequence.at(1, Fraction(-1, 10**30))


LARGEST_BETA = 1 - Fraction(1, 2**16)
TINY = Fraction(1, 10**30)


@pytest.mark.parametrize("name", ["beta1", "beta2"])
def test_a_beta_whose_complement_rounds_to_nothing_is_refused(name: str) -> None:
    AdamSequence(replace(ADAM, **{name: LARGEST_BETA}), 8)
    AdamSequence(replace(ADAM, **{name: Fraction(0)}), 8)
    for beta in (LARGEST_BETA + TINY, Fraction(1), Fraction(2)):
        with pytest.raises(VerificationError) as refusal:
            AdamSequence(replace(ADAM, **{name: beta}), 8)
        message = str(refusal.value)
        assert f"{name} = {decimal_text(beta)} gives c{name[-1]} out of range" in message
        assert "at most 1 - 2^-16" in message and "expected 1..32768" in message


def test_a_momentum_that_rounds_to_one_is_refused() -> None:
    SgdSequence(replace(SGD, momentum=LARGEST_BETA - TINY), 0, 30)
    for momentum in (LARGEST_BETA, Fraction(1)):
        with pytest.raises(VerificationError, match=r"momentum = .* gives mu .*expected 0\.\.32767, found 32768"):
            SgdSequence(replace(SGD, momentum=momentum), 0, 30)


def test_an_eps_beyond_its_width_is_refused_before_the_first_step() -> None:
    largest = (2**29 - Fraction(1, 2) - TINY) / 2**36
    sequence = AdamSequence(replace(ADAM, eps=largest), 8)
    assert sequence.at(10**6).E == 2**29 - 1
    message = r"eps = .* gives E .*lower eps or grad_scale \(expected 1\.\.536870911, found 536870912\)"
    with pytest.raises(VerificationError, match=message):
        AdamSequence(replace(ADAM, eps=largest + TINY), 8)


def test_a_learning_rate_beyond_adams_width_is_refused() -> None:
    sequence = AdamSequence(ADAM, 8)
    largest = (2**30 - Fraction(1, 2) - TINY) / 2**32
    steps = 10**6  # the corrections are 1 by then
    assert sequence.at(steps, largest).LR == 2**30 - 1
    message = r"lr = .* gives LR of step 1000000 .*below 1/4 \(expected 0\.\.1073741823, found 1073741824\)"
    with pytest.raises(VerificationError, match=message):
        sequence.at(steps, largest + TINY)


def test_a_learning_rate_beyond_sgds_width_is_refused() -> None:
    sequence = SgdSequence(SGD, 2, 30)
    largest = (2**31 - Fraction(1, 2) - TINY) / 2**32
    assert sequence.at(1, largest).LR == 2**31 - 1
    message = r"lr = .* gives LR of step 7 .*s = 15 .*\(expected 0\.\.2147483647, found 2147483648\)"
    with pytest.raises(VerificationError, match=message):
        sequence.at(7, largest + TINY)


@pytest.mark.parametrize("s", [30, 15])
def test_the_coarser_format_is_advised_only_where_it_helps(s: int) -> None:
    with pytest.raises(VerificationError, match=r"lower lr, or raise grad_scale \(expected"):
        SgdSequence(SGD, 2, s).at(7, Fraction(2**14))


@pytest.mark.parametrize("kind", [LionConstants(1, 1, 0, 0), RmspropConstants(1, 0, 1, 0), AdamConstants.no_op()])
def test_a_statement_holds_five_numbers_and_0_after_the_last(kind: StepConstants) -> None:
    found = numbers(kind)
    assert len(found) == 5
    assert from_numbers(type(kind), found) == kind
    if not isinstance(kind, AdamConstants):
        with pytest.raises(VerificationError, match="a step has 4 constants, and 0 after them"):
            from_numbers(type(kind), (*found[:4], 1))


@pytest.mark.parametrize("kind", ["lion", "rmsprop"])
def test_a_learning_rate_beyond_lions_and_rmsprops_width_is_refused(kind: str) -> None:
    sequence = LionSequence(LION, 3) if kind == "lion" else RmspropSequence(RMSPROP, 3)
    largest = (2**30 - Fraction(1, 2) - TINY) / 2**32
    assert sequence.at(1, largest).LR == sequence.at(10**15, largest).LR == 2**30 - 1
    message = r"lr = .* gives LR of step 7 .*below 1/4 \(expected 0\.\.1073741823, found 1073741824\)"
    with pytest.raises(VerificationError, match=message):
        sequence.at(7, largest + TINY)


@pytest.mark.parametrize("name", ["beta1", "beta2", "alpha"])
def test_a_beta_of_lion_or_alpha_that_rounds_to_one_is_refused(name: str) -> None:
    def made(value: Fraction) -> object:
        if name == "alpha":
            return RmspropSequence(replace(RMSPROP, alpha=value), 0)
        return LionSequence(replace(LION, **{name: value}), 0)

    made(LARGEST_BETA)
    made(Fraction(0))
    symbol = "c1" if name == "beta1" else "c2"
    for beta in (LARGEST_BETA + TINY, Fraction(1)):
        with pytest.raises(VerificationError, match=rf"{name} = .* gives {symbol} out of range.*expected 1\.\.32768"):
            made(beta)


def test_an_eps_of_rmsprop_beyond_its_width_is_refused_before_the_first_step() -> None:
    largest = (2**29 - Fraction(1, 2) - TINY) / 2**36
    assert RmspropSequence(replace(RMSPROP, eps=largest), 8).at(1).E == 2**29 - 1
    with pytest.raises(VerificationError, match=r"eps = .* gives E .*expected 1\.\.536870911, found 536870912"):
        RmspropSequence(replace(RMSPROP, eps=largest + TINY), 8)


def test_eps_of_rmsprop_is_held_above_the_dead_band_of_v() -> None:
    assert RmspropSequence(RMSPROP, 0).at(1).E == 10  # isqrt(2^15 // 328) + 1; eps alone gives 3
    assert RmspropSequence(replace(RMSPROP, alpha=LARGEST_BETA), 0).at(1).E == 182
    assert RmspropSequence(replace(RMSPROP, alpha=Fraction(0), eps=Fraction(0)), 0).at(1).E == 2
    assert RmspropSequence(RMSPROP, 8).at(1).E == 687


def test_what_lion_and_rmsprop_stand_for_is_told() -> None:
    assert LionSequence(LION, 8).effective() == {
        "beta1": 1 - Fraction(3277, 2**15),
        "beta2": 1 - Fraction(328, 2**15),
    }
    assert RmspropSequence(RMSPROP, 8).effective() == {
        "alpha": 1 - Fraction(328, 2**15),
        "eps": Fraction(687, 2**36),
    }
    tenth = Fraction(10, 2**28) / 10
    assert RmspropSequence(replace(RMSPROP, eps=tenth), 0).coarse() is not None
    assert RmspropSequence(replace(RMSPROP, eps=tenth + TINY), 0).coarse() is None


def test_an_lr_of_lion_with_fewer_than_8_bits_is_coarse() -> None:
    least = Fraction(2**8 * 2 - 1, 2) / 2**32
    assert LionSequence(replace(LION, lr=least), 0).coarse() is None
    assert LionSequence(replace(LION, lr=Fraction(0)), 0).coarse() is None
    coarse = LionSequence(replace(LION, lr=least - TINY), 0).coarse()
    assert coarse is not None
    assert (coarse.name, coarse.found, coarse.advice) == ("lr", Fraction(2**8 - 1, 2**32), "raise lr")


@pytest.mark.parametrize("rule", [Rule.ADAMW, Rule.SGD, Rule.LION, Rule.RMSPROP])
def test_a_decay_beyond_its_width_is_refused(rule: Rule) -> None:
    lr = Fraction(1, 8)
    largest = (2**28 - Fraction(1, 2) - TINY) / 2**30 / lr
    hypers: dict[Rule, Hyper] = {Rule.ADAMW: ADAM, Rule.SGD: SGD, Rule.LION: LION, Rule.RMSPROP: RMSPROP}
    hyper = hypers[rule]
    s = FAMILIES[rule].shifts[0]
    fits = constants_sequence(rule, replace(hyper, lr=lr, weight_decay=largest), 2, s)
    assert fits.at(1).D == 2**28 - 1
    exceeds = constants_sequence(rule, replace(hyper, lr=lr, weight_decay=largest + TINY * 16), 2, s)
    message = r"weight_decay = .* gives D .*below 1/4 \(expected 0\.\.268435455, found 268435456\)"
    with pytest.raises(VerificationError, match=message):
        exceeds.at(1)


@pytest.mark.parametrize("k", [-33, 33])
def test_a_gradient_scale_beyond_the_range_is_refused(k: int) -> None:
    message = rf"grad_scale's exponent k is out of range \(expected -32\.\.32, found {k}\)"
    with pytest.raises(VerificationError, match=message):
        AdamSequence(ADAM, k)
    with pytest.raises(VerificationError, match=message):
        SgdSequence(SGD, k, 30)
    with pytest.raises(VerificationError, match=message):
        LionSequence(LION, k)
    with pytest.raises(VerificationError, match=message):
        RmspropSequence(RMSPROP, k)
    with pytest.raises(VerificationError, match=message):
        choose_s(Fraction(1), k)


@pytest.mark.parametrize("s", [0, 14, 16, 29, 31, -15])
def test_an_s_that_is_not_one_of_two_is_refused(s: int) -> None:
    with pytest.raises(VerificationError, match=f"expected 30 or 15, found {s}"):
        SgdSequence(SGD, 0, s)
    with pytest.raises(VerificationError, match=f"expected 30 or 15, found {s}"):
        SgdConstants.no_op(s)


def test_s_belongs_to_sgd_alone() -> None:
    with pytest.raises(VerificationError, match="the rule adam has no s"):
        constants_sequence(Rule.ADAM, ADAM, 0, 30)
    for rule in (Rule.SGD, Rule.SGD_MOMENTUM, Rule.NESTEROV):
        with pytest.raises(VerificationError, match=f"the rule {rule.value} needs an s"):
            constants_sequence(rule, SGD, 0)


def test_hyper_parameters_must_fit_the_rule() -> None:
    with pytest.raises(VerificationError, match="choose adamw"):
        constants_sequence(Rule.ADAM, replace(ADAM, weight_decay=Fraction(1, 10)), 0)


@pytest.mark.parametrize("k", [-4, 0, 8])
def test_s_is_chosen_from_the_largest_learning_rate(k: int) -> None:
    fine = (2**31 - Fraction(1, 2)) / Fraction(2) ** (34 - k)
    coarse = (2**31 - Fraction(1, 2)) / Fraction(2) ** (19 - k)
    assert choose_s(Fraction(0), k) == 30
    assert choose_s(fine - TINY, k) == 30
    assert choose_s(fine, k) == 15
    assert choose_s(Fraction(2) ** k / 8, k) == 15
    assert choose_s(coarse - TINY, k) == 15
    with pytest.raises(VerificationError, match=r"lr = .* gives LR .*lower lr or raise grad_scale"):
        choose_s(coarse, k)
    with pytest.raises(VerificationError, match="lr is negative"):
        choose_s(-TINY, k)


@given(st.fractions(0, 4096), st.integers(0, 8))
def test_the_chosen_s_serves_the_run(lr: Fraction, k: int) -> None:
    s = choose_s(lr, k)
    assert SgdSequence(SgdHyper(lr), k, s).at(1).LR < 2**31


def test_no_op_constants_are_those_of_the_design() -> None:
    assert AdamSequence(ADAM, 0).no_op() == AdamConstants(c1=0, c2=0, LR=0, E=1, D=0)
    for s in (15, 30):
        assert SgdSequence(SGD, 0, s).no_op() == SgdConstants(mu=2**15, cg=0, LR=0, s=s, D=0)
    assert LionSequence(LION, 0).no_op() == LionConstants(c1=0, c2=0, LR=0, D=0)
    assert RmspropSequence(RMSPROP, 0).no_op() == RmspropConstants(c2=0, LR=0, E=1, D=0)


def test_a_real_step_takes_the_whole_gradient() -> None:
    assert SgdSequence(replace(SGD, momentum=Fraction(9, 10)), 0, 30).at(1) == SgdConstants(
        mu=29491, cg=2**15, LR=1717986918, s=30, D=0
    )


REAL_ADAM = AdamConstants(c1=3277, c2=33, LR=1000, E=32, D=0)
REAL_SGD = SgdConstants(mu=29491, cg=2**15, LR=1000, s=30, D=0)
REAL_LION = LionConstants(c1=3277, c2=328, LR=1000, D=0)
REAL_RMSPROP = RmspropConstants(c2=328, LR=1000, E=32, D=0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("c1", 0),
        ("c1", 2**15 + 1),
        ("c2", 0),
        ("c2", 2**15 + 1),
        ("LR", -1),
        ("LR", 2**30),
        ("E", 0),
        ("E", 2**29),
        ("D", -1),
        ("D", 2**28),
    ],
)
def test_constants_of_adam_that_could_overflow_do_not_exist(name: str, value: int) -> None:
    with pytest.raises(VerificationError, match=f"^{name} is out of range .*found {value}"):
        replace(REAL_ADAM, **{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mu", -1),
        ("mu", 2**15),
        ("cg", 0),
        ("cg", 1),
        ("cg", 2**15 + 1),
        ("LR", -1),
        ("LR", 2**31),
        ("D", -1),
        ("D", 2**28),
    ],
)
def test_constants_of_sgd_that_could_overflow_do_not_exist(name: str, value: int) -> None:
    with pytest.raises(VerificationError, match=f"^{name} is out of range .*found {value}"):
        replace(REAL_SGD, **{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("c1", 0), ("c1", 2**15 + 1), ("c2", 0), ("c2", 2**15 + 1), ("LR", -1), ("LR", 2**30), ("D", -1), ("D", 2**28)],
)
def test_constants_of_lion_that_could_overflow_do_not_exist(name: str, value: int) -> None:
    with pytest.raises(VerificationError, match=f"^{name} is out of range .*found {value}"):
        replace(REAL_LION, **{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("c2", 0), ("c2", 2**15 + 1), ("LR", -1), ("LR", 2**30), ("E", 0), ("E", 2**29), ("D", -1), ("D", 2**28)],
)
def test_constants_of_rmsprop_that_could_overflow_do_not_exist(name: str, value: int) -> None:
    with pytest.raises(VerificationError, match=f"^{name} is out of range .*found {value}"):
        replace(REAL_RMSPROP, **{name: value})


@pytest.mark.parametrize("change", [{"LR": 1}, {"D": 1}, {"c1": 1}, {"c2": 1}])
def test_half_a_no_op_of_lion_does_not_exist(change: dict[str, int]) -> None:
    with pytest.raises(VerificationError, match="out of range"):
        replace(LionConstants.no_op(), **change)


@pytest.mark.parametrize("change", [{"LR": 1}, {"D": 1}, {"E": 2}])
def test_half_a_no_op_of_rmsprop_does_not_exist(change: dict[str, int]) -> None:
    with pytest.raises(VerificationError, match="out of range"):
        replace(RmspropConstants.no_op(), **change)


@pytest.mark.parametrize("change", [{"LR": 1}, {"D": 1}, {"E": 2}, {"c1": 1}, {"c2": 1}])
def test_half_a_no_op_of_adam_does_not_exist(change: dict[str, int]) -> None:
    with pytest.raises(VerificationError, match="out of range"):
        replace(AdamConstants.no_op(), **change)


@pytest.mark.parametrize("change", [{"LR": 1}, {"D": 1}, {"mu": 2**15 - 1}, {"cg": 2**15}])
def test_half_a_no_op_of_sgd_does_not_exist(change: dict[str, int]) -> None:
    with pytest.raises(VerificationError, match="out of range"):
        replace(SgdConstants.no_op(30), **change)


def test_effective_hyper_parameters_are_exact_decimals() -> None:
    effective = AdamSequence(ADAM, 8).effective()
    assert {name: decimal_text(value) for name, value in effective.items()} == {
        "beta1": "0.899993896484375",
        "beta2": "0.998992919921875",
        "eps": decimal_text(Fraction(687, 2**36)),
        "eps_at_step_1": "0.0000000147",
    }
    assert decimal_text(SgdSequence(replace(SGD, momentum=Fraction(9, 10)), 0, 30).effective()["momentum"]) == (
        "0.899993896484375"
    )


@pytest.mark.parametrize(("k", "eps"), [(0, "1e-8"), (8, "1e-8"), (8, "1.3e-8"), (-3, "0.00001"), (3, "0")])
def test_eps_at_step_1_is_what_torchs_formula_would_need_there(k: int, eps: str) -> None:
    sequence = AdamSequence(replace(ADAM, eps=parse_decimal(eps, "eps")), k)
    first = Decimal(sequence.at(1).E) / (Decimal(33) / 2**15).sqrt() / Decimal(2) ** (k + 28)
    found = Decimal(decimal_text(sequence.effective()["eps_at_step_1"]))
    assert abs(found - first) <= first / 200
    assert first > Decimal(eps)


def test_eps_whose_floor_never_holds_is_one_for_all_steps() -> None:
    assert "eps_at_step_1" not in AdamSequence(replace(ADAM, eps=Fraction(1, 10**4)), 8).effective()
    assert "eps_at_step_1" not in AdamSequence(replace(ADAM, eps=Fraction(15, 10**9)), 8).effective()  # 33 units


def test_an_lr_of_sgd_with_fewer_than_8_bits_is_coarse() -> None:
    least = Fraction(2**8 * 2 - 1, 2) / 2**34  # rounds to 2^8 units at k = 0
    assert SgdSequence(SgdHyper(least), 0, 30).coarse() is None
    assert SgdSequence(SgdHyper(least - TINY), 0, 30).coarse() is not None
    assert SgdSequence(SgdHyper(Fraction(0)), 0, 30).coarse() is None
    sequence = SgdSequence(SgdHyper(Fraction(1, 1000)), 20, 30)
    assert sequence.coarse() is not None
    assert sequence.effective()["lr"] == Fraction(16, 2**14)
    coarse = sequence.coarse()
    assert coarse is not None
    assert (coarse.name, coarse.found, coarse.asked) == ("lr", Fraction(16, 2**14), Fraction(1, 1000))
    assert coarse.advice == "grad_scale 20 is too large for it; 16 or less gives it 8 bits"
    assert SgdSequence(sequence.hyper, 16, 30).coarse() is None
    assert SgdSequence(sequence.hyper, 17, 30).coarse() is not None
    assert "lr" not in SgdSequence(sequence.hyper, 16, 30).effective()
    hopeless = SgdSequence(SgdHyper(Fraction(1, 10**30)), 0, 30)
    coarse = hopeless.coarse()
    assert coarse is not None
    assert coarse.advice.endswith("; raise lr")
    assert hopeless.effective()["lr"] == 0


@pytest.mark.parametrize(
    "text", ["step:every=2,factor=0.3", "linear:steps=7,end=0.1", "cosine:steps=7,end=0,warm_up=3"]
)
def test_a_schedule_gives_each_step_its_rate(text: str) -> None:
    schedule = parse(text)
    assert schedule is not None
    runs: tuple[tuple[Rule, Hyper, int], ...] = (
        (Rule.ADAMW, replace(ADAM, weight_decay=Fraction(1, 10)), 0),
        (Rule.SGD, SGD, 30),
        (Rule.LION, replace(LION, weight_decay=Fraction(1)), 0),
        (Rule.RMSPROP, RMSPROP, 0),
    )
    for rule, hyper, s in runs:
        scheduled, plain = constants_sequence(rule, hyper, 3, s, schedule), constants_sequence(rule, hyper, 3, s)
        found = [scheduled.at(t) for t in range(1, 13)]
        assert found == [plain.at(t, schedule.rate(hyper.lr, t)) for t in range(1, 13)]
        assert len({c.LR for c in found}) > 4
        assert scheduled.at(3, hyper.lr) == plain.at(3)


def test_a_rate_of_a_schedule_that_is_too_large_is_told_in_a_few_digits() -> None:
    schedule = parse("cosine:steps=7")
    assert schedule is not None
    with pytest.raises(VerificationError, match=r"lr = about 9\.50484 gives LR of step 2 out of range"):
        AdamSequence(replace(ADAM, lr=Fraction(10)), 8, schedule).at(2)


def test_eps_is_held_above_the_dead_band_of_v() -> None:
    sequence = AdamSequence(ADAM, 0)
    assert sequence.at(1).E == sequence.at(10**6).E == 32
    assert sequence.effective()["eps"] == Fraction(32, 2**28)
    assert AdamSequence(replace(ADAM, beta2=LARGEST_BETA), 0).at(1).E == 182
    assert AdamSequence(replace(ADAM, beta2=Fraction(0)), 0).at(1).E == 3  # of eps: E_min is 2
    assert AdamSequence(replace(ADAM, beta2=Fraction(0), eps=Fraction(0)), 0).at(1).E == 2


def test_an_eps_ten_times_what_was_asked_for_is_coarse() -> None:
    assert AdamSequence(ADAM, 0).coarse() is not None
    assert AdamSequence(ADAM, 8).coarse() is None
    tenth = Fraction(32, 2**28) / 10
    assert AdamSequence(replace(ADAM, eps=tenth), 0).coarse() is not None
    assert AdamSequence(replace(ADAM, eps=tenth + TINY), 0).coarse() is None
    assert AdamSequence(replace(ADAM, eps=Fraction(0)), 8).coarse() is not None


@given(
    beta1=st.fractions(0, 1, max_denominator=10**6).filter(lambda beta: beta <= LARGEST_BETA),
    beta2=st.fractions(0, 1, max_denominator=10**6).filter(lambda beta: beta <= LARGEST_BETA),
    eps=st.fractions(0, Fraction(1, 100), max_denominator=10**12),
    lr=st.fractions(0, Fraction(1, 1000), max_denominator=10**9),
    k=st.integers(-8, 4),
    t=st.integers(1, 40),
)
def test_constants_equal_the_oracle(
    beta1: Fraction, beta2: Fraction, eps: Fraction, lr: Fraction, k: int, t: int
) -> None:
    texts = {
        name: f"{value.numerator * 10**20 // value.denominator}e-20"
        for name, value in {"lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps}.items()
    }
    schedule = oracle.AdamSchedule({**texts, "weight_decay": "3"}, k)
    schedule.advance(t)
    wanted = schedule.constants(texts["lr"])
    hyper = hyper_of(Rule.ADAMW, {**texts, "weight_decay": "3"})
    if wanted.LR >= 2**30:
        with pytest.raises(VerificationError, match="gives LR"):
            constants_sequence(Rule.ADAMW, hyper, k).at(t)
        return
    found = constants_sequence(Rule.ADAMW, hyper, k).at(t)
    assert found == AdamConstants(wanted.c1, wanted.c2, wanted.LR, wanted.E, wanted.Dt)
