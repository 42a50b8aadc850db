"""The key that signs models: made, read back, and read of other makers; what is refused."""

import copy
import os
import pickle
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from zk_autograd.core.ec_keys import EcPublicKey
from zk_autograd.core.errors import UsageError
from zk_autograd.credentials.model_key import create, default_path, load, public_path


def written(
    path: Path, key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, password: bytes | None = None
) -> Path:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))
    path.chmod(0o600)
    return path


def test_a_new_key_is_read_back_and_only_its_owner_can(tmp_path: Path) -> None:
    path = tmp_path / "new" / "model.key"
    key = create(path).public_key
    assert load(path).public_key == key == EcPublicKey.parse(public_path(path).read_bytes())
    assert [stat.S_IMODE(p.stat().st_mode) for p in (path, path.parent)] == [0o600, 0o700]
    key.verify(b"data", load(path).sign(b"data"))
    assert create(tmp_path / "other").public_key != key


def test_the_default_place_is_beside_the_log_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert default_path() == tmp_path / "zk-autograd" / "model.key"


@pytest.mark.parametrize("taken", ["key", "key.pub"])
def test_a_key_is_never_overwritten(taken: str, tmp_path: Path) -> None:
    (tmp_path / taken).write_text("x")
    with pytest.raises(UsageError, match="a key is never overwritten"):
        create(tmp_path / "key")
    assert [p.name for p in tmp_path.iterdir()] == [taken]


@pytest.mark.parametrize(
    "command",
    [
        ["ecparam", "-name", "prime256v1", "-genkey"],
        ["ecparam", "-name", "prime256v1", "-genkey", "-noout"],
        ["ecparam", "-name", "secp384r1", "-genkey"],
        ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
    ],
)
def test_keys_of_openssl_are_taken(command: list[str], tmp_path: Path) -> None:
    path = tmp_path / "key"
    subprocess.run(["openssl", *command, "-out", path], check=True, capture_output=True)
    path.chmod(0o600)
    signer = load(path)
    signer.public_key.verify(b"data", signer.sign(b"data"))
    shown = subprocess.run(["openssl", "pkey", "-in", path, "-pubout"], check=True, capture_output=True)
    assert EcPublicKey.parse(shown.stdout) == signer.public_key


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_key_that_others_can_reach_is_refused(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "key"
    create(path)
    path.chmod(mode)
    with pytest.raises(UsageError, match=rf"can be read by others \(mode {mode:04o}\)"):
        load(path)


def test_what_is_no_usable_key_is_refused_and_not_repeated(tmp_path: Path) -> None:
    p256 = ec.derive_private_key(3, ec.SECP256R1())
    cases = {
        "is encrypted": written(tmp_path / "a", p256, b"password"),
        "no EC key of a known curve": written(tmp_path / "b", ec.derive_private_key(3, ec.SECP256K1())),
        "is no EC key": written(tmp_path / "c", ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))),
        "no private key in PEM": written(tmp_path / "d", p256),
    }
    lines = cases["no private key in PEM"].read_bytes().splitlines()
    cases["no private key in PEM"].write_bytes(lines[0] + b"\n" + lines[1][:-4] + b"\n" + lines[-1] + b"\n")
    for message, path in cases.items():
        with pytest.raises(UsageError, match=message) as caught:
            load(path)
        assert path.read_text().splitlines()[1][:20] not in str(caught.value)
    with pytest.raises(
        UsageError, match=r"there is no model key at .*: make one with `zk-key new-model-key` --key-file"
    ):
        load(tmp_path / "none")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="is no file"):
        load(tmp_path / "pipe")


def test_a_signer_shows_no_secret(tmp_path: Path) -> None:
    signer = create(tmp_path / "key")
    assert "PRIVATE" not in repr(signer)
    for leak in (pickle.dumps, copy.deepcopy):
        with pytest.raises(UsageError, match="can't be pickled"):
            leak(signer)
