"""`zk-train reproduce RUN`: checks by hashes and retraining that a run leads to its weights."""

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from zk_autograd.cli.output import EXIT_STATUSES, Output, Parser, run_command
from zk_autograd.core.errors import UsageError
from zk_autograd.credentials import tokens


def parser() -> argparse.ArgumentParser:
    """The command's flags."""
    flags = Parser(
        prog="zk-train reproduce",
        description="Checks a finished run's files against its records and its hashes, trains again, and compares the result with the records, the weights bit for bit.",
        epilog="FULL, all that it compares is equal, is 0 (as is CONFIG ONLY with --verify-only: the hashes match); PARTIAL, the weights are equal "
        "and the listed differences remain, and CONFIG ONLY, nothing could be trained again, are 3; MISMATCH is 1. "
        + EXIT_STATUSES,
    )
    flags.add_argument("run", type=Path, metavar="RUN", help="a run's folder, or a bundle of it")
    flags.add_argument("--verify-only", action="store_true", help="check hashes and records, and train nothing")
    flags.add_argument("--data", metavar="csv:PATH", help="where the run's table is now")
    flags.add_argument(
        "--allow-code",
        metavar="MODULE:FACTORY",
        help="run this code, if it is the run's: otherwise no code that a run names is run, whoever made it",
    )
    flags.add_argument("--json", action="store_true", help="print one JSON object")
    return flags


def reproduce(arguments: argparse.Namespace, output: Output) -> int:
    """What `main` does with parsed flags."""
    for module in ("torch", "sklearn"):
        if find_spec(module) is None:
            raise UsageError(f"zk-train needs {module}: pip install 'zk-autograd[train]'")
    from zk_autograd.prove.verifiers import Systems
    from zk_autograd.reproduce import reproduction
    from zk_autograd.train.names import code_called

    allowed = None if arguments.allow_code is None else code_called(arguments.allow_code, "--allow-code")
    with output.progress() as progress:
        found = reproduction.reproduce(
            arguments.run, Systems(), progress, hashes_alone=arguments.verify_only, data=arguments.data, allowed=allowed
        )
    for line in found.lines():
        output.line(line)
    output.result({"run": str(arguments.run), **found.to_json()})
    return found.exit_status


def main(argv: Sequence[str] | None = None) -> int:
    """The command's exit status."""
    tokens.hide()
    arguments = parser().parse_args(argv)
    return run_command(lambda output: reproduce(arguments, output), json_output=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
