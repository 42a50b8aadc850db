"""Nothing here runs without torch and scikit-learn: says so, and leaves the folder out."""

from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests import trainer_key

TRAIN = find_spec("torch") is not None and find_spec("sklearn") is not None
collect_ignore_glob = [] if TRAIN else ["test_*.py"]


def pytest_report_header() -> str | None:
    return None if TRAIN else "tests/train is skipped: the [train] extra is not installed"


@pytest.fixture
def record(tmp_path: Path) -> Any:
    """Records a plan in tmp_path/run, at most `steps` steps of it, and gives header and final
    weights."""
    from tests.train.recorded import recorded

    trainer_key.create(tmp_path / "key", "trainer")
    return partial(recorded, run=tmp_path / "run", key=tmp_path / "key")
