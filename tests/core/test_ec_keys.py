"""EC public keys: every curve, every text that is not one key, every signature that is not its."""

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from zk_autograd.core.ec_keys import EcPublicKey
from zk_autograd.core.errors import VerificationError

HASHES: dict[type[ec.EllipticCurve], hashes.HashAlgorithm] = {
    ec.SECP256R1: hashes.SHA256(),
    ec.SECP384R1: hashes.SHA384(),
    ec.SECP521R1: hashes.SHA512(),
}


def private(curve: type[ec.EllipticCurve] = ec.SECP256R1, secret: int = 12345) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(secret, curve())


def pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form)


@pytest.mark.parametrize("curve", HASHES)
def test_each_curve_verifies_with_its_own_hash(curve: type[ec.EllipticCurve]) -> None:
    key = EcPublicKey.parse(pem(private(curve)))
    for name, algorithm in HASHES.items():
        signature = private(curve).sign(b"data", ec.ECDSA(algorithm))
        if name is curve:
            key.verify(b"data", signature)
            continue
        with pytest.raises(VerificationError, match="wrong signature"):
            key.verify(b"data", signature)


def test_another_text_another_key_and_a_bent_signature_are_refused() -> None:
    key = EcPublicKey.parse(pem(private()))
    signature = private().sign(b"data", ec.ECDSA(hashes.SHA256()))
    for data, found in (
        (b"datb", signature),
        (b"data", private(secret=2).sign(b"data", ec.ECDSA(hashes.SHA256()))),
        (b"data", b""),
        (b"data", signature + b"\0"),
        (b"data", signature[:-1]),
        (b"data", b"\x30\x06\x02\x01\x00\x02\x01\x00"),  # r = s = 0
    ):
        with pytest.raises(
            VerificationError, match=f"wrong signature by the key with the fingerprint {key.fingerprint}"
        ):
            key.verify(data, found)


def test_white_space_around_a_key_makes_no_other_key() -> None:
    text = pem(private())
    assert EcPublicKey.parse(b"\n " + text + b"\n\n") == EcPublicKey.parse(text) == EcPublicKey(text)
    assert EcPublicKey.parse(text.replace(b"\n", b"\r\n")).fingerprint == EcPublicKey(text).fingerprint


SECRET = private().private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
OFF_CURVE = pem(private()).replace(b"A", b"B")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff\x00",
        SECRET,
        pem(private()) + SECRET,
        pem(private()) * 2,
        pem(private()) + b" " * 2**14,
        pem(private(ec.SECP256K1)),
        pem(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))),
        pem(private()).replace(b"MFkw", b"MFkx"),
        OFF_CURVE,
        b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
        b"-----BEGIN PUBLIC KEY-----\n",
        b"x" + pem(private()),
    ],
)
def test_what_is_not_one_key_is_refused_and_not_repeated(text: bytes) -> None:
    with pytest.raises(VerificationError) as caught:
        EcPublicKey.parse(text)
    assert not any(len(line) > 10 and line.decode("latin1") in str(caught.value) for line in SECRET.splitlines()[1:-1])
