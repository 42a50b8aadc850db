"""The files of a run with exact gradients: its graph, and its data, public or not, with what opens
the commitment to them. They are written before the first record, and don't change."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core import cells as cells_format
from zk_autograd.core.canonical import Json
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.records import PUBLIC, Header
from zk_autograd.evidence.data_secrets import DataSecrets, read_table, written_table
from zk_autograd.evidence.layout import MAX_CELLS
from zk_autograd.run import private_file
from zk_autograd.run.files import PRIVATE_FILE, Files
from zk_autograd.run.layout import Layout

_KIND = "data"


@dataclass(frozen=True, slots=True, eq=False)
class ExactFiles:
    """`graph` is graph.txt; `cells`, int32 (examples, stride), are the data, of which `features`
    begin each example; `secrets` open the commitment to them."""

    graph: bytes
    cells: NDArray[np.int32]
    features: int
    secrets: DataSecrets

    def write(self, layout: Layout, header: Header, digest: bytes, files: Files) -> None:
        """Writes them into the run, whose header has this digest. RunError."""
        assert header.exact is not None
        files.write_atomic(layout.graph, self.graph)
        content = cells_format.encoded(self.cells, self.features)
        if header.exact.visibility == PUBLIC:
            files.make_dir(layout.cells.parent)
            files.write_atomic(layout.cells, content)
        table = self.secrets.table
        fields: dict[str, Json] = {} if table is None else {"table": written_table(table)}
        parts = {"cells": content, "salts": b"".join(self.secrets.salts)}
        files.write_atomic(layout.data, private_file.encode(_KIND, digest, fields, parts), PRIVATE_FILE)

    @classmethod
    def read(cls, layout: Layout, header: Header, digest: bytes) -> "ExactFiles":
        """Those of the run. RunError for files that are missing, torn or altered."""
        fields, parts = private_file.read(layout.data, _KIND, digest, MAX_CELLS)
        try:
            table = read_table(fields.object("table")) if "table" in fields else None
            fields.end()
            cells, features = cells_format.parsed(parts["cells"])
            salts = parts["salts"]
            secrets = DataSecrets(tuple(salts[i : i + 32] for i in range(0, len(salts), 32)), table)
            return cls(layout.graph.read_bytes(), cells, features, secrets)
        except (VerificationError, KeyError, OSError) as error:
            raise private_file.damaged(layout.data, str(error)) from error
