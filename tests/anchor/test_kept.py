"""What anchors store of a publication reads back as it was written, and as nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.anchor.tree import Tree
from zk_autograd.anchor.kept import encode_kept, parse_kept
from zk_autograd.core import canonical
from zk_autograd.core.anchors import Kept
from zk_autograd.core.errors import VerificationError

TREE = Tree(3)


def test_reads_back() -> None:
    kept = Kept(TREE.checkpoint().note, 1, tuple(TREE.leaves[1:]))
    assert parse_kept(encode_kept(kept)) == kept


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"checkpoint": "a\n", "first": 0},
        {"checkpoint": 1, "first": 0, "entries": []},
        {"checkpoint": "a" * 70_000, "first": 0, "entries": []},
        {"checkpoint": "a\n", "first": -1, "entries": []},
        {"checkpoint": "a\n", "first": 0, "entries": [1]},
        {"checkpoint": "a\n", "first": 0, "entries": ["a" * 1025]},
        {"checkpoint": "a\n", "first": 0, "entries": ["\u00e9"]},
        {"checkpoint": "a\n", "first": 0, "entries": [], "more": 1},
    ],
)
def test_anything_else_is_refused(value: canonical.Json) -> None:
    with pytest.raises(VerificationError):
        parse_kept(canonical.encode(value))


@given(st.binary(max_size=200), st.integers(0, 2**16), st.integers(0, 255))
def test_whatever_the_bytes_are_only_one_error_leaves(noise: bytes, place: int, byte: int) -> None:
    good = bytearray(encode_kept(Kept(TREE.checkpoint().note, 0, tuple(TREE.leaves))))
    good[place % len(good)] = byte
    for data in (noise, bytes(good)):
        try:
            kept = parse_kept(data)
        except VerificationError:
            continue
        assert encode_kept(kept) == data
