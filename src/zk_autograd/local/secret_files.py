"""Files of secret keys: read only if nobody but their owner can, and never overwritten."""

import os
import stat
from pathlib import Path

from zk_autograd.core.errors import UsageError
from zk_autograd.local.named_files import refusal


def read_secret(path: Path, what: str, limit: int, new_key: str, there: str = "") -> bytes:
    """The first `limit` bytes of a secret key's file; `what` names the key in messages, `new_key`
    says how one is made, and `there` how it is made in this place ("": `new_key` and --key-file).

    UsageError if there is none, or if others than its owner can read or write it; StorageError if
    the system refuses.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a FIFO must not hang
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise UsageError(f"{path} is no file; name the key's file, or {new_key}")
            if status.st_mode & 0o077:
                mode = stat.S_IMODE(status.st_mode)
                raise UsageError(f"{path} can be read by others (mode {mode:04o}): `chmod 600 {path}`")
            return file.read(limit)  # what is longer has no end, and isn't parsed
    except FileNotFoundError:
        raise UsageError(f"there is no {what} at {path}: {there or f'{new_key} --key-file {path}'}") from None
    except (OSError, ValueError) as error:
        raise refusal(error, f"can't read the {what} {path}") from error


def write_pair(path: Path, secret: str, public_path: Path, public: str, option: str = "--key-file") -> None:
    """Creates both files, the secret one for its owner alone; folders that are missing are made
    (mode 0700). `option`: what names another place.

    UsageError if either exists or there is no such place, StorageError if the system refuses; then
    nothing is left behind.
    """
    for taken in (path, public_path):
        if os.path.lexists(taken):
            raise UsageError(
                f"{taken} exists, and a key is never overwritten; choose another {option}, or move it away"
            )
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_new(path, secret, 0o600)
        try:
            write_new(public_path, public, 0o644)
        except OSError:
            path.unlink()
            raise
    except (OSError, ValueError) as error:
        raise refusal(error, f"can't write the key to {path}", f"choose another {option}") from error


def write_new(path: Path, text: str, mode: int) -> None:
    """Creates the file, whole or not at all."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
    except OSError:
        path.unlink()
        raise
