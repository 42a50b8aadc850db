"""Opening what somebody calls a run: its folder, or a bundle of it. Anything else is a wrong path,
and says nothing against a run."""

import os
from pathlib import Path

from zk_autograd.core.errors import UsageError
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.evidence.layout import CHECKPOINT, RECORDS
from zk_autograd.evidence.run import Evidence


def open_run(where: Path | str) -> Evidence:
    """A reader of the run at `where`, to be closed. UsageError if it is not a run; UnreadableError
    if this machine can't open it."""
    reader: Evidence
    path = Path(where)
    if os.path.isfile(path):
        from zk_autograd.evidence.bundle import Bundle  # judging a folder takes none of it

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
            f"{path} is not a run: it has no log/{RECORDS} and no log/{CHECKPOINT}. Give the folder that a training wrote, or a bundle of it"
        )
    return reader
