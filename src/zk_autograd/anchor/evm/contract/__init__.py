"""The contract, Anchor.sol, as it was compiled: Anchor.json beside it.

`address` is where the contract lies on every chain on which it is deployed through `FACTORY`: by
EIP-1014 that address is a hash of the code that made the contract, so that nothing else than this
source's constructor, which does nothing, can have written to its storage before it was there. The
hash of a contract's code alone doesn't show that: another constructor could leave the same code
and a storage full of heads that nobody anchored.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

FACTORY = bytes.fromhex("4e59b44847b379578588920ca78fbf26c0b4956c")
"""The deterministic deployment proxy, which is at this address on most chains: it takes a salt of
32 bytes and a contract's code, and makes the contract by CREATE2."""

SALT = bytes(32)

METHOD = "anchor(bytes32,uint64,bytes32,bytes32[])"
NOT_LARGER = "NotLarger(uint64)"
NOT_CONTINUED = "NotContinued(uint64)"


@dataclass(frozen=True, slots=True)
class Contract:
    """`init_code` makes the contract, and leaves `code`, of the Keccak-256 hash `code_hash`."""

    init_code: bytes
    code: bytes
    code_hash: bytes
    address: bytes


@cache
def contract() -> Contract:
    """The one that was compiled from Anchor.sol."""
    made = json.loads((files(__package__) / "Anchor.json").read_bytes())
    names = ("init_code", "code", "code_hash", "address")
    return Contract(*(bytes.fromhex(made[name].removeprefix("0x")) for name in names))
