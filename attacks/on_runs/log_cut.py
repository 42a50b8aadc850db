"""Attack: cut the log, or give it the end of a longer one.

Gain: steps that took place disappear: the bad end of a training, or the run that continued after
the model was sold.

Why it fails: the checkpoint says how many records there are (step 3). An older checkpoint, which
the trainer did sign, fits a shorter log, and shows an unfinished run: whoever has the newest root
from elsewhere refuses it (step 3), and whoever hasn't is told that nothing shows where the trainer
stopped. A close record over fewer segments than it counts, or with another state than theirs, is
refused (step 6).
"""

from dataclasses import replace

from attacks.tools.attempt import Attempt, Scene, Submission, outcome
from attacks.tools.outcome import Outcome
from zk_autograd.evidence.layout import LOG, RECORDS
from zk_autograd.verify.outcome import Step

GAIN = "a run whose end nobody sees, or that ends with another model"


def under_the_newest_checkpoint(scene: Scene) -> Submission:
    """The last two records are gone, and the model with them."""
    run = scene.victim.forgery()
    run.model = {}
    path = run.write(scene.place())
    (path / LOG / RECORDS).write_bytes(b"".join(leaf + b"\n" for leaf in run.leaves()[:-2]))
    return Submission(path, scene.policy)


def under_an_old_checkpoint(scene: Scene) -> Submission:
    """A checkpoint before the last two records, for an auditor who has the newest root."""
    run = scene.victim.forgery()
    run.model = {}
    head = run.head()
    path = run.write(scene.place(), leaves=run.leaves()[:-2])
    return Submission(path, replace(scene.policy, head=head))


def prefix_with_the_end_of_the_whole(scene: Scene) -> Submission:
    """The first segment, then the whole run's close record and model, and a root over these."""
    run = scene.victim.forgery()
    leaves = run.leaves()
    del leaves[3]
    return Submission(run.write(scene.place(), leaves=leaves), scene.policy)


def last_step_edited(scene: Scene) -> Submission:
    """The close record counts more steps than there are."""
    run = scene.victim.forgery()
    run.close = replace(run.closing, last_step=run.closing.last_step + 1000)
    return scene.submit(run)


def segments_edited(scene: Scene) -> Submission:
    """The close record counts more segments than there are."""
    run = scene.victim.forgery()
    run.close = replace(run.closing, segments=run.closing.segments + 1)
    return scene.submit(run)


def final_state_edited(scene: Scene) -> Submission:
    """The close record's W is a commitment to weights of the attacker's, and they are published."""
    run = scene.victim.forgery()
    weights = -scene.victim.weights
    commitments = tuple(
        scene.commit(weights[block.offset : block.offset + block.size], salt)
        for block, salt in zip(run.header.blocks, scene.victim.salts, strict=True)
    )
    run.close = replace(run.closing, state={**run.closing.state, "W": commitments})
    run.publish(weights, scene.victim.salts)
    return scene.submit(run)


ATTEMPTS = (
    Attempt(
        "under the newest checkpoint", Step.LOG, "the log is shorter than its checkpoint", under_the_newest_checkpoint
    ),
    Attempt("under an old checkpoint", Step.LOG, "does not cover the root that was given", under_an_old_checkpoint),
    Attempt("prefix with the end of the whole", Step.CHAIN, "the wrong last step", prefix_with_the_end_of_the_whole),
    Attempt("last step edited", Step.CHAIN, "the wrong last step", last_step_edited),
    Attempt("number of segments edited", Step.CHAIN, "the wrong number of segments", segments_edited),
    Attempt("final state edited", Step.CHAIN, "the final state of the close record", final_state_edited),
)


def run(scene: Scene) -> Outcome:
    """All attempts."""
    return outcome("the log cut, or its end exchanged", GAIN, ATTEMPTS, scene)
