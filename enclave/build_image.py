"""Builds the enclave's image: `python -m enclave.build_image --out FOLDER`.

    enclave.eif         the image, by `zk_autograd.tee.eif`
    measurement.json    its PCRs, as `zk-enclave measure --json` prints them
    vmlinuz, root.cpio  its parts, as QEMU starts them
    root.oci            the same root as a container's image (OCI archive), for AWS's nitro-cli

Two builds of the same source on one machine give the same measurement. What goes in is pinned:
Debian's packages and kernel by enclave/base.list and enclave/kernel.list, wheels by
requirements/enclave.txt, crates by Cargo.lock, this package by its commit. The Rust compiler and
maturin are this machine's, and not pinned: another compiler makes another measurement. It takes
mmdebstrap, buildah, dpkg-deb and apt-get, and root.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from enclave import wheels
from enclave.commands import BuildError, run
from enclave.packages import HERE, Package, control, fetch, read_list
from enclave.ramdisk import write_ramdisk
from enclave.source import committed
from zk_autograd.core.errors import ZkError
from zk_autograd.tee.eif import default_metadata, measure, read_image, write_image
from zk_autograd.version import __version__

CACHE = HERE.parent / ".cache" / "enclave"
CMDLINE = "console=ttyS0 panic=-1 reboot=k quiet"
"""Nothing hangs on it (zk_autograd.tee.eif): what is started, and how, the ramdisk's /init says."""

_TOOLS = ("mmdebstrap", "buildah", "dpkg-deb", "apt-get")
_NAME = "zk-autograd-enclave"


def build(out: Path, wheel: Path | None = None, cmdline: str = CMDLINE, cache: Path = CACHE) -> dict[str, str]:
    """Makes the image in `out`, a folder that isn't there yet; its registers. `wheel`: this
    package's, if it was built before; `cache` keeps what was fetched. BuildError, ZkError, OSError;
    then there is no `out`."""
    require_tools()
    try:
        out.mkdir(parents=True)
    except FileExistsError:
        raise BuildError(f"{out} exists, and is not overwritten: choose another folder, or remove it") from None
    try:
        return _built(out, wheel, cmdline, cache.absolute())
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise


def _built(out: Path, wheel: Path | None, cmdline: str, cache: Path) -> dict[str, str]:
    context = out / "context"
    context.mkdir()
    source = committed(context / "source")
    debs = [(package, fetch(package, cache / "debs")) for package in read_list(HERE / "base.list")]
    (kernel,) = read_list(HERE / "kernel.list")
    kernel_deb = fetch(kernel, cache / "debs")
    _kernel(kernel_deb, out / "vmlinuz")
    _base(debs, context)
    _described(kernel, kernel_deb, context / "status.d")
    for path in wheels.fetch(cache / "wheels"):
        wheels.unpack(path, context / "site")
    own = wheel or wheels.build(source, context / "wheel", cache / "target")
    wheels.unpack(own, context / "site", source)
    shutil.rmtree(context / "source", ignore_errors=True)
    shutil.copy(HERE / "settle.py", context / "settle.py")
    shutil.copy(HERE / "init.py", context / "init")
    with _root(context, out / "root.oci") as root, (out / "root.cpio").open("wb") as file:
        write_ramdisk(root, file)
    shutil.rmtree(context)
    return _image(out, cmdline, kernel.version)


def require_tools() -> None:
    """BuildError names the programs that are missing."""
    if missing := [name for name in _TOOLS if shutil.which(name) is None]:
        raise BuildError(
            f"building an image takes {', '.join(missing)}: `make test-enclave-tools` installs what is missing"
        )


def _kernel(deb: Path, out: Path) -> None:
    """Debian's kernel from its package."""
    with (
        subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as tar,
        tarfile.open(fileobj=tar.stdout, mode="r|") as archive,
    ):
        for member in archive:
            if member.name.startswith("./boot/vmlinuz-") and (file := archive.extractfile(member)) is not None:
                with out.open("xb") as copy:
                    shutil.copyfileobj(file, copy)
    if not out.exists():
        raise BuildError(f"{deb.name} holds no kernel")


