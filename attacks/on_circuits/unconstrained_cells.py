"""Attack: write anything into a cell that the circuit forgot. A graph says what is computed; only
the key says what is enforced.

EZKL turns nodes into gates, copies and lookups, reorders, folds and drops as it sees fit. A value
that is assigned and not copied, a gate without its selector, a padding zero that isn't tied to a
constant, a public value that is not a copy of the committed one: honest proofs verify all the same,
and the relations on paper say nothing about it.

Gain: whatever the forgotten cell decides; with a free padding cell any sum, so any state.

Why it fails: this program takes the circuit apart again. It reads a proving key (copies as a
permutation, selectors and the table as fixed columns) and looks for every row of the plan: an inner
product as a chain of DotInit and Dot gates on copies of just those cells, a product, sum or
difference as its gate, a lookup as an enabled lookup row, each public value as a copy of an
instance cell. The columns and gates are EZKL's (src/circuit/ops/chip.rs, src/graph/vars.rs):
committed tensors first, then two columns each for the left operands, the right ones and the
results; the constant 0, where an inner product is padded with it; selectors in the order in which
they are made. Then nothing may be left over.

    python -m attacks.on_circuits.unconstrained_cells SRS [CIRCUIT]

CIRCUIT is one of the catalogue; default: a small one of each rule.
"""

import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from attacks.tools.mock import compiled
from attacks.tools.outcome import Outcome
from attacks.tools.proving_key import ROWS, ProvingKey, read
from zk_autograd.prove.ezkl.circuit import catalogue
from zk_autograd.prove.ezkl.circuit.layout import Layout
from zk_autograd.prove.ezkl.circuit.operations import DotRows, LookupRows, PairRows, rows_of
from zk_autograd.prove.ezkl.circuit.relations import LOGROWS, TABLE_MAX, Operation
from zk_autograd.prove.ezkl.circuit.variants import CIRCUITS
from zk_autograd.prove.ezkl.graph import model
from zk_autograd.prove.ezkl.witness import table_output

GAIN = "whatever a forgotten cell decides"

_GATES = ("Add0", "Sub0", "Mul0", "Add1", "Sub1", "Mul1", "DotInit", "Dot")
_UNUSED = ("CumProd", "CumProdInit", "Sum", "SumInit")
_LOOKUPS = ("Lookup0", "Lookup1")
_NAMES = {Operation.PRODUCT: "Mul", Operation.SUM: "Add", Operation.DIFFERENCE: "Sub"}


