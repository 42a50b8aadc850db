"""The backends that a verifier knows: `none`, which commits and proves nothing, the native STARK, and EZKL.

EZKL is imported in child processes alone; here only its presence is looked up, so that a verifier without it says so. The native
verifier runs in this process: it is the package's own compiled module, which answers any bytes with an error.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from math import floor

from zk_autograd.core.constants import StepConstants
from zk_autograd.core.errors import ProverError, UnreadableError, UsageError, VerificationError
from zk_autograd.core.formats import IntArray
from zk_autograd.core.records import Prover
from zk_autograd.core.statement import Statement
from zk_autograd.prove.ezkl import catalogue
from zk_autograd.prove.ezkl.keys import Cache
from zk_autograd.prove.ezkl.verify import EzklVerifier
from zk_autograd.prove.hashed.commitment import commit
from zk_autograd.prove.native import shape as native
from zk_autograd.prove.native.verify import NativeVerifier
from zk_autograd.verify.ceremonies import CEREMONIES
from zk_autograd.verify.evidence import Circuit, Commitments, Missing, ProofChecker, Security, Trust

HASHED_VERSION = "1"
HASHED_MAX_BLOCK = 2**20
HASHED_MAX_STEPS = 256
"""The verifier's own bounds on a run of the backend `none`, which has no circuit: they bound memory, and the work for each record."""

_COMMITTED_AT_ONCE = 64


class HashedChecker:
    """Salted SHA-256 commitments, and no proofs."""

    def verify(self, statement: Statement, proof: bytes) -> Commitments:
        raise VerificationError("a run of the backend none has no proofs")

    def commitments(self, messages: Iterable[tuple[IntArray, bytes]]) -> Iterator[bytes]:
        return (commit(values, salt) for values, salt in messages)


class EzklChecker:
    """EzklVerifier as a ProofChecker: what the machine lacks while it works is an UnreadableError, never another exception."""

    def __init__(self, verifier: EzklVerifier) -> None:
        self._verifier = verifier

    def verify(self, statement: Statement, proof: bytes) -> Commitments:
        try:
            return self._verifier.verify(statement, proof)
        except (OSError, UsageError) as error:  # UsageError: no folder for temporary files that is the caller's alone
            raise UnreadableError(f"a proof could not be verified on this machine: {error}") from error

    def commitments(self, messages: Iterable[tuple[IntArray, bytes]]) -> Iterator[bytes]:
        rest = iter(messages)
        while some := list(islice(rest, _COMMITTED_AT_ONCE)):
            try:
                yield from self._verifier.commit_all(some)
            except (OSError, UsageError) as error:
                raise UnreadableError(f"a commitment could not be recomputed on this machine: {error}") from error


def installed_ezkl() -> str | None:
    """The version of EZKL that is installed here, None if there is none. Nothing of it is imported."""
    try:
        return version("ezkl")
    except PackageNotFoundError:
        return None


def trusted_setup(digest: bytes, allowed: frozenset[bytes]) -> Trust | Missing:
    """What rests on an SRS: whoever made it can forge."""
    if digest not in allowed:
        return Missing(
            f"the SRS {digest.hex()} is not allowed: whoever made it can forge these proofs. If that can't be the trainer, allow it "
            f"with --srs-digest"
        )
    ceremony = CEREMONIES.get(digest)
    named = "" if ceremony is None else f" ({ceremony})"
    whose = "whoever made it" if ceremony is None else f"every participant of the ceremony together ({ceremony})"
    return Trust(
        f"the SRS {digest.hex()}{named} is allowed",
        f"the proofs hold for who trusts the SRS {digest.hex()}: {whose} could forge them",
    )


