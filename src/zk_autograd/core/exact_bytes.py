"""The header's member `exact`, of a run with exact gradients: how it is written and read, and that
it agrees with the rest of the header."""

import re

from zk_autograd.core.canonical import Json
from zk_autograd.core.cells import LOG_CELLS, MAX_SHARDS
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.graph.formats import MAX_LOG_BATCH, SHIFTS, gradient_shift
from zk_autograd.core.order import SAMPLER
from zk_autograd.core.records import BEACON, PRIVATE, PUBLIC, SHARD_BYTES, V0, V1, Exact, Header
from zk_autograd.core.text import SHOWN, quoted

_SEED = re.compile(r"0|[1-9][0-9]*")


def written_exact(e: Exact) -> Json:
    """The header's member `exact`."""
    return {
        "graph": e.graph.hex(),
        "log_batch": e.log_batch,
        "stride": e.stride,
        "log_cells": e.log_cells,
        "visibility": e.visibility,
        "shards": [shard.hex() for shard in e.shards],
        "cells": e.cells.hex(),
        "seed": "" if e.seed is None else str(e.seed),  # of 64 bits: a number of canonical JSON has fewer
    }


def read_exact(f: Fields) -> Exact:
    """The member. VerificationError."""
    seed = f.text("seed", max_len=20, min_len=0)
    if seed and (not _SEED.fullmatch(seed) or int(seed) >= 2**64):
        raise VerificationError("the seed of the data's order is not a number below 2^64", found=quoted(seed, SHOWN))
    exact = Exact(
        graph=f.hex("graph", 32),
        log_batch=f.integer("log_batch", 0, MAX_LOG_BATCH),
        stride=f.integer("stride", 2, 2 ** LOG_CELLS[-1]),
        log_cells=f.integer("log_cells", LOG_CELLS[0], LOG_CELLS[-1]),
        visibility=f.choice("visibility", (PRIVATE, PUBLIC)),
        shards=tuple(v.hex(SHARD_BYTES) for v in f.array("shards", max_items=MAX_SHARDS)),
        cells=f.hex_or_empty("cells", 32),
        seed=int(seed) if seed else None,
    )
    f.end()
    return exact


def check_exact(header: Header) -> None:
    """What a header says of exact gradients agrees with the rest of it: sampler, batch, shards,
    where the data are committed to, who chose the order. VerificationError."""
    exact, data = header.exact, header.data
    if exact is None:
        if data.sampler == SAMPLER and header.format not in (V0, V1):  # to which this name said nothing
            raise VerificationError(f"the sampler is {SAMPLER}, but the header says nothing of exact gradients")
        return
    if data.sampler != SAMPLER:
        raise VerificationError(
            "the sampler of exact gradients is another", expected=SAMPLER, found=quoted(data.sampler)
        )
    shards = header.shards  # refuses sizes that no data have
    if not 1 <= data.batch_size <= min(shards.counts):
        raise VerificationError(
            "the batch is larger than a shard of the data, or empty",
            expected=f"1 to {min(shards.counts)}",
            found=str(data.batch_size),
        )
    if exact.log_batch != (data.batch_size - 1).bit_length():
        raise VerificationError(
            "the batch is not padded to the next power of two", found=f"{data.batch_size} to 2^{exact.log_batch}"
        )
    if gradient_shift(exact.log_batch, header.grad_scale) not in SHIFTS:
        raise VerificationError(
            "grad_scale doesn't go with the batch of exact gradients",
            expected=f"{exact.log_batch - 12} to {exact.log_batch + 4}",
            found=str(header.grad_scale),
        )
    if (exact.seed is None) != (header.order_by == BEACON):
        raise VerificationError("the seed of the data's order stands in the header exactly if no beacon gives it")
    if data.seed:
        raise VerificationError("the header commits to the seed of the data's order, which is no secret")
    public = exact.visibility == PUBLIC
    by_shard = header.prover.form.commits_to_data and not public
    if len(exact.shards) != (expected := len(shards.counts) if by_shard else 0):
        raise VerificationError(
            "the data have another number of commitments than shards",
            expected=str(expected),
            found=str(len(exact.shards)),
        )
    if bool(exact.cells) != public or bool(data.root) != (not public and not by_shard):
        raise VerificationError("the header commits to the data in another place than its visibility and prover say")
    if header.unproved:
        raise VerificationError(
            "a run with exact gradients has buffers or frozen parameters", found=quoted(header.unproved[0].name)
        )
