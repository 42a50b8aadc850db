"""Attack: reuse a proof at another place than the one it was made for.

Gain: at another step, steps that nobody computed; in another block, parameters that nobody trained;
in another run, all of it: a thief carries a published run's records and proofs into a log with a
header and a key of their own, and is its author with every proof valid.

Why it fails: the context, a public value of every proof, is a digest of header, segment, first step
and block, and the verifier rebuilds it (step 7). The header names the keys, so that a log signed
with another one needs another header (step 2). At another step two more checks overlap: the state
before must be the state after the previous segment (step 6), and the constants of a step, which are
public values too, depend on its number.
"""

from dataclasses import replace
from hashlib import sha256

from attacks.tools.attempt import Attempt, Scene, Submission, outcome
from attacks.tools.outcome import Outcome
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.core.records import Close, StateCommitments
from zk_autograd.verify.outcome import Step
from zk_autograd.verify.policy import Policy

GAIN = "steps that nobody computed, and a whole run stolen with its proofs"
THIEF = Ed25519Signer("thief", sha256(b"the thief's key").digest())


def another_step(scene: Scene) -> Submission:
    """The first segment's records and proofs serve as the second segment's too."""
    run = scene.victim.forgery()
    first = run.segments[0]
    length = first.last
    run.segments[1] = replace(first, index=1, first=length + 1, last=2 * length)
    for block in range(len(run.header.blocks)):
        run.put_proof((1, block), run.proofs[0, block])
    run.close = Close(2 * length, 2, first.state_out)
    run.withhold_model()
    return scene.submit(run)


def another_block(scene: Scene) -> Submission:
    """Everything of block 0 serves for block 1 too: commitments, salts and proofs, so that the
    chain holds, except that the salts occur twice. Without that check it is each proof's own place
    that refuses it (step 7)."""
    run = scene.victim.forgery()

    def copied(state: StateCommitments) -> StateCommitments:
        return {name: (blocks[0], blocks[0]) for name, blocks in state.items()}

    run.genesis = replace(run.genesis, state=copied(run.genesis.state), zero_salts=copied(run.genesis.zero_salts))
    for index, segment in enumerate(run.segments):
        first = segment.gradients[0]
        run.edit(
            index,
            state_in=copied(segment.state_in),
            state_out=copied(segment.state_out),
            gradients=(first, first),
        )
        run.put_proof((index, 1), run.proofs[index, 0])
    run.close = replace(run.closing, state=copied(run.closing.state))
    run.withhold_model()
    return scene.submit(run)


def another_run(scene: Scene) -> Submission:
    """The thief's header: another run, their key. All else is the victim's, the model too."""
    run = scene.victim.forgery()
    run.header = replace(run.header, run=bytes(16), keys=(THIEF.public_key.encode(),))
    run.signers = (THIEF,)
    return _stolen(scene, scene.submit(run))


def another_key(scene: Scene) -> Submission:
    """The victim's header, so that every proof is valid; the log is signed by the thief, whom the
    auditor has pinned."""
    run = scene.victim.forgery()
    run.signers = (THIEF,)
    return _stolen(scene, scene.submit(run))


def _stolen(scene: Scene, submission: Submission) -> Submission:
    return replace(submission, policy=Policy(keys=(THIEF.public_key,), srs=scene.policy.srs))


ATTEMPTS = (
    Attempt("at another step", Step.CHAIN, "the state-in of segment 1 is not", another_step),
    Attempt("in another block", Step.CHAIN, "a trainer draws a fresh one each time", another_block),
    Attempt("in another run", Step.PROOFS, "proof 0-0: the proof does not verify", another_run),
    Attempt("under another key", Step.SIGNATURES, "the header does not name a pinned key", another_key),
)


def run(scene: Scene) -> Outcome:
    """All attempts."""
    return outcome("a proof replayed elsewhere", GAIN, ATTEMPTS, scene)
