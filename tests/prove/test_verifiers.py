"""The backends as the verifier has them: what this machine lacks is no fault of the run's."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zk_autograd.core.backends import BACKENDS
from zk_autograd.core.errors import UnreadableError, VerificationError
from zk_autograd.core.records import Prover
from zk_autograd.core.statement import Statement
from zk_autograd.core.trust import Missing
from zk_autograd.prove.ezkl.backend import draw_salt
from zk_autograd.prove.ezkl.child import Child
from zk_autograd.prove.ezkl.circuit.catalogue import EZKL_VERSION, load
from zk_autograd.prove.ezkl.keys import Cache
from zk_autograd.prove.ezkl.sample import sample
from zk_autograd.prove.ezkl.verify import EzklSystem, EzklVerifier, installed_ezkl
from zk_autograd.prove.hashed.backend import HashedBackend
from zk_autograd.prove.hashed.verify import MAX_BLOCK, MAX_STEPS, VERSION, HashedSystem
from zk_autograd.prove.native import extension
from zk_autograd.prove.native import shape as native
from zk_autograd.prove.native.verify import NativeSystem

NAME = "adam-n480-t4"


def prover_of(srs_digest: bytes) -> Prover:
    circuit = load(NAME)
    return Prover("ezkl", EZKL_VERSION, circuit.block, circuit.steps, NAME, circuit.digest, srs_digest)


def test_hashed_backend_of_the_trainer_is_within_the_verifiers_bounds() -> None:
    prover = HashedBackend().prover
    assert prover.version == VERSION
    assert prover.block <= MAX_BLOCK
    assert prover.steps <= MAX_STEPS


def test_hashed_commitments_are_the_trainers() -> None:
    values, salt = np.arange(5), bytes(range(32))
    assert list(HashedSystem().commitments([(values, salt)])) == [HashedBackend().commit(values, salt)]


def test_hashed_backend_verifies_nothing() -> None:
    with pytest.raises(VerificationError, match="no proofs"):
        HashedSystem().verify(Statement(bytes(32), 0, 1, 0, 1, ()), b"")


def test_ezkl_has_the_catalogues_circuits_and_no_others(tmp_path: Path) -> None:
    system = EzklSystem(Cache(tmp_path), EZKL_VERSION)
    circuit = system.circuit(prover_of(bytes(32)))
    assert (circuit.rule, circuit.block, circuit.steps) == ("adam", 480, 4)
    with pytest.raises(VerificationError, match="not in the catalogue"):
        system.circuit(replace(prover_of(bytes(32)), circuit="adam-n1-t1"))


def test_ezkl_not_installed_names_the_extra(tmp_path: Path) -> None:
    checker = EzklSystem(Cache(tmp_path), None).checker(prover_of(bytes(32)))
    assert isinstance(checker, Missing)
    assert "zk-autograd[ezkl]" in checker.reason


def test_ezkl_of_another_version_is_not_used(tmp_path: Path) -> None:
    checker = EzklSystem(Cache(tmp_path), "1.2.3").checker(prover_of(bytes(32)))
    assert isinstance(checker, Missing)
    assert "EZKL 1.2.3 is installed here" in checker.reason


def test_ezkl_srs_that_is_not_in_the_cache(tmp_path: Path) -> None:
    checker = EzklSystem(Cache(tmp_path), EZKL_VERSION).checker(prover_of(bytes(32)))
    assert isinstance(checker, Missing)
    assert "--srs FILE" in checker.reason


def test_ezkl_srs_that_is_damaged_in_the_cache(tmp_path: Path) -> None:
    path = Cache(tmp_path).srs_path(bytes(32))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not what its name says")
    checker = EzklSystem(Cache(tmp_path), EZKL_VERSION).checker(prover_of(bytes(32)))
    assert isinstance(checker, Missing)
    assert "damaged" in checker.reason


class NoDisk(Child):
    """A child process that can't be given its files."""

    def run(self, request: Any, *, seconds: float) -> Any:
        raise OSError(28, "No space left on device")


@pytest.mark.ezkl
@pytest.mark.slow
def test_ezkl_without_disk_is_a_refusal(ezkl_cache: Cache, srs_digest: bytes) -> None:
    checker = EzklVerifier(load(NAME), srs_digest, ezkl_cache)
    checker._child = NoDisk()
    with pytest.raises(UnreadableError, match=r"could not be verified on this machine: .*No space left"):
        checker.verify(sample("adam", 480, 4, draw_salt)[0], bytes(load(NAME).proof_bytes))
    with pytest.raises(UnreadableError, match=r"could not be recomputed on this machine: .*No space left"):
        list(checker.commitments([(np.zeros(480, np.int64), bytes(BACKENDS["ezkl"].salt_bytes))]))