class Dismantled:
    """A circuit taken apart: for each kind of gate, the results that it gives for given operands,
    all as sets of equal cells."""

    def __init__(self, key: ProvingKey, tensors: int) -> None:
        self.key = key
        self.left, self.right, self.result = ((tensors + 2 * i, tensors + 2 * i + 1) for i in range(3))
        selectors = [*_GATES, *_UNUSED, *_LOOKUPS]
        constants, self.table, gates = (
            key.fixed[: -len(selectors) - 2],
            key.fixed[-len(selectors) - 2 :][:2],
            key.fixed[-len(selectors) :],
        )
        if len(constants) > 1 or len(gates) != len(selectors) or len(self.table) != 2:
            raise AssertionError(f"{len(key.fixed)} fixed columns: EZKL's gates are not those that this program knows")
        self.on = {
            name: {row for row, value in enumerate(column) if value}
            for name, column in zip(selectors, gates, strict=True)
        }
        if any(self.on[name] for name in _UNUSED):
            raise AssertionError("a gate is used that no line of ours needs")
        self.instance = tensors + 6 + len(constants)
        self.padding = constants[0][0] if constants else 0
        self.zero = key.cell(tensors + 6, 0) if constants else -1
        self.dots, self.pairs, self.lookups = self._dots(), self._pairs(), self._lookups()

    def _dots(self) -> dict[tuple[tuple[int, int], ...], list[int]]:
        found: dict[tuple[tuple[int, int], ...], list[int]] = defaultdict(list)
        rows = set(self.on["Dot"])
        for start in sorted(self.on["DotInit"]):
            row, terms = start, self._operands(start)
            while row + 1 in self.on["Dot"]:
                row += 1
                rows.remove(row)
                terms += self._operands(row)
            found[tuple(terms)].append(self.key.cell(self.result[0], row))
        if rows or self.on["Dot"] & self.on["DotInit"]:
            raise AssertionError("a chain of inner products has no beginning")
        return found

    def _operands(self, row: int) -> list[tuple[int, int]]:
        return [(self.key.cell(a, row), self.key.cell(b, row)) for a, b in zip(self.left, self.right, strict=True)]

    def _pairs(self) -> dict[tuple[str, int, int], list[int]]:
        found: dict[tuple[str, int, int], list[int]] = defaultdict(list)
        for name in _NAMES.values():
            for half in (0, 1):
                for row in sorted(self.on[f"{name}{half}"]):
                    a, b = self._operands(row)[half]
                    found[name, a, b].append(self.key.cell(self.result[half], row))
        return found

    def _lookups(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = defaultdict(list)
        for row in range(ROWS):
            for half in (0, 1):
                if row in self.on[f"Lookup{half}"]:
                    found[self.key.cell(self.left[half], row)].append(self.key.cell(self.result[half], row))
        return found

    def left_over(self) -> int:
        """Gates and lookups that nothing has claimed."""
        return sum(len(v) for part in (self.dots, self.pairs, self.lookups) for v in part.values())


def missing(key: ProvingKey, layout: Layout) -> list[str]:
    """What the plan has and the key doesn't, up to the first line that is missing; empty if the key
    enforces all of it and no more."""
    circuit = Dismantled(key, len(layout.commitments))
    for row in range(ROWS):
        entry = row if row <= TABLE_MAX else 0
        if (circuit.table[0][row], circuit.table[1][row]) != (entry, table_output(entry)):
            return [f"the table's row {row} is not ({entry}, {table_output(entry)})"]
    if circuit.padding:
        return ["the constant of the padding is not 0"]
    pool = [key.cell(i, row) for i, length in enumerate(layout.lengths.values()) for row in range(length)]
    first_output = 0
    for rows in rows_of(layout):
        first_output = len(pool)
        try:
            if isinstance(rows, DotRows):
                for coefficients, variables in zip(rows.coefficients, rows.variables, strict=True):
                    terms = [(pool[c], pool[v]) for c, v in zip(coefficients, variables, strict=True)]
                    terms += [(circuit.zero, circuit.zero)] * (len(terms) % 2)
                    pool.append(circuit.dots[tuple(terms)].pop())
            elif isinstance(rows, PairRows):
                for a, b in zip(rows.left, rows.right, strict=True):
                    pool.append(circuit.pairs[_NAMES[rows.operation], pool[a], pool[b]].pop())
            else:
                assert isinstance(rows, LookupRows)
                for source in rows.inputs:
                    pool.append(circuit.lookups[pool[source]].pop(0))
        except IndexError:
            name = "lookups" if isinstance(rows, LookupRows) else rows.name
            return [f"line {name}, row {len(pool) - first_output} is not enforced"]
    public = [*(pool[i] for i in layout.public()), pool[first_output], pool[first_output]]
    found = [f"public value {i} is no copy" for i, cell in enumerate(public) if key.cell(circuit.instance, i) != cell]
    if circuit.left_over():
        found.append(f"{circuit.left_over()} gates or lookups belong to no line")
    return found


def key_of(layout: Layout, srs: Path, graph: bytes) -> ProvingKey:
    """The proving key of a circuit under an SRS, its selectors not compressed (which changes no
    cell)."""
    import ezkl

    with tempfile.TemporaryDirectory(prefix="zk-key-") as name:
        folder = Path(name)
        (folder / "network.onnx").write_bytes(graph)
        compiled(folder / "network.onnx", folder / "settings.json", folder / "network.compiled")
        vk, pk = folder / "vk.key", folder / "pk.key"
        ezkl.setup(str(folder / "network.compiled"), str(vk), str(pk), str(srs), disable_selector_compression=True)
        return read(pk, vk)


def run(srs: Path | None = None, circuit: str | None = None) -> Outcome:
    """Takes a circuit of the catalogue apart, or a small one of each rule. Without an SRS one is
    made: its secret doesn't matter here."""
    import ezkl

    if circuit is None:
        targets = [(layout, model(layout)) for layout in (Layout(c.relations, 2, 3) for c in CIRCUITS.values())]
    else:
        published = catalogue.load(circuit)
        targets = [(published.layout, published.onnx)]
    with tempfile.TemporaryDirectory(prefix="zk-srs-") as name:
        if srs is None:
            srs = Path(name) / "srs"
            ezkl.gen_srs(str(srs), LOGROWS)
        found = [line for layout, graph in targets for line in missing(key_of(layout, srs, graph), layout)]
    by = (
        "nothing: " + "; ".join(found)
        if found
        else "gates, copies and lookups for every row of the plan, and no others"
    )
    return Outcome("unconstrained cells", not found, by, GAIN)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    print(run(Path(arguments[0]) if arguments else None, *arguments[1:2]))
