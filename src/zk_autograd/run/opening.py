"""Opening what somebody calls a run: its folder, or a bundle of it. What is neither is a wrong name, and nothing is said against a run."""

import os
from pathlib import Path

from zk_autograd.core.errors import UsageError
from zk_autograd.run.bundle import BundleReader
from zk_autograd.run.layout import CHECKPOINT, RECORDS
from zk_autograd.run.reader import RunReader


def open_run(path: Path) -> RunReader | BundleReader:
    """A reader of the run at `path`, to be closed. UsageError if what is there is no run; UnreadableError if this machine refuses to open it."""
    reader = BundleReader(path) if os.path.isfile(path) else RunReader(path)
    try:
        found = reader.has_log()
    except BaseException:
        reader.close()
        raise
    if not found:
        reader.close()
        raise UsageError(
            f"{path} is not a run: it has no log/{RECORDS} and no log/{CHECKPOINT}. Name the folder that a training made, or a bundle of it"
        )
    return reader
