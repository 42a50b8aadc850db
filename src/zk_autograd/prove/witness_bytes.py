"""A proof that is made elsewhere, as bytes: what is asked for, and what the prover reads.

An enclave asks its host (enclave.outside), a trainer its workers (prove.executors.task).
The word has the run's prover, the statement without its constants, and the salts; the data are
integers, little-endian: of 64 bits the constants (steps x 5), each state in the rule's order before
the first step (block), and the same after the last; of 32 bits the gradients (steps x block).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from zk_autograd.core.backends import BACKENDS
from zk_autograd.core.canonical import MAX_INTEGER, Json
from zk_autograd.core.constants import NUMBERS, from_numbers, numbers
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import Prover
from zk_autograd.core.rules import state_names
from zk_autograd.core.rules.families import FAMILIES
from zk_autograd.core.statement import Statement
from zk_autograd.core.trust import Missing
from zk_autograd.prove.protocol import BlockWitness
from zk_autograd.prove.verifiers import Systems

PROVERS = tuple(name for name, form in BACKENDS.items() if form.proves)

MAX_ROWS = 2**22
"""Steps times elements of a block."""

_MAX_SALT = 256


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be proved, but for the integers. `rule` is that of the prover's circuit."""

    prover: Prover
    rule: Rule
    header_digest: bytes
    segment: int
    first_step: int
    block: int
    block_size: int
    salts: Mapping[str, bytes]

    @classmethod
    def of(cls, prover: Prover, statement: Statement, witness: BlockWitness) -> "Wanted":
        """What somebody asks for."""
        place = (statement.header_digest, statement.segment, statement.first_step, statement.block)
        return cls(prover, rule_of(prover), *place, statement.block_size, dict(witness.salts))

    def word(self) -> dict[str, Json]:
        """To be said before the data."""
        return {
            "prover": {
                "backend": self.prover.backend,
                "version": self.prover.version,
                "block": self.prover.block,
                "steps": self.prover.steps,
                "circuit": self.prover.circuit,
                "digest": self.prover.circuit_digest.hex(),
                "srs": self.prover.srs_digest.hex(),
            },
            "header": self.header_digest.hex(),
            "segment": self.segment,
            "first": self.first_step,
            "index": self.block,
            "elements": self.block_size,
            "salts": {name: salt.hex() for name, salt in self.salts.items()},
            "size": self.size,
        }

    @classmethod
    def parse(cls, fields: Fields, provers: Sequence[str] = PROVERS) -> "Wanted":
        """VerificationError for what is out of bounds, for a circuit that is not here, and for
        another backend than one of `provers`."""
        prover, salts = _prover(fields.object("prover"), provers), fields.object("salts")
        rule = rule_of(prover)
        names = [f"{state}_{end}" for state in state_names(rule) for end in ("in", "out")] + ["G"]
        found = cls(
            prover,
            rule,
            fields.hex("header", 32),
            fields.integer("segment", 0, MAX_INTEGER),
            fields.integer("first", 0, MAX_INTEGER),
            fields.integer("index", 0, MAX_INTEGER),
            fields.integer("elements", 1, MAX_ROWS),
            {name: _salt(salts.text(name, 2 * _MAX_SALT)) for name in names},
        )
        salts.end()
        if found.prover.block * found.prover.steps > MAX_ROWS or found.block_size > found.prover.block:
            raise VerificationError("the proof has too many rows", expected=f"at most {MAX_ROWS}")
        fields.integer("size", found.size, found.size)
        fields.end()
        return found

    @property
    def size(self) -> int:
        """Bytes of the data."""
        return sum(np.dtype(kind).itemsize * prod(shape) for kind, shape in self._arrays())

    def data(self, statement: Statement, witness: BlockWitness) -> list[bytes]:
        """The data, in the order above."""
        constants = np.array([numbers(c) for c in statement.constants], np.int64)
        ends = [states[name] for states in (witness.start, witness.end) for name in state_names(self.rule)]
        kinds = (kind for kind, _ in self._arrays())
        arrays = zip([constants, *ends, witness.gradients], kinds, strict=True)
        return [np.ascontiguousarray(array, dtype=kind).tobytes() for array, kind in arrays]

    def read(self, data: bytes) -> tuple[Statement, BlockWitness]:
        """Statement and witness of `size` bytes of data. VerificationError for constants that are
        none of the rule's."""
        arrays: list[Any] = []
        at = 0
        for kind, shape in self._arrays():
            found = np.frombuffer(data, kind, prod(shape), at).reshape(shape)
            at += found.nbytes
            arrays.append(found.astype(found.dtype.newbyteorder("=")))
        of_rule = FAMILIES[self.rule].constants
        constants = tuple(from_numbers(of_rule, row.tolist()) for row in arrays[0])
        statement = Statement(self.header_digest, self.segment, self.first_step, self.block, self.block_size, constants)
        names = state_names(self.rule)
        start, end = (dict(zip(names, arrays[at : at + len(names)], strict=True)) for at in (1, 1 + len(names)))
        return statement, BlockWitness(start, end, arrays[-1], self.salts)

    def _arrays(self) -> list[tuple[str, tuple[int, ...]]]:
        """Type and shape of each array of the data."""
        steps, block = self.prover.steps, self.prover.block
        states = [("<i8", (block,))] * (2 * len(state_names(self.rule)))
        return [("<i8", (steps, NUMBERS)), *states, ("<i4", (steps, block))]


def rule_of(prover: Prover) -> Rule:
    """The rule of a prover's circuit. VerificationError if this version has no such circuit."""
    circuit = Systems()[prover.backend].circuit(prover)
    if isinstance(circuit, Missing):
        raise VerificationError(f"the circuit {prover.circuit} is not here: {circuit.reason}")
    return Rule(circuit.rule)


def _prover(fields: Fields, provers: Sequence[str]) -> Prover:
    backend = fields.choice("backend", provers)
    found = Prover(
        backend,
        fields.text("version", 40),
        fields.integer("block", 1, MAX_ROWS),
        fields.integer("steps", 1, MAX_ROWS),
        fields.text("circuit", 200),
        fields.hex("digest", 32),
        fields.hex("srs", 32 if BACKENDS[backend].setup else 0),
    )
    fields.end()
    return found


def _salt(text: str) -> bytes:
    if len(text) % 2 or set(text) - set("0123456789abcdef"):
        raise VerificationError("a salt is invalid", expected="lower-case hexadecimal digits")
    return bytes.fromhex(text)
