"""One row for each backend: what its name in a header stands for.

Adding a backend takes a row here and a folder under prove/, with a `verify.py` (what a verifier
needs of it, `SYSTEM`) and a `choice.py` (how a trainer gets one, `CHOICE`): everything else asks
the row. No library is imported, so that a command's help doesn't wait for one.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Form:
    """`package` is its folder under prove/. `commitment_bytes` and `salt_bytes` are the lengths of
    a commitment and of its salt.

    `proves`: it has proofs, and a header names their circuit; `setup`: they hold under an SRS,
    whose digest the header names. `commits_to_data`: it commits to shards of the data, as its
    proofs of gradients will open them. `presets`: how much their soundness may assume, the default
    first.

    `max_committed` bounds the elements, padding included, of one state whose commitments are
    recomputed, where each element costs something; `max_blocks` bounds the blocks, where a
    commitment's cost doesn't depend on its elements; `max_gradients` bounds the elements, padding
    included, of a segment's exact gradients, where nobody has to prove them. A hostile run must not
    cost whoever recomputes its commitments more than minutes; none is a limit on memory, which
    holds one block. None: no bound of that kind.
    """

    package: str
    commitment_bytes: int
    salt_bytes: int
    proves: bool = True
    setup: bool = False
    presets: tuple[str, ...] = ()
    commits_to_data: bool = False
    max_committed: int | None = None
    max_blocks: int | None = None
    max_gradients: int | None = None


BACKENDS: Mapping[str, Form] = {
    # Two minutes to recompute: 0.1 to 0.2 s of processor time for 2^20 elements.
    "native": Form(
        "native",
        commitment_bytes=56,
        salt_bytes=32,
        presets=("standard", "strict"),
        commits_to_data=True,
        max_committed=2**29,
    ),
    # A salt is 8 field elements of 32 bytes, little-endian, one after the other. 0.12 s for each
    # block, whatever it holds, while a hostile trainer commits to zeros at next to no cost: at most
    # two minutes for a state, four for Adam's two at the start, two more for first weights that a
    # beacon gave, and two for published ones. An honest run needs seconds to minutes to prove each
    # block of each segment, and has far fewer.
    "ezkl": Form("ezkl", commitment_bytes=64, salt_bytes=256, setup=True, max_blocks=1024),
    # 64 GiB to hash; 8 GiB for a segment's gradients, of which one salt and zeros cost a hostile
    # trainer one block.
    "none": Form("hashed", commitment_bytes=32, salt_bytes=32, proves=False, max_committed=2**33, max_gradients=2**30),
}

PROVERS = tuple(BACKENDS)
DEFAULT_BACKEND = PROVERS[0]
"""The prover of a run whose trainer names none."""

PRESETS = tuple(preset for form in BACKENDS.values() for preset in form.presets)
"""Of all backends."""
