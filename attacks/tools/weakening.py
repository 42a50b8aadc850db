"""A circuit with one check taken out. Relations are data, so this is an edit of that data, and
shows what each check is there for."""

from dataclasses import replace

from zk_autograd.prove.ezkl.circuit.part import RuleCircuit
from zk_autograd.prove.ezkl.circuit.relations import BIG, Dot, Line, Lookup


def without_lookups(circuit: RuleCircuit, *names: str) -> RuleCircuit:
    """The circuit with these variables not looked up, and, where their outputs had to be 1, no
    penalty for them."""
    for name in set(names).intersection(exact(circuit)):
        circuit = without_exactness(circuit, name)
    lines = tuple(
        replace(line, names=tuple(n for n in line.names if n not in names)) if isinstance(line, Lookup) else line
        for line in circuit.relations.lines
    )
    return _with_lines(circuit, lines)


def without_exactness(circuit: RuleCircuit, name: str) -> RuleCircuit:
    """The circuit in which `name` is looked up as before, but its output may be 0 or 2: no penalty,
    and less to pay in all."""
    lines: list[Line] = []
    values = dict(circuit.relations.global_coefficients)
    for line in circuit.relations.lines:
        if isinstance(line, Dot) and any(v == f"y:{name}" for _, v in line.terms):
            ((penalty, _),) = (term for term in line.terms if term[1] == f"y:{name}")
            ((constant, _),) = (term for term in line.terms if term[1] == "one")
            values[constant] += values[penalty]
            lines.append(replace(line, terms=tuple(t for t in line.terms if t[1] != f"y:{name}")))
        elif isinstance(line, Lookup):
            lines.append(replace(line, exact=tuple(n for n in line.exact if n != name)))
        else:
            lines.append(line)
    return _with_lines(replace(circuit, relations=replace(circuit.relations, global_coefficients=values)), tuple(lines))


def with_equal_penalties(circuit: RuleCircuit) -> RuleCircuit:
    """The circuit in which every penalty weighs BIG, and so may be paid by another one."""
    values = dict(circuit.relations.global_coefficients)
    penalties = [name for name in values if name.startswith("penalty ")]
    total = sum(values[name] for name in penalties)
    constant = f"{circuit.last[0]} constant"
    values[constant] += total + len(penalties) * BIG
    values |= dict.fromkeys(penalties, -BIG)
    return replace(circuit, relations=replace(circuit.relations, global_coefficients=values))


def looked_up(circuit: RuleCircuit) -> tuple[str, ...]:
    """The names of all variables that are looked up."""
    return tuple(name for line in _lookups(circuit) for name in line.names)


def exact(circuit: RuleCircuit) -> tuple[str, ...]:
    """The names of those whose output must be 1."""
    return tuple(name for line in _lookups(circuit) for name in line.exact)


def _lookups(circuit: RuleCircuit) -> list[Lookup]:
    return [line for line in circuit.relations.lines if isinstance(line, Lookup)]


def _with_lines(circuit: RuleCircuit, lines: tuple[Line, ...]) -> RuleCircuit:
    return replace(circuit, relations=replace(circuit.relations, lines=lines))
