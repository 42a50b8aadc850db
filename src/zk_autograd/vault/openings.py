"""Openings for one auditor: a file that a trainer seals for the auditor's recipient key.

    "zk-autograd/sealed-openings/v1\\n"
    4 bytes   length of the head, big-endian
    ...       the head: canonical JSON {"recipient", "root", "run", "size", "wrapped"}
    ...       the openings (evidence.openings), sealed (vault.seal)

The file has a key of its own, wrapped for the recipient's public key (vault.holder.recipient). Wrap
and ciphertext are bound to what the head says: the recipient, the run (its header's digest), root
and size of the log that they belong to. So a head or a ciphertext of another file opens nothing.
Base mode says nothing of who sealed: what is inside is held against the log, whoever sent it.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Self

from zk_autograd.core import canonical
from zk_autograd.core.canonical import Json
from zk_autograd.core.errors import StorageError, UsageError, VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.records import MAX_STEP
from zk_autograd.local.named_files import open_named, refusal
from zk_autograd.local.new_files import new_file
from zk_autograd.local.own_folders import temporary_folder
from zk_autograd.vault.errors import VaultError
from zk_autograd.vault.holder import DEK_BYTES
from zk_autograd.vault.holder.recipient import WRAPPED_BYTES, Recipient, RecipientKey
from zk_autograd.vault.seal import MAX_SEALED, Sealed, sealing, unseal_into

MAGIC = b"zk-autograd/sealed-openings/v1\n"
PURPOSE = "openings"
MAX_HEAD = 2**12
"""Bytes of a head; one has less than 3000."""

_LENGTH = 4
_AGAIN = "ask the trainer for the file once more (zk-run open)"


@dataclass(frozen=True, slots=True)
class OpeningsContext:
    """What a file of openings is for: the recipient's fingerprint (64 hexadecimal digits), the
    run's header digest (32 bytes), root (32 bytes) and size of its log."""

    recipient: str
    run: bytes
    root: bytes
    size: int

    def __bytes__(self) -> bytes:
        """What ciphertext and wrap are bound to. No two contexts have the same bytes."""
        parts = (PURPOSE, MAGIC.decode().strip(), self.recipient, self.run.hex(), self.root.hex(), str(self.size))
        encoded = [part.encode("ascii") for part in parts]
        return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)

    def __str__(self) -> str:
        return f"openings of the run with header digest {self.run.hex()[:16]}.."

    def head(self, wrapped: bytes) -> bytes:
        """The beginning of the file: all of it but the ciphertext."""
        said: dict[str, Json] = {
            "recipient": self.recipient,
            "run": self.run.hex(),
            "root": self.root.hex(),
            "size": self.size,
            "wrapped": wrapped.hex(),
        }
        head = canonical.encode(said)
        return MAGIC + len(head).to_bytes(_LENGTH, "big") + head

    @classmethod
    def read(cls, file: BinaryIO) -> tuple[Self, bytes]:
        """That of the head with which a file begins, and the wrapped key. VaultError."""
        begun = file.read(len(MAGIC) + _LENGTH)
        length = int.from_bytes(begun[len(MAGIC) :], "big")
        if not begun.startswith(MAGIC) or len(begun) < len(MAGIC) + _LENGTH or not 0 < length <= MAX_HEAD:
            raise VaultError("it does not begin as a file of sealed openings does (zk-run open)")
        head = file.read(length)
        if len(head) < length:
            raise VaultError(f"its head is cut; {_AGAIN}")
        try:
            fields = Fields(canonical.decode(head, max_bytes=MAX_HEAD), "the head")
            context = cls(
                fields.hex("recipient", 32).hex(),
                fields.hex("run", 32),
                fields.hex("root", 32),
                fields.integer("size", 1, MAX_STEP),
            )
            wrapped = fields.hex("wrapped", WRAPPED_BYTES)
            fields.end()
        except VerificationError as error:
            raise VaultError(f"its head was changed ({error}); {_AGAIN}") from error
        return context, wrapped


