"""How a run that isn't finished is gone on with: by the command that began it, or by the optimizer
of a loop of one's own."""

from pathlib import Path
from shlex import quote

from zk_autograd.run.files import exists
from zk_autograd.run.layout import Layout


def way_to_resume(run: Path) -> str:
    """The command, or the optimizer's arguments, that go on with `run`."""
    if exists(Layout(run).plan):
        return f"zk-train --resume {quote(str(run))}"
    return f"ZKOptimizer(..., run={str(run)!r}, resume=True)"
