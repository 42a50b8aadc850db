"""Inside the first stage of Dockerfile.enclave, where there is Python and nothing else: makes
/image, which is the enclave's root.

Left out is what the enclave's program doesn't need: documentation but for the licences, other
languages, the parts of Python that make installers and windows. Programs are counted: an
interpreter of Python and the first program, or nothing is built. There is no shell: but whoever can
start the interpreter can run what they like with it.
"""

import compileall
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from py_compile import PycInvalidationMode

IMAGE = Path("/image")
LEFT_OUT = (
    "usr/share/locale", "usr/share/man", "usr/share/lintian", "usr/share/bug", "usr/share/binfmts", "usr/share/applications",
    "usr/share/pixmaps", "usr/share/python3", "usr/lib/x86_64-linux-gnu/gconv", "usr/lib/x86_64-linux-gnu/audit",
    "usr/lib/python3.11/idlelib", "usr/lib/python3.11/tkinter", "usr/lib/python3.11/lib2to3", "usr/lib/python3.11/ensurepip",
    "usr/lib/python3.11/turtledemo", "usr/lib/python3.11/test", "usr/lib/python3.11/venv",
)  # fmt: skip
SERVICES = "usr/lib/python3/dist-packages/botocore/data"
ASKED = {"kms", "sts"}
"""Services of AWS that an enclave may ask, of the hundreds that botocore knows."""

PROGRAMS = {"init", "usr/bin/python3.11"}
LOADER = "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
_LIBRARY = re.compile(r"\.so(\.[0-9.]+)?$")


def main() -> None:
    """Makes /image."""
    shutil.copytree("/usr", IMAGE / "usr", symlinks=True)
    for name in ("lib", "lib64", "bin", "sbin"):  # what older packages put beside /usr
        place = Path("/", name)
        if place.is_dir() and not place.is_symlink():
            shutil.copytree(place, IMAGE / "usr" / name, symlinks=True, dirs_exist_ok=True)
        if (IMAGE / "usr" / name).is_dir():
            (IMAGE / name).symlink_to(f"usr/{name}")
    shutil.copytree("/var/lib/dpkg/status.d", IMAGE / "var/lib/dpkg/status.d")
    shutil.copy("/init", IMAGE / "init")
    for name in ("dev", "proc", "sys", "run", "tmp", "etc"):
        (IMAGE / name).mkdir()
    for name in LEFT_OUT:
        shutil.rmtree(IMAGE / name, ignore_errors=True)
    for path in (IMAGE / SERVICES).iterdir():
        if path.is_dir() and path.name not in ASKED:
            shutil.rmtree(path)
    for folder in ("usr/lib/python3.11", "usr/lib/python3"):
        compiled = compileall.compile_dir(
            IMAGE / folder, quiet=1, stripdir="/image", invalidation_mode=PycInvalidationMode.UNCHECKED_HASH
        )
        if not compiled:
            raise SystemExit(f"{folder} can't be compiled")
    modes(IMAGE)
    if (found := set(programs(IMAGE))) != PROGRAMS:
        raise SystemExit(f"the image lacks programs, or would hold others: {sorted(found ^ PROGRAMS)}")


def modes(root: Path) -> None:
    """Gives every file the one mode that its kind has, so that no builder's umask is measured."""
    for path in root.rglob("*"):
        if not path.is_symlink():
            name = os.path.relpath(path, root)
            path.chmod(0o755 if path.is_dir() or name in PROGRAMS or name == LOADER else 0o644)
    (root / "tmp").chmod(0o1777)


def programs(root: Path) -> Iterator[str]:
    """The files that are programs: of ELF, unless their name is a library's, and scripts that can
    be executed."""
    for path in root.rglob("*"):
        if path.is_symlink() or not path.is_file():
            continue
        with path.open("rb") as file:
            magic = file.read(4)
        script = magic.startswith(b"#!") and path.stat().st_mode & 0o111
        if script or (magic == b"\x7fELF" and not _LIBRARY.search(path.name)):
            yield os.path.relpath(path, root)


if __name__ == "__main__":
    main()
