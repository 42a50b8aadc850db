"""One look at a log, of a run or a register: what it shows now, held against all that was seen of
it before.

A head is accepted if every pinned key signed it, its records are there, and they begin with those
of the head before. Others are kept until records show what they are: a fork is proved by any two
heads of one key, seen at any time. An older checkpoint is none: the trainer did sign it once, and
whoever serves it may be somebody else.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from zk_autograd.core.errors import ExitStatus, UnreadableError, UsageError, VerificationError, ZkError
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.register import is_origin, origin_of
from zk_autograd.evidence.fork_evidence import ForkEvidence, SignedHead
from zk_autograd.evidence.tiles import Tiles
from zk_autograd.monitoring.entries import told
from zk_autograd.monitoring.forks import fork_among
from zk_autograd.monitoring.state import State
from zk_autograd.verify.consistency import Verdict, connect, decide, signers_of
from zk_autograd.verify.log import MAX_LOG


class Kind(Enum):
    """What a look came to."""

    FIRST = "first checkpoint"
    NEW = "new checkpoint"
    SAME = "nothing new"
    OLDER = "older checkpoint"
    FORK = "fork proved"
    UNTOLD = "can't tell"
    UNREACHED = "not reached"

    @property
    def exit_status(self) -> ExitStatus:
        """The status of a monitor that looks once."""
        return _STATUS.get(self, ExitStatus.DONE)


_STATUS = {
    Kind.OLDER: ExitStatus.LESS,
    Kind.FORK: ExitStatus.REFUSED,
    Kind.UNTOLD: ExitStatus.LESS,
    Kind.UNREACHED: ExitStatus.UNJUDGED,
}


@dataclass(frozen=True, slots=True)
class Event:
    """What a look came to, and why; `evidence` is the file that proves a fork."""

    kind: Kind
    sentences: tuple[str, ...]
    head: SignedHead | None = None
    evidence: Path | None = None

    def lines(self) -> list[str]:
        """What there is to say, a sentence a line."""
        proof = () if self.evidence is None else (f"evidence: {self.evidence}",)
        seen = "" if self.head is None else f": {self.head}"
        return [self.kind.value + seen, *(f"- {sentence}" for sentence in self.sentences), *proof]

    def to_json(self) -> dict[str, Any]:
        """The event as a JSON object."""
        checkpoint = None if self.head is None else self.head.checkpoint
        return {
            "event": self.kind.value,
            "exit_status": int(self.kind.exit_status),
            "origin": checkpoint and checkpoint.origin,
            "size": None if checkpoint is None else checkpoint.size,
            "root": checkpoint and checkpoint.root.hex(),
            "sentences": list(self.sentences),
            "evidence": None if self.evidence is None else str(self.evidence),
        }


class Watched(AbstractContextManager["Watched"], Protocol):
    """A log as it is served: an Evidence, of a run, or Tiles, of a register. Its methods raise
    VerificationError and UnreadableError."""

    def checkpoint(self) -> bytes:
        """The signed note of the newest tree head, not yet opened."""
        ...

    def leaves(self, limit: int) -> list[bytes]:
        """The leaves, of at most `limit` bytes in all."""
        ...


class Watcher:
    """Looks at one log under these pinned keys. UsageError without keys, or if the state is of
    other keys."""

    def __init__(self, state: State, keys: Sequence[PublicKey]) -> None:
        if not keys:
            raise UsageError("a monitor needs the trainer's key, from a source other than the run: give --key")
        self._state = state
        self._keys = tuple(keys)
        if state.last is not None and len(signers_of(state.last, keys)) < len(keys):
            raise UsageError(
                "what the monitor's state holds is not signed by all of these keys: give the keys that it was begun with, or begin a new one"
            )

    def recall(self) -> Event | None:
        """The fork that was proved before, or by what was kept: a log never recovers from one."""
        for path, evidence in self._state.forks():
            if (found := decide(evidence, self._keys)).verdict is Verdict.FORK:
                return Event(Kind.FORK, found.sentences, evidence.larger, path)
        return self._convicted(fork_among(self._known(), self._state.last, self._state.leaves, self._keys))

    def look(self, files: Watched) -> Event:
        """What the run shows now. UnreadableError if it can't be read here, StorageError if the
        state can't be written."""
        try:
            note = files.checkpoint()
        except UnreadableError:
            raise
        except VerificationError as error:
            return Event(Kind.UNTOLD, (f"there is no checkpoint that can be read: {error}",))
        try:
            head = SignedHead.parse(note)
        except VerificationError as error:
            return self._set_aside(note, f"its checkpoint is malformed: {error}")
        if not signers_of(head, self._keys):
            return self._set_aside(note, "no pinned key signed its checkpoint", head)
        origin = head.checkpoint.origin
        if (isinstance(files, Tiles) or is_origin(origin)) and origin != (own := origin_of(self._keys)):
            return self._set_aside(note, f"this is not the register of the pinned key, {own}", head)
        last = self._state.last
        if last is not None and head.note == last.note:
            return Event(Kind.SAME, ("the checkpoint is the one that was seen last",), head)
        return self._judge(head, files)

    def _judge(self, head: SignedHead, files: Watched) -> Event:
        """What becomes of a head that a pinned key signed."""
        last, leaves, why = self._state.last, self._state.leaves, ""
        larger = last is None or head.checkpoint.size > last.checkpoint.size
        if larger:
            records, why = _records(files, head)
            leaves = leaves if why else records
        anchor = head if larger and not why else last
        forked = self._convicted(fork_among([head, *self._known()], anchor, leaves, self._keys), head)
        if forked is not None:
            return forked
        if why:
            return self._postpone(head, why)
        evidence = ForkEvidence.of(head, head) if last is None else connect(last, head, (leaves,))
        assert evidence is not None, "the records of the larger one are there"
        found = decide(evidence, self._keys)
        if found.verdict is not Verdict.CONSISTENT:
            return self._postpone(head, *found.sentences)
        event = self._accept(head, leaves, found.sentences)
        if event.kind in (Kind.FIRST, Kind.NEW) and isinstance(files, Tiles):
            since = 0 if last is None else last.checkpoint.size
            return replace(event, sentences=(*event.sentences, *told(files.leaves(MAX_LOG), since)))
        return event

    def _known(self) -> list[SignedHead]:
        """What was seen and may still turn out to be one side of a fork."""
        return [*self._state.pending(), *([] if self._state.last is None else [self._state.last])]

    def _accept(self, head: SignedHead, leaves: Sequence[bytes], sentences: tuple[str, ...]) -> Event:
        """Keeps a head that agrees with the one before, if there is one."""
        last = self._state.last
        if last is None or head.checkpoint.size > last.checkpoint.size:
            self._state.accept(head, leaves)
            if last is not None:
                return Event(Kind.NEW, sentences, head)
            signed = tuple(f"signed by the pinned key {key.label}" for key in self._keys)
            return Event(Kind.FIRST, ("there is nothing yet to hold it against", *signed), head)
        if head.checkpoint.size == last.checkpoint.size:
            return Event(Kind.SAME, ("the checkpoint is the one that was seen last",), head)
        self._state.remember(head)
        seen = (
            f"{last.checkpoint.root.hex()}@{last.checkpoint.size} was seen before: "
            "whoever serves this withholds newer records, or lost them"
        )
        return Event(Kind.OLDER, (seen, *sentences), head)

    def _convicted(self, evidence: ForkEvidence | None, head: SignedHead | None = None) -> Event | None:
        """The event of a fork. The head is kept first, so that a crash loses nothing."""
        if evidence is None:
            return None
        if head is not None:
            self._state.postpone(head, signers_of(head, self._keys))
        path = self._state.convict(evidence)
        return Event(Kind.FORK, decide(evidence, self._keys).sentences, head or evidence.larger, path)

    def _postpone(self, head: SignedHead, *why: str) -> Event:
        kept = self._state.postpone(head, signers_of(head, self._keys))
        return Event(Kind.UNTOLD, (*why, *_room(kept)), head)

    def _set_aside(self, note: bytes, why: str, head: SignedHead | None = None) -> Event:
        kept = self._state.set_aside(note)
        return Event(Kind.UNTOLD, (why, *_room(kept)), head)


