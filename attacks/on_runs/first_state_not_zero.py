"""Attack: begin with moments that aren't zero, or with weights that nothing shows to be in range.

Gain: M_0 is a free push: here the first step moves every weight by 0.3 in a direction of the
attacker's choice, with a gradient of zero and a learning rate of 0.001. V_0 slows or stops
whichever weights one likes. The proof is true, since it accepts any first state. Weights out of
range could wrap around the field.

Why it fails: the genesis publishes the salts of M_0 and V_0, and the verifier commits to zeros with
them (step 6). EZKL's SRS is the auditor's here: under one whose secret the attacker has,
foreign_srs finds salts for which this holds. A native proof of segment 0 has other relations than a
later one's, which show that the weights are in range, and the verifier requires them for segment 0
(step 7). An EZKL proof shows the range in every segment.
"""

from dataclasses import dataclass, replace

import numpy as np

from attacks.tools import native_run
from attacks.tools.attempt import NATIVE, Attempt, Scene, Submission, outcome
from attacks.tools.outcome import Outcome
from attacks.tools.trapdoor_run import FIRST_MOMENT
from attacks.tools.victim import SHAPE
from zk_autograd.core.statement import Statement
from zk_autograd.prove.ezkl.verify import EzklSystem, installed_ezkl
from zk_autograd.verify.outcome import Step
from zk_autograd.verify.policy import Policy

GAIN = "weights pushed anywhere by a moment that no gradient made"


def first_moment(scene: Scene) -> Submission:
    """M_0 is 2^30 or -2^30 in every element, and proved to lead where it leads."""
    if scene.backend == "ezkl":
        made = scene.ezkl.trapdoor_run
        policy = Policy(keys=scene.policy.keys, srs=frozenset({made.srs}))
        path = made.forgery().write(scene.place())
        return Submission(path, policy, systems={"ezkl": EzklSystem(made.cache, installed_ezkl())})
    state = native_run.first_state()
    state["M"][: native_run.SIZE] = FIRST_MOMENT * np.random.default_rng(3).choice([-1, 1], native_run.SIZE)
    run = native_run.prove(native_run.header(SHAPE.prover), [state], [np.zeros(SHAPE.block, np.int64)])
    return scene.submit(run.forgery())


def second_moment(scene: Scene) -> Submission:
    """The victim's V_0 is exchanged for its V after the first segment, salts left as they are."""
    run = scene.victim.forgery()
    state = {**run.genesis.state, "V": run.segments[0].state_out["V"]}
    run.genesis = replace(run.genesis, state=state)
    run.edit(0, state_in=state)
    return scene.submit(run)


@dataclass(frozen=True, slots=True)
class Later(Statement):
    """The statement of a segment that says it is not the first, in place of the one that is."""

    original: Statement

    @classmethod
    def of(cls, s: Statement) -> "Later":
        """The same constants and the same context."""
        return cls(s.header_digest, 1, s.first_step, s.block, s.block_size, s.constants, s)

    @property
    def context(self) -> bytes:
        return self.original.context


def without_its_range(scene: Scene) -> Submission:
    """The first proof is made like those of later segments, which take the range of their weights
    from the previous proof."""
    state = native_run.first_state()
    claimed = native_run.header(SHAPE.prover)
    run = native_run.prove(claimed, [state], [native_run.gradient()], proving=Later.of)
    return scene.submit(run.forgery())


ATTEMPTS = (
    Attempt("first moment", Step.CHAIN, "M of block 0 is not zero at the start", first_moment),
    Attempt("second moment", Step.CHAIN, "V of block 0 is not zero at the start", second_moment),
    Attempt("first weights", Step.PROOFS, "proof 0-0: the proof does not verify", without_its_range, NATIVE),
)


def run(scene: Scene) -> Outcome:
    """All attempts."""
    return outcome("a first state that is not zero", GAIN, ATTEMPTS, scene)
