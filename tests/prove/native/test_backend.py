"""Real proofs of the native prover: 2^16 rows each, for every rule."""

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tests.prove.native.examples import REAL_STEPS, shape_of, statement_of, witness_of
from zk_autograd.core.backends import BACKENDS
from zk_autograd.core.errors import ProverError, VerificationError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import SHARD_BYTES
from zk_autograd.core.statement import Statement
from zk_autograd.prove.native.backend import WITNESS_PHASES, NativeBackend
from zk_autograd.prove.native.preset import Preset
from zk_autograd.prove.protocol import BlockProof, BlockWitness, CommittingToData

pytestmark = pytest.mark.usefixtures("native_prover")

PLACE = len(shape_of(Rule.ADAM).commitment_names) * BACKENDS["native"].commitment_bytes
"""Where the body of an Adam proof begins."""


@cache
def example(rule: Rule = Rule.ADAM) -> tuple[NativeBackend, Statement, BlockWitness, BlockProof]:
    """A proof of segment 0, made once."""
    backend, statement = NativeBackend(shape_of(rule)), statement_of(rule)
    witness = witness_of(rule, statement)
    return backend, statement, witness, backend.prove(statement, witness)


@pytest.mark.parametrize("rule", Rule)
def test_proof_speaks_of_the_states_before_and_after(rule: Rule) -> None:
    backend, statement, witness, proof = example(rule)
    assert backend.check(statement, proof.proof) == proof
    assert proof.state_in.keys() == witness.start.keys()
    for name in witness.start:
        assert proof.state_in[name] == backend.commit(witness.start[name], witness.salts[f"{name}_in"])
        assert proof.state_out[name] == backend.commit(witness.end[name], witness.salts[f"{name}_out"])
    assert proof.gradient == backend.commit_gradients(witness.gradients, witness.salts["G"])
    found = [*proof.state_in.values(), *proof.state_out.values(), proof.gradient]
    assert {len(c) for c in found} == {BACKENDS["native"].commitment_bytes}
    assert len(set(found)) == len(found)


def test_a_commitment_to_gradients_is_of_their_values_order_and_salt() -> None:
    backend, _, witness, proof = example()
    gradients, salt = witness.gradients, witness.salts["G"]
    other = gradients.copy()
    other[0, 0] += 1
    for changed in (other, gradients[::-1], gradients[:, ::-1]):
        assert backend.commit_gradients(changed, salt) != proof.gradient
    assert backend.commit_gradients(gradients, bytes(32)) != proof.gradient


@pytest.mark.parametrize("value", [2**30, -(2**30), 2**31 - 1, -(2**31)])
def test_gradients_that_no_proof_can_have_are_not_committed_to(value: int) -> None:
    backend, _, witness, _ = example()
    other = witness.gradients.copy()
    other[-1, -1] = value
    with pytest.raises(VerificationError, match="a commitment can't be computed: a gradient is outside the range"):
        backend.commit_gradients(other, bytes(32))
    with pytest.raises(VerificationError, match="the gradient is neither bytes nor a contiguous buffer of int32"):
        backend.commit_gradients(witness.gradients.astype(np.int64), bytes(32))


DATA_COMMITMENT = (
    "4345c2af2b42527845e2bb595887062657eeec1b856e8cba2b49120a9deb6727191c0000000000006d869975d1091ef50c779147d5ee188f"
)
"""To the cells of the test below under a secret of 32 times 7: crates/prover/tests/data.rs has it,
too."""


def test_a_commitment_to_data_is_of_its_cells_and_salt_and_none_to_a_state() -> None:
    backend, secret = NativeBackend(shape_of(Rule.ADAM)), bytes([7]) * 32
    cells = (np.arange(2**13, dtype=np.int64) * 7919) % 2**22 - 2**21
    assert isinstance(backend, CommittingToData)
    assert backend.commit_data(cells, secret).hex() == DATA_COMMITMENT
    assert backend.commit_data(cells.astype(np.int32), secret).hex() == DATA_COMMITMENT
    others = [
        backend.commit(cells, secret),
        backend.commit_data(cells[::-1], secret),
        backend.commit_data(cells, bytes(32)),
    ]
    assert len({one.hex() for one in others} | {DATA_COMMITMENT}) == 4
    assert len(backend.commit_data(np.zeros(2**20, np.int64), secret)) == SHARD_BYTES


