"""The mutation run: which mutants there are, and that it tells a killed one from a survivor."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation import __main__ as mutation
from tests.mutation import relations, syntax
from tests.mutation.mutant import Mutant

ROOT = mutation.ROOT

CODE = '''"""A module."""

LIMIT = 3


def check(value: int, name: str) -> bool:
    """Whether 3 < value."""
    if not name or value < 0:
        raise ValueError(f"a value of {1}")
    print(name)
    return value > LIMIT
'''
TEST = """
from zk_autograd.core.small import check

assert check(4, "x") and not check(3, "x")
try:
    check(4, "")
except ValueError:
    pass
else:
    raise AssertionError
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of one module, whose tests look at less than it does."""
    root = tmp_path / "checkout"
    for name, text in (("src/zk_autograd/core/small.py", CODE), ("tests/core/small.py", TEST)):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text(text)
    for package in ("src/zk_autograd", "src/zk_autograd/core"):
        (root / package / "__init__.py").touch()
    for command in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    monkeypatch.setattr(mutation, "ROOT", root)
    monkeypatch.setattr(syntax, "_commands", lambda *_: ((sys.executable, "tests/core/small.py"),))
    return root


def test_the_mutants_of_a_module(root: Path) -> None:
    made = syntax.mutants(root, "core")
    assert sorted((mutant.kind, mutant.original, mutant.text) for mutant in made) == [
        ("and, or", "not name or value < 0", "(not name and value < 0)"),
        ("call left out", "print(name)", "pass"),
        ("comparison", "value < 0", "(value <= 0)"),
        ("comparison", "value > LIMIT", "(value >= LIMIT)"),
        ("if never", "not name or value < 0", "False"),
        ("not left out", "not name", "(name)"),
        ("number", "0", "1"),
        ("number", "3", "4"),
        ("raise left out", 'raise ValueError(f"a value of {1}")', "pass"),
    ]
    for mutant in made:
        assert ast.dump(ast.parse(mutant.changed(CODE))) != ast.dump(ast.parse(CODE))


def test_survivors_are_told_and_a_run_goes_on(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = tmp_path / "state" / "mutants.json"
    asked = ["python", "--room", "core", "--resume", str(state)]
    assert mutation.main([*asked, "--count", "4"]) in (0, 1)
    kept = json.loads(state.read_text())
    assert len(kept) == 4
    for entry in kept.values():
        entry["by"] = "before"
    state.write_text(json.dumps(kept))
    assert mutation.main(asked) == 1
    after = json.loads(state.read_text())
    assert sum(entry["by"] == "before" for entry in after.values()) == 4
    survived = [m.kind for m in syntax.mutants(root, "core") if after[m.name]["result"] == "survived"]
    assert sorted(survived) == ["call left out", "comparison", "number"]
    assert "-    print(name)\n+    pass\n" in capsys.readouterr().out
    assert (root / "src/zk_autograd/core/small.py").read_text() == CODE


def test_a_run_whose_tests_fail_anyway_says_so(root: Path, tmp_path: Path) -> None:
    (root / "tests/core/small.py").write_text("assert False")
    with pytest.raises(SystemExit, match="without a mutant this fails"):
        mutation.main(["python", "--resume", str(tmp_path / "state.json")])


def test_a_test_that_does_not_end_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    assert mutation._fails([sys.executable, "-c", "while True: pass"], tmp_path / "copy", 0.5)
    assert not mutation._fails([sys.executable, "-c", ""], tmp_path / "copy", 60)


def test_the_relations_mutants_are_of_every_relation() -> None:
    made = relations.mutants(ROOT)
    for name in relations.FILES:
        path = f"crates/air/src/{name}.rs"
        source = (ROOT / path).read_text()
        left_out = [m for m in made if m.path == path and m.kind.endswith("left out")]
        assert len(left_out) == source.count("sink.zero(") + source.count("sink.range(") + source.count("sink.next(")
        assert all(mutant.original.startswith("sink.") and mutant.original.endswith(")") for mutant in left_out)


def test_a_mutant_of_another_text_is_refused() -> None:
    with pytest.raises(ValueError, match="has changed"):
        Mutant("a.py", 1, "number", 0, 1, "2", "1", ()).changed("3")
