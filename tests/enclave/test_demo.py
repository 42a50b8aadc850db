"""The demonstration as a whole, with cosign and Syft themselves."""

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.anchor.components import go_tool
from zk_autograd.cli import enclave
from zk_autograd.core.ec_keys import EcPublicKey
from zk_autograd.core.errors import VerificationError
from zk_autograd.enclave.demo.demonstration import Shell, Tools
from zk_autograd.enclave.image import verified_image

pytest.importorskip("cbor2", reason="attestation documents need the [tee] extra")
pytest.importorskip("fastapi", reason="the broker needs the [broker] extra")
pytest.importorskip("rfc3161_client", reason="time stamps need the [rfc3161] extra")


@pytest.fixture
def tools() -> Path:
    """The folder of both programs."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl here, which stamps the demonstration's register")
    cosign, syft = Path(go_tool("cosign")), Path(go_tool("syft"))
    assert cosign.parent == syft.parent
    return cosign.parent


@pytest.mark.long
def test_from_an_image_to_a_verified_run(tools: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a folder"
    assert enclave.main(["demo", "--out", str(out), "--tools", str(tools), "--steps", "3"]) == 0
    shown = capsys.readouterr().out
    words = re.findall(r"^\$ (?:\S*/)?(\S+)(?: ([a-z-]+))?", shown, re.MULTILINE)
    assert {("zk-enclave", name) for name in ("measure", "verify-image", "seal", "broker", "run", "open")} <= set(words)
    assert {("cosign", "sign-blob"), ("cosign", "attest-blob"), ("zk-verify", "run")} <= set(words)
    assert "verdict: L0, L1, L2 (the enclave is emulated, and shows nothing)" in shown
    assert "verdict: UNPINNED" in shown
    assert (out / "model.safetensors").stat().st_size > 0
    # What cosign signed is checked by other means than its own: each file, altered, is refused.
    key = EcPublicKey.parse((out / "cosign.pub").read_bytes())
    with verified_image(out / "enclave.eif", key) as image:
        assert image.packages > 0
    for name in ("enclave.eif", "enclave.eif.spdx.json", "enclave.eif.sbom.json", "enclave.eif.sig.json"):
        data = (out / name).read_bytes()
        (out / name).write_bytes(data.replace(b"a", b"b", 1))
        with pytest.raises(VerificationError), verified_image(out / "enclave.eif", key):
            pass
        (out / name).write_bytes(data)


@pytest.mark.long
def test_a_demonstration_that_is_stopped_leaves_no_process(tools: Path, tmp_path: Path) -> None:
    """SIGTERM for it alone: broker, host and enclave end, too."""
    (tmp_path / "tmp").mkdir()
    command = [
        sys.executable,
        "-m",
        "zk_autograd.cli.enclave",
        "demo",
        "--out",
        str(tmp_path / "out"),
        "--steps",
        "9000",
    ]
    own = {**os.environ, "TMPDIR": str(tmp_path / "tmp"), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [*command, "--tools", os.path.relpath(tools)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=own,
    ) as demo:
        assert demo.stdout is not None
        assert any(line.startswith("$ zk-enclave run ") for line in demo.stdout), "it ended before"
        deadline = time.monotonic() + 120
        while not (tmp_path / "out/run/log/records.jsonl").exists():
            assert demo.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        assert len(_about(tmp_path)) >= 3  # itself, the broker, the enclave
        demo.send_signal(signal.SIGTERM)
        demo.stdout.read()
        assert demo.wait(90) == 130
    assert _about(tmp_path) == []
    assert list((tmp_path / "tmp").iterdir()) == []
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700


def _about(folder: Path) -> list[str]:
    """The processes that have a folder in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str(folder).encode() in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_text())
    return found


def test_tools_are_found_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands run in the demonstration's folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("cosign", "syft"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    assert Tools.found(Path(".")) == Tools(str(tmp_path / "cosign"), str(tmp_path / "syft"))


def test_syft_asks_nobody_for_news(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYFT_CHECK_FOR_APP_UPDATE", "true")
    assert Shell(tmp_path, lambda line: None).run("printenv", "SYFT_CHECK_FOR_APP_UPDATE") == "false\n"


def test_what_is_missing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert enclave.main(["demo", "--out", str(tmp_path / "out"), "--tools", str(tmp_path)]) == 2
    assert "missing: cosign and syft" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_there_is_left_alone(tools: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert enclave.main(["demo", "--out", str(tmp_path), "--tools", str(tools)]) == 2
    assert "is there already" in capsys.readouterr().err
