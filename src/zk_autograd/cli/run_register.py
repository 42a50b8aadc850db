"""What `zk-run` says of a run's place in its trainer's register, and of the runs that the register
has beside those in a folder."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from zk_autograd.core.errors import ZkError
from zk_autograd.core.text import counted

if TYPE_CHECKING:
    from zk_autograd.core.keys import PublicKey
    from zk_autograd.core.register_runs import RunInRegister
    from zk_autograd.optim.registering import Registering
    from zk_autograd.run.inventory import RunStatus


def word(run: "RunStatus") -> str:
    """What the run's own views say of its register."""
    if run.header is None or not run.header.register:
        return "none" if run.header else "-"
    if run.entry is None:
        return "not shown"
    return {"begin": "begun", "checkpoint": "entered", "close": "closed"}[run.entry.entry.kind.value]


def elsewhere(runs: "Sequence[RunStatus]") -> "list[tuple[Path, bytes, RunInRegister]]":
    """The runs that the registers of these, and of the default key, have beside them, each with its
    register's folder. Registers that aren't here, or can't be read, are left out: `zk-register
    check` says why."""
    from zk_autograd.monitoring.entries import runs_in
    from zk_autograd.register.register import Register

    here = {run.header.run for run in runs if run.header}
    found: dict[bytes, tuple[Path, bytes, RunInRegister]] = {}
    for folder, keys in _registers(runs).items():
        with suppress(ZkError), Register.read(folder, keys) as register:
            seen, _ = runs_in(register.entries(0, register.checkpoint.head.size))
            found |= {run: (folder, run, one) for run, one in seen.items() if run not in here}
    return list(found.values())


def _registers(runs: "Sequence[RunStatus]") -> "dict[Path, list[PublicKey]]":
    """Where the registers lie that the runs are in, and the default key's, and whose each is."""
    from zk_autograd.core.keys import PublicKey, parse_keys
    from zk_autograd.credentials import keyfile
    from zk_autograd.register.place import place_of

    found: dict[Path, list[PublicKey]] = {}
    for run in runs:
        if run.header and run.header.register:
            with suppress(ZkError):
                keys = [PublicKey.parse(key) for key in run.header.keys]
                kept = _kept(run)
                found.setdefault((kept.folder if kept else None) or place_of(keys), keys)
    with suppress(ZkError, UnicodeDecodeError):
        if text := keyfile.read_public_half(keyfile.default_path()):
            own = list(parse_keys(text.decode()))
            found.setdefault(place_of(own), own)
    return found


def _kept(run: "RunStatus") -> "Registering | None":
    """What the private plan of the caller's own run says of its register; None for a stranger's,
    and if there is no plan."""
    from zk_autograd.train.own_run import own_registering

    try:
        return own_registering(run.path)
    except (ZkError, OSError):
        return None


def lines(run: "RunStatus") -> list[tuple[str, str]]:
    """The run's place in its register, and its anchors."""
    if run.header is None or not run.header.register:
        return [("register", "none")]
    if run.entry is None:
        return [("register", f"{run.header.register}: no entry is shown")]
    found = [
        (
            "register",
            f"{run.header.register}: {word(run)}, with {counted(run.entry.entry.size, 'record')} at entry {run.entry.index}",
        )
    ]
    for anchor, held in run.receipts:
        stands = "has that" if held > run.entry.index else f"has a checkpoint of {held} entries, before that"
        found.append(("anchor", f"{anchor}: {stands}"))
    if missing := pending(run):
        found.append(("pending", f"{', '.join(missing)}: zk-anchor publish {quote(str(run.path))} completes that"))
    return found


def pending(run: "RunStatus") -> list[str]:
    """The anchors of the caller's own run whose kind has no receipt for its newest entry, as people
    are shown them; of a file, what it holds itself counts, as the register's own has receipts of
    its kind."""
    from zk_autograd.anchor.kinds import shown

    if run.entry is None or run.trainer or (kept := _kept(run)) is None:
        return []
    held, index = dict(run.receipts), run.entry.index
    return [
        shown(spec)
        for spec in kept.specs
        if (_in_file(spec, run) if spec.startswith("file:") else held.get(spec.partition(":")[0], 0)) <= index
    ]


def _in_file(spec: str, run: "RunStatus") -> int:
    """The size of the newest of the register's checkpoints in an anchor file; 0 if it can't be
    read."""
    from zk_autograd.anchor.file.publish import FileAnchor
    from zk_autograd.core.anchors import SignedCheckpoint

    path = Path(spec.removeprefix("file:"))
    with suppress(ZkError, OSError):
        if run.header and path.is_file():
            kept = FileAnchor(path).read(run.header.register)
            return max((SignedCheckpoint.parse(one.note).head.size for one in kept), default=0)
    return 0
