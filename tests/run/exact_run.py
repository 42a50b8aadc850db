"""A run with exact gradients of the small model, as the run directory sees one: its header, its
files, and steps whose gradients are any integers. Its data have three shards, of 4, 3 and 3
batches, and a segment has up to two steps."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from tests.run.trainer import SIGNER, TracedFiles, first_weights, hashed_backend, make_header
from zk_autograd.core import cells as cells_format
from zk_autograd.core.graph import text as graph_text
from zk_autograd.core.order import SAMPLER
from zk_autograd.core.records import PRIVATE, PUBLIC, Data, Exact, Header
from zk_autograd.evidence.data_secrets import DataSecrets, Table
from zk_autograd.prove.protocol import Backend
from zk_autograd.run.exact_files import ExactFiles
from zk_autograd.run.writer import RunWriter

GRAPH = b"zk-autograd/graph/v1\nfeature 2046\n"
EXAMPLES, FEATURES, STRIDE, LOG_CELLS = 10, 2046, 2048, 13
BATCHES = (4, 3, 3)
SECRET = bytes(range(32))
CELLS = np.arange(EXAMPLES * STRIDE, dtype=np.int32).reshape(EXAMPLES, STRIDE) - 7
TABLE = Table("table.csv", "y", ("a", "b"), ("x",), ("0.1",), ("2.5",), tuple(range(9, -1, -1)))


def exact_header(backend: Backend | None = None, visibility: str = PRIVATE, seed: int = 5) -> Header:
    """Of a backend that doesn't commit to data, if there is none given."""
    public = visibility == PUBLIC
    cells = sha256(cells_format.encoded(CELLS, FEATURES)).digest() if public else b""
    root = b"" if public else cells_format.tree_root(CELLS, SECRET)
    exact = Exact(graph_text.digest(GRAPH), 0, STRIDE, LOG_CELLS, visibility, (), cells, seed)
    whole = make_header(backend or hashed_backend())
    return replace(whole, unproved=(), data=Data(root, EXAMPLES, SAMPLER, 1, b""), exact=exact)


def exact_files(visibility: str = PRIVATE, table: Table | None = TABLE) -> ExactFiles:
    secrets = DataSecrets(() if visibility == PUBLIC else (SECRET,), table)
    return ExactFiles(GRAPH, CELLS, FEATURES, secrets)


def create(path: Path, backend: Backend | None = None, visibility: str = PRIVATE, **options: Any) -> RunWriter:
    """A new run; `options` are RunWriter.create's, and `header`."""
    backend = backend or hashed_backend()
    header = options.pop("header", None) or exact_header(backend, visibility)
    options = {"files": TracedFiles(path), "exact": exact_files(visibility), **options}
    return RunWriter.create(path, header, backend, [SIGNER], first_weights(), **options)
