"""Debian packages, pinned by name, version and SHA-256 in a list, and fetched from the mirror that
this machine's apt is configured with.

    python -m enclave.packages update    the lists with today's versions: another measurement

A list has a package a line, `NAME VERSION SHA-256`. Nothing is fetched that no list names: what one
package depends on is in the list, or isn't wanted.
"""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from tempfile import TemporaryDirectory

from enclave.commands import BuildError, run

HERE = Path(__file__).parent
LISTS = (HERE / "base.list", HERE / "kernel.list")


@dataclass(frozen=True, slots=True)
class Package:
    """A line of a list."""

    name: str
    version: str
    digest: str

    def __str__(self) -> str:
        return f"{self.name} {self.version} {self.digest}"


def read_list(path: Path) -> tuple[Package, ...]:
    """The packages of a list; lines that begin with # are for readers."""
    found = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split()
        if len(words) != 3 or len(words[2]) != 64:
            raise BuildError(f"{path} line {number} isn't NAME VERSION SHA-256")
        found.append(Package(*words))
    return tuple(found)


def fetch(package: Package, folder: Path) -> Path:
    """The package's file in `folder`, from there or from the mirror, with the digest that is
    pinned. BuildError names a package that has gone, or is another."""
    path = folder / f"{package.name}_{package.digest[:16]}.deb"
    if not path.exists():
        _download(package, folder, path)
    if (found := _digest(path)) != package.digest:
        path.unlink()
        raise BuildError(
            f"{package.name} {package.version} is not the package that is pinned: its SHA-256 is {found}, not {package.digest}"
        )
    return path


def _download(package: Package, folder: Path, path: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as place:
        command = ["apt-get", "download", "--quiet=2", f"{package.name}={package.version}"]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
        files = list(Path(place).iterdir())
        if done.returncode or len(files) != 1:
            raise BuildError(
                f"{package.name} {package.version} can't be had from this machine's Debian mirror ({_reason(done.stderr)}). If `apt-get update` "
                f"doesn't bring it back, it has gone: put the file with SHA-256 {package.digest} into {folder} as {path.name}, or pin its successor "
                "with `python -m enclave.packages update`, which changes the image's measurement"
            )
        files[0].rename(path)


def control(path: Path) -> dict[str, str]:
    """The fields of a package's control file; the lines that continue one stay in it."""
    text = run(["dpkg-deb", "--field", str(path)], f"{path.name} can't be read")
    fields: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith((" ", "\t")):
            fields[name] += f"\n{line}"
        else:
            name, _, value = line.partition(":")
            fields[name] = value.strip()
    return fields


def successor(package: Package) -> Package:
    """The version of a package that apt would install today."""
    command = ["apt-cache", "show", "--no-all-versions", package.name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = dict(line.split(": ", 1) for line in done.stdout.splitlines() if line.startswith(("Version: ", "SHA256: ")))
    if done.returncode or len(found) != 2:
        raise BuildError(f"{package.name} is no package of this machine's Debian mirror: {_reason(done.stderr)}")
    return Package(package.name, found["Version"], found["SHA256"])


def update(path: Path) -> None:
    """Writes today's versions into a list, and leaves its other lines as they are."""
    lines = [
        line if not line.strip() or line.startswith("#") else str(successor(Package(*line.split())))
        for line in path.read_text("utf-8").splitlines()
    ]
    path.write_text("\n".join(lines) + "\n", "utf-8")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _reason(text: str) -> str:
    """The first error of apt's words."""
    lines = [line.removeprefix("E: ") for line in text.splitlines() if line.startswith("E: ")]
    return lines[0] if lines else "apt says no reason"


def main(arguments: Sequence[str]) -> int:
    """`update`: the lists, by today's versions."""
    if list(arguments) != ["update"]:
        print("usage: python -m enclave.packages update", file=sys.stderr)
        return 2
    try:
        for path in LISTS:
            update(path)
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
