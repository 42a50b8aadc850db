"""Attack: prove other gradients than those that the enclave computed, where it has its proofs made
outside.

Gain: measured code signs a step that it never took: the run goes on with weights of the host's
choice, or its records say that the data gave a gradient that they didn't.

Why it fails: the enclave computes its own commitments to states and gradient before anybody has the
witness, verifies the proof, and compares what that is about (enclave.checked_proofs). Were it to
record its own commitments beside the host's proof, step 7 would see the two differ.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from attacks.tools.enclaves import Attempt, outcome, said
from attacks.tools.outcome import Outcome
from tests.enclave.instances import make_enclave_run, make_job
from tests.enclave.liars import SGD, Liar, Lie, outside, run_on
from zk_autograd.core.hyper import Rule
from zk_autograd.core.statement import Statement
from zk_autograd.enclave.checked_proofs import ForeignProofError
from zk_autograd.prove.protocol import BlockProof, BlockWitness

GAIN = "steps of the host's own, signed by measured code"


def _said(folder: Path, lie: Lie) -> str:
    """What the enclave says to a prover that lies."""
    job = make_job(SGD, proving="outside")
    return said(lambda: make_enclave_run(folder, job=job, backend=outside(lie)), ForeignProofError)


def another_gradient(folder: Path) -> str:
    """One that makes the same step: the proof is valid, and all states are the enclave's."""

    def lie(own: Liar, statement: Statement, witness: BlockWitness) -> BlockProof:
        gradients = witness.gradients.copy()
        for change in range(1, 200):
            gradients[0, 0] = witness.gradients[0, 0] + change
            changed = run_on(statement, Rule.SGD, replace(witness, gradients=gradients))
            if np.array_equal(changed.end["W"], witness.end["W"]):
                return own.proof(statement, changed)
        raise AssertionError("no other gradient makes the same step")

    return _said(folder, lie)


def another_trajectory(folder: Path) -> str:
    """Gradients of the host's choice, and the steps that follow from them by the rule."""

    def lie(own: Liar, statement: Statement, witness: BlockWitness) -> BlockProof:
        gradients = witness.gradients.copy()
        elements = witness.start["W"] != 0  # the rest of the block is padding
        gradients[0, elements] = 2**24
        return own.proof(statement, run_on(statement, Rule.SGD, replace(witness, gradients=gradients)))

    return _said(folder, lie)


def another_runs_proof(folder: Path) -> str:
    """The same witness, proved for the header of a run of the host's."""
    return _said(
        folder, lambda own, statement, witness: own.proof(replace(statement, header_digest=bytes(32)), witness)
    )


ATTEMPTS = (
    Attempt("another gradient", "is not about the gradient that was computed here", another_gradient),
    Attempt("another trajectory", "is not about the state after that was computed here", another_trajectory),
    Attempt("another run's proof", "the proof that the prover gave is refused", another_runs_proof),
)


def run() -> Outcome:
    """All attempts."""
    return outcome("a foreign gradient", "the enclave", GAIN, ATTEMPTS)
