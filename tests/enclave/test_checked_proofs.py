"""A prover outside that lies: what it would have in the record is refused by name, and nothing is
recorded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.enclave.instances import NONE, RUN_ID, Told, make_enclave_run, make_job
from zk_autograd.core.errors import ProverError, VerificationError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.core.records import Prover
from zk_autograd.core.rules import step
from zk_autograd.core.statement import Statement
from zk_autograd.enclave.checked_proofs import CheckedProofs, ForeignProofError
from zk_autograd.prove.choice import choice_of
from zk_autograd.prove.hashed.backend import HashedBackend
from zk_autograd.prove.native.backend import NativeBackend
from zk_autograd.prove.native.shape import Shape
from zk_autograd.prove.protocol import BlockProof, BlockWitness
from zk_autograd.run.events import ProofFailed

pytestmark = pytest.mark.usefixtures("native_prover")

SGD = {"model": "softmax", "rule": "sgd", "lr": "0.000001", "steps": 20, "batch-size": 8, "prover": "native"}
"""So small a rate that several gradients make the same step."""

Lie = Callable[["Liar", Statement, BlockWitness], object]


@dataclass
class Liar:
    """A prover outside: it sees the whole witness, and makes valid proofs of what it likes."""

    prover: Prover
    lie: Lie

    def __post_init__(self) -> None:
        self.honest = NativeBackend(Shape.of(self.prover))
        self.made: list[bytes] = []
        self.stopped = False

    def prove(self, statement: Statement, witness: BlockWitness) -> Any:
        return self.lie(self, statement, witness)

    def proof(self, statement: Statement, witness: BlockWitness) -> BlockProof:
        """A valid one, of that witness."""
        made = self.honest.prove(statement, witness)
        self.made.append(made.proof)
        return made

    def stop(self) -> None:
        self.stopped = True
        self.honest.stop()

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a prover outside was asked for {name}")


def outside(lie: Lie) -> Callable[[Prover], Any]:
    return lambda prover: Liar(prover, lie)


def attack(folder: Path, lie: Lie, settings: Mapping[str, Any] = SGD) -> tuple[ForeignProofError, Told]:
    told = Told()
    with pytest.raises(ForeignProofError) as raised:
        make_enclave_run(folder, job=make_job(settings, proving="outside"), tell=told, backend=outside(lie))
    return raised.value, told


def records(folder: Path) -> int:
    return len((folder / "run/log/records.jsonl").read_bytes().splitlines())


def run_on(witness: BlockWitness, statement: Statement, rule: Rule, gradients: Any, start: Mapping[str, Any]) -> Any:
    """The states that other gradients, or another start, lead to."""
    states = {name: [np.array(values)] for name, values in start.items()}
    now = {name: np.array(values) for name, values in start.items()}
    for row, constants in zip(gradients, statement.constants, strict=True):
        now = step(rule, now, row, constants)
        for name, values in now.items():
            states[name].append(values)
    return {name: np.stack(values) for name, values in states.items()}


def test_an_honest_prover_outside(tmp_path: Path) -> None:
    made = make_enclave_run(
        tmp_path, job=make_job(SGD, proving="outside"), backend=outside(lambda own, s, w: own.proof(s, w))
    )
    assert made.header.proving == "outside"
    assert made.steps == 20


def test_a_foreign_gradient_with_the_same_states(tmp_path: Path) -> None:
    """Another gradient that makes the same step: the proof is valid, and all states are the
    enclave's. The record would say that the job's rows gave a gradient that they didn't."""

    def lie(own: Liar, statement: Statement, witness: BlockWitness) -> object:
        gradients = witness.gradients.copy()
        for change in range(1, 200):  # so small that the step stays the same
            gradients[0, 0] = witness.gradients[0, 0] + change
            states = run_on(witness, statement, Rule.SGD, gradients, {"W": witness.states["W"][0]})
            if np.array_equal(states["W"], witness.states["W"]):
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


