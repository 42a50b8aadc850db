"""The body of a receipt of the anchor `evm`, and the place in the contract that it proves.

Its byte strings are base64:

    {"chain": <id>, "contract": <20 bytes, hexadecimal>, "publisher": <20 bytes, hexadecimal>,
     "headers": [<RLP>, ...], "account": [<node>, ...],
     "root": [<node>, ...], "place": [<node>, ...], "delay": <blocks, or 0>}

The first header is of the block whose state is shown, and each is the parent of the next. `account`
leads from its state to the contract, `root` and `place` from the contract's storage to the entry's
two slots (slots.py). With a `delay` above 0 that block is so many blocks after the entry's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from zk_autograd.anchor.evm.beacon import MAX_DELAY
from zk_autograd.anchor.evm.contract import contract
from zk_autograd.anchor.evm.header import MAX_HEADER, Header
from zk_autograd.anchor.evm.rlp import decode_bytes, decode_list, integer
from zk_autograd.anchor.evm.slots import Place, entry_slots
from zk_autograd.anchor.evm.trie import MAX_NODE, MAX_NODES, proved_value
from zk_autograd.core.canonical import MAX_INTEGER, Json
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.text import decode_base64, encode_base64

MAX_HEADERS = 257

_ADDRESS = 20


@dataclass(frozen=True, slots=True)
class Body:
    """A receipt's body, as the module's text says."""

    chain: int
    contract: bytes
    publisher: bytes
    headers: tuple[bytes, ...]
    account: tuple[bytes, ...]
    root: tuple[bytes, ...]
    place: tuple[bytes, ...]
    delay: int

    @classmethod
    def read(cls, fields: Fields) -> "Body":
        """The body of its fields, nothing of it checked but lengths. VerificationError."""
        body = cls(
            fields.integer("chain", 1, MAX_INTEGER),
            fields.hex("contract", _ADDRESS),
            fields.hex("publisher", _ADDRESS),
            _strings(fields, "headers", MAX_HEADERS, MAX_HEADER),
            _strings(fields, "account", MAX_NODES, MAX_NODE),
            _strings(fields, "root", MAX_NODES, MAX_NODE),
            _strings(fields, "place", MAX_NODES, MAX_NODE),
            fields.integer("delay", 0, MAX_DELAY),
        )
        fields.end()
        return body

    def to_json(self) -> dict[str, Json]:
        """The body as an object."""
        return {
            "chain": self.chain,
            "contract": self.contract.hex(),
            "publisher": self.publisher.hex(),
            **{name: _texts(getattr(self, name)) for name in ("headers", "account", "root", "place")},
            "delay": self.delay,
        }

    def place_of(self, header: Header, head: Checkpoint) -> Place:
        """Where the contract's entry says that this head was anchored, after checks of all proofs
        against the header's state. VerificationError."""
        account = decode_list(
            proved_value(header.state_root, self.contract, self.account, "the account's proof"), "the account"
        )
        if len(account) != 4 or len(account[2]) != 32:
            raise VerificationError("the account's proof does not end in an account")
        if account[3] != contract().code_hash:
            raise VerificationError(
                "the contract is not the one of this package: its code is another",
                expected=f"the code of hash 0x{contract().code_hash.hex()}",
                found=f"0x{account[3][:32].hex()}",
            )
        first, second = entry_slots(self.publisher, head.origin, head.size)
        root = _number(account[2], first, self.root, "the root's proof").to_bytes(32, "big")
        if root != head.root:
            raise VerificationError(
                f"another root is anchored for the size {head.size}",
                expected=head.root.hex(),
                found=root.hex(),
            )
        place = Place.parse(_number(account[2], second, self.place, "the place's proof"))
        if place.number > header.number or place.time > header.time or place.previous >= head.size:
            raise VerificationError("the contract's entry is of a later block, or follows a larger tree: it can't be")
        if self.delay and header.number != place.number + self.delay:
            raise VerificationError(
                "the beacon is of another block than the one that the delay names",
                expected=str(place.number + self.delay),
                found=str(header.number),
            )
        return place


def _number(storage_root: bytes, slot: bytes, nodes: Sequence[bytes], what: str) -> int:
    value = decode_bytes(proved_value(storage_root, slot, nodes, what), f"the value of {what}")
    return integer(value, f"the value of {what}", 2**256 - 1)


def _strings(fields: Fields, name: str, most: int, most_bytes: int) -> tuple[bytes, ...]:
    """Byte strings, which are bounded before they are decoded."""
    return tuple(
        decode_base64(value.text((most_bytes + 2) // 3 * 4), value.where) for value in fields.array(name, most, 1)
    )


def _texts(strings: Sequence[bytes]) -> list[str]:
    return [encode_base64(data) for data in strings]
