"""Another key in the place of a log key, which is kept: what `zk-key rotate` does.

A file of log-key/v0 keeps its Ed25519 key and gets an ML-DSA-44 key beside it: who pinned the old
key goes on, and pins one more. A file of log-key/v1 gets two new keys: that is what a rotation is
for, be it after a leak or once a year.

The old file is never overwritten: it stays as FILE.1 (or .2, .3 ...), with its public half, since
runs that were begun with it are resumed with it. The order is: copy of the old file, its public
half, new file renamed into place, new public half. So after a crash at any point FILE holds whole
keys, and none that ever was in it is lost; if it came before the last write, the public half is the
old one, which the next rotation puts right before it does anything else.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from zk_autograd.core.errors import UsageError
from zk_autograd.core.keys import SeedSigner
from zk_autograd.credentials import keyfile
from zk_autograd.credentials.keyfile import public_path
from zk_autograd.local import secret_files
from zk_autograd.local.named_files import refusal

_MOST = 10_000
"""Earlier keys of one file."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """What was done: `signers` are the file's keys now, `old` those that it had, which lie in the
    file `kept`. Both are None if nothing was rotated, but an interrupted rotation's public half was
    written."""

    signers: list[SeedSigner]
    old: list[SeedSigner] | None = None
    kept: Path | None = None

    @property
    def upgraded(self) -> bool:
        """Whether the old key is still in use, with another beside it."""
        return self.old is not None and self.old[0] == self.signers[0]


def rotate(path: Path) -> Rotation:
    """Rotates the key file at `path`. UsageError as `keyfile.load`, if the public half beside it is
    of no key that it has or had, and while another process does the same; StorageError if the
    system refuses: then the file holds its old keys or, whole, the new ones."""
    keyfile.load(path)  # its errors come first
    keyfile.require_place(path)
    if path.is_symlink():
        raise UsageError(f"{path} is a link, and would be replaced by a file: name the key's file itself")
    try:
        with _alone(path):
            return _rotate(path)
    except OSError as error:
        raise refusal(error, f"can't rotate the key {path}", "no key is lost: see what lies beside it") from error


def _rotate(path: Path) -> Rotation:
    old = keyfile.load(path)
    public = public_path(path)
    if os.path.lexists(public) and not keyfile.is_public_half(path, [s.public_key.encode() for s in old]):
        if not _is_of_an_earlier_key(path):
            raise UsageError(
                f"{public} is not the public half of {path}, so nothing was rotated: move it away, and rotate again"
            )
        _replace(public, keyfile.public_text(old), 0o644)
        return Rotation(old)
    new = keyfile.new_signers(old[0].name)
    if len(old) == 1:
        new[0] = old[0]
    kept = _free(path)
    secret_files.write_new(kept, path.read_text(encoding="utf-8"), 0o600)
    secret_files.write_new(public_path(kept), keyfile.public_text(old), 0o644)
    _sync(path.parent)
    _replace(path, keyfile.secret_text(new), 0o600)
    _replace(public, keyfile.public_text(new), 0o644)
    return Rotation(new, old, kept)


def _is_of_an_earlier_key(path: Path) -> bool:
    """Whether the public half is that of a key that was rotated away: its rotation was interrupted,
    and the file beside it can go."""
    found = keyfile.read_public_half(path)
    return found is not None and any(found == keyfile.read_public_half(kept) for kept in earlier_keys(path))


def earlier_keys(path: Path) -> list[Path]:
    """The files of the keys that were in this one before, in no order. OSError."""
    names = re.compile(re.escape(path.name) + r"\.[0-9]+")
    return [path.with_name(name) for name in os.listdir(path.parent) if names.fullmatch(name)]


def _free(path: Path) -> Path:
    """The first numbered name beside the file that neither a key nor a public half has."""
    for number in range(1, _MOST):
        kept = path.with_name(f"{path.name}.{number}")
        if not os.path.lexists(kept) and not os.path.lexists(public_path(kept)):
            return kept
    raise UsageError(f"{path} has {_MOST} earlier keys beside it: move them to a folder of their own")


def _replace(path: Path, text: str, mode: int) -> None:
    """Writes the file, whole or not at all, in place of the one that is there."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(8).hex()}")
    secret_files.write_new(temporary, text, mode)
    try:
        os.replace(temporary, path)
    except OSError:
        temporary.unlink()
        raise
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """What was made and renamed in the folder outlives a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """While no other process rotates the same file. UsageError if one does, or just did."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    busy = UsageError(f"another process rotates {path}: wait for it, and look at `zk-key show`")
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise busy from None
        if not os.path.samestat(os.fstat(descriptor), os.stat(path)):
            raise busy
        yield
    finally:
        os.close(descriptor)
