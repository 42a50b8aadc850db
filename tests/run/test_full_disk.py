"""The disk fills up at each place where it can while a torch model is trained; there is space
again, and the run is as if nothing had been."""

import os
import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch")

from tests.run.killed_training import train
from tests.run.test_random_kill import judged, story
from zk_autograd.core.errors import RunError
from zk_autograd.run.inventory import look_at
from zk_autograd.run.layout import Layout
from zk_autograd.verify.outcome import Level

pytestmark = [pytest.mark.torch, pytest.mark.slow]

PAGE = 4096


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    train(run, "none")
    return run


def place(run: Path) -> str:
    """How far a stopped run had come."""
    layout = Layout(run)
    if not run.exists():
        return "nothing"
    if (layout.private / "close").exists():
        return "close"
    if list(layout.model.iterdir()):
        return "model"
    steps = look_at(run).steps
    return "steps" if steps < 16 else "second segment"


def test_wherever_the_disk_is_full_the_run_goes_on_when_there_is_space(small_disk: Path, undisturbed: Path) -> None:
    expected = story(undisturbed)
    ballast = small_disk / "ballast"
    stopped: list[str] = []
    pages = 0
    while True:  # a page more each time, until the whole run fits
        run = small_disk / "run"
        free = os.statvfs(small_disk).f_bavail
        ballast.write_bytes(bytes(PAGE * (free - pages)))
        try:
            train(run, "none")
        except RunError as error:
            assert "No space left on device; free some space" in str(error), (
                error
            )  # whatever it was that could not be written
            stopped.append(place(run))
        else:
            break
        ballast.unlink()
        train(run, "none")
        assert story(run) == expected, (pages, stopped)
        if pages % 8 == 0:
            judged(run, Level.L0)
        shutil.rmtree(run)
        pages += 1
    assert len(stopped) > 15
    assert {"nothing", "steps", "second segment", "model", "close"} <= set(stopped), stopped
    assert stopped == sorted(stopped, key=["nothing", "steps", "second segment", "model", "close"].index)
