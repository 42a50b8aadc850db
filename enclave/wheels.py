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
PASSED = (
    "PATH", "HOME", "TMPDIR", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "SSL_CERT_FILE", "SSL_CERT_DIR", "CARGO_HTTP_CAINFO",
    "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
)  # fmt: skip
"""What cargo and maturin get of the environment: where programs and crates come from. Not profiles,
flags or wrappers of the compiler, which change what is measured."""

_METADATA = ("METADATA", "WHEEL", "entry_points.txt", "licenses/LICENSE")
NATIVE = "zk_autograd/_native.abi3.so"
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


def build(source: Path, folder: Path, target: Path) -> Path:
    """This package's wheel in `folder`, by cargo, which keeps its results in `target`. It is
    compiled for processors with AVX2, not for this one as .cargo/config.toml has it; this machine's
    paths are taken out, and no variable of its environment but `PASSED` is there: so it is the same
    wherever the same compiler built it."""
    cargo = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    source = source.absolute()
    flags = ("-Ctarget-cpu=x86-64-v3", f"--remap-path-prefix={cargo}=/cargo", f"--remap-path-prefix={source}=/source")
    environment = {
        "CARGO_TARGET_DIR": str(target.absolute()),
        "CARGO_ENCODED_RUSTFLAGS": "\x1f".join(flags),
    }
    maturin = Path(sys.executable).with_name("maturin")
    command = [str(maturin), "build", "--quiet", "--release", "--locked", "--compatibility", "linux"]
    why = "this package's wheel can't be built"
    run([*command, "--out", str(folder.absolute())], why, environment, source, PASSED)
    (wheel,) = folder.glob("*.whl")
    return wheel


def unpack(wheel: Path, folder: Path, source: Path | None = None) -> None:
    """Puts what a wheel installs into `folder`: neither commands nor headers, nor what tells of
    the machine that built it (a bill of materials with its paths, and the digest of that).

    `source`: that of this package, whose wheel it is. Then each module must be the source's, byte
    for byte, and the native module is the only one that was compiled. BuildError."""
    with ZipFile(wheel) as archive:
        for entry in archive.infolist():
            parts = PurePosixPath(entry.filename).parts
            if entry.is_dir() or "__pycache__" in parts:
                continue
            if ".." in parts or entry.filename.startswith("/"):
                raise BuildError(f"{wheel.name} has a file outside of its folder")
            if parts[0].endswith((".data", ".dist-info")) and len(parts) < (3 if parts[0].endswith(".data") else 2):
                raise BuildError(f"{wheel.name} has a file {entry.filename} where wheels have a folder")
            if parts[0].endswith(".data"):
                if parts[1] not in ("purelib", "platlib"):
                    continue
                parts = parts[2:]
            if parts[0].endswith(".dist-info") and (parts[1] in ("RECORD", "sboms")):
                continue
            if source is not None:
                _require_own(wheel, "/".join(parts), archive.read(entry), source)
            place = folder.joinpath(*parts)
            place.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as file, place.open("xb") as out:
                shutil.copyfileobj(file, out)


def _require_own(wheel: Path, name: str, data: bytes, source: Path) -> None:
    """BuildError for what isn't of this package's source, nor written by the build."""
    folder, _, rest = name.partition("/")
    if folder.startswith("zk_autograd-") and folder.endswith(".dist-info"):
        known = rest in _METADATA
    else:
        path = source / "src" / name
        of_source = folder == "zk_autograd" and path.suffix != ".so" and path.is_file() and path.read_bytes() == data
        known = name == NATIVE or of_source
    if not known:
        raise BuildError(f"{wheel.name} has {name}, which is not in this package's source, or is another there")
