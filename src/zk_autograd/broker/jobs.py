"""The keys that a broker holds: the key files of sealed jobs in a folder, and the key that opens
them.

A job's owner seals it (vault.pairs) for the enclave of a run, and its key file has a wrap of the
broker's key: `recipient` if that is a key pair, of which the owner needs the public half alone, or
`keyfile` if it is a file of 32 random bytes. The sealed job itself isn't needed here.
"""

import threading
import time
from pathlib import Path

from zk_autograd.core.errors import StorageError, UsageError
from zk_autograd.core.register import RUN_BYTES
from zk_autograd.local.named_files import read_named, refusal
from zk_autograd.local.secret_files import read_secret
from zk_autograd.vault.context import of_enclave
from zk_autograd.vault.errors import VaultError
from zk_autograd.vault.holder import KeyHolder
from zk_autograd.vault.holder.keyfile import KEK_BYTES, FileKey
from zk_autograd.vault.holder.recipient import MAX_TEXT, SECRET_FORMAT, RecipientKey
from zk_autograd.vault.keys import KEYFILE, MAX_KEY_FILE, RECIPIENT, SUFFIX, KeyFile

MAX_JOBS = 4096
_SETTLED = 2_000_000_000
"""Nanoseconds, more than file systems round times to."""


def load_kek(path: Path) -> KeyHolder:
    """The key of a file that only its owner can read: a recipient's private key, or 32 random
    bytes. UsageError for anything else; its content is never repeated."""
    data = read_secret(path, "key that opens the jobs' keys", MAX_TEXT, "name its file with --kek-file")
    try:
        if data.startswith(SECRET_FORMAT.encode()):
            return RecipientKey.parse(data)
        return FileKey(data)
    except VaultError:
        raise UsageError(
            f"--kek-file {path} is neither a recipient's private key nor a key of {KEK_BYTES} bytes: name another"
        ) from None


class JobFolder:
    """The jobs whose key files NAME.key.json lie in a folder. New ones are found when their run is
    asked for, and one that was deleted is held no more. It may be used by several threads."""

    def __init__(self, folder: Path, kek: KeyHolder) -> None:
        """UsageError if there is no such folder, if a key file in it is none of an enclave's job,
        can't be opened with the key, or is a second one of a run; StorageError if the system
        refuses."""
        self._folder = folder
        self._kek = kek
        self._lock = threading.Lock()
        self._paths: dict[bytes, Path] = {}
        self._seen = 0
        for path in self._files():
            try:
                run = self._run_of(path)
                self._opened(path, run)
            except VaultError as error:
                raise UsageError(f"{path} is no key file that this broker can use: {error}") from error
            if run in self._paths:
                raise UsageError(f"{path} and {self._paths[run]} are of one run, {run.hex()}: keep one of them")
            self._paths[run] = path

    @property
    def runs(self) -> list[bytes]:
        """The runs whose keys are held, in order."""
        return sorted(self._paths)

    def holds(self, run: bytes) -> bool:
        """Whether the run's key is held. StorageError if the system refuses."""
        with self._lock:
            known = self._paths.get(run)
            if known is None and self._changed():
                self._look_again()
                known = self._paths.get(run)
        return known is not None and known.is_file()

    def key(self, run: bytes) -> bytes:
        """The key of the run's job. VaultError if it doesn't open, or isn't there any more."""
        with self._lock:
            path = self._paths.get(run)
        if path is None:
            raise VaultError(f"there is no key file of run {run.hex()}")
        return self._opened(path, run)

    def _opened(self, path: Path, run: bytes) -> bytes:
        context = of_enclave(run)
        key_file = _read(path)
        if key_file.context != context:
            raise VaultError(f"the key file is of {key_file.context}, and not of {context}")
        by = RECIPIENT if isinstance(self._kek, RecipientKey) else KEYFILE
        return self._kek.unwrap(key_file.wrap(by).wrapped, context)

    def _run_of(self, path: Path) -> bytes:
        context = _read(path).context
        try:
            run = bytes.fromhex(context.run)
        except ValueError:
            run = b""
        if len(run) != RUN_BYTES or context != of_enclave(run):
            raise VaultError(f"it is of {context}, and no job of an enclave")
        return run

    def _files(self) -> list[Path]:
        try:
            seen = self._folder.stat().st_mtime_ns
            # Of a folder that changed just now, the next change may have the same time.
            self._seen = seen if time.time_ns() - seen > _SETTLED else 0
            found = sorted(path for path in self._folder.iterdir() if path.name.endswith(SUFFIX))
        except (OSError, ValueError) as error:
            raise refusal(error, f"--jobs {self._folder} can't be read", "name a folder of jobs' key files") from error
        if len(found) > MAX_JOBS:
            raise UsageError(f"--jobs {self._folder} has more than {MAX_JOBS} key files: run several brokers")
        return found

    def _changed(self) -> bool:
        try:
            return self._folder.stat().st_mtime_ns != self._seen
        except OSError as error:
            raise StorageError(f"--jobs {self._folder} can't be read: {error.strerror}") from error

    def _look_again(self) -> None:
        """Key files that came later. One that is of no use is passed over, and so is a second one
        of a run."""
        for path in self._files():
            try:
                run = self._run_of(path)
            except VaultError:
                continue
            if not self._paths.get(run, path).is_file():
                del self._paths[run]
            self._paths.setdefault(run, path)


def _read(path: Path) -> KeyFile:
    """VaultError, also where the file has gone."""
    try:
        return KeyFile.parse(read_named(path, "the key file", MAX_KEY_FILE))
    except (UsageError, StorageError) as error:
        raise VaultError(str(error)) from error
