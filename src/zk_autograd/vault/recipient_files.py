"""The files of a recipient's key: the private one, which only its owner can read, and FILE.pub."""

from pathlib import Path

from zk_autograd.core.errors import UsageError
from zk_autograd.local.named_files import read_named
from zk_autograd.local.secret_files import read_secret, write_pair
from zk_autograd.vault.errors import VaultError
from zk_autograd.vault.holder.recipient import MAX_TEXT, Recipient, RecipientKey

_NEW_KEY = "make one with `zk-key new --for recipient`"


def public_path(path: Path) -> Path:
    """The file of the public half."""
    return path.with_name(path.name + ".pub")


def create(path: Path) -> RecipientKey:
    """Writes a new key to `path` (mode 0600) and its public half beside it. Errors as
    `secret_files.write_pair`."""
    key = RecipientKey.generate()
    write_pair(path, key.secret_text, public_path(path), key.recipient.text)
    return key


def load(path: Path) -> RecipientKey:
    """The private key in a file. UsageError if there is none, if others than its owner can read it,
    or if it isn't one; its content is never repeated."""
    data = read_secret(path, "recipient's key", MAX_TEXT, _NEW_KEY)
    try:
        return RecipientKey.parse(data)
    except VaultError as error:
        half = ": it is the public half" if _is_public(data) else f" ({error})"
        raise UsageError(f"{path} is no recipient's private key{half}; name another, or {_NEW_KEY}") from None


def load_public(path: Path, what: str) -> Recipient:
    """The public key in a file; `what` names it in messages, such as a flag. UsageError for what
    isn't one, and for a private key: whoever has that was given too much."""
    data = read_named(path, what, MAX_TEXT)
    try:
        return Recipient.parse(data)
    except VaultError as error:
        if _is_private(data):
            raise UsageError(
                f"{what} {path} is a recipient's private key, which its owner keeps: name the file FILE.pub"
            ) from None
        raise UsageError(
            f"{what} {path}: {error}; it is the file FILE.pub of a recipient's key, which its owner makes: {_NEW_KEY}"
        ) from None


def _is_public(data: bytes) -> bool:
    try:
        Recipient.parse(data)
    except VaultError:
        return False
    return True


def _is_private(data: bytes) -> bool:
    try:
        RecipientKey.parse(data)
    except VaultError:
        return False
    return True
