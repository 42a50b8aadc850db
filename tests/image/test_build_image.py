"""The image as a whole: built twice in two places, it is the same; and its parts boot in QEMU,
whose processor is emulated: no enclave, but the kernel and the ramdisk that the image consists of.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from hashlib import file_digest
from pathlib import Path

import pytest

from enclave import build_image
from enclave.build_image import CACHE, main
from enclave.commands import BuildError
from enclave.packages import Package, read_list
from zk_autograd.tee.eif import Image, Kind, measure, read_image
from zk_autograd.version import __version__

ROOT = Path(__file__).parents[2]
SOURCE = ("src", "crates", "enclave", "requirements", "Cargo.toml", "Cargo.lock", "pyproject.toml", "README.md", "LICENSE", ".gitignore")  # fmt: skip
BOOT_SECONDS = 900
"""With room for a busy machine: half a minute on an idle one."""


def require(*programs: str) -> None:
    if missing := [name for name in programs if shutil.which(name) is None]:
        pytest.skip(f"there is no {', '.join(missing)} here (make test-enclave-tools)")


def built(root: Path, out: Path, cache: Path) -> Path:
    """The image that a checkout builds."""
    require("mmdebstrap", "buildah", "dpkg-deb", "apt-get", "cargo")
    if os.geteuid():
        pytest.skip("the image is built as root here: mmdebstrap and buildah would need user namespaces")
    command = [sys.executable, "-m", "enclave.build_image", "--out", str(out), "--cache", str(cache)]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out / "enclave.eif"


def content(image: Image, kind: Kind, path: Path) -> Path:
    """The one section of a kind, as a file."""
    (section,) = image.all(kind)
    with path.open("xb") as file:
        for chunk in image.chunks(section):
            file.write(chunk)
    return path


@pytest.mark.long
def test_two_builds_in_two_places_are_equal_and_their_parts_boot(tmp_path: Path) -> None:
    """With another folder, other compiled files and another cache of cargo's results. The compiler
    and the processor are the same: it is not shown that those don't matter."""
    image = built(ROOT, tmp_path / "out", CACHE)
    other = tmp_path / "another place"
    for name in SOURCE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(
                source, other / name, ignore=shutil.ignore_patterns("__pycache__", "_native.*.so", "target")
            )
        else:
            shutil.copy(source, other / name)
    cache = tmp_path / "cache"
    for name in ("debs", "wheels"):
        shutil.copytree(CACHE / name, cache / name)
    again = built(other, tmp_path / "once more, again", cache)
    assert again.read_bytes() == image.read_bytes()
    measured = json.loads((tmp_path / "once more, again" / "measurement.json").read_text())
    with image.open("rb") as file:
        assert measure(read_image(file)).registers() == measured
    for name in ("once more, again", "cache", "another place"):
        shutil.rmtree(tmp_path / name)
    if shutil.which("qemu-system-x86_64") is None:
        pytest.skip("equal, but not booted: there is no qemu-system-x86_64 here (make test-enclave-tools)")
    boots(image, tmp_path)


def boots(image: Path, place: Path) -> None:
    """The kernel and the ramdisk of an image start, and hold what they should."""
    with image.open("rb") as file:
        found = read_image(file)
        kernel = content(found, Kind.KERNEL, place / "kernel")
        ramdisk = content(found, Kind.RAMDISK, place / "ramdisk")
        line = f"{found.cmdline} -- self-test"
    held = ramdisk.read_bytes()
    no_other_first_program(kernel.read_bytes(), held)
    (pinned_kernel,) = read_list(ROOT / "enclave" / "kernel.list")
    assert f"var/lib/dpkg/status.d/{pinned_kernel.name}\0".encode() in held  # for scanners
    command = [
        "qemu-system-x86_64",
        "-accel",
        "tcg",
        "-M",
        "q35",
        "-cpu",
        "max",
        "-m",
        "2048",
        "-nographic",
        "-nodefaults",
    ]
    command += ["-serial", "stdio", "-net", "none", "-no-reboot", "-kernel", str(kernel), "-initrd", str(ramdisk)]
    done = subprocess.run(
        [*command, "-append", line], stdin=subprocess.DEVNULL, capture_output=True, timeout=BOOT_SECONDS, check=True
    )
    console = done.stdout.decode("utf-8", "replace").splitlines()
    assert "zk-enclave: exit status 0" in console, "\n".join(console[-30:])
    program = json.loads(next(line for line in console if line.startswith('{"version"')))
    assert program["version"] == __version__ and program["device"].startswith("emulated") and program["torch"] is False
    told = json.loads(next(line[line.index('{"zk-') :] for line in console if '{"zk-' in line))
    pinned = (ROOT / "requirements" / "enclave.txt").read_text().splitlines()
    packages = {" ".join(line.split()[0].split("==")).lower() for line in pinned if "==" in line}
    assert {package.lower() for package in told.pop("packages")} == packages | {f"zk-autograd {__version__}"}
    assert pinned_kernel.name == f"linux-image-{told.pop('kernel')}"
    assert told.pop("python").startswith("3.11.")
    assert told == {
        "zk-autograd": __version__,
        "native": __version__,
        "first": True,
        "torch": False,
        "shells": [],
        "works": True,
    }


