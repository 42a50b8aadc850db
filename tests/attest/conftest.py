"""The environment of the packages of others that our statements are held against."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".cache/model-signing/bin/python"

Theirs = Callable[..., list[tuple[int, str]]]


@pytest.fixture
def their_python() -> Path:
    if not (PYTHON.parents[1] / ".installed").exists():
        pytest.skip("OpenSSF model signing is not installed: make test-model-signing")
    return PYTHON


@pytest.fixture
def theirs(their_python: Path) -> Theirs:
    """Runs commands of model_signing, each a folder to be in and arguments; gives exit status and
    output of each."""

    def run(*commands: tuple[Path, list[object]]) -> list[tuple[int, str]]:
        asked = json.dumps([[str(folder), [str(word) for word in words]] for folder, words in commands])
        script = ROOT / "tests/attest/model_signing_cli.py"
        done = subprocess.run([their_python, "-P", script], input=asked, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return [(status, output) for status, output in json.loads(done.stdout)]

    return run
