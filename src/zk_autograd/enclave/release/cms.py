"""What AWS KMS answers to an enclave: CMS EnvelopedData (RFC 5652 section 6) for one recipient.

Of CMS, exactly what KMS makes is read: version 2, one key transport recipient of version 2 named by
a subjectKeyIdentifier, RSAES-OAEP with SHA-256 for hash and mask (RFC 4055), AES-256-CBC, content
of type data, no attributes. Lengths may be indefinite and strings in parts, as in BER.

The subjectKeyIdentifier is SHA-256 of the recipient's public key, as SubjectPublicKeyInfo in DER.
AWS doesn't document it; it is so in a real answer whose private key is known (tests/data/kms). A
message with another one is not for this key.

Nothing in CMS says who made it: whoever has the public key can wrap another content in its place,
and whoever carries a message can change its content, blind. KMS answers every instance of an image
anew under the same content, so a host could ask as many questions as it starts enclaves. It gets
one answer to all of them: the content has one length, its padding is compared as a whole, and every
failure to decrypt is the same error. What is left is a guess of 16 bytes of the content at once.
"""

import os
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, NoReturn

from zk_autograd.core.errors import UsageError
from zk_autograd.enclave.release.ber import require_bounded
from zk_autograd.vault.errors import VaultError
from zk_autograd.vault.holder import DEK_BYTES

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

MAX_ENVELOPED = 6144
"""Bytes: KMS's own bound on CiphertextForRecipient."""

_WHAT = "the answer for this enclave"
_BLOCK = 16


def open_enveloped(data: bytes, private_key: "RSAPrivateKey", size: int = DEK_BYTES) -> bytes:
    """The content of `data`, a ContentInfo in BER, for the owner of `private_key`: `size` bytes.

    VaultError for anything else than described above, which it names; and one and the same for
    whatever doesn't decrypt to a content of that size. UsageError without asn1crypto.
    """
    if not 1 <= len(data) <= MAX_ENVELOPED:
        raise VaultError(f"{_WHAT} has {len(data)} bytes, and not 1 to {MAX_ENVELOPED}")
    require_bounded(data, _WHAT)
    recipient, content = _parts(data)
    if recipient["rid"] != key_identifier(private_key.public_key()):
        _refuse("is for another recipient: its subjectKeyIdentifier is not that of this enclave's key")
    return _decrypted(private_key, recipient["encrypted_key"], content["iv"], content["encrypted"], size)


def key_identifier(public_key: "RSAPublicKey") -> bytes:
    """The subjectKeyIdentifier of answers for this key, 32 bytes."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return sha256(public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def _parts(data: bytes) -> tuple[dict[str, bytes], dict[str, bytes]]:
    try:
        from asn1crypto import cms
    except ImportError as error:
        raise UsageError("answers of AWS KMS need asn1crypto: pip install 'zk-autograd[tee]'") from error
    try:
        info = cms.ContentInfo.load(data, strict=True)
        native = info.native  # which parses every part
        if info["content_type"].native != "enveloped_data":
            _refuse("is no EnvelopedData")
        enveloped = info["content"]
        _require_plain(enveloped)
        recipients = enveloped["recipient_infos"]
        if len(recipients) != 1 or recipients[0].name != "ktri":
            _refuse(f"has {len(recipients)} recipients, or one of another kind, and must have one, by key transport")
        found = _recipient(recipients[0].chosen), _content(enveloped["encrypted_content_info"])
        _require_no_more(native)
        return found
    except VaultError:
        raise
    except RecursionError:
        _refuse("nests too deep")
    except Exception:  # asn1crypto raises ValueError, TypeError, KeyError and others: no list holds them all
        _refuse("is not CMS as AWS KMS makes it")


def _require_no_more(native: Any) -> None:
    """asn1crypto keeps the values that follow a sequence's last field, under their numbers."""
    if isinstance(native, dict):
        if any(name.isdecimal() for name in native):
            _refuse("has a field too many")
        native = list(native.values())
    for value in native if isinstance(native, list) else ():
        _require_no_more(value)


