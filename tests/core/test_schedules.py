"""Schedules: their texts, and the exact share of lr at every step."""

import json
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core import make_schedule_vectors
from tests.core import oracle_schedules as oracle
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.schedules import (
    CONSTANT,
    MAX_COUNT,
    Constant,
    Cosine,
    Linear,
    Schedule,
    StepDecay,
    _cosine_near,
    _pi,
    cosine,
    parse,
    power,
)

VECTORS = json.loads((Path(__file__).parents[1] / "data/schedule_vectors.json").read_text(encoding="utf-8"))
EACH = pytest.mark.parametrize("text", [run["schedule"] for run in VECTORS])

COUNTS = st.integers(1, MAX_COUNT) | st.integers(1, 50)
ENDS = st.integers(0, 10**9 - 1).map(lambda n: Fraction(n, 10**9))
FACTORS = st.integers(1, 10**9 - 1).map(lambda n: Fraction(n, 10**9)) | st.just(1 - Fraction(1, 10**9))
CURVES = st.one_of(
    st.just(Constant()),
    st.builds(StepDecay, COUNTS, FACTORS),
    st.builds(Linear, COUNTS, ENDS),
    st.builds(Cosine, COUNTS, ENDS),
)
SCHEDULES = st.builds(Schedule, CURVES, st.just(0) | COUNTS)


def parsed(text: str) -> Schedule:
    schedule = parse(text)
    assert schedule is not None
    return schedule


# ---- shares --------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", VECTORS, ids=lambda run: str(run["schedule"]))
def test_shares_equal_the_vectors_up_to_a_million_steps(run: dict[str, dict[str, str]]) -> None:
    schedule = parsed(str(run["schedule"]))
    for t, share in run["shares"].items():
        assert schedule.share(int(t)) == Fraction(share)
    assert "1000000" in run["shares"]


def test_the_vectors_are_what_their_generator_makes() -> None:
    assert make_schedule_vectors.vectors() == VECTORS


