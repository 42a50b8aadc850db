"""What a broker answers: a nonce, or its decision about a request, and with it the key.

A key is released if, in this order: the nonce was given by this broker for this run, has not ended
and was not used; the document is genuine at the broker's time; what it attests is this request; the
policy allows the enclave; the broker holds the run's key; and it was not released as often as it
may be, once unless the operator says otherwise. What follows the nonce is not looked at without
one: it takes time.

The decision, the use of the nonce and the count of releases are one transaction. It is on the disk,
and a checkpoint that covers it too, before the answer exists: of a broker that dies in between, the
key was never sent, and counts as released. So a run's key is never released twice, and may be lost
once; then its operator allows one more release, or its owner seals the job anew.
"""

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Protocol

from zk_autograd.broker.decision import NONCE_BYTES, Decision, told
from zk_autograd.broker.folder import Folder
from zk_autograd.broker.messages import Answer, Nonce, Release, Request
from zk_autograd.broker.policy import Policy
from zk_autograd.broker.store import Transaction
from zk_autograd.core.attestation import Attested, release_digest
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.errors import StorageError, VerificationError
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.stored_tree import consistency_of, inclusion_of
from zk_autograd.vault.errors import VaultError
from zk_autograd.vault.holder.recipient import Recipient

EARLIEST = 1_767_225_600
"""2026-01-01, in POSIX seconds."""

NONCE_SECONDS = 300
MAX_OPEN_NONCES = 16
"""Of one run, at a time: the oldest falls out for one more. Refusing one more instead would let
whoever knows the run's id hold the enclave off with 16 requests in `NONCE_SECONDS`; so they need as
many in the moment between its two, within the rate that a run has (broker.rates)."""

KEPT_SECONDS = 86_400
"""For how long a nonce that ended is still refused as such. After that it is unknown."""

MAX_ENTRIES = 256


class Keys(Protocol):
    """The keys that a broker holds, each of the job of one run."""

    def holds(self, run: bytes) -> bool: ...

    def key(self, run: bytes) -> bytes:
        """The key of the run's job. VaultError if it doesn't open, or isn't there any more."""
        ...


@dataclass(frozen=True, slots=True)
class _Judged:
    """What was found of a request, apart from what the database says; `reason` is why it is
    refused, "" if it isn't."""

    reason: str = ""
    attested: Attested | None = None
    wrapped: bytes = b""


