"""Nothing here runs without torch: says so, and leaves the folder out."""

from importlib.util import find_spec

import pytest

from zk_autograd.core.keys import Ed25519Signer

TORCH = find_spec("torch") is not None
collect_ignore_glob = [] if TORCH else ["test_*.py"]


def pytest_report_header() -> str | None:
    return None if TORCH else "tests/optim is skipped: the [train] extra is not installed"


@pytest.fixture
def signer() -> Ed25519Signer:
    """The trainer's log key."""
    return Ed25519Signer("trainer", bytes(range(32)))
