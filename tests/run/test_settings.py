"""What is kept of the optimizer's settings after a step: of the newest step, of this run, whole and
small, or nothing."""

import stat
from pathlib import Path

import pytest

from tests.run.trainer import SIGNER, FailingFiles, first_weights, hashed_backend, make_header, train
from zk_autograd.core.errors import RunError, StorageError
from zk_autograd.run.files import Files
from zk_autograd.run.layout import Layout
from zk_autograd.run.private_file import encode
from zk_autograd.run.settings import keep, kept
from zk_autograd.run.writer import RunWriter

RUN = bytes(range(32))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    layout.private.mkdir()
    return layout


@pytest.mark.parametrize("durable", [True, False])
def test_what_was_kept_is_that_of_its_step_alone(durable: bool, layout: Layout) -> None:
    synced: list[int] = []
    files = Files(fsync=synced.append)
    assert kept(layout, RUN, 3) is None
    keep(layout, RUN, 3, b"longer ones", files, durable=durable)
    keep(layout, RUN, 3, b"settings", files, durable=durable)
    assert kept(layout, RUN, 3) == b"settings"
    assert kept(layout, RUN, 2) is None
    assert kept(layout, RUN, 4) is None
    assert len(synced) == (4 if durable else 0)
    assert [f.name for f in layout.private.iterdir()] == ["settings"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "its digest doesn't match"),
        (bytes(64 * 2**20 + 1), "is too large"),
        (encode("settings", bytes(32), {"step": 3}, {"settings": b"x"}), "it belongs to another run"),
        (encode("step", RUN, {"step": 3}, {"settings": b"x"}), "the file.kind"),
        (encode("settings", RUN, {"step": -1}, {"settings": b"x"}), "the file.step"),
        (encode("settings", RUN, {"step": 3, "more": 1}, {"settings": b"x"}), "unknown fields"),
        (encode("settings", RUN, {"step": 3}, {}), "'settings'"),
    ],
    ids=["empty", "large", "run", "kind", "step", "more", "nothing"],
)
def test_what_nobody_kept_is_refused(data: bytes, reason: str, layout: Layout) -> None:
    layout.settings.write_bytes(data)
    with pytest.raises(
        RunError,
        match=r"settings is torn, altered, of another run or can't be read, so what the optimizer's settings became",
    ) as caught:
        kept(layout, RUN, 3)
    assert reason in str(caught.value.__cause__)


def test_writer_keeps_settings_with_each_step_and_after_it(tmp_path: Path) -> None:
    backend = hashed_backend()
    writer = RunWriter.create(tmp_path / "run", make_header(backend), backend, [SIGNER], first_weights())
    assert (writer.settings, writer.later_settings()) == (b"", None)
    train(writer, 2)
    writer.keep_settings(b"later", durable=False)
    assert (writer.settings, writer.later_settings()) == (b"", b"later")
    writer.abandon()
    writer.keep_settings(b"too late", durable=True)
    assert writer.later_settings() == b"later"


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_settings_of_the_last_step_come_back(steps: int, tmp_path: Path) -> None:
    """In the middle of a segment, and where one has just been sealed."""
    backend = hashed_backend()
    writer = RunWriter.create(tmp_path / "run", make_header(backend), backend, [SIGNER], first_weights())
    for t in range(1, steps + 1):
        writer.append(first_weights() * 0 + t, settings=b"of step %d" % t)
    writer.abandon()
    writer = RunWriter.resume(tmp_path / "run", lambda _: hashed_backend(), [SIGNER])
    assert (writer.step, writer.settings, writer.later_settings()) == (steps, b"of step %d" % steps, None)
    writer.abandon()


def test_settings_that_can_not_be_written_leave_the_writer_going(tmp_path: Path) -> None:
    backend = hashed_backend()
    files = FailingFiles(tmp_path / "run", "write private/settings #0", "lost")
    writer = RunWriter.create(tmp_path / "run", make_header(backend), backend, [SIGNER], first_weights(), files=files)
    train(writer, 1)
    with pytest.raises(RunError, match="was lost"):
        writer.keep_settings(b"x", durable=True)
    train(writer, 3)
    writer.close()


def test_settings_are_the_owners_alone_and_no_link_is_followed(layout: Layout, tmp_path: Path) -> None:
    keep(layout, RUN, 1, b"x", Files(), durable=False)
    assert stat.S_IMODE(layout.settings.stat().st_mode) == 0o600
    layout.settings.unlink()
    target = tmp_path / "target"
    target.write_bytes(b"another's")
    layout.settings.symlink_to(target)
    with pytest.raises(StorageError, match="settings could not be written"):
        keep(layout, RUN, 1, b"x", Files(), durable=False)
    assert target.read_bytes() == b"another's"