class Broker:
    """Decides by `policy` about the keys that `keys` holds, and keeps its decisions in `folder`.
    It may be used by several threads."""

    def __init__(
        self, folder: Folder, policy: Policy, keys: Keys, *, releases: int = 1, clock: Callable[[], float] = time.time
    ) -> None:
        self._folder = folder
        self._policy = policy
        self._keys = keys
        self._releases = releases
        self._clock = clock
        self._lock = threading.Lock()
        self._known = folder.known
        self._kept = folder.known.size

    @property
    def key(self) -> PublicKey:
        """The key that signs the answers, and the log."""
        return self._folder.signer.public_key

    def nonce(self, run: bytes) -> Nonce | None:
        """A nonce for one request about the run; None for a run whose key isn't held.
        StorageError."""
        if not self._keys.holds(run):
            return None
        now, nonce = self._now(), secrets.token_bytes(NONCE_BYTES)
        with self._folder.store.transaction() as transaction:
            transaction.forget_nonces(now - KEPT_SECONDS)
            transaction.add_nonce(nonce, run, now + NONCE_SECONDS)
            transaction.keep_open_nonces(run, now, MAX_OPEN_NONCES)
        return Nonce(run, nonce, NONCE_SECONDS)

    def release(self, request: Request) -> tuple[Decision, bytes]:
        """The decision, which is on the disk when this returns, and the answer. StorageError where
        that can't be, or the clock isn't set, and RunError for a log that was altered: then nothing
        is released."""
        now = self._now()
        with self._folder.store.transaction(writing=False) as transaction:
            stale = _nonce_refusal(transaction, request.run, request.document.nonce, now)
        judged = _Judged(stale) if stale else self._judged(request, now)
        with self._folder.store.transaction() as transaction:
            self._require_newer(transaction)
            decision = self._decided(request, now, judged, transaction)
            position = transaction.append(decision)
            head = Checkpoint(self._folder.origin, position + 1, transaction.root(position + 1))
            proof = inclusion_of(transaction.node, position, head.size)
            note = self._folder.signed(head.size, head.root)
            transaction.set_note(note)
        self._keep(head, note)
        answer = Answer(decision, position, tuple(proof), note, judged.wrapped if decision.granted else b"")
        return decision, answer.encode(self._folder.signer)

    def checkpoint(self) -> bytes:
        """The newest checkpoint of the log."""
        with self._folder.store.transaction(writing=False) as transaction:
            return transaction.note()

    def entries(self, first: int, end: int) -> list[bytes]:
        """The log's leaves from `first` on, before `end`, and at most `MAX_ENTRIES`."""
        with self._folder.store.transaction(writing=False) as transaction:
            end = min(end, transaction.size(), first + MAX_ENTRIES)
            return transaction.leaves(first, end) if first < end else []

    def consistency(self, size1: int, size2: int) -> list[bytes] | None:
        """The proof that the tree of `size2` decisions continues that of `size1`; None if there
        are no such trees."""
        with self._folder.store.transaction(writing=False) as transaction:
            if not 0 <= size1 <= size2 <= transaction.size():
                return None
            return consistency_of(transaction.node, size1, size2)

    # ---- deciding ------------------------------------------------------------------------------

    def _now(self) -> int:
        now = int(self._clock())
        if now < EARLIEST:
            raise StorageError("this machine's clock is not set, so nothing is released")
        return now

    def _judged(self, request: Request, now: int) -> _Judged:
        """What takes time, and no turn in the database."""
        document = request.document
        if document.kind not in self._policy.trust:
            return _Judged(f"the policy allows no attestation of kind {told(document.kind)}")
        verifier, trust = self._policy.trust[document.kind]
        attested = None
        try:
            attested = verifier.verify(document.raw, request.collateral, now)
            if attested.bound != release_digest(request.run, document.release_key, document.nonce):
                return _Judged("the document attests another run, release key or nonce than the request's", attested)
            verifier.judge(attested, trust)
        except VerificationError as error:
            return _Judged(f"the enclave is not one that the policy allows: {error}", attested)
        if not self._keys.holds(request.run):
            return _Judged("this broker holds no key of that run", attested)
        try:
            context = Release(request.run, document.nonce)
            wrapped = Recipient(document.release_key).wrap(self._keys.key(request.run), context)
        except VaultError as error:
            return _Judged(f"the run's key can't be released: {error}", attested)
        return _Judged("", attested, wrapped)

    def _decided(self, request: Request, now: int, judged: _Judged, transaction: Transaction) -> Decision:
        document = request.document
        attested = judged.attested
        refused = Decision(
            now,
            request.run,
            False,
            "",
            document.nonce,
            sha256(document.release_key).digest(),
            sha256(document.raw).digest(),
            self._policy.digest,
            document.kind,
            told(attested.root) if attested else "",
            told(attested.measurement) if attested else "",
        )
        reason = _nonce_refusal(transaction, request.run, document.nonce, now)
        if not reason:
            transaction.use_nonce(document.nonce)
            earlier = transaction.releases(request.run)
            reason = judged.reason or _count_refusal(earlier, self._releases)
        if reason:
            return replace(refused, reason=told(reason))
        return replace(refused, granted=True, reason="released", release=len(earlier) + 1)

    def _require_newer(self, transaction: Transaction) -> None:
        known, size = self._known, transaction.size()
        if size < known.size or transaction.root(known.size) != known.root:
            raise StorageError(
                f"the database is an older copy: this process made {known.size} decisions, and it holds {size}; stop the broker, "
                "and bring the newest one back"
            )

    def _keep(self, head: Checkpoint, note: bytes) -> None:
        """A checkpoint that covers the decision is on the disk. Those of several threads come in
        any order, and the largest stays."""
        with self._lock:
            if head.size > self._kept:
                self._folder.keep(note)
                self._kept, self._known = head.size, head


def _nonce_refusal(transaction: Transaction, run: bytes, nonce: bytes, now: int) -> str:
    found = transaction.nonce(nonce)
    if found is None:
        return "the nonce was not given by this broker, or long ago: ask for a new one"
    of, until, used = found
    if of != run:
        return "the nonce was given for another run"
    if used:
        return "the nonce was used before: each is for one request"
    if now > until:
        return f"the nonce has ended: it lasted {NONCE_SECONDS} seconds"
    return ""


def _count_refusal(earlier: list[int], most: int) -> str:
    if len(earlier) < most:
        return ""
    return (
        f"the run's key was released before (decision {earlier[-1]} of this log), to another instance or to this one: a run has "
        "one instance, and a second one gets nothing"
    )
