"""What the sources must not have, whatever the tests of their behaviour say: floats in the rules,
pickles, checks that a release build drops."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "src/zk_autograd").rglob("*.py"))
CORE = ROOT / "src/zk_autograd/core"
CRATES = ROOT / "crates"

RULES = [
    *sorted((CORE / "rules").rglob("*.py")),
    *(CORE / f"{name}.py" for name in ("constants", "schedules", "decimals", "hyper", "statement", "records")),
]
"""From a hyper-parameter's text to the state after a step: integers and fractions alone."""

FUNCTIONS = {
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "cos", "sin", "tan", "arccos", "arcsin", "arctan", "acos", "asin", "atan",
    "cosh", "sinh", "tanh", "pow", "power", "float_power", "hypot", "cbrt", "fsum", "ldexp", "frexp", "fma",
}  # fmt: skip
"""What libraries compute differently on different processors, or may."""


def calls(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Owner and name of whatever is called: ("math", "exp"), ("", "float")."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                owner = node.func.value
                yield (owner.id if isinstance(owner, ast.Name) else "?", node.func.attr)
            elif isinstance(node.func, ast.Name):
                yield "", node.func.id


def faults(source: str) -> list[str]:
    """What of floats a module of the rules has."""
    tree = ast.parse(source)
    found = [
        f"{owner}.{name}"
        for owner, name in calls(tree)
        if owner in ("math", "np", "numpy", "cmath") and name in FUNCTIONS
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in ("math", "cmath", "numpy"):
            found += [f"{node.module}.{alias.name}" for alias in node.names if alias.name in FUNCTIONS]
        if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            found.append(repr(node.value))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("float", "complex"):
            found.append(node.func.id)
    return found


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_the_rules_call_no_function_of_floats_and_hold_none(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    allowed = (
        ["float64", "sqrt"] if path.name == "arithmetic.py" else []
    )  # an estimate of a root, which integers settle
    assert [fault for fault in faults(source) if fault not in allowed] == []


def test_what_is_looked_for_is_found() -> None:
    assert faults("import math\nmath.exp(1)") == ["math.exp"]
    assert faults("import numpy as np\nnp.log(x)") == ["np.log"]
    assert faults("from math import cos") == ["math.cos"]
    assert faults("x = 0.5 * float(y)") == ["0.5", "float"]
    assert faults("x = Fraction(1, 2)\ny = power(x, 3)\nz = cosine(1, 2)") == []


def test_the_relations_and_the_verifier_of_the_proofs_hold_no_floats() -> None:
    """soundness.rs counts bits, and decides nothing."""
    paths = [*(CRATES / "air/src").rglob("*.rs"), *(CRATES / "verifier/src").rglob("*.rs")]
    floats = {path.name for path in paths if re.search(r"\bf(32|64)\b", path.read_text(encoding="utf-8"))}
    assert floats == {"soundness.rs"}
    users = {path.name for path in paths if re.search(r"\bsoundness::", path.read_text(encoding="utf-8"))}
    assert users == set()


ASSERTIONS = {
    ("air/src/sink.rs", "state, self.nexts.len()"),
    (
        "verifier/src/composition.rs",
        "Val::two_adic_generator(log_params + log_steps).exp_power_of_2(log_params), steps",
    ),
}
"""What a release build doesn't look at, in all that accepts or refuses a proof. Neither depends on
a proof: the first is about the relations' own order, and the second about generators of the field,
for sizes of which there are few (crates/verifier/tests/parts.rs tries all)."""


def test_no_assertion_that_a_release_build_drops_decides_what_is_accepted() -> None:
    found = set()
    for crate in ("air", "verifier", "binding"):
        for path in (CRATES / crate / "src").rglob("*.rs"):
            text = path.read_text(encoding="utf-8")
            for match in re.finditer(r"debug_assert\w*!\((.*?)\);", text, re.DOTALL):
                found.add((str(path.relative_to(CRATES)), " ".join(match[1].split())))
    assert found == ASSERTIONS


def test_tests_in_rust_run_with_checks_of_overflow() -> None:
    """The hostile provers' tests are built from the profile `test`, which has them unless it says
    otherwise; the module is a release build, and meets hostile bytes in tests/prove/native."""
    profiles = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["profile"]
    for profile in ("dev", "test"):
        assert profiles.get(profile, {}).get("overflow-checks", True)
        assert profiles.get(profile, {}).get("debug-assertions", True)


LOADERS = {
    ("pickle", "load"), ("pickle", "loads"), ("pickle", "Unpickler"), ("torch", "load"), ("np", "load"), ("numpy", "load"), ("marshal", "loads"),
    ("marshal", "load"), ("shelve", "open"), ("yaml", "load"), ("joblib", "load"), ("dill", "load"), ("", "eval"), ("os", "system"),
}  # fmt: skip
MODULES = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle", "yaml"}


def test_nothing_is_read_that_could_run() -> None:
    """No pickle, and nothing that reads one: a file of a run is never code."""
    found = []
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [(path.name, name) for name in names if name.partition(".")[0] in MODULES]
        found += [(path.name, ".".join(call)) for call in calls(tree) if call in LOADERS]
        assert "allow_pickle=True" not in text
    assert len(SOURCES) > 100
    assert found == [("witness.py", "np.load")]  # NumPy's own format, without pickles


def test_the_oracles_libraries_are_not_shipped() -> None:
    """The low-degree test, trees and prover of Plonky3 are what the own ones are compared with, and
    no part of what is built."""
    ours = {
        "p3-air",
        "p3-batch-stark",
        "p3-commit",
        "p3-fri",
        "p3-lookup",
        "p3-merkle-tree",
        "p3-security",
        "p3-uni-stark",
    }
    shipped = set()
    for crate in ("air", "verifier", "prover", "binding"):
        table = tomllib.loads((CRATES / crate / "Cargo.toml").read_text(encoding="utf-8"))
        shipped |= set(table.get("dependencies", {}))
        assert not {name for name in table.get("dependencies", {}) if name.endswith("-oracle")}
    assert shipped & ours == set()
    assert "p3-field" in shipped


@pytest.mark.parametrize(
    ("name", "advised_against", "good"),
    [("cryptography", ["45.0.0", "46.0.4"], "50.0.2"), ("torch", ["2.8.0", "2.9.1"], "2.10.0")],
)
def test_ranges_leave_out_releases_with_advisories(name: str, advised_against: list[str], good: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    ranges = [requirement.specifier for requirement in map(Requirement, lines) if requirement.name == name]
    assert ranges
    for specifier in ranges:
        assert specifier.contains(good)
        assert not any(specifier.contains(version) for version in advised_against)
