"""`zk-run replay`: recomputes the float gradients of opened segments, within a tolerance."""

import argparse
import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from zk_autograd.cli.output import Output
from zk_autograd.core.errors import UsageError

if TYPE_CHECKING:
    from zk_autograd.verify.report import Report

HELP = "as an auditor who was given openings: compute float gradients again with the model's code, and compare them within a tolerance"
_POWER = re.compile(r"2\^-([1-9][0-9]?)")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    add = parser.add_argument
    add("run", metavar="RUN", help="a run's folder, or a bundle of it")
    add(
        "--key",
        action="append",
        required=True,
        metavar="KEY",
        help="the trainer's public keys, as zk-verify takes them: all of them must have signed",
    )
    add("--root", metavar="ROOT@SIZE", help="the root that must be the log's, obtained elsewhere")
    add("--srs-digest", action="append", default=[], metavar="HEX", help="for EZKL's commitments, as zk-verify's")
    add(
        "--data",
        required=True,
        metavar="DATA",
        help="the data set that the run was trained on: digits, breast-cancer or csv:PATH",
    )
    add("--label", default="", metavar="COLUMN", help="with csv:PATH: the column of the classes (default: the last)")
    add("--openings", required=True, type=Path, metavar="FILE", help="what the trainer made with zk-run open")
    add(
        "--recipient-key",
        required=True,
        type=Path,
        metavar="FILE",
        help="your key, for which the openings are sealed (zk-key new --for recipient)",
    )
    add(
        "--model",
        required=True,
        metavar="FILE:NAME",
        help="the model's code, which you have looked at: a Python file and the callable in it; or a built-in model: logistic, softmax, mlp",
    )
    add("--tolerance", metavar="T", help="the largest difference that passes, such as 2^-11, the default, or 0.0005")
    add("--threads", type=int, default=1, metavar="N", help="threads that compute (default: 1, as zk-train's)")
    add(
        "--unconfined",
        action="store_true",
        help="run the model's code even where the system can't keep it from your files",
    )


def run(arguments: argparse.Namespace, output: Output) -> int:
    """The exit status."""
    for module in ("torch", "sklearn"):
        if find_spec(module) is None:
            raise UsageError(f"zk-run replay needs {module}: pip install 'zk-autograd[train]'")
    from zk_autograd.reproduce.named_model import NamedModel
    from zk_autograd.reproduce.replay import Question, checker_of, replay, require_code, require_replayable
    from zk_autograd.train.names import data_called
    from zk_autograd.vault.openings import opened
    from zk_autograd.vault.recipient_files import load

    question = Question(
        data_called(arguments.data, arguments.label),
        NamedModel.read(arguments.model),
        _tolerance(arguments.tolerance),
        _threads(arguments.threads),
        arguments.unconfined,
    )
    key = load(arguments.recipient_key)
    report = _judged(arguments, output)
    if report.log is None or report.exit_status:
        output.text(report.text(output.width), {})
        output.result({"run": arguments.run, "verdict": report.verdict, "exit_status": int(report.exit_status)})
        return report.exit_status
    log = report.log
    require_replayable(log.header)
    require_code(log.header, question.model)
    checker = checker_of(log.header, _srs(arguments.srs_digest))
    with output.progress() as progress, opened(arguments.openings, key, log.header_digest) as file:
        found = replay(log, checker, file, question, progress)
    output.line(f"{'evidence':<12}steps 1 to 10 of zk-verify: nothing false; {report.verdict_line}")
    for line in found.lines():
        output.line(line)
    output.result({"run": arguments.run, "verified": report.verdict, **found.to_json()})
    return found.exit_status


def _judged(arguments: argparse.Namespace, output: Output) -> "Report":
    """The verifier's report, L0 asked for."""
    from zk_autograd.auditing import judge
    from zk_autograd.cli.pinned import pinned
    from zk_autograd.evidence.finding import find
    from zk_autograd.verify.outcome import Level
    from zk_autograd.verify.policy import Policy, TreeHead

    policy = Policy(
        keys=tuple(key for text in arguments.key for key in pinned(text)),
        srs=_srs(arguments.srs_digest),
        require=frozenset({Level.L0}),
        head=None if arguments.root is None else TreeHead.parse(arguments.root),
    )
    with output.progress() as progress:
        return judge(find(arguments.run), policy, progress)


def _srs(digests: list[str]) -> frozenset[bytes]:
    try:
        return frozenset(bytes.fromhex(digest) for digest in digests)
    except ValueError as error:
        raise UsageError("--srs-digest is not 64 hexadecimal digits") from error


def _threads(count: int) -> int:
    if not 1 <= count <= 1024:
        raise UsageError(f"--threads is {count}; it must be from 1 to 1024")
    return count


def _tolerance(text: str | None) -> float:
    from zk_autograd.reproduce.closeness import TOLERANCE

    if text is None:
        return TOLERANCE
    try:
        value = 2.0 ** -int(power[1]) if (power := _POWER.fullmatch(text)) else float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise UsageError(
            f"--tolerance is {text[:40]!r}; it must be a number from 0 to below 1, such as 2^-11 or 0.0005"
        )
    return value
