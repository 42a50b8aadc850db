"""What an anchor stores of one publication: canonical JSON,

    {"checkpoint": <the note>, "first": <index>, "entries": [<leaf>, ...]}

`entries` are the register's leaves since the publication before, so that a lost register can be
made again from the anchor.
"""

from collections.abc import Mapping

from zk_autograd.core import canonical
from zk_autograd.core.anchors import Kept
from zk_autograd.core.canonical import Json
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.note import MAX_NOTE_BYTES
from zk_autograd.core.register import MAX_ENTRY

MAX_ENTRIES = 2**22
MAX_KEPT = 2**28
"""Bytes of one publication."""


def encode_kept(kept: Kept) -> bytes:
    """What is stored of it: neither `place` nor `finding`."""
    return canonical.encode(
        {
            "checkpoint": kept.note.decode("utf-8"),
            "first": kept.first,
            "entries": [leaf.decode("ascii") for leaf in kept.entries],
        }
    )


def parse_kept(data: bytes, *, place: Mapping[str, Json] | None = None, finding: str = "") -> Kept:
    """What was stored as `data`; neither the note nor a leaf is looked into. VerificationError for
    anything that `encode_kept` doesn't write."""
    fields = Fields(canonical.decode(data, max_bytes=MAX_KEPT), "publication")
    note = fields.raw("checkpoint")
    if not isinstance(note, str) or len(note) > MAX_NOTE_BYTES:
        raise VerificationError("it has no checkpoint")
    first = fields.integer("first", 0, canonical.MAX_INTEGER)
    entries = tuple(_leaf(value.text(MAX_ENTRY)) for value in fields.array("entries", MAX_ENTRIES))
    fields.end()
    return Kept(note.encode("utf-8"), first, entries, place or {}, finding)


def _leaf(text: str) -> bytes:
    if not text.isascii():
        raise VerificationError("an entry is not ASCII, as every leaf of a register is")
    return text.encode("ascii")
