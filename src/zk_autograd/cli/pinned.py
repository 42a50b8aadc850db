"""The public keys that a flag gives an auditor's command: as texts, or in a file."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from zk_autograd.core.errors import UnreadableError, UsageError, VerificationError

if TYPE_CHECKING:
    from zk_autograd.core.keys import PublicKey

MAX_KEY_FILE = 64 * 1024


def pinned(text: str, flag: str = "--key") -> "tuple[PublicKey, ...]":
    """All the keys that `text` gives, one or more: it is keys, one a line, or the name of a file
    that holds them so, such as FILE.pub beside a log key.

    UsageError for anything else, UnreadableError if this machine can't read the file. `flag` is
    what messages call it.
    """
    from zk_autograd.core.keys import parse_keys
    from zk_autograd.evidence.files import read_bounded

    try:
        return parse_keys(text)
    except VerificationError as error:
        if not _there(text, flag):
            raise UsageError(f"{flag} {text[:100]!r} is neither a file nor a public key: {error}") from error
    try:
        return parse_keys(read_bounded(_resolved(text, flag), MAX_KEY_FILE).decode("utf-8"))
    except UnreadableError:
        raise
    except (VerificationError, UnicodeDecodeError) as error:
        # The file's content is not repeated: it may be a secret key.
        raise UsageError(
            f"{flag} {text}: the file does not hold public keys, one a line, and nothing else ({type(error).__name__}); `zk-key show` prints them, "
            "and FILE.pub beside a key holds them"
        ) from error


def _there(text: str, flag: str) -> bool:
    """Whether a file, or a link, has this name. UnreadableError if this machine can't tell."""
    from zk_autograd.evidence.files import unreadable

    try:
        os.lstat(text)
    except (OSError, ValueError) as error:  # ValueError: a NUL in it
        if isinstance(error, OSError) and isinstance(
            found := unreadable(f"{flag} {text[:100]!r}", error), UnreadableError
        ):
            raise found from error
        return False
    return True


def _resolved(text: str, flag: str) -> Path:
    """The path without links. UsageError for a loop of links."""
    try:
        return Path(text).resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: for links that are a loop
        raise UsageError(f"{flag} {text[:100]!r} can't be read: {error}") from error
