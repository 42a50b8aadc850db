"""`zk-enclave demo`: from an image to a verified run, on one machine and with no enclave."""

import argparse
from pathlib import Path

from zk_autograd.cli.ending_signals import ending_signals
from zk_autograd.cli.output import Output
from zk_autograd.core.errors import ExitStatus, UsageError

HELP = "build, measure, sign, check, train and verify, with an emulated device: it shows how, and proves nothing"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder for all of it")
    parser.add_argument(
        "--image", type=Path, metavar="EIF", help="an image that was built; without: this package's code"
    )
    parser.add_argument("--steps", type=int, default=100, metavar="N", help="of the training (default: 100)")
    parser.add_argument("--tools", type=Path, metavar="DIR", help="where cosign and syft lie (default: on the PATH)")


def run(arguments: argparse.Namespace, output: Output) -> int:
    """The exit status."""
    from zk_autograd.enclave.demo.demonstration import Tools, demonstrate

    if not 1 <= arguments.steps <= 10_000:
        raise UsageError(f"--steps is {arguments.steps}; a demonstration has 1 to 10000")
    tools = Tools.found(arguments.tools)
    with ending_signals():
        done = demonstrate(arguments.out, arguments.image, tools, output.line, steps=arguments.steps)
    output.result(
        {
            "folder": str(done.folder),
            "run": str(done.run),
            "policy": str(done.policy),
            "accepted": done.accepted == ExitStatus.DONE,
            "production_refuses": done.refused == ExitStatus.LESS,
        }
    )
    return 0
