"""How an unfinished run is resumed: by the command that began it, or by the optimizer in the
caller's own loop."""

from pathlib import Path
from shlex import quote

from zk_autograd.run.files import exists
from zk_autograd.run.layout import Layout


def way_to_resume(run: Path) -> str:
    """The command, or the optimizer's arguments, to resume `run`."""
    if exists(Layout(run).plan):
        return f"zk-train --resume {quote(str(run))}"
    return f"ZKOptimizer(..., run={str(run)!r}, resume=True)"
