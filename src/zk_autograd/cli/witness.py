"""`zk-witness`: a witness of logs, by C2SP tlog-witness: its keys, its logs, its server."""

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from zk_autograd.cli.output import Output, Parser, run_command
from zk_autograd.cli.server_log import log_lines
from zk_autograd.core.errors import ExitStatus, UsageError

if TYPE_CHECKING:
    from zk_autograd.core.keys import PublicKey
    from zk_autograd.witness.folder import Folder
    from zk_autograd.witness.store import Log, Transaction

LISTEN = "127.0.0.1:7380"


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="zk-witness",
        description="A witness cosigns the checkpoints of logs that it knows, as long as each continues the one before: one branch of each log. Run "
        "it on another machine than the trainer's, by somebody else; several of them make a quorum.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    new = commands.add_parser("new-key", help="make a witness: keys, and an empty database; prints its public keys")
    new.add_argument("name", metavar="NAME", help="its name, a URL without https://, such as witness.example/w1")
    log = commands.add_parser("add-log", help="know a log from now on")
    log.add_argument("origin", metavar="ORIGIN", help="the first line of its checkpoints")
    log.add_argument(
        "keys", nargs="+", metavar="KEY", help="the log's public keys, all of which must sign: a file, or as text"
    )
    serve = commands.add_parser("serve", help="answer over HTTP until SIGTERM or Ctrl-C; put TLS in front of it")
    serve.add_argument(
        "--listen", default=LISTEN, metavar="HOST:PORT", help=f"where to listen (default: {LISTEN}; port 0: a free one)"
    )
    listed = commands.add_parser("list", help="the logs, and what was cosigned last")
    show = commands.add_parser("show", help="one log: its keys, its newest checkpoint, and the notes that were refused")
    fork = commands.add_parser(
        "evidence", help="write fork evidence, if two notes of one size are kept (zk-verify FILE)"
    )
    fork.add_argument("--out", type=Path, required=True, metavar="FILE", help="the file, which must not exist")
    for command in (show, fork):
        command.add_argument("origin", metavar="ORIGIN", help="the log's origin")
    for command in (new, log, serve, listed, show, fork):
        command.add_argument(
            "--dir",
            type=Path,
            metavar="DIR",
            help="the witness's folder (default: zk-autograd/witness in your state folder)",
        )
        command.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _new_key(arguments: argparse.Namespace, folder: "Folder", output: Output) -> int:
    keys = folder.create(arguments.name)
    output.note(
        f"the witness's secret keys are in {folder.key_file}; its database lies beside them. Never restore either from an older copy: a witness "
        "that has forgotten cosigns a second branch. The keys below go into a tlog-policy, one `witness` line each"
    )
    for key in keys:
        output.line(key)
    output.result({"keys": keys, "dir": str(folder.path)})
    return ExitStatus.DONE


def _add_log(arguments: argparse.Namespace, folder: "Folder", output: Output) -> int:
    from zk_autograd.cli.pinned import pinned
    from zk_autograd.core.checkpoint import checkpoint_text
    from zk_autograd.core.errors import VerificationError
    from zk_autograd.core.merkle import EMPTY_ROOT
    from zk_autograd.witness.store import Log

    origin = arguments.origin
    try:
        checkpoint_text(origin, 0, EMPTY_ROOT)
    except VerificationError as error:
        raise UsageError(f"{origin[:100]!r} can't be a log's origin: {error}") from error
    keys = tuple(dict.fromkeys(key for text in arguments.keys for key in pinned(text, "KEY")))
    log = Log(origin, _of_register(origin, keys))
    folder.witness().add_log(log)
    output.line(origin)
    for key in log.keys:
        output.line(f"  signed by {key.label}")
    output.result({"origin": origin, "keys": [key.encode() for key in log.keys]})
    return ExitStatus.DONE


def _of_register(origin: str, keys: "tuple[PublicKey, ...]") -> "tuple[PublicKey, ...]":
    """The keys as they sign this log: a trainer's keys sign their register under its origin."""
    from zk_autograd.core.register import is_origin, origin_of, renamed

    if not is_origin(origin):
        return keys
    if origin_of(keys) != origin:
        raise UsageError(f"the register {origin} is not that of these keys, but {origin_of(keys)} is")
    return tuple(renamed(keys, origin))


