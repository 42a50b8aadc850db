"""What of a run is recorded, as its trainer reads it to open segments: the records under the signed
checkpoint, and which segments somebody chose of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zk_autograd.core.errors import RunError, UsageError, VerificationError
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.note import open_note, parse_checkpoint
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.core.records import Log
from zk_autograd.core.text import counted
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.evidence.layout import LOG, MAX_LOG, RECORDS
from zk_autograd.run.files import is_own_folder, of_the_run
from zk_autograd.run.inventory import is_run
from zk_autograd.run.layout import Layout
from zk_autograd.run.log import whole_leaves
from zk_autograd.run.recovery import read_header
from zk_autograd.verify.challenge import Challenge

_ITEM = re.compile(r"(0|[1-9][0-9]{0,11})(?:-(0|[1-9][0-9]{0,11}))?")
_BEFORE_SEGMENTS = 2
"""Records before the first segment's: header and genesis."""


@dataclass(frozen=True, slots=True)
class Choice:
    """`segments`, ascending, of the log under `root` and `size`; `by`: who chose them, as
    evidence.openings.Index has it."""

    segments: tuple[int, ...]
    root: bytes
    size: int
    by: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """The run in `layout`: the `log` under its checkpoint. `hashes` are those of its leaves."""

    layout: Layout
    log: Log
    hashes: Sequence[bytes] = field(repr=False)

    @property
    def size(self) -> int:
        """How many records there are."""
        return len(self.hashes)

    def all(self) -> Choice:
        """Every segment. UsageError if there is none yet."""
        return self._choice(tuple(range(self._count)), "all")

    def listed(self, text: str) -> Choice:
        """Those of a list such as 0,3-5. UsageError for another text, and for a segment that isn't
        recorded."""
        found: set[int] = set()
        for item in text.split(","):
            match = _ITEM.fullmatch(item)
            if match is None:
                raise UsageError(f"--segments {text[:100]!r} is no list of segments such as 0,3-5")
            first = int(match[1])
            last = first if match[2] is None else int(match[2])
            if last < first:
                raise UsageError(f"--segments {item} ends before it begins: such a list is 0,3-5")
            if last >= self._count:
                raise UsageError(
                    f"segment {last} of {self.layout.root} is not recorded: it has {counted(self._count, 'segment')}, counted from 0"
                )
            found |= set(range(first, last + 1))
        return self._choice(tuple(sorted(found)), "trainer")

    def drawn(self, challenge: Challenge) -> Choice:
        """Those that an auditor drew. RunError for a challenge of another log than this run's."""
        head = challenge.head
        if head.size > self.size:
            raise RunError(
                f"the challenge is of a log of {head.size} records, and {self.layout.root} has {self.size}: it was drawn for another run, "
                "or this is an older copy"
            )
        if root(self.hashes[: head.size]) != head.root:
            raise RunError(
                f"the challenge is of another log than that of {self.layout.root}: its first {head.size} records have another root"
            )
        closed = self.log.close is not None and head.size == self.size
        count = head.size - _BEFORE_SEGMENTS - closed
        if challenge.count != count:
            raise RunError(
                f"the challenge draws from {counted(challenge.count, 'segment')}, and under its root the log has {max(count, 0)}: ask for another"
            )
        return Choice(challenge.segments, head.root, head.size, "challenge")

    def _choice(self, segments: tuple[int, ...], by: str) -> Choice:
        if not segments:
            raise UsageError(f"{self.layout.root} has no recorded segment yet: there is nothing to open")
        return Choice(segments, root(self.hashes), self.size, by)

    @property
    def _count(self) -> int:
        return len(self.log.segments)


def recorded(run: Path) -> Recorded:
    """The run at `run`, whose trainer reads it. Nothing is locked: records that come meanwhile are
    not seen.

    UsageError if there is no run. RunError if it was forgotten, is a copy without its private
    folder, or its log is damaged; StorageError where it can't be read.
    """
    layout = Layout(run)
    if not is_run(run):
        raise UsageError(f"there is no run at {run}: name the folder of a run")
    if not is_own_folder(layout.private):
        raise RunError(
            f"{run} has no private folder: only its trainer has what opens its commitments, and that was not in this copy"
        )
    header, leaf = read_header(layout)
    try:
        with RunFolder(run) as reader:
            note = reader.checkpoint()  # before the log, which may grow meanwhile
            with reader.opened(f"{LOG}/{RECORDS}", MAX_LOG) as file:
                leaves, _ = whole_leaves(file)
        head = parse_checkpoint(open_note(note, [PublicKey.parse(key) for key in header.keys]).text)
        hashes = [leaf_hash(one) for one in leaves[: head.size]]
        if (len(hashes), root(hashes)) != (head.size, head.root):
            raise VerificationError(f"{RECORDS} does not have the root of its checkpoint")
        if leaves[0] != leaf:
            raise VerificationError("its first record is not the header in the folder private")
        return Recorded(layout, parse_log(leaves[: head.size]), hashes)
    except VerificationError as error:
        raise of_the_run(error, f"{run} can't be opened: {error}; restore it from a copy") from error
