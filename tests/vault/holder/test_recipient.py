"""Keys wrapped for a recipient: HPKE over X25519 and ML-KEM-768."""

import pickle
from dataclasses import replace

import pytest

from zk_autograd.vault.context import Context
from zk_autograd.vault.errors import VaultError
from zk_autograd.vault.holder.recipient import Recipient, RecipientKey, _public_key, _suite

CONTEXT = Context("acme", "8c1f" * 8, 40, "checkpoint")
DEK = bytes(range(100, 132))
KEY = RecipientKey(bytes(range(32)))


def test_a_seed_expands_as_the_draft_says() -> None:
    """draft-connolly-cfrg-xwing-kem-11, appendix C, the first vector: both ends of its public key,
    so that another implementation's keys are ours."""
    public = RecipientKey(bytes.fromhex("7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26")).public
    assert public[:32].hex() == "e2236b35a8c24b39b10aa1323a96a919a2ced88400633a7b07131713fc14b2b5"
    assert public[-32:].hex() == "859edb06eff389b27dce59844570216223593d4ba32d9abac8cd049040ef6534"


def test_opened_by_the_private_key_alone() -> None:
    wrapped = Recipient(KEY.public).wrap(DEK, CONTEXT)
    assert len(wrapped) == 1168 and len(KEY.public) == 1216
    assert KEY.unwrap(wrapped, CONTEXT) == DEK
    assert wrapped != Recipient(KEY.public).wrap(DEK, CONTEXT)
    with pytest.raises(VaultError, match="does not open under the recipient's key"):
        RecipientKey.generate().unwrap(wrapped, CONTEXT)
    with pytest.raises(VaultError, match="can't be opened with a public key"):
        KEY.recipient.unwrap(wrapped, CONTEXT)


@pytest.mark.parametrize(
    "change", [{"tenant": "acme2"}, {"run": "8c1e" * 8}, {"step": 41}, {"kind": "model"}, {"tenant": "enclave"}]
)
def test_opened_in_its_own_context_alone(change: dict[str, object]) -> None:
    """Else whoever writes to the vault's disk could hand out another tenant's key, or an older
    checkpoint's."""
    wrapped = KEY.wrap(DEK, CONTEXT)
    with pytest.raises(VaultError, match="another tenant, run, step or kind"):
        KEY.unwrap(wrapped, replace(CONTEXT, **change))  # type: ignore[arg-type]


def test_any_change_is_refused_in_the_same_words() -> None:
    wrapped = KEY.wrap(DEK, CONTEXT)
    changed = [wrapped[:i] + bytes([wrapped[i] ^ 1]) + wrapped[i + 1 :] for i in range(len(wrapped))]
    said = set()
    for bad in (*changed, b"", wrapped[:-1], wrapped + b"\x00", wrapped[:1120]):
        with pytest.raises(VaultError) as error:
            KEY.unwrap(bad, CONTEXT)
        said.add(str(error.value))
        assert error.value.__cause__ is None
    assert len(said) == 1


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_only_whole_keys_are_opened(size: int) -> None:
    """Anybody can wrap for a public key, and something else than a key, too."""
    made = _suite().encrypt(bytes(size), _public_key(KEY.public), bytes(CONTEXT))
    with pytest.raises(VaultError, match="does not open under"):
        KEY.unwrap(made, CONTEXT)


@pytest.mark.parametrize("size", [0, 1215, 1217])
def test_a_public_key_has_its_size(size: int) -> None:
    with pytest.raises(VaultError, match="1216 bytes"):
        Recipient(bytes(size))


def test_a_public_key_out_of_its_field_is_none() -> None:
    with pytest.raises(VaultError, match="no recipient's public key"):
        Recipient(b"\xff" * 1216)


def test_nothing_is_wrapped_for_a_point_of_small_order() -> None:
    """Half of the shared secret would be known to everybody."""
    with pytest.raises(VaultError, match="no strength"):
        Recipient(KEY.public[:1184] + bytes(32)).wrap(DEK, CONTEXT)


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_only_whole_keys_are_wrapped(size: int) -> None:
    with pytest.raises(VaultError, match="32 bytes"):
        KEY.wrap(bytes(size), CONTEXT)


def test_a_private_key_is_shown_by_nothing() -> None:
    assert "00010203" not in repr(KEY) and "\\x01" not in repr(KEY)
    with pytest.raises(VaultError, match="can't be pickled"):
        pickle.dumps(KEY)


def test_files() -> None:
    assert RecipientKey.parse(KEY.secret_text.encode()) == KEY
    assert Recipient.parse(KEY.recipient.text.encode()) == KEY.recipient


def test_one_half_is_not_taken_for_the_other() -> None:
    public, secret = KEY.recipient.text.encode(), KEY.secret_text.encode()
    for bad in (b"", secret, public[:-1], public + b"\n", public.replace(b"\n", b"\r\n"), b"\xff" + public, public * 9):
        with pytest.raises(VaultError, match=r"no recipient's public key|1216"):
            Recipient.parse(bad)
    for bad in (
        b"",
        public,
        secret.replace(b"/v0", b"/v1"),
        secret[:-1],
        secret[:-6] + b"\n",
        secret.replace(b"=", b""),
    ):
        with pytest.raises(VaultError) as error:
            RecipientKey.parse(bad)
        assert "AAECAw" not in str(error.value)
