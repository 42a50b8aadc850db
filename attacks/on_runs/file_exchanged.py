"""Attack: exchange a file while it is being judged, between two reads of it.

Gain: hash one file and verify another. The log would name the hash of bytes that are not a proof,
and could be shown with any.

Why it fails: each file is read once, and what was hashed is what is verified (step 7). Folders are
opened once: one that is exchanged for a link before that is not followed.
"""

import shutil
from pathlib import Path

from attacks.tools.attempt import Attempt, Scene, Submission, outcome
from attacks.tools.outcome import Outcome
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.evidence.layout import MAX_PROOF, PROOFS, proof_name
from zk_autograd.verify.outcome import Step

GAIN = "a log that holds the hash of something else than its proofs"
GARBAGE = b"not a proof at all"


def _waiting(run: Path) -> Path:
    """A folder beside the run's."""
    return run.with_name(f"{run.name}-waiting")


class Racing(RunFolder):
    """A reader raced by the attacker: after a proof's first read, another file replaces it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._path = path

    def proof(self, segment: int, block: int, limit: int = MAX_PROOF) -> bytes:
        data = super().proof(segment, block, limit)
        name = proof_name(segment, block)
        waiting = _waiting(self._path) / name
        if waiting.exists():
            waiting.replace(self._path / PROOFS / name)
        return data


class Linking(RunFolder):
    """A reader raced by the attacker: before the first proof is read, proofs becomes a link."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._path = path

    def checkpoint(self) -> bytes:
        shutil.move(self._path / PROOFS, _waiting(self._path))
        (self._path / PROOFS).symlink_to(_waiting(self._path))
        return super().checkpoint()


def file(scene: Scene) -> Submission:
    """The first read gives bytes of which the record has the hash, the next one a valid proof."""
    run = scene.victim.forgery()
    valid = run.proofs[0, 0]
    run.put_proof((0, 0), GARBAGE)
    path = run.write(scene.place())
    _waiting(path).mkdir()
    (_waiting(path) / proof_name(0, 0)).write_bytes(valid)
    return Submission(path, scene.policy, reader=Racing)


def folder(scene: Scene) -> Submission:
    """The folder becomes a link while the log is being read."""
    return Submission(scene.victim.forgery().write(scene.place()), scene.policy, reader=Linking)


ATTEMPTS = (
    Attempt("a proof between two reads", Step.PROOFS, "proof 0-0: the proof", file),
    Attempt("the folder for a link", Step.PROOFS, "proofs can't be read", folder),
)


def run(scene: Scene) -> Outcome:
    """All attempts."""
    return outcome("a file exchanged while it is judged", GAIN, ATTEMPTS, scene)
