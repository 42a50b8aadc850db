"""`zk-anchor`: has a run anchored that nobody trains any more, and shows what its receipts are
worth."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zk_autograd.cli.output import EXIT_STATUSES, Output, Parser, run_command
from zk_autograd.core.errors import ExitStatus, UsageError

if TYPE_CHECKING:
    from zk_autograd.core.keys import PublicKey
    from zk_autograd.core.records import Header
    from zk_autograd.verify.anchoring import Anchored, Registered
    from zk_autograd.verify.log import LogView


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="zk-anchor",
        description="Anchors: who holds the checkpoints of your register, so that they can't be taken back.",
        epilog=EXIT_STATUSES,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        command.add_argument("run", metavar="RUN", help="the folder of a run" if name == "publish" else "a run")
        command.add_argument("--json", action="store_true", help="print one JSON object")
        return command

    publish = add("publish", "complete what a run's anchors lack, or give it another anchor; no key is needed")
    publish.add_argument(
        "--anchor",
        action="append",
        default=[],
        metavar="KIND:REST",
        help="may be repeated (default: those that zk-train was given for the run)",
    )
    publish.add_argument("--register", type=Path, metavar="DIR", help="your register (default: that of the run's key)")
    publish.add_argument(
        "--key-file",
        type=Path,
        metavar="FILE",
        help="your key's file, whose public half tells that the run is yours (default: log.key in your configuration folder)",
    )
    shown = add("list", "the receipts of a run: for how many records, and what they are worth to a stranger")
    verify = add("verify", "judge the receipts of a run, as step 4 of zk-verify does, under your own trust")
    for command in (shown, verify):
        command.add_argument(
            "--key",
            action="append",
            default=[],
            metavar="KEY",
            help="the trainer's public keys: a file with them, or one or more as text",
        )
    verify.add_argument(
        "--trust-anchors",
        type=Path,
        metavar="FILE",
        help="whom you trust, in tables [anchors.KIND] as in a policy file",
    )
    return parser


def _publish(arguments: argparse.Namespace, output: Output) -> int:
    from zk_autograd.anchor.kinds import open_anchor
    from zk_autograd.run.completing import complete, header_of

    run = Path(arguments.run)
    header = header_of(run)
    specs, folder = _asked(arguments, run, header)
    found = complete(run, folder, [open_anchor(spec) for spec in specs])
    output.line(
        f"register  entry {found.view.index}, under the newest checkpoint, of {found.view.head.size} entries, which the file beside it has, too"
    )
    status = ExitStatus.DONE
    for state, error in found.anchors:
        if error is None:
            output.line(f"{state.anchor}: has the run's first {state.records} records")
        else:
            output.note(f"{state.anchor}: {state.trouble}")
            status = ExitStatus.REFUSED if ExitStatus.REFUSED in (status, error.exit_status) else error.exit_status
    output.result(
        {
            "run": str(run),
            "register": {"folder": str(folder), "entry": found.view.index, "size": found.view.head.size},
            "anchors": [asdict(state) for state, _ in found.anchors],
        }
    )
    return status


def _asked(arguments: argparse.Namespace, run: Path, header: "Header") -> tuple[list[str], Path]:
    """The anchors that were named, or those of the run's private plan if the run is the caller's
    own, and the register's folder."""
    from zk_autograd.core.keys import PublicKey
    from zk_autograd.register.place import place_of
    from zk_autograd.train.own_run import own_registering

    specs: list[str] = arguments.anchor
    folder: Path | None = arguments.register
    kept = None if specs and folder else own_registering(run, arguments.key_file)
    if kept is not None:
        specs, folder = specs or list(kept.specs), folder or kept.folder
    if not specs:
        raise UsageError(
            f"{run} doesn't say where it is anchored, or not under your key's signature (--key-file): name an anchor with --anchor KIND:REST"
        )
    return specs, (folder or place_of([PublicKey.parse(key) for key in header.keys])).absolute()


