"""Anchoring a run that nobody trains any more: what shows that its folder, or the register, is not
the one that was left."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.run.registered import begun, complete, create, entries, header, look, receipts, resume, views
from tests.run.trainer import SIGNER, train
from zk_autograd.anchor.file.publish import FileAnchor
from zk_autograd.core.errors import RunError, UsageError
from zk_autograd.core.register import Entry, Kind, View
from zk_autograd.run import completing
from zk_autograd.run.files import Files
from zk_autograd.run.layout import Layout
from zk_autograd.run.registering import Registration, Views

VIEWS = "register/views.jsonl"


def finished(tmp_path: Path) -> tuple[Path, Registration]:
    registration = begun(tmp_path / "register")
    complete(create(tmp_path / "run", registration))
    return tmp_path / "run", registration


def anchored(run: Path, registration: Registration) -> completing.Completed:
    return completing.complete(run, registration.folder, [FileAnchor(run.parent / "elsewhere")])


def test_a_run_is_given_another_anchor(tmp_path: Path) -> None:
    run, registration = finished(tmp_path)
    found = anchored(run, registration)
    assert [(state.records, state.size, error) for state, error in found.anchors] == [(5, 5, None)]
    assert len(receipts(run)) == 6
    look(run, registration.folder)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (1, "was stopped before its newest entry was shown: resume it"),
        (2, "lacks lines that were written: restore it from a copy"),
        (5, "lacks lines that were written: restore it from a copy"),
    ],
)
def test_a_run_whose_lines_are_missing_is_anchored_nowhere(tmp_path: Path, lines: int, why: str) -> None:
    """A receipt would be for a checkpoint that none of its lines shows."""
    run, registration = finished(tmp_path)
    whole = (run / VIEWS).read_bytes().splitlines(keepends=True)
    (run / VIEWS).write_bytes(b"".join(whole[:-lines]))
    before = (run / "anchors/receipts.jsonl").read_bytes()
    with pytest.raises(RunError, match=why):
        anchored(run, registration)
    assert (run / VIEWS).read_bytes() == b"".join(whole[:-lines])
    assert (run / "anchors/receipts.jsonl").read_bytes() == before
    assert not (tmp_path / "elsewhere").exists()


def beyond(view: View) -> View:
    return replace(view, entry=replace(view.entry, size=view.entry.size + 7))


@pytest.mark.parametrize("use", [anchored, resume])
def test_a_line_that_shows_more_than_the_register_has_is_refused(
    tmp_path: Path, use: Callable[[Path, Registration], object]
) -> None:
    registration = begun(tmp_path / "register")
    run, writer = tmp_path / "run", create(tmp_path / "run", registration)
    train(writer, 2)
    writer.drain()
    writer.abandon()
    whole = (run / VIEWS).read_bytes().splitlines(keepends=True)
    (run / VIEWS).write_bytes(b"".join([*whole[:-1], beyond(views(run)[-1]).encode() + b"\n"]))
    before = entries(registration.folder)
    with pytest.raises(RunError, match=r"shows an entry of \d+ records that the register in .* doesn't have"):
        use(run, registration)
    assert entries(registration.folder) == before


def test_views_of_another_register_are_not_written(tmp_path: Path) -> None:
    """Its lines would be of a register that the header doesn't name, and show nothing."""
    registration = begun(tmp_path / "register")
    (tmp_path / "run").mkdir()
    other = replace(header(), register="zk-autograd/register/" + "0" * 64)
    kept = Views(Layout(tmp_path / "run"), other, registration.folder, [SIGNER], Files())
    with pytest.raises(UsageError, match=r"the register in .* is zk-autograd/register/\w+, and this run is in .*/0000"):
        kept.enter(Entry(Kind.BEGIN, other.run, 1, bytes(32)))
    assert entries(registration.folder) == []
