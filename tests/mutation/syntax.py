"""Mutants of Python code: comparisons, bounds, logic, and checks that are left out."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.mutation.mutant import Mutant

_FLIPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}


def mutants(root: Path, room: str) -> list[Mutant]:
    """Every mutant of a room of the package, in the files' order."""
    found = []
    for path in sorted((root / "src/zk_autograd" / room).rglob("*.py")):
        source = path.read_text()
        tree = ast.parse(source)
        lines = [0]
        for line in source.encode().splitlines(keepends=True):
            lines.append(lines[-1] + len(line))
        name = str(path.relative_to(root))
        for node, kind, text in _changes(tree):
            assert node.end_lineno is not None and node.end_col_offset is not None
            data = source.encode()  # the tree counts bytes
            start = len(data[: lines[node.lineno - 1] + node.col_offset].decode())
            end = len(data[: lines[node.end_lineno - 1] + node.end_col_offset].decode())
            found.append(
                Mutant(name, node.lineno, kind, start, end, text, source[start:end], _commands(root, room, path.stem))
            )
    return found


def _changes(tree: ast.AST) -> Iterator[tuple[ast.expr | ast.stmt, str, str]]:
    """Each node that is changed, how, and what stands in its place."""
    if isinstance(tree, ast.Raise):
        yield tree, "raise left out", "pass"
        return  # what a message says is not looked at
    if isinstance(tree, ast.Expr):
        if isinstance(tree.value, ast.Call):
            yield tree, "call left out", "pass"
        elif isinstance(tree.value, ast.Constant):
            return  # a docstring
    if isinstance(tree, ast.If):
        if isinstance(tree.test, ast.Name) and tree.test.id == "TYPE_CHECKING":
            return  # never is what it is
        yield tree.test, "if never", "False"
    if isinstance(tree, ast.Compare):
        for place, op in enumerate(tree.ops):
            ops = [*tree.ops[:place], _FLIPPED[type(op)](), *tree.ops[place + 1 :]]
            yield tree, "comparison", f"({ast.unparse(ast.Compare(tree.left, ops, tree.comparators))})"
    if isinstance(tree, ast.BoolOp):
        other = ast.Or() if isinstance(tree.op, ast.And) else ast.And()
        values: list[ast.expr] = list(tree.values)
        yield tree, "and, or", f"({ast.unparse(ast.BoolOp(other, values))})"
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.Not):
        yield tree, "not left out", f"({ast.unparse(tree.operand)})"
    if isinstance(tree, ast.Constant) and type(tree.value) is int:
        yield tree, "number", str(tree.value + 1)
    for child in _children(tree):
        yield from _changes(child)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """What is run of a node: no annotations, and nothing in a formatted text."""
    if isinstance(node, ast.JoinedStr):
        return
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns"):
            continue
        yield from (item for item in (value if isinstance(value, list) else [value]) if isinstance(item, ast.AST))


def _commands(root: Path, room: str, module: str) -> tuple[tuple[str, ...], ...]:
    """The module's own tests, if there are any, then the room's fast ones."""
    pytest = (sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider")
    fast = ("-m", "not slow and not long")
    own = sorted(str(path.relative_to(root)) for path in (root / "tests" / room).rglob(f"test_{module}*.py"))
    commands = [(*pytest, *fast, *own)] if own else []
    return (*commands, (*pytest, *fast, f"tests/{room}"))
