"""Tiles as C2SP tlog-tiles has them; its examples are written out by hand."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_autograd.core.errors import VerificationError
from zk_autograd.core.tiles import WIDTH, Tile, encode_bundle, parse_bundle, parse_hashes, tiles_of


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0, 256), "tile/0/000"),
        (Tile(0, 1234067, 256), "tile/0/x001/x234/067"),
        (Tile(3, 1234067, 1), "tile/3/x001/x234/067.p/1"),
        (Tile(63, 999, 255), "tile/63/999.p/255"),
        (Tile(1, 1000, 256), "tile/1/x001/000"),
        (Tile(None, 273, 112), "tile/entries/273.p/112"),
        (Tile(None, 10**6, 256), "tile/entries/x001/x000/000"),
    ],
)
def test_paths(tile: Tile, path: str) -> None:
    assert tile.path == path


def test_the_specification_s_tree_of_70000() -> None:
    """C2SP tlog-tiles: "a tree of size 70,000 will be represented by 273 full level 0 tiles, one
    partial level 0 tile of width 112, one full level 1 tile, one partial level 1 tile of width 17,
    and one partial level 2 tile of width 1"."""
    counted = Counter((tile.level, tile.width) for tile in tiles_of(70_000))
    assert counted == {
        **{(level, width): number for level in (None, 0) for width, number in ((256, 273), (112, 1))},
        (1, 256): 1,
        (1, 17): 1,
        (2, 1): 1,
    }
    paths = [tile.path for tile in tiles_of(70_000)]
    assert paths[-4:] == ["tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"]


def test_the_specification_s_tree_of_256() -> None:
    """C2SP tlog-tiles: "a tree of size 256 will be represented by a full level 0 tile and a partial
    level 1 tile of width 1"."""
    assert [tile.path for tile in tiles_of(256)] == ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]
    assert [tile.path for tile in tiles_of(1)] == ["tile/entries/000.p/1", "tile/0/000.p/1"]
    assert list(tiles_of(0)) == []


@given(st.integers(0, 200_000), st.integers(0, 70_000))
def test_what_a_tree_has_more_than_an_earlier_one(since: int, more: int) -> None:
    before, after = set(tiles_of(since)), set(tiles_of(since + more))
    new = list(tiles_of(since + more, since))
    assert len(new) == len(set(new))
    assert set(new) == after - before
    for tile in after:  # "floor(s / 256**l) mod 256"
        at_level = (since + more) // WIDTH ** (tile.level or 0)
        assert tile.width == WIDTH or (tile.width == at_level % WIDTH and tile.index == at_level // WIDTH)


@given(st.lists(st.binary(max_size=300), max_size=256))
def test_a_bundle_is_read_as_it_was_written(entries: list[bytes]) -> None:
    assert parse_bundle(encode_bundle(entries), len(entries), "it") == entries


def test_a_bundle_by_hand() -> None:
    assert encode_bundle([b"ab", b"", b"c" * 258]) == b"\x00\x02ab" + b"\x00\x00" + b"\x01\x02" + b"c" * 258
    assert encode_bundle([bytes(65535)])[:2] == b"\xff\xff"
    with pytest.raises(ValueError, match="at most 65535 bytes"):
        encode_bundle([bytes(65536)])


@pytest.mark.parametrize(
    ("data", "width"),
    [
        (b"", 1),
        (b"\x00\x01a", 2),
        (b"\x00\x01a\x00\x01b", 1),
        (b"\x00\x01a\x00", 1),
        (b"\x00\x01a\x00", 2),
        (b"\x00\x02a", 1),
        (b"\xff\xff", 1),
        (b"\x00\x01a\x00\x05b", 2),
        (b"a", 0),
    ],
)
def test_a_malformed_bundle(data: bytes, width: int) -> None:
    with pytest.raises(VerificationError, match=f"it is not {width} entries"):
        parse_bundle(data, width, "it")


def test_hashes() -> None:
    assert parse_hashes(bytes(32) + b"\x01" * 32, 2, "it") == [bytes(32), b"\x01" * 32]
    for data in (bytes(63), bytes(65), bytes(32), b""):
        with pytest.raises(VerificationError, match="it is not 2 hashes"):
            parse_hashes(data, 2, "it")
