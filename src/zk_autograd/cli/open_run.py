"""`zk-run open`: shows one auditor some of a run's segments, or the trainer its committed cells."""

import argparse
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from zk_autograd.cli.output import Output
from zk_autograd.core.errors import UsageError

if TYPE_CHECKING:
    from zk_autograd.run.recorded import Choice, Recorded

HELP = "show one auditor the states and gradients of some segments, in a file that only their key opens; or export the committed cells"
_FLAGS = "--challenge FILE, --segments LIST or --all"
_INSIDE = "the folder of a run is published, or passed on, as a whole"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument("run", type=Path, metavar="RUN")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--challenge",
        type=Path,
        metavar="FILE",
        help="the segments that the auditor drew (zk-verify RUN --draw K --challenge FILE)",
    )
    which.add_argument("--segments", metavar="LIST", help="these segments, counted from 0, such as 0,3-5")
    which.add_argument("--all", action="store_true", help="every recorded segment")
    which.add_argument(
        "--cells",
        type=Path,
        metavar="FILE",
        help="write the data as the run commits to it, in clear, to this new file: what an auditor gives zk-verify as --data",
    )
    parser.add_argument(
        "--for",
        type=Path,
        dest="recipient",
        metavar="KEY.pub",
        help="the public half of the auditor's key, which they made with zk-key new --for recipient",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="the sealed file, which must not exist")


def run(arguments: argparse.Namespace, output: Output) -> int:
    """The exit status."""
    if arguments.cells is not None:
        if arguments.recipient is not None or arguments.out is not None:
            raise UsageError("--cells writes a file in clear: leave out --for and --out")
        return _cells(arguments.run, arguments.cells, output)
    if arguments.recipient is None or arguments.out is None:
        raise UsageError(
            "say whose eyes it is for, with --for KEY.pub (the auditor makes a key with `zk-key new --for recipient`), and where it goes, with --out FILE"
        )
    return _open(arguments, output)


def _open(arguments: argparse.Namespace, output: Output) -> int:
    from zk_autograd.core.text import counted
    from zk_autograd.local.new_files import require_new, require_outside
    from zk_autograd.prove.choice import backend_of_run
    from zk_autograd.run.opening import Opening, data_secrets
    from zk_autograd.run.recorded import recorded
    from zk_autograd.train import opened_data
    from zk_autograd.vault import openings
    from zk_autograd.vault.recipient_files import load_public

    out: Path = arguments.out
    recipient = load_public(arguments.recipient, "--for")
    require_new(out, "--out")
    require_outside(out, arguments.run, "--out", _INSIDE)
    found = recorded(arguments.run)
    choice = _chosen(arguments, found)
    header = found.log.header
    of_floats = opened_data.data_secrets(found.layout) if header.exact is None else None
    output.note(_told(found, choice, recipient.fingerprint, seed=of_floats is not None))
    backend = backend_of_run(header.prover, header.prover.backend, None, found.layout.private)
    try:
        secrets = of_floats or data_secrets(found, backend)
        with output.progress() as advance:
            pieces = Opening(found, backend).pieces(choice, secrets, advance)
            made = openings.seal(
                pieces, out, recipient, run=found.log.header_digest, root=choice.root, size=choice.size
            )
    finally:
        backend.stop()
    opened, head = list(choice.segments), f"{choice.root.hex()}@{choice.size}"
    output.line(
        f"{out}: {counted(len(opened), 'segment')} of {len(found.log.segments)}, {made.size} bytes, SHA-256 {made.sha256}, for the key {recipient.fingerprint}"
    )
    drawn = "" if arguments.challenge is None else " --challenge CHALLENGE --accept-sample"
    command = f"zk-verify {head} --from RUN --key KEY --data DATA --openings {quote(out.name)} --recipient-key FILE{drawn} --require L3"
    if header.exact is None:
        command = f"zk-run replay RUN --key KEY --data DATA --openings {quote(out.name)} --recipient-key FILE --model FILE:NAME"
    output.line(command)
    output.result(
        {
            "file": str(out),
            "bytes": made.size,
            "sha256": made.sha256,
            "segments": opened,
            "chosen_by": choice.by,
            "root": head,
            "recipient": recipient.fingerprint,
            "verify": command,
        }
    )
    return 0


def _chosen(arguments: argparse.Namespace, found: "Recorded") -> "Choice":
    from zk_autograd.local.named_files import read_named
    from zk_autograd.verify.challenge import MAX_CHALLENGE, Challenge

    if arguments.challenge is not None:
        return found.drawn(Challenge.parse(read_named(arguments.challenge, "--challenge", MAX_CHALLENGE)))
    return found.all() if arguments.all else found.listed(arguments.segments)


def _told(found: "Recorded", choice: "Choice", recipient: str, *, seed: bool) -> str:
    """What whoever opens the file will see; `seed`: zk-train's, of float gradients, is in it."""
    from zk_autograd.core.text import counted

    header, steps = found.log.header, 0
    for number in choice.segments:
        record = found.log.segments[number]
        steps += record.last - record.first + 1
    moments = " and moments" if len(header.states) > 1 else ""
    which, whose = f"each of {counted(len(choice.segments), 'segment')}", "their"
    if len(choice.segments) == 1:
        which, whose = f"segment {choice.segments[0]}", "its"
    data = (
        " The secrets of the data's commitment are in it: whoever has them can confirm a guess at the data."
        if header.exact is not None and not header.exact.cells
        else ""
    )
    if seed:
        data = (
            " The seed is in it, from which the first weights and the order and division of the rows follow, and the secret of the rows' salts: whoever "
            "has that can confirm a guess at a row."
        )
    return (
        f"who holds the private half of {recipient[:16]}.. will see the weights{moments} before {which}, "
        f"the gradients of {whose} {counted(steps, 'step')}, and so the weights after each; gradients tell much of the examples that they are of.{data} "
        "What is handed over can't be taken back"
    )


def _cells(run: Path, out: Path, output: Output) -> int:
    from zk_autograd.core import cells as cells_format
    from zk_autograd.core.text import counted
    from zk_autograd.local.new_files import private_file, require_new, require_outside
    from zk_autograd.prove.choice import backend_of_run
    from zk_autograd.run.opening import exact_files
    from zk_autograd.run.recorded import recorded

    require_new(out, "--cells")
    require_outside(out, run, "--cells", _INSIDE)
    found = recorded(run)
    header = found.log.header
    if header.exact is None:
        raise UsageError(f"the gradients of {run} are not exact: it has no committed cells to write")
    backend = backend_of_run(header.prover, header.prover.backend, None, found.layout.private)
    try:
        files = exact_files(found, backend)
    finally:
        backend.stop()
    content = cells_format.encoded(files.cells, files.features)
    with private_file(out, "--cells") as file:
        file.write(content)
    examples, stride = files.cells.shape
    output.note("these are the data themselves, to the precision of the training: give them only to who may see them")
    output.line(f"{out}: {counted(examples, 'example')} of {counted(stride, 'cell')}, {len(content)} bytes")
    output.result(
        {"file": str(out), "bytes": len(content), "examples": examples, "features": files.features, "cells": stride}
    )
    return 0
