"""Python's part of the image: the wheels of requirements/enclave.txt, which pins each by SHA-256,
and this package's own, built from its source."""

import os
import shutil
import sys
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

from enclave.commands import BuildError, run

ROOT = Path(__file__).parents[1]
REQUIREMENTS = ROOT / "requirements" / "enclave.txt"
_PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


def fetch(folder: Path) -> list[Path]:
    """The wheels in `folder`, from there or from the package index. BuildError."""
    arguments = [
        "--require-hashes",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--python-version",
        "3.11",
        "--implementation",
        "cp",
    ]
    for platform in _PLATFORMS:
        arguments += ["--platform", platform]
    folder.mkdir(parents=True, exist_ok=True)
    run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", *arguments, "--dest", str(folder), "--requirement", str(REQUIREMENTS)],
        "the wheels that requirements/enclave.txt pins can't be had",
    )  # fmt: skip
    pinned = {
        line.split()[0].replace("==", "-").replace("-", "_")
        for line in REQUIREMENTS.read_text().splitlines()
        if "==" in line
    }
    wheels = [path for path in sorted(folder.glob("*.whl")) if "_".join(path.name.split("-")[:2]).lower() in pinned]
    if len(wheels) != len(pinned):
        raise BuildError(f"{folder} holds other wheels than requirements/enclave.txt pins: remove it, and build again")
    return wheels


def build(folder: Path, target: Path) -> Path:
    """This package's wheel in `folder`, by cargo, which keeps its results in `target`. It is
    compiled for processors with AVX2, not for this one as .cargo/config.toml has it, and this
    machine's paths are taken out: so it is the same wherever the same compiler built it."""
    cargo = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    flags = ("-Ctarget-cpu=x86-64-v3", f"--remap-path-prefix={cargo}=/cargo", f"--remap-path-prefix={ROOT}=/source")
    environment = {
        "CARGO_TARGET_DIR": str(target.absolute()),
        "CARGO_ENCODED_RUSTFLAGS": "\x1f".join(flags),
    }
    maturin = Path(sys.executable).with_name("maturin")
    command = [str(maturin), "build", "--quiet", "--release", "--locked", "--compatibility", "linux"]
    run([*command, "--out", str(folder.absolute())], "this package's wheel can't be built", environment, ROOT)
    (wheel,) = folder.glob("*.whl")
    return wheel


def unpack(wheel: Path, folder: Path) -> None:
    """Puts what a wheel installs into `folder`: neither commands nor headers, nor what tells of
    the machine that built it (a bill of materials with its paths, and the digest of that)."""
    with ZipFile(wheel) as archive:
        for entry in archive.infolist():
            parts = PurePosixPath(entry.filename).parts
            if entry.is_dir() or "__pycache__" in parts:
                continue
            if parts[0].endswith(".data"):
                if parts[1] not in ("purelib", "platlib"):
                    continue
                parts = parts[2:]
            if parts[0].endswith(".dist-info") and (parts[1] in ("RECORD", "sboms")):
                continue
            if ".." in parts or entry.filename.startswith("/"):
                raise BuildError(f"{wheel.name} has a file outside of its folder")
            place = folder.joinpath(*parts)
            place.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as file, place.open("xb") as out:
                shutil.copyfileobj(file, out)
