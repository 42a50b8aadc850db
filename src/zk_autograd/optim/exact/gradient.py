"""Exact gradients of a data set: what `ZKOptimizer` takes its steps from in place of autograd's."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core import cells as cells_format
from zk_autograd.core.cells import Cells, Shards
from zk_autograd.core.errors import UsageError
from zk_autograd.core.formats import IntArray
from zk_autograd.core.graph import Gradient, Graph, Kind, Pass
from zk_autograd.core.graph import text as graph_text
from zk_autograd.core.graph.formats import MAX_LOG_BATCH
from zk_autograd.core.order import SAMPLER, Order
from zk_autograd.core.records import PRIVATE, PUBLIC, Data, Exact
from zk_autograd.evidence.data_secrets import DataSecrets, Table
from zk_autograd.prove.protocol import Backend, CommittingToData
from zk_autograd.run.exact_files import ExactFiles

_TARGET_BITS = 26


class ExactGradient:
    """The gradients of `graph` over `data`, in batches of `batch_size` in the order that `seed`
    gives (below 2^64; None for a random one).

    `data` are features, float32 (examples, features), and targets: labels, int64 (examples,), or
    values, float32 (examples, outputs); arrays or tensors. Or cells, int32 (examples, stride).
    `public`: the cells become a file of the run. `table` says how the cells are made from a table;
    `names` are the layers' names, by tensor of the graph.

    UsageError for data that don't fit the graph, RangeError for a value that no cell holds.
    """

    def __init__(
        self,
        graph: Graph,
        data: Any,
        batch_size: int,
        seed: int | None = None,
        *,
        public: bool = False,
        table: Table | None = None,
        names: Sequence[str] = (),
    ) -> None:
        self.graph = graph
        self.cells = _cells(graph, data)
        self.shards = Shards.of(len(self.cells), graph.stride)
        self.batch_size = batch_size
        if not 1 <= batch_size <= min(2**MAX_LOG_BATCH, *self.shards.counts):
            raise UsageError(
                f"batch_size is {batch_size}; it must be 1 to {min(2**MAX_LOG_BATCH, *self.shards.counts)}"
            )
        self.log_batch = (batch_size - 1).bit_length()
        self.seed = int.from_bytes(os.urandom(8), "big") if seed is None else seed
        self.public = public
        self._table = table
        self._pass = Pass(graph, names or getattr(graph, "layers", ()))
        self._order: Order | None = None

    def committed(self, backend: Backend, *, by_beacon: bool) -> tuple[Data, Exact, ExactFiles]:
        """What a header says of the data and the gradients, committed to by `backend`, and the
        run's files."""
        root, cells = b"", b""
        shards: tuple[bytes, ...] = ()
        salts: tuple[bytes, ...] = ()
        if self.public:
            cells = _digest(cells_format.encoded(self.cells, self.graph.features))
        elif isinstance(backend, CommittingToData):
            salts = tuple(backend.draw_salt() for _ in self.shards.counts)
            shards = tuple(backend.commit_data(self.shards.padded(self.cells, i), salt) for i, salt in enumerate(salts))
        else:
            salts = (os.urandom(32),)
            root = cells_format.tree_root(self.cells, salts[0])
        text = graph_text.encode(self.graph)
        exact = Exact(
            graph=graph_text.digest(text),
            log_batch=self.log_batch,
            stride=self.graph.stride,
            log_cells=self.shards.log_cells,
            visibility=PUBLIC if self.public else PRIVATE,
            shards=shards,
            cells=cells,
            seed=None if by_beacon else self.seed,
        )
        data = Data(root, len(self.cells), SAMPLER, self.batch_size, b"")
        return data, exact, ExactFiles(text, self.cells, self.graph.features, DataSecrets(salts, self._table))

    def take_order(self, order: Order) -> None:
        """The order of the run, which a beacon may have given."""
        self._order = order

    def step(self, weights: IntArray, step: int, k: int) -> Gradient:
        """The gradient of step 1, 2, 3 ... at W, int64 (parameters,). UnitRangeError."""
        return self._pass.step(weights, self.batch(step), self.batch_size, self.log_batch, k)

    def suitable_scale(self, weights: IntArray) -> int:
        """The grad_scale that puts the largest element of the first batch's gradient near 2^26."""
        size = self._pass.largest_sum(weights, self.batch(1), self.batch_size)
        lowest, highest = self.log_batch - 12, self.log_batch + 4
        if size == 0:
            return min(max(0, lowest), highest)
        k = 4 + self.log_batch + _TARGET_BITS - round(float(np.log2(size)))
        return min(max(k, lowest), highest)

    def batch(self, step: int) -> Cells:
        """The cells of a step's batch, and if it isn't a power of two those of example 0, which
        stands for the dead ones."""
        order = self._order or Order(self.shards, self.batch_size, self.seed)
        rows = order.batch(step)
        if self.batch_size < 2**self.log_batch:
            rows = np.append(rows, 0)
        found: Cells = self.cells[rows]
        return found


def _digest(data: bytes) -> bytes:
    from hashlib import sha256

    return sha256(data).digest()


def _cells(graph: Graph, data: Any) -> Cells:
    if isinstance(data, np.ndarray):
        return data
    features, targets = (np.asarray(part) for part in data)
    if any(run.kind is Kind.VALUE for run in graph.outputs):
        raise NotImplementedError
    one_hot: NDArray[np.int32] = cells_format.one_hot(targets.astype(np.int64), graph.targets)
    return cells_format.cells_of(features.astype(np.float32), one_hot)
