"""Wheels in the image: their modules, and nothing that a machine left in them."""

from pathlib import Path
from zipfile import ZipFile

import pytest

from enclave.commands import BuildError
from enclave.wheels import NATIVE, PASSED, REQUIREMENTS, build, unpack


def wheel(path: Path, *names: str) -> Path:
    with ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, name)
    return path


def test_modules_and_metadata_are_unpacked_and_nothing_of_the_builder(tmp_path: Path) -> None:
    kept = ["a/__init__.py", "a/b.so", "a-1.dist-info/METADATA", "a-1.data/purelib/c.py", "a-1.data/platlib/d/e.py"]
    dropped = ["a-1.dist-info/RECORD", "a-1.dist-info/sboms/s.json", "a-1.data/scripts/run", "a/__pycache__/b.pyc"]
    unpack(wheel(tmp_path / "a.whl", *kept, *dropped), tmp_path / "site")
    found = {str(path.relative_to(tmp_path / "site")) for path in (tmp_path / "site").rglob("*") if path.is_file()}
    assert found == {"a/__init__.py", "a/b.so", "a-1.dist-info/METADATA", "c.py", "d/e.py"}


@pytest.mark.parametrize("name", ["../evil.py", "/evil.py", "a/../../evil.py", "a-1.data/purelib/../../evil.py"])
def test_a_file_outside_of_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="outside of its folder"):
        unpack(wheel(tmp_path / "a.whl", name), tmp_path / "site")
    assert not list(tmp_path.rglob("evil.py"))


@pytest.mark.parametrize("name", ["a.dist-info", "a.data", "a.data/purelib"])
def test_a_file_where_a_folder_belongs_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="where wheels have a folder"):
        unpack(wheel(tmp_path / "a.whl", name), tmp_path / "site")


OWN = ("zk_autograd/a.py", NATIVE, "zk_autograd-1.dist-info/METADATA")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source/src/zk_autograd").mkdir(parents=True)
    for name in ("zk_autograd/a.py", "zk_autograd/old.so", "evil.py"):
        (tmp_path / "source/src" / name).write_text(name)
    return tmp_path / "source"


def test_this_package_s_wheel_has_its_source(source: Path, tmp_path: Path) -> None:
    unpack(wheel(tmp_path / "a.whl", *OWN), tmp_path / "site", source)
    assert (tmp_path / "site/zk_autograd/a.py").read_text() == "zk_autograd/a.py"


@pytest.mark.parametrize(
    "name",
    [
        "zk_autograd/b.py",
        "zk_autograd/old.so",
        "evil.py",
        "evil.pth",
        "zk_autograd-1.data/purelib/evil.pth",
        "zk_autograd-1.dist-info/evil.py",
        "other-1.dist-info/METADATA",
    ],
)
def test_this_package_s_wheel_has_nothing_else(name: str, source: Path, tmp_path: Path) -> None:
    """What lay in the builder's folder would run in the enclave, and be in nobody's source."""
    with pytest.raises(BuildError, match="is not in this package's source"):
        unpack(wheel(tmp_path / "a.whl", *OWN, name), tmp_path / "site", source)


def test_a_module_that_differs_from_the_source_is_refused(source: Path, tmp_path: Path) -> None:
    (source / "src/zk_autograd/a.py").write_text("otherwise")
    with pytest.raises(BuildError, match="or is another there"):
        unpack(wheel(tmp_path / "a.whl", *OWN), tmp_path / "site", source)


def test_the_compiler_gets_no_settings_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They would change what is measured, and nobody could tell why."""
    told = tmp_path / "environment"
    tool = tmp_path / "bin" / "maturin"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\nenv > '{told}'\necho x > '{tmp_path}/wheel/x.whl'\n")
    tool.chmod(0o755)
    (tmp_path / "wheel").mkdir()
    monkeypatch.setattr("enclave.wheels.sys.executable", str(tmp_path / "bin" / "python"))
    for name in (
        "RUSTFLAGS",
        "CARGO_PROFILE_RELEASE_OPT_LEVEL",
        "RUSTC_WRAPPER",
        "CC",
        "CFLAGS",
        "MATURIN_PEP517_ARGS",
    ):
        monkeypatch.setenv(name, "x")
    build(tmp_path, tmp_path / "wheel", tmp_path / "target")
    names = {line.split("=")[0] for line in told.read_text().splitlines()} - {"PWD", "SHLVL", "_", "OLDPWD"}
    assert names <= {*PASSED, "CARGO_TARGET_DIR", "CARGO_ENCODED_RUSTFLAGS", "SOURCE_DATE_EPOCH"}
    assert {"PATH", "CARGO_ENCODED_RUSTFLAGS"} <= names


def test_two_wheels_do_not_write_the_same_file(tmp_path: Path) -> None:
    unpack(wheel(tmp_path / "a.whl", "a.py"), tmp_path / "site")
    with pytest.raises(FileExistsError):
        unpack(wheel(tmp_path / "b.whl", "a.py"), tmp_path / "site")


def test_what_is_pinned_holds_no_torch() -> None:
    names = [line.split("==")[0] for line in REQUIREMENTS.read_text().splitlines() if "==" in line]
    assert {"numpy", "cryptography", "cbor2", "asn1crypto", "safetensors", "rich"} <= set(names)
    assert not [name for name in names if name.startswith(("torch", "nvidia", "triton", "pip"))]
