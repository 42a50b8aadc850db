"""The values of a circuit for one segment of one block, and the check that they satisfy every line.

EZKL's own witness generation silently accepts values outside the lookup table, and its prover hangs
for ever on such a witness: so `violations` runs first. It evaluates the same plan that the graph is
built from, in the field.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zk_autograd.prove.ezkl.circuit.field import MODULUS, centred
from zk_autograd.prove.ezkl.circuit.layout import Layout
from zk_autograd.prove.ezkl.circuit.operations import DotRows, PairRows, Rows, rows_of
from zk_autograd.prove.ezkl.circuit.part import RuleCircuit
from zk_autograd.prove.ezkl.circuit.public import public_values
from zk_autograd.prove.ezkl.circuit.relations import SALTS, SHIFT, TABLE_MAX, Operation

Tensors = dict[str, list[int]]
"""Values of each committed tensor, in the layout's order, as field elements."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A row whose value is not in the table, or whose output is not what it must be."""

    line: str
    row: int
    value: int

    def __str__(self) -> str:
        return f"line {self.line}, row {self.row}: {self.value} is not in its part of the table"


def tensors(
    layout: Layout,
    circuit: RuleCircuit,
    states: dict[str, Any],
    gradients: Any,
    constants: Sequence[Any],
    context: Sequence[int],
    salts: dict[str, Sequence[int]],
) -> Tensors:
    """The committed tensors of a segment.

    `states`: int64 arrays (T+1, n) of each state; `gradients`: int64 (T, n); `constants`: the T
    steps' constants; `context`: CONTEXT field elements; `salts`: SALTS field elements for each
    committed tensor, from the operating system.
    """
    parts = circuit.hints(states, gradients, constants)
    parts |= {f"{name}_between": copies for name, copies in circuit.between(states, constants).items()}
    aux: list[int] = []
    for name in layout.aux:
        if name == "public":
            aux += public_values(layout, circuit, constants, context)
        else:
            aux += [int(v) for v in np.asarray(parts[name], dtype=object).reshape(-1)]
    values: Tensors = {}
    for state in layout.relations.states:
        values[f"{state}_in"] = [int(v) for v in states[state][0]]
        values[f"{state}_out"] = [int(v) for v in states[state][-1]]
    values["G"] = [int(v) for v in np.asarray(gradients).reshape(-1)]
    values["aux"] = aux
    out: Tensors = {}
    for name, length in layout.lengths.items():
        if len(salts[name]) != SALTS:
            raise ValueError(f"{name}: {len(salts[name])} salts, not {SALTS}")
        out[name] = [v % MODULUS for v in (*values[name], *salts[name])]
        if len(out[name]) != length:
            raise ValueError(f"{name}: {len(out[name])} values, not {length}")
    return out


def table_output(value: int) -> int:
    """The table's output for an entry: 0 at 0, 1 on 1 .. 2^15, 2 above."""
    return int(value > 0) + int(value > 2**SHIFT)


def violations(layout: Layout, values: Tensors, limit: int = 10) -> list[Violation]:
    """The first `limit` rows of these tensors that the circuit would refuse; empty for a witness
    that can be proved."""
    pool = np.empty(layout.pool + sum(_rows(r) for r in rows_of(layout)), dtype=object)
    pool[: layout.pool] = [v for name in layout.lengths for v in values[name]]
    found: list[Violation] = []
    for rows in rows_of(layout):
        end = rows.start + _rows(rows)
        if isinstance(rows, DotRows):
            products = pool[rows.coefficients] * pool[rows.variables]
            pool[rows.start : end] = products.sum(axis=1) % MODULUS
        elif isinstance(rows, PairRows):
            left, right = pool[rows.left], pool[rows.right]
            result = {
                Operation.PRODUCT: lambda a, b: a * b,
                Operation.SUM: lambda a, b: a + b,
                Operation.DIFFERENCE: lambda a, b: a - b,
            }[rows.operation](left, right)
            pool[rows.start : end] = result % MODULUS
        else:
            seen: dict[str, int] = {}
            for row, (value, label, exact) in enumerate(zip(pool[rows.inputs], rows.labels, rows.exact, strict=True)):
                place = seen.get(label, 0)
                seen[label] = place + 1
                pool[rows.start + row] = table_output(value)
                if value > TABLE_MAX or (exact and pool[rows.start + row] != 1):
                    found.append(Violation(label, place, centred(value)))
    return found[:limit]


def _rows(rows: Rows) -> int:
    if isinstance(rows, DotRows):
        return len(rows.variables)
    return len(rows.left) if isinstance(rows, PairRows) else len(rows.inputs)
