"""Opening what somebody calls a run: its folder, or a bundle of it, here or at a URL. Anything else
is a wrong path, and says nothing against a run."""

import os
from pathlib import Path

from zk_autograd.core.errors import UsageError
from zk_autograd.core.progress import Progress, silent
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.evidence.layout import CHECKPOINT, RECORDS
from zk_autograd.evidence.run import Evidence
from zk_autograd.evidence.url import is_url


def open_run(where: Path | str, progress: Progress = silent) -> Evidence:
    """A reader of the run at a path or a URL, to be closed. UsageError if it is not a run;
    UnreadableError if this machine can't open it."""
    reader = _reader(where, progress)
    try:
        found = reader.has_log()
    except BaseException:
        reader.close()
        raise
    if not found:
        reader.close()
        raise UsageError(
            f"{where} is not a run: it has no log/{RECORDS} and no log/{CHECKPOINT}. Give the folder that a training wrote, or a bundle of it"
        )
    return reader


def _reader(where: Path | str, progress: Progress) -> Evidence:
    if isinstance(where, str) and is_url(where):
        from zk_autograd.evidence.remote import open_url  # judging what is here takes nothing of the network

        return open_url(where, progress)
    if where == "":
        raise UsageError(
            "an empty text names no run: a variable that is not set, perhaps; the current folder is written as a dot"
        )
    path = Path(where)
    if os.path.isfile(path):
        from zk_autograd.evidence.bundle import Bundle  # judging a folder takes none of it

        return Bundle(path)
    return RunFolder(path)
