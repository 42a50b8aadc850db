"""Sealed bytes: streaming authenticated encryption, bound to a context.

Cobblestone-256 (C2SP chunked-encryption: AES-256-GCM in chunks of 16 KiB, the last one shorter,
under a key that HKDF-Expand derives from the file's key, a salt and the context, and to which the
ciphertext is committed). The end is in the format: what was cut, or has something appended, does
not open.

    24 bytes  salt
    32 bytes  commitment to key and context
    ...       chunks, 16 KiB and a tag of 16 bytes each

A chunk is authentic before the message is: nothing leaves `unseal` or `unsealed` before the last
chunk has been checked.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, SupportsBytes

from zk_autograd.core.errors import UsageError
from zk_autograd.local.named_files import refusal
from zk_autograd.local.new_files import new_file, private_file
from zk_autograd.vault.context import Context
from zk_autograd.vault.errors import VaultError
from zk_autograd.vault.holder import require_dek

CHUNK = 2**14
TAG = 16
HEADER = 56
MAX_SEALED = 2**40
"""Bytes of a ciphertext, unless a caller allows fewer."""

_PIECE = 2**18
"""Bytes that are read at a time: memory stays within a few of them."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A ciphertext: SHA-256 (64 hexadecimal digits), and its size in bytes."""

    sha256: str
    size: int


def sealed_size(size: int) -> int:
    """Bytes of the ciphertext of a message of `size` bytes."""
    return HEADER + size + (size // CHUNK + 1) * TAG


def seal(source: BinaryIO, target: Path, context: Context, dek: bytes, limit: int = MAX_SEALED) -> Sealed:
    """Writes what `source` has from here on to the new file `target`, sealed with `dek` (32 bytes,
    used for nothing else). The file is there whole and on the disk, or not at all.

    UsageError if there is a file or no place for one, or the ciphertext has more than `limit`
    bytes; StorageError where the system refuses.
    """
    with new_file(target, "the sealed file") as file:
        digest, size = sha256(), 0
        for piece in sealing(_pieces(source), context, dek):
            size += len(piece)
            if size > limit:
                raise UsageError(f"what is to be sealed as {target.name} has more bytes than {limit} when it is sealed")
            digest.update(piece)
            file.write(piece)
    return Sealed(digest.hexdigest(), size)


def unseal(
    source: BinaryIO,
    target: Path,
    context: Context,
    dek: bytes,
    expected: Sealed | None = None,
    limit: int = MAX_SEALED,
) -> int:
    """Writes what was sealed to the new file `target`, which only its owner can read, and gives its
    size. `expected` is what a key file says of the ciphertext.

    VaultError for whatever isn't, whole, what `seal` made of this key in this context, or is not as
    expected; UsageError and StorageError as `seal`. Then there is no file, nor is there one if the
    process is killed.
    """
    with private_file(target, "the opened file") as file:
        unseal_into(source, file, context, dek, expected, limit)
        return file.tell()


def unseal_into(
    source: BinaryIO,
    file: BinaryIO,
    context: SupportsBytes,
    dek: bytes,
    expected: Sealed | None = None,
    limit: int = MAX_SEALED,
) -> None:
    """Writes what was sealed, as `source` has it from here on, to a file that nobody else reads:
    what is in it is nobody's to use before this returns. VaultError as `unseal`."""
    opening = _Opening(context, dek, expected, limit)
    for piece in _pieces(source):
        file.write(opening.update(piece))
    file.write(opening.finish())


def sealing(pieces: Iterable[bytes], context: SupportsBytes, dek: bytes) -> Iterator[bytes]:
    """The ciphertext of a message, piece by piece as the message comes. `context` as for
    `sealed`."""
    from cryptography.cobblestone import Cobblestone256Encryptor

    require_dek(dek)
    encryptor = Cobblestone256Encryptor(dek, bytes(context))
    for piece in pieces:
        yield encryptor.update(piece)
    yield encryptor.finalize()


def sealed(data: bytes, context: SupportsBytes, dek: bytes) -> bytes:
    """The ciphertext of `data`. `context` is a Context, or another whose bytes begin with a purpose
    of their own."""
    return b"".join(sealing((data,), context, dek))


def unsealed(
    data: bytes, context: SupportsBytes, dek: bytes, expected: Sealed | None = None, limit: int = MAX_SEALED
) -> bytes:
    """What was sealed. Errors as `unseal`."""
    opening = _Opening(context, dek, expected, limit)
    opened = opening.update(data)
    return opened + opening.finish()


def described(data: bytes) -> Sealed:
    """What a key file says of a ciphertext."""
    return Sealed(sha256(data).hexdigest(), len(data))


class _Opening:
    """One pass over a ciphertext. What `update` gives is nobody's to use before `finish` has
    returned."""

    def __init__(self, context: SupportsBytes, dek: bytes, expected: Sealed | None, limit: int) -> None:
        from cryptography.cobblestone import Cobblestone256Decryptor

        require_dek(dek)
        self._decryptor = Cobblestone256Decryptor(dek, bytes(context))
        self._context, self._expected, self._limit = context, expected, limit
        self._digest, self._size, self._false = sha256(), 0, False

    def update(self, piece: bytes) -> bytes:
        from cryptography.exceptions import InvalidTag

        self._size += len(piece)
        if self._size > self._limit:
            raise VaultError(
                f"the sealed file of {self._context} has more than {self._limit} bytes; nothing was opened"
            )
        self._digest.update(piece)
        if self._false:
            return b""
        try:
            return self._decryptor.update(piece)
        except (InvalidTag, ValueError):
            self._false = True  # said at the end: only then is it known whether the key file names another ciphertext
            return b""

    def finish(self) -> bytes:
        """The last bytes of the message, all of which is authentic now."""
        from cryptography.exceptions import InvalidTag

        found = Sealed(self._digest.hexdigest(), self._size)
        if self._expected not in (None, found):
            raise VaultError(
                f"the sealed file of {self._context} is not the one that its key file names (sha256 {found.sha256[:16]}.. "
                f"found, {self._expected.sha256[:16]}.. expected; {found.size} and {self._expected.size} bytes); restore "
                "both from one backup"
            )
        if self._size < HEADER + TAG or (self._size - HEADER) % (CHUNK + TAG) < TAG:
            raise VaultError(f"the sealed file of {self._context} ends early; nothing was opened")
        if self._false:
            raise self._unopened()
        try:
            return self._decryptor.finalize()
        except (InvalidTag, ValueError):
            raise self._unopened() from None

    def _unopened(self) -> VaultError:
        return VaultError(
            f"the sealed file of {self._context} does not open with its key: it was changed, cut or appended to, or sealed "
            "for another tenant, run, step or kind; nothing was opened"
        )


def _pieces(source: BinaryIO) -> Iterator[bytes]:
    while True:
        try:
            piece = source.read(_PIECE)
        except OSError as error:
            raise refusal(error, "what is read can't be read to its end") from error
        if not piece:
            return
        yield piece