@pytest.mark.parametrize(
    ("cells", "salt"), [(2**12, 32), (2**13 - 1, 32), (2**13 + 1, 32), (2**21, 32), (0, 32), (2**13, 31), (2**13, 33)]
)
def test_data_of_another_size_or_salt_are_refused(cells: int, salt: int) -> None:
    backend = NativeBackend(shape_of(Rule.ADAM))
    with pytest.raises(VerificationError, match="a commitment can't be computed"):
        backend.commit_data(np.zeros(cells, np.int64), bytes(salt))


@pytest.mark.parametrize(("rows", "salt"), [(1, 32), (3, 32), (None, 31), (None, 0)])
def test_gradients_of_another_shape_or_salt_are_refused(rows: int | None, salt: int) -> None:
    backend, _, witness, _ = example()
    with pytest.raises(VerificationError, match="a commitment can't be computed"):
        backend.commit_gradients(witness.gradients[:rows], bytes(salt))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "s", "weight_decay", "segment", "preset"),
    [
        (Rule.ADAMW, None, "0.01", 0, Preset.STANDARD),
        (Rule.ADAMW, None, "0.01", 3, Preset.STANDARD),
        (Rule.ADAM, None, "0", 1, Preset.STRICT),
        (Rule.SGD, 15, "0", 0, Preset.STANDARD),
        (Rule.SGD_MOMENTUM, 15, "0.1", 1, Preset.STANDARD),
        (Rule.NESTEROV, 15, "0.1", 0, Preset.STRICT),
    ],
)
def test_every_variant_of_the_relation_is_proved(
    rule: Rule, s: int | None, weight_decay: str, segment: int, preset: Preset
) -> None:
    backend = NativeBackend(shape_of(rule, preset))
    statement = statement_of(rule, s=s, weight_decay=weight_decay, segment=segment)
    proof = backend.prove(statement, witness_of(rule, statement))
    assert backend.check(statement, proof.proof) == proof


def test_proof_made_again_is_the_same_and_another_salt_hides_equal_data() -> None:
    backend, statement, witness, proof = example()
    assert backend.prove(statement, witness) == proof
    assert backend.different_proofs == 1
    salts = {name: backend.draw_salt() for name in witness.salts}
    other = backend.prove(statement, replace(witness, salts=salts))
    assert all(other.state_in[name] != proof.state_in[name] for name in proof.state_in)
    assert other.gradient != proof.gradient


def test_salts_are_random_and_of_the_headers_length() -> None:
    backend, *_ = example()
    salts = {backend.draw_salt() for _ in range(10)}
    assert len(salts) == 10
    assert {len(salt) for salt in salts} == {BACKENDS["native"].salt_bytes}


