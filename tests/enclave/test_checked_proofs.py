"""A prover outside that lies: what it would have in the record is refused by name, and nothing is
recorded."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.enclave.instances import NONE, Told, make_enclave_run, make_job
from tests.enclave.liars import SGD, Liar, Lie, outside, run_on
from tests.prove.native.examples import ELEMENTS, REAL_STEPS, shape_of, statement_of, witness_of
from zk_autograd.core.errors import ProverError, UsageError, VerificationError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.statement import Statement
from zk_autograd.enclave.checked_proofs import CheckedProofs, ForeignProofError
from zk_autograd.prove.choice import choice_of
from zk_autograd.prove.hashed.backend import HashedBackend
from zk_autograd.prove.native.backend import NativeBackend
from zk_autograd.prove.protocol import BlockProof, BlockWitness
from zk_autograd.run.events import ProofFailed

pytestmark = pytest.mark.usefixtures("native_prover")


def attack(folder: Path, lie: Lie, settings: Mapping[str, Any] = SGD) -> tuple[ForeignProofError, Told]:
    told = Told()
    with pytest.raises(ForeignProofError) as raised:
        make_enclave_run(folder, job=make_job(settings, proving="outside"), tell=told, backend=outside(lie))
    return raised.value, told


def records(folder: Path) -> int:
    return len((folder / "run/log/records.jsonl").read_bytes().splitlines())


def test_an_honest_prover_outside(tmp_path: Path) -> None:
    made = make_enclave_run(
        tmp_path, job=make_job(SGD, proving="outside"), backend=outside(lambda own, s, w: own.proof(s, w))
    )
    assert made.header.proving == "outside"
    assert made.steps == 5


def test_a_foreign_gradient_with_the_same_states(tmp_path: Path) -> None:
    """Another gradient that makes the same step: the proof is valid, and all states are the
    enclave's. The record would say that the job's rows gave a gradient that they didn't."""

    def lie(own: Liar, statement: Statement, witness: BlockWitness) -> object:
        gradients = witness.gradients.copy()
        for change in range(1, 200):  # so small that the step stays the same
            gradients[0, 0] = witness.gradients[0, 0] + change
            changed = run_on(statement, Rule.SGD, replace(witness, gradients=gradients))
            if np.array_equal(changed.end["W"], witness.end["W"]):
                break
        else:
            pytest.fail("no other gradient makes the same step")
        made = own.proof(statement, replace(witness, gradients=gradients))
        true = own.honest.prove(statement, witness)
        assert made.state_in == true.state_in
        assert made.state_out == true.state_out
        assert made.gradient != true.gradient
        return BlockProof(made.proof, made.state_in, made.state_out, true.gradient)  # and it lies about that

    error, told = attack(tmp_path, lie)
    assert "is not about the gradient that was computed here" in str(error)
    assert records(tmp_path) == 2
    assert not list((tmp_path / "run/proofs").iterdir())
    assert not any(isinstance(event, ProofFailed) for event in told.events)  # it isn't asked again


RULE = Rule.SGD


@cache
def example() -> tuple[NativeBackend, Statement, BlockWitness, BlockProof]:
    """A segment of the enclave's own, and an honest proof of it."""
    own, statement = NativeBackend(shape_of(RULE)), statement_of(RULE)
    witness = witness_of(RULE, statement)
    return own, statement, witness, own.prove(statement, witness)


def given(answer: object, statement: Statement | None = None) -> BlockProof:
    """What the enclave makes of a prover's answer."""
    own, first, witness, _ = example()

    class Outside:
        def prove(self, statement: Statement, witness: BlockWitness) -> object:
            if isinstance(answer, BaseException):
                raise answer
            return answer

    return CheckedProofs(own, Outside()).prove(statement or first, witness)  # type: ignore[arg-type]


def refused(answer: object, message: str, statement: Statement | None = None) -> None:
    with pytest.raises(ForeignProofError, match=message) as raised:
        given(answer, statement)
    assert "\n" not in str(raised.value)


def test_an_honest_proof_is_taken() -> None:
    _, _, _, proof = example()
    assert given(proof) == proof
    assert given(BlockProof(proof.proof, {}, {}, b"whatever it says beside its bytes")) == proof


def test_another_trajectory_from_the_same_state() -> None:
    """Steps of the prover's choice, right by the rule: the run would go on with a model that they
    made, as if it had been trained on the job's rows."""
    own, statement, witness, honest = example()
    gradients = witness.gradients.copy()
    gradients[:REAL_STEPS, :ELEMENTS] = 2**29
    made = own.prove(statement, run_on(statement, RULE, replace(witness, gradients=gradients)))
    refused(made, "is not about the state after that was computed here")
    refused(replace(honest, proof=made.proof), "is not about the state after")


