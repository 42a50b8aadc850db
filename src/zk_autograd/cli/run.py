"""`zk-run`: the runs on this disk, and what to do with them."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from zk_autograd.cli import open_run, replay_run, run_register
from zk_autograd.cli.output import Output, Parser, run_command
from zk_autograd.core.errors import ExitStatus, UsageError

if TYPE_CHECKING:
    from zk_autograd.run.inventory import RunStatus

RUNS = Path("runs")
_KEY_FILE = "an EC private key (PEM), as zk-key new-model-key makes it"
_TIME = "%Y-%m-%dT%H:%M:%SZ"


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="zk-run",
        description="Lists runs, shows where one stands, packs its evidence for an auditor, opens parts of it to one, and deletes what only its "
        "trainer has.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        command.add_argument("--json", action="store_true", help="print one JSON object")
        return command

    found = add("list", "the runs in a folder")
    found.add_argument("folder", type=Path, nargs="?", metavar="DIR", help="default: runs")
    status = add("status", "where a run stands, and what to do next")
    status.add_argument("run", type=Path, metavar="RUN")
    bundle = add("bundle", "pack everything that an auditor needs, and nothing private, into one file")
    bundle.add_argument("run", type=Path, metavar="RUN")
    bundle.add_argument(
        "--out", type=Path, metavar="FILE", help="default: the run's name with .tar, in the current folder"
    )
    sign = add("sign", "sign a run's published model, for model_signing and for zk-verify --model-key")
    sign.add_argument("run", type=Path, metavar="RUN")
    sign.add_argument(
        "--key-file", type=Path, metavar="FILE", help=f"{_KEY_FILE} (default: model.key in your configuration folder)"
    )
    sign.add_argument("--out", type=Path, metavar="FILE", help="default: model.sig in the run")
    provenance = add("provenance", "say what a published model was made of, as a SLSA provenance statement")
    provenance.add_argument("run", type=Path, metavar="RUN")
    provenance.add_argument("--key-file", type=Path, metavar="FILE", help=f"sign it, in a DSSE envelope: {_KEY_FILE}")
    provenance.add_argument("--out", type=Path, metavar="FILE", help="default: standard output")
    open_run.arguments(add("open", open_run.HELP))
    replay_run.arguments(add("replay", replay_run.HELP))
    forget = add("forget", "delete a run's private gradients, states and salts; its evidence stays")
    forget.add_argument("run", type=Path, metavar="RUN")
    forget.add_argument("--yes", action="store_true", help="do not ask")
    forget.add_argument(
        "--force", action="store_true", help="even if the run is not finished: it can never be resumed then"
    )
    cache = add("cache", "list or clear the cache: EZKL's keys and SRS files")
    cache.add_argument("action", nargs="?", choices=("list", "clear"), default="list", help="clear deletes the keys")
    cache.add_argument("--srs", action="store_true", help="with clear: delete the SRS files too")
    return parser


def _list(arguments: argparse.Namespace, output: Output) -> int:
    from zk_autograd.core.text import counted
    from zk_autograd.run.files import exists
    from zk_autograd.run.inventory import Condition, find_runs, look_at
    from zk_autograd.train.names import shown

    folder = arguments.folder or RUNS
    paths = [] if arguments.folder is None and not exists(folder) else find_runs(folder)
    runs = []
    with output.progress() as advance:
        for i, path in enumerate(paths):
            runs.append(look_at(path))
            advance("runs", i + 1, len(paths))
    rows: list[tuple[str, ...]] = [
        ("run", "id", "state", "steps", "prover", "root@size", "register", "on disk", "private", "last change")
    ]
    for run in runs:
        rows.append(
            (
                shown(run.path.name),
                run.header.run.hex()[:8] if run.header else "-",
                run.condition.value + (", in use" if run.trainer else ""),
                str(run.steps),
                run.header.prover.backend if run.header else "-",
                f"{run.head.root.hex()[:8]}...@{run.head.size}" if run.head else "-",
                run_register.word(run),
                _sized(run.public_bytes + run.private_bytes),
                run.secrets.value,
                at(run.changed),
            )
        )
    for line in table(rows) if runs else [f"no runs in {folder}"]:
        output.line(line)
    elsewhere = run_register.elsewhere(runs)
    for register, run_id, seen in elsewhere:
        state = "closed" if seen.closed else "never closed"
        output.line(
            f"not here  {run_id.hex()[:8]}  {state}, with {counted(seen.newest.size, 'record')} at entry {seen.index} of {register}"
        )
    closed = [run for run in runs if run.condition is Condition.UNREADABLE]
    for run in closed:
        output.note(f"{run.path} can't be read here: {run.reason}")
    output.result(
        {
            "folder": str(folder),
            "runs": [_to_json(run) for run in runs],
            "elsewhere": [
                {
                    "register": str(register),
                    "id": run_id.hex(),
                    "closed": seen.closed,
                    "records": seen.newest.size,
                    "entry": seen.index,
                }
                for register, run_id, seen in elsewhere
            ],
        }
    )
    return ExitStatus.UNJUDGED if closed else ExitStatus.DONE


def _status(arguments: argparse.Namespace, output: Output) -> int:
    from zk_autograd.core.text import counted
    from zk_autograd.run.inventory import Condition, Secrets, look_at

    run = look_at(arguments.run)
    command = _next(run)
    recorded = f"{run.recorded} in the log, {run.proved} of them proved" if run.recorded else "none in the log"
    lines = [
        ("run", f"{run.path}" + (f", id {run.header.run.hex()}" if run.header else "")),
        ("state", run.condition.value + (f": {run.reason}" if run.reason else "")),
    ]
    if run.header:
        lines.append(
            (
                "rule",
                f"{run.header.rule.value}, {counted(run.header.size, 'parameter')}, prover {run.header.prover.backend}",
            )
        )
    if run.head:
        lines.append(("root", f"{run.head.root.hex()}@{run.head.size}"))
    lines.append(("steps", f"{run.steps}: {recorded}; {counted(run.waiting, 'segment')} to be recorded"))
    private = {
        Secrets.KEPT: f"{_sized(run.private_bytes)} of gradients, states and salts are kept",
        Secrets.FORGOTTEN: f"was forgotten on {run.forgotten}",
        Secrets.ABSENT: "none: a copy without its private folder",
        Secrets.UNREADABLE: f"not readable: {run.closed}",
    }
    if run.header:
        lines += run_register.lines(run)
    lines += [("evidence", _sized(run.public_bytes)), ("private", private[run.secrets]), ("changed", at(run.changed))]
    if run.trainer:
        lines.append(("in use", f"by process {run.trainer}"))
    resumable = run.condition is Condition.UNFINISHED and run.secrets is Secrets.KEPT and run.trainer is None
    if resumable:
        lines.append(("a resume would", ", then ".join(run.repairs)))
    lines.append(("next", command))
    for name, text in lines:
        output.line(f"{name:<15}{text}")
    output.result(
        _to_json(run)
        | {"resumable": resumable, "resume_would": list(run.repairs) if resumable else [], "next": command}
    )
    return ExitStatus.UNJUDGED if run.condition is Condition.UNREADABLE else ExitStatus.DONE


def _next(run: "RunStatus") -> str:
    """The command to type next, or what to wait for."""
    from zk_autograd.run.inventory import Condition, Secrets
    from zk_autograd.run.resumption import way_to_resume

    place = quote(str(run.path))
    if run.trainer:
        return f"wait for process {run.trainer}"
    if run.condition is Condition.DAMAGED:
        return f"restore {place} from a copy"
    if run.condition is Condition.UNREADABLE:
        return f"zk-run status {place}, as its owner"
    if run.condition is Condition.FINISHED or run.secrets is not Secrets.KEPT:
        return f"zk-run bundle {place}"
    return way_to_resume(run.path)


def _bundle(arguments: argparse.Namespace, output: Output) -> int:
    from zk_autograd.run.files import Files
    from zk_autograd.run.inventory import is_run
    from zk_autograd.run.packing import pack

    run: Path = arguments.run
    if not is_run(run):
        raise UsageError(f"there is no run at {run}: name the folder of a run")
    out: Path = arguments.out or Path(f"{run.resolve().name}.tar")
    with output.progress() as advance:
        packed = pack(run, out, Files(), advance)
    if packed.left_out:
        output.note(f"left out, since no record names them: {', '.join(packed.left_out)}")
    if not packed.finished:
        output.note(f"{run} is unfinished: its log has no close record, and zk-verify will report that")
    head = f"{packed.root.hex()}@{packed.records}"
    command = f"zk-verify {head} --from {quote(str(out))} --key KEY"
    output.line(f"{out}: {packed.files} files, {_sized(packed.size)}, SHA-256 {packed.digest.hex()}")
    output.line(command)
    output.result(
        {
            "bundle": str(out),
            "files": packed.files,
            "bytes": packed.size,
            "sha256": packed.digest.hex(),
            "root": head,
            "finished": packed.finished,
            "left_out": list(packed.left_out),
            "verify": command,
        }
    )
    return 0


def _sign(arguments: argparse.Namespace, output: Output) -> int:
    from zk_autograd.attest.model_signing import model_signature
    from zk_autograd.attest.published import published
    from zk_autograd.core.model_signing import root_digest
    from zk_autograd.credentials import model_key
    from zk_autograd.evidence.layout import MODEL, MODEL_SIGNATURE
    from zk_autograd.run.files import exists

    run: Path = arguments.run
    if arguments.out is None and not run.is_dir():
        raise UsageError(f"{run} is not the folder of a run: name one, or say where the signature goes with --out FILE")
    out: Path = arguments.out or run / MODEL_SIGNATURE
    key_file = arguments.key_file or model_key.default_path()
    signer = model_key.load(key_file)
    model = published(run)
    _write_new(out, model_signature(model, signer))
    root = root_digest(model.model).hex()
    output.line(f"{out}: signature over {len(model.model)} files, root digest {root}")
    public_half = model_key.public_path(key_file)
    if not exists(public_half):
        output.note(f"the public half, for whoever loads the model: openssl pkey -in {quote(str(key_file))} -pubout")
    public = quote(str(public_half)) if exists(public_half) else "PUBLIC_KEY"
    command = f"model_signing verify key {quote(str(run / MODEL))} --signature {quote(str(out))} --public_key {public}"
    output.line(command)
    output.result(
        {
            "signature": str(out),
            "root_digest": root,
            "key_fingerprint": signer.public_key.fingerprint,
            "verify": command,
        }
    )
    return 0


def _provenance(arguments: argparse.Namespace, output: Output) -> int:
    import json

    from zk_autograd.attest.envelope import signed
    from zk_autograd.attest.provenance import statement
    from zk_autograd.attest.published import published
    from zk_autograd.credentials import model_key

    signer = None if arguments.key_file is None else model_key.load(arguments.key_file)
    said = statement(published(arguments.run))
    made = said if signer is None else signed(said, signer).to_json()
    text = json.dumps(made, indent=2, ensure_ascii=True)
    if arguments.out is None:
        for line in text.splitlines():
            output.line(line)
        output.result(made)
        return 0
    _write_new(arguments.out, text.encode() + b"\n")
    output.line(
        f"{arguments.out}: {'unsigned' if signer is None else 'signed'} provenance; what it says is the trainer's word"
    )
    output.result({"provenance": str(arguments.out), "signed": signer is not None})
    return 0


def _write_new(path: Path, data: bytes) -> None:
    """RunError if something is there."""
    from zk_autograd.core.errors import RunError
    from zk_autograd.run.files import Files, exists

    if exists(path):
        raise RunError(f"{path} already exists; choose another --out, or remove it")
    Files().write_atomic(path, data)


def _forget(arguments: argparse.Namespace, output: Output) -> int:
    from zk_autograd.run.files import Files
    from zk_autograd.run.forgetting import forget, plan

    run: Path = arguments.run
    found = plan(run)
    if found.begun is None and not arguments.yes:
        if arguments.json or sys.stdin is None or not sys.stdin.isatty():
            raise UsageError(f"forgetting {run} can't be undone: confirm it with --yes")
        output.note(
            f"{run} ({found.condition.value}): {_sized(found.bytes)} of gradients, states and salts will be deleted. The run can be "
            "verified afterwards; it can't be resumed, and its commitments can never be opened: no auditor can be shown its steps (zk-run open)."
        )
        output.note("Type yes to continue:")
        if sys.stdin.readline().strip() != "yes":
            output.line("nothing was deleted")
            output.result({"run": str(run), "forgotten": None, "bytes": 0})
            return 0
    now = time.strftime(_TIME, time.gmtime())
    with output.progress() as advance:
        done = forget(run, Files(), now=now, unfinished=arguments.force, advance=advance)
    if done.begun is None:
        text = f"{run} is forgotten: {_sized(done.bytes)} were deleted, but not overwritten; a disk may keep traces of them"
    elif done.remains:
        text = f"{run} was forgotten on {done.begun}; what that had left over is deleted now"
    else:
        text = f"{run} was forgotten on {done.begun}: nothing is left to delete"
    output.line(text)
    output.result({"run": str(run), "forgotten": done.begun or now, "bytes": done.bytes if done.remains else 0})
    return 0


def _cache(arguments: argparse.Namespace, output: Output) -> int:
    from zk_autograd.prove.ezkl.cache import Kind, clear, holdings
    from zk_autograd.prove.ezkl.keys import Cache

    cache = Cache()
    found = holdings(cache)
    if arguments.action == "list":
        if arguments.srs:
            raise UsageError("--srs goes with `zk-run cache clear`")
        shown = found
    else:
        shown = [holding for holding in found if arguments.srs or holding.kind is not Kind.SRS]
        with output.progress() as advance:
            clear(shown, advance)
    rows = [(h.kind.value, h.name, _sized(h.bytes), at(h.changed)) for h in shown]
    for line in table([("kind", "name", "size", "last change"), *rows]) if rows else []:
        output.line(line)
    total = sum(holding.bytes for holding in shown)
    output.line(f"{cache.folder}: {_sized(total)}{' deleted' if arguments.action == 'clear' else ''}")
    listed = [{"kind": h.kind.value, "name": h.name, "bytes": h.bytes, "changed": at(h.changed)} for h in shown]
    output.result(
        {"folder": str(cache.folder), "deleted": arguments.action == "clear", "bytes": total, "holdings": listed}
    )
    return 0


def _to_json(run: "RunStatus") -> dict[str, Any]:
    return {
        "run": str(run.path),
        "id": run.header.run.hex() if run.header else None,
        "state": run.condition.value,
        "reason": run.reason or None,
        "rule": run.header.rule.value if run.header else None,
        "prover": run.header.prover.backend if run.header else None,
        "parameters": run.header.size if run.header else None,
        "root": f"{run.head.root.hex()}@{run.head.size}" if run.head else None,
        "steps": run.steps,
        "steps_recorded": run.recorded,
        "steps_proved": run.proved,
        "segments_waiting": run.waiting,
        "private": run.secrets.value,
        "private_closed": run.closed or None,
        "forgotten": run.forgotten,
        "public_bytes": run.public_bytes,
        "private_bytes": run.private_bytes,
        "changed": at(run.changed),
        "trainer": run.trainer,
        "register": (run.header.register or None) if run.header else None,
        "entry": None
        if run.entry is None
        else {
            "kind": run.entry.entry.kind.value,
            "index": run.entry.index,
            "records": run.entry.entry.size,
            "size": run.entry.head.size,
        },
        "receipts": dict(run.receipts),
        "pending": run_register.pending(run),
    }


def table(rows: list[tuple[str, ...]]) -> list[str]:
    """The rows in columns, a line each."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _sized(size: int) -> str:
    if size < 1000:
        return f"{size} B"
    value, units = float(size), iter(("kB", "MB", "GB", "TB"))
    unit = ""
    while value >= 999.5 and unit != "TB":
        value, unit = value / 1000, next(units)
    return f"{value:.3g} {unit}"


def at(seconds: float) -> str:
    """As ISO 8601 in UTC; "-" for what no calendar has: whoever made a copy chose its times."""
    try:
        return time.strftime(_TIME, time.gmtime(seconds))
    except (ValueError, OverflowError, OSError):
        return "-"


_COMMANDS = {
    "list": _list,
    "status": _status,
    "bundle": _bundle,
    "sign": _sign,
    "provenance": _provenance,
    "open": open_run.run,
    "replay": replay_run.run,
    "forget": _forget,
    "cache": _cache,
}


def main(argv: Sequence[str] | None = None) -> int:
    """The command's exit status."""
    arguments = _parser().parse_args(argv)
    return run_command(lambda output: _COMMANDS[arguments.command](arguments, output), json_output=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
