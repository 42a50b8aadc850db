"""Block headers: RLP, whose Keccak-256 is the block's hash (Yellow Paper, section 4.4).

What is read stands at the same place in every header so far; what later upgrades of a chain append
is covered by the hash, and not read.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from zk_autograd.anchor.evm.keccak import keccak256
from zk_autograd.anchor.evm.rlp import decode_list, integer
from zk_autograd.core.canonical import MAX_INTEGER
from zk_autograd.core.errors import VerificationError

MAX_HEADER = 4096
"""Bytes. Ethereum's have about 640."""

_LENGTHS = {0: 32, 1: 32, 2: 20, 3: 32, 4: 32, 5: 32, 6: 256, 13: 32, 14: 8}
_MOST_ITEMS = 40
_POS_MIX = 2**64


@dataclass(frozen=True, slots=True)
class Header:
    """`time` in POSIX seconds; `mix` is what the chain's proposers mixed (EIP-4399), None where
    there is no such thing: before proof of stake, and on chains that write a constant there."""

    hash: bytes
    parent: bytes
    state_root: bytes
    number: int
    time: int
    mix: bytes | None

    @classmethod
    def parse(cls, data: bytes) -> "Header":
        """The header of its RLP. VerificationError."""
        items = decode_list(data, "the block's header")
        if not 15 <= len(items) <= _MOST_ITEMS or any(len(items[at]) != size for at, size in _LENGTHS.items()):
            raise VerificationError("the block's header has not the fields of one")
        difficulty = integer(items[7], "the block's difficulty", 2**256 - 1)
        mix = items[13]
        return cls(
            keccak256(data),
            items[0],
            items[3],
            integer(items[8], "the block's number", MAX_INTEGER),
            integer(items[11], "the block's time", MAX_INTEGER),
            # EIP-4399: a block of proof of stake has difficulty 0, and a value above 2^64 here
            mix if difficulty == 0 and int.from_bytes(mix, "big") > _POS_MIX else None,
        )


def parse_chain(headers: Sequence[bytes]) -> list[Header]:
    """The headers, each the parent of the next. VerificationError."""
    found = [Header.parse(data) for data in headers]
    for above, below in zip(found[1:], found, strict=False):
        if above.parent != below.hash or above.number != below.number + 1:
            raise VerificationError(f"block {above.number} of the receipt does not follow block {below.number}")
    return found
