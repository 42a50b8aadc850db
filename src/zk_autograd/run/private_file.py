"""Private files: fields, binary parts and a digest over all of it, so that a torn or altered file
is noticed.

    "zk-autograd/private/v0\\n" | length of the fields, 8 bytes, big-endian | fields as canonical
    JSON | parts | SHA-256 of all before

The fields name the kind of file and the run, so that no file passes for another; `parts` lists the
parts' names and lengths in order. The digest has no key: it guards against accidents, not against
the trainer.
"""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from zk_autograd.core import canonical
from zk_autograd.core.canonical import Json
from zk_autograd.core.errors import RunError, VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.records import MAX_RECORD
from zk_autograd.evidence.files import read_bounded
from zk_autograd.run.files import of_the_run

MAGIC = b"zk-autograd/private/v0\n"
_FAMILY = b"zk-autograd/private/"
_MAX_FIELDS = 32 * 2**20
MAX_FRAME = MAX_RECORD + 2**16
"""Bytes of a file whose part is a record."""

_DIGEST_BYTES = 32


def encode(kind: str, run: bytes, fields: Mapping[str, Json], parts: Mapping[str, bytes]) -> bytes:
    """The file's bytes. `run` is the digest of the run's header, `fields` must not contain the
    names "kind", "run" and "parts"."""
    lengths: list[Json] = [[name, len(part)] for name, part in parts.items()]
    head = canonical.encode({**fields, "kind": kind, "run": run.hex(), "parts": lengths})
    body = b"".join((MAGIC, len(head).to_bytes(8, "big"), head, *parts.values()))
    return body + sha256(body).digest()


def read(path: Path, kind: str, run: bytes | None, limit: int = MAX_FRAME) -> tuple[Fields, dict[str, bytes]]:
    """The fields still to be read (`end()` them) and the parts of the file. `run` is None where it
    isn't known yet; a file of more than `limit` bytes is refused before it is read: a sparse one
    takes no space on the disk, but could take all memory.

    Raises RunError for a file that is missing, torn, altered, of another version, another run or
    another kind, StorageError for one that the system won't let us read.
    """
    try:
        data = read_bounded(path, limit)
        if data.startswith(_FAMILY) and not data.startswith(MAGIC):
            found = repr(data[: data.find(b"\n", 0, 60)])
            raise RunError(f"{path} is of another version ({found}); use the version that began the run")
        body, digest = memoryview(data)[:-_DIGEST_BYTES], data[-_DIGEST_BYTES:]
        if body[: len(MAGIC)] != MAGIC or sha256(body).digest() != digest:
            raise VerificationError("its digest doesn't match")
        start = len(MAGIC) + 8
        end = start + int.from_bytes(body[len(MAGIC) : start], "big")
        fields = Fields(canonical.decode(bytes(body[start:end]), max_bytes=_MAX_FIELDS), "the file")
        fields.choice("kind", (kind,))
        owner = fields.hex("run", 32)
        if run is not None and owner != run:
            raise VerificationError("it belongs to another run")
        parts: dict[str, bytes] = {}
        for item in fields.array("parts", max_items=2**21):
            name, length = item.array(max_items=2, min_items=2)
            start, end = end, end + length.integer(0, limit)
            parts[name.text(max_len=100)] = bytes(body[start:end])
        if end != len(body):
            raise VerificationError("its parts don't add up")
    except VerificationError as error:
        raise of_the_run(error, str(damaged(path, str(error)))) from error
    return fields, parts


def damaged(path: Path, reason: str) -> RunError:
    """The error for a private file that can't be what the writer wrote."""
    return RunError(
        f"{path} is missing, torn or altered ({reason}); restore it from a copy: the run can't be resumed without it"
    )