@pytest.mark.parametrize(
    "change",
    [
        lambda s: replace(s, header_digest=b"\2" * 32),
        lambda s: replace(s, segment=1),
        lambda s: replace(s, first_step=2),
        lambda s: replace(s, block=1),
        lambda s: replace(s, constants=(replace(s.constants[0], LR=s.constants[0].LR + 1), *s.constants[1:])),
        lambda s: replace(s, constants=(replace(s.constants[0], E=s.constants[0].E + 1), *s.constants[1:])),
        lambda s: replace(s, constants=(replace(s.constants[0], D=1), *s.constants[1:])),
        lambda s: replace(s, constants=(s.constants[1], s.constants[0], *s.constants[2:])),
        lambda s: replace(s, constants=(*s.constants[:-1], s.constants[0])),
    ],
    ids=["header", "segment", "step", "block", "LR", "E", "decay", "order of steps", "no-op"],
)
def test_proof_of_another_statement_is_refused(change: Callable[[Statement], Statement]) -> None:
    backend, statement, _, proof = example()
    with pytest.raises(VerificationError, match="the proof does not verify"):
        backend.check(change(statement), proof.proof)


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p[:-1],
        lambda p: p + b"\0",
        lambda p: p[:PLACE],
        lambda p: p[:-1] + bytes([p[-1] ^ 1]),
        lambda p: p[:PLACE] + bytes([p[PLACE] ^ 1]) + p[PLACE + 1 :],
        lambda p: bytes([p[0] ^ 1]) + p[1:],
        lambda p: p[: PLACE - 1] + bytes([p[PLACE - 1] ^ 1]) + p[PLACE:],
        lambda p: p[56:112] + p[:56] + p[112:],
        lambda p: bytes(len(p)),
        lambda p: b"\xff" * len(p),
    ],
    ids=["shorter", "longer", "no body", "last byte", "body", "W_in", "G", "exchanged", "zeros", "ones"],
)
def test_other_bytes_are_refused(change: Callable[[bytes], bytes]) -> None:
    backend, statement, _, proof = example()
    with pytest.raises(VerificationError, match="the proof does not verify"):
        backend.check(statement, change(proof.proof))


def test_proof_under_another_preset_is_refused() -> None:
    _, statement, _, proof = example()
    with pytest.raises(VerificationError, match="the proof does not verify"):
        NativeBackend(shape_of(Rule.ADAM, Preset.STRICT)).check(statement, proof.proof)


@pytest.mark.parametrize("rule", Rule)
def test_witness_that_breaks_the_rule_is_refused_with_its_place(rule: Rule) -> None:
    backend, statement, witness, _ = example(rule)
    last = f"segment 0, block 0: the step breaks the rule: step {REAL_STEPS}, element 17 of the block, "
    for name in witness.start:
        # A state one beside the one that the steps lead to, or steps from one beside.
        moved = {n: values.copy() for n, values in witness.end.items()}
        moved[name][17] += 1
        with pytest.raises(ProverError, match=f"{last}{name}: the witness says that {name} becomes"):
            backend.prove(statement, replace(witness, end=moved))
        moved = {n: values.copy() for n, values in witness.start.items()}
        moved[name][17] += 2**20
        with pytest.raises(ProverError, match=r"the step breaks the rule: step [1-6], element 17 of the block"):
            backend.prove(statement, replace(witness, start=moved))


@pytest.mark.parametrize(("t", "said"), [(0, "step 1, element 17 of the block, G: G is"), (7, "step 8, element 17")])
@pytest.mark.parametrize("value", [2**30, -(2**30) - 1, 2**31 - 1, -(2**31)])
def test_a_gradient_that_is_no_ones_is_refused_with_its_place(t: int, said: str, value: int) -> None:
    """Out of its range, or in a step that is none."""
    backend, statement, witness, _ = example()
    gradients = witness.gradients.copy()
    gradients[t, 17] = value
    with pytest.raises(ProverError, match=said):
        backend.prove(statement, replace(witness, gradients=gradients))


def test_a_gradient_in_a_step_that_is_none_is_refused() -> None:
    backend, statement, witness, _ = example()
    gradients = witness.gradients.copy()
    gradients[REAL_STEPS, 17] = 1
    with pytest.raises(ProverError, match="step 7, element 17 of the block, G: the gradient of a no-op step is 1"):
        backend.prove(statement, replace(witness, gradients=gradients))


def test_gradient_that_is_not_the_steps_is_refused_with_its_place() -> None:
    backend, statement, witness, _ = example()
    gradients = witness.gradients.copy()
    gradients[1, 4999] += 2**20
    with pytest.raises(ProverError, match=f"step {REAL_STEPS}, element 4999 of the block"):
        backend.prove(statement, replace(witness, gradients=gradients))


