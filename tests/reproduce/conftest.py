"""Nothing here runs without torch and scikit-learn: says so, and leaves the folder out."""

from importlib.util import find_spec

TRAIN = find_spec("torch") is not None and find_spec("sklearn") is not None
collect_ignore_glob = [] if TRAIN else ["test_*.py"]


def pytest_report_header() -> str | None:
    return None if TRAIN else "tests/reproduce is skipped: the [train] extra is not installed"
