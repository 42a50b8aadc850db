"""Attack: know the beacon before the log is made, and try logs until the sample misses the bad
proof.

Gain: that of bad_proof_in_sample, with certainty: the sample is drawn from the beacon and the root,
and the attacker changes what is claimed but not proved (a loss), until the root is a good one. It
takes about two tries here, and about n/(n-k) in general.

It works, against an auditor who takes a beacon that the trainer knew and passes --accept-sample. A
beacon is good only if it is newer than an anchor of the log, and there are no anchors yet. So the
report says that nothing shows that, the verdict is `L1-sampled`, and without --accept-sample the
exit status is 3 (step 11). Without --beacon the seed is the verifier's own, and there is nothing to
know.
"""

from dataclasses import replace
from itertools import count

from attacks.on_runs.bad_proof_in_sample import BAD, PROOFS, SAMPLE, unproved
from attacks.tools.attempt import Attempt, Scene, Submission, outcome
from attacks.tools.outcome import Outcome
from zk_autograd.verify.outcome import Step
from zk_autograd.verify.sampling import draw

GAIN = "steps of a block that were never computed, though the auditor sampled"
BEACON = "the value of a randomness beacon, from before the run"


def ground(scene: Scene) -> Submission:
    """The log is remade until the sample misses the bad proof."""
    run = unproved(scene)
    for tries in count():
        run.edit(1, loss=(f"0.{tries}",))
        head = run.head()
        if BAD not in draw(PROOFS, SAMPLE, BEACON.encode(), head.root, head.size):
            return replace(scene.submit(run), policy=replace(scene.policy, sample=SAMPLE, beacon=BEACON))
    raise AssertionError("unreachable")


ATTEMPTS = (Attempt("root ground for it", Step.VERDICT, "a sample reaches L1-sampled", ground),)


def run(scene: Scene) -> Outcome:
    """All attempts."""
    return outcome("a beacon known before the log was made", GAIN, ATTEMPTS, scene)
