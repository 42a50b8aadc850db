"""Attack: a name that leads out of the folder.

Gain: the verifier reads a file that isn't the run's, and compares it with a hash of the attacker's:
an oracle for what the auditor's files hold.

Why it fails: the names in a run are those of the model's three files (step 10); proofs are named by
numbers. The reader only takes plain names, whoever asks.
"""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

from attacks.tools.attempt import Attempt, Scene, Submission, outcome
from attacks.tools.outcome import Outcome
from zk_autograd.verify.model import INTEGERS
from zk_autograd.verify.outcome import Step

GAIN = "an oracle for the auditor's files"
NAMES = ("../secret", "../../secret", "/etc/hostname", "..", ".", "weights/../../secret", "..\\secret", ".hidden")


def _named(name: str) -> Callable[[Scene], Submission]:
    def forge(scene: Scene) -> Submission:
        run = scene.victim.forgery()
        files = dict(run.closing.model)
        del files[INTEGERS]
        run.close = replace(run.closing, model=tuple(sorted({**files, name: sha256(b"a guess").digest()}.items())))
        submission = scene.submit(run)
        (submission.path / "secret").write_bytes(b"a guess")
        return submission

    return forge


ATTEMPTS = tuple(
    Attempt(name, Step.MODEL, "the close record does not name exactly the files of a model", _named(name))
    for name in NAMES
)


def run(scene: Scene) -> Outcome:
    """All attempts."""
    return outcome("path traversal", GAIN, ATTEMPTS, scene)
