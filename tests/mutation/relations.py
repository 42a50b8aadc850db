"""Mutants of the relations in `crates/air`: a relation, a lookup or a state's next value left out,
a sign turned, a number changed. `crates/oracle/tests/mutants.rs` says for each that is left out
which lie it stands against; here the sources themselves are changed."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.mutation.mutant import Mutant

FILES = ("adam", "decay", "gradient", "sgd")

_CARGO = ("cargo", "test", "--locked", "-q", "-p")
_ORACLE = (*_CARGO, "zk-autograd-oracle", "--test", "agree", "--test", "mutants")
BUILD = (*_ORACLE, "--no-run")
COMMANDS = (_ORACLE, (*_CARGO, "zk-autograd-air"), (*_CARGO, "zk-autograd-prover", "--test", "hostile"))

_FUNCTION = re.compile(r"^( *)(?:pub\(crate\) )?fn relations<.*?^\1\}\n", re.DOTALL | re.MULTILINE)
_SINK = re.compile(r"sink\.(zero|range|next)\(")
_NUMBER = re.compile(r"(?<=<< )\d+|(?<=times\()\d+(?=\))|(?<=V::int\()\d+(?=\))")
_SIGN = re.compile(r" [+-] ")
_LEFT_OUT = {"zero": "relation left out", "range": "lookup left out", "next": "next value left out"}


def mutants(root: Path) -> list[Mutant]:
    """All of them, in the files' order."""
    found = []
    for name in FILES:
        path = f"crates/air/src/{name}.rs"
        source = (root / path).read_text()
        for function in _FUNCTION.finditer(source):
            for start, end, kind, text in _changes(source, function.start(), function.end()):
                line = source.count("\n", 0, start) + 1
                found.append(Mutant(path, line, kind, start, end, text, source[start:end], COMMANDS, BUILD))
    return found


def _changes(source: str, start: int, end: int) -> Iterator[tuple[int, int, str, str]]:
    for match in _SINK.finditer(source, start, end):
        yield match.start(), _closed(source, match.end()), _LEFT_OUT[match[1]], "()"
    for match in _NUMBER.finditer(source, start, end):
        yield match.start(), match.end(), "number", str(int(match[0]) + 1)
    for match in _SIGN.finditer(source, start, end):
        yield match.start(), match.end(), "sign", " - " if "+" in match[0] else " + "


def _closed(source: str, place: int) -> int:
    """Where the call ends whose bracket opened before `place`. Names in quotes have brackets in
    pairs."""
    depth = 1
    while depth:
        depth += {"(": 1, ")": -1}.get(source[place], 0)
        place += 1
    return place
