"""`zk-enclave`: an enclave's image, its keys, and a training in it. Each command is a module
`cli.enclave_<name>` with `HELP`, `arguments(parser)` and `run(arguments, output)`."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

from zk_autograd.cli.output import Output, Parser, run_command

_COMMANDS: tuple[str, ...] = (
    "broker",
    "build",
    "demo",
    "measure",
    "new-recipient",
    "open",
    "run",
    "seal",
    "verify-image",
)


class _Command(Protocol):
    """What the module of a command has."""

    HELP: str

    def arguments(self, parser: argparse.ArgumentParser) -> None: ...
    def run(self, arguments: argparse.Namespace, output: Output) -> int: ...


def _module(name: str) -> _Command:
    return cast(_Command, import_module(f"zk_autograd.cli.enclave_{name.replace('-', '_')}"))


def main(argv: Sequence[str] | None = None) -> int:
    """The command's exit status."""
    parser = Parser(
        prog="zk-enclave",
        description="Training in an enclave: its image is measured and signed, keys are released to it alone, and it attests what it computed.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in _COMMANDS:
        module = _module(name)
        text = module.HELP
        command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        command.add_argument("--json", action="store_true", help="print one JSON object")
        module.arguments(command)
    arguments = parser.parse_args(argv)
    chosen = _module(arguments.command)
    return run_command(lambda output: chosen.run(arguments, output), json_output=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
