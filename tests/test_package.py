"""The package as it is installed: its versions, commands and files, what an import loads; its lock
files."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import import_module, metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import zk_autograd
from zk_autograd import _native

ROOT = Path(__file__).resolve().parents[1]
CIRCUITS = ROOT / "circuits"
LOCKS = {"verify": ["ezkl"], "train": ["ezkl", "train"], "dev": ["ezkl", "train", "dev"]}


def locked_versions(name: str) -> dict[str, str]:
    """Each package of a lock file with its version. Every entry must be `name==version` with
    hashes."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    entries = re.sub(r"\s*\\\n\s*", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    versions: dict[str, str] = {}
    for entry in entries:
        found = re.fullmatch(r"(\S+)==(\S+)( --hash=sha256:[0-9a-f]{64})+", entry)
        assert found, f"{name}.txt: not pinned by version and hash: {entry}"
        versions[canonicalize_name(found[1])] = found[2]
    return versions


def declared_requirements(extras: list[str]) -> list[Requirement]:
    """The project's own requirements, those of `extras`, and the build backend's."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        table = tomllib.load(file)
    project = table["project"]
    lines = [*project["dependencies"], *table["build-system"]["requires"]]
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    return [Requirement(line) for line in lines]


def test_python_metadata_and_native_module_have_one_version() -> None:
    assert zk_autograd.__version__ == metadata.version("zk-autograd") == _native.version()


@pytest.mark.parametrize("module", ["zk_autograd", "zk_autograd.core", "zk_autograd.cli.verify"])
def test_import_loads_nothing_of_the_trainers_side(module: str) -> None:
    program = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert {"torch", "sklearn", "onnx", "ezkl"}.isdisjoint(run.stdout.split())


def test_import_of_the_package_alone_loads_no_numpy() -> None:
    program = "import sys, zk_autograd; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.torch
def test_optimizer_is_offered_by_the_package() -> None:
    pytest.importorskip("torch", reason="the [train] extra is not installed")
    assert zk_autograd.ZKOptimizer is import_module("zk_autograd.optim").ZKOptimizer


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"zk_autograd.*nonesuch"):
        getattr(zk_autograd, "nonesuch")  # noqa: B009 (mypy would refuse the plain form, rightly)


@pytest.mark.parametrize("command", ["zk-circuit", "zk-key", "zk-train", "zk-verify"])
def test_command_points_to_a_function(command: str) -> None:
    (entry,) = metadata.entry_points(group="console_scripts", name=command)
    assert callable(entry.load())


@pytest.mark.parametrize("name", LOCKS)
def test_lock_holds_each_requirement_in_its_range(name: str) -> None:
    versions = locked_versions(name)
    for requirement in declared_requirements(LOCKS[name]):
        version = versions.get(canonicalize_name(requirement.name), "0")
        assert version in requirement.specifier, f"{name}.txt has version {version}, not {requirement}: run make lock"


def test_locks_agree_with_each_other() -> None:
    dev = locked_versions("dev").items()
    assert locked_versions("verify").items() <= locked_versions("train").items() <= dev


def test_verifier_is_locked_without_the_trainers_libraries() -> None:
    assert {"torch", "scikit-learn", "onnx"}.isdisjoint(locked_versions("verify"))


@pytest.mark.slow
def test_wheel_holds_the_types_and_every_published_circuit(tmp_path: Path) -> None:
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path)]
    build = [sys.executable, "-m", "pip", "wheel", *options, str(ROOT)]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # where maturin's own program is
    subprocess.run(build, check=True, capture_output=True, env={**os.environ, "PATH": path})
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"zk_autograd/py.typed", "zk_autograd/_native.pyi", "zk_autograd/_native.abi3.so"} <= names

    files = [path.relative_to(CIRCUITS) for path in CIRCUITS.rglob("*") if path.is_file()]
    published = {f"zk_autograd/prove/ezkl/circuits/{path}" for path in files}
    assert published
    assert published <= names
