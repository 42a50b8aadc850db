"""The auditor's own key: Ed25519 or ECDSA P-256 in PEM, that nobody else can read."""

import os
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from zk_autograd.core.dsse import Envelope
from zk_autograd.core.errors import UsageError
from zk_autograd.credentials import keyfile
from zk_autograd.credentials.auditor_key import load

EMPTY = Envelope("application/x", b"payload", ())


def write(path: Path, key: PrivateKeyTypes, encryption: KeySerializationEncryption | None = None) -> Path:
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()))
    path.chmod(0o600)
    return path


def test_both_kinds_of_key_sign_what_dsse_signs(tmp_path: Path) -> None:
    one, other = ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())
    signed = load(write(tmp_path / "a", one)).signed(EMPTY)
    one.public_key().verify(signed.signatures[0].sig, b"DSSEv1 13 application/x 7 payload")
    signed = load(write(tmp_path / "b", other)).signed(EMPTY)
    other.public_key().verify(signed.signatures[0].sig, b"DSSEv1 13 application/x 7 payload", ec.ECDSA(SHA256()))
    with pytest.raises(InvalidSignature):
        other.public_key().verify(signed.signatures[0].sig, b"payload", ec.ECDSA(SHA256()))
    public = other.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert signed.signatures[0].keyid == sha256(public).hexdigest()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o610])
def test_a_key_that_others_can_read_is_refused(mode: int, tmp_path: Path) -> None:
    path = write(tmp_path / "a", ed25519.Ed25519PrivateKey.generate())
    path.chmod(mode)
    with pytest.raises(UsageError, match=f"can be read by others \\(mode {mode:04o}\\): `chmod 600"):
        load(path)


def test_other_keys_are_refused_and_not_repeated(tmp_path: Path) -> None:
    keyfile.create(tmp_path / "log.key", "trainer")
    write(tmp_path / "rsa", rsa.generate_private_key(65537, 2048))
    write(tmp_path / "p384", ec.generate_private_key(ec.SECP384R1()))
    write(tmp_path / "locked", ed25519.Ed25519PrivateKey.generate(), BestAvailableEncryption(b"secret"))
    public = ed25519.Ed25519PrivateKey.generate().public_key()
    (tmp_path / "public").write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (tmp_path / "text").write_bytes(b"my secret words")
    (tmp_path / "empty").write_bytes(b"")
    for name, words in {
        "log.key": "is a trainer's log key, which signs no verdicts",
        "rsa": "is neither an Ed25519 nor a P-256 key",
        "p384": "is neither an Ed25519 nor a P-256 key",
        "locked": "is encrypted",
        "public": "is no private key in PEM",
        "text": "is no private key in PEM",
        "empty": "is no private key in PEM",
    }.items():
        (tmp_path / name).chmod(0o600)
        with pytest.raises(UsageError, match=words) as caught:
            load(tmp_path / name)
        assert "openssl genpkey" in str(caught.value)
        assert "my secret" not in str(caught.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(bytes(10**6))
    for path in (tmp_path / "none", tmp_path / "pipe", tmp_path, tmp_path / "large"):
        with pytest.raises(UsageError, match="--svr-key"):
            load(path)


def test_a_key_shows_no_secret(tmp_path: Path) -> None:
    key = load(write(tmp_path / "a", ed25519.Ed25519PrivateKey.generate()))
    assert repr(key) == f"AuditorKey(keyid={key.keyid!r})"
