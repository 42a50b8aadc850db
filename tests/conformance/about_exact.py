"""Cases about runs with exact gradients: what a header says of them (step 1), their graph, their
data and their shards (step 9)."""

import struct
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from tests.conformance.cases import Change, less, refused, shown, signed
from tests.conformance.draft import Draft

BASE, L0 = "exact", {"require": "L0"}
GRAPH, CELLS = "graph.txt", "data/cells"
STRIDE, ONE = 512, 4096
ZEROS = "00" * 32


def header(**members: Any) -> Change:
    """Members of the header, by their paths with __ for a dot, set or taken out (`...`)."""

    def change(record: Any) -> None:
        for path, value in members.items():
            *parents, last = path.split("__")
            place = record
            for key in parents:
                place = place[key]
            if value is ...:
                del place[last]
            else:
                place[last] = value

    return lambda d: d.edit(0, change)


def refused_header(name: str, about: str, says: str, **members: Any) -> None:
    signed(f"exact-{name}", f"{about} Signed.", 1, says, header(**members), BASE)


shown(
    "exact-untouched",
    "A run with exact gradients on public data, none of which was computed again.",
    BASE,
    "L0",
    auditor=L0,
    says="data/cells are the header's: 23 examples of 512 cells",
)
less(
    "exact-nothing-opened",
    "L3 is asked for, and nothing was opened.",
    BASE,
    "L0",
    auditor={"require": "L3"},
    says="L3 was not reached",
)
less(
    "exact-asked-of-floats",
    "L3 is asked of a run whose gradients are not exact.",
    "none",
    "L0",
    auditor={"require": "L3"},
    says="the gradients of this run are not exact",
)
less(
    "exact-graph-beside-floats",
    "A graph beside a run whose header says nothing of one.",
    "none",
    "L0",
    auditor=L0,
    says="no record in this view names",
    change=lambda d: d.files.update({GRAPH: Draft(BASE).files[GRAPH]}),
)

# ---- what the header says (step 1)

_UNKNOWN, _INVALID = "unknown fields", "is invalid"
_PLACE, _SHARDS = "commits to the data in another place", "another number of commitments than shards"
refused_header("sampler", "Exact gradients in the order of another sampler.", "the sampler of exact gradients is another", data__sampler="shuffled")  # fmt: skip
refused_header("missing", "The sampler of exact gradients, and nothing of them.", "says nothing of exact gradients", exact=...)  # fmt: skip
refused_header("more", "A member more within exact.", _UNKNOWN, exact__layers=2)
refused_header("less", "Exact gradients without a graph.", "record.exact.graph is missing", exact__graph=...)
refused_header("text", "A text for what is said of exact gradients.", "record.exact is invalid", exact="yes")
refused_header("of-v1", "Exact gradients in a header of run/v1.", _UNKNOWN, format="zk-autograd/run/v1", register=..., beacon=...)  # fmt: skip
refused_header("log-batch", "A batch of 4 that is padded to 8.", "not padded to the next power of two", exact__log_batch=3)  # fmt: skip
refused_header("log-batch-14", "A batch of 2^14.", "record.exact.log_batch is invalid", exact__log_batch=14)
refused_header("batch-0", "Empty batches.", "larger than a shard of the data, or empty", data__batch_size=0)
refused_header("batch-12", "A batch of 12, and a shard of 11 examples.", "larger than a shard", data__batch_size=12, exact__log_batch=4)  # fmt: skip
refused_header("grad-scale", "A grad_scale that rounds to a negative number of bits.", "grad_scale doesn't go with the batch", grad_scale=7)  # fmt: skip
refused_header("grad-scale-low", "A grad_scale that rounds to more than 16 bits.", "grad_scale doesn't go with the batch", grad_scale=-11)  # fmt: skip
refused_header("stride-1", "Examples of one cell.", "record.exact.stride is invalid", exact__stride=1)
refused_header("stride-large", "An example that is larger than a shard.", "more cells than a shard", exact__stride=2**13 + 1)  # fmt: skip
refused_header("no-examples", "No examples.", "can't be cut into shards", data__count=0)
refused_header("many-shards", "2^32 examples in shards of one.", "too many shards", data__count=2**32, exact__stride=2**13)  # fmt: skip
refused_header("log-cells", "Shards of 2^12 cells.", "record.exact.log_cells is invalid", exact__log_cells=12)
refused_header("visibility", "A visibility that nobody knows.", "record.exact.visibility is invalid", exact__visibility="secret")  # fmt: skip
refused_header("no-cells", "Public data without their hash.", _PLACE, exact__cells="")
refused_header("root-too", "Public data, and a root of private ones.", _PLACE, data__root=ZEROS)
refused_header("private", "Private data with the hash of public ones.", _PLACE, exact__visibility="private")
refused_header("shards", "Commitments to shards by a prover that makes none.", _SHARDS, exact__shards=["00" * 56] * 2)
refused_header("seed-number", "A seed that is a number.", "record.exact.seed is invalid", exact__seed=1)
refused_header("seed-zero", "A seed with a leading zero.", "not a number below 2^64", exact__seed="01")
refused_header("seed-2-64", "A seed of 2^64.", "not a number below 2^64", exact__seed=str(2**64))
refused_header("seed-none", "No seed, and no beacon that gives one.", "exactly if no beacon gives it", exact__seed="")
refused_header("seed-twice", "A seed, and a commitment to one.", "commits to the seed", data__seed=ZEROS)
refused_header("buffer", "A buffer, which no graph has.", "has buffers or frozen parameters",
               unproved=[{"name": "mean", "kind": "buffer", "shape": [], "dtype": "float32", "sha256": ZEROS}])  # fmt: skip

