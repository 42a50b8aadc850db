"""A recipient: whoever has the private key opens what was wrapped for the public one.

HPKE (RFC 9180) in base mode: MLKEM768-X25519 (draft-ietf-hpke-pq; X-Wing), HKDF-SHA256 and
AES-256-GCM. HPKE's info is the context: a vault.context.Context, or another whose bytes begin with
a purpose of their own. A wrapped key has 1168 bytes: what the key encapsulation sends (1120), the
key (32), a tag (16). A public key has 1216 bytes, ML-KEM's and then X25519's; a private key is a
seed of 32 bytes, which SHAKE256 expands to both private keys, as the draft has it.

Base mode says nothing of who wrapped: a key that was unwrapped is nobody's in particular.
"""

import os
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256, shake_256
from typing import TYPE_CHECKING, NoReturn, SupportsBytes, SupportsIndex

from zk_autograd.core.errors import VerificationError
from zk_autograd.core.text import decode_base64, encode_base64
from zk_autograd.vault.errors import VaultError
from zk_autograd.vault.holder import require_dek, unopened

if TYPE_CHECKING:
    from cryptography.hazmat.primitives import hpke
    from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

FORMAT = "zk-autograd/recipient/v0"
SECRET_FORMAT = "zk-autograd/recipient-key/v0"
SEED_BYTES = 32
PUBLIC_BYTES = 1216
WRAPPED_BYTES = 1168
MAX_TEXT = 4096
"""Bytes of a key's file."""

_MLKEM_PUBLIC = 1184
_MLKEM_SEED = 64


@dataclass(frozen=True, slots=True)
class Recipient:
    """A public key, for which keys are wrapped. VaultError unless it is one."""

    public: bytes

    def __post_init__(self) -> None:
        _public_key(self.public)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the public key, 64 hexadecimal digits."""
        return sha256(self.public).hexdigest()

    def wrap(self, dek: bytes, context: SupportsBytes) -> bytes:
        """1168 bytes, different ones each time. VaultError for a public key of no use."""
        require_dek(dek)
        try:
            return _suite().encrypt(dek, _public_key(self.public), bytes(context))
        except ValueError as error:  # an X25519 key of small order
            raise VaultError("nothing can be wrapped for this recipient: its public key has no strength") from error

    def unwrap(self, wrapped: bytes, context: SupportsBytes) -> NoReturn:
        """A public key opens nothing: VaultError."""
        raise VaultError(
            f"the key of {context} can't be opened with a public key: it takes the recipient's private one"
        )

    @property
    def text(self) -> str:
        """The content of a public key's file: two lines."""
        return f"{FORMAT}\n{encode_base64(self.public)}\n"

    @classmethod
    def parse(cls, data: bytes) -> "Recipient":
        """The recipient of such a file. VaultError."""
        return cls(_content(data, FORMAT, "recipient's public key"))


@dataclass(frozen=True, slots=True)
class RecipientKey:
    """A private key in memory. It can't be pickled, and its text doesn't show it."""

    _seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self._seed) != SEED_BYTES:
            raise VaultError(f"a recipient's private key has {SEED_BYTES} bytes, not {len(self._seed)}")

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise VaultError("a recipient's private key can't be pickled: give the path of its file instead")

    @classmethod
    def generate(cls) -> "RecipientKey":
        """A new key, from the system's randomness."""
        return cls(os.urandom(SEED_BYTES))

    @property
    def public(self) -> bytes:
        """The public key, 1216 bytes."""
        mlkem, x25519 = _private_keys(self._seed)
        return mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()

    @property
    def recipient(self) -> Recipient:
        return Recipient(self.public)

    def wrap(self, dek: bytes, context: SupportsBytes) -> bytes:
        """As `Recipient.wrap`, for this key."""
        return self.recipient.wrap(dek, context)

    def unwrap(self, wrapped: bytes, context: SupportsBytes) -> bytes:
        """The key that was wrapped, 32 bytes. VaultError unless it was wrapped for this private key
        in this context, whatever the bytes are."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives import hpke

        holder = f"the recipient's key {self.recipient.fingerprint[:16]}"
        if len(wrapped) != WRAPPED_BYTES:
            raise unopened(context, holder)
        try:
            key = hpke.MLKEM768X25519PrivateKey(*_private_keys(self._seed))
            dek: bytes = _suite().decrypt(wrapped, key, bytes(context))
        except (InvalidTag, ValueError):
            raise unopened(context, holder) from None
        return dek

    @property
    def secret_text(self) -> str:
        """The content of the private key's file, which nobody but its owner may read: two lines."""
        return f"{SECRET_FORMAT}\n{encode_base64(self._seed)}\n"

    @classmethod
    def parse(cls, data: bytes) -> "RecipientKey":
        """The key of such a file. VaultError, which repeats nothing of it."""
        return cls(_content(data, SECRET_FORMAT, "recipient's private key"))


def _content(data: bytes, form: str, what: str) -> bytes:
    try:
        first, key, end = data[: MAX_TEXT + 1].decode("ascii").split("\n")
        if first != form or end:
            raise ValueError
        return decode_base64(key, what)
    except (ValueError, VerificationError):
        raise VaultError(f"this is no {what}: its file has the line {form}, a line of base64, and no more") from None


@cache
def _suite() -> "hpke.Suite":
    from cryptography.hazmat.primitives import hpke

    return hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


def _private_keys(seed: bytes) -> "tuple[MLKEM768PrivateKey, X25519PrivateKey]":
    from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    expanded = shake_256(seed).digest(_MLKEM_SEED + 32)
    mlkem = MLKEM768PrivateKey.from_seed_bytes(expanded[:_MLKEM_SEED])
    return mlkem, X25519PrivateKey.from_private_bytes(expanded[_MLKEM_SEED:])


def _public_key(public: bytes) -> "hpke.MLKEM768X25519PublicKey":
    from cryptography.hazmat.primitives import hpke
    from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

    if len(public) != PUBLIC_BYTES:
        raise VaultError(f"a recipient's public key has {PUBLIC_BYTES} bytes, not {len(public)}")
    try:
        mlkem = MLKEM768PublicKey.from_public_bytes(public[:_MLKEM_PUBLIC])
        return hpke.MLKEM768X25519PublicKey(mlkem, X25519PublicKey.from_public_bytes(public[_MLKEM_PUBLIC:]))
    except ValueError as error:
        raise VaultError("these bytes are no recipient's public key") from error
