"""Tasks for other machines, sealed for the workers that are named by key.

    4 bytes   length of the head, big-endian
    ...       the head: canonical JSON {"format", "header", "segment", "block", "wraps"}
    ...       the task, sealed (vault.seal)

Each task has a key of its own, wrapped for each worker's public key (vault.holder.recipient).
Ciphertext and wraps are bound to the run's header, the segment and the block. So what carries the
task, a cluster's scheduler or the other machines in it, sees where it belongs and how long it is.
The worker that proves sees all that is in it: a key says who may, and can't keep them from telling.

Keys protect against who only carries or reads what passes. Whoever may submit to the cluster can
run code in its workers, as Dask and Ray are made, and so read a worker's private key and each task
that it opens: a client, the scheduler, and any other worker that reaches them.

A proof is public, and comes back as it is.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from zk_autograd.core import canonical
from zk_autograd.core.canonical import MAX_INTEGER, Json
from zk_autograd.core.errors import ProverError, UsageError, VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.local.named_files import read_named
from zk_autograd.local.secret_files import read_secret
from zk_autograd.prove.executors.protocol import Place
from zk_autograd.prove.executors.task import answered, prove_task, read_place
from zk_autograd.vault.errors import VaultError
from zk_autograd.vault.holder import DEK_BYTES
from zk_autograd.vault.holder.recipient import MAX_TEXT, WRAPPED_BYTES, Recipient, RecipientKey
from zk_autograd.vault.seal import sealed, unsealed
from zk_autograd.workers.names import MAX_WORKER_KEYS

FORMAT = "zk-autograd/sealed-task/v0"
PURPOSE = "worker"
KEY_VARIABLE = "ZK_WORKER_KEY"
"""Names the file of a worker's private key, in its environment."""

MAX_TASK = 2**30
_MAX_HEAD = 2**20
_LENGTH = 4
_FINGERPRINT = 32
_NEW_KEY = "make one with `zk-key new-worker-key --key-file FILE`"


@dataclass(frozen=True, slots=True)
class TaskContext:
    """What a sealed task is for."""

    place: Place

    def __bytes__(self) -> bytes:
        """What ciphertext and wraps are bound to. No two places have the same bytes."""
        place = self.place
        parts = (PURPOSE, FORMAT, place.header_digest.hex(), str(place.segment), str(place.block))
        encoded = [part.encode("ascii") for part in parts]
        return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)

    def __str__(self) -> str:
        return f"block {self.place.block} of segment {self.place.segment}"


def read_recipient(path: Path) -> Recipient:
    """The public key of a worker. UsageError for a file that isn't one."""
    try:
        return Recipient.parse(read_named(path, "the worker's public key", MAX_TEXT))
    except VaultError as error:
        raise UsageError(f"{path}: {error}; it is the file FILE.pub: {_NEW_KEY}") from error


def read_worker_key(path: Path) -> RecipientKey:
    """A worker's private key. UsageError for a file that isn't one, or that others can read."""
    try:
        return RecipientKey.parse(read_secret(path, "worker's private key", MAX_TEXT, _NEW_KEY, _NEW_KEY))
    except VaultError as error:
        raise UsageError(f"{path}: {error}") from error


def seal_task(task: bytes, place: Place, recipients: Sequence[Recipient]) -> bytes:
    """The task, for workers that have a private key of one of these."""
    context, dek = TaskContext(place), os.urandom(DEK_BYTES)
    wraps: list[Json] = [{"key": r.fingerprint, "wrapped": r.wrap(dek, context).hex()} for r in recipients]
    head: dict[str, Json] = {
        "format": FORMAT,
        "header": place.header_digest.hex(),
        "segment": place.segment,
        "block": place.block,
        "wraps": wraps,
    }
    encoded = canonical.encode(head)
    return b"".join((len(encoded).to_bytes(_LENGTH, "big"), encoded, sealed(task, context, dek)))


def open_task(data: bytes, key: RecipientKey) -> bytes:
    """The task that was sealed for this key. ProverError for a task for others, VerificationError
    and VaultError for one that is malformed or was changed."""
    size = int.from_bytes(data[:_LENGTH], "big")
    if len(data) > MAX_TASK or len(data) < _LENGTH or not 0 < size <= min(_MAX_HEAD, len(data) - _LENGTH):
        raise ProverError("this is no sealed task: it is cut, or too long")
    fields = Fields(canonical.decode(data[_LENGTH : _LENGTH + size], max_bytes=_MAX_HEAD), "sealed task")
    fields.choice("format", (FORMAT,))
    place = Place(
        fields.hex("header", 32), fields.integer("segment", 0, MAX_INTEGER), fields.integer("block", 0, MAX_INTEGER)
    )
    wraps = dict(_wrap(item) for item in fields.objects("wraps", MAX_WORKER_KEYS, 1))
    fields.end()
    own = key.recipient.fingerprint
    if own not in wraps:
        raise ProverError(
            f"this worker's key {own[:16]} is none of those that the task is for: give its public key to the trainer "
            "(--worker-key)"
        )
    context = TaskContext(place)
    task = unsealed(data[_LENGTH + size :], context, key.unwrap(wraps[own], context), limit=MAX_TASK)
    if read_place(task) != place:
        raise VerificationError("the task in a seal is for another place than the seal", expected=str(context))
    return task


def answer_sealed(data: bytes) -> bytes:
    """The answer to a sealed task, whatever happens: what a worker of a cluster runs."""
    return answered(lambda sealed_task: prove_task(open_task(sealed_task, _own_key())), data)


def _own_key() -> RecipientKey:
    path = os.environ.get(KEY_VARIABLE)
    if not path:
        raise ProverError(f"this worker has no key: start it with {KEY_VARIABLE}=FILE in its environment; {_NEW_KEY}")
    return _key_at(Path(path))


@cache
def _key_at(path: Path) -> RecipientKey:
    return read_worker_key(path)


def _wrap(fields: Fields) -> tuple[str, bytes]:
    found = fields.hex("key", _FINGERPRINT).hex(), fields.hex("wrapped", WRAPPED_BYTES)
    fields.end()
    return found