# ---- the graph (step 9)


def graph(change: Callable[[bytes], bytes]) -> Change:
    """Another graph, which the header names."""

    def changed(d: Draft) -> None:
        d.files[GRAPH] = change(d.files[GRAPH])
        d.set(0, "exact.graph", sha256(d.files[GRAPH]).hexdigest())

    return changed


refused("exact-graph-missing-file", "The graph is missing.", 9, "graph.txt", lambda d: d.files.pop(GRAPH), BASE)
refused("exact-graph-not-named", "Another graph than the header names.", 9, "is not the graph of the header",
        lambda d: d.files.update({GRAPH: d.files[GRAPH].replace(b"pad 508", b"pad 509")}), BASE)  # fmt: skip
for name, about, says, old, new in (
    ("not-a-power", "A number of units that is no power of two.", "the number of the graph's units", b"pad 508", b"pad 509"),
    ("zero", "A number with a leading zero.", "graph", b"pad 508", b"pad 0508"),
    ("blank", "Two spaces between words.", "graph", b"pad 508", b"pad  508"),
    ("kind", "A kind of units that nobody knows.", "graph", b"pad 508", b"gelu 508"),
    ("no-end", "A last line that doesn't end.", "graph", b"1 510\n", b"1 510"),
    ("no-close", "Classes without a close row.", "close", b"close 1\npad 508", b"pad 509"),
    ("backwards", "A weight that leads from a unit to itself.", "backwards", b"weight 0 514", b"weight 514 514"),
    ("target", "A weight that leads to a target.", "leads to a target", b"weight 0 514", b"weight 0 513"),
    ("bias", "A bias of a feature.", "is a bias from feature units", b"bias 510 514", b"bias 509 514"),
    ("overlap", "Two parameters at one place.", "graph", b"bias 510 514 1 1 510\n", b"weight 0 514 1 1 510\n"),
    ("shape", "A weight of fewer columns than the run's.", "graph", b"weight 0 514 1 510 0", b"weight 0 514 1 509 0"),
):  # fmt: skip

    def edited(text: bytes, old: bytes = old, new: bytes = new) -> bytes:
        assert text.count(old) == 1, old
        return text.replace(old, new)

    signed(f"exact-graph-{name}", f"{about} The header names it. Signed.", 9, says, graph(edited), BASE)

signed("exact-stride", "Fewer cells than the graph has. Signed.", 9, "another number of cells than the header says",
       header(exact__stride=511), BASE)  # fmt: skip

# ---- the data, and their order (step 9)


def cells(change: Callable[[bytes], bytes]) -> Change:
    """Other public data, which the header names."""

    def changed(d: Draft) -> None:
        d.files[CELLS] = change(d.files[CELLS])
        d.set(0, "exact.cells", sha256(d.files[CELLS]).hexdigest())

    return changed


def put(example: int, place: int, value: int) -> Callable[[bytes], bytes]:
    """Another cell."""

    def changed(content: bytes) -> bytes:
        at = len(content) - 4 * STRIDE * 23 + 4 * (STRIDE * example + place)
        return content[:at] + struct.pack("<i", value) + content[at + 4 :]

    return changed


refused("exact-cells-missing-file", "The public data are missing.", 9, "data", lambda d: d.files.pop(CELLS), BASE)
refused("exact-cells-not-named", "Other data than the header names.", 9, "are not the data of the header",
        lambda d: d.files.update({CELLS: put(3, 0, 1)(d.files[CELLS])}), BASE)  # fmt: skip
for name, about, says, change in (
    ("range", "A cell of 2^22.", "out of range", put(0, 0, 2**22)),
    ("no-target", "An example of no class.", "target", put(0, 510, 0)),
    ("two-targets", "An example of two classes.", "target", put(0, 511, ONE)),
    ("half-target", "A target of a half.", "target", put(0, 510, ONE // 2)),
    ("longer", "A byte after the last cell.", "not as many as the file says", lambda content: content + b"\0"),
    ("shorter", "A cell too few.", "not as many as the file says", lambda content: content[:-4]),
    ("features", "Another number of features, and as many cells.", "another number of features than the graph",
     lambda content: content.replace(b'"features":510,"targets":2', b'"features":511,"targets":1')),
    ("examples", "More examples than there are.", "cells are not as many", lambda content: content.replace(b'"examples":23', b'"examples":24')),
    ("not-canonical", "White space in the file's head.", "canonical", lambda content: content.replace(b'"examples":23', b'"examples": 23')),
):  # fmt: skip
    signed(f"exact-cells-{name}", f"{about} The header names it. Signed.", 9, says, cells(change), BASE)
signed("exact-another-seed", "Another seed: a segment goes on where its shard ends. Signed.", 9, "steps of several shards",
       header(exact__seed="0"), BASE)  # fmt: skip
