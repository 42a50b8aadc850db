"""`zk-train`: the picture of a training's course, in the run's private folder."""

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.cli.training import SMALL, TRAINER, Broken, Train
from zk_autograd.cli import train as command
from zk_autograd.cli.output import run_command
from zk_autograd.cli.run import main as zk_run
from zk_autograd.evidence.layout import is_public
from zk_autograd.run.layout import Layout

pytestmark = TRAINER
SHORT = (*SMALL, "--prover", "none", "--steps", "20", "--out", "run")
PICTURE = Path("run/private/timeline.svg")


def test_a_training_ends_with_its_picture(zk_train: Train) -> None:
    status, out, _ = zk_train(*SHORT)
    assert status == 0
    assert f"timeline  {PICTURE}" in out.splitlines()
    text = PICTURE.read_text(encoding="utf-8")
    ET.fromstring(text)
    assert "20 steps in 2 segments" in text
    assert "nothing proved" in text
    assert PICTURE.stat().st_mode & 0o777 == 0o600
    assert not is_public("private/timeline.svg")
    assert zk_run(["forget", "run", "--yes"]) == 0
    assert not PICTURE.exists()


def test_a_resumed_training_shows_its_own_session(zk_train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = command.parser().parse_args(SHORT)
    assert run_command(lambda output: command.train(arguments, output, Broken(31, 16)), json_output=False) == 1
    assert not PICTURE.exists()  # the run isn't at its end
    capsys.readouterr()
    status, out, _ = zk_train("--resume", "run", "--json")
    assert status == 0
    assert json.loads(out)["timeline"] == str(PICTURE)
    assert "in 2 segments" not in (text := PICTURE.read_text(encoding="utf-8"))
    # The first session ended when it was told that its proof had failed: at step 16 or soon after.
    assert re.search(r"\(from step (1[7-9]|20)\)|No step was taken", text)


def test_a_run_is_whole_though_its_picture_cannot_be_written(
    zk_train: Train, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Layout, "timeline", property(lambda self: self.private / "missing" / "timeline.svg"))
    status, out, err = zk_train(*SHORT, "--json")
    assert status == 0
    assert json.loads(out)["timeline"] is None
    assert "there is no timeline of this training, which is complete without it: " in err
    assert json.loads(out)["root"].endswith("@5")
