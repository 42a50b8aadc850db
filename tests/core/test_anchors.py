"""The order that a counter gives to tree heads, and who counts as one authority."""

import pytest

from zk_autograd.core.anchors import AnchorClaim, Standing, authorities, require_order
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


def vouched(*identity: str, keys: tuple[str, ...] = ()) -> AnchorClaim:
    return AnchorClaim("it", Standing.SHOWN, "it", identity=identity, keys=keys)


@pytest.mark.parametrize(
    ("claims", "found"),
    [
        ([], ()),
        ([vouched()], ()),
        ([vouched("a"), vouched("a")], ("a",)),
        ([vouched("a", "b"), vouched("b", "c")], ("a", "b", "c")),  # three witnesses
        ([vouched("b", keys=("1", "2")), vouched("a", keys=("2", "3"))], ("a",)),
        ([vouched("a", keys=("1",)), vouched("a", keys=("2",))], ("a",)),
        ([vouched("a", keys=("1",)), vouched("b", keys=("2",))], ("a", "b")),
        # the last shows that the first two are one
        ([vouched("a", keys=("1",)), vouched("b", keys=("2",)), vouched("c", keys=("1", "2"))], ("a",)),
    ],
)
def test_who_shares_a_key_is_one_authority(claims: list[AnchorClaim], found: tuple[str, ...]) -> None:
    assert authorities(claims) == found
    assert authorities(claims[::-1]) == found
