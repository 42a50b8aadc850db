"""The records of a run as values: what the Merkle log's leaves say.

Leaf 0 is the header, leaf 1 the genesis, then one segment record for each segment in order, and a
close record at the end. The bytes of a leaf are the canonical JSON of its record; core.record_bytes
writes and reads it.

Commitments are texts of lower-case hexadecimal: 56 bytes for the native backend (a Merkle root and
an opening), 64 for EZKL (an uncompressed point), 32 for `none` (a salted SHA-256).
"""

from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.backends import BACKENDS, Form
from zk_autograd.core.cells import Shards
from zk_autograd.core.constants import ConstantsSequence
from zk_autograd.core.decimals import parse_decimal
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.formats import IntArray
from zk_autograd.core.hyper import Hyper, Rule
from zk_autograd.core.order import Order
from zk_autograd.core.rules import state_names
from zk_autograd.core.rules.families import FAMILIES, constants_sequence
from zk_autograd.core.schedules import CONSTANT, Schedule, parse
from zk_autograd.core.text import quoted

if TYPE_CHECKING:
    from zk_autograd.core.segments import Segments

V0 = "zk-autograd/run/v0"
V1 = "zk-autograd/run/v1"
"""It differs from v0 in this text, and in that a header names only keys of algorithms that are
known here, so that nobody can be told of a key that nobody could check."""

FORMAT = "zk-autograd/run/v2"
"""What new runs are. Beyond v1 a header names the trainer's register, or says that there is none,
and may have the first weights, and the order of the data, come from a beacon."""

ENCLAVE_FORMAT = "zk-autograd/run/v3"
"""What runs of an enclave are. Beyond v2 a header says where it is proved, and the genesis names
the enclave's attestation."""

FORMATS = (V0, V1, FORMAT, ENCLAVE_FORMAT)
"""What is read."""

INSIDE = "inside"
OUTSIDE = "outside"

TRAINER = "trainer"
BEACON = "beacon"
MAX_BEACON_TERMS = 16

PRIVATE = "private"
PUBLIC = "public"
SHARD_BYTES = 56
"""Bytes of a commitment to a shard of the data: a native one's."""

MAX_RECORD = 64 * 2**20
"""Bytes of one record; a header of 10^5 parameter tensors stays well below."""

MAX_PARAMETERS = 2**40
MAX_TENSORS = 200_000
MAX_BLOCKS = 2**20
MAX_STEP = 2**40
MAX_SEGMENT_STEPS = 2**16


@dataclass(frozen=True, slots=True)
class Parameter:
    """A trained tensor: its elements are `offset` .. `offset + size` of the run's flat vector."""

    name: str
    shape: tuple[int, ...]
    offset: int
    size: int
    group: int


@dataclass(frozen=True, slots=True)
class Unproved:
    """A tensor of the model that no proof covers: a buffer or a frozen parameter, with the SHA-256
    of its initial bytes."""

    name: str
    kind: str
    shape: tuple[int, ...]
    dtype: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Group:
    """A group's hyper-parameters as exact decimal texts; `s` is 0 for rules without one."""

    hyper: tuple[tuple[str, str], ...]
    s: int


@dataclass(frozen=True, slots=True)
class Block:
    """A contiguous range of one group's parameters that is committed together."""

    group: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Prover:
    """The backend; if it has proofs, the circuit (name, digest); if it has a set-up, the SRS
    (digest). `block` and `steps` are its capacity."""

    backend: str
    version: str
    block: int
    steps: int
    circuit: str = ""
    circuit_digest: bytes = b""
    srs_digest: bytes = b""

    @property
    def form(self) -> Form:
        """The backend's row."""
        return BACKENDS[self.backend]


@dataclass(frozen=True, slots=True)
class Data:
    """What the trainer says about the data: a salted Merkle root over the rows (empty if none was
    given), their count, the sampler's name and batch size, and a salted commitment to the seed."""

    root: bytes
    count: int
    sampler: str
    batch_size: int
    seed: bytes