def test_another_beginning() -> None:
    """The same gradients on other weights."""
    own, statement, witness, _ = example()
    begin = witness.start["W"].copy()
    begin[:ELEMENTS] += 1
    made = own.prove(statement, run_on(statement, RULE, replace(witness, start={"W": begin})))
    refused(made, "is not about the state before that was computed here")


@pytest.mark.parametrize(("salt", "what"), [("W_out", "the state after"), ("G", "the gradient")])
def test_another_salt(salt: str, what: str) -> None:
    """A commitment that the enclave can't open, to values that are its own."""
    own, statement, witness, _ = example()
    made = own.prove(statement, replace(witness, salts={**witness.salts, salt: bytes(32)}))
    refused(made, f"is not about {what} that was computed here")


def test_a_witness_that_is_altered_while_it_is_proved() -> None:
    """In one process a prover has the enclave's own arrays in its hands: what is compared was
    computed before."""
    own, statement, witness, _ = example()
    witness = replace(witness, gradients=witness.gradients.copy(), salts=dict(witness.salts))

    class Altering:
        def prove(self, statement: Statement, witness: BlockWitness) -> BlockProof:
            witness.salts["G"] = bytes(32)  # type: ignore[index]
            return own.prove(statement, witness)

    with pytest.raises(ForeignProofError, match="is not about the gradient"):
        CheckedProofs(own, Altering()).prove(statement, witness)  # type: ignore[arg-type]


def test_a_proof_of_another_segment() -> None:
    """Sent again: the second segment would have the steps of the first."""
    _, _, _, honest = example()
    refused(honest, "segment 1, block 0: the proof that the prover gave is refused", statement_of(RULE, segment=1))


NO_PROOFS = {
    "empty": b"",
    "short": b"x",
    "zeros": bytes(2**20),
    "None": None,
    "text": "text",
    "number": 5,
    "bytearray": bytearray(8),
}


@pytest.mark.parametrize("bad", NO_PROOFS.values(), ids=NO_PROOFS)
def test_what_is_no_proof(bad: object) -> None:
    refused(BlockProof(bad, {}, {}, b""), "segment 0, block 0: the pro")  # type: ignore[arg-type]


@pytest.mark.parametrize("place", [0, 500, 100_000, -1])
def test_an_altered_proof(place: int) -> None:
    _, _, _, honest = example()
    altered = bytearray(honest.proof)
    altered[place] ^= 1
    refused(replace(honest, proof=bytes(altered)), "the proof that the prover gave is refused")


def test_a_prover_that_dies_is_no_liar() -> None:
    """The writer asks it again: a run must not end because a connection did."""
    with pytest.raises(ProverError, match="the connection ended"):
        given(ProverError("the connection ended"))


def test_without_proofs_nobody_outside_is_shown_anything(tmp_path: Path) -> None:
    """A witness is private data in the clear."""

    def lie(own: Liar, statement: Statement, witness: BlockWitness) -> object:
        pytest.fail("it was shown a witness")

    class Nobody(Liar):
        def __post_init__(self) -> None:
            self.honest = None  # type: ignore[assignment]

        def stop(self) -> None:
            pass

    job = make_job(NONE, proving="outside")
    made = make_enclave_run(tmp_path, job=job, backend=lambda prover: Nobody(prover, lie))
    assert made.header.prover.backend == "none"


@pytest.mark.parametrize("proving", ["inside", "outside"])
def test_the_owner_says_where_proofs_are_made(tmp_path: Path, proving: str) -> None:
    """A host that had them made outside would see data that the owner didn't show; and a header
    says what was done."""
    backend = outside(lambda own, s, w: own.proof(s, w)) if proving == "inside" else None
    with pytest.raises(UsageError, match=f"wants proofs made {proving}"):
        make_enclave_run(tmp_path / "enclave", job=make_job(SGD, proving=proving), backend=backend)
    assert not list((tmp_path / "enclave").iterdir())


def test_no_proof_is_taken_from_the_disk() -> None:
    own = HashedBackend()
    with pytest.raises(VerificationError, match="takes no proof that it didn't ask for"):
        CheckedProofs(own, own).check(None, b"proof")  # type: ignore[arg-type]


def test_every_prover_that_a_job_may_have_commits_to_gradients() -> None:
    from zk_autograd.enclave.settings import PROVERS
    from zk_autograd.prove.protocol import Wanted

    for name in PROVERS:
        made = choice_of(name).for_new_run(Wanted(Rule.SGD, [15], 4), None, Path())
        assert hasattr(made, "commit_gradients"), name
