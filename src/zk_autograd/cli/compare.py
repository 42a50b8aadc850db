"""`zk-verify compare`: two views of a log, held against each other; and `zk-verify EVIDENCE`, what
a file shows that another auditor made of such a pair.

Exit status 1 means one thing here: it is proved that a key signed what no log can have. Whatever
else goes wrong has another one.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zk_autograd.cli.output import Output, Parser, run_command
from zk_autograd.cli.pinned import pinned
from zk_autograd.core.errors import ExitStatus, ZkError
from zk_autograd.core.text import printable

if TYPE_CHECKING:
    from zk_autograd.core.keys import PublicKey
    from zk_autograd.verify.comparison import Comparison

_STYLES = {
    r"(?m)^verdict: (?P<bad>FORK PROVED)$": "bold red",
    r"(?m)^verdict: (?P<less>CAN'T TELL)$": "bold yellow",
    r"(?m)^verdict: (?P<ok>CONSISTENT)$": "bold green",
}
_WHAT = "--out"


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="zk-verify compare",
        description="Compares two views of a log, or what two runs show of their trainer's register: 0 the one is the beginning of the other; 1 they prove "
        "that the log was forked; 3 neither can be told.",
    )
    for name in ("A", "B"):
        parser.add_argument(
            name.lower(),
            metavar=name,
            help="a run, a checkpoint's note (log/checkpoint of a run), or a run's register/views.jsonl",
        )
    parser.add_argument(
        "--key",
        action="append",
        default=[],
        metavar="KEY",
        help="the trainer's public keys: a file with them, or one or more as text; a fork is proved if one of them signed both",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="EVIDENCE",
        help="write what was found to this new file, for anybody to check: `zk-verify EVIDENCE --key KEY`",
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    return parser


def _compare(arguments: argparse.Namespace, output: Output) -> int:
    from zk_autograd.local.new_files import require_new, write_new
    from zk_autograd.verify.comparison import compare

    if arguments.out is not None:
        require_new(arguments.out, _WHAT)
    found = compare(arguments.a, arguments.b, _keys(arguments.key))
    written = None
    if arguments.out is not None and (evidence := found.proof) is not None:
        try:
            write_new(arguments.out, evidence, _WHAT)
        except ZkError:
            output.note(f"{found.decision.verdict.value}, and the evidence is not written")
            raise
        written = arguments.out
    return _print(found, output, written)


def check(path: str, keys: Sequence[str], output: Output) -> int:
    """Prints what the evidence in a file shows under these keys, as `--key` takes them: the exit
    status."""
    from zk_autograd.verify.comparison import check

    return only_a_fork_is_1(lambda output: _print(check(path, _keys(keys)), output), output)


def _keys(given: Sequence[str]) -> "tuple[PublicKey, ...]":
    return tuple(dict.fromkeys(key for text in given for key in pinned(text)))  # one key given twice is one signer


def _print(found: "Comparison", output: Output, written: Path | None = None) -> int:
    output.text("\n".join(map(printable, found.lines(written))), _STYLES)
    output.result({**found.to_json(), "evidence": None if written is None else str(written)})
    return found.decision.verdict.exit_status


def only_a_fork_is_1(command: Callable[[Output], int], output: Output) -> int:
    """What the command returns. An error whose status would be 1 says nothing against anybody's
    key: it becomes 3."""
    try:
        return command(output)
    except ZkError as error:
        if error.exit_status is not ExitStatus.REFUSED:
            raise
        return output.error(type(error).__name__, f"nothing can be told: {error}", ExitStatus.LESS)


def main(argv: Sequence[str] | None = None) -> int:
    """The command's exit status."""
    arguments = _parser().parse_args(argv)
    return run_command(
        lambda output: only_a_fork_is_1(lambda output: _compare(arguments, output), output),
        json_output=arguments.json,
    )
