"""How a release is made: where the key that signs it is, and what make does with odd names."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
WORKFLOW = (ROOT / ".github/workflows/release.yml").read_text("utf-8")


def steps() -> dict[str, str]:
    """The workflow's steps by their names."""
    _, *found = re.split(r"^      - name: ", WORKFLOW, flags=re.MULTILINE)
    return {step.split("\n", 1)[0]: step for step in found}


def test_the_key_is_where_cosign_is_and_nowhere_else() -> None:
    """Every program of a step sees its environment: make runs what the tag says, Syft has hundreds
    of modules."""
    before, *_ = WORKFLOW.split("    steps:\n")
    assert "secrets." not in re.sub(r"^#.*$", "", before, flags=re.MULTILINE)
    [signing] = [step for step in steps().values() if "secrets." in step]
    lines = signing.split("        run: |\n")[1].replace("\\\n", " ").strip().splitlines()
    assert len(lines) == 3
    assert all(line.strip().startswith('"$GOBIN/cosign" ') for line in lines)
    assert signing.count("--key env://COSIGN_KEY") == 2


def test_the_second_build_starts_from_nothing() -> None:
    [step] = [step for step in steps().values() if "make enclave-image" in step]
    found = [re.findall(r"ENCLAVE_(OUT|CACHE)=(\S+)", line) for line in step.splitlines() if "enclave-image" in line]
    assert len(found) == 2
    assert len({name for line in found for name in line}) == 4
    assert "cmp dist/measurement.json dist/second.json" in step


@pytest.mark.parametrize("key", ["", "cosign.pub", "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----"])
def test_without_the_public_key_that_hosts_pin_there_is_no_release(key: str) -> None:
    """It ends before anything is built."""
    first = next(iter(steps().values()))
    script = first.split("        run: |\n")[1]
    asked = script[script.index("          case ") :]
    shell = ["bash", "-e", "-c", asked]
    done = subprocess.run(shell, env={"RELEASE_PUBLIC_KEY": key}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "RELEASE_PUBLIC_KEY is no public key in PEM" in done.stdout
    right = {"RELEASE_PUBLIC_KEY": "-----BEGIN PUBLIC KEY-----\nMF"}
    assert subprocess.run(shell, env=right, check=False).returncode == 0


def test_make_takes_folders_with_spaces(tmp_path: Path) -> None:
    """What make would do, done with stand-ins that say what they were given."""
    if shutil.which("make") is None:
        pytest.skip("there is no make here")
    bin = tmp_path / "bin"
    bin.mkdir()
    for name in ("python", "cosign", "syft", "zk-enclave"):
        (bin / name).write_text('#!/bin/sh\necho "${0##*/}" >> "$LOG"\nfor word; do echo "<$word>" >> "$LOG"; done\n')
        (bin / name).chmod(0o755)
    out = tmp_path / "an image"
    out.mkdir()
    (out / "enclave.eif").touch()
    shutil.copy(ROOT / "Makefile", tmp_path / "Makefile")
    own = [f"ENCLAVE_OUT={out}", "IMAGE_KEY=a key", f"BIN={bin}", f"ENCLAVE_DEMO={tmp_path}/my show"]
    for target in ("enclave-image", "enclave-sign", "enclave-demo"):
        subprocess.run(
            ["make", "--silent", "-o", "install", *own, target],
            cwd=tmp_path,
            env={
                "PATH": f"{bin}:/usr/bin:/bin",
                "LOG": str(tmp_path / "log"),
                "HOME": str(tmp_path),
                "COSIGN_PASSWORD": "x",
            },
            check=True,
        )
    words = (tmp_path / "log").read_text().splitlines()
    image = f"{out}/enclave.eif"
    assert {f"<{out}>", f"<{image}>", f"<{image}.sig.json>", "<a key>", f"<{tmp_path}/my show>"} <= set(words)
    assert {f"<oci-archive:{out}/root.oci>", f"<spdx-json={image}.spdx.json>"} <= set(words)
    assert not [word for word in words if word in ("<image>", "<key>", "<show>")]
