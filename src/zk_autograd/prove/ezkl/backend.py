"""The proving side: witness, child process, proof, and its own verification."""

import json
import secrets
import shutil
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from zk_autograd.core.errors import ProverError, RangeError, UsageError, VerificationError
from zk_autograd.core.records import Prover
from zk_autograd.core.statement import Statement
from zk_autograd.local.own_folders import temporary_folder
from zk_autograd.prove.ezkl.child import Child
from zk_autograd.prove.ezkl.circuit.catalogue import EZKL_VERSION, Circuit
from zk_autograd.prove.ezkl.circuit.field import MODULUS, to_hex
from zk_autograd.prove.ezkl.circuit.relations import SALTS
from zk_autograd.prove.ezkl.keys import Cache, Keys
from zk_autograd.prove.ezkl.verify import EzklVerifier, commit_all, salt_elements
from zk_autograd.prove.ezkl.witness import Tensors, tensors, violations
from zk_autograd.prove.following import states_of
from zk_autograd.prove.protocol import BlockProof, BlockWitness

PROVE_SECONDS = 900.0
COMMITTED_AT_ONCE = 64
_WITNESS = "zk-prove-"
DIFFERENT_PROOFS = 3
"""Proofs of one segment that may become known: each opens the salted columns at a new point, and a
state's column is in two segments' proofs. 1 commitment + 2 * 3 openings is below the SALTS = 8
unknowns of a column."""


def draw_salt() -> bytes:
    """SALTS uniform field elements from the operating system, 32 bytes each, little-endian."""
    return b"".join(secrets.randbelow(MODULUS).to_bytes(32, "little") for _ in range(SALTS))


def input_of(circuit: Circuit, values: Tensors) -> str:
    """EZKL's input file for a circuit's tensors."""
    return json.dumps({"input_data": [[to_hex(v) for v in values[t]] for t in circuit.layout.lengths]})


def prove_tensors(
    circuit: Circuit,
    keys: Keys,
    child: Child,
    values: Tensors,
    *,
    seconds: float,
    scratch: Path | None = None,
) -> bytes:
    """EZKL's proof for a circuit's tensors. ProverError if it dies, refuses or times out; on
    tensors that break a relation it hangs."""
    with temporary_folder(_WITNESS, scratch) as folder:
        (folder / "input.json").write_text(input_of(circuit, values))
        answer = child.run(
            {
                "do": "prove",
                "data": str(folder / "input.json"),
                "witness": str(folder / "witness.json"),
                "proof": str(folder / "proof.json"),
                "compiled": str(keys.compiled),
                "vk": str(keys.vk),
                "pk": str(keys.pk),
                "srs": str(keys.srs),
            },
            seconds=seconds,
        )
    try:
        return bytes.fromhex(str(answer).removeprefix("0x"))
    except ValueError as error:
        raise ProverError("prove: EZKL's answer is malformed") from error


def tensors_of(circuit: Circuit, statement: Statement, witness: BlockWitness, aux_salt: bytes) -> Tensors:
    """The circuit's tensors of a witness: the states between its ends by the rule, and the end that
    the witness says. RangeError, UsageError for steps that the rule has not."""
    states = list(states_of(circuit.code.rule, statement.constants, witness))
    salts: Mapping[str, bytes] = {**witness.salts, "aux": aux_salt}
    return tensors(
        circuit.layout,
        circuit.code,
        {name: np.stack([*(state[name] for state in states[:-1]), witness.end[name]]) for name in witness.start},
        witness.gradients.astype(np.int64),
        statement.constants,
        statement.context_elements,
        {name: salt_elements(salts[name]) for name in circuit.layout.lengths},
    )


class EzklBackend:
    """Proves segments with one circuit under one SRS. Missing keys are made at construction."""

    def __init__(
        self,
        circuit: Circuit,
        srs_digest: bytes,
        cache: Cache | None = None,
        prove_seconds: float = PROVE_SECONDS,
        child: Child | None = None,
        scratch: Path | None = None,
    ) -> None:
        """`scratch` is where a witness lies while EZKL reads it (default: the system's temporary
        folder). A run's own private folder is the right place: what a killed trainer leaves there
        is removed here; elsewhere it would stay.

        UsageError if the SRS is not in the cache, ProverError if the keys can't be made."""
        self._circuit = circuit
        self._child = child or Child()
        self._seconds = prove_seconds
        self._scratch = scratch
        for left in () if scratch is None else scratch.glob(_WITNESS + "*"):
            shutil.rmtree(left, ignore_errors=True)
        cache = cache or Cache()
        self._keys = cache.keys(circuit, srs_digest, self._child, proving=True)
        self._prover = Prover(
            "ezkl", EZKL_VERSION, circuit.block, circuit.steps, circuit.name, circuit.digest, srs_digest
        )
        self._verifier = EzklVerifier(circuit, srs_digest, cache, self._child)

    @property
    def prover(self) -> Prover:
        return self._prover

    @property
    def different_proofs(self) -> int:
        return DIFFERENT_PROOFS

    def draw_salt(self) -> bytes:
        return draw_salt()

    def commit(self, values: Any, salt: bytes) -> bytes:
        return self.commit_all([(values, salt)])[0]

    def commit_all(self, messages: Iterable[tuple[Any, bytes]]) -> list[bytes]:
        """COMMITTED_AT_ONCE in a process: starting one takes longer than a commitment."""
        rest, found = iter(messages), list[bytes]()
        while some := list(islice(rest, COMMITTED_AT_ONCE)):
            found += commit_all(self._child, self._keys, some)
        return found

    def commit_gradients(self, gradients: Any, salt: bytes) -> bytes:
        return self.commit(np.asarray(gradients).reshape(-1), salt)

    def prove(self, statement: Statement, witness: BlockWitness) -> BlockProof:
        values = self.witness(statement, witness)
        proof = prove_tensors(
            self._circuit, self._keys, self._child, values, seconds=self._seconds, scratch=self._scratch
        )
        try:
            return self.check(statement, proof)
        except VerificationError as error:
            raise ProverError(
                f"segment {statement.segment}, block {statement.block}: the proof that was made does not verify: {error}"
            ) from error

    def witness(self, statement: Statement, witness: BlockWitness) -> dict[str, list[int]]:
        """The circuit's tensors. ProverError with line and row if they break a relation: EZKL would
        hang."""
        place = f"segment {statement.segment}, block {statement.block}"
        try:
            values = tensors_of(self._circuit, statement, witness, self.draw_salt())
        except (RangeError, UsageError) as error:
            raise ProverError(f"{place}: the step breaks the rule: {error}") from error
        if broken := violations(self._circuit.layout, values):
            raise ProverError(f"{place}: the step breaks the rule: {broken[0]}")
        return values

    def check(self, statement: Statement, proof: bytes) -> BlockProof:
        found = self._verifier.verify(statement, proof)
        return BlockProof(proof, found.state_in, found.state_out, found.gradient)

    def stop(self) -> None:
        self._child.stop()
