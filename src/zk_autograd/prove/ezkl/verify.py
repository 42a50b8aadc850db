"""Verification of a proof: the instances are rebuilt from the statement, the commitments are read
from the proof's first points.

Only the proof's bytes are taken from a run. A proof of the wrong length is refused here, since EZKL
ignores trailing bytes. The first points are the committed tensors' (layout.commitments), which EZKL
puts into the transcript first.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from types import EllipsisType
from typing import Any

from zk_autograd.core.backends import BACKENDS
from zk_autograd.core.constants import StepConstants
from zk_autograd.core.errors import ProverError, UnreadableError, UsageError, VerificationError
from zk_autograd.core.records import Prover
from zk_autograd.core.statement import Statement
from zk_autograd.core.trust import Missing, Trust
from zk_autograd.local.own_folders import temporary_folder
from zk_autograd.prove.commitments import ProofCommitments
from zk_autograd.prove.ezkl.ceremonies import CEREMONIES
from zk_autograd.prove.ezkl.child import Child, ChildDied
from zk_autograd.prove.ezkl.circuit import catalogue
from zk_autograd.prove.ezkl.circuit.catalogue import EZKL_VERSION, Circuit
from zk_autograd.prove.ezkl.circuit.field import MODULUS, to_hex
from zk_autograd.prove.ezkl.circuit.public import public_values
from zk_autograd.prove.ezkl.circuit.relations import SALTS
from zk_autograd.prove.ezkl.keys import Cache, Keys

VERIFY_SECONDS = 120.0
POINT_BYTES = 64
_COMMITTED_AT_ONCE = 64


def commitments_of(circuit: Circuit, proof: bytes) -> ProofCommitments:
    """The points at the front of a proof. VerificationError for a proof of the wrong length."""
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
    """The field elements of a salt's bytes. VerificationError for a wrong length or element."""
    if len(salt) != BACKENDS["ezkl"].salt_bytes:
        raise VerificationError(
            "a salt has the wrong length", expected=str(BACKENDS["ezkl"].salt_bytes), found=str(len(salt))
        )
    elements = [int.from_bytes(salt[32 * i : 32 * i + 32], "little") for i in range(SALTS)]
    if max(elements) >= MODULUS:
        raise VerificationError("a salt's element is not below the field's order")
    return elements


def instances(circuit: Circuit, statement: Statement) -> list[str]:
    """The proof's public values as EZKL writes them: coefficients, context, and the two 1s that
    keep the lookups alive."""
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
    """Verifies the proofs of one circuit with keys made here, and commits to blocks as they do.
    `circuit` is one of the package's own, `srs_digest` that of an SRS that the caller allows."""

    def __init__(
        self, circuit: Circuit, srs_digest: bytes, cache: Cache | None = None, child: Child | None = None
    ) -> None:
        """UsageError if the SRS is not in the cache. Makes a missing verifying key (about 10 s)."""
        self.circuit = circuit
        self._child = child or Child()
        try:
            self._keys: Keys = (cache or Cache()).keys(circuit, srs_digest, self._child, proving=False)
        except ProverError as error:
            raise VerificationError(f"the verifying key can't be made: {error}") from error

    def verify(self, statement: Statement, proof: bytes) -> ProofCommitments:
        """The commitments of a proof that is valid for the statement. VerificationError for any
        that EZKL refuses; UnreadableError if it gives no answer."""
        commitments = commitments_of(self.circuit, proof)
        with _on_this_machine("a proof could not be verified"), temporary_folder("zk-verify-") as folder:
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
        """The commitment to a padded block (block,) of a state. VerificationError for an invalid
        salt."""
        return self.commit_all([(values, salt)])[0]

    def commitments(self, messages: Iterable[tuple[Any, bytes]]) -> Iterator[bytes]:
        """The commitment of each (padded values, salt), computed as they are consumed."""
        rest = iter(messages)
        while some := list(islice(rest, _COMMITTED_AT_ONCE)):
            yield from self.commit_all(some)

    def commit_gradients(self, gradients: Any, salt: bytes) -> bytes:
        """The commitment to a segment's gradients, int32 (steps, block) with the padding, as every
        proof of them has it. VerificationError for an invalid salt."""
        return self.commit(gradients.reshape(-1), salt)

    def commit_all(self, messages: Sequence[tuple[Any, bytes]]) -> list[bytes]:
        """The commitments of several blocks, in one child process."""
        try:
            with _on_this_machine("a commitment could not be recomputed"):
                return commit_all(self._child, self._keys, messages)
        except ChildDied as error:
            raise UnreadableError(f"a commitment could not be recomputed on this machine: {error}") from error
        except ProverError as error:
            raise VerificationError(f"a commitment can't be recomputed: {error}") from error


