"""What a receipt of the anchor `evm` shows: that a block's state holds this tree head, as the entry
of an account in the contract.

Its body, whose byte strings are base64:

    {"chain": <id>, "contract": <20 bytes, hexadecimal>, "publisher": <20 bytes, hexadecimal>,
     "headers": [<RLP>, ...], "account": [<node>, ...],
     "root": [<node>, ...], "place": [<node>, ...], "delay": <blocks, or 0>}

The first header is of the block whose state is shown, and each is the parent of the next. `account`
leads from its state to the contract, `root` and `place` from the contract's storage to the entry's
two slots (slots.py). The auditor brings the hash of a block that is on the chain, any of these.

What it rests on is the chain: that most of those who run it let no other history through, and that
the auditor's source of the hash is honest. The contract takes under one account and origin only
trees that continue each other; so there is no other branch, as far as the auditor knows the
account.

**Beacon.** With `delay` d above 0 the first header is of the block d blocks after that of the
entry, and the beacon is a hash of what the chain's proposers mixed into it (`Header.mix`,
EIP-4399), not of the block's hash: a block's proposer can try as many hashes of it as they can
compute, while the mix gives each proposer one choice, to withhold their block or not, and with it
its reward. Who proposes the last k blocks before it chooses between 2^k values. So it rests on the
trainer's neither being these proposers nor in league with them; on a chain with one sequencer it is
one party's word. A head of one size is anchored once, and an entry's beacon belongs to the leaves
from `AnchorClaim.beacon_after` on: those before had one already. Who dislikes a beacon can begin
another run; the register shows it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from zk_autograd.anchor.evm import keccak
from zk_autograd.anchor.evm.contract import contract
from zk_autograd.anchor.evm.header import MAX_HEADER, Header, parse_chain
from zk_autograd.anchor.evm.rlp import decode_bytes, decode_list, integer
from zk_autograd.anchor.evm.slots import Place, entry_slots
from zk_autograd.anchor.evm.trie import MAX_NODE, MAX_NODES, proved_value
from zk_autograd.core import canonical
from zk_autograd.core.anchors import AnchorClaim, Receipt, SignedCheckpoint, Standing
from zk_autograd.core.canonical import MAX_INTEGER, Json
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.text import counted, decode_base64, encode_base64

KIND = "evm"
MAX_HEADERS = 257
MAX_BLOCKS = 4096
MAX_DELAY = 2**20
LEAST_DELAY = 128
"""Blocks: four epochs of Ethereum. The more proposers there are between an anchoring and its
beacon, the less likely it is that one party has them all."""

_BEACON = b"zk-autograd/beacon/evm/v1\n"
_ADDRESS = 20
_MISSING = "that takes the package pycryptodome: pip install 'zk-autograd[evm]'"


@dataclass(frozen=True, slots=True)
class Trust:
    """What the auditor knows of a chain: blocks on it by their hashes, and the contract's address.
    `publisher`: the trainer's account, None if it isn't known; `depth`: how many blocks below one
    of `blocks` something must lie to count; `delay`: the least delay of a beacon that counts."""

    chain: int
    blocks: frozenset[bytes]
    contract: bytes
    publisher: bytes | None = None
    depth: int = 0
    delay: int = LEAST_DELAY


def read_trust(fields: Fields, read: Callable[[str], bytes]) -> Trust:
    """[anchors.evm]: `chain` (its id, as a text), `blocks` (hashes), and if they are there
    `contract`, `publisher` (addresses), `depth` and `delay` (blocks). VerificationError."""
    chain = fields.text("chain", 16)
    if not chain.isascii() or not chain.isdigit() or str(int(chain)) != chain or int(chain) > MAX_INTEGER:
        raise VerificationError("chain is not the number of an EVM chain", expected='such as "1"', found=ascii(chain))
    blocks = [_hex(text, 32, "blocks") for text in fields.texts("blocks", MAX_BLOCKS, 66, 1)]
    return Trust(
        int(chain),
        frozenset(blocks),
        _address(fields, "contract") or contract().address,
        _address(fields, "publisher"),
        fields.integer("depth", 0, MAX_INTEGER) if "depth" in fields else 0,
        fields.integer("delay", 1, MAX_DELAY) if "delay" in fields else LEAST_DELAY,
    )


def verify(receipt: Receipt, checkpoint: SignedCheckpoint, trust: Any | None) -> AnchorClaim:
    """See core.anchors.AnchorVerifier."""
    receipt.require_head(checkpoint.head)
    body = Body.read(receipt.fields())
    if not keccak.available():
        return AnchorClaim(KIND, Standing.UNJUDGED, _MISSING)
    headers = parse_chain(body.headers)
    place = body.place_of(headers[0], checkpoint.head)
    if trust is not None and not isinstance(trust, Trust):
        raise TypeError(f"trust in {KIND} is a Trust, not {type(trust).__name__}")
    top = None if trust is None else _trusted(headers, trust)
    if trust is None or top is None:
        return AnchorClaim(KIND, Standing.UNJUDGED, _look_up(body, headers))
    if missing := _missing(body, place, top, trust):
        return AnchorClaim(KIND, Standing.UNJUDGED, missing)
    return _shown(body, headers[0], place, checkpoint.head, top, trust)


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

    def terms(self) -> dict[str, str]:
        """See `terms`."""
        return terms(self.chain, self.contract, self.publisher, self.delay)


def terms(chain: int, address: bytes, publisher: bytes, delay: int) -> dict[str, str]:
    """The kind's own terms of a beacon, which a run's header says before it is anchored: with them,
    and the first tree head that covers the run's entry, the block is fixed."""
    return {
        "chain": str(chain),
        "contract": f"0x{address.hex()}",
        "publisher": f"0x{publisher.hex()}",
        "delay": str(delay),
    }