@dataclass(frozen=True, slots=True)
class Exact:
    """What a header says of exact gradients (core.graph), beside `Data`, whose sampler is then
    core.order's.

    `graph`: SHA-256 of graph.txt. `log_batch`: l, a batch is padded to 2^l examples. `stride`,
    `log_cells`: how the data are cells (core.cells). `visibility` PRIVATE: the data are committed
    to, in `shards` by a backend that commits to data, else in `Data.root`; PUBLIC: they are
    data/cells, whose SHA-256 is `cells`. `seed`: the order's, below 2^64, None where a beacon
    gives it.
    """

    graph: bytes
    log_batch: int
    stride: int
    log_cells: int
    visibility: str
    shards: tuple[bytes, ...] = ()
    cells: bytes = b""
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """Leaf 0. `schedule` is a text of `core.schedules`, `format` one of `FORMATS`.

    `register`: the origin of the trainer's register, "" for a run that is in none. `weights_by` and
    `order_by`: who chose the first weights and the order of the data, TRAINER or BEACON; `beacon`:
    the terms under which the beacon is what it is (none without one), sorted by their names: `kind`
    is the anchor's kind, the others are the kind's own (`AnchorClaim.beacon_terms`).

    `proving`: of a run of an enclave (ENCLAVE_FORMAT) whether its proofs are made INSIDE, or
    OUTSIDE, by a prover that is shown the whole witness; "" for any other run.

    `exact`: of a run whose gradients are exact, None for any other.
    """

    run: bytes
    package: str
    rule: Rule
    grad_scale: int
    schedule: str
    groups: tuple[Group, ...]
    parameters: tuple[Parameter, ...]
    unproved: tuple[Unproved, ...]
    size: int
    blocks: tuple[Block, ...]
    data: Data
    model_code: bytes
    prover: Prover
    keys: tuple[str, ...]
    format: str = FORMAT
    register: str = ""
    weights_by: str = TRAINER
    order_by: str = TRAINER
    beacon: tuple[tuple[str, str], ...] = ()
    proving: str = ""
    exact: Exact | None = None

    @property
    def origin(self) -> str:
        """The log's origin line (C2SP tlog-checkpoint)."""
        return f"zk-autograd/{self.run.hex()}"

    @property
    def states(self) -> tuple[str, ...]:
        return state_names(self.rule)

    @property
    def declared(self) -> Schedule | None:
        """The schedule that is declared for every group; None if the records hold the rates."""
        return parse(self.schedule)

    @property
    def shards(self) -> Shards:
        """How the data of a run with exact gradients are cut."""
        assert self.exact is not None
        return Shards(self.data.count, self.exact.stride, self.exact.log_cells)

    def order(self, seed: int | None = None) -> Order:
        """The order of the data of a run with exact gradients, whose seed is the header's, or what
        a beacon gave."""
        assert self.exact is not None
        chosen = self.exact.seed if seed is None else seed
        assert chosen is not None
        return Order(self.shards, self.data.batch_size, chosen)

    def padded(self, values: NDArray[np.signedinteger[Any]], block: int) -> IntArray:
        """The elements of one block of `values`, integers of shape (size,), zero-padded to the
        prover's capacity: int64 (prover.block,)."""
        where = self.blocks[block]
        padded = np.zeros(self.prover.block, np.int64)
        padded[: where.size] = values[where.offset : where.offset + where.size]
        return padded

    def sequence(self, group: int) -> ConstantsSequence:
        """The constants of a group's steps. Raises VerificationError for hyper-parameters that the
        rule can't use.

        With recorded rates, ask for each step with its own."""
        chosen = self.groups[group]
        hyper = hyper_of(self.rule, dict(chosen.hyper))
        return constants_sequence(self.rule, hyper, self.grad_scale, chosen.s, self.declared or CONSTANT)


StateCommitments: TypeAlias = dict[str, tuple[bytes, ...]]
"""For each state its blocks' commitments, in block order."""


