"""Beacons of an EVM chain: 32 bytes that nobody knew when a tree head was anchored.

With the delay d, a beacon is of the block d blocks after that in which the head was anchored: a
hash of what the chain's proposers mixed into it (`Header.mix`, EIP-4399). Not of the block's hash:
a block's proposer can try as many hashes of it as they can compute, while the mix gives each
proposer one choice, to withhold their block or not, and with it its reward. Who proposes the last k
blocks before it chooses between 2^k values. So it rests on the trainer's neither being these
proposers nor in league with them; on a chain with one sequencer it is one party's word.

The terms stand in the run's header, and a head of one size is anchored once: the trainer has no
second try. A larger tree has another beacon, but it is not that of leaves which a head before it
covered (`AnchorClaim.beacon_after`). Who dislikes a beacon can begin another run; the register
shows it.
"""

from collections.abc import Mapping
from hashlib import sha256

from zk_autograd.core import canonical
from zk_autograd.core.canonical import Json
from zk_autograd.core.checkpoint import Checkpoint

MAX_DELAY = 2**20
LEAST_DELAY = 128
"""Blocks: four epochs of Ethereum. The more proposers there are between an anchoring and its
beacon, the less likely it is that one party has them all."""

_PREFIX = b"zk-autograd/beacon/evm/v1\n"


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
    SHA-256 of "zk-autograd/beacon/evm/v1", 0x0a, and the canonical JSON of all that."""
    value: dict[str, Json] = {
        **said,
        "origin": head.origin,
        "size": head.size,
        "root": head.root.hex(),
        "number": number,
        "mix": mix.hex(),
    }
    return sha256(_PREFIX + canonical.encode(value)).digest()
