"""The files of a run with exact gradients: its graph, and its data, public or not, with what opens
the commitment to them. They are written before the first record, and don't change.

Of data that are public the folder `private` has no second copy.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core import cells as cells_format
from zk_autograd.core.canonical import decode, encode
from zk_autograd.core.errors import RunError, UsageError, VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.graph import text as graph_text
from zk_autograd.core.records import PUBLIC, Header
from zk_autograd.evidence.data_secrets import DataSecrets, read_data, write_data
from zk_autograd.evidence.files import chunks_of, open_bounded
from zk_autograd.run import private_file
from zk_autograd.run.files import PRIVATE_FILE, Files, of_the_run
from zk_autograd.run.layout import Layout

MAX_SECRETS = 256 * 2**20
"""Bytes of what opens the commitment, as of openings."""
MAX_BESIDE = MAX_SECRETS + 2**20
"""Bytes of the private file, its cells aside."""

_KIND = "data"
_CELLS, _SECRETS = "cells", "secrets"


@dataclass(frozen=True, slots=True, eq=False)
class ExactFiles:
    """`graph` is graph.txt; `cells`, int32 (examples, stride), are the data, of which `features`
    begin each example; `secrets` open the commitment to them."""

    graph: bytes
    cells: NDArray[np.int32]
    features: int
    secrets: DataSecrets

    def require_fit(self, header: Header) -> None:
        """UsageError unless they are those of a run with this header, as far as that can be told
        without its prover."""
        exact = header.exact
        if exact is None:
            raise UsageError("the header says nothing of exact gradients")
        if graph_text.digest(self.graph) != exact.graph:
            raise UsageError("the graph is not the one that the header names")
        if not self._fit(header):
            raise UsageError("the cells, or the salts of their commitments, are not as many as the header says")
        if len(self.graph) > graph_text.MAX_TEXT or len(encode(write_data(self.secrets))) > MAX_SECRETS:
            raise UsageError("the graph's text, or the table that says where the cells are from, is too large to keep")

    def _fit(self, header: Header) -> bool:
        assert header.exact is not None
        form = (header.data.count, header.exact.stride)
        return self.cells.shape == form and self.features < form[1] and len(self.secrets.salts) == _salts(header)

    def write(self, layout: Layout, header: Header, digest: bytes, files: Files) -> None:
        """Writes them into the run, whose header has this digest. RunError."""
        files.write_atomic(layout.graph, self.graph)
        content = cells_format.encoded(self.cells, self.features)
        parts = {_SECRETS: encode(write_data(self.secrets))}
        if _are_public(header):
            files.make_dir(layout.cells.parent)
            files.write_atomic(layout.cells, content)
        else:
            parts[_CELLS] = content
        files.write_atomic(layout.data, private_file.encode(_KIND, digest, {}, parts), PRIVATE_FILE)

    @classmethod
    def read(cls, layout: Layout, header: Header, digest: bytes) -> "ExactFiles":
        """Those of the run, whose header has this digest. RunError for files that are missing, torn
        or altered, StorageError for one that the system won't let us read."""
        assert header.exact is not None
        limit = 4 * header.data.count * header.exact.stride + MAX_BESIDE
        fields, parts = private_file.read(layout.data, _KIND, digest, limit)
        graph, *public = (b"".join(chunks) for chunks in _public(layout, header))
        try:
            fields.end()
            content = public[0] if public else parts[_CELLS]
            cells, features = cells_format.parsed(content)
            said = Fields(decode(parts[_SECRETS], max_bytes=MAX_SECRETS), "the file")
            secrets = read_data(said)
            said.end()
            found = cls(graph, cells, features, secrets)
            if not found._fit(header):
                raise VerificationError("its cells or salts are not as many as the header says")
        except (VerificationError, KeyError) as error:
            raise private_file.damaged(layout.data, str(error)) from error
        return found


def check_public(layout: Layout, header: Header) -> None:
    """The run's graph, and its data if they are public, are there and are those that its header
    names. RunError otherwise: nothing could be shown to anybody without them."""
    for chunks in _public(layout, header):
        for _ in chunks:
            pass


def _public(layout: Layout, header: Header) -> Iterator[Iterator[bytes]]:
    """Graph and cells, the latter if they are public, piece by piece."""
    if header.exact is not None:
        yield _named(layout.graph, graph_text.MAX_TEXT, header.exact.graph)
        if _are_public(header):
            yield _named(layout.cells, _largest(header), header.exact.cells)


def _named(path: Path, limit: int, digest: bytes) -> Iterator[bytes]:
    """A file whose SHA-256 stands in the header. RunError at its end if it is another."""
    another = f"{path} is missing, or is not the one that the header names; restore it from a copy"
    hashed, left = sha256(), limit
    try:
        with open_bounded(path, limit) as fd:
            for chunk in chunks_of(fd, path):
                left -= len(chunk)
                if left < 0:  # it grew
                    raise RunError(another)
                hashed.update(chunk)
                yield chunk
    except VerificationError as error:
        raise of_the_run(error, another) from error
    if hashed.digest() != digest:
        raise RunError(another)


def _are_public(header: Header) -> bool:
    return header.exact is not None and header.exact.visibility == PUBLIC


def _salts(header: Header) -> int:
    """How many salts the commitment to the data has: one a shard, or the one of its tree."""
    assert header.exact is not None
    return 0 if _are_public(header) else len(header.exact.shards) or 1


def _largest(header: Header) -> int:
    assert header.exact is not None
    return cells_format.largest_file(header.data.count, header.exact.stride)
