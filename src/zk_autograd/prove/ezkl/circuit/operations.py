"""The order of a circuit's operations over one flat pool of values, shared by the graph and by the
witness check.

The pool starts as the concatenation of the committed tensors; each operation appends its results.
An operation is given by the pool indices it reads, so the graph (ONNX nodes) and the check
(arithmetic in the field) are two readings of the same list.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from zk_autograd.prove.ezkl.circuit.layout import Indices, Layout
from zk_autograd.prove.ezkl.circuit.relations import Dot, Lookup, Operation, Pair, Where


@dataclass(frozen=True, slots=True)
class DotRows:
    """`pool[start + r] = sum_k pool[coefficients[r, k]] * pool[variables[r, k]]`."""

    name: str
    start: int
    coefficients: Indices
    variables: Indices


@dataclass(frozen=True, slots=True)
class PairRows:
    """`pool[start + r] = pool[left[r]] (operation) pool[right[r]]`."""

    name: str
    operation: Operation
    start: int
    left: Indices
    right: Indices


@dataclass(frozen=True, slots=True)
class LookupRows:
    """`pool[start + r] = y(pool[inputs[r]])`; `labels` names each row, `exact` marks those whose
    output must be 1."""

    start: int
    inputs: Indices
    labels: tuple[str, ...]
    exact: np.ndarray[Any, np.dtype[np.bool_]]


Rows = DotRows | PairRows | LookupRows


def rows_of(layout: Layout) -> list[Rows]:
    """The circuit's operations in order, every variable resolved to pool indices."""
    n, steps = layout.block, layout.steps
    end = layout.pool
    results: dict[str, Indices] = {}
    plan: list[Rows] = []

    def of_step(name: str) -> Indices:
        return results[name] if name in results else layout.over_steps(name)

    def select(where: Where) -> slice:
        return {Where.ALL: slice(0, steps), Where.INNER: slice(0, steps - 1), Where.LAST: slice(steps - 1, steps)}[
            where
        ]

    for line in layout.relations.lines:
        if isinstance(line, Dot) and line.where in (Where.FIRST_STATE, Where.LAST_STATE):
            side = "in" if line.where is Where.FIRST_STATE else "out"
            coefficients = np.stack([layout.over_elements(c, side) for c, _ in line.terms], axis=1)
            variables = np.stack([layout.over_elements(v, side) for _, v in line.terms], axis=1)
            plan.append(DotRows(line.name, end, coefficients, variables))
            results[line.name] = np.arange(end, end + n)
            end += n
        elif isinstance(line, Dot | Pair):
            chosen = select(line.where)
            count = (chosen.stop - chosen.start) * n
            if count == 0:
                continue
            place = results.setdefault(line.name, np.full((steps, n), -1))
            place[chosen] = np.arange(end, end + count).reshape(-1, n)
            if isinstance(line, Dot):
                coefficients = np.stack([of_step(c)[chosen].reshape(-1) for c, _ in line.terms], axis=1)
                variables = np.stack([of_step(v)[chosen].reshape(-1) for _, v in line.terms], axis=1)
                plan.append(DotRows(line.name, end, coefficients, variables))
            else:
                left, right = (of_step(v)[chosen].reshape(-1) for v in (line.left, line.right))
                plan.append(PairRows(line.name, line.operation, end, left, right))
            end += count
        elif isinstance(line, Lookup):
            inputs, labels, exact = [], [], []
            if line is layout.relations.lines[-1]:
                # The first row of the last lookup is the coefficient 1, whose output is 1 in every
                # honest proof: it is what the graph makes public to keep the lookups alive, and it
                # says nothing about the witness.
                inputs, labels, exact, end = [layout.over_elements("one", "in")[:1]], ["one"], [True], end + 1
            for name in line.names:
                if name in layout.relations.state_hints:
                    index = layout.over_elements(name, "in")
                else:
                    index = of_step(name).reshape(-1)
                if name in line.exact:
                    results[f"y:{name}"] = np.arange(end, end + len(index)).reshape(steps, n)
                inputs.append(index)
                labels += [name] * len(index)
                exact += [name in line.exact] * len(index)
                end += len(index)
            flat = np.concatenate(inputs)
            plan.append(LookupRows(end - len(flat), flat, tuple(labels), np.array(exact)))
    return plan


def table_rows(layout: Layout) -> int:
    """Rows of the circuit's two columns: those of the operations, and half a row for each public
    value.

    EZKL's own count before layout leaves out the padding of inner products with an odd number of
    terms, and the public values' copies.
    """
    return -(-(operation_halves(layout) + layout.public_length) // 2)


def operation_halves(layout: Layout) -> int:
    """Half rows of the operations: an inner product takes ceil(terms / 2) rows, any other value
    half."""
    halves = 0
    for rows in rows_of(layout):
        if isinstance(rows, DotRows):
            halves += len(rows.variables) * 2 * -(-rows.variables.shape[1] // 2)
        else:
            halves += len(rows.left) if isinstance(rows, PairRows) else len(rows.inputs)
    return halves
