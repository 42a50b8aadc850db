"""Reports through configfs-tsm, the files by which Linux lets a guest ask its platform.

Source: Linux, Documentation/ABI/testing/configfs-tsm-report; drivers/virt/coco.
"""

import errno
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from zk_autograd.core.errors import RunError
from zk_autograd.tee.snp.abi import REPORT_BYTES

PROVIDER = "sev_guest"
MAX_BLOB = 2**15
"""Bytes of an attribute (TSM_REPORT_OUTBLOB_MAX)."""


class ConfigfsTsm:
    """Reports through configfs-tsm, below `root`: a folder of one's own, in which the kernel lays
    files. `generation` counts the writes to it, so that who shares a folder notices. `make` and
    `remove` make and remove that folder."""

    def __init__(
        self, root: Path, make: Callable[[Path], None] = os.mkdir, remove: Callable[[Path], None] = os.rmdir
    ) -> None:
        self._root, self._make, self._remove = root, make, remove

    def __call__(self, data: bytes) -> tuple[bytes, bytes]:
        folder = self._root / f"zk-autograd-{secrets.token_hex(8)}"
        try:
            self._make(folder)
        except OSError as error:
            raise RunError(f"configfs-tsm gives no report, for {folder} can't be made: {error.strerror}") from error
        try:
            return self._ask(folder, data)
        except OSError as error:
            raise RunError(f"configfs-tsm gives no report ({folder}): {error.strerror}") from error
        finally:
            with suppress(OSError):
                self._remove(folder)

    def _ask(self, folder: Path, data: bytes) -> tuple[bytes, bytes]:
        provider = _read(folder / "provider").decode("ascii", "replace").strip()
        if provider != PROVIDER:
            raise RunError(f"configfs-tsm is of another platform: {provider[:40]!r}, not {PROVIDER!r}")
        before = _generation(folder)
        _write(folder / "inblob", data)
        report, table = _read(folder / "outblob"), _table(folder)
        if _generation(folder) != before + 1:
            raise RunError(f"someone else wrote into {folder} at the same time: ask again")
        if len(report) != REPORT_BYTES:
            raise RunError(f"configfs-tsm gives a report of {len(report)} bytes, not {REPORT_BYTES}")
        return report, table


def _read(path: Path) -> bytes:
    """An attribute, whole."""
    with path.open("rb", buffering=0) as file:
        found = b""
        while part := file.read(MAX_BLOB + 1 - len(found)):
            found += part
    if len(found) > MAX_BLOB:
        raise RunError(f"{path} is larger than {MAX_BLOB} bytes")
    return found


def _write(path: Path, data: bytes) -> None:
    """An attribute, in one write: the kernel takes it when the file is closed."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        written = os.write(descriptor, data)
    finally:
        os.close(descriptor)
    if written != len(data):
        raise RunError(f"{path} took {written} of {len(data)} bytes")


def _generation(folder: Path) -> int:
    text = _read(folder / "generation").strip()
    if not text.isdigit() or len(text) > 20:
        raise RunError(f"{folder}/generation is no number")
    return int(text)


def _table(folder: Path) -> bytes:
    """auxblob; b"" where the kernel or the host gives none."""
    try:
        return _read(folder / "auxblob")
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENXIO, errno.EOPNOTSUPP, errno.ENODATA):
            return b""
        raise
