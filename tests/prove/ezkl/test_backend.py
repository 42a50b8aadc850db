"""Real proofs: what the backend makes, the verifier accepts, and nothing near it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.prove.ezkl.proved import Proved, prove_sample
from tests.shared import Shared
from zk_autograd.core.errors import ProverError, UsageError, VerificationError
from zk_autograd.prove.ezkl.backend import EzklBackend, draw_salt
from zk_autograd.prove.ezkl.child import Child
from zk_autograd.prove.ezkl.circuit.field import MODULUS
from zk_autograd.prove.ezkl.keys import Cache
from zk_autograd.prove.ezkl.sample import sample
from zk_autograd.prove.ezkl.verify import EzklVerifier, commitments_of, salt_elements

pytestmark = [pytest.mark.ezkl, pytest.mark.slow]


PROVED = [
    ("adam-n32-t64", 5),
    ("adamw-n32-t52", 0),
    ("sgd-nesterov-decay-n128-t17", 3),
    ("rmsprop-n64-t32", 2),
    ("lion-n64-t36", 4),
]


@pytest.fixture(scope="module", params=PROVED)
def proved(request: pytest.FixtureRequest, shared: Shared, ezkl_cache: Cache, srs_digest: bytes) -> Proved:
    name, no_ops = request.param
    return prove_sample(name, no_ops, shared, ezkl_cache, srs_digest)


@pytest.fixture
def verifier(proved: Proved, ezkl_cache: Cache) -> EzklVerifier:
    return EzklVerifier(proved[0]._circuit, proved[0].prover.srs_digest, ezkl_cache)


def test_the_verifier_accepts_and_reads_the_same_commitments(proved: Proved, verifier: EzklVerifier) -> None:
    _, statement, _, proof = proved
    found = verifier.verify(statement, proof.proof)
    assert (found.state_in, found.state_out, found.gradient) == (proof.state_in, proof.state_out, proof.gradient)


def test_each_commitment_is_the_one_to_its_tensor(proved: Proved, verifier: EzklVerifier, ezkl_cache: Cache) -> None:
    _, _, witness, proof = proved
    messages = [(witness.start[s], witness.salts[f"{s}_in"]) for s in proof.state_in]
    messages += [(witness.end[s], witness.salts[f"{s}_out"]) for s in proof.state_out]
    messages.append((witness.gradients.reshape(-1).astype(np.int64), witness.salts["G"]))
    expected = [*proof.state_in.values(), *proof.state_out.values(), proof.gradient]
    assert verifier.commit_all(messages) == expected
    children: list[dict[str, Any]] = []

    class Counted(Child):
        def run(self, request: dict[str, Any], *, seconds: float) -> Any:
            children.append(request)
            return super().run(request, seconds=seconds)

    backend = EzklBackend(proved[0]._circuit, proved[0].prover.srs_digest, ezkl_cache, child=Counted())
    assert backend.commit_all(iter(messages)) == expected
    assert [request["do"] for request in children] == ["commit"]
    other = draw_salt()
    assert verifier.commit(witness.start["W"], other) != proof.state_in["W"]


@pytest.mark.parametrize(
    "change",
    [
        {"header_digest": bytes(32)},
        {"segment": 1},
        {"first_step": 2},
        {"block": 1},
    ],
    ids=lambda c: next(iter(c)),
)
def test_a_proof_is_refused_at_another_place(proved: Proved, verifier: EzklVerifier, change: dict[str, object]) -> None:
    _, statement, _, proof = proved
    with pytest.raises(VerificationError, match="does not verify"):
        verifier.verify(replace(statement, **change), proof.proof)  # type: ignore[arg-type]


def test_a_proof_is_refused_for_other_constants(proved: Proved, verifier: EzklVerifier) -> None:
    _, statement, _, proof = proved
    first = replace(statement.constants[0], LR=statement.constants[0].LR + 1)
    with pytest.raises(VerificationError, match="does not verify"):
        verifier.verify(replace(statement, constants=(first, *statement.constants[1:])), proof.proof)


def test_a_proof_of_another_length_is_refused(proved: Proved, verifier: EzklVerifier) -> None:
    _, statement, _, proof = proved
    # EZKL itself accepts trailing bytes: the length check is ours.
    for changed in (proof.proof + b"\0", proof.proof[:-1], b"", proof.proof * 2):
        with pytest.raises(VerificationError, match="wrong length"):
            verifier.verify(statement, changed)


def test_a_changed_byte_anywhere_is_refused(proved: Proved, verifier: EzklVerifier) -> None:
    _, statement, _, proof = proved
    for position in range(31, len(proof.proof), len(proof.proof) // 12):
        changed = bytearray(proof.proof)
        changed[position] ^= 1
        with pytest.raises(VerificationError, match="does not verify"):
            verifier.verify(statement, bytes(changed))


def test_a_proof_under_another_srs_is_refused(proved: Proved, another_cache: Cache) -> None:
    backend, statement, _, proof = proved
    if backend.prover.circuit != "adam-n32-t64":
        pytest.skip("one circuit is enough: keys under another SRS take a quarter of a minute")
    (srs,) = another_cache.srs_digests()
    with pytest.raises(VerificationError, match="does not verify"):
        EzklVerifier(backend._circuit, srs, another_cache).verify(statement, proof.proof)


def test_the_same_segment_with_other_salts_commits_differently(proved: Proved) -> None:
    _, _, witness, proof = proved
    changed = replace(witness, salts={name: draw_salt() for name in witness.salts})
    commitments = commitments_of(proved[0]._circuit, proof.proof)
    again = proved[0].commit(changed.start["W"], changed.salts["W_in"])
    assert again != commitments.state_in["W"]


def test_a_witness_that_breaks_the_rule_is_refused_before_proving(proved: Proved) -> None:
    backend, statement, witness, _ = proved
    for name in witness.start:
        start, end = ({n: values.copy() for n, values in at.items()} for at in (witness.start, witness.end))
        start[name][7] += 2**20
        end[name][7] += 1
        for lie in (replace(witness, start=start), replace(witness, end=end)):
            with pytest.raises(ProverError, match="segment 0, block 0: the step breaks the rule: "):
                backend.prove(statement, lie)
    gradients = witness.gradients.copy()
    gradients[1, 7] += 2**20
    with pytest.raises(ProverError, match="segment 0, block 0: the step breaks the rule: "):
        backend.prove(statement, replace(witness, gradients=gradients))
    gradients[1, 7] = 2**30
    with pytest.raises(
        ProverError, match=r"segment 0, block 0: the step breaks the rule: gradient of .* below 1073741824"
    ):
        backend.prove(statement, replace(witness, gradients=gradients))


def test_a_prover_that_takes_too_long_is_ended(proved: Proved, ezkl_cache: Cache) -> None:
    backend, statement, witness, _ = proved
    hasty = EzklBackend(backend._circuit, backend.prover.srs_digest, ezkl_cache, prove_seconds=0.5)
    with pytest.raises(ProverError, match=r"longer than 0 s|longer than 1 s"):
        hasty.prove(statement, witness)


def test_an_srs_that_is_not_in_the_cache_is_told(proved: Proved, ezkl_cache: Cache) -> None:
    with pytest.raises(UsageError, match="not in"):
        EzklVerifier(proved[0]._circuit, bytes(32), ezkl_cache)


def test_salts_are_canonical_field_elements() -> None:
    salt = draw_salt()
    assert len(salt_elements(salt)) == 8
    with pytest.raises(VerificationError, match="wrong length"):
        salt_elements(salt[:-1])
    with pytest.raises(VerificationError, match="below the field's order"):
        salt_elements(MODULUS.to_bytes(32, "little") + salt[32:])
    assert len({draw_salt() for _ in range(10)}) == 10


def test_a_sample_is_fixed_by_its_seed() -> None:
    one, two = (sample("adam", 4, 3, draw_salt, seed=7)[1] for _ in range(2))
    for first, second in ((one.start, two.start), (one.end, two.end)):
        assert first.keys() == second.keys()
        assert all(np.array_equal(first[s], second[s]) for s in first)
    assert np.array_equal(one.gradients, two.gradients)


def test_a_witness_lies_in_the_private_folder_and_what_a_crash_left_is_removed(
    proved: Proved, ezkl_cache: Cache, tmp_path: Path
) -> None:
    seen: list[Path] = []

    class Watched(Child):
        def run(self, request: dict[str, Any], *, seconds: float) -> Any:
            seen.append(Path(request["data"]))
            raise ProverError("no proof")

    left = tmp_path / "zk-prove-left"
    left.mkdir()
    (left / "input.json").write_text("the witness of a trainer that was killed")
    prover = proved[0].prover
    backend = EzklBackend(proved[0]._circuit, prover.srs_digest, ezkl_cache, child=Watched(), scratch=tmp_path)
    assert not left.exists()
    with pytest.raises(ProverError, match="no proof"):
        backend.prove(proved[1], proved[2])
    assert seen[0].is_relative_to(tmp_path)
    assert list(tmp_path.iterdir()) == []