def test_another_trajectory_from_the_same_state(tmp_path: Path) -> None:
    """Steps of the prover's choice, right by the rule: the run would go on with a model that they
    made, as if it had been trained on the job's rows."""

    def lie(own: Liar, statement: Statement, witness: BlockWitness) -> object:
        gradients = witness.gradients.copy()
        gradients[:20] = 2**29
        states = run_on(witness, statement, Rule.SGD, gradients, {"W": witness.states["W"][0]})
        return own.proof(statement, replace(witness, gradients=gradients, states=states))

    error, _ = attack(tmp_path, lie, {**SGD, "lr": "0.1"})
    assert "is not about the state after that was computed here" in str(error)
    assert records(tmp_path) == 2


def test_another_beginning(tmp_path: Path) -> None:
    """The same gradients on other weights."""

    def lie(own: Liar, statement: Statement, witness: BlockWitness) -> object:
        states = run_on(witness, statement, Rule.SGD, witness.gradients, {"W": witness.states["W"][0] + 1})
        return own.proof(statement, replace(witness, states=states))

    error, _ = attack(tmp_path, lie)
    assert "is not about the state before that was computed here" in str(error)


@pytest.mark.parametrize("salt", ["W_in", "W_out", "G"])
def test_another_salt(tmp_path: Path, salt: str) -> None:
    """A commitment that the enclave can't open, to values that are its own."""

    def lie(own: Liar, statement: Statement, witness: BlockWitness) -> object:
        return own.proof(statement, replace(witness, salts={**witness.salts, salt: bytes(32)}))

    error, _ = attack(tmp_path, lie)
    assert "was computed here" in str(error)


def test_a_proof_of_another_segment(tmp_path: Path) -> None:
    """Sent again: the second segment would have the steps of the first."""

    def lie(own: Liar, statement: Statement, witness: BlockWitness) -> object:
        made = own.proof(statement, witness)
        return replace(made, proof=own.made[0])

    error, _ = attack(tmp_path, lie, {**SGD, "steps": 1030})
    assert "segment 1, block 0: the proof that the prover gave is refused" in str(error)
    assert records(tmp_path) == 3


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
def test_what_is_no_proof(tmp_path: Path, bad: object) -> None:
    def lie(own: Liar, statement: Statement, witness: BlockWitness) -> object:
        return BlockProof(bad, {}, {}, b"")  # type: ignore[arg-type]

    error, _ = attack(tmp_path, lie)
    assert "\n" not in str(error)
    assert records(tmp_path) == 2


@pytest.mark.parametrize("place", [0, 500, -1])
def test_an_altered_proof(tmp_path: Path, place: int) -> None:
    def lie(own: Liar, statement: Statement, witness: BlockWitness) -> object:
        made = own.proof(statement, witness)
        altered = bytearray(made.proof)
        altered[place] ^= 1
        return replace(made, proof=bytes(altered))

    attack(tmp_path, lie)


def test_a_prover_that_dies_is_asked_again(tmp_path: Path) -> None:
    """That is no lie: a run must not end because a connection did."""
    failures = [ProverError("the connection ended"), ProverError("the connection ended")]

    def lie(own: Liar, statement: Statement, witness: BlockWitness) -> object:
        if failures:
            raise failures.pop()
        return own.proof(statement, witness)

    told = Told()
    make_enclave_run(tmp_path, job=make_job(SGD, proving="outside"), tell=told, backend=outside(lie))
    assert [event.attempt for event in told.events if isinstance(event, ProofFailed)] == [1, 2]


def test_without_proofs_nothing_is_taken_from_outside(tmp_path: Path) -> None:
    class Hostile(HashedBackend):
        def prove(self, statement: Statement, witness: BlockWitness) -> BlockProof:
            return BlockProof(b"bytes", {"W": bytes(32)}, {"W": bytes(32)}, bytes(32))

    def hostile(prover: Prover) -> HashedBackend:
        return Hostile(prover.block, prover.steps)

    make_enclave_run(tmp_path, job=make_job(NONE, proving="outside"), backend=hostile)
    log = parse_log((tmp_path / "run/log/records.jsonl").read_bytes().splitlines())
    assert bytes(32) not in (*log.segments[0].gradients, *log.segments[0].state_out["W"])
    assert log.header.run == RUN_ID


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
