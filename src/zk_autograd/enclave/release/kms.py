"""The enclave's side of AWS KMS: keys of sealed files that only this enclave can open.

The request carries the enclave's attestation document with a public key in it; KMS compares the
document with its key policy and answers with the key for that public key alone
(CiphertextForRecipient). Whoever carries the bytes between the two, or answers in KMS's place,
learns no key.

A `ReleaseKey` is for one request: its private half would otherwise answer a host's questions about
messages that the host made up.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, SupportsIndex

from zk_autograd.core.attestation import MAX_RAW
from zk_autograd.enclave.release.cms import MAX_ENVELOPED, open_enveloped
from zk_autograd.vault.context import Context
from zk_autograd.vault.errors import VaultError
from zk_autograd.vault.holder import DEK_BYTES, MAX_WRAPPED
from zk_autograd.vault.holder.kms import asked, octets

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

ALGORITHM = "RSAES_OAEP_SHA_256"
_BITS = 2048


@dataclass(frozen=True, slots=True)
class ReleaseKey:
    """An RSA-2048 key for one answer of KMS. It can't be pickled, and its text doesn't show it."""

    private: "RSAPrivateKey" = field(repr=False)

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise VaultError("a release key can't be pickled: it is for one enclave and one request")

    @classmethod
    def generate(cls) -> "ReleaseKey":
        """A new key, from the system's randomness."""
        from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

        return cls(generate_private_key(65537, _BITS))

    @property
    def public(self) -> bytes:
        """The public key that the attestation document has to carry: SubjectPublicKeyInfo, DER."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def decrypt(client: Any, key_id: str, wrapped: bytes, context: Context, key: ReleaseKey, document: bytes) -> bytes:
    """The key of a sealed file, which the KMS key `key_id` wrapped in this context.

    `client` is a boto3 client of KMS, `document` the device's attestation of `key.public`.
    VaultError if KMS refuses, if its answer carries the key in the clear, or is not for this
    enclave; KeyServiceDown if it can't be asked.
    """
    answer = asked(client, "decrypt", key_id, context, CiphertextBlob=wrapped, Recipient=_recipient(document))
    return _opened(answer, key)


def generate(client: Any, key_id: str, context: Context, key: ReleaseKey, document: bytes) -> tuple[bytes, bytes]:
    """A new key for a file that this enclave seals, and the same as the KMS key wrapped it. Errors
    as `decrypt`."""
    recipient = _recipient(document)
    answer = asked(client, "generate_data_key", key_id, context, KeySpec="AES_256", Recipient=recipient)
    return _opened(answer, key), octets(answer, "CiphertextBlob", 1, MAX_WRAPPED)


def _recipient(document: bytes) -> dict[str, object]:
    if not 1 <= len(document) <= MAX_RAW:
        raise VaultError(f"an attestation document has 1 to {MAX_RAW} bytes, not {len(document)}")
    return {"KeyEncryptionAlgorithm": ALGORITHM, "AttestationDocument": document}


def _opened(answer: Any, key: ReleaseKey) -> bytes:
    # KMS leaves the field out, or empty, when it has answered a recipient.
    if answer.get("Plaintext"):
        raise VaultError(
            "AWS KMS answered with the key in the clear (Plaintext), so the host has seen it: it ignores Recipient, and "
            "is not AWS KMS, or not one that checks attestations; nothing was opened"
        )
    return open_enveloped(octets(answer, "CiphertextForRecipient", 1, MAX_ENVELOPED), key.private, DEK_BYTES)
