"""Having a register's checkpoint cosigned by one witness.

The witness says in a 409 which tree it has, and gets the consistency proof from there. What a 409
says is used for that, and for nothing else: a size that is larger than ours would be the trainer's
own rollback, or a lie, and only a note that the register's own keys signed shows which.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zk_autograd.anchor.witness.client import Client, Reply
from zk_autograd.anchor.witness.receipt import usable
from zk_autograd.core.anchors import History, SignedCheckpoint
from zk_autograd.core.errors import (
    AnchorBehind,
    AnchorDown,
    AnchorError,
    AnchorForked,
    UnreadableError,
    VerificationError,
)
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.merkle import verify_consistency
from zk_autograd.core.note import SignatureLine, open_note, parse_signatures, parse_unverified
from zk_autograd.core.tlog_policy import TlogPolicy

MAX_LINES = 64
"""Signature lines of one answer."""

_ROUNDS = 4
"""Requests for one cosignature: more than two are needed only where others publish meanwhile."""


class LockedHistory:
    """A register's tree that several threads may ask, one after the other."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._lock = threading.Lock()

    def consistency(self, size1: int, size2: int) -> Sequence[bytes]:
        """As core.anchors.History."""
        with self._lock:
            return self._history.consistency(size1, size2)


@dataclass(frozen=True, slots=True)
class Given:
    """The cosignatures of a policy's witnesses, by their names there. `lost`: the size that the
    server named first, if it is smaller than one that it had cosigned."""

    lines: dict[bytes, SignatureLine]
    lost: int | None = None


