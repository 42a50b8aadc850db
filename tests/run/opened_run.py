"""The small run with data that are committed to as cells, and a graph's file: for what concerns the
files of a run with exact gradients. Its gradients are no graph's, which only a verifier sees."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from tests.run.plain_run import create
from tests.run.trainer import TracedFiles, hashed_backend, make_header
from zk_autograd.core import cells as cells_format
from zk_autograd.core.cells import Cells, Shards
from zk_autograd.core.order import SAMPLER
from zk_autograd.core.records import PRIVATE, PUBLIC, Data, Exact, Header
from zk_autograd.evidence.data_secrets import DataSecrets, Table
from zk_autograd.prove.protocol import CommittingToData
from zk_autograd.run.exact_files import ExactFiles
from zk_autograd.run.writer import RunWriter

CELLS: Cells = np.random.default_rng(1).integers(-(2**12), 2**12, (24, 5)).astype(np.int32)
FEATURES = 3
SECRET = b"s" * 32
TABLE = Table(
    "csv:t.csv",
    "y",
    ("a", "b"),
    ("x1", "x2", "x3"),
    ("0.5", "-1.25", "0.1"),
    ("1.0", "2.0", "3.0"),
    (*range(23, -1, -1),),
)
GRAPH = b"zk-autograd/graph/v1\n"


def make_exact_header(*, public: bool = False) -> Header:
    """That of the run, without proofs."""
    header = make_header(hashed_backend())
    content = cells_format.encoded(CELLS, FEATURES)
    shards = Shards.of(len(CELLS), CELLS.shape[1])
    return replace(
        header,
        unproved=(),
        data=Data(b"" if public else cells_format.tree_root(CELLS, SECRET), len(CELLS), SAMPLER, 8, b""),
        exact=Exact(
            graph=sha256(GRAPH).digest(),
            log_batch=3,
            stride=shards.stride,
            log_cells=shards.log_cells,
            visibility=PUBLIC if public else PRIVATE,
            cells=sha256(content).digest() if public else b"",
            seed=7,
        ),
    )


def make_sharded(header: Header, backend: CommittingToData) -> tuple[Header, ExactFiles]:
    """The header as one of exact gradients on data of two shards, to which the backend commits; and
    the run's files."""
    cells: Cells = np.random.default_rng(2).integers(0, 2**12, (12, 1000)).astype(np.int32)
    shards = Shards(12, 1000, 13)
    salts = tuple(backend.draw_salt() for _ in shards.counts)
    made = tuple(backend.commit_data(shards.padded(cells, i), salt) for i, salt in enumerate(salts))
    exact = Exact(sha256(GRAPH).digest(), 0, shards.stride, shards.log_cells, PRIVATE, shards=made, seed=7)
    data = Data(b"", len(cells), SAMPLER, 1, b"")
    return replace(header, data=data, exact=exact), ExactFiles(GRAPH, cells, 900, DataSecrets(salts))


def files(*, public: bool = False) -> ExactFiles:
    """Those of the run."""
    return ExactFiles(GRAPH, CELLS, FEATURES, DataSecrets(() if public else (SECRET,), TABLE))


def create_exact(path: Path, *, public: bool = False) -> RunWriter:
    """A new run."""
    header = make_exact_header(public=public)
    return create(path, header=header, exact=files(public=public), files=TracedFiles(path))