@contextmanager
def _on_this_machine(what: str) -> Iterator[None]:
    """UnreadableError for what this machine lacks; UsageError: no folder for temporary files."""
    try:
        yield
    except (OSError, UsageError) as error:
        raise UnreadableError(f"{what} on this machine: {error}") from error


def commit_all(child: Child, keys: Keys, messages: Sequence[tuple[Any, bytes]]) -> list[bytes]:
    """KZG commitments as a proof writes them: x and y, 32 bytes each, big-endian. ProverError if
    EZKL refuses, ChildDied if it gives no answer."""
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


def installed_ezkl() -> str | None:
    """The version of EZKL installed here, None if there is none. It is not imported."""
    try:
        return version("ezkl")
    except PackageNotFoundError:
        return None


def trusted_setup(digest: bytes, allowed: frozenset[bytes]) -> Trust | Missing:
    """What proofs under an SRS rest on: whoever made it can forge. Those of public ceremonies are
    allowed by default."""
    ceremony = CEREMONIES.get(digest)
    if ceremony is None and digest not in allowed:
        return Missing(
            f"the SRS {digest.hex()} is not allowed: whoever made it can forge these proofs. If that can't be the trainer, allow it "
            f"with --srs-digest"
        )
    named = "" if ceremony is None else f" ({ceremony})"
    whose = "whoever made it" if ceremony is None else f"every participant of the ceremony together ({ceremony})"
    return Trust(
        f"the SRS {digest.hex()}{named} is allowed",
        f"the proofs hold only if you trust the SRS {digest.hex()}: {whose} could forge them",
    )


class EzklSystem:
    """EZKL with the circuits of the package's catalogue and the SRS files of a cache."""

    version = catalogue.EZKL_VERSION
    proofless = ""

    def __init__(self, cache: Cache | None = None, installed: str | EllipsisType | None = ...) -> None:
        """`cache` is the user's own by default, `installed` `installed_ezkl()`."""
        self._cache = cache or Cache()
        self._installed = installed_ezkl() if installed is ... else installed

    def circuit(self, prover: Prover) -> catalogue.Circuit:
        return catalogue.load(prover.circuit)

    def check_constants(self, prover: Prover, constants: StepConstants) -> None:
        """If a circuit has no line for weight decay, the constant D is not a public value of a
        proof, which then holds without it."""
        if constants.D != 0 and not catalogue.load(prover.circuit).code.decays:
            raise VerificationError(
                f"the run claims weight decay, but its circuit {prover.circuit} doesn't show it",
                expected="D = 0",
                found=str(constants.D),
            )

    def trust(self, prover: Prover, allowed: frozenset[bytes]) -> Trust | Missing:
        return trusted_setup(prover.srs_digest, allowed)

    def checker(self, prover: Prover) -> "EzklVerifier | Missing":
        """Makes the verifying key if the cache has none (about 10 s)."""
        if self._installed is None:
            return Missing("EZKL is not installed here: pip install 'zk-autograd[ezkl]'")
        if self._installed != self.version:
            return Missing(
                f"EZKL {self._installed} is installed here, and these proofs need {self.version}: pip install ezkl=={self.version}"
            )
        try:
            return EzklVerifier(catalogue.load(prover.circuit), prover.srs_digest, self._cache)
        except (UsageError, VerificationError, OSError) as error:
            # The circuit is the verifier's own, so a failure here is this machine's: the SRS file,
            # the cache folder, the set-up.
            return Missing(str(error))


SYSTEM = EzklSystem
