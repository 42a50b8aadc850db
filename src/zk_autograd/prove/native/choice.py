"""How a trainer gets the native prover."""

from collections.abc import Mapping
from pathlib import Path

from zk_autograd.core.errors import RunError, UsageError, VerificationError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import Prover
from zk_autograd.core.rules import state_names
from zk_autograd.prove.native.preset import DEFAULT_PRESET, Preset
from zk_autograd.prove.native.shape import Shape, choose
from zk_autograd.prove.protocol import Backend, Cost, Planned, Sample, Wanted, require_same_circuit

ROWS_PER_SECOND = {1: 270_000, 2: 270_000, 3: 250_000}
"""By the number of a rule's states. A proof has a row per parameter and step, with padding."""
PROOF_SECONDS = 0.4
"""What a proof costs apart from its rows: the work for its challenges."""
PROOF_BYTES = 1_060_000
"""Of the largest proof, AdamW's under the preset strict; the smallest has less than half."""

SAMPLE_LOG_ROWS = 17
"""log2 of the rows of a proof that is made to see how fast a machine is."""
GROWTH = 1.04
"""A proof's time grows as this power of its rows (benchmarks/bench_native.py, `native.growth`)."""

_BASIS = "{fixed} s and {rate:,} rows a second for a proof of about a megabyte at most, measured on two cores"


class NativeChoice:
    """The shape whose proofs cost the least in all (shape.choose)."""

    def require_fitting(self, srs: str | Path | None, preset: str | None) -> None:
        if srs is not None:
            raise UsageError("the prover native needs no SRS: leave it out, or choose the prover ezkl")

    def preset_of(self, recorded: Prover) -> str:
        return Shape.of(recorded).preset.value

    def require_provable(self, prover: Prover, rule: Rule, decays: Mapping[str, str]) -> None:
        """It proves every rule, with any weight decay."""

    def planned(self, wanted: Wanted) -> Planned:
        shape = _shape(wanted)
        return Planned(
            shape.block,
            shape.steps,
            f"of up to {shape.steps} steps with the circuit {shape.name}",
            cost(wanted.rule, shape),
        )

    def sample(self, wanted: Wanted) -> Sample | None:
        shape = _shape(wanted)
        rows = shape.log_params + shape.log_steps
        small = min(rows, SAMPLE_LOG_ROWS)
        params = min(shape.log_params, small)
        try:
            backend = _backend(Shape(shape.rule, shape.preset, params, small - params))
        except UsageError:  # the compiled module isn't built
            return None
        words = f"proofs of 2^{small} rows" + (f", scaled to 2^{rows}" if rows > small else "")
        return Sample(backend, 2.0 ** (GROWTH * (rows - small)), words)

    def for_new_run(self, wanted: Wanted, srs: str | Path | None, scratch: Path) -> Backend:
        return _backend(_shape(wanted))

    def of_run(self, recorded: Prover, srs: str | Path | None, scratch: Path) -> Backend:
        self.require_fitting(srs, None)
        try:
            backend = _backend(Shape.of(recorded))
        except VerificationError as error:
            raise RunError(f"this version can't resume the run: {error}") from error
        require_same_circuit(recorded, backend.prover.circuit_digest)
        return backend


def preset_called(name: str | None) -> Preset:
    """The native preset of this name, None for the default. UsageError if there is none."""
    try:
        return DEFAULT_PRESET if name is None else Preset(name)
    except ValueError as error:
        raise UsageError(f"there is no preset {name!r:.40}; it is one of {', '.join(Preset)}") from error


def cost(rule: Rule, shape: Shape) -> Cost:
    """Roughly what a proof of this shape costs. It needs no keys."""
    rate = ROWS_PER_SECOND[len(state_names(rule))]
    seconds = PROOF_SECONDS + shape.block * shape.steps / rate
    return Cost(PROOF_BYTES, seconds, basis=_BASIS.format(fixed=PROOF_SECONDS, rate=rate))


def _shape(wanted: Wanted) -> Shape:
    return choose(wanted.rule, wanted.group_sizes, wanted.steps, preset_called(wanted.preset))


def _backend(shape: Shape) -> Backend:
    from zk_autograd.prove.native.backend import NativeBackend

    return NativeBackend(shape)


CHOICE = NativeChoice()
