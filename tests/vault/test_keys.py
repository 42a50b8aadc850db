"""Key files."""

import json

import pytest

from zk_autograd.core import canonical
from zk_autograd.vault.context import Context
from zk_autograd.vault.errors import VaultError
from zk_autograd.vault.keys import KeyFile, Wrap
from zk_autograd.vault.seal import Sealed

CONTEXT = Context("acme", "8c1f" * 8, 40, "checkpoint")
KEY_FILE = KeyFile(CONTEXT, Sealed("3f" * 32, 90), (Wrap("acme/3", "keyfile", b"\x01" * 40), Wrap("k", "kms", b"\x02")))


def test_read_back() -> None:
    assert KeyFile.parse(KEY_FILE.encode()) == KEY_FILE
    value = json.loads(KEY_FILE.encode())
    assert value["format"] == "zk-autograd/vault-key/v0"
    assert value["context"] == {"tenant": "acme", "run": "8c1f" * 8, "step": 40, "kind": "checkpoint"}
    assert value["ciphertext"] == {"sha256": "3f" * 32, "size": 90}
    assert value["wraps"][0] == {"kek": "acme/3", "by": "keyfile", "wrapped": "01" * 40}


def test_every_byte_is_its_own() -> None:
    """No change is read as the same key file: all that parses encodes to the changed bytes."""
    data = KEY_FILE.encode()
    for place in range(len(data)):
        for mask in (1, 2, 0x20):
            changed = data[:place] + bytes([data[place] ^ mask]) + data[place + 1 :]
            try:
                found = KeyFile.parse(changed)
            except VaultError:
                continue
            assert found != KEY_FILE and found.encode() == changed


@pytest.mark.parametrize(
    "change",
    [
        {"format": "zk-autograd/vault-key/v1"},
        {"wraps": []},
        {"wraps": [{"kek": "k", "by": "kms", "wrapped": "02"}] * 9},
        {"wraps": [{"kek": "k", "by": "someone", "wrapped": "02"}]},
        {"wraps": [{"kek": "k", "by": "kms", "wrapped": "2"}]},
        {"wraps": [{"kek": "k", "by": "kms", "wrapped": "AB"}]},
        {"wraps": [{"kek": "k", "by": "kms", "wrapped": "00" * 8193}]},
        {"wraps": [{"kek": "k" * 2049, "by": "kms", "wrapped": "00"}]},
        {"wraps": [{"kek": "k", "by": "kms", "wrapped": "00", "more": 1}]},
        {"ciphertext": {"sha256": "3f", "size": 1}},
        {"ciphertext": {"sha256": "3f" * 32, "size": -1}},
        {"ciphertext": {"sha256": "3f" * 32, "size": 1, "salt": ""}},
        {"context": {"tenant": "acme", "run": "a", "step": 1, "kind": "enclave"}},
        {"more": 1},
    ],
)
def test_what_is_malformed_is_refused(change: dict[str, object]) -> None:
    value = {**json.loads(KEY_FILE.encode()), **change}
    with pytest.raises(VaultError, match=r"key file is malformed|kind enclave belongs"):
        KeyFile.parse(canonical.encode(value))


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b"[" * 10000, b" " * 2**19])
def test_what_is_no_key_file_is_refused(data: bytes) -> None:
    with pytest.raises(VaultError, match="key file is malformed"):
        KeyFile.parse(data)


def test_which_wrap_was_meant_is_not_guessed() -> None:
    assert KEY_FILE.wrap("kms").wrapped == b"\x02"
    two = KeyFile(CONTEXT, KEY_FILE.ciphertext, KEY_FILE.wraps[1:] * 2)
    for found, by in ((KEY_FILE, "recipient"), (two, "kms")):
        with pytest.raises(VaultError, match=rf"is wrapped by .*, and has to be by one {by}"):
            found.wrap(by)