def _serve(arguments: argparse.Namespace, folder: "Folder", output: Output) -> int:
    from zk_autograd.local.serving import listening, url_of
    from zk_autograd.witness.serving import server

    witness = folder.witness()
    running = server(witness, log_lines(output, json_output=arguments.json))
    with listening(arguments.listen) as place:
        url = url_of(place)
        output.line(f"listening at {url}")
        output.result({"url": url, "dir": str(folder.path)})
        output.flush()
        running.run(sockets=[place])
    return ExitStatus.DONE


def _list(arguments: argparse.Namespace, folder: "Folder", output: Output) -> int:
    with folder.store().transaction(writing=False) as transaction:
        rows = [_row(transaction, log.origin) for log in transaction.logs()]
    for row in rows:
        output.line(f"{row['origin']}  {_newest(row)}, {row['refused']} refused")
    output.result({"logs": rows})
    return ExitStatus.DONE


def _show(arguments: argparse.Namespace, folder: "Folder", output: Output) -> int:
    with folder.store().transaction(writing=False) as transaction:
        log = _known(transaction, arguments.origin)
        row = _row(transaction, log.origin)
        last = transaction.cosigned(log.origin)
        refused = transaction.refused(log.origin)
    output.line(log.origin)
    for key in log.keys:
        output.line(f"  signed by {key.label}")
    output.line(f"  {_newest(row)}")
    for one in refused:
        what = "a fork" if one.fork else "inconsistent, unproved"
        output.line(f"  refused at {_utc(one.time)}, {what}: {one.root.hex()}@{one.size}")
    found = [
        {"fork": one.fork, "size": one.size, "root": one.root.hex(), "time": one.time, "note": one.note.decode("utf-8")}
        for one in refused
    ]
    keys = [key.encode() for key in log.keys]
    note = last.note.decode("utf-8") if last else None
    output.result({**row, "keys": keys, "note": note, "cosignatures": last.lines if last else None, "notes": found})
    return ExitStatus.DONE


def _evidence(arguments: argparse.Namespace, folder: "Folder", output: Output) -> int:
    from zk_autograd.local.new_files import require_new, write_new

    require_new(arguments.out, "--out")
    with folder.store().transaction(writing=False) as transaction:
        _known(transaction, arguments.origin)
    evidence = folder.evidence(arguments.origin)
    if evidence is None:
        output.note("no two notes of one size and two roots are kept of this log: nothing was written")
        output.result({"evidence": None})
        return ExitStatus.LESS
    write_new(arguments.out, evidence.encode(), "--out")
    output.line(
        f"{arguments.out} shows a fork at {evidence.smaller.checkpoint.size} entries: zk-verify {arguments.out} --key KEY"
    )
    output.result({"evidence": str(arguments.out), "size": evidence.smaller.checkpoint.size})
    return ExitStatus.DONE


def _known(transaction: "Transaction", origin: str) -> "Log":
    log = transaction.log(origin)
    if log is None:
        raise UsageError(f"this witness doesn't know the log {origin[:300]!r}: `zk-witness list`")
    return log


def _row(transaction: "Transaction", origin: str) -> dict[str, object]:
    last = transaction.cosigned(origin)
    return {
        "origin": origin,
        "size": last.size if last else None,
        "root": last.root.hex() if last else None,
        "time": last.time if last else None,
        "refused": len(transaction.refused(origin)),
    }


def _newest(row: dict[str, object]) -> str:
    if row["size"] is None:
        return "nothing cosigned yet"
    return f"cosigned {row['root']}@{row['size']} at {_utc(row['time'])}"


def _utc(time: object) -> str:
    return datetime.fromtimestamp(int(str(time)), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_COMMANDS: dict[str, Callable[[argparse.Namespace, "Folder", Output], int]] = {
    "new-key": _new_key,
    "add-log": _add_log,
    "serve": _serve,
    "list": _list,
    "show": _show,
    "evidence": _evidence,
}


def main(argv: Sequence[str] | None = None) -> int:
    """The command's exit status."""
    arguments = _parser().parse_args(argv)

    def work(output: Output) -> int:
        from zk_autograd.witness.folder import Folder, default_folder

        return _COMMANDS[arguments.command](arguments, Folder(arguments.dir or default_folder()), output)

    return run_command(work, json_output=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
