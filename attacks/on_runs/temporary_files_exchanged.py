"""Attack on whoever judges EZKL's runs: replace the file in which a proof is handed over, before
EZKL reads it.

Gain: an invalid proof passes. The verifier writes the proof with its public values to a temporary
folder, and a child process reads it from there. Where others can write above that folder, they put
their own in its place: with a valid proof of the same run in it, EZKL says what is true of that
one. Here the exchange happens at the one moment when it succeeds; an attacker tries until it does.

Why it fails: temporary folders are newly made, with mode 0700, and only where nobody else can
rename them: not in a folder that is open to others, unless it is sticky, nor in whatever the
caller's current folder is. The run isn't judged at all then (step 6 is the first that needs EZKL),
and the sentence says what to set. The native prover has no temporary files.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attacks.on_runs.proof_bytes import scalar
from attacks.tools.attempt import EZKL, Attempt, Scene, Submission, outcome
from attacks.tools.outcome import Outcome
from zk_autograd.core.records import Prover
from zk_autograd.core.trust import Missing
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.prove.ezkl.child import Child
from zk_autograd.prove.ezkl.circuit import catalogue
from zk_autograd.prove.ezkl.verify import EzklSystem, EzklVerifier, installed_ezkl
from zk_autograd.verify.outcome import Step

GAIN = "a verdict for an invalid proof"


class Exchanging(Child):
    """A child process whose input is tampered with: `proof`, valid for the same public values."""

    def __init__(self, proof: bytes) -> None:
        super().__init__()
        self._proof = proof

    def run(self, request: dict[str, Any], *, seconds: float) -> Any:
        if request["do"] == "verify":
            path = Path(request["proof"])
            content = json.loads(path.read_bytes())
            if content["hex_proof"] == "0x" + scalar(self._proof).hex():
                path.parent.rename(path.parent.with_name("aside"))
                path.parent.mkdir()
                path.write_text(
                    json.dumps({**content, "proof": list(self._proof), "hex_proof": "0x" + self._proof.hex()})
                )
        return super().run(request, seconds=seconds)


class ExchangingSystem(EzklSystem):
    """EZKL on such a machine."""

    def __init__(self, scene: Scene, proof: bytes) -> None:
        super().__init__(scene.ezkl.cache, installed_ezkl())
        self._scene = scene
        self._proof = proof

    def checker(self, prover: Prover) -> EzklVerifier | Missing:
        circuit = catalogue.load(prover.circuit)
        return EzklVerifier(circuit, prover.srs_digest, self._scene.ezkl.cache, Exchanging(self._proof))


@dataclass(frozen=True, slots=True)
class Sharing:
    """Reads runs for an auditor whose temporary folder is `shared`, open to everybody."""

    shared: Path

    def __call__(self, path: Path) -> RunFolder:
        return _SharingReader(path, self.shared)


class _SharingReader(RunFolder):
    def __init__(self, path: Path, shared: Path) -> None:
        super().__init__(path)
        self._set = _temporary(shared)

    def __enter__(self) -> "_SharingReader":
        self._set.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._set.__exit__(None, None, None)
        super().__exit__()


@contextmanager
def _temporary(folder: Path) -> Iterator[None]:
    before, named = tempfile.tempdir, os.environ.get("TMPDIR")
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
        if named is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = named


def exchanged(scene: Scene) -> Submission:
    """A run with one invalid proof, judged where others write to the folder of temporary files."""
    run = scene.victim.forgery()
    valid = run.proofs[0, 0]
    run.put_proof((0, 0), scalar(valid))
    path, shared = run.write(scene.place()), scene.place()
    shared.mkdir()
    shared.chmod(0o777)
    return Submission(path, scene.policy, Sharing(shared), {"ezkl": ExchangingSystem(scene, valid)})


ATTEMPTS = (Attempt("in an open folder", Step.CHAIN, "where others can exchange them", exchanged, EZKL),)


def run(scene: Scene) -> Outcome:
    """All attempts."""
    return outcome("temporary files exchanged", GAIN, ATTEMPTS, scene)
