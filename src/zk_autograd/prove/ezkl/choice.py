"""How a trainer gets EZKL."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from zk_autograd.core.errors import RunError, UsageError, VerificationError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import Prover
from zk_autograd.prove.ezkl.circuit import catalogue
from zk_autograd.prove.protocol import Backend, Cost, Planned, Sample, Wanted, require_same_circuit

PROOF_SECONDS = 10
"""A proof's time is that of its table, 2^16 rows, whatever is in it."""
KEY_SECONDS = 20
"""Making the keys of a circuit, where the cache has none."""
CACHE_BYTES = 340 * 10**6
"""Keys and SRS in the user's cache folder, shared by all runs of one circuit."""

_BASIS = "10 s a proof and 20 s for new keys, measured on two idle cores"


class EzklChoice:
    """The published circuit that needs the fewest proofs (catalogue.choose)."""

    def require_fitting(self, srs: str | Path | None, preset: str | None) -> None:
        if preset is not None:
            raise UsageError("only the prover native has presets: leave it out, or choose that prover")

    def preset_of(self, recorded: Prover) -> str:
        return ""

    def require_provable(self, prover: Prover, rule: Rule, decays: Mapping[str, str]) -> None:
        circuit = catalogue.load(prover.circuit)
        if circuit.rule != rule.value:
            raise UsageError(
                f'the circuit {circuit.name} proves steps of {circuit.rule}, not of {rule.value}: take a circuit of that rule, or prover="ezkl"'
            )
        for group, decay in {}.items() if circuit.code.decays else decays.items():
            raise UsageError(
                f"weight_decay of {group} is {decay}, but the circuit {circuit.name} proves steps without it: set it to 0, or take a circuit "
                'with decay, or prover="ezkl"'
            )

    def planned(self, wanted: Wanted) -> Planned:
        circuit = catalogue.choose(wanted.rule, wanted.group_sizes, wanted.steps, decays=wanted.decays)
        return Planned(circuit.block, circuit.steps, f"with the circuit {circuit.name}", cost(circuit.proof_bytes))

    def sample(self, wanted: Wanted) -> Sample | None:
        """None: its smallest proof takes as long as any other."""
        return None

    def for_new_run(self, wanted: Wanted, srs: str | Path | None, scratch: Path) -> Backend:
        _require_installed()
        from zk_autograd.prove.ezkl.backend import EzklBackend

        circuit = catalogue.choose(wanted.rule, wanted.group_sizes, wanted.steps, decays=wanted.decays)
        return EzklBackend(circuit, srs_digest(srs), scratch=scratch)

    def of_run(self, recorded: Prover, srs: str | Path | None, scratch: Path) -> Backend:
        _require_installed()
        from zk_autograd.prove.ezkl.backend import EzklBackend

        try:
            circuit = catalogue.load(recorded.circuit)
        except VerificationError as error:
            raise RunError(f"this version can't resume the run: {error}") from error
        require_same_circuit(recorded, circuit.digest)
        if srs is not None and srs_digest(srs) != recorded.srs_digest:
            raise RunError(
                f"the run was begun with another SRS, {recorded.srs_digest.hex()}: give that one, or none if the cache has it"
            )
        return EzklBackend(circuit, recorded.srs_digest, scratch=scratch)


def cost(proof_bytes: int) -> Cost:
    """Roughly what proofs of this length cost."""
    return Cost(proof_bytes, PROOF_SECONDS, KEY_SECONDS, CACHE_BYTES, _BASIS)


def srs_digest(srs: str | Path | None) -> bytes:
    """The digest of the SRS that `srs` means, which is then in the cache. As
    `backend_for_new_run`."""
    from zk_autograd.prove.ezkl.keys import Cache

    cache = Cache()
    if srs is None:
        digests = cache.srs_digests()
        if not digests:
            raise UsageError(
                "there is no SRS in the cache: take the one that the auditor made, or a public ceremony's, and give it with --srs FILE "
                "(srs=); for a trial of your own, `zk-circuit srs --out FILE` makes one"
            )
        return digests[0]
    text = str(srs)
    if len(text) == 64 and not text.strip("0123456789abcdef") and not Path(text).exists():
        return bytes.fromhex(text)
    return cache.add_srs(Path(srs))


def _require_installed() -> None:
    if find_spec("ezkl") is None:
        raise UsageError(
            "the prover ezkl is not installed: `pip install 'zk-autograd[ezkl]'`, or choose the prover none, which proves nothing"
        )


CHOICE = EzklChoice()
