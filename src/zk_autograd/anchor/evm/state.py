"""What a node says of the contract: the newest head of an account, and a receipt for one of them.

Nothing that a node says is believed for a receipt: whoever made one verifies it."""

from typing import Any

from zk_autograd.anchor.evm.body import Body
from zk_autograd.anchor.evm.contract import contract
from zk_autograd.anchor.evm.header import Header
from zk_autograd.anchor.evm.keccak import keccak256
from zk_autograd.anchor.evm.receipt import KIND
from zk_autograd.anchor.evm.rlp import encode_list
from zk_autograd.anchor.evm.rpc import Node, RefusedError, number, octets
from zk_autograd.anchor.evm.slots import Place, entry_slots, latest_slot
from zk_autograd.core.anchors import Receipt
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.errors import AnchorDown, AnchorError, VerificationError

_FIELDS = (
    "parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom",
    "difficulty", "number", "gasLimit", "gasUsed", "timestamp", "extraData", "mixHash", "nonce",
)  # fmt: skip
_LATER = (
    "baseFeePerGas", "withdrawalsRoot", "blobGasUsed", "excessBlobGas", "parentBeaconBlockRoot", "requestsHash",
    "blockAccessListHash", "slotNumber",
)  # fmt: skip
"""What upgrades of Ethereum appended, in this order (EIP-1559, 4895, 4844, 4788, 7685, 7928,
7843)."""

_NUMBERS = frozenset(
    {
        "difficulty", "number", "gasLimit", "gasUsed", "timestamp",
        "baseFeePerGas", "blobGasUsed", "excessBlobGas", "slotNumber",
    }
)  # fmt: skip


class Heads:
    """The heads of an account under a register's origin, in a contract on a node's chain."""

    def __init__(self, node: Node, address: bytes, publisher: bytes, origin: str) -> None:
        self._node = node
        self._address = address
        self._publisher = publisher
        self._origin = origin

    def latest(self) -> int:
        """The size of the newest head; 0 if there is none."""
        return self._slot(latest_slot(self._publisher, self._origin))

    def entry(self, size: int) -> tuple[bytes, Place] | None:
        """The root of this size, and where it is; None if none is there. AnchorDown for an entry
        that can't be: what was read is of two blocks, or no contract of ours."""
        first, second = entry_slots(self._publisher, self._origin, size)
        root, value = self._slot(first), self._slot(second)
        if not root or not value:
            return None
        try:
            return root.to_bytes(32, "big"), Place.parse(value)
        except VerificationError as error:
            raise AnchorDown(f"the Ethereum node {self._node.shown} gives an entry that can't be: {error}") from error

    def receipt(self, head: Checkpoint, chain: int, first: int, last: int, delay: int) -> Receipt:
        """A receipt for a head by the state of block `first`, with the headers up to block `last`.
        AnchorError where the node has that state no more."""
        headers = [raw_header(self._node, at) for at in range(first, last + 1)]
        first_slot, second_slot = entry_slots(self._publisher, head.origin, head.size)
        slots = [f"0x{slot.hex()}" for slot in (first_slot, second_slot)]
        try:
            proof = self._node.object("eth_getProof", f"0x{self._address.hex()}", slots, hex(first))
        except RefusedError as error:
            raise AnchorError(
                f"{error}; it may have the state of block {first} no more: name an archive node"
            ) from error
        storage = proof.get("storageProof")
        if not isinstance(storage, list) or len(storage) != 2:
            raise AnchorDown(f"the Ethereum node {self._node.shown} gives half a proof; try again")
        root, place = (_nodes(part.get("proof") if isinstance(part, dict) else None) for part in storage)
        body = Body(
            chain, self._address, self._publisher, tuple(headers), _nodes(proof.get("accountProof")), root, place, delay
        )
        return Receipt(KIND, head.size, head.root, body.to_json())

    def _slot(self, slot: bytes) -> int:
        found = self._node.data("eth_getStorageAt", f"0x{self._address.hex()}", f"0x{slot.hex()}", "latest")
        return int.from_bytes(found[-32:], "big")


def require_contract(node: Node, address: bytes) -> None:
    """AnchorError unless the contract is at this address."""
    code = node.data("eth_getCode", f"0x{address.hex()}", "latest")
    if keccak256(code) != contract().code_hash:
        what = "another contract" if code else "no contract"
        raise AnchorError(
            f"there is {what} at 0x{address.hex()} on the chain of {node.shown}: deploy it with "
            "`python -m zk_autograd.anchor.evm.deploy`, or name another one"
        )


def head_number(node: Node) -> int:
    """The number of the chain's newest block."""
    return node.quantity("eth_blockNumber")


def raw_header(node: Node, at: int) -> bytes:
    """The RLP of the header of the block of this number. AnchorDown if there is none, AnchorError
    if it can't be had."""
    block = node.object("eth_getBlockByNumber", hex(at), False)
    wanted = octets(block.get("hash"), f"the hash of block {at}")
    data = encode_list([_field(block, name) for name in (*_FIELDS, *(name for name in _LATER if name in block))])
    if keccak256(data) != wanted:  # a field that is not known here
        try:
            data = node.data("debug_getRawHeader", hex(at))
        except RefusedError as error:
            raise AnchorError(
                f"the header of block {at} can't be made of what {node.shown} says: name a node that gives "
                "debug_getRawHeader"
            ) from error
    if keccak256(data) != wanted:
        raise AnchorDown(f"the Ethereum node {node.shown} gives another header than that of block {at}; try again")
    return data


def parse_header(node: Node, at: int) -> Header:
    """That header, read. AnchorError if it is not one of Ethereum."""
    try:
        return Header.parse(raw_header(node, at))
    except VerificationError as error:
        raise AnchorError(f"the chain of {node.shown} has headers that are not Ethereum's: {error}") from error


def _field(block: dict[str, Any], name: str) -> bytes:
    value, what = block.get(name), f"{name} of a block"
    if name not in _NUMBERS:
        return octets(value, what)
    found = number(value, what)
    return found.to_bytes((found.bit_length() + 7) // 8, "big")


def _nodes(values: object) -> tuple[bytes, ...]:
    if not isinstance(values, list):
        raise AnchorDown("an Ethereum node gives half a proof; try again")
    return tuple(octets(value, "a node of a proof") for value in values)
