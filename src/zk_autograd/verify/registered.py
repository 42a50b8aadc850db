"""Step 4, the register: the run's entries in its trainer's register, as register/views.jsonl shows
them.

Of the whole file is checked: each checkpoint of the register is signed by all pinned keys, and
continues the one before; each entry is in it; the first one is the run's begin, over its header;
sizes only grow; the close comes last and with the close record. Of each entry up to the view's size
the root is that over as many of the log's records. A register that has more of this run than is
shown is evidence of withheld records, unless the auditor chose an earlier root.
"""

from collections.abc import Sequence
from contextlib import closing

from zk_autograd.core.anchors import SignedCheckpoint
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.keys import Algorithm, PublicKey
from zk_autograd.core.note import open_note
from zk_autograd.core.register import Entry, Kind, View, origin_of, renamed
from zk_autograd.core.text import counted
from zk_autograd.evidence.layout import REGISTER, VIEWS
from zk_autograd.evidence.run import Evidence
from zk_autograd.verify.anchoring import Registered, at_line
from zk_autograd.verify.log import LogView

PLACE = f"{REGISTER}/{VIEWS}"


def read_register(files: Evidence, view: LogView, keys: Sequence[PublicKey], *, chosen: bool) -> Registered:
    """The run's place in the register that its header names. `chosen`: the auditor gave the root
    of the view. VerificationError."""
    reader = _Reader(view, keys)
    with closing(files.views()) as lines:
        for number, line in enumerate(lines, start=1):
            with at_line(PLACE, number):
                reader.add(View.parse(line))
    if not reader.entries:
        raise VerificationError(f"{PLACE} has no line: the run's begin is missing")
    origin = view.log.header.register
    named = not keys or any(key.algorithm is Algorithm.ED25519 and origin_of((key,)) == origin for key in keys)
    found = Registered(origin, reader.heads, tuple(reader.entries), view.head.size, named)
    require_the_logs(found.entries, view, chosen=chosen)
    return found


class _Reader:
    """Takes the views one after the other, and checks what the register alone decides."""

    def __init__(self, view: LogView, keys: Sequence[PublicKey]) -> None:
        self._origin, self._run, self._keys = view.log.header.register, view.log.header.run, keys
        self._head: Checkpoint | None = None
        self.heads: dict[int, SignedCheckpoint] = {}
        self.entries: list[tuple[int, Entry]] = []

    def add(self, view: View) -> None:
        before = self._head
        if before is not None and self._keys and (two := view.head).size == before.size and two.root != before.root:
            open_note(view.note, renamed(self._keys, self._origin))  # what nobody signed is no branch
            raise two_branches(before, two)
        head = view.verify(self._origin, before, self._keys)
        self._enter(view.index, view.entry)
        self._head = head
        self.heads.setdefault(head.size, SignedCheckpoint(view.note, head))

    def _enter(self, index: int, entry: Entry) -> None:
        if entry.run != self._run:
            raise VerificationError("the entry is another run's", expected=self._run.hex(), found=entry.run.hex())
        if not self.entries:
            if entry.kind is not Kind.BEGIN:
                raise VerificationError(
                    "the first entry is not the run's begin", expected=Kind.BEGIN.value, found=entry.kind.value
                )
            self.entries.append((index, entry))
            return
        last_index, last = self.entries[-1]
        if (index, entry) == (last_index, last):
            return  # the same one, under a newer checkpoint
        if index <= last_index:
            raise VerificationError(
                "the entry stands before that of an earlier line", expected=f"above {last_index}", found=str(index)
            )
        if last.kind is Kind.CLOSE:
            raise VerificationError("an entry follows the run's close")
        if entry.kind is Kind.BEGIN:
            raise VerificationError("the run is begun twice", expected=f"once, by entry {last_index}", found=str(index))
        if entry.size <= last.size:
            raise VerificationError(
                "the run's records did not grow", expected=f"more than {last.size}", found=str(entry.size)
            )
        self.entries.append((index, entry))


def require_the_logs(entries: Sequence[tuple[int, Entry]], view: LogView, *, chosen: bool) -> None:
    """The entries against the log. VerificationError for another view of it, and for one of records
    that the view lacks, unless its root was `chosen` by the auditor."""
    roots = view.roots({entry.size for _, entry in entries})
    for index, entry in entries:
        if entry.size <= view.head.size:
            if entry.root != roots[entry.size]:
                raise VerificationError(
                    f"entry {index} of the register has another root for the run's first {counted(entry.size, 'record')}: two views of one log",
                    expected=roots[entry.size].hex(),
                    found=entry.root.hex(),
                )
            closed = view.log.close is not None and entry.size == view.head.size
            if closed != (entry.kind is Kind.CLOSE):
                raise VerificationError(
                    f"entry {index} of the register says that the run is "
                    f"{'closed' if entry.kind is Kind.CLOSE else 'not closed'} after {entry.size} records",
                    expected=f"{'closed' if closed else 'not closed'}, as its records are",
                    found=entry.kind.value,
                )
        elif not chosen:
            raise VerificationError(
                "the register has more of this run's records than are shown: some were withheld (or the run went on while it was read: then "
                "read it again)",
                expected=f"{entry.size} records, {entry.root.hex()}",
                found=f"{view.head.size} records",
            )


def two_branches(one: Checkpoint, other: Checkpoint, signer: str = "") -> VerificationError:
    """The failure of a register that has two roots for one size; of both `signer` is a key that
    signed them, if not all pinned keys did."""
    by = f" (the pinned key {signer} signed both)" if signer else ""
    return VerificationError(
        f"the trainer's register has two branches: two roots for its first {one.size} entries{by}",
        expected=one.root.hex(),
        found=other.root.hex(),
    )
