"""Rounding and square roots, and the sizes of every product and sum of the rules."""

from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.core import oracle_rules as oracle
from tests.core.rules.elements import vector
from zk_autograd.core import constants as widths
from zk_autograd.core import formats
from zk_autograd.core.rules.arithmetic import isqrt, rounded, settled_root


def largest_values() -> list[tuple[str, int, int]]:
    """Each product and sum in the order of the code, its largest absolute value, and how many bits
    that has."""
    W, G = formats.WEIGHT_BOUND - 1, formats.GRADIENT_BOUND - 1
    M, Mh, B = formats.FIRST_MOMENT_BOUND - 1, formats.ROUNDED_MOMENT_BOUND - 1, formats.MOMENTUM_BOUND - 1
    V, U = formats.SECOND_MOMENT_MAX, formats.UPDATE_BOUND - 1
    c, half = widths.COEFFICIENT_ONE, 2**14
    LR, E, D = widths.ADAM_LR_BOUND - 1, widths.EPS_BOUND - 1, widths.DECAY_BOUND - 1
    sgd_LR, s = widths.SGD_LR_BOUND - 1, widths.FINE_S
    X, S = max(G * G, V), oracle.root(V)
    W_high = W // 2**15 + 1
    R = (D * W_high + half) // 2**15
    A = B + G + 1  # mu*B' / 2^15 is below B' in size
    return [
        ("2^15*G", G * 2**15, 45),
        ("2^15*G - M", G * 2**15 + M, 46),
        ("c1*(2^15*G - M) + 2^14", c * (G * 2**15 + M) + half, 61),
        ("M + floor(c1*(2^15*G - M) ...)", M + G * 2**15 + M + 1, 47),
        ("M' + 2^14", M + half, 46),
        ("G*G - V", X, 61),
        ("c2*Xh", c * (X // 2**15 + 1), 61),
        ("c2*Xl + 2^14", c * (2**15 - 1) + half, 30),
        ("V + c2*Xh + ...", V + c * (X // 2**15 + 1) + 2**15, 62),
        ("(S + 2)^2 of the root's correction", (S + 2) ** 2, 61),
        ("S + E", S + E, 31),
        ("2*LR*Mh + D", 2 * LR * Mh + S + E, 61),
        ("2*D", 2 * (S + E), 32),
        ("D*floor(W / 2^15) + 2^14", D * W_high + half, 58),
        ("R", R, 43),
        ("W - U - R", W + U + R, 46),
        ("mu*B + cg*G + 2^14", c * B + c * G + half, 46),
        ("C of Lion: c1*(2^15*G - M) + 2^15*M", c * (G * 2**15 + M) + 2**15 * M, 62),
        ("W - LR*S - R of Lion", W + LR + R, 46),
        ("2*LR*G + D of RMSprop", 2 * LR * G + S + E, 61),
        ("LR*B' + 2^(s-1)", sgd_LR * B + 2 ** (s - 1), 61),
        ("LR*A + 2^(s-1) of Nesterov", sgd_LR * A + 2 ** (s - 1), 62),
    ]


@pytest.mark.parametrize(("expression", "largest", "bits"), largest_values())
def test_every_product_and_sum_fits_int64(expression: str, largest: int, bits: int) -> None:
    assert largest.bit_length() == bits, expression
    assert largest < 2**63


@given(st.lists(st.integers(-(2**62), 2**62), max_size=20))
@example([2**14, 2**14 - 1, -(2**14), -(2**14) - 1, 3 * 2**14, -3 * 2**14])
def test_rounding_is_to_nearest_and_halves_up(values: list[int]) -> None:
    assert rounded(vector(values)).tolist() == [oracle.half_up(Fraction(v, 2**15)) for v in values]


ROOTS = st.one_of(st.integers(0, 2**30), st.integers(2**30 - 2**12, 2**30), st.integers(0, 2**12))


@given(st.lists(st.tuples(ROOTS, st.integers(-2, 2)), min_size=1, max_size=40))
@example([(2**30, 0), (2**30, -1), (0, 0), (1, 0), (2**30 - 1, -1), (2**30 - 1, 0), (94906266, -1)])
def test_square_roots_next_to_squares_are_exact(drawn: list[tuple[int, int]]) -> None:
    values = [min(max(r * r + by, 0), 2**60) for r, by in drawn]
    assert isqrt(vector(values)).tolist() == [oracle.root(value) for value in values]


@given(st.lists(st.integers(0, 2**60), max_size=40))
def test_square_roots_are_exact(values: list[int]) -> None:
    assert isqrt(vector(values)).tolist() == [oracle.root(value) for value in values]


def test_square_roots_are_exact_around_every_power_of_two() -> None:
    values = [
        (2**bits + by) ** 2 + rest for bits in range(1, 30) for by in (-1, 0, 1) for rest in (-1, 0, 1, 2 ** (bits + 1))
    ]
    assert isqrt(vector(values)).tolist() == [oracle.root(value) for value in values]


@pytest.mark.parametrize("by", [-1, 0, 1])
def test_an_estimate_off_by_one_is_settled(by: int) -> None:
    values = vector([1, 2, 3, 4, 8, 9, 2**60, 2**60 - 1, 2**59])
    exact = vector([oracle.root(int(value)) for value in values])
    assert settled_root(values, exact + by).tolist() == exact.tolist()
