"""The auditor's trust in an EVM chain: [anchors.evm] of a policy."""

from collections.abc import Callable
from dataclasses import dataclass

from zk_autograd.anchor.evm.beacon import LEAST_DELAY, MAX_DELAY
from zk_autograd.anchor.evm.contract import contract
from zk_autograd.core.canonical import MAX_INTEGER
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields

MAX_BLOCKS = 4096


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


def _address(fields: Fields, name: str) -> bytes | None:
    return _hex(fields.text(name, 42), 20, name) if name in fields else None


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
