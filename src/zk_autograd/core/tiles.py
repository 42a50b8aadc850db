"""How a log's tree and entries lie in files that any web server gives: C2SP tlog-tiles.

    checkpoint                          the newest signed note
    tile/<level>/<index>[.p/<width>]    up to 256 hashes, each over 256^level leaves
    tile/entries/<index>[.p/<width>]    up to 256 entries, each after its length (two bytes)

A tile of 256 is full, and never changes; `.p/<width>` is the partial one at the tree's right edge.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from zk_autograd.core.errors import VerificationError
from zk_autograd.core.merkle import HASH_BYTES

CHECKPOINT = "checkpoint"
TILE = "tile"
ENTRIES = "entries"
WIDTH = 256
HEIGHT = 8
"""Levels of the tree that a tile spans: 2^HEIGHT = WIDTH."""
MAX_ENTRY_BYTES = 2**16 - 1


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile of hashes; of entries, if `level` is None. It has `width` of them: 1 .. 256."""

    level: int | None
    index: int
    width: int

    @property
    def path(self) -> str:
        """Where it lies, below the log's prefix."""
        level = ENTRIES if self.level is None else str(self.level)
        full = f"{TILE}/{level}/{_number(self.index)}"
        return full if self.width == WIDTH else f"{full}.p/{self.width}"

    @property
    def full(self) -> "Tile":
        """The tile that this one becomes."""
        return Tile(self.level, self.index, WIDTH)

    @property
    def first(self) -> int:
        """The index, in its level, of the first of its hashes or entries."""
        return self.index * WIDTH


def tiles_of(size: int, since: int = 0) -> Iterator[Tile]:
    """The tiles of a tree of `size` leaves that the tree of `since` leaves hasn't, in an order in
    which each stands on those before it: entries, then hashes from level 0 up."""
    yield from _row(None, size, since)
    level = 0
    while size:
        yield from _row(level, size, since)
        level, size, since = level + 1, size // WIDTH, since // WIDTH


def _row(level: int | None, count: int, since: int) -> Iterator[Tile]:
    if since == count:
        return
    for index in range(since // WIDTH, -(-count // WIDTH)):
        yield Tile(level, index, min(WIDTH, count - index * WIDTH))


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """The entries of a tile. ValueError for one that is too long."""
    if any(len(entry) > MAX_ENTRY_BYTES for entry in entries):
        raise ValueError(f"an entry has at most {MAX_ENTRY_BYTES} bytes")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def parse_bundle(data: bytes, width: int, where: str) -> list[bytes]:
    """The `width` entries of a tile. VerificationError, which names `where`, unless there are as
    many, and nothing else."""
    found: list[bytes] = []
    at = 0
    while at < len(data) and len(found) < width:
        start = at + 2
        at = start + int.from_bytes(data[at:start], "big")
        found.append(data[start:at])
    if len(found) != width or at != len(data):  # an entry that ends early leaves `at` behind the end
        raise VerificationError(f"{where} is not {width} entries, each after its length")
    return found


def parse_hashes(data: bytes, width: int, where: str) -> list[bytes]:
    """The `width` 32-byte hashes of a tile. VerificationError, which names `where`, otherwise."""
    if len(data) != HASH_BYTES * width:
        raise VerificationError(
            f"{where} is not {width} hashes", expected=f"{HASH_BYTES * width} bytes", found=str(len(data))
        )
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


def _number(index: int) -> str:
    """Three digits a path element, all but the last after an x: x001/x234/067."""
    text = f"{index % 1000:03d}"
    while index := index // 1000:
        text = f"x{index % 1000:03d}/{text}"
    return text
