"""Attack: numbers that are well formed but absurd.

Gain: a verdict that speaks of 10^12 steps; or a verifier that computes constants for as many, or
reserves memory for 2^40 parameters.

Why it fails: steps follow on from 1 (step 6), and constants are computed only for segments that do;
had they been computed, they would differ from the proof's (step 7). A segment holds at most the
circuit's steps, and the number of records is bounded by the file (step 1). Block and steps are
those of the verifier's own circuit (step 5), and without a circuit the verifier has bounds of its
own (steps 5, 6).
"""

from dataclasses import replace
from hashlib import sha256

from attacks.tools.attempt import EZKL, NATIVE, Attempt, Scene, Submission, outcome
from attacks.tools.forge import Forgery
from attacks.tools.outcome import Outcome
from zk_autograd.core.canonical import decode, encode
from zk_autograd.core.record_bytes import to_bytes
from zk_autograd.core.records import MAX_RECORD, Block, Close, Genesis, Header, Parameter, Prover
from zk_autograd.prove.hashed.verify import MAX_BLOCK, VERSION
from zk_autograd.verify.outcome import Step

GAIN = "a verdict about 10^12 steps, or the verifier's memory and time"
FAR = 10**12


def step_number(scene: Scene) -> Submission:
    """The second segment is said to be that of steps 10^12 and after."""
    run = scene.victim.forgery()
    moved = run.segments[1]
    last = FAR + moved.last - moved.first
    run.edit(1, first=FAR, last=last)
    run.close = replace(run.closing, last_step=last)
    return scene.submit(run)


def long_segment(scene: Scene) -> Submission:
    """The second segment is said to reach to step 10^12."""
    run = scene.victim.forgery()
    leaves = run.leaves()
    fields = decode(leaves[3], max_bytes=MAX_RECORD)
    assert isinstance(fields, dict)
    leaves[3] = encode({**fields, "last": FAR})
    return Submission(run.write(scene.place(), leaves=leaves), scene.policy)


def large_block(scene: Scene) -> Submission:
    """One tensor of 2^40 parameters in one block of the published circuit, which is said to be as
    large."""
    run = scene.victim.forgery()
    size = 2**40
    run.header = replace(
        run.header,
        size=size,
        parameters=(Parameter("w", (2**20, 2**20), 0, size, 0),),
        blocks=(Block(0, 0, size),),
        prover=replace(run.header.prover, block=size),
    )
    leaves = [to_bytes(run.header)]
    return Submission(run.write(scene.place(), leaves=leaves), scene.policy)


def large_block_without_a_circuit(scene: Scene) -> Submission:
    """The same for the backend `none`, which has no circuit."""
    return _without_a_circuit(scene, 2**40, 2**40)


def many_blocks_without_a_circuit(scene: Scene) -> Submission:
    """2^33 parameters and one block more for the backend `none`, in blocks of the largest size."""
    return _without_a_circuit(scene, 2**33 + 1, MAX_BLOCK)


def _without_a_circuit(scene: Scene, size: int, block: int) -> Submission:
    victim = scene.victim.forgery()
    header: Header = replace(
        victim.header,
        size=size,
        parameters=(Parameter("w", (size,), 0, size, 0),),
        blocks=tuple(Block(0, start, min(block, size - start)) for start in range(0, size, block)),
        prover=Prover("none", VERSION, block, 1),
    )
    some = {name: (sha256(b"anything").digest(),) * len(header.blocks) for name in header.states}
    genesis = Genesis(some, {name: some[name] for name in header.states[1:]})
    run = Forgery(header, genesis, [], Close(0, 0, some), {}, {}, victim.signers)
    return scene.submit(run)


ATTEMPTS = (
    Attempt("step 10^12", Step.CHAIN, "steps are not consecutive", step_number),
    Attempt("a segment up to step 10^12", Step.PARSE, "record.last is invalid", long_segment),
    Attempt("a block of 2^40 parameters", Step.STATEMENT, "its block differs", large_block, EZKL),
    Attempt("a native block of 2^40 parameters", Step.STATEMENT, "prover has no such shape", large_block, NATIVE),
    Attempt("the same without a circuit", Step.STATEMENT, "block is too large", large_block_without_a_circuit),
    Attempt(
        "8193 large blocks without a circuit", Step.CHAIN, "too large, and too many", many_blocks_without_a_circuit
    ),
)


def run(scene: Scene) -> Outcome:
    """All attempts."""
    return outcome("numbers out of all proportion", GAIN, ATTEMPTS, scene)