def watch(
    watcher: Watcher, opened: Callable[[], Watched], every: int | None, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Event]:
    """What one look at the run comes to; or, with `every`, those of looks so many seconds apart,
    but for what was told last, until a fork is proved.

    `opened` opens the run, and raises as `open_run`. After the first look, that the run can't be
    reached is an event.
    """
    told = watcher.recall()
    if told is not None:
        yield told
    while told is None or told.kind is not Kind.FORK:
        event = _look(watcher, opened, patient=told is not None)
        if told is None or (event.kind, event.sentences) != (told.kind, told.sentences):
            told = event
            yield event
        if every is None:
            return
        if event.kind is not Kind.FORK:
            sleep(every)


def _look(watcher: Watcher, opened: Callable[[], Watched], *, patient: bool) -> Event:
    """One look. With `patient`, that the run can't be reached is an event."""
    try:
        files = opened()
    except (UnreadableError, UsageError) as error:
        return _unreached(error, patient)
    except VerificationError as error:
        return Event(Kind.UNTOLD, (f"the run can't be opened: {error}",))
    with files:
        try:
            return watcher.look(files)
        except UnreadableError as error:
            return _unreached(error, patient)


def _unreached(error: ZkError, patient: bool) -> Event:
    if not patient:
        raise error
    return Event(Kind.UNREACHED, (str(error),))


def _room(kept: bool) -> tuple[str, ...]:
    return () if kept else ("it is not kept: the state has no room for more of its kind",)


def _records(files: Watched, head: SignedHead) -> tuple[list[bytes], str]:
    """The hashes of the head's records; or none, and what is wrong with them."""
    try:
        leaves = [leaf_hash(leaf) for leaf in files.leaves(MAX_LOG)]
    except UnreadableError:
        raise
    except VerificationError as error:
        return [], f"its records can't be read: {error}"
    size = head.checkpoint.size
    if len(leaves) < size or root(leaves[:size]) != head.checkpoint.root:
        return [], "its records are not those of its checkpoint"
    return leaves[:size], ""
