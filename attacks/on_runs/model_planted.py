"""Attack: leave a model in the folder that no record names. Users take what lies in model/ and the
verdict beside it together.

Gain: a backdoor beside the verdict `L0, L1`. The trainer closes a run without publishing a model
and adds files later; or anybody else takes an older checkpoint, which the trainer signed, and the
records under it: an unfinished run, in whose folder they put a model.

Why it fails: files in model/ that no record in the view names are not covered, and the verdict is
less than was asked for (step 10, exit status 3) until the auditor names each of them.
"""

from dataclasses import replace

import numpy as np

from attacks.tools.attempt import Attempt, Scene, Submission, outcome
from attacks.tools.forge import Forgery, model_files
from attacks.tools.outcome import Outcome
from zk_autograd.verify.outcome import Step

GAIN = "a model with a backdoor beside the verdict of a run that has none"


def beside_a_close_record(scene: Scene) -> Submission:
    """The close record names no model."""
    run = scene.victim.forgery()
    run.withhold_model()
    _plant(scene, run)
    return scene.submit(run)


def beside_an_unfinished_run(scene: Scene) -> Submission:
    """No close record: an old checkpoint, and the records that it covers. It takes no key."""
    run = scene.victim.forgery()
    _plant(scene, run)
    return Submission(run.write(scene.place(), leaves=run.leaves()[:-1]), scene.policy)


def beside_a_prefix(scene: Scene) -> Submission:
    """The auditor has a root from before the close record."""
    run = scene.victim.forgery()
    whole, run.close = run.close, None
    head = run.head()
    run.close = whole
    _plant(scene, run)
    return Submission(run.write(scene.place()), replace(scene.policy, head=head))


def _plant(scene: Scene, run: Forgery) -> None:
    weights = np.negative(scene.victim.weights)
    run.model = model_files(run.header, weights, scene.victim.salts)


ATTEMPTS = (
    Attempt("beside a close record", Step.MODEL, "no record in this view names", beside_a_close_record),
    Attempt("beside an unfinished run", Step.MODEL, "no record in this view names", beside_an_unfinished_run),
    Attempt("beside a prefix", Step.MODEL, "no record in this view names", beside_a_prefix),
)


def run(scene: Scene) -> Outcome:
    """All attempts."""
    return outcome("a model planted", GAIN, ATTEMPTS, scene)
