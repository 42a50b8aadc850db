"""The holders of keys that wrap other keys: each wraps a file's key so that it opens in its own
context only."""

from typing import Protocol

from zk_autograd.vault.context import Context
from zk_autograd.vault.errors import VaultError

DEK_BYTES = 32
"""Of the key of one sealed file."""

MAX_WRAPPED = 2**13
"""Bytes of a wrapped key. AWS KMS answers with at most 6144."""


class KeyHolder(Protocol):
    """Wraps the keys of sealed files, 32 bytes each."""

    def wrap(self, dek: bytes, context: Context) -> bytes:
        """The wrapped key, for whoever lays it beside the ciphertext. VaultError."""
        ...

    def unwrap(self, wrapped: bytes, context: Context) -> bytes:
        """The key. VaultError unless it was wrapped by this holder, in this context."""
        ...


def require_dek(dek: bytes) -> None:
    """VaultError for a key of another size; it is never shown."""
    if len(dek) != DEK_BYTES:
        raise VaultError(f"the key of a sealed file has {DEK_BYTES} bytes, not {len(dek)}")


def unopened(context: object, holder: str) -> VaultError:
    """A wrapped key that does not open; `holder` says whose key was tried. One error for all
    reasons: which one it was would help whoever tries keys."""
    return VaultError(
        f"the key of {context} does not open under {holder}: it was wrapped for another tenant, run, step or kind, was "
        "changed, or this is not the key that it was wrapped for"
    )