class EzklSystem:
    """EZKL with the circuits of the package's catalogue and the SRS files of a cache."""

    def __init__(self, cache: Cache, installed: str | None) -> None:
        """`installed` is `installed_ezkl()`."""
        self._cache = cache
        self._installed = installed

    @property
    def version(self) -> str:
        return catalogue.EZKL_VERSION

    def circuit(self, prover: Prover) -> Circuit:
        return catalogue.load(prover.circuit)

    def check_constants(self, prover: Prover, constants: StepConstants) -> None:
        """Where a circuit has no line for weight decay, its constant D is no public value of a proof, which then holds without it."""
        if constants.D != 0 and not catalogue.load(prover.circuit).code.decays:
            raise VerificationError(
                f"the run claims weight decay, and its circuit {prover.circuit} doesn't show it",
                expected="D = 0",
                found=str(constants.D),
            )

    def trust(self, prover: Prover, allowed: frozenset[bytes]) -> Trust | Missing:
        return trusted_setup(prover.srs_digest, allowed)

    def checker(self, prover: Prover) -> ProofChecker | Missing:
        """Makes the verifying key if the cache has none (about 10 s)."""
        if self._installed is None:
            return Missing("EZKL is not installed here: pip install 'zk-autograd[ezkl]'")
        if self._installed != self.version:
            return Missing(
                f"EZKL {self._installed} is installed here, and these proofs need {self.version}: pip install ezkl=={self.version}"
            )
        try:
            return EzklChecker(EzklVerifier(prover, self._cache))
        except (UsageError, VerificationError, OSError) as error:
            # The circuit was compared before, so what fails here is this machine's: the SRS file, the cache folder, the set-up.
            return Missing(str(error))


class NativeCircuit:
    """A shape of the native prover as a Circuit."""

    def __init__(self, shape: native.Shape) -> None:
        """UsageError if the compiled module is missing."""
        self.rule = shape.rule.value
        self.block = shape.block
        self.steps = shape.steps
        self.digest = shape.digest


class NativeChecker:
    """NativeVerifier as a ProofChecker."""

    def __init__(self, verifier: NativeVerifier) -> None:
        self._verifier = verifier

    def verify(self, statement: Statement, proof: bytes) -> Commitments:
        with _in_own_process():
            return self._verifier.verify(statement, proof)

    def commitments(self, messages: Iterable[tuple[IntArray, bytes]]) -> Iterator[bytes]:
        for values, salt in messages:
            with _in_own_process():
                commitment = self._verifier.commit(values, salt)
            yield commitment


@contextmanager
def _in_own_process() -> Iterator[None]:
    """The compiled module refuses to work in a fork of a process where it was at work: that says nothing of a run."""
    try:
        yield
    except ProverError as error:
        raise UnreadableError(str(error)) from error


class NativeSystem:
    """The native STARK. It needs no set-up, and its circuits come with the compiled module."""

    @property
    def version(self) -> str:
        return native.VERSION

    def circuit(self, prover: Prover) -> NativeCircuit | Missing:
        shape = native.Shape.of(prover)  # a name or a shape that nobody has is the run's fault, built here or not
        try:
            return NativeCircuit(shape)
        except UsageError as error:
            return Missing(str(error))

    def check_constants(self, prover: Prover, constants: StepConstants) -> None:
        """Every constant of a step, weight decay too, is a public value of its proof."""

    def trust(self, prover: Prover, allowed: frozenset[bytes]) -> Trust | Missing:
        """A hash function, and the preset's assumption."""
        shape = native.Shape.of(prover)
        try:
            proven = shape.security()
        except UsageError as error:
            return Missing(str(error))
        assumption = shape.preset.assumption
        return Trust(
            f"native STARK, preset {shape.preset}: {_bits(proven)} proven bits ({assumption})",
            f"the proofs need no trusted set-up; that none of them is false rests on the preset's assumption ({assumption}): "
            f"to forge one takes work of {_bits(proven)} bits at least",
            Security(proven, assumption),
        )

    def checker(self, prover: Prover) -> ProofChecker | Missing:
        try:
            return NativeChecker(NativeVerifier(native.Shape.of(prover)))
        except UsageError as error:
            return Missing(str(error))


def _bits(bits: float) -> str:
    """Bits with one decimal, rounded down: no more is said than is shown."""
    return f"{floor(10 * bits) / 10:.1f}"