def _base(debs: Sequence[tuple[Package, Path]], context: Path) -> None:
    """base.tar: the packages, unpacked by mmdebstrap from a repository that has no others, and a
    folder that tells scanners which they are, as `distroless` images have it."""
    pool, status = context / "pool", context / "status.d"
    pool.mkdir()
    status.mkdir()
    index = []
    for package, path in debs:
        fields = _described(package, path, status)
        shutil.copy(path, pool / path.name)
        # No dependencies: the list has all that is wanted of them.
        index.append(
            f"Package: {package.name}\nVersion: {package.version}\nArchitecture: {fields['Architecture']}\n"
            f"Filename: ./{path.name}\nSize: {path.stat().st_size}\nSHA256: {package.digest}\n"
        )
    (pool / "Packages").write_text("\n".join(index), "utf-8")
    names = ",".join(package.name for package, _ in debs)
    command = ["mmdebstrap", "--quiet", "--variant=extract", "--format=tar", "--include", names, "bookworm"]
    run(
        [*command, str(context / "base.tar"), f"deb [trusted=yes] copy:{quote(str(pool.absolute()))} ./"],
        "mmdebstrap makes no base",
    )
    shutil.rmtree(pool)


def _described(package: Package, path: Path, status: Path) -> dict[str, str]:
    """The fields of a package, which are written into `status` for scanners: also the kernel's,
    whose file lies beside the root. BuildError if it is another package."""
    fields = control(path)
    if (fields["Package"], fields["Version"]) != (package.name, package.version):
        raise BuildError(
            f"{path.name} is {fields['Package']} {fields['Version']}, not {package.name} {package.version}"
        )
    own = "".join(f"{name}: {value}\n" for name, value in fields.items())
    (status / package.name).write_text(f"{own}Status: install ok installed\n", "utf-8")
    return fields


@contextmanager
def _root(context: Path, archive: Path) -> Iterator[Path]:
    """The last stage's files, by buildah, and the same as an OCI archive."""
    stores = context / "stores"
    command = ["buildah", "--root", str(stores / "root"), "--runroot", str(stores / "run"), "--storage-driver", "vfs"]
    build = ["bud", "--quiet", "--isolation", "chroot", "--timestamp", "0", "--ignorefile", os.devnull]
    run(
        [*command, *build, "--file", str(HERE / "Dockerfile.enclave"), "--tag", _NAME, str(context)],
        "buildah builds nothing",
    )
    run([*command, "push", "--quiet", _NAME, f"oci-archive:{archive}:{_NAME}"], "buildah writes no archive")
    container = run([*command, "from", "--pull-never", _NAME], "buildah makes no container")
    yield Path(run([*command, "mount", container], "buildah mounts nothing"))
    run([*command, "rm", container], "buildah removes nothing")


def _image(out: Path, cmdline: str, kernel: str) -> dict[str, str]:
    metadata = default_metadata(_NAME, __version__, kernel)
    with (
        (out / "enclave.eif").open("x+b") as file,
        (out / "vmlinuz").open("rb") as vmlinuz,
        (out / "root.cpio").open("rb") as ramdisk,
    ):
        write_image(file, vmlinuz, cmdline, [ramdisk], metadata)
        registers = measure(read_image(file)).registers()
    (out / "measurement.json").write_text(json.dumps(registers) + "\n", "ascii")
    return registers


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m enclave.build_image", description="Builds the enclave's image, the same for the same source."
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="a new folder for image, measurement and parts"
    )
    parser.add_argument("--wheel", type=Path, metavar="FILE", help="this package's wheel (default: built by cargo)")
    parser.add_argument(
        "--cmdline", default=CMDLINE, metavar="TEXT", help=f"the kernel's command line (default: {CMDLINE})"
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=CACHE,
        metavar="FOLDER",
        help="where fetched packages are kept (default: .cache/enclave)",
    )
    options = parser.parse_args(arguments)
    try:
        registers = build(options.out, options.wheel, options.cmdline, options.cache)
    except (BuildError, ZkError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, value in registers.items():
        print(f"{name}  {value}")
    print(options.out / "enclave.eif")
    return 0


if __name__ == "__main__":
    sys.exit(main())
