"""Where the contract's storage has what was anchored (Solidity's layout of mappings and structs).

With h = Keccak-256, | for concatenation, and every number, address and size in 32 bytes:

    latest[account][origin]         h(origin | h(account | 0))                       the size
    entries[account][origin][size]  e = h(size | h(origin | h(account | 1)))         the root
                                    e + 1    number + 2^64 time + 2^128 previous

`origin` is the SHA-256 of the register's origin. A storage proof's key is the hash of the slot.
"""

from dataclasses import dataclass
from hashlib import sha256

from zk_autograd.anchor.evm.keccak import keccak256
from zk_autograd.core.canonical import MAX_INTEGER
from zk_autograd.core.errors import VerificationError

_LATEST, _ENTRIES = bytes(32), (1).to_bytes(32, "big")
_WORD = 2**64


def origin_hash(origin: str) -> bytes:
    """What the contract knows a register by."""
    return sha256(origin.encode("utf-8")).digest()


def latest_slot(account: bytes, origin: str) -> bytes:
    """That of the newest size of an account (20 bytes) under a register's origin."""
    return _in_mapping(_in_mapping(_LATEST, account), origin_hash(origin))


def entry_slots(account: bytes, origin: str, size: int) -> tuple[bytes, bytes]:
    """Those of the root, and of block, time and previous size, of the entry of `size` leaves."""
    of_origin = _in_mapping(_in_mapping(_ENTRIES, account), origin_hash(origin))
    first = _in_mapping(of_origin, size.to_bytes(8, "big"))
    second = (int.from_bytes(first, "big") + 1) % 2**256
    return first, second.to_bytes(32, "big")


@dataclass(frozen=True, slots=True)
class Place:
    """When a head was anchored: the block's number and time (POSIX seconds), and the size of the
    head that the same account had anchored before, 0 for none."""

    number: int
    time: int
    previous: int

    @classmethod
    def parse(cls, value: int) -> "Place":
        """The place that a slot's value says. VerificationError."""
        place = cls(value % _WORD, value // _WORD % _WORD, value // _WORD**2)
        if not 0 < place.number <= MAX_INTEGER or max(place.time, place.previous) > MAX_INTEGER:
            raise VerificationError("the contract's entry has no block, time or size that can be")
        return place


def _in_mapping(slot: bytes, key: bytes) -> bytes:
    return keccak256(key.rjust(32, b"\0") + slot)