@given(COUNTS.flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_cosine_is_the_nearest_integer(angle: tuple[int, int]) -> None:
    assert cosine(*angle) == oracle.cosine(*angle)


def test_cosine_is_exact_where_it_is_rational() -> None:
    assert [cosine(e, 6) for e in (0, 2, 3, 4, 6)] == [2**64, 2**63, 0, -(2**63), -(2**64)]
    assert (cosine(1, 2**40), cosine(2**39, 2**40)) == (2**64, 0)


@given(st.integers(1, 10**6), st.data(), st.integers(65, 200))
def test_precision_of_the_first_attempt_changes_nothing(n: int, data: st.DataObject, bits: int) -> None:
    e = data.draw(st.integers(0, n))
    assert cosine(e, n, bits) == cosine(e, n)


@given(st.integers(2, MAX_COUNT), st.data(), st.sampled_from([64, 128, 192, 256]))
def test_error_of_the_series_is_below_its_bound(n: int, data: st.DataObject, bits: int) -> None:
    e = data.draw(st.integers(0, n // 2))
    with localcontext() as context:
        context.prec = oracle.DIGITS
        assert abs(_cosine_near(e, n, bits) - oracle.real_cosine(e, n) * 2**bits) < bits
        assert abs(_pi(bits) - oracle.pi() * 2**bits) < 2


@given(FACTORS, st.integers(0, MAX_COUNT) | st.integers(0, 10_000))
def test_power_is_the_definitions_and_near_the_real_one(factor: Fraction, j: int) -> None:
    found = power(factor, j)
    assert found == oracle.power(factor, j)
    with localcontext() as context:
        context.prec = oracle.DIGITS
        real = (Decimal(factor.numerator) / Decimal(factor.denominator)) ** j * 2**256
        assert 0 <= real - found < 4 * j + 1 or (found == 0 and real < 2**128 + 4 * j)


def test_power_below_2_to_the_minus_128_is_zero() -> None:
    half = Fraction(1, 2)
    assert [power(half, j) for j in (0, 1, 127, 128, 129, 200)] == [2**256, 2**255, 2**129, 2**128, 0, 0]
    assert power(Fraction(1, 10**9), 4) == 2**256 // 10**36
    assert power(Fraction(1, 10**9), 5) == 0


@given(FACTORS, st.integers(0, 2**38))
def test_power_falls_with_every_step_until_it_is_zero(factor: Fraction, j: int) -> None:
    now, then = power(factor, j), power(factor, j + 1)
    assert then < now or now == then == 0


@given(SCHEDULES, st.integers(1, MAX_COUNT) | st.integers(1, 200))
def test_share_rises_in_the_warm_up_is_whole_after_it_and_never_rises_again(schedule: Schedule, t: int) -> None:
    now, then = schedule.share(t), schedule.share(t + 1)
    assert 0 <= now <= 1
    if t <= schedule.warm_up:
        assert now < then
        assert now == Fraction(t, schedule.warm_up + 1)
    else:
        assert then <= now
    assert schedule.share(schedule.warm_up + 1) == 1


@pytest.mark.parametrize("curve", [Linear(7, Fraction(1, 4)), Cosine(7, Fraction(1, 4))])
@pytest.mark.parametrize("warm_up", [0, 3])
def test_end_is_reached_after_the_declared_steps_and_kept(curve: Linear | Cosine, warm_up: int) -> None:
    schedule = Schedule(curve, warm_up)
    shares = [schedule.share(t) for t in range(warm_up + 1, warm_up + 12)]
    assert shares[0] == 1
    assert all(later < earlier for earlier, later in pairwise(shares[:8]))
    assert shares[7:] == [Fraction(1, 4)] * 4


def test_rate_is_the_exact_product() -> None:
    assert parsed("step:every=2,factor=0.5,warm_up=1").rate(Fraction(3, 10), 1) == Fraction(3, 20)
    assert parsed("linear:steps=3,end=0.1").rate(Fraction(3, 10), 2) == Fraction(21, 100)
    assert CONSTANT.rate(Fraction(1, 7), 10**12) == Fraction(1, 7)


@EACH
def test_a_step_costs_the_same_however_large_it_is(text: str) -> None:
    schedule = parsed(text)
    began = perf_counter()
    for t in (MAX_COUNT, 10**15, MAX_COUNT - 1):
        schedule.share(t)
    assert perf_counter() - began < 1


# ---- texts ---------------------------------------------------------------------------------------


@given(SCHEDULES)
def test_canonical_text_gives_the_schedule_back(schedule: Schedule) -> None:
    assert parse(schedule.text) == schedule
    assert len(schedule.text) < 100


@pytest.mark.parametrize(
    ("text", "canonical", "words"),
    [
        ("constant", "constant", "the same at every step"),
        ("constant,warm_up=1", "constant,warm_up=1", "the same at every step, after a linear warm-up of 1 step"),
        ("step:factor=1e-1,every=3", "step:every=3,factor=0.1", "multiplied by 0.1 after every 3 steps"),
        ("linear:steps=5", "linear:steps=5,end=0", "linearly down to 0 of lr over 5 steps"),
        (
            "cosine:warm_up=10,end=0.010,steps=100",
            "cosine:steps=100,end=0.01,warm_up=10",
            "along a cosine down to 0.01 of lr over 100 steps, after a linear warm-up of 10 steps",
        ),
    ],
)
def test_texts_are_read_and_have_one_canonical_form(text: str, canonical: str, words: str) -> None:
    assert (parsed(text).text, parsed(text).words) == (canonical, words)


def test_recorded_declares_nothing() -> None:
    assert parse("recorded") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no such schedule"),
        ("triangle:steps=3", "there is no such schedule"),
        ("Constant", "there is no such schedule"),
        ("constant:warm_up=2", "there is no such schedule"),
        ("constant,warm_up=2,warm_up=2", "there is no such schedule"),
        ("constant,every=2", "a constant schedule has no option 'every'"),
        ("recorded,warm_up=1", "there is no such schedule"),
        ("cosine", "a schedule needs steps="),
        ("cosine:", "a schedule needs steps="),
        ("cosine:end=0", "a schedule needs steps="),
        ("cosine:steps=1,", "there is no such schedule"),
        ("cosine:steps=1,factor=0.5", "a cosine schedule has no option 'factor'"),
        ("linear: steps=1", "a schedule needs steps="),
        ("step:every=1", "a schedule needs factor="),
        ("step:every=0,factor=0.1", r"every of a schedule is out of range \(expected 1\.\."),
        ("linear:steps=1099511627777", "steps of a schedule is out of range"),
        ("linear:steps=" + "9" * 150, "steps of a schedule is out of range"),
        ("linear:steps=5,warm_up=0", "warm_up of a schedule is out of range"),
        ("constant,warm_up=1099511627777", "warm_up of a schedule is out of range"),
        ("linear:steps=-1", "steps of a schedule is not a number"),
        ("linear:steps=01", "steps of a schedule is not a number"),
        ("linear:steps=1.0", "steps of a schedule is not a number"),
        ("linear:steps=", "steps of a schedule is not a number"),
        ("linear:steps=\u0663", "steps of a schedule is not a number"),
        ("step:every=1,factor=1", "factor of a schedule is out of range"),
        ("step:every=1,factor=0", "factor of a schedule is out of range; .*above 0"),
        ("step:every=1,factor=1.1", "factor of a schedule is out of range"),
        ("step:every=1,factor=0.0000000001", "factor of a schedule has too many digits"),
        ("step:every=1,factor=-0.5", "factor of a schedule is not a decimal"),
        ("step:every=1,factor=nan", "factor of a schedule is not a decimal"),
        ("linear:steps=1,end=1", "end of a schedule is out of range"),
        ("linear:steps=1,end=0.1234567891", "end of a schedule has too many digits"),
        ("cosine:steps=1,end=1e-400", "end of a schedule has too many digits"),
        ("cosine:steps=1,end=0." + "0" * 200, "the schedule's text is too long"),
    ],
)
def test_other_texts_are_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(VerificationError, match=message) as refusal:
        parse(text)
    assert len(str(refusal.value)) < 400


@pytest.mark.parametrize("warm_up", [-1, MAX_COUNT + 1])
def test_a_warm_up_out_of_range_does_not_exist(warm_up: int) -> None:
    with pytest.raises(VerificationError, match="warm_up of a schedule is out of range"):
        Schedule(Constant(), warm_up)
