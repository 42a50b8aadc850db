"""The published circuits: graph, settings and digest of each, found in the package as data.

A circuit is (variant, block n, steps T); variants.py has the variants, a rule with or without
weight decay. A proof's cost depends on the table's size, and hardly on how full the circuit is, so
each is about as large as fits in 2^16 rows, and a run takes the one that needs the fewest proofs.
The digest is a SHA-256 over the graph's bytes, the canonical settings and EZKL's version:
`zk-circuit build` reproduces the same files and digests.
"""

import lzma
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import sha256
from importlib.resources import files

from zk_autograd.core.canonical import decode
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.hyper import Rule
from zk_autograd.core.text import quoted
from zk_autograd.prove.ezkl.circuit.layout import Layout
from zk_autograd.prove.ezkl.circuit.part import RuleCircuit
from zk_autograd.prove.ezkl.circuit.variants import CIRCUITS, variant_of

EZKL_VERSION = "23.0.5"
MAX_FILE = 2**24

SHAPES: dict[str, tuple[tuple[int, int], ...]] = {
    "adam": ((32, 64), (64, 32), (480, 4)),
    "adamw": ((32, 52), (64, 26), (400, 4)),
    "sgd": ((32, 192), (128, 47), (700, 8)),
    "sgd-decay": ((32, 112), (128, 28), (440, 8)),
    "sgd-momentum": ((32, 128), (128, 32), (500, 8)),
    "sgd-momentum-decay": ((32, 88), (128, 22), (344, 8)),
    "sgd-nesterov": ((32, 94), (128, 23), (360, 8)),
    "sgd-nesterov-decay": ((32, 70), (128, 17), (276, 8)),
    "rmsprop": ((64, 32),),
    "lion": ((64, 36),),
}
"""(n, T) of the published circuits of each variant: few parameters and many steps, the middle, many
parameters and few steps; for RMSprop and Lion the middle alone."""


def circuit_name(variant: str, block: int, steps: int) -> str:
    return f"{variant}-n{block}-t{steps}"


def circuit_digest(onnx: bytes, settings: bytes) -> bytes:
    """SHA-256 over EZKL's version, the settings and the graph, each with its length."""
    digest = sha256(b"zk-autograd/circuit/v0\n")
    for part in (EZKL_VERSION.encode(), settings, onnx):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()


@dataclass(frozen=True)
class Circuit:
    """A published circuit. `onnx` and `settings` are the files' bytes, `proof_bytes` the length of
    each of its proofs."""

    variant: str
    block: int
    steps: int
    onnx: bytes
    settings: bytes
    proof_bytes: int

    @property
    def name(self) -> str:
        return circuit_name(self.variant, self.block, self.steps)

    @property
    def rule(self) -> str:
        """The rule that it proves steps of."""
        return self.code.rule.value

    @cached_property
    def digest(self) -> bytes:
        return circuit_digest(self.onnx, self.settings)

    @cached_property
    def layout(self) -> Layout:
        return Layout(self.code.relations, self.block, self.steps)

    @property
    def code(self) -> RuleCircuit:
        return CIRCUITS[self.variant]


def names() -> list[str]:
    """The names of all circuits of the catalogue."""
    return [circuit_name(variant, *shape) for variant, shapes in SHAPES.items() for shape in shapes]


@cache
def load(name: str) -> Circuit:
    """A circuit by name. VerificationError if the catalogue has none of that name or its files
    don't match its digest."""
    for variant, shapes in SHAPES.items():
        for block, steps in shapes:
            if circuit_name(variant, block, steps) == name:
                return _read(variant, block, steps)
    raise VerificationError("the circuit is not in the catalogue", expected=", ".join(names()), found=quoted(name))


def _read(variant: str, block: int, steps: int) -> Circuit:
    name = circuit_name(variant, block, steps)
    folder = files("zk_autograd.prove.ezkl") / "circuits" / name
    try:
        packed, settings, card = (
            (folder / f).read_bytes() for f in ("network.onnx.xz", "settings.json", "circuit.json")
        )
        onnx = lzma.LZMADecompressor().decompress(packed, MAX_FILE)
    except (OSError, lzma.LZMAError) as error:
        raise VerificationError(
            f"the published circuit {name} can't be read; reinstall the package: {error}"
        ) from error
    fields = Fields(decode(card, max_bytes=MAX_FILE), name)
    digest, proof_bytes = fields.hex("digest", 32), fields.integer("proof_bytes", 1, 2**20)
    fields.text("ezkl", 40)
    fields.text("name", 100)
    fields.end()
    circuit = Circuit(variant, block, steps, onnx, settings, proof_bytes)
    if circuit.digest != digest:
        raise VerificationError(
            f"the published circuit {name} is damaged; reinstall the package",
            expected=digest.hex(),
            found=circuit.digest.hex(),
        )
    return circuit


def proofs_needed(block: int, steps: int, group_sizes: Sequence[int], run_steps: int) -> int:
    """How many proofs a run of `run_steps` steps takes with a circuit of that shape."""
    return sum(-(-size // block) for size in group_sizes) * -(-run_steps // steps)


def choose(rule: Rule, group_sizes: Sequence[int], run_steps: int | None = None, *, decays: bool = False) -> Circuit:
    """The circuit that needs the fewest proofs for parameter groups of these sizes and a run of
    `run_steps` steps (None: a long one).

    `decays` is whether a group has weight decay.
    """
    name, wanted = variant_of(rule, decays=decays), run_steps or 2**20
    block, steps = min(SHAPES[name], key=lambda shape: proofs_needed(shape[0], shape[1], group_sizes, wanted))
    return load(circuit_name(name, block, steps))
