"""Attack: leave out the proof that a sample is likely to miss. One unproved segment of one block is
enough to exchange the model.

Gain: block 1 begins with weights of the attacker's choice and, by the records, ends where the
honest training did: steps that were never computed, behind a proof of random bytes. First and last
proofs are always verified, so it is one in between.

Why it fails: by default every proof is verified. A sample of k of n proofs misses one bad one with
probability 1 - (k-2)/(n-2), which the report prints, and reaches `L1-sampled`, which is not L1:
exit status 3 (step 11) unless the auditor passes --accept-sample. The seed is the verifier's own,
so nobody knows it in advance. Known early, it is worthless: see beacon_known.
"""

from collections.abc import Callable
from dataclasses import replace
from hashlib import shake_256

from attacks.tools.attempt import Attempt, Scene, Submission, outcome
from attacks.tools.forge import Forgery
from attacks.tools.outcome import Outcome
from zk_autograd.verify.outcome import Step
from zk_autograd.verify.policy import TreeHead
from zk_autograd.verify.sampling import draw

GAIN = "steps of a block that were never computed"
PROOFS, SAMPLE, BAD = 4, 3, 1
"""Proofs of the victim, size of the sample, number of the bad proof: segment 0, block 1."""


def unproved(scene: Scene) -> Forgery:
    """The victim's run, in which nothing is known of block 1 before its second segment."""
    run = scene.victim.forgery()
    block = run.header.blocks[1]
    weights = -scene.victim.weights[block.offset : block.offset + block.size]
    run.commit_first("W", 1, scene.commit(weights, scene.draw_salt()))
    run.put_proof((0, 1), shake_256(b"no proof").digest(len(run.proofs[0, 0])))
    return run


def beacon(head: TreeHead, *, finds: bool) -> str:
    """A beacon whose sample of a run with this head holds the bad proof, or doesn't."""
    texts = (f"beacon {number}" for number in range(1000))
    return next(t for t in texts if (BAD in draw(PROOFS, SAMPLE, t.encode(), head.root, head.size)) is finds)


def _submitted(*, finds: bool, accept: bool) -> Callable[[Scene], Submission]:
    def forge(scene: Scene) -> Submission:
        run = unproved(scene)
        policy = replace(scene.policy, sample=SAMPLE, beacon=beacon(run.head(), finds=finds), accept_sample=accept)
        return replace(scene.submit(run), policy=policy)

    return forge


ATTEMPTS = (
    Attempt("all proofs verified", Step.PROOFS, "proof 0-1", lambda scene: scene.submit(unproved(scene))),
    Attempt("in the sample", Step.PROOFS, "proof 0-1", _submitted(finds=True, accept=True)),
    Attempt("not in the sample", Step.VERDICT, "a sample reaches L1-sampled", _submitted(finds=False, accept=False)),
)


def run(scene: Scene) -> Outcome:
    """All attempts."""
    return outcome("one bad proof under sampling", GAIN, ATTEMPTS, scene)