@dataclass(frozen=True, slots=True)
class Submission:
    """A checkpoint that is to be cosigned. `policy` has the witness's keys; `keys` are those that
    sign the register, under its origin, as far as they are known: without them a note that a
    witness shows is nobody's word."""

    checkpoint: SignedCheckpoint
    history: LockedHistory
    policy: TlogPolicy
    keys: tuple[PublicKey, ...]

    def send(self, client: Client, old: int = 0) -> Given:
        """What one server gives. `old`: the size that it cosigned last, as far as is known.

        AnchorDown, AnchorBehind, AnchorForked and AnchorError as core.anchors.Anchor.publish.
        """
        size, lost = self.checkpoint.head.size, None
        for _ in range(_ROUNDS):
            reply = client.add_checkpoint(old, self.history.consistency(old, size), self.checkpoint.note)
            if reply.status == 200:
                return Given(self._cosignatures(reply), lost)
            if reply.status != 409:
                raise self._refused(reply, client)
            known = reply.size()
            if known > size:
                raise self._beyond(known, client)
            if known == old:
                raise AnchorDown(f"its 409 names the size that it was asked with, {known}")
            if known < old and lost is None:
                lost = known
            old = known
        raise AnchorDown(f"it named another tree size in each of {_ROUNDS} answers")

    def require_continued(self, client: Client) -> None:
        """Of what the server shows, nothing being sent. AnchorBehind and AnchorForked as `send`, on
        the word of the register's own keys alone; AnchorDown for what they didn't sign."""
        note = client.checkpoint(self.checkpoint.head.origin)
        if note is None:
            return
        if (shown := self._signed(note)) is None:
            raise AnchorDown("it shows a checkpoint that the register's keys didn't sign")
        if shown.head.size > self.checkpoint.head.size:
            raise self._behind(shown)
        if not self._continues(shown):
            raise self._forked(shown)

    def _cosignatures(self, reply: Reply) -> dict[bytes, SignatureLine]:
        try:
            lines = parse_signatures(reply.body.decode("utf-8"), MAX_LINES)
        except (VerificationError, UnicodeDecodeError) as error:
            raise AnchorDown("what it answers are not the signature lines of a note") from error
        by_key = {(line.name, line.key_id): line for line in lines}
        try:
            names = usable(by_key, parse_unverified(self.checkpoint.note).text, self.policy)
        except UnreadableError as error:
            raise AnchorError(str(error)) from error
        except VerificationError as error:
            raise AnchorError(f"its cosignature is false: {error}") from error
        if not names:
            raise AnchorError("it cosigns with a key that the tlog-policy doesn't have: correct its line there")
        keys = {name: self.policy.witnesses[name].key for name in names}
        return {name: by_key[key.name, key.key_id] for name, key in keys.items()}

    def _refused(self, reply: Reply, client: Client) -> AnchorError:
        origin = self.checkpoint.head.origin
        if reply.status == 404:
            return AnchorError(f"it doesn't know this register: ask its operator to add the log {origin} and its keys")
        if reply.status == 403:
            return AnchorError(
                f"it holds the signatures of this register to be wrong: its operator has other keys for {origin}, and has to correct them"
            )
        if reply.status == 422:
            return self._disagrees(client)
        return AnchorError(f"it answers {reply.status}, which is no refusal that tlog-witness has here: {reply.said}")

    def _disagrees(self, client: Client) -> AnchorError:
        shown = self._shown(client)
        if shown is not None and not self._continues(shown):
            return self._forked(shown)
        return AnchorForked(
            "it refuses to see that this register continues the tree that it has: the register was rolled back, restarted or copied, or the "
            "witness is at fault; it shows no checkpoint that the register's keys signed and that would tell"
        )

    def _beyond(self, known: int, client: Client) -> AnchorError:
        """Of a witness that names a larger tree than ours. That alone is believed of nobody."""
        shown = self._shown(client)
        size = self.checkpoint.head.size
        if shown is None:
            unknown = "" if self.keys else "; the tlog-policy has no log lines with those keys, so nothing can be told"
            return AnchorDown(
                f"it names a tree of {known} entries, this register has {size}, and it shows no such checkpoint that the register's keys "
                f"signed{unknown}"
            )
        if shown.head.size > size:
            return self._behind(shown)
        if not self._continues(shown):
            return self._forked(shown)
        return AnchorDown(f"it names a tree of {known} entries, and the one that it shows has {shown.head.size}")

    def _shown(self, client: Client) -> SignedCheckpoint | None:
        """The register's checkpoint that the witness shows, if the register's keys signed it."""
        if not self.keys:
            return None
        try:
            note = client.checkpoint(self.checkpoint.head.origin)
        except AnchorDown:
            return None
        return None if note is None else self._signed(note)

    def _signed(self, note: bytes) -> SignedCheckpoint | None:
        """The register's checkpoint in a note, if the register's keys signed it."""
        try:
            open_note(note, self.keys)
            shown = SignedCheckpoint.parse(note)
        except VerificationError:
            return None
        return shown if shown.head.origin == self.checkpoint.head.origin else None

    def _continues(self, shown: SignedCheckpoint) -> bool:
        """Whether our tree begins with one that was signed, of at most our size."""
        head = self.checkpoint.head
        if shown.head.size > head.size:
            return True  # can't be told from here
        proof = self.history.consistency(shown.head.size, head.size)
        try:
            verify_consistency(shown.head.size, head.size, shown.head.root, head.root, proof)
        except VerificationError:
            return False
        return True

    def _behind(self, shown: SignedCheckpoint) -> AnchorBehind:
        return AnchorBehind(
            f"it has a checkpoint of {shown.head.size} entries, signed by this register's keys, and this one has "
            f"{self.checkpoint.head.size}"
        )

    def _forked(self, shown: SignedCheckpoint) -> AnchorForked:
        return AnchorForked(
            f"it has another branch of this register, of {shown.head.size} entries, signed by the register's own keys",
            shown.note,
        )


def by_url(policy: TlogPolicy) -> Mapping[bytes, tuple[bytes, ...]]:
    """The names of the policy's witnesses at each URL; "" has those without one."""
    found: dict[bytes, list[bytes]] = {}
    for name, witness in policy.witnesses.items():
        found.setdefault(witness.url, []).append(name)
    return {url: tuple(names) for url, names in found.items()}
