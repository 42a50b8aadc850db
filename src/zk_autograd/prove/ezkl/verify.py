"""Verification of a proof: the instances are rebuilt from the statement, the commitments are read from the proof's first points.

Nothing that came with a run is used but the proof's bytes. A proof of another length is refused here, since EZKL ignores trailing
bytes. The points in front are the committed tensors' (layout.commitments), which EZKL puts into the transcript first.
"""

import json
from collections.abc import Sequence
from typing import Any

from zk_autograd.core.errors import ProverError, UnreadableError, VerificationError
from zk_autograd.core.records import SALT_BYTES, Prover
from zk_autograd.core.statement import Statement
from zk_autograd.prove.ezkl.catalogue import EZKL_VERSION, Circuit, load
from zk_autograd.prove.ezkl.child import Child, ChildDied
from zk_autograd.prove.ezkl.field import MODULUS, to_hex
from zk_autograd.prove.ezkl.keys import Cache, Keys
from zk_autograd.prove.ezkl.relations import SALTS
from zk_autograd.prove.ezkl.witness import public_values
from zk_autograd.prove.own_folders import temporary_folder
from zk_autograd.prove.protocol import ProofCommitments

VERIFY_SECONDS = 120.0
POINT_BYTES = 64


def commitments_of(circuit: Circuit, proof: bytes) -> ProofCommitments:
    """The points in front of a proof. VerificationError for a proof of the wrong length."""
    if len(proof) != circuit.proof_bytes:
        raise VerificationError(
            "the proof has the wrong length", expected=f"{circuit.proof_bytes} bytes", found=f"{len(proof)} bytes"
        )
    names = circuit.layout.commitments
    points = {name: proof[i * POINT_BYTES : (i + 1) * POINT_BYTES] for i, name in enumerate(names)}
    states = circuit.layout.relations.states
    return ProofCommitments(
        {s: points[f"{s}_in"] for s in states}, {s: points[f"{s}_out"] for s in states}, points["G"]
    )


def salt_elements(salt: bytes) -> list[int]:
    """The field elements of a salt's bytes. VerificationError for a length or an element that isn't canonical."""
    if len(salt) != SALT_BYTES["ezkl"]:
        raise VerificationError("a salt has the wrong length", expected=str(SALT_BYTES["ezkl"]), found=str(len(salt)))
    elements = [int.from_bytes(salt[32 * i : 32 * i + 32], "little") for i in range(SALTS)]
    if max(elements) >= MODULUS:
        raise VerificationError("a salt's element is not below the field's order")
    return elements


def instances(circuit: Circuit, statement: Statement) -> list[str]:
    """The proof's public values as EZKL writes them: coefficients, context, and the two ones that keep the lookups alive."""
    values = public_values(circuit.layout, circuit.code, statement.constants, statement.context_elements)
    return [to_hex(v) for v in (*values, 1, 1)]


def proof_file(proof: bytes, public: Sequence[str]) -> bytes:
    """EZKL's JSON around a proof's bytes."""
    return json.dumps(
        {
            "protocol": None,
            "instances": [list(public)],
            "proof": list(proof),
            "hex_proof": "0x" + proof.hex(),
            "split": None,
            "pretty_public_inputs": None,
            "timestamp": 0,
            "version": EZKL_VERSION,
        }
    ).encode()


class EzklVerifier:
    """Verifies the proofs of one run with keys made here, from the package's own circuit and an SRS that the caller allowed."""

    def __init__(self, prover: Prover, cache: Cache | None = None, child: Child | None = None) -> None:
        """`prover` is the run's claim: circuit and digest must be the catalogue's. VerificationError if not; UsageError if the SRS is not
        in the cache. Makes the verifying key if it isn't in the cache (about 10 s). The caller has checked that `prover.srs_digest` is
        allowed."""
        self.circuit = load(prover.circuit)
        require_circuit(self.circuit, prover)
        self._child = child or Child()
        try:
            self._keys: Keys = (cache or Cache()).keys(self.circuit, prover.srs_digest, self._child, proving=False)
        except ProverError as error:
            raise VerificationError(f"the verifying key can't be made: {error}") from error

    def verify(self, statement: Statement, proof: bytes) -> ProofCommitments:
        """The commitments of a proof that is valid for the statement. VerificationError for any other that EZKL refuses; UnreadableError if it gives
        no answer."""
        commitments = commitments_of(self.circuit, proof)
        with temporary_folder("zk-verify-") as folder:
            path = folder / "proof.json"
            path.write_bytes(proof_file(proof, instances(self.circuit, statement)))
            request = {
                "do": "verify",
                "proof": str(path),
                "settings": str(self._keys.settings),
                "vk": str(self._keys.vk),
                "srs": str(self._keys.srs),
            }
            try:
                accepted = self._child.run(request, seconds=VERIFY_SECONDS)
            except ChildDied as error:
                raise UnreadableError(f"the proof could not be verified on this machine: {error}") from error
            except ProverError as error:
                raise VerificationError(
                    "the proof does not verify", expected="a proof of the rebuilt statement", found=str(error)
                ) from error
        if accepted is not True:
            raise VerificationError("the proof does not verify")
        return commitments

    def commit(self, values: Any, salt: bytes) -> bytes:
        """The commitment to a block (block,) of a state, padding included. VerificationError for a salt that is none."""
        return self.commit_all([(values, salt)])[0]

    def commit_all(self, messages: Sequence[tuple[Any, bytes]]) -> list[bytes]:
        """The commitments of several blocks, in one child process."""
        try:
            return commit_all(self._child, self._keys, messages)
        except ChildDied as error:
            raise UnreadableError(f"a commitment could not be recomputed on this machine: {error}") from error
        except ProverError as error:
            raise VerificationError(f"a commitment can't be recomputed: {error}") from error


def require_circuit(circuit: Circuit, prover: Prover) -> None:
    """VerificationError unless what a header says of its circuit is what the catalogue says."""
    claimed = (prover.version, prover.circuit_digest, prover.block, prover.steps)
    own = (EZKL_VERSION, circuit.digest, circuit.block, circuit.steps)
    for what, found, expected in zip(
        ("EZKL's version", "the circuit's digest", "block", "steps"), claimed, own, strict=True
    ):
        if found != expected:
            texts = [v.hex() if isinstance(v, bytes) else str(v) for v in (expected, found)]
            raise VerificationError(f"{what} is not the catalogue's", expected=texts[0], found=texts[1])


def commit_all(child: Child, keys: Keys, messages: Sequence[tuple[Any, bytes]]) -> list[bytes]:
    """KZG commitments as a proof writes them: x and y, 32 bytes each, big-endian. ProverError if EZKL refuses, ChildDied if it gives none."""
    if not messages:
        return []
    answer = child.run(
        {
            "do": "commit",
            "messages": [
                [to_hex(v) for v in (*(int(x) for x in values), *salt_elements(salt))] for values, salt in messages
            ],
            "vk": str(keys.vk),
            "settings": str(keys.settings),
            "srs": str(keys.srs),
        },
        seconds=VERIFY_SECONDS + 2.0 * len(messages),
    )
    points = [bytes.fromhex(x)[::-1] + bytes.fromhex(y)[::-1] for x, y in answer]
    if len(points) != len(messages) or any(len(p) != POINT_BYTES for p in points):
        raise ChildDied("commit: EZKL's answer is malformed")
    return points
