"""Opening what somebody calls a run: its folder, or a bundle of it. What is neither is a wrong
name, and nothing is said against a run."""

import os
from pathlib import Path

from zk_autograd.core.errors import UsageError
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.evidence.layout import CHECKPOINT, RECORDS
from zk_autograd.evidence.run import Evidence


def open_run(path: Path) -> Evidence:
    """A reader of the run at `path`, to be closed. UsageError if what is there is no run;
    UnreadableError if this machine refuses to open it."""
    reader: Evidence
    if os.path.isfile(path):
        from zk_autograd.evidence.bundle import Bundle  # to judge a folder takes nothing of it

        reader = Bundle(path)
    else:
        reader = RunFolder(path)
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
