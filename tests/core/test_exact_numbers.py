"""Integers that a float32 or a float64 would round, on their whole way: text, header, schedule,
oracle, NumPy."""

from fractions import Fraction

import numpy as np
import pytest

from tests.core import oracle_rules as oracle
from tests.core.test_records import header
from zk_autograd.core.canonical import decode, encode
from zk_autograd.core.constants import AdamConstants, AdamSequence, SgdConstants
from zk_autograd.core.decimals import decimal_text, parse_decimal
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.formats import dequantize_weight
from zk_autograd.core.hyper import Rule
from zk_autograd.core.record_bytes import parse, to_bytes
from zk_autograd.core.records import Group, Header, hyper_names
from zk_autograd.core.rules import initial_state, step

SINGLE = 2**24 + 1
"""The first integer that a float32 rounds."""
DOUBLE = 2**53 + 1
"""The first that a float64 rounds."""


@pytest.mark.parametrize("number", [SINGLE, DOUBLE, 2**64 + 1, 10**40 + 1])
def test_a_decimal_is_no_float(number: int) -> None:
    for text in (str(number), f"{number}e0", f"{number}00e-2"):
        assert parse_decimal(text, "lr") == number
    assert parse_decimal(decimal_text(Fraction(number)), "lr") == number
    assert parse_decimal(f"{number}e-60", "lr") * 10**60 == number


def test_json_holds_the_integers_that_every_reader_keeps() -> None:
    assert decode(encode(SINGLE), max_bytes=99) == SINGLE
    assert decode(encode(2**53 - 1), max_bytes=99) == 2**53 - 1
    with pytest.raises(VerificationError):
        decode(str(DOUBLE).encode(), max_bytes=99)
    with pytest.raises(ValueError, match=r"2\^53"):
        encode(DOUBLE)


def with_hyper(rule: Rule, schedule: str = "constant", **changes: str) -> Header:
    texts = {"lr": "0.001", "beta1": "0.9", "beta2": "0.999", "eps": "1e-08", "weight_decay": "0", "momentum": "0.9"}
    texts |= changes
    group = Group(tuple((n, texts[n]) for n in hyper_names(rule)), 30 if rule.value.startswith("sgd") else 0)
    return header(rule, schedule=schedule, groups=(group, group), grad_scale=0)


LR = [SINGLE, 2**24 - 1, 2**29 + 1, 2**30 + 1, 2**31 - 1, 2**31 - 3]


@pytest.mark.parametrize("wanted", LR)
@pytest.mark.parametrize("rule", [Rule.SGD, Rule.SGD_MOMENTUM, Rule.NESTEROV])
def test_a_rate_of_sgd_goes_from_the_headers_text_to_the_step_bit_for_bit(rule: Rule, wanted: int) -> None:
    text = decimal_text(Fraction(wanted, 2**34))
    h = with_hyper(rule, lr=text)
    assert parse(to_bytes(h), None) == h
    constants = h.sequence(0).at(7)
    assert isinstance(constants, SgdConstants)
    momentum = "0" if rule is Rule.SGD else "0.9"
    own = oracle.sgd_constants({"momentum": momentum, "weight_decay": "0"}, 0, 30, text)
    assert (constants.LR, constants.mu) == (wanted, own.mu)
    assert wanted == own.LR


@pytest.mark.parametrize("wanted", LR)
@pytest.mark.parametrize(
    ("schedule", "t", "share"),
    [
        ("linear:steps=3,end=0", 2, Fraction(2, 3)),
        ("constant,warm_up=2", 1, Fraction(1, 3)),
        ("step:every=1,factor=0.5", 2, Fraction(1, 2)),
        ("cosine:steps=3,end=0", 2, Fraction(3, 4)),
        ("recorded", 5, Fraction(1)),
    ],
)
def test_a_schedules_rate_is_the_exact_product(wanted: int, schedule: str, t: int, share: Fraction) -> None:
    lr = Fraction(wanted, 2**34)
    h = with_hyper(Rule.SGD, schedule, lr=decimal_text(lr))
    constants = h.sequence(0).at(t, lr * share if schedule == "recorded" else None)
    assert isinstance(constants, SgdConstants)
    assert oracle.half_up(wanted * share) == constants.LR


