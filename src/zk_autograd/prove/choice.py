"""Which backend proves a run: by name or ready-made, for a new run or as the header of an old one says."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from zk_autograd.core.errors import RunError, UsageError, VerificationError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import Prover
from zk_autograd.prove.hashed.backend import HashedBackend
from zk_autograd.prove.names import DEFAULT_PRESET, Preset
from zk_autograd.prove.native.shape import Shape, choose
from zk_autograd.prove.protocol import Backend

HASHED_BLOCK = 2**20
"""Parameters that the backend `none` commits to together, at most."""


def backend_for_new_run(
    prover: str | Backend,
    rule: Rule,
    group_sizes: Sequence[int],
    srs: str | Path | None,
    expected_steps: int | None,
    scratch: Path,
    preset: str | None = None,
    *,
    decays: bool = False,
) -> Backend:
    """The backend called `prover` (one of `names.PROVERS`), or `prover` itself.

    `scratch` is the folder that holds a witness while it is proved: the run's private one. `srs` is the SRS of "ezkl": a file, which is
    copied to the cache, the digest in hexadecimal of one in the cache, or None for the newest one there; "native" has none, and a `preset`
    instead (None: standard). `decays` is whether a group has a weight decay. Raises UsageError for an SRS or an extra that is missing, an SRS or
    a preset of another prover, ProverError if keys can't be made.
    """
    require_fitting(prover, srs, preset)
    if not isinstance(prover, str):
        return prover
    if prover == "none":
        return HashedBackend(block=min(HASHED_BLOCK, max(group_sizes)))
    if prover == "native":
        return _native(choose(rule, group_sizes, expected_steps, preset_called(preset)))
    if prover != "ezkl":
        raise UsageError(
            f'there is no prover {prover[:40]!r}; choose "native" or "ezkl", which prove each step, or "none", which only logs hashes'
        )
    _require_ezkl()
    from zk_autograd.prove.ezkl.backend import EzklBackend
    from zk_autograd.prove.ezkl.circuit import catalogue

    circuit = catalogue.choose(rule, group_sizes, expected_steps, decays=decays)
    return EzklBackend(circuit, srs_digest(srs), scratch=scratch)


def require_fitting(prover: str | Backend, srs: str | Path | None, preset: str | None) -> None:
    """Raises UsageError for a preset of a prover that has none, and for an SRS of the native one."""
    if preset is not None and prover != "native":
        raise UsageError("a preset is chosen for the prover native alone: leave it out, or choose that prover")
    if srs is not None and prover == "native":
        raise UsageError("the prover native needs no SRS: leave it out, or choose the prover ezkl")


def require_provable(prover: str | Backend, rule: Rule, decays: Mapping[str, str]) -> None:
    """Raises UsageError for a backend whose circuit is another rule's, or has no line for a weight decay: the steps would be refused later.

    `decays` has the weight decay of each parameter group that has one, by what messages call the group.
    """
    if isinstance(prover, str) or prover.prover.backend != "ezkl":
        return
    from zk_autograd.prove.ezkl.circuit import catalogue

    circuit = catalogue.load(prover.prover.circuit)
    if circuit.rule != rule.value:
        raise UsageError(
            f'the circuit {circuit.name} proves steps of {circuit.rule}, not of {rule.value}: take one of that rule, or prover="ezkl"'
        )
    for group, decay in {} if circuit.code.decays else decays.items():
        raise UsageError(
            f"weight_decay of {group} is {decay}, and the circuit {circuit.name} proves steps without it: set it to 0, or take a circuit "
            'with decay, or prover="ezkl"'
        )


def backend_of_run(recorded: Prover, prover: str | Backend, srs: str | Path | None, scratch: Path) -> Backend:
    """The backend of a run that goes on: `prover` if that is one, else what the run's header recorded. `srs` and `scratch` as in
    `backend_for_new_run`; None for the SRS means that it is in the cache.

    Raises RunError if this version has another circuit by that name, UsageError and ProverError as `backend_for_new_run`.
    """
    if not isinstance(prover, str):
        return prover
    if recorded.backend == "none":
        return HashedBackend(recorded.block, recorded.steps)
    if recorded.backend == "native":
        require_fitting("native", srs, None)
        try:
            backend = _native(Shape.of(recorded))
        except VerificationError as error:
            raise RunError(f"this version can't go on with the run: {error}") from error
        _require_same_circuit(recorded, backend.prover.circuit_digest)
        return backend
    _require_ezkl()
    from zk_autograd.prove.ezkl.backend import EzklBackend
    from zk_autograd.prove.ezkl.circuit import catalogue

    try:
        circuit = catalogue.load(recorded.circuit)
    except VerificationError as error:
        raise RunError(f"this version can't go on with the run: {error}") from error
    _require_same_circuit(recorded, circuit.digest)
    if srs is not None and srs_digest(srs) != recorded.srs_digest:
        raise RunError(
            f"the run was begun with another SRS, {recorded.srs_digest.hex()}: name that one, or none if the cache has it"
        )
    return EzklBackend(circuit, recorded.srs_digest, scratch=scratch)


def srs_digest(srs: str | Path | None) -> bytes:
    """The digest of the SRS that `srs` means, in the cache from now on. As `backend_for_new_run`."""
    from zk_autograd.prove.ezkl.keys import Cache

    cache = Cache()
    if srs is None:
        digests = cache.srs_digests()
        if not digests:
            raise UsageError(
                "there is no SRS in the cache: take the one that the auditor made, or a public ceremony's, and name it with --srs FILE "
                "(srs=); for a trial of your own, `zk-circuit srs --out FILE` makes one"
            )
        return digests[0]
    text = str(srs)
    if len(text) == 64 and not text.strip("0123456789abcdef") and not Path(text).exists():
        return bytes.fromhex(text)
    return cache.add_srs(Path(srs))


def preset_called(name: str | None) -> Preset:
    """The native prover's preset of this name, None for the default. UsageError if there is none."""
    try:
        return DEFAULT_PRESET if name is None else Preset(name)
    except ValueError as error:
        raise UsageError(f"there is no preset {name!r:.40}; it is one of {', '.join(Preset)}") from error


def _native(shape: Shape) -> Backend:
    from zk_autograd.prove.native.backend import NativeBackend

    return NativeBackend(shape)


def _require_same_circuit(recorded: Prover, digest: bytes) -> None:
    if digest != recorded.circuit_digest:
        raise RunError(
            f"the run was begun with another circuit {recorded.circuit} (digest {recorded.circuit_digest.hex()}): "
            "install the version of zk-autograd that began it"
        )


def _require_ezkl() -> None:
    if find_spec("ezkl") is None:
        raise UsageError(
            "the prover ezkl is not installed: `pip install 'zk-autograd[ezkl]'`, or choose the prover none, which proves nothing"
        )