@dataclass(frozen=True, slots=True)
class Genesis:
    """Leaf 1: the first state. The salts of the zero states are published, so that anybody can
    recompute their commitments; so are those of W, `weight_salts`, where a `beacon` of 32 bytes
    gave the first weights (core.first_weights). `attestation`: of a run of an enclave the SHA-256
    of attestation/document.json (core.attestation)."""

    state: StateCommitments
    zero_salts: StateCommitments
    beacon: bytes = b""
    weight_salts: tuple[bytes, ...] = ()
    attestation: bytes = b""


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment: steps `first` .. `last` of every block. `lr` holds, where the schedule is
    recorded, a decimal per step and group.

    `loss` and `saturated` are the trainer's word, unproved: a decimal text ("" for none) and a
    count, per step. `batches` is a salted commitment to the steps' batches (empty if none was
    given), `proofs` the SHA-256 of each block's proof file (empty for `none`).
    """

    index: int
    first: int
    last: int
    state_in: StateCommitments
    state_out: StateCommitments
    gradients: tuple[bytes, ...]
    batches: bytes
    lr: tuple[tuple[str, ...], ...]
    proofs: tuple[bytes, ...]
    loss: tuple[str, ...] = ()
    saturated: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Close:
    """The last leaf: the final state, the digests of the published model's files and of the
    trainer's own artefacts (name, SHA-256)."""

    last_step: int
    segments: int
    state: StateCommitments
    model: tuple[tuple[str, bytes], ...] = ()
    artefacts: tuple[tuple[str, bytes], ...] = ()


Record: TypeAlias = Header | Genesis | Segment | Close


def hyper_names(rule: Rule) -> tuple[str, ...]:
    """The hyper-parameters that a header gives for each group of a run of `rule`."""
    return FAMILIES[rule].hyper_names


def hyper_of(rule: Rule, texts: dict[str, str]) -> Hyper:
    """The exact hyper-parameters from decimal texts, one for each of `hyper_names(rule)`.
    VerificationError for a bad one."""
    row = FAMILIES[rule]
    return row.hyper(**{name: parse_decimal(texts[name], name) for name in row.hyper_names})


def header_digest(leaf: bytes) -> bytes:
    """SHA-256 of the header's bytes: it binds proofs, openings and attestations to one run. The
    prefix is the same for every format, which is in those bytes."""
    return sha256(b"zk-autograd/header/v0\n" + leaf).digest()


def check_layout(header: Header) -> None:
    """Parameters fill 0 .. size in order, blocks too, no block crosses a group, and names are
    distinct. VerificationError otherwise."""
    end = 0
    for p in header.parameters:
        count = 1
        for length in p.shape:
            count *= length
            if count > MAX_PARAMETERS:
                break
        if p.offset != end or p.size != count:
            raise VerificationError(f"the manifest has a gap, an overlap or a wrong size at {quoted(p.name)}")
        end += p.size
    if end != header.size:
        raise VerificationError("the manifest's tensors don't add up", expected=str(header.size), found=str(end))
    names = [p.name for p in header.parameters] + [u.name for u in header.unproved]
    if len(set(names)) != len(names):
        raise VerificationError("two tensors of the manifest have the same name")
    if [p.group for p in header.parameters] != sorted(p.group for p in header.parameters):
        raise VerificationError("the manifest's tensors are not ordered by group")
    sizes = [0] * len(header.groups)
    for p in header.parameters:
        sizes[p.group] += p.size
    ends = list(accumulate(sizes))
    end = 0
    for index, b in enumerate(header.blocks):
        if b.offset != end or not 1 <= b.size <= header.prover.block or b.group >= len(header.groups):
            raise VerificationError(f"block {index} has a gap, an overlap or a wrong size")
        end += b.size
        if b.offset < ends[b.group] - sizes[b.group] or end > ends[b.group]:
            raise VerificationError(f"block {index} crosses a parameter group")
    if end != header.size:
        raise VerificationError("the blocks don't cover the parameters", expected=str(header.size), found=str(end))


@dataclass(frozen=True, slots=True)
class Log:
    """A run's records, parsed: what a verifier and a resuming trainer work on."""

    header: Header
    header_digest: bytes
    genesis: Genesis | None
    segments: "Segments"
    close: Close | None = None
