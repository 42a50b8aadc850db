"""Attack: another encoding of the same proof. Bytes before, after or missing; a number written as
itself plus the field's order.

Gain: two proofs where one was made, of which one is in the log and the other is shown; bytes in a
proof file that nobody looks at. EZKL itself accepts a proof with trailing bytes.

Why it fails: an EZKL proof has the published length of its circuit, byte for byte, and EZKL refuses
numbers that aren't below the field's order; the length of a native one follows from its statement
and its challenges, and every number in it must be below the order (step 7). The record also holds
the proof's hash, so each of these comes with a new record, signed by the trainer's key.
"""

from collections.abc import Callable

from attacks.tools.attempt import EZKL, NATIVE, Attempt, Scene, Submission, outcome
from attacks.tools.outcome import Outcome
from attacks.tools.victim import SHAPE
from zk_autograd.core.backends import BACKENDS
from zk_autograd.prove.ezkl.circuit.field import MODULUS
from zk_autograd.verify.outcome import Step

GAIN = "a second proof where one was made, and bytes that nobody looks at"
BASE_FIELD = 0x30644E72E131A029B85045B68181585D97816A916871CA8D3C208C16D87CFD47
"""The order of BN254's base field, which points' coordinates are below (EIP-196)."""


def _changed(change: Callable[[bytes], bytes]) -> Callable[[Scene], Submission]:
    def forge(scene: Scene) -> Submission:
        run = scene.victim.forgery()
        run.put_proof((0, 0), change(run.proofs[0, 0]))
        return scene.submit(run)

    return forge


def plus_order(proof: bytes, order: int, words: range) -> bytes:
    """The proof with one of its 32-byte words (big-endian) raised by `order`: the last one of
    `words` that has room."""
    for word in reversed(words):
        raised = int.from_bytes(proof[32 * word : 32 * word + 32], "big") + order
        if raised < 2**256:
            return proof[: 32 * word] + raised.to_bytes(32, "big") + proof[32 * word + 32 :]
    raise ValueError("no word has room")


def scalar(proof: bytes) -> bytes:
    """An evaluation, which stand before the last two points, plus the order of the scalar field."""
    return plus_order(proof, MODULUS, range(len(proof) // 32 - 14, len(proof) // 32 - 4))


def coordinate(proof: bytes) -> bytes:
    """A coordinate of the commitment to G, plus the order of the base field."""
    return plus_order(proof, BASE_FIELD, range(12, 14))


def above_the_order(proof: bytes) -> bytes:
    """The first out-of-domain value of a native proof, after commitments, three roots and two
    proofs of work, is 2^64 - 1."""
    start = BACKENDS["native"].commitment_bytes * len(SHAPE.commitment_names) + 3 * 32 + 2 * 8
    return proof[:start] + b"\xff" * 8 + proof[start + 8 :]


def another_of_the_record(scene: Scene) -> Submission:
    """The file holds another valid proof of the run than the record's hash says, here that of the
    next block."""
    run = scene.victim.forgery()
    run.proofs[0, 0] = run.proofs[0, 1]
    return scene.submit(run)


def missing(scene: Scene) -> Submission:
    """There is no file."""
    run = scene.victim.forgery()
    del run.proofs[1, 1]
    return scene.submit(run)


_LENGTH = "the proof has the wrong length"

ATTEMPTS = (
    Attempt("a byte more", Step.PROOFS, _LENGTH, _changed(lambda proof: proof + b"\0")),
    Attempt("a byte less", Step.PROOFS, _LENGTH, _changed(lambda proof: proof[:-1])),
    Attempt("nothing", Step.PROOFS, _LENGTH, _changed(lambda proof: b""), EZKL),
    Attempt("nothing at all", Step.PROOFS, "too short for its commitments", _changed(lambda proof: b""), NATIVE),
    Attempt("a scalar plus its order", Step.PROOFS, "the proof does not verify", _changed(scalar), EZKL),
    Attempt("a coordinate plus its order", Step.PROOFS, "the proof does not verify", _changed(coordinate), EZKL),
    Attempt(
        "a number above the order", Step.PROOFS, "is not below the field's order", _changed(above_the_order), NATIVE
    ),
    Attempt("another than the record's", Step.PROOFS, "does not match the record's hash", another_of_the_record),
    Attempt("missing", Step.PROOFS, "1-1 can't be read", missing),
)


def run(scene: Scene) -> Outcome:
    """All attempts."""
    return outcome("a proof with other bytes", GAIN, ATTEMPTS, scene)
