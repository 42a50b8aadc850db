"""`zk-key`: makes and shows the log key, whose public half an auditor pins before a run."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from zk_autograd.cli.output import Output, Parser, run_command


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="zk-key",
        description="The key that signs the log of your runs. Give its public half to your auditor before a run: a key that an auditor "
        "first sees in the run itself proves nothing.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    new = commands.add_parser("new", help="make a key; prints its public half")
    show = commands.add_parser("show", help="print the public half of a key")
    for command in (new, show):
        command.add_argument(
            "--key-file",
            type=Path,
            metavar="FILE",
            help="the key's file (default: log.key in your configuration folder)",
        )
        command.add_argument("--json", action="store_true", help="print one JSON object")
    new.add_argument("--name", metavar="NAME", help="the key's name, which is part of every signature")
    return parser


def _key(arguments: argparse.Namespace, output: Output) -> int:
    from zk_autograd.credentials import keyfile

    path = arguments.key_file or keyfile.default_path()
    if arguments.command == "new":
        signer = keyfile.create(path, arguments.name or keyfile.DEFAULT_NAME)
        output.note(
            f"the secret key is {path}: keep it to yourself, and back it up. The line below, also in {keyfile.public_path(path)}, "
            "is for your auditor"
        )
    else:
        signer = keyfile.load(path)
    public = signer.public_key
    output.line(public.encode())
    output.result(
        {"key": public.encode(), "name": public.name, "id": public.key_id.hex(), "key_file": str(path)},
    )
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The command's exit status."""
    arguments = _parser().parse_args(argv)
    return run_command(lambda output: _key(arguments, output), json_output=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
