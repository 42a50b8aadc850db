"""How far the forecasts of `zk-train --dry-run` are from the runs that follow: both commands as a
user types them, a process each, in a folder that is removed.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, Goal

GOAL = Goal(0.3, 0.15, at_most=True)
WIDE = """
from torch import nn

def wide(inputs, classes):
    return nn.Sequential(nn.Linear(inputs, 256), nn.ReLU(), nn.Linear(256, classes))
"""
"""An MLP of about 19,000 parameters on digits."""

CASES = {
    "default": (),
    "wide_mlp": ("--model", "nets:wide", "--steps", "60"),
    "long": ("--steps", "400"),
    "none": ("--prover", "none", "--steps", "1000"),
}
"""Flags by name."""


def figures() -> Iterator[Figure]:
    """The error of each forecast: the difference over the real time."""
    for name, flags in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            (place / "nets.py").write_text(WIDE)
            forecast, real = _zk_train(place, *flags, "--dry-run"), _zk_train(place, *flags, "--out", "run")
            expected, taken = forecast["estimated_total_seconds"], real["seconds"]
            what = f"of the {taken:.3g} s that it took: {expected:.3g} s were forecast"
            yield Figure(f"forecast.{name}.error", round(abs(expected - taken) / taken, 3), what, goal=GOAL)
            public, private = forecast["estimated_public_bytes"], forecast["estimated_private_bytes"]
            error = abs(public + private - real["run_bytes"]) / real["run_bytes"]
            what = f"of {real['run_bytes']:,} bytes on disk: {public + private:,} were forecast"
            yield Figure(f"forecast.{name}.disk_error", round(error, 3), what)


def _zk_train(place: Path, *flags: str) -> Any:
    environment = {**os.environ, "HOME": str(place), "XDG_STATE_HOME": str(place / "state")}
    environment["PYTHONPATH"] = os.pathsep.join((str(place), *filter(None, [os.environ.get("PYTHONPATH")])))
    command = [sys.executable, "-m", "zk_autograd.cli.train", *flags, "--json"]
    done = subprocess.run(command, cwd=place, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)
