"""Exact gradients of a data set: what `ZKOptimizer` takes its steps from in place of autograd's."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from zk_autograd.core import cells as cells_format
from zk_autograd.core.cells import Cells, Shards
from zk_autograd.core.errors import UsageError
from zk_autograd.core.formats import K_RANGE, IntArray
from zk_autograd.core.graph import Gradient, Graph, Kind, Pass
from zk_autograd.core.graph import text as graph_text
from zk_autograd.core.graph.formats import MAX_LOG_BATCH, ONE, SHIFTS, gradient_shift
from zk_autograd.core.graph.products import Matmul
from zk_autograd.core.hyper import Rule, of_own_examples
from zk_autograd.core.order import SAMPLER, Order
from zk_autograd.core.records import PRIVATE, PUBLIC, Data, Exact, Header
from zk_autograd.evidence.data_secrets import DataSecrets, Table
from zk_autograd.optim.exact.data_cells import cells_of
from zk_autograd.optim.exact.model_graph import ModelGraph
from zk_autograd.optim.exact.whole import whole
from zk_autograd.prove.protocol import Backend, CommittingToData
from zk_autograd.run.exact_files import ExactFiles

_TARGET_BITS = 26
"""Where `grad_scale="auto"` puts the first batch's largest element: 2^4 below the bound."""
_UNRECORDED = bytes(32)
"""In the place of commitments to the data, in the header of a training that isn't recorded."""


