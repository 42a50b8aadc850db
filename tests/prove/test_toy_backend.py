"""A backend of the test's own, from a training to a verdict: its row, and the two modules of its
folder. Nothing else knows its name."""

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from zk_autograd import ZKOptimizer, verify_run
from zk_autograd.core.backends import BACKENDS, Form
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.core.records import Prover
from zk_autograd.core.statement import Statement
from zk_autograd.core.trust import Missing, Trust
from zk_autograd.prove.protocol import Backend, BlockProof, BlockWitness

pytestmark = pytest.mark.torch

ROW = Form("toy", commitment_bytes=20, salt_bytes=8)
OWN = Prover("toy", "1", 4, 2, "toy/any", bytes(32))


def commit(values: Any, salt: bytes) -> bytes:
    return sha256(salt + values.astype("<i8").tobytes()).digest()[:20]


def bound(statement: Statement) -> bytes:
    return sha256(repr(statement).encode()).digest()


# ---- prove/toy/choice.py -------------------------------------------------------------------------


class ToyBackend:
    """Its proofs are the statement's hash and the commitments: they show nothing to anybody."""

    prover = OWN
    different_proofs = 1

    def draw_salt(self) -> bytes:
        return os.urandom(8)

    def commit(self, values: Any, salt: bytes) -> bytes:
        return commit(values, salt)

    def commit_all(self, messages: Iterable[tuple[Any, bytes]]) -> list[bytes]:
        return [commit(*message) for message in messages]

    def prove(self, statement: Statement, witness: BlockWitness) -> BlockProof:
        ends = [
            commit(v, witness.salts[f"{s}_{e}"])
            for e, states in (("in", witness.start), ("out", witness.end))
            for s, v in states.items()
        ]
        return self.check(
            statement, bound(statement) + b"".join([*ends, commit(witness.gradients, witness.salts["G"])])
        )

    def check(self, statement: Statement, proof: bytes) -> BlockProof:
        found = [proof[i : i + 20] for i in range(32, len(proof), 20)]
        if proof[:32] != bound(statement) or len(found) != 3:
            raise VerificationError("the toy proof is of another statement")
        return BlockProof(proof, {"W": found[0]}, {"W": found[1]}, found[2])

    def stop(self) -> None:
        return


class ToyChoice:
    def require_fitting(self, srs: Any, preset: Any) -> None:
        return

    def for_new_run(self, *arguments: Any) -> Backend:
        return ToyBackend()


# ---- prove/toy/verify.py -------------------------------------------------------------------------


@dataclass(frozen=True)
class ToyCircuit:
    rule: str = "sgd"
    block: int = 4
    steps: int = 2
    digest: bytes = bytes(32)


class ToySystem:
    version = "1"
    proofless = ""

    def circuit(self, prover: Prover) -> ToyCircuit:
        return ToyCircuit()

    def check_constants(self, prover: Prover, constants: Any) -> None:
        return

    def trust(self, prover: Prover, allowed: frozenset[bytes]) -> Trust | Missing:
        return Trust("toy proofs", "toy proofs show nothing")

    def checker(self, prover: Prover) -> "ToySystem":
        return self

    def verify(self, statement: Statement, proof: bytes) -> BlockProof:
        return ToyBackend().check(statement, proof)

    def commitments(self, messages: Iterable[tuple[Any, bytes]]) -> Iterator[bytes]:
        return (commit(*message) for message in messages)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    folder: Mapping[str, dict[str, Any]] = {"choice": {"CHOICE": ToyChoice()}, "verify": {"SYSTEM": ToySystem}}
    for name, members in folder.items():
        module = ModuleType(f"zk_autograd.prove.toy.{name}")
        module.__dict__.update(members)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(sys.modules, "zk_autograd.prove.toy", ModuleType("zk_autograd.prove.toy"))
    monkeypatch.setitem(BACKENDS, "toy", ROW)


def test_a_backend_by_its_row_and_its_folder_proves_and_is_judged(toy: None, tmp_path: Path) -> None:
    weight, signer = torch.nn.Parameter(torch.ones(6)), Ed25519Signer("trainer", bytes(32))
    with ZKOptimizer([("w", weight)], "sgd", 0.125, run=tmp_path / "run", prover="toy", key=signer) as optimizer:
        for _ in range(3):
            weight.grad = torch.ones(6)
            optimizer.step()
    report = verify_run(tmp_path / "run", keys=[signer.public_key])
    assert (report.verdict, report.exit_status) == ("L0, L1", 0), report.text()
    assert "toy proofs show nothing" in report.limits
    proof = tmp_path / "run" / "proofs" / "1-0"
    proof.write_bytes(bytes(32) + proof.read_bytes()[32:])
    assert verify_run(tmp_path / "run", keys=[signer.public_key]).exit_status == 1


SOURCES = Path(__file__).resolve().parents[2] / "src/zk_autograd"
NAMED = re.compile(r"[\"'](?:native|ezkl)[\"']|prove\.(?:hashed|native|ezkl)\b")


def test_few_files_name_a_backend() -> None:
    """Outside of its own folder: its row, and commands about one backend's files. Everything else
    asks the row."""
    naming = {
        str(path.relative_to(SOURCES))
        for path in SOURCES.rglob("*.py")
        if NAMED.search(re.sub(r'"""[\s\S]*?"""|#.*', "", path.read_text(encoding="utf-8")))
        and not re.match(r"prove/(hashed|native|ezkl)/", str(path.relative_to(SOURCES)))
    }
    about_its_files = {"cli/circuit.py", "cli/run.py", "cli/verify.py"}
    """`zk-circuit` explains circuits; keys and SRS files are in EZKL's cache;"""
    installed = {"run/environment.py"}
    unrecorded = {"optim/optimizer.py"}
    """An optimizer without a run has the plainest backend's header."""
    types_alone = {"prove/verifiers.py"}
    advice = {"prove/choice.py"}
    """Of a name that nobody has."""
    in_the_image = {"enclave/settings.py", "enclave/prover_host.py", "enclave/demo/demonstration.py"}
    """Which provers an enclave's image has, and whose witnesses it may show to one outside."""
    kernels = {"kernels/choice.py", "kernels/native.py", "kernels/triton_gpu.py"}
    """A kernel is called so, too."""
    clusters = {"prove/executors/protocol.py"}
    """Whose proofs are none of a cluster's."""
    own = {"core/backends.py"} | in_the_image | clusters
    assert naming == own | kernels | about_its_files | installed | unrecorded | types_alone | advice
