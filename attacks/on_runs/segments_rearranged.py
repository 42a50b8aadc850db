"""Attack: swap segments, leave one out, repeat one.

Gain: another training than the one that took place: steps left out after the fact, the early ones
hidden, some counted twice.

Why it fails: segments are numbered, steps follow on from 1, each state before is the state after
the previous segment, and all of the first state but W is zero (step 6). Renumbered segments would
be refused by the context of their proofs as well, and where a state doesn't change, so that its
segment could be counted again with a fresh proof of it, the context alone refuses it (step 7).
"""

from dataclasses import replace

import numpy as np

from attacks.tools import native_run
from attacks.tools.attempt import EZKL, NATIVE, Attempt, Scene, Submission, outcome
from attacks.tools.forge import Forgery
from attacks.tools.hollow_run import SIZE, hollow_run
from attacks.tools.outcome import Outcome
from attacks.tools.victim import SHAPE
from zk_autograd.prove.native.backend import NativeBackend
from zk_autograd.verify.outcome import Step

GAIN = "a training with other steps than those that took place"


def swapped(scene: Scene) -> Submission:
    """Two segments' records change places, and the close record has the state after the first."""
    run = scene.victim.forgery()
    first = run.segments[0]
    run.segments.reverse()
    run.close = replace(run.closing, last_step=first.last, state=first.state_out)
    run.withhold_model()
    return scene.submit(run)


def swapped_and_renumbered(scene: Scene) -> Submission:
    """The second segment first, both with the numbers of their new places."""
    run = scene.victim.forgery()
    first, second = run.segments
    length = second.last - second.first + 1
    run.segments = [
        replace(second, index=0, first=1, last=length),
        replace(first, index=1, first=length + 1, last=length + first.last),
    ]
    for block in range(len(run.header.blocks)):
        run.proofs[0, block], run.proofs[1, block] = run.proofs[1, block], run.proofs[0, block]
    run.close = replace(run.closing, state=first.state_out)
    run.withhold_model()
    return scene.submit(run)


def first_left_out(scene: Scene) -> Submission:
    """The second segment is the first one now, and begins with the state that it began with."""
    run = scene.victim.forgery()
    _drop_first(run)
    return scene.submit(run)


def first_left_out_and_genesis_moved(scene: Scene) -> Submission:
    """The genesis too is the state that the second segment began with, moments and all."""
    run = scene.victim.forgery()
    run.genesis = replace(run.genesis, state=run.segments[1].state_in)
    _drop_first(run)
    return scene.submit(run)


def last_left_out(scene: Scene) -> Submission:
    """The last segment is gone; the close record and the published model stay."""
    run = scene.victim.forgery()
    del run.segments[1], run.proofs[1, 0], run.proofs[1, 1]
    run.close = replace(run.closing, last_step=run.segments[0].last, segments=1)
    return scene.submit(run)


def repeated(scene: Scene) -> Submission:
    """The last segment occurs twice."""
    run = scene.victim.forgery()
    run.segments.append(run.segments[1])
    run.close = replace(run.closing, segments=3)
    return scene.submit(run)


def repeated_with_another_proof(scene: Scene) -> Submission:
    """The same step twice, the second time with another valid proof of it. The state doesn't
    change, so that the chain holds.

    Gradients of zero keep a state unchanged under any circuit; here it is the hollow one, whose
    proofs take a second, and the auditor takes it for their own.
    """
    made = hollow_run(scene, np.zeros(SIZE, np.int64), scene.ezkl.hollow.circuit.digest)
    run, again = made.forgery, made.prove()
    first = run.segments[0]
    run.segments.append(replace(first, index=1, first=first.last + 1, last=2 * first.last))
    run.put_proof((1, 0), again)
    run.close = replace(run.closing, last_step=2 * first.last, segments=2)
    return replace(scene.submit(run), systems={"ezkl": made.system})


def repeated_with_another_native_proof(scene: Scene) -> Submission:
    """The same with native proofs: gradients of zero, the states' commitments with one salt before
    and after, the gradient's with another in the second proof."""
    backend, state = NativeBackend(SHAPE), native_run.first_state()
    claimed, still = native_run.header(SHAPE.prover), np.zeros(SHAPE.block, np.int64)
    drawn = {name: backend.draw_salt() for name in state}
    salts = {f"{name}_{end}": salt for name, salt in drawn.items() for end in ("in", "out")}
    statement = native_run.statement_of(claimed)
    made, again = (
        native_run.prove_step(backend, claimed.rule, statement, state, still, {**salts, "G": backend.draw_salt()})
        for _ in range(2)
    )
    run = native_run.NativeRun(claimed, (made,)).forgery()
    run.segments.append(replace(run.segments[0], index=1, first=2, last=2, gradients=(again[2].gradient,)))
    run.put_proof((1, 0), again[2].proof)
    run.close = replace(run.closing, last_step=2, segments=2)
    return scene.submit(run)


def _drop_first(run: Forgery) -> None:
    kept = run.segments[1]
    length = kept.last - kept.first + 1
    run.segments = [replace(kept, index=0, first=1, last=length)]
    run.proofs = {(0, block): proof for (index, block), proof in run.proofs.items() if index == 1}
    run.close = replace(run.closing, last_step=length, segments=1)


ATTEMPTS = (
    Attempt("swapped", Step.CHAIN, "a segment is out of place", swapped),
    Attempt(
        "swapped and renumbered", Step.CHAIN, "the state-in of segment 0 is not the genesis", swapped_and_renumbered
    ),
    Attempt("the first left out", Step.CHAIN, "the state-in of segment 0 is not the genesis", first_left_out),
    Attempt(
        "the first left out, genesis moved", Step.CHAIN, "is not zero at the start", first_left_out_and_genesis_moved
    ),
    Attempt("the last left out", Step.CHAIN, "the final state of the close record is not", last_left_out),
    Attempt("the last repeated", Step.CHAIN, "a segment is out of place", repeated),
    Attempt("repeated with another proof", Step.PROOFS, "proof 1-0", repeated_with_another_proof, EZKL),
    Attempt("repeated with another native proof", Step.PROOFS, "proof 1-0", repeated_with_another_native_proof, NATIVE),
)


def run(scene: Scene) -> Outcome:
    """All attempts."""
    return outcome("segments swapped, left out, repeated", GAIN, ATTEMPTS, scene)
