"""`zk-verify monitor`: looks at a log again and again, and tells of each new root and of a fork."""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from zk_autograd.cli.compare import only_a_fork_is_1
from zk_autograd.cli.output import Output, Parser, run_command
from zk_autograd.cli.pinned import pinned
from zk_autograd.core.errors import ExitStatus, UsageError

if TYPE_CHECKING:
    from zk_autograd.monitoring.watching import Event

MAX_SECONDS = 30 * 24 * 3600


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="zk-verify monitor",
        description="Watches the log of a run, or a trainer's register over all their runs: keeps each signed checkpoint, and holds it against those seen "
        "before. 1 means that a fork is proved.",
    )
    parser.add_argument(
        "run",
        metavar="LOG",
        help="the run, wherever zk-verify can judge it, or the register that a trainer published: its folder, or the URL of it",
    )
    parser.add_argument(
        "--key",
        action="append",
        default=[],
        metavar="KEY",
        help="the trainer's public keys: a file with them, or one or more as text; what is accepted is signed by all of them",
    )
    parser.add_argument(
        "--state", type=Path, required=True, metavar="DIR", help="where what was seen is kept: a folder of your own"
    )
    often = parser.add_mutually_exclusive_group()
    often.add_argument("--once", action="store_true", help="look once (the default)")
    often.add_argument("--every", type=int, metavar="SECONDS", help="look until a fork is proved, or Ctrl-C")
    parser.add_argument("--json", action="store_true", help="print each event as a JSON object on a line of its own")
    return parser


def _monitor(arguments: argparse.Namespace, output: Output) -> int:
    from zk_autograd.monitoring.opening import open_log
    from zk_autograd.monitoring.state import State
    from zk_autograd.monitoring.watching import Watcher, watch

    every = arguments.every
    if every is not None and not 1 <= every <= MAX_SECONDS:
        raise UsageError(f"--every takes 1 to {MAX_SECONDS} seconds, not {every}")
    keys = [key for text in arguments.key for key in pinned(text)]
    status = int(ExitStatus.DONE)
    with State(arguments.state) as state:
        for event in watch(Watcher(state, keys), lambda: open_log(arguments.run), every):
            _print(event, output)
            status = event.kind.exit_status
    return status


def _print(event: "Event", output: Output) -> None:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    first, *rest = event.lines()
    for text in (f"{now} {first}", *(f"  {text}" for text in rest)):
        output.line(text)
    output.result({"time": now, **event.to_json()})
    output.flush()


def main(argv: Sequence[str] | None = None) -> int:
    """The command's exit status."""
    arguments = _parser().parse_args(argv)
    return run_command(
        lambda output: only_a_fork_is_1(lambda output: _monitor(arguments, output), output),
        json_output=arguments.json,
    )