def _require_plain(enveloped: Any) -> None:
    if enveloped["version"].native != "v2":
        _refuse("is EnvelopedData of another version than 2")
    if enveloped["originator_info"].native is not None:
        _refuse("names an originator")
    if enveloped["unprotected_attrs"].native is not None:
        _refuse("has unprotected attributes")


def _recipient(found: Any) -> dict[str, bytes]:
    if found["version"].native != "v2":
        _refuse("has a recipient of another version than 2")
    if found["rid"].name != "subject_key_identifier":
        _refuse("names its recipient by a certificate, and must by a subjectKeyIdentifier")
    # Compared as bytes: parameters that are left out, or a label, are another scheme.
    if found["key_encryption_algorithm"].dump() not in _OAEP:
        _refuse("wraps its key by another algorithm than RSAES-OAEP with SHA-256")
    return {"rid": found["rid"].chosen.native, "encrypted_key": found["encrypted_key"].native}


def _content(found: Any) -> dict[str, bytes]:
    if found["content_type"].native != "data":
        _refuse("has content of another type than data")
    algorithm = found["content_encryption_algorithm"]
    if algorithm["algorithm"].native != "aes256_cbc":
        _refuse("is encrypted by another algorithm than AES-256-CBC")
    iv, encrypted = algorithm["parameters"].native, found["encrypted_content"].native
    if not isinstance(iv, bytes) or len(iv) != _BLOCK:
        _refuse("has no initialization vector of 16 bytes")
    if not isinstance(encrypted, bytes) or not encrypted or len(encrypted) % _BLOCK:
        _refuse("has no content of whole blocks")
    return {"iv": iv, "encrypted": encrypted}


def _oaep(null: bytes) -> bytes:
    """RFC 4055 section 4.1 with SHA-256 for hash and mask, and no label. `null` is what stands for
    the hash's own parameters: NULL (AWS KMS) or nothing (OpenSSL), and readers take both."""
    sha256_ = _tlv(0x30, bytes.fromhex("0609608648016503040201"), null)
    mgf1 = _tlv(0x30, bytes.fromhex("06092a864886f70d010108"), sha256_)
    parameters = _tlv(0x30, _tlv(0xA0, sha256_), _tlv(0xA1, mgf1))
    return _tlv(0x30, bytes.fromhex("06092a864886f70d010107"), parameters)


def _tlv(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return bytes([tag, len(content)]) + content


_OAEP = (_oaep(b"\x05\x00"), _oaep(b""))


def _decrypted(private_key: "RSAPrivateKey", encrypted_key: bytes, iv: bytes, encrypted: bytes, size: int) -> bytes:
    """The content. One error for every reason, and the content is decrypted under some key even if
    the key's own decryption failed: which of the two it was would help whoever changes messages.
    A padding that was read, and not compared, would tell its bytes one after the other."""

    from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES256
    from cryptography.hazmat.primitives.ciphers.modes import CBC
    from cryptography.hazmat.primitives.hashes import SHA256

    good = True
    try:
        key = private_key.decrypt(encrypted_key, OAEP(MGF1(SHA256()), SHA256(), None))
    except ValueError:
        key = b""
    if len(key) != 32:
        good, key = False, os.urandom(32)
    padded = Cipher(AES256(key), CBC(iv)).decryptor().update(encrypted)
    if not (_is_padded(padded, size) & good):
        _refuse("does not decrypt with this enclave's key")
    return padded[:size]


def _is_padded(padded: bytes, size: int) -> bool:
    """Whether all after `size` bytes is the one padding that they have (RFC 5652 section 6.3). Its
    time doesn't depend on what is in it."""
    left = _BLOCK - size % _BLOCK
    return compare_digest(padded[size:], bytes([left]) * left)


def _refuse(reason: str) -> NoReturn:
    raise VaultError(f"{_WHAT} {reason}; nothing was opened") from None
