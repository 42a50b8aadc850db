"""A shape of the native backend: rule, preset, and how many parameters and steps one proof holds.

A circuit's name is native/<rule>-<preset>. Its digest is a SHA-256 over what the compiled module
says of its columns, relations and parameters, all variants in turn; for the rules of SGD the text
for s = 30 and then the one for s = 15, since the groups of one run may differ in s: a statement's s
is that of its constants. N parameters and T steps, both powers of two, are not part of the name; a
proof takes N*T rows of the trace. N is a block of the header, and a commitment doesn't depend on T.

Bounds: the lookup table of 2^16 entries lies in the trace, which needs at least as many rows; below
2^13 parameters the masked state is not a codeword; above 2^20 rows neither memory nor proven
soundness has been worked out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256

from zk_autograd.core.errors import VerificationError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import Prover
from zk_autograd.core.rules import state_names
from zk_autograd.core.rules.families import FAMILIES
from zk_autograd.core.text import quoted
from zk_autograd.prove.native.extension import require_built
from zk_autograd.prove.native.preset import DEFAULT_PRESET, Preset

VERSION = "1"
MIN_LOG_ROWS = 16
MAX_LOG_ROWS = 20
MIN_LOG_PARAMS = 13
LARGEST_BLOCK = 17
"""log2 of the largest block that `choose` takes: a larger group is split, so that a proof still
holds several steps."""
USUAL_STEPS = 4
"""log2 of the steps of a proof where the run's length isn't known."""
FIXED_ROWS = 2**17
"""What a proof costs apart from its rows, in rows: about the work for its challenges."""

_CIRCUITS = {f"native/{rule.value}-{preset}": (rule, preset) for rule in Rule for preset in Preset}


@dataclass(frozen=True, slots=True)
class Shape:
    """`log_params` and `log_steps` are log2 of N and T. VerificationError outside the bounds: they
    may come from a stranger's header."""

    rule: Rule
    preset: Preset
    log_params: int
    log_steps: int

    def __post_init__(self) -> None:
        most = MAX_LOG_ROWS - max(self.log_steps, 0)
        least = max(MIN_LOG_PARAMS, MIN_LOG_ROWS - max(self.log_steps, 0))
        if not (self.log_steps >= 0 and least <= self.log_params <= most):
            raise VerificationError(
                "the native prover has no such shape",
                expected=f"at least 2^{MIN_LOG_PARAMS} parameters, and 2^{MIN_LOG_ROWS} to 2^{MAX_LOG_ROWS} rows",
                found=f"2^{self.log_params} parameters, 2^{self.log_steps} steps",
            )

    @classmethod
    def of(cls, prover: Prover) -> "Shape":
        """The shape that a header names; its digest and version are the caller's to compare.
        VerificationError if there is none."""
        rule, preset = circuit(prover.circuit)
        for what, value in (("block", prover.block), ("steps", prover.steps)):
            if value < 1 or value & (value - 1):
                raise VerificationError(
                    f"the native prover's {what} must be a power of two", expected="a power of two", found=str(value)
                )
        return cls(rule, preset, prover.block.bit_length() - 1, prover.steps.bit_length() - 1)

    @property
    def name(self) -> str:
        return f"native/{self.rule.value}-{self.preset}"

    @property
    def block(self) -> int:
        return 1 << self.log_params

    @property
    def steps(self) -> int:
        return 1 << self.log_steps

    @property
    def digest(self) -> bytes:
        """As `circuit_digest`."""
        return circuit_digest(self.name)

    @property
    def prover(self) -> Prover:
        """What a header says about it. UsageError if the compiled module is missing."""
        return Prover("native", VERSION, self.block, self.steps, self.name, self.digest)

    @property
    def commitment_names(self) -> tuple[str, ...]:
        """The commitments at the front of a proof, in order."""
        states = state_names(self.rule)
        return (*(f"{s}_in" for s in states), *(f"{s}_out" for s in states), "G")

    def security(self) -> float:
        """Proven bits of a proof, the variants' lowest. UsageError if the compiled module is
        missing."""
        require_built()
        from zk_autograd import _native

        return min(
            _native.security(self.rule.value, s, self.preset.value, self.log_params, self.log_steps)
            for s in shifts(self.rule)
        )


def names() -> list[str]:
    """The names of all circuits."""
    return list(_CIRCUITS)


def circuit(name: str) -> tuple[Rule, Preset]:
    """The circuit of this name. VerificationError if there is none."""
    if name not in _CIRCUITS:
        raise VerificationError(
            "the native prover has no such circuit", expected=", ".join(_CIRCUITS), found=quoted(name)
        )
    return _CIRCUITS[name]


def shifts(rule: Rule) -> tuple[int, ...]:
    """The values of s that the constants of `rule` may have, in the order of the digest; 0 for a
    rule without s."""
    return FAMILIES[rule].shifts


@cache
def description(name: str) -> str:
    """The columns, relations and parameters of a circuit, as text. UsageError if the compiled
    module is missing."""
    rule, preset = circuit(name)
    require_built()
    from zk_autograd import _native

    return "".join(_native.describe(rule.value, s, preset.value) for s in shifts(rule))


def circuit_digest(name: str) -> bytes:
    """SHA-256 of `description`, in UTF-8. Raises as it does."""
    return sha256(description(name).encode()).digest()


def choose(
    rule: Rule, group_sizes: Sequence[int], expected_steps: int | None = None, preset: Preset = DEFAULT_PRESET
) -> Shape:
    """The shape for parameter groups of these sizes and a run of `expected_steps` steps, None where
    that is not known.

    N holds the largest group, or as much of it as a block may. Of the T that fit, the one whose
    proofs cost the least in all, `FIXED_ROWS` for each and its rows, no-op steps included; of
    several the largest.
    """
    log_params = min(max((max(group_sizes) - 1).bit_length(), MIN_LOG_PARAMS), LARGEST_BLOCK)
    candidates = range(max(MIN_LOG_ROWS - log_params, 0), MAX_LOG_ROWS - log_params + 1)
    if expected_steps is None:
        log_steps = min(max(USUAL_STEPS, candidates[0]), candidates[-1])
    else:
        log_steps = min(
            reversed(candidates), key=lambda log: -(-expected_steps >> log) * ((1 << log_params + log) + FIXED_ROWS)
        )
    return Shape(rule, preset, log_params, log_steps)