class ExactGradient:
    """The gradients of `graph` over `data`, in batches of `batch_size` in the order that `seed`
    gives (below 2^64; None for a random one, or in a resumed run for the run's own).

    `data` are features, numbers (examples, features), and targets: labels, integers (examples,), or
    for loss="mse" values, numbers (examples, outputs); arrays or tensors. Or cells, int32
    (examples, stride). A feature is rounded to a multiple of 2^-12.
    `public`: the cells become a file of the run. `table` says how the cells are made from a table;
    `names` are the layers' names, by tensor of the graph. `matmul` multiplies the pass's matrices,
    on another device if it is a TorchMatmul; the bits are the same.

    A batch is padded to a power of two with examples that don't count, and the gradient is the
    batch's sum divided by that power: `effective` says what that makes of lr or eps. What is left
    of an epoch when no whole batch is left isn't used.

    It belongs to one optimizer. UsageError for data that don't fit the graph, RangeError for a
    value that no cell holds.
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
        matmul: Matmul = np.matmul,
    ) -> None:
        if not isinstance(graph, Graph):
            raise UsageError(f"the graph is a {type(graph).__name__}; give what exact_graph makes of the model")
        self.graph = graph
        self.cells = cells_of(graph, data)
        self.shards = Shards.of(len(self.cells), graph.stride)
        self.batch_size = _checked_size(batch_size, self.shards)
        self.log_batch = (self.batch_size - 1).bit_length()
        self.given_seed = None if seed is None else whole(seed, "the order's seed", 0, 2**64 - 1)
        self.seed = int.from_bytes(os.urandom(8), "big") if self.given_seed is None else self.given_seed
        self.public = public
        self._table = table
        self._pass = Pass(graph, names or getattr(graph, "layers", ()), matmul)
        self._order: Order | None = None

    def effective(self, rule: Rule, hyper: Mapping[str, str]) -> dict[str, str]:
        """What the padding of a batch makes of the hyper-parameters (decimals), for the mean over
        the batch's own examples: lr for SGD, with momentum or not; eps for Adam, AdamW and RMSprop.
        Decimals of 6 digits; empty where a batch is a power of two, and for Lion."""
        return of_own_examples(self.batch_size, self.log_batch, rule, hyper)

    def committed(self, backend: Backend, *, by_beacon: bool) -> tuple[Data, Exact, ExactFiles]:
        """What a header says of the data and the gradients, committed to by `backend`, and the
        run's files; the seed among it, which a beacon may take the place of. UsageError for one
        that was given, where `by_beacon` says that it does."""
        if by_beacon and self.given_seed is not None:
            raise UsageError(
                f"seed={self.given_seed} of the ExactGradient: the beacon gives the order's seed, so leave it out"
            )
        data, exact = self.described()
        root = b""
        salts: tuple[bytes, ...] = ()
        if self.public:
            exact = replace(exact, cells=sha256(cells_format.encoded(self.cells, self.graph.features)).digest())
        elif isinstance(backend, CommittingToData):
            salts = tuple(backend.draw_salt() for _ in self.shards.counts)
            commitments = (backend.commit_data(self.shards.padded(self.cells, i), salt) for i, salt in enumerate(salts))
            exact = replace(exact, shards=tuple(commitments))
        else:
            salts = (os.urandom(32),)
            root = cells_format.tree_root(self.cells, salts[0])
        files = ExactFiles(
            graph_text.encode(self.graph), self.cells, self.graph.features, DataSecrets(salts, self._table)
        )
        return replace(data, root=root), exact, files

    def described(self) -> tuple[Data, Exact]:
        """What a header says of them without a commitment to the data: of a training that isn't
        recorded."""
        exact = Exact(
            graph=graph_text.digest(graph_text.encode(self.graph)),
            log_batch=self.log_batch,
            stride=self.graph.stride,
            log_cells=self.shards.log_cells,
            visibility=PUBLIC if self.public else PRIVATE,
            cells=_UNRECORDED if self.public else b"",
            seed=self.seed,
        )
        root = b"" if self.public else _UNRECORDED
        return Data(root, len(self.cells), SAMPLER, self.batch_size, b""), exact

    def difference(self, header: Header, files: ExactFiles) -> str | None:
        """How these gradients differ from those of an older run with `header` and `files`; None if
        they don't. A seed of None fits any."""
        exact = header.exact
        assert exact is not None
        visibility = PUBLIC if self.public else PRIVATE
        if files.graph != graph_text.encode(self.graph):
            return "the run has another graph than the model: make the same model, with the same loss"
        if header.data.batch_size != self.batch_size:
            return f"the run has batches of {header.data.batch_size}, and batch_size is {self.batch_size}"
        if exact.visibility != visibility:
            return f"the run's data are {exact.visibility}, and public is {self.public}"
        if self.given_seed is not None and exact.seed != self.given_seed:
            of_run = "a beacon's" if exact.seed is None else exact.seed
            return (
                f"the run's order has the seed {of_run}, and seed is {self.given_seed}; leave it out, to have the run's"
            )
        if len(files.cells) != len(self.cells):
            return f"the run's data have {len(files.cells):,} examples, and these {len(self.cells):,}"
        if not np.array_equal(files.cells, self.cells):
            example = int(np.flatnonzero((files.cells != self.cells).any(axis=1))[0])
            return f"the run has other data than these: they differ first in example {example}"
        return None

    def take_order(self, order: Order) -> None:
        """The order of the run, which a beacon may have given. UsageError if it took another."""
        if self._order is not None and self._order != order:
            raise UsageError("this ExactGradient is another optimizer's, with another order: make one for each")
        self._order = order

    def step(self, weights: IntArray, step: int, k: int) -> Gradient:
        """The gradient of step 1, 2, 3 ... at W, int64 (parameters,). UnitRangeError."""
        return self._pass.step(weights, self.batch(step), self.batch_size, self.log_batch, k)

    def suitable_scale(self, weights: IntArray) -> int:
        """The grad_scale that puts the largest element of the first batch's gradient near 2^26, as
        far as there is one. UnitRangeError."""
        size = self._pass.largest_sum(weights, self.batch(1), self.batch_size)
        return self.nearest_scale(4 + self.log_batch + _TARGET_BITS - round(float(np.log2(size))) if size else 0)

    def nearest_scale(self, k: int) -> int:
        """The grad_scale nearest to `k` of those that go with the batch."""
        allowed = [k for k in K_RANGE if gradient_shift(self.log_batch, k) in SHIFTS]
        return min(max(k, allowed[0]), allowed[-1])

    def float_loss(self, step: int) -> float | None:
        """The loss of a step's batch by the float model as it is, in torch; None for a graph that
        isn't a model's. UsageError if the model can't be run."""
        model = self.graph.model if isinstance(self.graph, ModelGraph) else None
        if model is None:
            return None
        cells = self.batch(step)[: self.batch_size] / ONE
        device = next(model.parameters()).device
        features = torch.from_numpy(cells[:, : self.graph.features].astype(np.float32)).to(device)
        try:
            with torch.no_grad():
                outputs = model(features).double().cpu().numpy()
        except Exception as error:
            said = " ".join(str(error).split())[:200]
            raise UsageError(
                f"the model's forward, which the exact pass is compared with, fails on the first batch: {type(error).__name__}: {said}"
            ) from error
        return _loss(self.graph, outputs, cells[:, self.graph.features :])

    def batch(self, step: int) -> Cells:
        """The cells of a step's batch, and if it isn't a power of two those of example 0, which
        stands for the dead ones."""
        order = self._order or Order(self.shards, self.batch_size, self.seed)
        rows = order.batch(step)
        if self.batch_size < 2**self.log_batch:
            rows = np.append(rows, 0)
        found: Cells = self.cells[rows]
        return found


def _checked_size(given: int, shards: Shards) -> int:
    batch_size = whole(given, "batch_size", 1, 2**MAX_LOG_BATCH)
    if batch_size > shards.examples:
        raise UsageError(f"batch_size is {batch_size:,}, and the data have {shards.examples:,} examples: lower it")
    if batch_size > min(shards.counts):
        raise UsageError(
            f"batch_size is {batch_size:,}, and a batch is of one shard of the data, of which the smallest has {min(shards.counts):,} examples: "
            "lower it"
        )
    return batch_size


def _loss(graph: Graph, outputs: NDArray[np.float64], targets: NDArray[np.float64]) -> float:
    """The mean over the examples, of outputs (examples, outputs) or of one logit a row."""
    if any(run.kind is Kind.VALUE for run in graph.outputs):
        return float(((outputs - targets) ** 2).sum(axis=1).mean()) / 2
    if outputs.shape[1] < graph.targets:
        outputs = np.concatenate([np.zeros_like(outputs), outputs], axis=1)
    top = outputs.max(axis=1)
    spread = np.log(np.exp(outputs - top[:, None]).sum(axis=1)) + top
    return float((spread - (outputs * targets).sum(axis=1)).mean())
