"""The tables of docs/soundness-ezkl.md, made from the same parts as the circuits.

python -m zk_autograd.prove.ezkl.circuit.tables
"""

from collections.abc import Iterable

from zk_autograd.prove.ezkl.circuit.layout import Layout
from zk_autograd.prove.ezkl.circuit.operations import operation_halves
from zk_autograd.prove.ezkl.circuit.part import RuleCircuit
from zk_autograd.prove.ezkl.circuit.relations import Lookup
from zk_autograd.prove.ezkl.circuit.variants import CIRCUITS

_BLOCK = 2
_STEPS = 8


def table(circuit: RuleCircuit) -> str:
    """What each variable of a circuit is shown to be."""
    rows = ((f"`{row.variable}`", f"{row.values.low:,}", f"{row.values.high:,}", row.by) for row in circuit.shown)
    return _table(("variable", "from", "to", "shown by"), rows)


def overview() -> str:
    """What each circuit commits to, looks up and costs."""
    return _table(
        ("circuit", "states", "rows a step", "lookups a step", "outputs that must be 1, by weight of their penalty"),
        (
            (
                f"`{name}`",
                ", ".join(circuit.relations.states),
                f"{rows_a_step(circuit):g}",
                str(_lookups_a_step(circuit)),
                ", ".join(_exact(circuit)),
            )
            for name, circuit in CIRCUITS.items()
        ),
    )


def rows_a_step(circuit: RuleCircuit) -> float:
    """Rows of two columns that an inner step takes for one parameter."""
    more, fewer = (operation_halves(Layout(circuit.relations, _BLOCK, steps)) for steps in (_STEPS + 1, _STEPS))
    return (more - fewer) / (2 * _BLOCK)


def _lookups_a_step(circuit: RuleCircuit) -> int:
    """Without those of the weights at the segment's ends."""
    ends = set(circuit.relations.state_hints) | {"w0_in", "w0_out"}
    names = [n for line in circuit.relations.lines if isinstance(line, Lookup) for n in line.names]
    return len([name for name in names if name not in ends])


def _exact(circuit: RuleCircuit) -> tuple[str, ...]:
    return next(line.exact for line in circuit.relations.lines if isinstance(line, Lookup))


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join("|---" * len(line) + "|" if line[0] == "---" else f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Prints all of them."""
    print(overview())
    for name, circuit in CIRCUITS.items():
        print(f"\n### {name}\n\n{table(circuit)}")


if __name__ == "__main__":
    main()
