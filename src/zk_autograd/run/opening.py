"""Opening segments of a run for one auditor: from the journal and the log to the pieces of an
openings file (evidence.openings).

It reads what was recorded and writes nothing, so it may be done while a trainer is at work: a
sealed segment doesn't change any more. The journal keeps every segment until `zk-run forget`.

Each segment is held against its record before a byte of it is given away: an auditor would take a
private folder that was altered for a false run. Whoever writes the pieces to a file must drop it
when an error comes between them (vault.openings.seal does).

What is opened is more than values: the secrets of their commitments, from which the masks of those
polynomials follow. No other commitment opens by that (docs/soundness.md, "What an opening shows"):
each has a secret of its own from the operating system, but that a segment's state-out is the next
one's state-in, a state that follows from what is shown anyway.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple

import numpy as np

from zk_autograd.core import cells as cells_format
from zk_autograd.core.errors import RunError, UsageError, VerificationError
from zk_autograd.core.progress import Progress
from zk_autograd.core.records import PUBLIC, Header, Segment, StateCommitments
from zk_autograd.core.rules import State
from zk_autograd.evidence.data_secrets import DataSecrets
from zk_autograd.evidence.openings import Index, SaltsByState, SegmentSecrets, encode_index, encode_segment
from zk_autograd.prove.protocol import Backend, Committing, CommittingToData
from zk_autograd.run.exact_files import ExactFiles
from zk_autograd.run.files import Files
from zk_autograd.run.journal import Journal, Start
from zk_autograd.run.recorded import Choice, Recorded


class _End(NamedTuple):
    """A state that was found to be what a record commits to, at the beginning of `segment`."""

    segment: int
    start: Start


class Opening:
    """Opens segments of one run, whose commitments `backend` makes."""

    def __init__(self, found: Recorded, backend: Backend) -> None:
        """UsageError for a backend that doesn't commit to gradients by itself."""
        if not isinstance(backend, Committing):
            raise UsageError("this backend's segments can't be opened: it commits to no gradients by itself")
        self._found, self._backend = found, backend
        self._header, self._log = found.log.header, found.log
        self._journal = Journal(found.layout.segments, self._header, self._log.header_digest, Files())
        self._newest: _End | None = None

    def pieces(self, choice: Choice, data: DataSecrets | None, advance: Progress) -> Iterator[bytes]:
        """The file of the chosen segments and the data's secrets. RunError for a private folder
        that isn't what the log was made of."""
        yield encode_index(Index(self._log.header_digest, choice.root, choice.size, choice.by, choice.segments, data))
        for i, number in enumerate(choice.segments):
            yield from self._segment(self._log.segments[number])
            advance("segments", i + 1, len(choice.segments))

    def _segment(self, record: Segment) -> Iterator[bytes]:
        number, journal = record.index, self._journal
        known = self._newest if self._newest is not None and self._newest.segment == number else None
        start, end = known.start if known else journal.start(number), journal.start(number + 1)
        if (start.first, end.first) != (record.first, record.last + 1):
            raise self._altered(number, "steps")
        salts = start.salts
        if known is None or not self._log.segments.follows(number):
            self._require(number, start.state, salts.state_in, record.state_in, "state before")
        self._require(number, end.state, salts.state_out, record.state_out, "state after")
        if end.salts.state_in != salts.state_out:
            raise self._altered(number, "salts")
        self._newest = _End(number + 1, end)
        self._require_gradients(record, start)
        secrets = SegmentSecrets(number, record.first, record.last, salts.state_in, salts.state_out, salts.gradients)
        steps = (journal.block(number, 0, self._header.size, t, t)[0] for t in range(record.first, record.last + 1))
        yield from encode_segment(self._header, secrets, start.state, steps)

    def _require(self, number: int, state: State, salts: SaltsByState, recorded: StateCommitments, what: str) -> None:
        header = self._header
        messages = (
            (header.padded(state[name], block), salt)
            for name in header.states
            for block, salt in enumerate(salts[name])
        )
        wanted = [commitment for name in header.states for commitment in recorded[name]]
        try:
            made = self._backend.commit_all(messages)
        except (VerificationError, ValueError, OverflowError) as error:
            raise self._altered(number, what) from error
        if made != wanted:
            raise self._altered(number, what)

    def _require_gradients(self, record: Segment, start: Start) -> None:
        assert isinstance(self._backend, Committing)
        header, steps = self._header, record.last - record.first + 1
        for block, own in enumerate(header.blocks):
            rows = np.zeros((header.prover.steps, header.prover.block), np.int32)
            rows[:steps, : own.size] = self._journal.block(
                record.index, own.offset, own.size, record.first, record.last
            )
            if self._backend.commit_gradients(rows, start.salts.gradients[block]) != record.gradients[block]:
                raise self._altered(record.index, "gradients")

    def _altered(self, number: int, what: str) -> RunError:
        return RunError(
            f"{self._journal.path(number)} was altered: its {what} are not what the log's record of segment {number} commits to; restore "
            "the folder `private` from a copy. Nothing was written"
        )


def exact_files(found: Recorded, backend: Backend) -> ExactFiles:
    """The graph and the data of a run with exact gradients, which were found to be those that its
    header commits to. RunError for others; UsageError for a run without."""
    header = found.log.header
    if header.exact is None:
        raise UsageError(f"the gradients of {found.layout.root} are not exact: it has no committed cells")
    files = ExactFiles.read(found.layout, header, found.log.header_digest)
    if not are_committed(files, header, backend):
        raise RunError(
            f"{found.layout.data} was altered: its cells and salts are not those that the header commits to; restore it from a copy. "
            "Nothing was written"
        )
    return files


def data_secrets(found: Recorded, backend: Backend) -> DataSecrets | None:
    """What opens the commitment to the data of a run with exact gradients; None for any other."""
    return None if found.log.header.exact is None else exact_files(found, backend).secrets


def are_committed(files: ExactFiles, header: Header, backend: Backend) -> bool:
    """Whether these are the cells and salts that the header commits to, by the run's backend."""
    exact, cells, salts = header.exact, files.cells, files.secrets.salts
    assert exact is not None
    if cells.shape != (header.data.count, exact.stride):
        return False
    if exact.visibility == PUBLIC:
        return sha256(cells_format.encoded(cells, files.features)).digest() == exact.cells
    if not exact.shards:
        return len(salts) == 1 and cells_format.tree_root(cells, salts[0]) == header.data.root
    if not isinstance(backend, CommittingToData):
        raise UsageError("this backend commits to no data, and so can't open the commitments of this run's header")
    if len(salts) != len(exact.shards):
        return False
    shards = header.shards
    made = (backend.commit_data(shards.padded(cells, i), salt) for i, salt in enumerate(salts))
    return all(one == shard for one, shard in zip(made, exact.shards, strict=True))
