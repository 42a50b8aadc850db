"""The file of the trainer's log keys: four lines of text that only its owner can read.

    zk-autograd/log-key/v1
    name: <the keys' name>
    ed25519: <the secret seed, 32 bytes in base64>
    mldsa44: <another secret seed, 32 bytes in base64>

Beside it lies `<file>.pub` with the public keys in C2SP's form (`name+ID+base64`), one on each
line: what an auditor pins. A file of zk-autograd/log-key/v0 has no line `mldsa44`; it goes on with
its one key until it is rotated (credentials.rotation).

Reading is strict: another version, an unknown line, a looser spelling or a file that others could
read is refused.
"""

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.core.keys import SEED_BYTES, Ed25519Signer, MlDsa44Signer, SeedSigner, Signer, check_name
from zk_autograd.core.text import decode_base64, encode_base64
from zk_autograd.local.named_files import refusal
from zk_autograd.local.own_folders import home, require_own
from zk_autograd.local.secret_files import read_secret, write_new, write_pair

V0 = "zk-autograd/log-key/v0"
FORMAT = "zk-autograd/log-key/v1"
DEFAULT_NAME = "zk-autograd-trainer"

_MAX_BYTES = 4096
_NAME = "name: "
_FIELDS: dict[type[SeedSigner], str] = {Ed25519Signer: "ed25519: ", MlDsa44Signer: "mldsa44: "}
_KINDS: dict[str, tuple[type[SeedSigner], ...]] = {V0: (Ed25519Signer,), FORMAT: (Ed25519Signer, MlDsa44Signer)}
"""The keys of each version, in the order of their lines, and how those begin."""

_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
"""What a file system without hard links says."""

_NEW_KEY = "make one with `zk-key new`"


def default_path() -> Path:
    """Where the key lies unless another place is named: log.key in the user's configuration folder
    (XDG_CONFIG_HOME, if it is absolute).

    UsageError if there is neither that nor a home folder.
    """
    named = os.environ.get("XDG_CONFIG_HOME", "")
    folder = (
        Path(named) if os.path.isabs(named) else home("say where the log key lies, with --key-file or key=") / ".config"
    )
    return folder / "zk-autograd" / "log.key"


def public_path(path: Path) -> Path:
    """The file of the public half."""
    return path.with_name(path.name + ".pub")


def public_text(signers: Sequence[Signer]) -> str:
    """The content of the file of the public half."""
    return "".join(f"{signer.public_key.encode()}\n" for signer in signers)


def is_public_half(path: Path, keys: Sequence[str]) -> bool:
    """Whether the public half of the key file at `path` is there and names these keys and no
    other, so that an auditor can be given it for a run of theirs."""
    return read_public_half(path) == "".join(f"{key}\n" for key in keys).encode()


def read_public_half(path: Path) -> bytes | None:
    """What lies there as the public half of the key file at `path`; None if nothing can be read."""
    try:
        with open(public_path(path), "rb") as file:
            return file.read(_MAX_BYTES)
    except OSError:
        return None


def create(path: Path, name: str) -> list[SeedSigner]:
    """Writes new keys to `path` (mode 0600) and their public half beside it; folders that are
    missing are made (mode 0700).

    Raises UsageError if either file exists, the name can't name a key, or there is no such place,
    StorageError if the system refuses; then nothing is left behind.
    """
    try:
        check_name(name)
    except VerificationError as error:
        raise UsageError(f"--name: {error}") from error
    signers = new_signers(name)
    write_pair(path, secret_text(signers), public_path(path), public_text(signers))
    return signers


def load_or_make(path: Path) -> list[SeedSigner]:
    """The keys in a file, which is made if there is none, with its public half and the folders that
    are missing. Of several processes that make it at once, all get the same ones.

    Raises UsageError as `load`, and if a public half lies there without its key; StorageError if
    the system refuses.
    """
    if not os.path.lexists(path):
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if os.path.lexists(public_path(path)) and not os.path.lexists(path):
                raise UsageError(
                    f"{public_path(path)} is there without its key {path}: bring that back from a copy, or move the public half away"
                )
            require_place(path)
            _link_new(path, secret_text(new_signers(DEFAULT_NAME)), 0o600)
        except OSError as error:
            raise refusal(error, f"can't write the key to {path}", "name another place") from error
    signers = load(path)
    try:
        _link_new(public_path(path), public_text(signers), 0o644)
    except OSError as error:
        raise refusal(error, f"can't write the key to {public_path(path)}", "name another place") from error
    return signers


def require_place(path: Path) -> None:
    """UsageError if others can write to the folder that a key is to lie in, or to the one that it
    would be made in: they could exchange it."""
    there = path.parent
    while not there.exists() and there != there.parent:
        there = there.parent
    require_own(there, "close it to them, or name another place for your key (--key-file, or key= of ZKOptimizer)")


def load(path: Path) -> list[SeedSigner]:
    """The keys in a file, which sign together: Ed25519 and ML-DSA-44; of a file of v0 the Ed25519
    key alone. Raises UsageError if there is none, if others than its owner can read it, or if it
    isn't one."""
    data = read_secret(path, "log key", _MAX_BYTES, _NEW_KEY)
    try:
        return _parse(data)
    except (VerificationError, ValueError) as error:
        raise UsageError(f"{path} is no log key of this version ({error}): name another, or {_NEW_KEY}") from None


def new_signers(name: str) -> list[SeedSigner]:
    """New keys of this name, from the system's randomness: one of each algorithm."""
    return [Ed25519Signer(name, os.urandom(SEED_BYTES)), MlDsa44Signer(name, os.urandom(SEED_BYTES))]


def secret_text(signers: Sequence[SeedSigner]) -> str:
    """The content of the file of these signers, one of each algorithm."""
    seeds = "".join(f"{_FIELDS[type(signer)]}{encode_base64(signer.seed)}\n" for signer in signers)
    return f"{FORMAT}\n{_NAME}{signers[0].name}\n{seeds}"


def _parse(data: bytes) -> list[SeedSigner]:
    version, *lines = data.decode("utf-8").split("\n")
    kinds = _KINDS.get(version, ())
    prefixes = [_NAME, *(_FIELDS[kind] for kind in kinds), ""]
    if not kinds or len(lines) != len(prefixes) or lines[-1] or not all(map(str.startswith, lines, prefixes)):
        raise ValueError(f"its lines are not {FORMAT}, name, ed25519 and mldsa44, nor {V0}, name and ed25519")
    name, *seeds = (line[len(prefix) :] for line, prefix in zip(lines, prefixes, strict=True))
    return [kind(name, decode_base64(seed, "its seed")) for kind, seed in zip(kinds, seeds, strict=False)]


def _link_new(path: Path, text: str, mode: int) -> None:
    """Creates the file, whole or not at all, unless there is one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(8).hex()}")
    write_new(temporary, text, mode)
    try:
        with suppress(FileExistsError):  # another process was first
            try:
                os.link(temporary, path)
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                write_new(path, text, mode)
    finally:
        temporary.unlink()
