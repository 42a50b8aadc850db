"""Runs in a register, and a stranger's look at what shows it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.run.trainer import SIGNER, FaultyProver, TracedFiles, audit, first_weights, make_header, train
from zk_autograd.anchor.file.publish import FileAnchor
from zk_autograd.core.anchors import Receipt
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.records import Header
from zk_autograd.core.register import Entry, Kind, View, origin_of
from zk_autograd.register.register import Register
from zk_autograd.run.anchoring import FILE
from zk_autograd.run.registering import Registration
from zk_autograd.run.writer import RunWriter

ORIGIN = origin_of([SIGNER.public_key])
STEPS = 3


def begun(folder: Path, **options: Any) -> Registration:
    """A new register, and an entry at every record."""
    Register.begin(folder, [SIGNER]).close()
    return Registration(folder, **({"every": 1} | options))


def header(run: int = 0) -> Header:
    return replace(make_header(FaultyProver()), register=ORIGIN, run=bytes([run] * 16))


def create(path: Path, registration: Registration | None, run: int = 0, **options: Any) -> RunWriter:
    options = {"files": TracedFiles(path)} | options
    return RunWriter.create(
        path, header(run), FaultyProver(), [SIGNER], first_weights(), registration=registration, **options
    )


def resume(path: Path, registration: Registration | None, **options: Any) -> RunWriter:
    options = {"files": TracedFiles(path)} | options
    return RunWriter.resume(path, lambda _: FaultyProver(), [SIGNER], registration=registration, **options)


def complete(writer: RunWriter, steps: int = STEPS) -> None:
    train(writer, steps)
    writer.close()


def entries(folder: Path) -> list[Entry]:
    with Register.read(folder) as register:
        return [Entry.parse(leaf) for leaf in register.entries(0, register.checkpoint.head.size)]


def views(run: Path) -> list[View]:
    """The run's views, each checked against the one before."""
    found = [View.parse(line) for line in (run / "register/views.jsonl").read_bytes().splitlines()]
    before: Checkpoint | None = None
    for view in found:
        before = view.verify(ORIGIN, before, [SIGNER.public_key])
    return found


def receipts(run: Path) -> list[Receipt]:
    return [Receipt.parse(line) for line in (run / "anchors/receipts.jsonl").read_bytes().splitlines()]


def look(run: Path, folder: Path) -> list[Entry]:
    """The run's entries, after a look at all that a stranger is given, and at the register."""
    log = audit(run, FaultyProver())
    leaves = [leaf_hash(leaf) for leaf in (run / "log/records.jsonl").read_bytes().splitlines()]
    shown = views(run)
    own = [entry for entry in entries(folder) if entry.run == log.header.run]
    assert own[0].kind is Kind.BEGIN
    assert [entry.kind for entry in own].count(Kind.BEGIN) == 1
    assert own[-1].kind is Kind.CLOSE
    assert own[-1].size == len(leaves)
    assert list(dict.fromkeys(view.entry for view in shown)) == own  # none lost, none doubled
    for entry in own:
        assert entry.root == root(leaves[: entry.size])
    heads = {(view.head.size, view.head.root) for view in shown}
    found = receipts(run)
    assert {(r.size, r.root) for r in found} <= heads
    assert len({r.encode() for r in found}) == len(found)
    filed = {r.size for r in found if r.kind == "file"}
    assert max(filed) == shown[-1].head.size
    kept = FileAnchor(folder / FILE).read(ORIGIN)
    assert [leaf for one in kept for leaf in one.entries] == [entry.encode() for entry in entries(folder)]
    return own