def _list(arguments: argparse.Namespace, output: Output) -> int:
    view, registered, anchored = _judged(arguments, {})
    size = view.head.size
    output.line(f"register  {registered.origin}")
    for index, entry in registered.entries:
        output.line(f"entry     {index}: {entry.kind.value}, the first {entry.size} of {size} records")
    _tell(anchored, output)
    output.result(_json(view, registered, anchored))
    return ExitStatus.DONE


def _verify(arguments: argparse.Namespace, output: Output) -> int:
    from zk_autograd.anchor.kinds import verifiers
    from zk_autograd.core.anchors import Standing
    from zk_autograd.verify.policy_file import load_trust

    trust: dict[str, Any] = {}
    if arguments.trust_anchors is not None:
        trust = load_trust(arguments.trust_anchors, arguments.run, verifiers())
    view, registered, anchored = _judged(arguments, trust)
    _tell(anchored, output)
    shown = [one for one in anchored if one.claim.standing is Standing.SHOWN]
    whole = any(one.records == view.head.size for one in shown)
    output.line(
        f"receipts that are well-formed and for checkpoints that this run shows: {len(anchored)}; that count: {len(shown)}; "
        + ("one of these covers all of it" if whole else "none of these covers all of it")
    )
    if not arguments.key:
        output.note("the register's signatures were not checked: give the trainer's keys with --key")
    output.result(_json(view, registered, anchored))
    return ExitStatus.DONE if whole and arguments.key else ExitStatus.LESS


def _judged(arguments: argparse.Namespace, trust: dict[str, Any]) -> "tuple[LogView, Registered, tuple[Anchored, ...]]":
    """What step 4 makes of the run."""
    from zk_autograd.anchor.kinds import verifiers
    from zk_autograd.cli.pinned import pinned
    from zk_autograd.evidence.opening import open_run
    from zk_autograd.verify.log import check_log, parse
    from zk_autograd.verify.receipts import read_receipts
    from zk_autograd.verify.registered import read_register

    keys: list[PublicKey] = [key for text in arguments.key for key in pinned(text)]
    with open_run(arguments.run) as files:
        view, _ = parse(files, None)
        check_log(view, None)
        if not view.log.header.register:
            raise UsageError(f"{arguments.run} is in no register: its header says so, and it has no receipts")
        registered = read_register(files, view, keys, chosen=False)
        return view, registered, read_receipts(files, registered, verifiers(), trust)


def _tell(anchored: "Sequence[Anchored]", output: Output) -> None:
    from zk_autograd.core.anchors import Standing
    from zk_autograd.verify.anchoring import time_text

    for one in anchored:
        time = "" if one.claim.time is None else f", existed by {time_text(one.claim.time)}"
        output.line(f"{one.claim.kind:<9} entries {one.size}, records {one.records}{time}: {one.claim.standing.value}")
        lead = "" if one.claim.standing is Standing.UNJUDGED else "it rests "
        output.line(f"          {lead}{one.claim.rests_on}")
    if not anchored:
        output.line("no receipt")


def _json(view: "LogView", registered: "Registered", anchored: "Sequence[Anchored]") -> dict[str, Any]:
    return {
        "register": registered.origin,
        "root": f"{view.head.root.hex()}@{view.head.size}",
        "entries": [
            {"entry": index, "kind": entry.kind.value, "records": entry.size} for index, entry in registered.entries
        ],
        "receipts": [
            {
                "kind": one.claim.kind,
                "size": one.size,
                "root": one.root.hex(),
                "records": one.records,
                "standing": one.claim.standing.value,
                "rests": one.claim.rests_on,
                "time": one.claim.time,
                "identity": list(one.claim.identity),
            }
            for one in anchored
        ],
    }


_COMMANDS = {"publish": _publish, "list": _list, "verify": _verify}


def main(argv: Sequence[str] | None = None) -> int:
    """The command's exit status."""
    arguments = _parser().parse_args(argv)
    return run_command(lambda output: _COMMANDS[arguments.command](arguments, output), json_output=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
