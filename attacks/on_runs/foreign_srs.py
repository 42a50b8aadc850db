"""Attack on EZKL: make the SRS, keep its secret, and open commitments to anything.

Gain: everything, with real proofs of the published circuit and nothing wrong in any record. Here
the moments begin anywhere and are shown to be zero, and the published weights are of the attacker's
choice and are shown to open the last commitment: in a trapdoor commitment one salt can compensate
for any value (attacks/trapdoor.py).

Why it fails: the auditor allows an SRS by its digest (step 5). Without an allowed one no proof is
verified, no level above L0 is reached, and the exit status is 3, not 0. That the file lies in the
auditor's cache allows nothing. The native prover has no SRS.
"""

from dataclasses import replace

import numpy as np

from attacks.tools.attempt import EZKL, Attempt, Scene, Submission, outcome
from attacks.tools.forge import of_one_block
from attacks.tools.outcome import Outcome
from attacks.tools.trapdoor_run import SIZE
from zk_autograd.core.formats import WEIGHT_BITS, IntArray
from zk_autograd.prove.ezkl.verify import EzklSystem, installed_ezkl
from zk_autograd.verify.outcome import Step

GAIN = "any first state and any final weights, with every proof valid"
BACKDOOR: IntArray = np.arange(SIZE, dtype=np.int64) * 2**WEIGHT_BITS


def equivocated(scene: Scene) -> Submission:
    """M_0 is not zero but shown to be; weights that no step gave open the last commitment."""
    made = scene.ezkl.trapdoor_run
    run = made.forgery()
    salts = {name: made.zero_salt(name) for name in made.header.states[1:]}
    run.genesis = replace(run.genesis, zero_salts=of_one_block(salts))
    run.publish(BACKDOOR, (made.weight_salt(BACKDOOR),))
    path = run.write(scene.place())
    return Submission(path, scene.policy, systems={"ezkl": EzklSystem(made.cache, installed_ezkl())})


ATTEMPTS = (
    Attempt(
        "moments and weights exchanged", Step.STATEMENT, "is not allowed: whoever made it can forge", equivocated, EZKL
    ),
)


def run(scene: Scene) -> Outcome:
    """All attempts."""
    return outcome("an SRS of the attacker's", GAIN, ATTEMPTS, scene)
