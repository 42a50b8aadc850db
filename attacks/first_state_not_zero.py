"""Attack: begin with moments that aren't zero.

Gain: M_0 is a free push: here the first step moves every weight by 0.3 in a direction of the attacker's choice, with a gradient of zero and
a learning rate of 0.001. V_0 slows or stops whichever weights one likes. The proof is true, since it takes any first state.

Why it fails: the genesis publishes the salts of M_0 and V_0, and the verifier commits to zeros with them (step 6). The SRS is the
auditor's here: under one whose secret the attacker has, foreign_srs finds salts for which this holds.
"""

from dataclasses import replace

from attacks.attempt import Attempt, Scene, Submission, outcome
from attacks.outcome import Outcome
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.report import Step
from zk_autograd.verify.systems import EzklSystem, installed_ezkl

GAIN = "weights pushed anywhere by a moment that no gradient made"


def first_moment(scene: Scene) -> Submission:
    """M_0 is 2^30 or -2^30 in every element, and proved to lead where it leads."""
    made = scene.trapdoor_run
    policy = Policy(keys=scene.policy.keys, srs=frozenset({made.srs}))
    path = made.forgery().write(scene.place())
    return Submission(path, policy, systems={"ezkl": EzklSystem(made.cache, installed_ezkl())})


def second_moment(scene: Scene) -> Submission:
    """The victim's V_0 is exchanged for its V after the first segment, salts left as they are."""
    run = scene.victim.forgery()
    state = {**run.genesis.state, "V": run.segments[0].state_out["V"]}
    run.genesis = replace(run.genesis, state=state)
    run.edit(0, state_in=state)
    return scene.submit(run)


ATTEMPTS = (
    Attempt("first moment", Step.CHAIN, "M of block 0 is not zero at the start", first_moment),
    Attempt("second moment", Step.CHAIN, "V of block 0 is not zero at the start", second_moment),
)


def run(scene: Scene) -> Outcome:
    """All attempts."""
    return outcome("a first state that is not zero", GAIN, ATTEMPTS, scene)
