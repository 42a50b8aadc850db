from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_autograd.core.decimals import MAX_TEXT, decimal_text, parse_decimal, round_half_up, rounded
from zk_autograd.core.errors import VerificationError

DIGITS = st.text("0123456789", min_size=1, max_size=24)
DECIMALS = st.builds(
    lambda whole, fraction, exponent: whole + fraction + exponent,
    DIGITS,
    st.one_of(st.just(""), DIGITS.map(lambda digits: "." + digits)),
    st.one_of(st.just(""), st.integers(-330, 330).map(lambda exponent: f"e{exponent}")),
)


@given(DECIMALS)
def test_a_decimal_is_read_exactly(text: str) -> None:
    assert parse_decimal(text, "lr") == Fraction(Decimal(text))


@pytest.mark.parametrize("text", ["0", "0.001", "1e-08", "1E+2", "2.5e3", "007", "5e-324", "1.7976931348623157e+308"])
def test_usual_spellings_are_read(text: str) -> None:
    assert parse_decimal(text, "lr") == Fraction(Decimal(text))


@given(st.floats(min_value=0, allow_nan=False, allow_infinity=False))
def test_the_repr_of_every_float64_is_read(value: float) -> None:
    assert parse_decimal(repr(abs(value)), "lr") == Fraction(Decimal(repr(abs(value))))


@pytest.mark.parametrize(
    "text",
    [
        *("", "-1", "+1", "--1", "nan", "inf", "1.", ".5", "1e", "1e+", "1_0", " 1", "1 ", "1\n", "0x1", "1/3"),
        *("1,5", "1.5.5", "1e5.5", "1e5e5", "1e0005", "1d5", "\u0661", "\u00b2", "1e\u0661"),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(VerificationError, match="lr is not a decimal"):
        parse_decimal(text, "lr")


@pytest.mark.parametrize("text", ["1e999999999", "1e-999999999", "1e9999", "1e400", "1e-401", "10e399", "0.1e-400"])
def test_a_hostile_exponent_is_refused(text: str) -> None:
    with pytest.raises(VerificationError, match="not a decimal"):
        parse_decimal(text, "lr")


def test_the_largest_exponents_are_read() -> None:
    assert parse_decimal("1e399", "lr") == 10**399
    assert parse_decimal("1e-400", "lr") == Fraction(1, 10**400)


def test_a_long_text_is_refused_by_its_length_and_not_repeated_whole() -> None:
    assert parse_decimal("1" * MAX_TEXT, "lr") == int("1" * MAX_TEXT)
    for length in (MAX_TEXT + 1, 1_000_000):
        with pytest.raises(VerificationError) as refusal:
            parse_decimal("1" * length, "lr")
        assert len(str(refusal.value)) < 200


@given(DECIMALS)
def test_a_decimal_survives_being_written(text: str) -> None:
    value = parse_decimal(text, "lr")
    written = decimal_text(value)
    assert parse_decimal(written, "lr") == value
    assert decimal_text(parse_decimal(written, "lr")) == written


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(0), "0"),
        (Fraction(1, 1000), "0.001"),
        (Fraction(32735, 32768), "0.998992919921875"),
        (Fraction(1, 2**60), "0." + str(5**60).rjust(60, "0")),
        (Fraction(-5, 4), "-1.25"),
        (Fraction(1, 3), "1/3"),
        (Fraction(1200), "1200"),
        (Fraction(12, 10**90), "12e-90"),
        (Fraction(10**90), "1e90"),
    ],
)
def test_values_have_one_text(value: Fraction, text: str) -> None:
    assert decimal_text(value) == text


@pytest.mark.parametrize(
    ("value", "rounded"),
    [(Fraction(1, 2), 1), (Fraction(-1, 2), 0), (Fraction(-3, 2), -1), (Fraction(5, 2), 3), (Fraction(2, 3), 1)],
)
def test_halves_are_rounded_up(value: Fraction, rounded: int) -> None:
    assert round_half_up(value) == rounded


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (Fraction(1, 3), 3, "0.333"),
        (Fraction(2, 3), 3, "0.667"),
        (Fraction(1999, 2), 3, "1000"),
        (Fraction(12345, 10), 3, "1230"),
        (Fraction(9995, 10**9), 3, "0.00001"),
        (Fraction(7, 10**90), 3, "7e-90"),
        (Fraction(0), 3, "0"),
    ],
)
def test_numbers_for_people_have_so_many_digits(value: Fraction, digits: int, text: str) -> None:
    assert decimal_text(rounded(value, digits)) == text


@given(st.fractions(Fraction(1, 10**20), 10**20), st.integers(1, 9))
def test_rounding_for_people_is_by_half_a_unit_at_most(value: Fraction, digits: int) -> None:
    assert abs(rounded(value, digits) - value) <= value / 10 ** (digits - 1) / 2