def no_other_first_program(kernel: bytes, ramdisk: bytes) -> None:
    """The measurement leaves it open which bytes of kernel, command line and ramdisk are the line,
    and what is before it in the ramdisk is lost (zk_autograd.tee.eif). No window names a program to
    start; and the ramdisk is whole wherever /init is in it: only folders come before."""
    for text in (b"init=/", b"rdinit="):
        assert text not in kernel
        assert text not in ramdisk
    names: list[bytes] = []
    place = 0
    while not names or names[-1] != b"init":
        fields = [int(ramdisk[place + 6 + 8 * i : place + 14 + 8 * i], 16) for i in range(13)]
        names.append(ramdisk[place + 110 : place + 109 + fields[11]])
        content = -(-(place + 110 + fields[11]) // 4) * 4
        place = -(-(content + fields[6]) // 4) * 4
    assert names == [b".", b"bin", b"dev", b"etc", b"init"]


@pytest.mark.slow
def test_packages_are_unpacked_in_any_folder_and_the_kernel_is_told_to_scanners(tmp_path: Path) -> None:
    require("mmdebstrap", "dpkg-deb", "apt-get")
    if os.geteuid():
        pytest.skip("the image is built as root here: mmdebstrap would need user namespaces")
    deb = tmp_path / "deb"
    (deb / "DEBIAN").mkdir(parents=True)
    (deb / "DEBIAN/control").write_text(
        "Package: example\nVersion: 1\nArchitecture: amd64\nMaintainer: nobody\nDescription: an example\n"
    )
    (deb / "usr").mkdir()
    (deb / "usr/found").write_text("found")
    path = tmp_path / "example.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", str(deb), str(path)], check=True, capture_output=True)
    with path.open("rb") as file:
        package = Package("example", "1", file_digest(file, "sha256").hexdigest())
    context = tmp_path / "a folder [of mine] 100%"
    context.mkdir()
    build_image._base([(package, path)], context)
    with tarfile.open(context / "base.tar") as tar:
        assert "./usr/found" in tar.getnames()
    fields = build_image._described(package, path, context / "status.d")
    assert fields["Package"] == "example"
    assert "Status: install ok installed" in (context / "status.d/example").read_text()
    with pytest.raises(BuildError, match="is example 1, not example 2"):
        build_image._described(Package("example", "2", package.digest), path, context / "status.d")


@pytest.mark.slow  # of apt
def test_a_failed_build_leaves_nothing_and_names_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    require("mmdebstrap", "buildah", "dpkg-deb", "apt-get")
    monkeypatch.setattr(build_image, "HERE", tmp_path)
    monkeypatch.setattr(build_image, "committed", lambda folder: ROOT)
    (tmp_path / "base.list").write_text(f"libc6 0.0-none {'0' * 64}\n")
    assert main(["--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")]) == 1
    assert "error: libc6 0.0-none can't be had from this machine's Debian mirror" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    assert main(["--out", str(tmp_path / "out")]) == 1
    assert "out exists, and is not overwritten" in capsys.readouterr().err


def test_missing_programs_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match="takes mmdebstrap, buildah, dpkg-deb, apt-get: `make test-enclave-tools`"):
        build_image.build(tmp_path / "out")
