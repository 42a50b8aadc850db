"""The package as it is installed: its versions, commands and files, what an import loads; its lock
files."""

import os
import re
import shutil
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
RUNS = ROOT / "tests/data/runs"
LOCKS = {
    "verify": ["ezkl", "rfc3161"],
    "train": ["ezkl", "rfc3161", "train"],
    "dev": ["ezkl", "rfc3161", "train", "dev"],
}


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


@pytest.mark.parametrize(
    "command",
    ["zk-anchor", "zk-circuit", "zk-enclave", "zk-key", "zk-register", "zk-run", "zk-train", "zk-verify", "zk-witness"],
)
def test_command_points_to_a_function(command: str) -> None:
    (entry,) = metadata.entry_points(group="console_scripts", name=command)
    assert callable(entry.load())


@pytest.mark.parametrize("name", LOCKS)
def test_lock_holds_each_requirement_in_its_range(name: str) -> None:
    versions = locked_versions(name)
    for requirement in declared_requirements(LOCKS[name]):
        version = versions.get(canonicalize_name(requirement.name), "0")
        assert version in requirement.specifier, f"{name}.txt has version {version}, not {requirement}: run make lock"


def test_an_enclave_s_image_holds_what_it_needs_in_the_versions_of_the_others() -> None:
    versions, dev = locked_versions("enclave"), locked_versions("dev")
    needed = [one for one in declared_requirements(["aws", "tee"]) if one.name != "maturin"]
    assert all(versions.get(canonicalize_name(one.name), "0") in one.specifier for one in needed)
    assert all(dev.get(name, version) == version for name, version in versions.items())


def test_locks_agree_with_each_other() -> None:
    dev = locked_versions("dev").items()
    assert locked_versions("verify").items() <= locked_versions("train").items() <= dev


def test_verifier_is_locked_without_the_trainers_libraries() -> None:
    assert {"torch", "scikit-learn", "onnx"}.isdisjoint(locked_versions("verify"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, built as a user builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    build = [sys.executable, "-m", "pip", "wheel", *options, str(ROOT)]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # where maturin's own program is
    subprocess.run(build, check=True, capture_output=True, env={**os.environ, "PATH": path})
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.slow
def test_wheel_holds_the_types_and_every_published_circuit(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"zk_autograd/py.typed", "zk_autograd/_native.pyi", "zk_autograd/_native.abi3.so"} <= names
    assert {"zk_autograd/verify/report.schema.json", "zk_autograd/verify/page/style.css"} <= names

    files = [path.relative_to(CIRCUITS) for path in CIRCUITS.rglob("*") if path.is_file()]
    published = {f"zk_autograd/prove/ezkl/circuits/{path}" for path in files}
    assert published
    assert published <= names


MAX_DOWNLOADED = 60 * 10**6
MAX_INSTALLED = 125 * 10**6


@pytest.mark.slow
def test_the_verifier_installs_from_a_folder_of_wheels_and_judges_a_native_run(wheel: Path, tmp_path: Path) -> None:
    """Without network, torch, onnx and EZKL: what an auditor carries to a machine of their own."""
    wheels = tmp_path / "wheels"
    base = {name: version for name, version in locked_versions("verify").items() if name not in ("ezkl", "maturin")}
    pins = [f"{name}=={version}" for name, version in base.items()]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "download", "--no-deps", "--only-binary", ":all:", "--dest", str(wheels), *pins], check=True)
    shutil.copy(wheel, wheels)
    downloaded = sum(file.stat().st_size for file in wheels.iterdir())
    assert downloaded <= MAX_DOWNLOADED

    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    offline = ["--python", str(python), "install", "--no-index", "--find-links", str(wheels), "zk-autograd"]
    subprocess.run([*pip, *offline], check=True)
    installed = sum(f.lstat().st_size for f in (tmp_path / "venv").rglob("*") if f.is_file() and f.suffix != ".pyc")
    assert installed <= MAX_INSTALLED

    folder = tmp_path / "elsewhere"
    folder.mkdir()
    words = ["--key", str(RUNS / "test.key.pub"), "--require", "L0,L1"]
    command = [str(tmp_path / "venv" / "bin" / "zk-verify"), str(RUNS / "native-finished"), *words]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    run = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder, env=clean)
    assert (run.returncode, run.stdout.splitlines()[:1], run.stderr) == (0, ["verdict: L0, L1"], "")
    listed = subprocess.run(
        [python, "-c", "import importlib.metadata as m; print(*(d.name for d in m.distributions()))"],
        check=True, capture_output=True, text=True, cwd=folder, env=clean,
    )  # fmt: skip
    assert {"torch", "onnx", "ezkl", "scikit-learn"}.isdisjoint(map(canonicalize_name, listed.stdout.split()))