class Counting(EzklVerifier):
    """A verifier that notes how many commitments it was asked for at once."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def commit_all(self, messages: Any) -> list[bytes]:
        self.asked.append(len(messages))
        return [bytes(64)] * len(messages)


def test_ezkl_commitments_are_asked_for_in_portions() -> None:
    verifier = Counting()
    messages = ((np.zeros(1, np.int64), bytes(256)) for _ in range(130))
    assert len(list(verifier.commitments(messages))) == 130
    assert verifier.asked == [64, 64, 2]


@pytest.mark.ezkl
@pytest.mark.slow
def test_ezkl_commits_for_real(ezkl_cache: Cache, srs_digest: bytes) -> None:
    checker = EzklSystem(ezkl_cache, installed_ezkl()).checker(prover_of(srs_digest))
    assert not isinstance(checker, Missing), checker
    zeros, salt = np.zeros(480, np.int64), bytes(BACKENDS["ezkl"].salt_bytes)
    first, second, other = checker.commitments([(zeros, salt), (zeros, salt), (zeros + 1, salt)])
    assert first == second != other
    assert len(first) == 64
    with pytest.raises(VerificationError, match="wrong length"):
        list(checker.commitments([(zeros, b"")]))


def test_ezkl_key_that_cannot_be_made_is_this_machines_fault(tmp_path: Path) -> None:
    """An SRS file of the right digest that EZKL can't use: its set-up fails in the child
    process."""
    junk = tmp_path / "junk"
    junk.write_bytes(b"no SRS")
    from zk_autograd.prove.ezkl.keys import file_digest

    digest = file_digest(junk)
    path = Cache(tmp_path).srs_path(digest)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no SRS")
    checker = EzklSystem(Cache(tmp_path), EZKL_VERSION).checker(replace(prover_of(bytes(32)), srs_digest=digest))
    assert isinstance(checker, Missing)
    assert "verifying key can't be made" in checker.reason


NATIVE = Prover("native", "1", 2**13, 8, "native/adam-standard", bytes(32))


@pytest.mark.parametrize("built", [True, False])
def test_native_header_of_no_circuit_is_the_runs_fault_built_or_not(
    built: bool, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("native_prover" if built else "without_native")
    for changes in ({"circuit": "native/adam-lax"}, {"block": 2**13 - 1}, {"steps": 2**10}, {"block": 2**40}):
        with pytest.raises(VerificationError, match="native prover"):
            NativeSystem().circuit(replace(NATIVE, **changes))


def test_native_module_that_is_not_built_is_this_machines_fault(without_native: None) -> None:
    system = NativeSystem()
    for found in (system.circuit(NATIVE), system.trust(NATIVE, frozenset()), system.checker(NATIVE)):
        assert isinstance(found, Missing)
        assert "make install" in found.reason


@pytest.mark.usefixtures("native_prover")
def test_native_has_its_own_circuits() -> None:
    for name in native.names():
        circuit = NativeSystem().circuit(replace(NATIVE, circuit=name))
        assert not isinstance(circuit, Missing)
        assert name.startswith(f"native/{circuit.rule}-")
        assert (circuit.block, circuit.steps, circuit.digest) == (2**13, 8, native.circuit_digest(name))


@pytest.mark.usefixtures("native_prover")
def test_native_proofs_rest_on_no_srs_and_say_how_many_bits_they_are_worth() -> None:
    for name, decoding in (("native/sgd-standard", "Johnson list decoding"), ("native/sgd-strict", "unique decoding")):
        prover = replace(NATIVE, circuit=name)
        trust = NativeSystem().trust(prover, frozenset())
        assert not isinstance(trust, Missing)
        assert trust.security is not None
        proven = native.Shape.of(prover).security()
        assert trust.security.proven_bits == proven
        assert f"{decoding}, random-oracle model" in trust.limit
        words = re.fullmatch(
            rf"native STARK, preset (\w+): (\d+\.\d) proven bits \({decoding}, random-oracle model\)",
            trust.finding,
        )
        assert words is not None, trust.finding
        assert words[1] == name.rpartition("-")[2]
        assert 0 <= proven - float(words[2]) < 0.1 + 1e-9  # never more than it is


@pytest.mark.usefixtures("native_prover")
def test_native_commitments_are_the_trainers() -> None:
    from zk_autograd.prove.native.backend import NativeBackend

    checker = NativeSystem().checker(NATIVE)
    assert not isinstance(checker, Missing)
    values, salt = np.arange(2**13), bytes(range(32))
    backend = NativeBackend(native.Shape.of(NATIVE))
    assert list(checker.commitments([(values, salt)])) == [backend.commit(values, salt)]
    with pytest.raises(VerificationError, match="wrong length"):
        list(checker.commitments([(values, b"")]))


@pytest.mark.usefixtures("native_prover")
def test_a_fork_in_which_the_compiled_module_can_not_work_says_nothing_of_a_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checker = NativeSystem().checker(NATIVE)
    assert not isinstance(checker, Missing)
    monkeypatch.setattr(extension, "_process", 1)  # as in a fork of a process that verified before
    with pytest.raises(UnreadableError, match="was at work in process 1 before this one was forked from it"):
        list(checker.commitments([(np.arange(2**13), bytes(32))]))
    with pytest.raises(UnreadableError, match="was at work in process 1"):
        checker.verify(Statement(bytes(32), 0, 1, 0, 2**13, ()), b"")
