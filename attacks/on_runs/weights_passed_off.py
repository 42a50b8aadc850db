"""Attack: hand somebody other weights than the run's, and have its evidence speak for them.

Gain: `verdict: L0, L1` over a file with a backdoor. The victim downloads one file and asks
zk-verify about it; the evidence is a proved run. The trainer names the file's digest in the close
record under a name that no step looks at, or under that of the training's log; or somebody without
the trainer's key puts the file beside a run that has nothing to do with it.

Why it fails: a digest that the close record names among the trainer's own files says nothing of
what the file holds, and the verdict is less than was asked for (step 10, exit status 3). One that
it doesn't name is refused (step 10). So is a file of the model's that is called as another one of
them: each is recognised by its digest, not by its name.
"""

from dataclasses import replace
from hashlib import sha256

import numpy as np

from attacks.tools.attempt import Attempt, Scene, Submission, outcome
from attacks.tools.forge import Forgery, model_files
from attacks.tools.outcome import Outcome
from zk_autograd.evidence.finding import Subject
from zk_autograd.evidence.layout import WEIGHTS_FLOATS
from zk_autograd.verify.outcome import Step

GAIN = "a proved run's verdict over weights that it never had"


def _backdoor(scene: Scene) -> bytes:
    weights = np.negative(scene.victim.weights)
    return model_files(scene.victim.forgery().header, weights, scene.victim.salts)[WEIGHTS_FLOATS]


def _given(scene: Scene, run: Forgery, *files: bytes) -> Submission:
    """The run as the evidence for these files, which the auditor has."""
    subjects = tuple(Subject("model.safetensors", sha256(data).digest()) for data in files)
    return replace(scene.submit(run), subjects=subjects)


def named_by_the_trainer(scene: Scene) -> Submission:
    """The close record has the digest, as that of a file called model.safetensors."""
    run, data = scene.victim.forgery(), _backdoor(scene)
    run.close = replace(run.closing, artefacts=(("model.safetensors", sha256(data).digest()),))
    return _given(scene, run, data)


def beside_the_real_ones(scene: Scene) -> Submission:
    """So, in a folder with the run's real weights."""
    run, data = scene.victim.forgery(), _backdoor(scene)
    run.close = replace(run.closing, artefacts=(("model.safetensors", sha256(data).digest()),))
    return _given(scene, run, run.model[WEIGHTS_FLOATS], data)


def beside_a_run(scene: Scene) -> Submission:
    """No record names the digest."""
    return _given(scene, scene.victim.forgery(), _backdoor(scene))


ATTEMPTS = (
    Attempt("named by the trainer", Step.MODEL, "no proof is about what it holds", named_by_the_trainer),
    Attempt("beside the real ones", Step.MODEL, "no proof is about what it holds", beside_the_real_ones),
    Attempt("beside a run", Step.MODEL, "names no file with the SHA-256 of", beside_a_run),
)


def run(scene: Scene) -> Outcome:
    """All attempts."""
    return outcome("other weights passed off as the run's", GAIN, ATTEMPTS, scene)
