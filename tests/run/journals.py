"""What the tests do to a run's journal: where its frames are, another one in its place, and how far
it has got."""

import time
from collections.abc import Sequence
from pathlib import Path
from subprocess import Popen

from zk_autograd.core.records import header_digest
from zk_autograd.run import frames
from zk_autograd.run.frames import Frame, Place
from zk_autograd.run.inventory import look_at
from zk_autograd.run.journal import Journal, Step
from zk_autograd.run.layout import Layout
from zk_autograd.run.recovery import read_header


def frames_of(run: Path, segment: int) -> list[int]:
    """Where the frames of a segment's journal begin, its start's first."""
    return [frame.offset for frame in _read(run, segment)]


def durable_before_last(run: Path, segment: int) -> int:
    """How many frames of a segment's journal were durable when its last one was begun."""
    return _read(run, segment)[-1].durable


def _read(run: Path, segment: int) -> Sequence[Frame]:
    layout = Layout(run)
    _, leaf = read_header(layout)
    path = layout.segments / str(segment) / "journal"
    with open(path, "rb") as file:
        return frames.read(file.fileno(), path, Place(header_digest(leaf), segment), 2**20, 2**40).frames


def rewrite(journal: Journal, segment: int, *steps: Step) -> None:
    """A journal of the segment with these steps, and with the start that it had."""
    start = journal.start(segment)
    (journal.path(segment) / "journal").unlink()
    journal.begin(start)
    for step in steps:
        journal.write_step(segment, step)


def wait_for_step(run: Path, step: int, process: Popen[str]) -> None:
    """Until the journal has the step. Fails if the process ends before."""
    deadline = time.monotonic() + 120
    while not Layout(run).header.exists() or look_at(run).steps < step:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)