@pytest.mark.parametrize(
    "change",
    [
        lambda w: replace(w, gradients=w.gradients[:-1]),
        lambda w: replace(w, start={n: v[:-1] for n, v in w.start.items()}),
        lambda w: replace(w, end={n: v[:-1] for n, v in w.end.items()}),
        lambda w: replace(w, start={"W": w.start["W"]}),
        lambda w: replace(w, end={"W": w.end["W"]}),
        lambda w: replace(w, gradients=w.gradients.astype(np.int64)),
        lambda w: replace(w, end={n: v.astype(np.int32) for n, v in w.end.items()}),
        lambda w: replace(w, salts={n: s[:-1] for n, s in w.salts.items()}),
        lambda w: replace(w, salts={"G": w.salts["G"]}),
    ],
    ids=[
        "steps",
        "elements before",
        "elements after",
        "states before",
        "states after",
        "wide gradients",
        "narrow states",
        "length of a salt",
        "salts",
    ],
)
def test_witness_of_another_form_is_a_prover_error(change: Callable[[BlockWitness], BlockWitness]) -> None:
    backend, statement, witness, _ = example()
    with pytest.raises(ProverError, match="segment 0, block 0: no proof was made: "):
        backend.prove(statement, change(witness))


def test_statement_of_another_shape_is_refused_on_both_sides() -> None:
    backend, statement, witness, proof = example()
    short = replace(statement, constants=statement.constants[:4])
    with pytest.raises(ProverError, match="differ in their number of steps"):
        backend.prove(short, witness)
    with pytest.raises(VerificationError, match="differ in their number of steps"):
        backend.check(short, proof.proof)


def test_values_and_salts_of_another_length_have_no_commitment() -> None:
    backend, *_ = example()
    with pytest.raises(VerificationError, match="a salt has the wrong length"):
        backend.commit(np.zeros(2**13, np.int64), bytes(31))
    with pytest.raises(VerificationError, match="a commitment can't be computed"):
        backend.commit(np.zeros(2**13 - 1, np.int64), bytes(32))


@pytest.mark.parametrize("rule", [Rule.ADAM, Rule.SGD])
def test_memory_that_was_made_ready_changes_no_proof(rule: Rule) -> None:
    """How much of it a first proof finds: crates/prover/tests/warm.rs."""
    backend, statement, witness, proof = example(rule)
    backend.stop()
    backend.warm()
    backend.warm()
    assert backend.prove(statement, witness) == proof
    backend.stop()


def test_a_proof_s_phases_are_told() -> None:
    backend, statement, witness, _ = example()
    began = time.monotonic()
    backend.prove(statement, witness)
    spent = time.monotonic() - began
    assert set(WITNESS_PHASES) < set(backend.phases)
    assert all(seconds >= 0 for seconds in backend.phases.values())
    assert spent / 2 < sum(backend.phases.values()) < spent


def test_proof_in_progress_is_stopped_from_another_thread() -> None:
    backend, statement, witness, proof = example()
    ended = threading.Event()

    def stop() -> None:
        while not ended.is_set():
            backend.stop()
            time.sleep(0.005)

    stopper = threading.Thread(target=stop)
    stopper.start()
    try:
        with pytest.raises(ProverError, match="no proof was made: cancelled"):
            backend.prove(statement, witness)
    finally:
        ended.set()
        stopper.join()
    backend.stop()  # nothing is in progress
    assert backend.prove(statement, witness) == proof


@pytest.mark.slow
def test_interrupt_ends_a_proof_within_a_second() -> None:
    shape, statement = replace(shape_of(Rule.ADAM), log_steps=7), statement_of(Rule.ADAM)
    more = shape.steps - len(statement.constants)
    statement = replace(statement, constants=(*statement.constants, *(statement.constants[-1],) * more))
    witness = witness_of(Rule.ADAM, statement_of(Rule.ADAM))
    gradients = np.concatenate([witness.gradients, np.zeros((more, shape.block), np.int32)])
    backend = NativeBackend(shape)
    sent = []

    def interrupt() -> None:
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(0.15, interrupt)
    with pytest.raises(KeyboardInterrupt):
        timer.start()
        backend.prove(statement, replace(witness, gradients=gradients))
    timer.join()
    assert time.monotonic() - sent[0] < 1
