"""A sealed file and its key file, together: `<name>.enc` and `<name>.key.json`.

The ciphertext is on the disk before the key file is: a ciphertext without key file never was.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from zk_autograd.core.errors import UsageError
from zk_autograd.local.named_files import open_named, read_named
from zk_autograd.local.new_files import require_new, write_new
from zk_autograd.vault.context import Context
from zk_autograd.vault.errors import VaultError
from zk_autograd.vault.holder import DEK_BYTES, KeyHolder
from zk_autograd.vault.keys import MAX_KEY_FILE, SUFFIX, KeyFile, Wrap
from zk_autograd.vault.seal import MAX_SEALED, described, seal, sealed, unseal

ENC = ".enc"


@dataclass(frozen=True, slots=True)
class Holding:
    """A holder that may open a file: `kek` is the name of its key, `by` its kind."""

    holder: KeyHolder
    kek: str
    by: str

    def wrap(self, dek: bytes, context: Context) -> Wrap:
        return Wrap(self.kek, self.by, self.holder.wrap(dek, context))


def seal_pair(source: BinaryIO, folder: Path, name: str, context: Context, holdings: Sequence[Holding]) -> KeyFile:
    """Makes both files in `folder`, under a new key that each holder can open, or neither.
    UsageError if one of them exists, and as `seal`; VaultError where a holder refuses."""
    target, key_path = folder / (name + ENC), folder / (name + SUFFIX)
    require_new(target, "the sealed file")
    require_new(key_path, "the key file")
    dek = os.urandom(DEK_BYTES)
    wraps = _wraps(dek, context, holdings)  # a holder that refuses does so before anything is written
    made = seal(source, target, context, dek)
    key_file = KeyFile(context, made, wraps)
    try:
        write_new(key_path, key_file.encode(), "the key file")
    except BaseException:
        with suppress(OSError):
            target.unlink()
        raise
    return key_file


def sealed_pair(data: bytes, context: Context, holdings: Sequence[Holding]) -> tuple[bytes, KeyFile]:
    """The same in memory: the ciphertext, and what its key file says."""
    dek = os.urandom(DEK_BYTES)
    ciphertext = sealed(data, context, dek)
    return ciphertext, KeyFile(context, described(ciphertext), _wraps(dek, context, holdings))


def read_key_file(sealed_path: Path) -> KeyFile:
    """The key file of the sealed file NAME.enc. UsageError if there is none, VaultError if it is
    malformed."""
    if not sealed_path.name.endswith(ENC):
        raise UsageError(f"{sealed_path} is no sealed file: its name ends in {ENC}, and its key's in {SUFFIX}")
    path = sealed_path.with_name(sealed_path.name.removesuffix(ENC) + SUFFIX)
    try:
        return KeyFile.parse(read_named(path, "the key file", MAX_KEY_FILE))
    except VaultError as error:
        raise VaultError(f"{path}: {error}") from error


def open_pair(sealed_path: Path, target: Path, key_file: KeyFile, dek: bytes) -> int:
    """Writes what was sealed to the new file `target`, and gives its size. Errors as `unseal`."""
    require_new(target, "the opened file")
    with (
        open_named(sealed_path, "the sealed file", MAX_SEALED) as descriptor,
        open(descriptor, "rb", closefd=False) as file,
    ):
        return unseal(file, target, key_file.context, dek, key_file.ciphertext)


def _wraps(dek: bytes, context: Context, holdings: Sequence[Holding]) -> tuple[Wrap, ...]:
    return tuple(holding.wrap(dek, context) for holding in holdings)
