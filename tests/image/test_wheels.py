"""Wheels in the image: their modules, and nothing that a machine left in them."""

from pathlib import Path
from zipfile import ZipFile

import pytest

from enclave.commands import BuildError
from enclave.wheels import REQUIREMENTS, unpack


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


def test_two_wheels_do_not_write_the_same_file(tmp_path: Path) -> None:
    unpack(wheel(tmp_path / "a.whl", "a.py"), tmp_path / "site")
    with pytest.raises(FileExistsError):
        unpack(wheel(tmp_path / "b.whl", "a.py"), tmp_path / "site")


def test_what_is_pinned_holds_no_torch() -> None:
    names = [line.split("==")[0] for line in REQUIREMENTS.read_text().splitlines() if "==" in line]
    assert {"numpy", "cryptography", "cbor2", "asn1crypto", "safetensors", "rich"} <= set(names)
    assert not [name for name in names if name.startswith(("torch", "nvidia", "triton", "pip"))]
