"""Step 9, what a run with exact gradients says of them: the graph and the data, as far as anybody
sees them.

* graph.txt has the header's SHA-256, is a graph's text, is not refused (core.graph.acceptance), and
  its tensors are the run's parameters: a weight of (rows, columns), a bias of (rows,). An example
  has as many cells as the header says.
* A segment holds steps of one shard of one epoch.
* Public data are data/cells: of the header's SHA-256, as many examples and cells as it says, and of
  classes each with one target. Where nothing is computed from them they are never held in memory: a
  sparse file costs its writer nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core import cells as cells_format
from zk_autograd.core.errors import RangeError, VerificationError
from zk_autograd.core.first_weights import order_of
from zk_autograd.core.graph import Graph, Kind, TensorKind, require_acceptable
from zk_autograd.core.graph import text as graph_text
from zk_autograd.core.graph.data import require_cells
from zk_autograd.core.order import Order
from zk_autograd.core.progress import Progress
from zk_autograd.core.records import BEACON, PUBLIC, Exact, Header, Log
from zk_autograd.core.text import counted, quoted
from zk_autograd.evidence.layout import CELLS, DATA, GRAPH, MAX_CELLS
from zk_autograd.evidence.run import Evidence
from zk_autograd.verify.outcome import Claim, Finding, Level, Outcome, Source, Status
from zk_autograd.verify.statement import SEGMENT_RECORD

GENUINE = Claim("that the data are genuine and rightly labelled", Source.CLAIMED)
_UNOPENED = "no gradient was computed again: nothing shows that they are what the declared graph gives on the data that the header commits to"
_HOW = "get the data and ask the trainer for openings (zk-run open), then verify with --data and --openings"


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """The graph, the order (None of a view without a genesis where a beacon gives it), and the
    cells where they are public and kept; what was found of them, in sentences."""

    exact: Exact
    graph: Graph
    order: Order | None
    cells: NDArray[np.int32] | None = field(repr=False)
    sentences: tuple[str, ...]

    def unopened(self, *, attested: bool) -> Outcome:
        """Step 9 if nothing was opened. `attested`: step 8 showed which code computed the
        gradients."""
        what = "the data" if attested else "the data, and that the gradients are the declared graph's on them"
        return Outcome(
            Finding(Status.NOT_SHOWN, (*self.sentences, "no openings were given: no gradient was computed again")),
            missing={Level.L3: "L3 was not reached: no openings were given, and nothing was computed again"},
            claims=(Claim(what, Source.CLAIMED),),
            limits=() if attested else (_UNOPENED,),
            fix=_HOW,
        )


def check_exact_data(files: Evidence, log: Log, progress: Progress, *, keep: bool) -> Described:
    """The parts that need nothing but the run. `keep`: public cells are wanted afterwards.
    VerificationError."""
    header = log.header
    exact = header.exact
    assert exact is not None
    graph = _graph(files, header, exact)
    order = _order(log)
    if order is not None:
        check_shards(log, order, progress)
    cells = None
    if exact.visibility == PUBLIC:
        cells = _public_cells(files, header, exact, graph, keep=keep)
    return Described(exact, graph, order, cells, tuple(_sentences(header, exact, graph)))


def require_of(header: Header, graph: Graph, cells: NDArray[np.int32], what: str) -> None:
    """VerificationError unless these are as many examples and cells as the header says, in range,
    and of classes each with one target. `what` calls them."""
    _require_size(header, cells.shape[0], cells.shape[1], what)
    _require_right(graph, cells, what, 0)


def _require_size(header: Header, examples: int, stride: int, what: str, *, most: bool = False) -> None:
    """`most`: there may be fewer examples yet."""
    assert header.exact is not None
    count, wanted = header.data.count, header.exact.stride
    if stride != wanted or (examples > count if most else examples != count):
        raise VerificationError(
            f"{what} are not of the header's size",
            expected=f"{count} examples of {wanted} cells",
            found=f"{examples} of {stride}",
        )


def _require_right(graph: Graph, cells: NDArray[np.int32], what: str, first: int) -> None:
    try:
        require_cells(graph, cells, first)
    except RangeError as error:
        raise VerificationError(f"{what} are no data of this graph: {error}") from error


def _graph(files: Evidence, header: Header, exact: Exact) -> Graph:
    text = files.graph()
    if (found := graph_text.digest(text)) != exact.graph:
        raise VerificationError(
            f"{GRAPH} is not the graph of the header", expected=exact.graph.hex(), found=found.hex()
        )
    graph = graph_text.parse(text)
    require_acceptable(graph, header.size)
    shapes = [(t.rows,) if t.kind is TensorKind.BIAS else (t.rows, t.columns) for t in graph.tensors]
    if len(shapes) != len(header.parameters):
        raise VerificationError(
            "the graph has another number of tensors than the run",
            expected=str(len(header.parameters)),
            found=str(len(shapes)),
        )
    for shape, parameter in zip(shapes, header.parameters, strict=True):
        if shape != parameter.shape:
            raise VerificationError(
                f"in the graph, {quoted(parameter.name)} has another shape than in the header",
                expected=str(parameter.shape),
                found=str(shape),
            )
    if graph.stride != exact.stride:
        raise VerificationError(
            "an example of the graph has another number of cells than the header says",
            expected=str(exact.stride),
            found=str(graph.stride),
        )
    return graph


def _order(log: Log) -> Order | None:
    if log.header.order_by == BEACON and log.genesis is None:
        return None
    return order_of(log.header, log.header_digest, b"" if log.genesis is None else log.genesis.beacon)


def check_shards(log: Log, order: Order, progress: Progress) -> None:
    """VerificationError unless each segment is of one shard of one epoch."""
    if len(order.shards.counts) == 1:
        return
    for index, first, last in log.segments.places():
        begun, ended = order.place(first), order.place(last)
        if begun[:2] != ended[:2]:
            raise VerificationError(
                "the segment holds steps of several shards of the data, or of several epochs",
                record=SEGMENT_RECORD + index,
                expected="steps of one",
                found=f"epoch {begun.epoch}, shard {begun.shard} to epoch {ended.epoch}, shard {ended.shard}",
            )
        progress("shards", index + 1, len(log.segments))


def _public_cells(
    files: Evidence, header: Header, exact: Exact, graph: Graph, *, keep: bool
) -> NDArray[np.int32] | None:
    """They, if they are kept."""
    name = f"{DATA}/{CELLS}"
    most = min(MAX_CELLS, cells_format.largest_file(header.data.count, exact.stride))
    if not keep:
        _look_through(files, header, exact, graph, name, most)
        return None
    content = files.read(name, most)
    _require_digest(name, sha256(content).digest(), exact)
    cells, features = cells_format.parsed(content)
    _require_features(name, features, graph)
    require_of(header, graph, cells, name)
    return cells


def _look_through(files: Evidence, header: Header, exact: Exact, graph: Graph, name: str, most: int) -> None:
    """The same, piece by piece, in one reading: whoever serves the file sends it once."""
    hashed, wrong = sha256(), None
    pieces = _Pieces(files.chunks(name, most), hashed.update)
    try:
        count = 0
        for cells, features in cells_format.parts(pieces):
            _require_features(name, features, graph)
            _require_size(header, count + len(cells), cells.shape[1], name, most=True)
            _require_right(graph, cells, name, count)
            count += len(cells)
        _require_size(header, count, exact.stride, name)
    except VerificationError as error:
        if pieces.broken:
            raise
        wrong = error
    for _ in pieces:
        pass
    _require_digest(name, hashed.digest(), exact)  # another file's content is not the run's
    if wrong is not None:
        raise wrong


class _Pieces:
    """The pieces of a file, each of which is shown to `see`; `broken` if it couldn't be read."""

    def __init__(self, pieces: Iterator[bytes], see: Callable[[bytes], None]) -> None:
        self._pieces, self._see = pieces, see
        self.broken = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            piece = next(self._pieces)
        except VerificationError:
            self.broken = True
            raise
        self._see(piece)
        return piece


