"""zk-verify's part of a replay: the files that it takes, and the segments that an auditor draws."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from zk_autograd.cli.output import Output
from zk_autograd.core.errors import UsageError

if TYPE_CHECKING:
    from zk_autograd.evidence.finding import Found
    from zk_autograd.replaying import Given
    from zk_autograd.verify.policy import Policy

_INSIDE = "a file there that no record names counts against the run; choose another place"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of this module."""
    group = parser.add_argument_group("gradients computed again (L3)")
    group.add_argument(
        "--data",
        type=Path,
        metavar="DATA",
        help="the data that the run was trained on: a file of cells (zk-run open --cells), or the table (CSV) that they were made from",
    )
    group.add_argument(
        "--openings", type=Path, metavar="FILE", help="what the trainer opened for you (zk-run open RUN --for YOUR.pub)"
    )
    group.add_argument(
        "--recipient-key",
        type=Path,
        metavar="FILE",
        help="your key, for which the openings are sealed (zk-key new --for recipient)",
    )
    group.add_argument(
        "--challenge",
        type=Path,
        metavar="FILE",
        help="the segments that you drew; with --draw, the new file that they are written to",
    )
    group.add_argument(
        "--draw",
        type=int,
        metavar="K",
        help="judge nothing but the log's head, and draw K segments for the trainer to open: first, last and K-2 at random",
    )


def given(arguments: argparse.Namespace) -> "Given | None":
    """The files that the flags name; None if they name none."""
    files = (arguments.data, arguments.openings, arguments.recipient_key, arguments.challenge)
    if not any(files):
        return None
    from zk_autograd.replaying import Given

    return Given(*files)


def draw(arguments: argparse.Namespace, found: "Found", policy: "Policy", output: Output) -> int:
    """Draws segments, and writes the challenge. The exit status; VerificationError for a log that
    steps 1 to 3 refuse."""
    from zk_autograd.auditing import draw as drawn
    from zk_autograd.core.text import counted
    from zk_autograd.local.new_files import require_new, require_outside, write_new
    from zk_autograd.verify.replayed import percent, ranges

    path: Path | None = arguments.challenge
    if path is None:
        raise UsageError("--draw K: say where the challenge goes, with --challenge FILE")
    if others := [flag for flag in ("openings", "data", "recipient_key") if getattr(arguments, flag) is not None]:
        raise UsageError(f"--draw is before anything was opened: leave out --{others[0].replace('_', '-')}")
    require_new(path, "--challenge")
    if isinstance(found.run, Path):
        require_outside(path, found.run, "--challenge", _INSIDE)
    with output.progress() as progress:
        challenge = drawn(found, policy, arguments.draw, arguments.beacon, progress)
    write_new(path, challenge.encode(), "--challenge")
    segments, missed = challenge.segments, challenge.missed
    output.line(f"{path}: {counted(len(segments), 'segment')} of {challenge.count}, under the root {challenge.head}")
    output.line(f"drawn: {ranges(segments, most=len(segments))}")
    output.line(
        "all segments are drawn"
        if len(segments) == challenge.count
        else f"one bad segment between the first and the last is missed {percent(missed)} of the time"
        + ("" if challenge.surely_found is None else f"; of {challenge.surely_found} at least one is found with 99 %")
    )
    output.line(f"send it to the trainer: zk-run open RUN --challenge {path.name} --for YOUR.pub --out FILE")
    output.result(
        {
            "challenge": str(path),
            "root": str(challenge.head),
            "segments": challenge.count,
            "drawn": list(segments),
            "seed": challenge.seed.hex(),
            "seed_from": "beacon" if challenge.beacon else "verifier",
            "miss_one": f"{missed.numerator}/{missed.denominator}",
            "found_with_99_percent": challenge.surely_found,
        }
    )
    return 0
