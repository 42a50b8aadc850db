"""Keys wrapped by a key in a file."""

import pickle
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding

from zk_autograd.vault.context import Context
from zk_autograd.vault.errors import VaultError
from zk_autograd.vault.holder.keyfile import _WRAP, FileKey, _expanded

CONTEXT = Context("acme", "8c1f" * 8, 40, "checkpoint")
DEK = bytes(range(100, 132))
KEY = FileKey(bytes(range(32)))


def test_opened_by_the_same_key() -> None:
    wrapped = KEY.wrap(DEK, CONTEXT)
    assert len(wrapped) == 40 and DEK not in wrapped
    assert KEY.unwrap(wrapped, CONTEXT) == DEK
    with pytest.raises(VaultError, match="does not open under the key"):
        FileKey(bytes(32)).unwrap(wrapped, CONTEXT)


def test_the_wrapping_key_is_as_described() -> None:
    """An independent derivation: HMAC-SHA256 of RFC 5869's expand, and RFC 5649."""
    import hmac

    from cryptography.hazmat.primitives.keywrap import aes_key_unwrap_with_padding

    purpose = b"zk-autograd/vault/wrap/v0"
    info = len(purpose).to_bytes(4, "big") + purpose + bytes(CONTEXT)
    wrapping = hmac.digest(bytes(range(32)), info + b"\x01", "sha256")
    assert aes_key_unwrap_with_padding(wrapping, KEY.wrap(DEK, CONTEXT)) == DEK


@pytest.mark.parametrize(
    "change", [{"tenant": "acme2"}, {"run": "8c1e" * 8}, {"step": 41}, {"kind": "model"}, {"tenant": "enclave"}]
)
def test_opened_in_its_own_context_alone(change: dict[str, object]) -> None:
    with pytest.raises(VaultError, match="another tenant, run, step or kind"):
        KEY.unwrap(KEY.wrap(DEK, CONTEXT), replace(CONTEXT, **change))  # type: ignore[arg-type]


def test_any_change_is_refused_in_the_same_words() -> None:
    wrapped = KEY.wrap(DEK, CONTEXT)
    changed = [wrapped[:i] + bytes([wrapped[i] ^ 1]) + wrapped[i + 1 :] for i in range(len(wrapped))]
    said = set()
    for bad in (*changed, b"", wrapped[:-1], wrapped[:-8], wrapped + bytes(8), bytes(16), bytes(40)):
        with pytest.raises(VaultError) as error:
            KEY.unwrap(bad, CONTEXT)
        said.add(str(error.value))
    assert len(said) == 1


@pytest.mark.parametrize("size", [16, 31, 25, 33, 40])
def test_only_whole_keys_are_opened(size: int) -> None:
    """What another program wrapped under the same key and context, and is no key."""
    made = aes_key_wrap_with_padding(_expanded(bytes(range(32)), _WRAP, bytes(CONTEXT), 32), bytes(size))
    with pytest.raises(VaultError, match="does not open under"):
        KEY.unwrap(made, CONTEXT)


@pytest.mark.parametrize("size", [0, 16, 31, 33, 64])
def test_keys_have_their_size(size: int) -> None:
    with pytest.raises(VaultError, match="32 bytes"):
        FileKey(bytes(size))
    with pytest.raises(VaultError, match="32 bytes"):
        KEY.wrap(bytes(size), CONTEXT)


def test_its_name_tells_keys_apart_and_nothing_else() -> None:
    assert KEY.name == FileKey(bytes(range(32))).name != FileKey(bytes(32)).name
    assert "00010203" not in repr(KEY) + KEY.name
    with pytest.raises(VaultError, match="can't be pickled"):
        pickle.dumps(KEY)
