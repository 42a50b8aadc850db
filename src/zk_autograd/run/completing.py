"""Anchoring a run that nobody trains any more: what its anchors lacked at its end, or anchors that
it is given afterwards.

No key is needed: the register's newest checkpoint is signed already, and the run's entries are in
it. Lines and receipts are written as in a training (run.anchoring).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from zk_autograd.anchor.file.publish import FileAnchor
from zk_autograd.core.anchors import Anchor
from zk_autograd.core.errors import AnchorError, AnchorForked, RunError, UsageError, VerificationError
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.core.records import Header
from zk_autograd.core.register import View
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.evidence.layout import LOG, MAX_LOG, RECORDS
from zk_autograd.run.anchoring import FILE, AnchorState, Receipts, kept_fork, publish
from zk_autograd.run.asking import introduce
from zk_autograd.run.files import Files, exists, of_the_run
from zk_autograd.run.layout import Layout
from zk_autograd.run.lock import RunLock
from zk_autograd.run.log import whole_leaves
from zk_autograd.run.recovery import require_held
from zk_autograd.run.registering import Views


@dataclass(frozen=True, slots=True)
class Completed:
    """`view`: the run's newest, whose checkpoint the register's own file holds, too; `anchors`: how
    each one stands, and what it raised."""

    view: View
    anchors: tuple[tuple[AnchorState, AnchorError | None], ...]


def header_of(run: Path) -> Header:
    """The header of the run in a folder, which names a register. UsageError if it names none;
    RunError if the log can't be read."""
    header, _ = _read(run)
    if not header.register:
        raise UsageError(f"{run} is in no register: its header says so, and there is nothing to be anchored")
    return header


def complete(run: Path, folder: Path, anchors: Sequence[Anchor], files: Files | None = None) -> Completed:
    """Has the register in `folder` anchored for the run. RunError if the run isn't as the register
    has it, or a trainer is at work; UsageError if there is no such register."""
    header_of(run)
    layout, files = Layout(run), files or Files()
    with RunLock(layout.lock) if exists(layout.lock) else nullcontext():
        header, leaves = _read(run)
        views, receipts = Views(layout, header, folder, (), files), Receipts(layout, files, reserved=False)
        views.open()
        newest, last = views.newest, views.last
        require_held(leaves, None if newest is None else (newest.size, newest.root), layout)
        views.require_whole()
        if last is None or last.entry != newest:
            raise RunError(f"{run} was stopped before its newest entry was shown: resume it, which makes up for that")
        receipts.open()
        publish(FileAnchor(folder / FILE), views, receipts)
        introduce(anchors, [PublicKey.parse(key) for key in header.keys], header.register)
        states = tuple(_anchored(anchor, views, receipts, folder, newest.size) for anchor in anchors)
        assert views.last is not None
        return Completed(views.last, states)


def _anchored(
    anchor: Anchor, views: Views, receipts: Receipts, folder: Path, records: int
) -> tuple[AnchorState, AnchorError | None]:
    try:
        view = publish(anchor, views, receipts)
    except AnchorError as error:
        forked = isinstance(error, AnchorForked)
        trouble = f"{error}. {kept_fork(folder, error.note)}" if isinstance(error, AnchorForked) else str(error)
        return AnchorState(anchor.spec, 0, 0, True, trouble, forked), error
    return AnchorState(anchor.spec, records, view.head.size, False, "", False), None


def _read(run: Path) -> tuple[Header, list[bytes]]:
    """The header of the run's log, and its records."""
    with _of_the_run(run), RunFolder(run) as reader, reader.opened(f"{LOG}/{RECORDS}", MAX_LOG) as file:
        leaves, _ = whole_leaves(file)
        if not leaves:
            raise VerificationError("its log has no records")
        return parse_log(leaves).header, leaves


@contextmanager
def _of_the_run(run: Path) -> Iterator[None]:
    try:
        yield
    except VerificationError as error:
        raise of_the_run(error, f"{run} can't be anchored: {error}") from error
