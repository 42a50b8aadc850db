"""What the tests of zk-train share."""

import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from zk_autograd.core.errors import ProverError
from zk_autograd.prove.hashed.backend import HashedBackend

SMALL = ("--model", "logistic", "--data", "breast-cancer")
Train = Callable[..., tuple[int, str, str]]
Start = Callable[..., subprocess.Popen[str]]

TRAINER = [
    pytest.mark.torch,
    pytest.mark.skipif(
        find_spec("torch") is None or find_spec("sklearn") is None, reason="the [train] extra is not installed"
    ),
    pytest.mark.usefixtures("trainer_home"),
]
"""Marks of a file of tests that train."""


def published(run: str | Path) -> bytes:
    """The final integer weights."""
    return (Path(run) / "model" / "weights.i64.safetensors").read_bytes()


class Broken(HashedBackend):
    """Proves nothing."""

    def prove(self, *arguments: Any) -> Any:
        raise ProverError("no memory")
