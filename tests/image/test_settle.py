"""What the first stage lets into the image's root: an interpreter, the first program, libraries."""

import shutil
from pathlib import Path

import pytest

from enclave.settle import LOADER, PROGRAMS, modes, programs

ELF = b"\x7fELF"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (*PROGRAMS, LOADER, "usr/lib/libc.so.6", "usr/lib/python3.11/cgi.py", "tmp/x"):
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(ELF if "usr/" in name and not name.endswith(".py") else b"#!/usr/bin/python3.11\n")
        path.chmod(0o777)
    return tmp_path / "root"


def test_modes_do_not_depend_on_the_builder(root: Path) -> None:
    modes(root)
    assert {name: oct((root / name).stat().st_mode & 0o7777) for name in ("init", LOADER, "usr", "tmp", "tmp/x")} == {
        "init": "0o755",
        LOADER: "0o755",
        "usr": "0o755",
        "tmp": "0o1777",
        "tmp/x": "0o644",
    }
    assert set(programs(root)) == PROGRAMS


def test_a_shell_is_found_wherever_it_is(root: Path) -> None:
    """Also one without the permission: whoever may write may give it."""
    modes(root)
    shutil.copy("/bin/sh", root / "usr/lib/innocent")
    (root / "usr/lib/innocent").chmod(0o600)
    (root / "usr/bin/script").write_text("#!/init\n")
    (root / "usr/bin/script").chmod(0o755)
    (root / "usr/bin/sh").symlink_to("python3.11")
    assert set(programs(root)) - PROGRAMS == {"usr/lib/innocent", "usr/bin/script"}
