"""A key in a file: 32 random bytes, which wrap the keys of sealed files.

AES-256 key wrap with padding (RFC 5649) authenticates no context, so the context is in the key: the
wrapping key is HKDF-Expand-SHA256 (RFC 5869) of the key in the file, with the purpose, after its
length, and the context as info. A wrapped key has 40 bytes.
"""

from dataclasses import dataclass, field
from typing import NoReturn, SupportsIndex

from zk_autograd.vault.context import Context
from zk_autograd.vault.errors import VaultError
from zk_autograd.vault.holder import DEK_BYTES, require_dek, unopened

KEK_BYTES = 32
WRAPPED_BYTES = 40
_WRAP = b"zk-autograd/vault/wrap/v0"
_NAME = b"zk-autograd/vault/kek-name/v0"


@dataclass(frozen=True, slots=True)
class FileKey:
    """The key of a file, in memory. It can't be pickled, and its text doesn't show it. VaultError
    unless it has 32 bytes."""

    _kek: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self._kek) != KEK_BYTES:
            raise VaultError(f"a key file that wraps keys has {KEK_BYTES} bytes, not {len(self._kek)}")

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise VaultError("a key that wraps keys can't be pickled: give the path of its file instead")

    @property
    def name(self) -> str:
        """Which key this is, 32 hexadecimal digits; they tell nothing of it."""
        return _expanded(self._kek, _NAME, b"", 16).hex()

    def wrap(self, dek: bytes, context: Context) -> bytes:
        """40 bytes, the same for the same key and context."""
        from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding

        require_dek(dek)
        return aes_key_wrap_with_padding(_expanded(self._kek, _WRAP, bytes(context), 32), dek)

    def unwrap(self, wrapped: bytes, context: Context) -> bytes:
        """The key that was wrapped. VaultError unless it was wrapped by this key in this context,
        whatever the bytes are."""
        from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap_with_padding

        try:
            dek = aes_key_unwrap_with_padding(_expanded(self._kek, _WRAP, bytes(context), 32), wrapped)
        except (InvalidUnwrap, ValueError):
            dek = b""
        if len(wrapped) != WRAPPED_BYTES or len(dek) != DEK_BYTES:
            raise unopened(context, f"the key {self.name[:16]}") from None
        return dek


def _expanded(kek: bytes, purpose: bytes, info: bytes, length: int) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

    return HKDFExpand(SHA256(), length, len(purpose).to_bytes(4, "big") + purpose + info).derive(kek)
