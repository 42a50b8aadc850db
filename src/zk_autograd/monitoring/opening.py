"""Opening what a monitor is to watch: a run, or a register that its trainer published."""

from zk_autograd.core.errors import UsageError
from zk_autograd.evidence.opening import open_run
from zk_autograd.evidence.run import Evidence
from zk_autograd.evidence.tiles import Tiles, open_tiles


def open_log(where: str) -> Evidence | Tiles:
    """A reader of the log at a path or a URL, to be closed. UsageError if neither a run nor a
    register is there; UnreadableError if this machine can't open it."""
    try:
        return open_run(where)
    except UsageError as no_run:
        try:
            found = open_tiles(where)
        except UsageError:
            found = None
        if found is None:
            raise UsageError(f"{no_run}. A register has a file checkpoint, and there is none either") from no_run
        return found