def _require_digest(name: str, found: bytes, exact: Exact) -> None:
    if found != exact.cells:
        raise VerificationError(f"{name} are not the data of the header", expected=exact.cells.hex(), found=found.hex())


def _require_features(name: str, found: int, graph: Graph) -> None:
    if found != graph.features:
        raise VerificationError(
            f"{name} have another number of features than the graph", expected=str(graph.features), found=str(found)
        )


def _sentences(header: Header, exact: Exact, graph: Graph) -> list[str]:
    outputs = "values" if graph.outputs[0].kind is Kind.VALUE else "classes"
    hidden = sum(run.count for run in graph.units if run.kind is Kind.RELU)
    of_data = f"{counted(header.data.count, 'example')} of {exact.stride} cells"
    return [
        f"{GRAPH} is the header's, and its tensors are the run's: {counted(graph.features, 'feature')}, "
        f"{counted(hidden, 'hidden unit')}, {graph.targets} {outputs}",
        f"{DATA}/{CELLS} are the header's: {of_data}"
        if exact.visibility == PUBLIC
        else f"the header commits to {of_data}",
        f"batches of {header.data.batch_size} in the order {header.data.sampler}, of a seed that "
        + (
            f"stands in the header ({exact.seed})"
            if exact.seed is not None
            else "follows from the beacon in the genesis"
        ),
    ]
