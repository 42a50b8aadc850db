"""What a witness answers (C2SP tlog-witness): whether a checkpoint continues the tree that it
cosigned last, and if so its cosignatures.

Where the specification leaves a choice, or this is narrower than it:

* a checkpoint has to be signed by *all* of its log's keys, not by one of them;
* it has no extension lines, and a note's base64 is in its one form (core.note);
* a cosignature's time is the clock's, but never smaller than that of an earlier cosignature, of any
  log: a clock that jumps back makes no statement about the past. Times only bound from above when a
  tree was there, so a larger one is still true. Before `EARLIEST` the clock isn't set, and nothing
  is cosigned.

What a witness can't know when it starts is that its database is an old copy: it then takes a tree
that continues the old one, and so a second branch. A quorum of several is what helps against that.
While it runs it knows what it cosigned itself, and refuses to go on with a database that has less.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zk_autograd.core.checkpoint import MAX_NAME_BYTES
from zk_autograd.core.cosigner import Cosigner
from zk_autograd.core.errors import StorageError, UsageError, VerificationError
from zk_autograd.core.merkle import EMPTY_ROOT, verify_consistency
from zk_autograd.core.note import open_note, parse_unverified, signature_line
from zk_autograd.core.text import quoted
from zk_autograd.witness.request import Request
from zk_autograd.witness.store import Cosigned, Log, Store, Transaction

EARLIEST = 1_767_225_600
"""2026-01-01, in POSIX seconds."""

SIZE_TYPE = "text/x.tlog.size"


@dataclass(frozen=True, slots=True)
class Reply:
    """A status of HTTP, a body, and its media type; `about`: what a line of the witness's own log
    says."""

    status: int
    body: str
    media_type: str = "text/plain; charset=utf-8"
    about: str = ""


class Witness:
    """Cosigns with `cosigners` what continues the trees in `store`. It may be used by several
    threads, and beside other processes."""

    def __init__(self, store: Store, cosigners: Sequence[Cosigner], clock: Callable[[], float] = time.time) -> None:
        """UsageError if one of the cosigners' keys is a log's."""
        self._store = store
        self._cosigners = tuple(cosigners)
        self._clock = clock
        self._lock = threading.Lock()
        self._own: dict[str, tuple[int, bytes]] = {}
        """Size and root of the largest checkpoint of each log that this process cosigned."""
        with store.transaction(writing=False) as transaction:
            for log in transaction.logs():
                self.require_other_keys(log)

    def require_other_keys(self, log: Log) -> None:
        """UsageError if a key of the log is one of the witness's own."""
        own = {cosigner.public_key.raw for cosigner in self._cosigners}
        for key in log.keys:
            if key.raw in own:
                raise UsageError(
                    f"{key.label} is a key of the witness itself, and can't be one of {quoted(log.origin)}"
                )

    def add_log(self, log: Log) -> None:
        """From now on the witness knows the log. UsageError for one that it knows."""
        self.require_other_keys(log)
        with self._store.transaction() as transaction:
            transaction.add_log(log)

    def add_checkpoint(self, body: bytes) -> Reply:
        """The answer to a request. What it cosigns is on the disk before this returns.
        StorageError where the database can't be used, or is older than this process, or the clock
        isn't set: nothing is cosigned."""
        try:
            request = Request.parse(body)
        except VerificationError as error:
            return Reply(400, f"{error}\n")
        head = request.checkpoint.head
        about = f"{quoted(head.origin, MAX_NAME_BYTES)} {request.old} -> {head.size}"
        unknown = Reply(404, "this witness doesn't know the log: ask its operator to add it\n", about=about)
        with self._store.transaction(writing=False) as transaction:
            log = transaction.log(head.origin)
        if log is None:
            return unknown
        try:  # takes time, and anybody can ask for it: not under the lock
            open_note(request.checkpoint.note, log.keys)
        except VerificationError as error:
            return Reply(403, f"{error}\n", about=about)
        own = self._own.get(head.origin)
        with self._store.transaction() as transaction:
            if transaction.log(head.origin) != log:
                return unknown
            last = transaction.cosigned(head.origin)
            _require_newer(last, own)
            if refusal := _refusal(request, last):
                if refusal.status == 422 or (refusal.status == 409 and last is not None and head.size <= last.size):
                    transaction.add_refused(head, request.checkpoint.note, int(self._clock()))
                return Reply(refusal.status, refusal.body, refusal.media_type, about)
            lines = self._cosign(request, transaction)
        with self._lock:  # once it is on the disk
            self._own[head.origin] = max((head.size, head.root), self._own.get(head.origin, (0, b"")))
        return Reply(200, lines, about=about)

    def checkpoint(self, digest: str) -> Reply:
        """The newest checkpoint of the log whose origin has this SHA-256, in hexadecimal, with the
        signatures of its keys and the cosignatures. StorageError as `add_checkpoint`."""
        known = dict(self._own)  # before the look, so that what it sees can't be older
        with self._store.transaction(writing=False) as transaction:
            log = transaction.hashed(digest)
            last = transaction.cosigned(log.origin) if log else None
        if log is not None:
            _require_newer(last, known.get(log.origin))
        if log is None or last is None:
            return Reply(404, "this witness has cosigned no checkpoint of such a log\n", about=quoted(digest))
        return Reply(200, shown(log, last), about=f"{quoted(log.origin, MAX_NAME_BYTES)} {last.size}")

    def _cosign(self, request: Request, transaction: Transaction) -> str:
        """The cosignatures, which are kept."""
        now = int(self._clock())
        if now < EARLIEST:
            raise StorageError("this machine's clock is not set, so nothing is cosigned")
        now = max(now, transaction.newest_time())
        lines = ""
        for cosigner in self._cosigners:
            key = cosigner.public_key
            lines += signature_line(key.name, key.key_id, cosigner.cosign(request.text, now))
        checkpoint = request.checkpoint
        transaction.add_cosigned(
            checkpoint.head.origin, Cosigned(checkpoint.head.size, checkpoint.head.root, checkpoint.note, lines, now)
        )
        return lines


def shown(log: Log, one: Cosigned) -> str:
    """A cosigned checkpoint for monitors: lines of keys that are none of the log's are left out."""
    note = parse_unverified(one.note)
    keys = {(key.name, key.key_id) for key in log.keys}
    own = [line for line in note.lines if (line.name, line.key_id) in keys]
    lines = "".join(signature_line(line.name, line.key_id, line.signature) for line in own)
    return f"{note.text}\n{lines}{one.lines}"


def _require_newer(last: Cosigned | None, own: tuple[int, bytes] | None) -> None:
    """StorageError if the database has less than what this process cosigned, or something else."""
    if own is None:
        return
    size = last.size if last else 0
    if size < own[0] or (last is not None and size == own[0] and last.root != own[1]):
        raise StorageError(
            f"the database is an older copy: this process cosigned {own[0]} entries of a log, and it holds {size}; "
            "bring the newest one back, or make a new witness, with new keys"
        )


def _refusal(request: Request, last: Cosigned | None) -> Reply | None:
    """Why a checkpoint that is rightly signed isn't cosigned, in the order of the specification."""
    head = request.checkpoint.head
    size, root = (last.size, last.root) if last else (0, EMPTY_ROOT)
    if request.old > head.size:
        return Reply(400, "the old size is larger than the checkpoint's\n")
    if request.old != size:
        return Reply(409, f"{size}\n", SIZE_TYPE)
    try:
        verify_consistency(size, head.size, root, head.root, request.proof)
    except VerificationError as error:
        return Reply(422, f"{error}\n")
    return None
