"""What a slot's value may say of when a head was anchored."""

import pytest

from zk_autograd.anchor.evm.slots import Place
from zk_autograd.core.canonical import MAX_INTEGER
from zk_autograd.core.errors import VerificationError


def value(number: int, time: int, previous: int) -> int:
    return number | time << 64 | previous << 128


@pytest.mark.parametrize("place", [(1, 0, 0), (7, 8, 9), (MAX_INTEGER,) * 3])
def test_a_place_is_what_its_slot_says(place: tuple[int, int, int]) -> None:
    assert Place.parse(value(*place)) == Place(*place)


@pytest.mark.parametrize(
    "place",
    [
        (0, 8, 9),  # a beacon of the first block's would be known to all
        (MAX_INTEGER + 1, 8, 9),
        (7, MAX_INTEGER + 1, 9),
        (7, 8, MAX_INTEGER + 1),
        (7, 8, 2**100),  # of a struct with more in it
        (2**64 - 1, 2**64 - 1, 2**64 - 1),
    ],
)
def test_a_place_that_can_t_be_is_refused(place: tuple[int, int, int]) -> None:
    with pytest.raises(VerificationError, match="no block, time or size that can be"):
        Place.parse(value(*place))
