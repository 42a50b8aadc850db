"""CMS EnvelopedData as AWS KMS makes it, and variants that it never makes."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

SAMPLES = Path(__file__).parents[2] / "data" / "kms"

EOC = b"\x00\x00"
DATA = bytes.fromhex("06092a864886f70d010701")
ENVELOPED = bytes.fromhex("06092a864886f70d010703")
_NULL = b"\x05\x00"
_SHA256 = bytes.fromhex("0609608648016503040201")
_MGF1 = bytes.fromhex("06092a864886f70d010108")
_RSAES_OAEP = bytes.fromhex("06092a864886f70d010107")
AES_256_CBC = bytes.fromhex("060960864801650304012a")


def tlv(tag: int, *parts: bytes) -> bytes:
    """A value of definite length."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def indefinite(tag: int, *parts: bytes) -> bytes:
    return bytes([tag, 0x80]) + b"".join(parts) + EOC


def oaep(hashed: bytes = _SHA256, mask: bytes = _SHA256, label: bytes = b"") -> bytes:
    """The algorithm of the key's encryption."""
    parameters = tlv(0xA0, tlv(0x30, hashed, _NULL)), tlv(0xA1, tlv(0x30, _MGF1, tlv(0x30, mask, _NULL))), label
    return tlv(0x30, _RSAES_OAEP, tlv(0x30, *parameters))


@dataclass
class Message:
    """The parts of a message; `encode` puts them together."""

    outer: bytes
    version: bytes
    before: bytes
    recipients: list[bytes]
    content_type: bytes
    algorithm: bytes
    content: bytes
    after: bytes = b""

    def encode(self, form: Callable[..., bytes] = indefinite) -> bytes:
        """As KMS, or with `tlv`, of definite lengths."""
        encrypted = form(0x30, self.content_type, self.algorithm, self.content)
        parts = self.version, self.before, tlv(0x31, *self.recipients), encrypted, self.after
        return form(0x30, self.outer, form(0xA0, form(0x30, *parts)))


def recipient(
    public: RSAPublicKey, key: bytes, *, rid: bytes | None = None, algorithm: bytes = b"", version: int = 2
) -> bytes:
    """KeyTransRecipientInfo: the content's key for `public`."""
    spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    wrapped = public.encrypt(key, OAEP(MGF1(SHA256()), SHA256(), None))
    named = tlv(0x80, sha256(spki).digest()) if rid is None else rid
    return tlv(0x30, tlv(0x02, bytes([version])), named, algorithm or oaep(), tlv(0x04, wrapped))


def message(
    public: RSAPublicKey, plaintext: bytes, *, key: bytes | None = None, padded: bytes | None = None
) -> Message:
    """A message for `public`; `padded` is what is encrypted in place of the padded plaintext."""
    used, iv = key or os.urandom(32), os.urandom(16)
    padder = PKCS7(128).padder()
    blocks = padder.update(plaintext) + padder.finalize() if padded is None else padded
    ciphertext = Cipher(AES256(used), CBC(iv)).encryptor().update(blocks)
    return Message(
        ENVELOPED,
        b"\x02\x01\x02",
        b"",
        [recipient(public, used)],
        DATA,
        tlv(0x30, AES_256_CBC, tlv(0x04, iv)),
        indefinite(0xA0, tlv(0x04, ciphertext)),
    )


def enveloped(public_der: bytes, plaintext: bytes) -> bytes:
    """What AWS KMS answers for a public key that a document carries. ValueError if it is no RSA
    key."""
    public = load_der_public_key(public_der)
    if not isinstance(public, RSAPublicKey):
        raise ValueError("no RSA key")
    return message(public, plaintext).encode()


@cache
def known() -> RSAPrivateKey:
    """The private key of a real answer."""
    key = load_der_private_key((SAMPLES / "enclaver_key.der").read_bytes(), None)
    assert isinstance(key, RSAPrivateKey)
    return key


def definite() -> bytes:
    """An answer for that key, in DER."""
    made = message(known().public_key(), bytes(32))
    made.content = tlv(0x80, made.content[4:-2])
    return made.encode(tlv)
