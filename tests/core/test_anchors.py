"""The order that a counter gives to tree heads."""

import pytest

from zk_autograd.core.anchors import AnchorClaim, Standing, require_order
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.errors import VerificationError

Placed = tuple[Checkpoint, AnchorClaim]


def placed(size: int, value: int, root: int = 0, counter: str = "c", standing: Standing = Standing.SHOWN) -> Placed:
    return Checkpoint("x", size, bytes([root] * 32)), AnchorClaim("tpm", standing, "it", position=(counter, value))


@pytest.mark.parametrize(
    "claims",
    [
        [],
        [placed(1, 5)],
        [placed(1, 5), placed(2, 6), placed(7, 100)],
        [placed(7, 100), placed(1, 5), placed(2, 6)],
        [placed(2, 5), placed(2, 6)],
        [placed(2, 5), placed(2, 5)],
        [placed(2, 5), placed(1, 6, counter="d")],
        [placed(2, 5), placed(1, 6, standing=Standing.UNJUDGED)],
        [placed(2, 5), (Checkpoint("x", 1, bytes(32)), AnchorClaim("file", Standing.WORD, "it"))],
    ],
)
def test_heads_in_the_counters_order_are_in_order(claims: list[Placed]) -> None:
    require_order(claims)


@pytest.mark.parametrize(
    "claims",
    [
        [placed(2, 5), placed(2, 5, root=1)],
        [placed(2, 5), placed(3, 5)],
        [placed(2, 5), placed(2, 6, root=1)],
        [placed(2, 5), placed(1, 6)],
        [placed(1, 9), placed(5, 3), placed(2, 4), placed(6, 10)],
    ],
)
def test_two_heads_at_one_value_and_a_smaller_tree_at_a_later_one_are_refused(claims: list[Placed]) -> None:
    with pytest.raises(VerificationError, match="rolled back or has two branches"):
        require_order(claims)
