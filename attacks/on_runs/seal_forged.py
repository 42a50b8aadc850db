"""Attack on native commitments: keep the root, and change what seals it.

A native commitment is a Merkle root, a proof of work and the value of the committed polynomial at a
point that both determine. Near one word there may be several polynomials; the value says which of
them is meant.

Gain: a word near two polynomials, of which one proof takes the first and the next proof the second:
another state where one was committed to.

Why it fails: root, proof of work and value are all in the transcript; the proof of work is checked,
and the value is the one that the opened polynomial has at the point (step 7). Here the victim's
commitment is changed wherever it stands: in both records and both proofs.
"""

from collections.abc import Callable

from attacks.tools.attempt import NATIVE, Attempt, Scene, Submission, outcome
from attacks.tools.outcome import Outcome
from attacks.tools.victim import SHAPE
from zk_autograd.verify.outcome import Step

GAIN = "another state where one was committed to"
ROOT, WORK, END = 32, 40, 56
"""Where a commitment's parts end."""


def _changed(change: Callable[[bytes], bytes]) -> Callable[[Scene], Submission]:
    def forge(scene: Scene) -> Submission:
        run = scene.victim.forgery()
        old = run.segments[0].state_out["W"][0]
        run.commit_after(0, "W", 0, change(old))
        for index, name in enumerate(("W_out", "W_in")):
            start = END * SHAPE.commitment_names.index(name)
            proof = run.proofs[index, 0]
            assert proof[start : start + END] == old
            run.put_proof((index, 0), proof[:start] + change(old) + proof[start + END :])
        return scene.submit(run)

    return forge


def _bit(place: int) -> Callable[[bytes], bytes]:
    return lambda sealed: sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]


_WORDS = "proof 0-0: the proof does not verify"

ATTEMPTS = (
    Attempt("another root", Step.PROOFS, _WORDS, _changed(_bit(0)), NATIVE),
    Attempt("another proof of work", Step.PROOFS, _WORDS, _changed(_bit(ROOT)), NATIVE),
    Attempt("another value", Step.PROOFS, _WORDS, _changed(_bit(WORK)), NATIVE),
    Attempt("a value above the order", Step.PROOFS, _WORDS, _changed(lambda s: s[:WORK] + b"\xff" * 16), NATIVE),
)


def run(scene: Scene) -> Outcome:
    """All attempts."""
    return outcome("a commitment with a false seal", GAIN, ATTEMPTS, scene)
