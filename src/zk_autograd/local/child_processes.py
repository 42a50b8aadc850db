"""How a Python process of this package's own is started, beside the user's."""

import json
import os
import sys

_START = "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); from {} import main; main()"


def python(module: str, *arguments: str) -> list[str]:
    """The command that calls `main` of a module with these arguments, in a fresh Python.

    It finds modules where this process does, so that it is the same package; but in no place that
    depends on the current folder. The user's script isn't imported.
    """
    places = [place for place in sys.path if os.path.isabs(place)]
    return [sys.executable, "-P", "-c", _START.format(module), json.dumps(places), *arguments]
