"""`zk-verify init-policy`: a policy file for review, drafted from a run."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from zk_autograd.cli.output import Output, Parser, run_command
from zk_autograd.core.errors import ExitStatus, VerificationError

_NEXT = (
    "it pins nothing yet: whoever made the run chose all that it says. Compare its keys with a source of your own, read each line, and then "
    "take the comment signs before `keys` away"
)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="zk-verify init-policy",
        description="Verifies a run, and drafts from it a policy file with comments, for review. A policy taken from the run pins nothing yet.",
    )
    parser.add_argument(
        "--from",
        dest="source",
        required=True,
        metavar="RUN",
        help="the run: its folder, or a bundle of it, or the URL of either",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="a new file, outside the run (default: print the policy)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _init(arguments: argparse.Namespace, output: Output) -> int:
    from zk_autograd.auditing import judge
    from zk_autograd.evidence.finding import find
    from zk_autograd.local.new_files import require_new, require_outside, write_new
    from zk_autograd.verify.policy_draft import draft, probe

    found = find(arguments.source)
    if arguments.out is not None:
        why = "a policy there is refused, since whoever made the run could have written it. Choose another folder"
        if isinstance(found.run, Path):  # nothing lies in a URL
            require_outside(arguments.out, found.run, "--out", why)
        require_new(arguments.out, "--out")
    with output.progress() as progress:
        report = judge(found, probe(), progress)
    if report.unreadable is not None:
        raise report.unreadable
    if report.failure is not None:
        raise VerificationError(f"the run does not verify, so no policy is drafted from it: {report.failure}")
    text = draft(report)
    if arguments.out is not None:
        write_new(arguments.out, text.encode("ascii"), "--out")
        output.line(f"{arguments.out}: a policy for review; {_NEXT}")
    else:
        output.text(text.rstrip("\n"), {})
        output.note(f"a policy for review; {_NEXT}")
    output.result({"policy": text, "out": None if arguments.out is None else str(arguments.out)})
    return ExitStatus.DONE


def main(argv: Sequence[str] | None = None) -> int:
    """The command's exit status."""
    arguments = _parser().parse_args(argv)
    return run_command(lambda output: _init(arguments, output), json_output=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
