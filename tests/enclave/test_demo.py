"""The demonstration as a whole, with cosign and Syft themselves."""

import re
import shutil
from pathlib import Path

import pytest

from tests.anchor.components import go_tool
from zk_autograd.cli import enclave
from zk_autograd.core.ec_keys import EcPublicKey
from zk_autograd.core.errors import VerificationError
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


def test_what_is_missing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert enclave.main(["demo", "--out", str(tmp_path / "out"), "--tools", str(tmp_path)]) == 2
    assert "missing: cosign and syft" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_there_is_left_alone(tools: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert enclave.main(["demo", "--out", str(tmp_path), "--tools", str(tools)]) == 2
    assert "is there already" in capsys.readouterr().err