@pytest.mark.parametrize("eps", [SINGLE, 2**28 + 1, 2**29 - 1])
def test_adams_eps_and_rate_are_the_oracles(eps: int) -> None:
    text = decimal_text(Fraction(eps, 2**28))
    lr = decimal_text(Fraction(DOUBLE, 2**64))
    h = with_hyper(Rule.ADAMW, eps=text, lr=lr, weight_decay=str(2**8 + 1))
    own = oracle.AdamSchedule({"beta1": "0.9", "beta2": "0.999", "eps": text, "weight_decay": str(2**8 + 1)}, 0)
    for t in (1, 2, 9):
        own.advance(t)
        constants = h.sequence(0).at(t)
        assert isinstance(constants, AdamConstants)
        wanted = own.constants(lr)
        assert (constants.c1, constants.c2, constants.LR, constants.E, constants.D) == (
            wanted.c1,
            wanted.c2,
            wanted.LR,
            wanted.E,
            wanted.Dt,
        )


@pytest.mark.parametrize("t", [1, 7, 1000])
def test_a_rate_next_to_a_half_is_rounded_to_its_own_side(t: int) -> None:
    """A float can't tell the two decimals apart, of which one is below the half and the other above
    it."""
    places = 70
    sequence = with_hyper(Rule.ADAM).sequence(0)
    assert isinstance(sequence, AdamSequence)
    unit = Fraction(sequence.bias_correction(t).ratio * 2**32, 2**256)
    own = oracle.AdamSchedule({"beta1": "0.9", "beta2": "0.999", "eps": "1e-08", "weight_decay": "0"}, 0)
    own.advance(t)
    for wanted in (1, SINGLE, 2**27 + 1):
        below = (wanted + Fraction(1, 2)) / unit * 10**places // 1
        for digits, LR in ((below, wanted), (below + 1, wanted + 1)):
            text = decimal_text(Fraction(digits, 10**places))
            assert float(text) == float(Fraction(below, 10**places))
            assert with_hyper(Rule.ADAM, lr=text).sequence(0).at(t).LR == LR
            assert own.constants(text).LR == LR


def test_a_step_of_sgd_keeps_every_bit_of_its_products() -> None:
    """LR * A has up to 61 bits; in floats the update would differ in its last."""
    rng = np.random.default_rng(3)
    momentum = rng.integers(-(2**29), 2**29, 64) | 1
    G = rng.integers(-(2**28), 2**28, 64) | 1
    W = rng.integers(-(2**44), 2**44, 64)
    W[0], momentum[0], G[0] = SINGLE, SINGLE, SINGLE
    differ = 0
    for rate, s in ((SINGLE, 15), (2**31 - 1, 30), (2**30 + 1, 30)):
        c = SgdConstants(mu=29491, cg=2**15, LR=rate, s=s, D=2**24 + 1)
        small = 14 if s == 15 else 0  # else the update leaves its range
        B, g = momentum >> small, G >> small
        found = step(Rule.SGD_MOMENTUM, {"W": W, "B": B}, g, c)
        for i in range(len(W)):
            own = oracle.sgd(int(W[i]), int(B[i]), int(g[i]), oracle.Sgd(29491, 2**15, rate, s, 2**24 + 1))
            assert isinstance(own, dict)
            assert (int(found["W"][i]), int(found["B"][i])) == (own["W"], own["B"])
            product = rate * own["A"]
            differ += int(float(rate) * float(own["A"])) != product
    assert differ > 50  # or a float would have done


@pytest.mark.parametrize("V", [DOUBLE, DOUBLE + 2, 2**59 + 1, 2**60 - 1, 2**60])
def test_a_step_of_adam_keeps_every_bit_of_the_second_moment(V: int) -> None:
    c = AdamConstants(c1=3277, c2=33, LR=SINGLE, E=SINGLE, D=SINGLE)
    state = {"W": np.array([SINGLE]), "M": np.array([2**44 + 1]), "V": np.array([V])}
    found = step(Rule.ADAMW, state, np.array([2**29 + 1]), c)
    own = oracle.adam(SINGLE, 2**44 + 1, V, 2**29 + 1, oracle.Adam(3277, 33, SINGLE, SINGLE, SINGLE))
    assert isinstance(own, dict)
    assert {name: int(values[0]) for name, values in found.items()} == {name: own[name] for name in ("W", "M", "V")}


def test_weights_keep_every_bit_until_they_are_published() -> None:
    W = np.array([SINGLE, -SINGLE, 2**44 + 1, 2**45 - 1])
    assert initial_state(Rule.SGD, W)["W"].tolist() == W.tolist()
    floats = dequantize_weight(W)
    exact = [Fraction(int(w), 2**32) for w in W]
    assert [Fraction(float(f)) == e for f, e in zip(floats, exact, strict=True)] == [
        False
    ] * 4  # that is the one rounding
    for f, e in zip(floats, exact, strict=True):
        neighbours = [Fraction(float(np.nextafter(f, np.float32(side)))) for side in (-np.inf, np.inf)]
        assert all(abs(Fraction(float(f)) - e) <= abs(n - e) for n in neighbours)