def beacon_of(said: Mapping[str, str], head: Checkpoint, number: int, mix: bytes) -> bytes:
    """The 32 bytes of the beacon of a head under these terms, from the block of this number:
    SHA-256 of a line that names it, and of the canonical JSON of all that."""
    value: dict[str, Json] = {
        **said,
        "kind": KIND,
        "origin": head.origin,
        "size": head.size,
        "root": head.root.hex(),
        "number": number,
        "mix": mix.hex(),
    }
    return sha256(_BEACON + canonical.encode(value)).digest()


def _number(storage_root: bytes, slot: bytes, nodes: Sequence[bytes], what: str) -> int:
    value = decode_bytes(proved_value(storage_root, slot, nodes, what), f"the value of {what}")
    return integer(value, f"the value of {what}", 2**256 - 1)


def _trusted(headers: Sequence[Header], trust: Trust) -> Header | None:
    """The last of the headers that the auditor knows to be on the chain: so are those before it."""
    return next((header for header in reversed(headers) if header.hash in trust.blocks), None)


def _look_up(body: Body, headers: Sequence[Header]) -> str:
    last = headers[-1]
    return (
        f"ask a node that you trust for block {last.number} of the EVM chain {body.chain}; "
        f"if its hash is 0x{last.hash.hex()}, add that to `blocks` of [anchors.evm]"
    )


def _missing(body: Body, place: Place, top: Header, trust: Trust) -> str:
    """What the auditor's trust doesn't cover of a receipt whose block they know; "" for nothing."""
    for name, found, wanted in (
        ("chain", str(body.chain), str(trust.chain)),
        ("contract", f"0x{body.contract.hex()}", f"0x{trust.contract.hex()}"),
        ("publisher", f"0x{body.publisher.hex()}", f"0x{(trust.publisher or body.publisher).hex()}"),
    ):
        if found != wanted:
            return f"the receipt's {name} is {found}, and you trust {wanted}"
    if top.number - place.number < trust.depth:
        return (
            f"it was anchored in block {place.number}, only {counted(top.number - place.number, 'block')} "
            f"below the one that you know, and your `depth` is {trust.depth}"
        )
    return ""


def _shown(body: Body, header: Header, place: Place, head: Checkpoint, top: Header, trust: Trust) -> AnchorClaim:
    rests_on = (
        f"on the EVM chain {body.chain}, of which you know block {top.number}: the contract 0x{body.contract.hex()} "
        f"took it from the account 0x{body.publisher.hex()} in block {place.number}"
    )
    if trust.publisher is None:
        rests_on += "; from another account it may have taken another branch, since you name no `publisher`"
    beacon, why = None, ""
    if body.delay:
        beacon, why = _beacon(body, header, head, top, trust)
    return AnchorClaim(
        KIND,
        Standing.SHOWN,
        rests_on + why,
        time=place.time,
        excludes_forks=trust.publisher is not None,
        beacon=beacon,
        identity=(f"{KIND}:{body.chain}",),
        beacon_terms=body.terms() if beacon else {},
        beacon_after=place.previous if beacon else None,
    )


def _beacon(body: Body, header: Header, head: Checkpoint, top: Header, trust: Trust) -> tuple[bytes | None, str]:
    """The beacon of the block, or None and why it isn't one."""
    if header.mix is None:
        return None, f"; block {header.number} has no randomness of its proposers, so it is no beacon"
    if top.number - header.number < trust.depth:
        return None, f"; its beacon is not yet {trust.depth} blocks below the one that you know"
    if body.delay < trust.delay:
        return None, f"; a beacon {counted(body.delay, 'block')} later may have been known: you ask for {trust.delay}"
    return beacon_of(body.terms(), head, header.number, header.mix), ""


def _strings(fields: Fields, name: str, most: int, most_bytes: int) -> tuple[bytes, ...]:
    """Byte strings, which are bounded before they are decoded."""
    return tuple(
        decode_base64(value.text((most_bytes + 2) // 3 * 4), value.where) for value in fields.array(name, most, 1)
    )


def _texts(strings: Sequence[bytes]) -> list[str]:
    return [encode_base64(data) for data in strings]


def _address(fields: Fields, name: str) -> bytes | None:
    return _hex(fields.text(name, 42), _ADDRESS, name) if name in fields else None


def _hex(text: str, length: int, name: str) -> bytes:
    """The bytes of "0x" and hexadecimal digits, in either case (EIP-55 mixes them)."""
    digits = text.removeprefix("0x").lower()
    if not text.startswith("0x") or len(digits) != 2 * length or not set(digits) <= set("0123456789abcdef"):
        raise VerificationError(
            f"{name} of [anchors.evm] is malformed",
            expected=f"0x and {2 * length} hexadecimal digits",
            found=ascii(text),
        )
    return bytes.fromhex(digits)
