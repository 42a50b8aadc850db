"""Attack: without the trainer's keys, or with one of the two, change what the log says and sign it
with another key, or keep the old signatures.

Gain: a log in the trainer's name that the trainer never wrote: a run blamed on them, or their model
with other weights.

Why it fails: all pinned keys must have signed the checkpoint (step 2), and the checkpoint's root
must be that of the records (step 3). Without a pinned key nothing stands in the way, and the
verdict says UNPINNED and is never 0 (step 2 is skipped).
"""

import base64
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from attacks.tools.attempt import Attempt, Scene, Submission, outcome
from attacks.tools.outcome import Outcome
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.core.record_bytes import to_bytes
from zk_autograd.evidence.layout import CHECKPOINT, LOG
from zk_autograd.verify.outcome import Step

GAIN = "a log in the trainer's name that the trainer never wrote"
NAMESAKE = Ed25519Signer("trainer", sha256(b"another key of the trainer's name").digest())
CLAIM = ("0.1",) * 2


def another_key(scene: Scene) -> Submission:
    """Other claims, signed with a key of the same name."""
    run = scene.victim.forgery()
    run.edit(1, loss=CLAIM)
    run.signers = (NAMESAKE,)
    return scene.submit(run)


def old_signature(scene: Scene) -> Submission:
    """Other claims under the checkpoint that the trainer signed."""
    run = scene.victim.forgery()
    run.edit(1, loss=CLAIM)
    submission = scene.submit(run)
    _checkpoint(submission.path).write_bytes(_checkpoint(scene.victim.path).read_bytes())
    return submission


def one_key_broken(scene: Scene) -> Submission:
    """Signed with the trainer's own Ed25519 key, which was stolen, or found by a quantum
    computer."""
    run = scene.victim.forgery()
    run.edit(1, loss=CLAIM)
    run.signers = run.signers[:1]
    return scene.submit(run)


def one_key_broken_and_the_old_line(scene: Scene) -> Submission:
    """The same, with what the trainer's ML-DSA-44 key signed before."""
    submission = one_key_broken(scene)
    old = _checkpoint(scene.victim.path).read_text().splitlines(keepends=True)[-1]
    path = _checkpoint(submission.path)
    path.write_text(path.read_text() + old)
    return submission


def key_id_of_the_trainer(scene: Scene) -> Submission:
    """As with another key, but the signature line carries the trainer's key ID."""
    submission = another_key(scene)
    path = _checkpoint(submission.path)
    head, line = path.read_text().rsplit("\n\n", 1)
    dash, name, blob = line.split()
    raw = base64.b64decode(blob)
    forged = base64.b64encode(scene.victim.keys[0].key_id + raw[4:]).decode()
    path.write_text(f"{head}\n\n{dash} {name} {forged}\n")
    return submission


def another_origin(scene: Scene) -> Submission:
    """The trainer's signature under the records of another run of theirs: the header names another
    run than the checkpoint."""
    run = scene.victim.forgery()
    origin = run.header
    leaves = [to_bytes(replace(origin, run=bytes(16))), *run.leaves()[1:]]
    return Submission(run.write(scene.place(), leaves=leaves), scene.policy)


def nobody_pinned(scene: Scene) -> Submission:
    """Signed with another key, for an auditor who pins none."""
    submission = another_key(scene)
    return replace(submission, policy=replace(scene.policy, keys=()))


def _checkpoint(run: Path) -> Path:
    return run / LOG / CHECKPOINT


ATTEMPTS = (
    Attempt("with another key of the same name", Step.SIGNATURES, "is not signed by the key", another_key),
    Attempt("with the trainer's key ID on it", Step.SIGNATURES, "wrong signature by the key", key_id_of_the_trainer),
    Attempt("with one of the trainer's two keys", Step.SIGNATURES, "is not signed by the key", one_key_broken),
    Attempt(
        "with one of two keys, and the other's old line",
        Step.SIGNATURES,
        "wrong signature by the key",
        one_key_broken_and_the_old_line,
    ),
    Attempt("old signature kept", Step.LOG, "the checkpoint's root is not that of the log", old_signature),
    Attempt("checkpoint of another run", Step.LOG, "the checkpoint belongs to another log", another_origin),
    Attempt("for an auditor who pins no key", Step.SIGNATURES, "no key is pinned", nobody_pinned),
)


def run(scene: Scene) -> Outcome:
    """All attempts."""
    return outcome("the log changed without the trainer's key", GAIN, ATTEMPTS, scene)
