"""How a Python process of this package's own is started, beside the user's."""

import json
import os
import sys
from pathlib import Path
from time import sleep

_START = "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); from {} import main; main()"
_START_ALONE = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); import zk_autograd; del sys.path[0]; from {} import main; main()"
)
_LOOK_AFTER = 0.5  # seconds


def python(module: str, *arguments: str) -> list[str]:
    """The command that calls `main` of a module with these arguments, in a fresh Python.

    It finds modules where this process does, so that it is the same package; but in no place that
    depends on the current folder. The user's script isn't imported. `main` finds in sys.argv the
    arguments, after the id of this process.
    """
    places = [place for place in sys.path if os.path.isabs(place)]
    return [sys.executable, "-P", "-c", _START.format(module), json.dumps(places), str(os.getpid()), *arguments]


def python_alone(module: str, *arguments: str) -> list[str]:
    """As `python`, but the process finds other packages in its interpreter's own places alone: it
    is told nothing of the script's folder. Its environment must have no PYTHONPATH."""
    place = Path(__file__).resolve().parents[2]  # of this package, which is the same one there
    return [sys.executable, "-P", "-c", _START_ALONE.format(module), str(place), str(os.getpid()), *arguments]


def wait_for_end_of_parent() -> None:
    """In such a process: returns when the one that started it is gone.

    The end of a pipe alone says too little, since a fork of the parent may hold it open; and the
    parent may be gone before this one has begun.
    """
    while os.getppid() == int(sys.argv[1]):
        sleep(_LOOK_AFTER)
