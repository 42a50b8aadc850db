"""`zk-register`: a trainer's register, the one log over all of their runs."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from zk_autograd.cli.output import Output, Parser, run_command
from zk_autograd.core.errors import RunError, UsageError
from zk_autograd.local.own_folders import NoHomeError

if TYPE_CHECKING:
    from zk_autograd.core.keys import SeedSigner
    from zk_autograd.register.register import Register

_BEGIN = (
    "A register is the one log over all runs of a key, and it is begun once, with the key. If this key had one before, here or on another "
    "machine, a second one contradicts it: whoever sees both can prove that against the key. Then bring the old one back (zk-register recover)."
)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="zk-register",
        description="Your register: the one log over all runs of your key, which shows auditors each run that was begun. Anchors hold on to it.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, text: str, more: str = "") -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}. {more}".strip())
        command.add_argument(
            "--key-file",
            type=Path,
            metavar="FILE",
            help="the key's file (default: log.key in your configuration folder)",
        )
        command.add_argument(
            "--register", type=Path, metavar="DIR", help="its folder (default: the key's in your state folder)"
        )
        command.add_argument("--json", action="store_true", help="print one JSON object")
        return command

    begin = add("begin", "begin the register of a key that never had one", _BEGIN)
    begin.add_argument("--yes", action="store_true", help="do not ask")
    add(
        "show",
        "where the register stands",
        "Its lines `log` are those of a tlog-policy: the register's keys, which a witness is given, and your own policy of witnesses needs.",
    )
    add("list", "the runs in the register")
    add(
        "check",
        "compare every entry, every hash of the tree, the anchor file and what is published with what was signed",
    )
    publish = add(
        "publish",
        "write the register as files for any web server (C2SP tlog-tiles)",
        "Auditors give the URL of that folder to zk-verify monitor.",
    )
    publish.add_argument("--out", type=Path, metavar="DIR", help="the folder (default: public in the register's)")
    recover = add(
        "recover",
        "make the register again from what others hold of it",
        "Nothing is made unless every entry that your key signed is found; what lies in the register's own folder is looked at in any case. Name all that may hold some: what was signed after the newest "
        "checkpoint that is found would be signed again as something else, and that is a fork.",
    )
    recover.add_argument(
        "--from",
        dest="sources",
        action="append",
        required=True,
        metavar="SOURCE",
        help="an anchor (KIND:...), a published register (its folder, or its URL), a run, or an old copy of the register's folder; repeatable",
    )
    return parser


def _begin(arguments: argparse.Namespace, output: Output) -> int:
    from zk_autograd.register.place import place_of
    from zk_autograd.register.register import Register, require_never_begun

    signers, folder = _place(arguments)
    require_never_begun(folder)
    with suppress(NoHomeError):
        require_never_begun(place_of([signer.public_key for signer in signers]))
    if not arguments.yes:
        if arguments.json or sys.stdin is None or not sys.stdin.isatty():
            raise UsageError(f"{_BEGIN} If it never had one, confirm that with --yes")
        output.note(_BEGIN)
        output.note("Type yes if it never had one:")
        if sys.stdin.readline().strip() != "yes":
            output.line("nothing was begun")
            output.result({"folder": str(folder), "origin": None})
            return 0
    with Register.begin(folder, signers) as register:
        output.line(f"{folder}: {register.origin} is begun")
        output.result({"folder": str(folder), "origin": register.origin})
    return 0


def _show(arguments: argparse.Namespace, output: Output) -> int:
    from zk_autograd.core.register import renamed
    from zk_autograd.core.text import encode_base64
    from zk_autograd.monitoring.entries import runs_in
    from zk_autograd.register.publishing import published_size
    from zk_autograd.register.register import PUBLIC

    signers, _ = _place(arguments)
    with _opened(arguments) as register:
        head = register.checkpoint.head
        runs, _ = runs_in(register.entries(0, head.size))
        published = published_size(register, register.folder / PUBLIC)
        anchored = _anchored(register)
    keys = [key.encode() for key in renamed([signer.public_key for signer in signers], head.origin)]
    closed = sum(run.closed for run in runs.values())
    rows = (
        ("register", head.origin),
        ("entries", str(head.size)),
        ("root", f"{head.root.hex()} ({encode_base64(head.root)})"),
        ("folder", str(register.folder)),
        ("runs", f"{len(runs)} begun, {closed} closed, {len(runs) - closed} unfinished"),
        ("anchor file", "nothing" if anchored is None else f"{anchored} entries"),
        ("published", "nothing" if published is None else f"{published} entries in {register.folder / PUBLIC}"),
        *(("log", key) for key in keys),  # lines of a tlog-policy
    )
    for name, value in rows:
        output.line(f"{name:<12}{value}")
    output.result(
        {
            "origin": head.origin,
            "size": head.size,
            "root": head.root.hex(),
            "folder": str(register.folder),
            "runs": {"begun": len(runs), "closed": closed, "unfinished": len(runs) - closed},
            "anchored": anchored,
            "published": published,
            "keys": keys,
        }
    )
    return 0


def _list(arguments: argparse.Namespace, output: Output) -> int:
    from zk_autograd.cli.run import table
    from zk_autograd.monitoring.entries import runs_in

    with _opened(arguments) as register:
        runs, _ = runs_in(register.entries(0, register.checkpoint.head.size))
    rows: list[tuple[str, ...]] = [("number", "run", "begun as", "newest", "records", "state")]
    for number, (run, seen) in enumerate(runs.items(), 1):
        begun = "-" if seen.begun is None else f"entry {seen.begun}"
        state = "closed" if seen.closed else "unfinished"
        rows.append((str(number), run.hex(), begun, f"entry {seen.index}", str(seen.newest.size), state))
    for line in table(rows) if runs else ["no run was entered"]:
        output.line(line)
    output.result(
        {
            "origin": register.origin,
            "runs": [
                {
                    "number": number,
                    "run": run.hex(),
                    "begun": seen.begun,
                    "newest": seen.index,
                    "records": seen.newest.size,
                    "root": seen.newest.root.hex(),
                    "closed": seen.closed,
                }
                for number, (run, seen) in enumerate(runs.items(), 1)
            ],
        }
    )
    return 0


def _check(arguments: argparse.Namespace, output: Output) -> int:
    from zk_autograd.register.checking import check, check_published

    with _opened(arguments) as register:
        size = check(register)
        anchored, published = _anchored(register), check_published(register)
    output.line(f"{register.folder}: all {size} entries are as they were entered, under one signed checkpoint")
    if anchored is not None:
        output.line(f"the anchor file agrees: its newest checkpoint covers {anchored}")
    if published is not None:
        output.line(f"what is published agrees, as far as it goes: its checkpoint covers {published}")
    output.result({"folder": str(register.folder), "size": size, "anchored": anchored, "published": published})
    return 0


def _publish(arguments: argparse.Namespace, output: Output) -> int:
    from zk_autograd.register.publishing import publish
    from zk_autograd.register.register import PUBLIC

    with _opened(arguments) as register:
        out: Path = arguments.out or register.folder / PUBLIC
        head = publish(register, out).head
    output.line(f"{out}: {head.size} entries of {head.origin}, for any web server")
    output.result({"folder": str(out), "origin": head.origin, "size": head.size, "root": head.root.hex()})
    return 0


def _recover(arguments: argparse.Namespace, output: Output) -> int:
    from zk_autograd.cli.register_sources import source_of, sources_beside, write_evidence
    from zk_autograd.register.recovery import ForkedRegister, combine, restore

    signers, folder = _place(arguments)
    keys = [signer.public_key for signer in signers]
    sources = [source_of(text, keys) for text in arguments.sources]
    try:
        found = combine([*sources, *sources_beside(folder, keys)], keys)
    except ForkedRegister as error:
        written = write_evidence(folder, error, keys)
        proof = "nobody can prove it from what was found" if written is None else f"the evidence is {written}"
        raise RunError(f"{error}; {proof}") from error
    said = restore(folder, found, keys)
    size = found.newest.head.size
    output.line(f"{folder}: the register has {size} entries again; {said}")
    output.note(
        f"the newest signed checkpoint that was found covers {size} entries. If your key signed a newer one that is with somebody else, the next "
        "entry is a fork: ask every anchor and witness that you use before you go on"
    )
    output.result({"folder": str(folder), "origin": found.newest.head.origin, "size": size, "before": said})
    return 0


def _place(arguments: argparse.Namespace) -> "tuple[list[SeedSigner], Path]":
    """The key, and its register's folder."""
    from zk_autograd.credentials import keyfile
    from zk_autograd.register.place import place_of

    signers = keyfile.load(arguments.key_file or keyfile.default_path())
    folder: Path = arguments.register or place_of([signer.public_key for signer in signers])
    return signers, folder


def _opened(arguments: argparse.Namespace) -> "Register":
    """The register, to be read; it continues what its own anchor file holds."""
    from zk_autograd.register.register import Register

    signers, folder = _place(arguments)
    keys = [signer.public_key for signer in signers]
    register = Register.read(folder, keys)
    try:
        from zk_autograd.cli.register_sources import require_continued

        require_continued(register, keys)
    except BaseException:
        register.close()
        raise
    return register


def _anchored(register: "Register") -> int | None:
    """How many entries the newest checkpoint in the anchor file covers."""
    from zk_autograd.cli.register_sources import kept_beside
    from zk_autograd.core.anchors import SignedCheckpoint

    return max((SignedCheckpoint.parse(kept.note).head.size for kept in kept_beside(register)), default=None)


_COMMANDS = {
    "begin": _begin,
    "show": _show,
    "list": _list,
    "check": _check,
    "publish": _publish,
    "recover": _recover,
}


def main(argv: Sequence[str] | None = None) -> int:
    """The command's exit status."""
    arguments = _parser().parse_args(argv)
    return run_command(lambda output: _COMMANDS[arguments.command](arguments, output), json_output=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