def seal(
    pieces: Iterable[bytes],
    target: Path,
    recipient: Recipient,
    *,
    run: bytes,
    root: bytes,
    size: int,
    limit: int = MAX_SEALED,
) -> Sealed:
    """Writes the message that `pieces` make up to the new file `target`, sealed for the recipient;
    gives the SHA-256 and size of the whole file. `run`, `root`, `size` as in `OpeningsContext`.

    The file is there whole and on the disk, or not at all, also where `pieces` raises. VaultError
    for a public key of no use, before anything is written; UsageError if there is a file or no
    place for one, or it would have more than `limit` bytes; StorageError where the system refuses.
    """
    context, dek = OpeningsContext(recipient.fingerprint, run, root, size), os.urandom(DEK_BYTES)
    head = context.head(recipient.wrap(dek, context))
    with new_file(target, "the file of openings") as file:
        digest, written = sha256(), 0
        for piece in _with_head(head, sealing(pieces, context, dek)):
            written += len(piece)
            if written > limit:
                raise UsageError(f"the openings have more bytes than {limit} when they are sealed: open fewer segments")
            digest.update(piece)
            file.write(piece)
    return Sealed(digest.hexdigest(), written)


@contextmanager
def opened(path: Path, key: RecipientKey, run: bytes | None = None, limit: int = MAX_SEALED) -> Iterator[BinaryIO]:
    """What was sealed in the file at `path`, from its beginning: all of it was found authentic
    before the first byte can be read. `run` is the header's digest of the run that it must be of,
    if that is known; a file of more than `limit` bytes is refused unread.

    The plaintext lies in a file without a name in a private folder of the temporary one (TMPDIR),
    and is gone with the block, or with the process. VaultError for what isn't whole what `seal`
    made for this key; UsageError for a path that is no file; StorageError where the system refuses
    or the temporary folder is too small.
    """
    with (
        open_named(path, "the file of openings", limit) as descriptor,
        open(descriptor, "rb", closefd=False) as source,
        _nameless_file(path, os.fstat(descriptor).st_size) as file,
    ):
        try:
            context, dek = _unwrapped(source, key, run)
            unseal_into(source, file, context, dek, limit=limit)
            file.seek(0)
        except VaultError as error:
            raise VaultError(f"{path} can't be opened: {error}") from error
        except OSError as error:
            raise refusal(error, f"{path} can't be opened in the temporary folder", _ROOM) from error
        yield file


def _unwrapped(source: BinaryIO, key: RecipientKey, run: bytes | None) -> tuple[OpeningsContext, bytes]:
    context, wrapped = OpeningsContext.read(source)
    own = key.recipient.fingerprint
    if context.recipient != own:
        raise VaultError(
            f"it is sealed for the recipient key {context.recipient[:16]}.., and this key is {own[:16]}..: name the key that it was "
            "sealed for, or give the trainer the public half of this one"
        )
    if run is not None and context.run != run:
        raise VaultError(f"it holds {context}, and this run's is {run.hex()[:16]}..")
    try:
        return context, key.unwrap(wrapped, context)
    except VaultError as error:
        raise VaultError(f"its head was changed, or is another file's; {_AGAIN}") from error


_ROOM = "set TMPDIR to a folder with more room"


@contextmanager
def _nameless_file(path: Path, size: int) -> Iterator[BinaryIO]:
    """A file of mode 0600 that nobody else can open, with room for `size` bytes."""
    with temporary_folder("zk-openings-") as folder:
        place = folder / "openings"
        try:
            status = os.statvfs(folder)
            if status.f_bavail * status.f_frsize < size:
                raise StorageError(
                    f"{path} has {size} bytes, and the temporary folder {folder.parent} has no room for them: {_ROOM}"
                )
            descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            place.unlink()
        except OSError as error:
            raise refusal(error, f"{path} can't be opened in the temporary folder", _ROOM) from error
        with open(descriptor, "w+b") as file:
            yield file


def _with_head(head: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield from pieces
