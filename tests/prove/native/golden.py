"""Golden proofs of the format zk-autograd/native/v1, made from SHAKE-256 alone: the same bytes on
every machine.

    python -m tests.prove.native.golden       writes tests/data/native/

`cases.json` holds the public part of each proof, and the SHA-256 of its bytes;
`adam-standard.proof` is one of them whole, as a run would store it. They change only together with
the format's version; until that is released, whoever changes the format makes them anew.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256, shake_256
from pathlib import Path
from typing import Any

import numpy as np

from tests.prove.native.examples import ELEMENTS, REAL_STEPS, led, statement_of
from zk_autograd.core.formats import IntArray
from zk_autograd.core.hyper import Rule
from zk_autograd.core.rules import initial_state
from zk_autograd.core.statement import Statement
from zk_autograd.prove.native.backend import NativeBackend
from zk_autograd.prove.native.preset import Preset
from zk_autograd.prove.native.shape import Shape, circuit_digest
from zk_autograd.prove.native.verify import Public
from zk_autograd.prove.protocol import BlockWitness

FOLDER = Path(__file__).parents[2] / "data" / "native"
STORED = "adam-standard"
"""The case whose proof is stored."""


@dataclass(frozen=True, slots=True)
class Case:
    """A proof of 2^13 parameters and 8 steps."""

    shape: Shape
    statement: Statement

    @property
    def public(self) -> dict[str, Any]:
        """The public part, as JSON has it."""
        public = Public.of(self.shape, self.statement)._asdict()
        return {
            **public,
            "constants": [list(c) for c in public["constants"]],
            "context": public["context"].hex(),
            "circuit_digest": circuit_digest(self.shape.name).hex(),
        }

    def prove(self) -> bytes:
        """The proof."""
        return NativeBackend(self.shape).prove(self.statement, self.witness).proof

    @property
    def witness(self) -> BlockWitness:
        """Weights below 2 and gradients below 2^-6, from the case's rule alone."""
        weights, gradients = (
            np.zeros(self.shape.block, np.int64),
            np.zeros((self.shape.steps, self.shape.block), np.int32),
        )
        weights[:ELEMENTS] = self._drawn("weights", ELEMENTS, 34)
        for t in range(REAL_STEPS):
            gradients[t, :ELEMENTS] = self._drawn(f"gradients {t}", ELEMENTS, 23)
        salts = {name: self._bytes(f"salt {name}", 32) for name in self.shape.commitment_names}
        rule = self.shape.rule
        return led(rule, self.statement, initial_state(rule, weights), gradients, salts)

    def _drawn(self, purpose: str, count: int, bits: int) -> IntArray:
        """Uniform integers, at least -2^(bits - 1) and below 2^(bits - 1)."""
        words = np.frombuffer(self._bytes(purpose, 8 * count), "<u8")
        drawn: IntArray = (words >> np.uint64(64 - bits)).astype(np.int64) - 2 ** (bits - 1)
        return drawn

    def _bytes(self, purpose: str, count: int) -> bytes:
        return shake_256(f"golden {self.shape.rule} {purpose}".encode()).digest(count)


def cases() -> dict[str, Case]:
    """Each rule, both presets, both s, with and without decay, a first segment and a later one."""

    def case(rule: Rule, preset: Preset = Preset.STANDARD, **statement: Any) -> Case:
        return Case(Shape(rule, preset, 13, 3), statement_of(rule, **statement))

    return {
        STORED: case(Rule.ADAM),
        "adam-strict": case(Rule.ADAM, Preset.STRICT),
        "adamw-standard": case(Rule.ADAMW, weight_decay="0.1", segment=1),
        "sgd-standard": case(Rule.SGD, s=30),
        "sgd-momentum-standard": case(Rule.SGD_MOMENTUM, s=15, weight_decay="0.1"),
        "sgd-nesterov-standard": case(Rule.NESTEROV, s=30, segment=1),
        "lion-standard": case(Rule.LION, weight_decay="0.1"),
        "rmsprop-strict": case(Rule.RMSPROP, Preset.STRICT, weight_decay="0.1", segment=1),
    }


def main() -> None:
    """Proves all cases and writes the files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    written: dict[str, Mapping[str, Any]] = {}
    for name, case in cases().items():
        proof = case.prove()
        written[name] = {**case.public, "bytes": len(proof), "sha256": sha256(proof).hexdigest()}
        if name == STORED:
            (FOLDER / f"{name}.proof").write_bytes(proof)
    (FOLDER / "cases.json").write_text(json.dumps(written, indent=1) + "\n")


if __name__ == "__main__":
    main()
