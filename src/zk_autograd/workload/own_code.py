"""Whether code that a run names may be run to reproduce it, told without importing any of it.

A run may have come from a stranger, its private folder too. So the module's file must be the one whose SHA-256 the header has, nothing of
the run's own folder is imported, and nothing is while Python looks for modules there: a file of the run could pass for any module.
"""

import sys
from collections.abc import Sequence
from hashlib import sha256
from importlib.machinery import ModuleSpec
from pathlib import Path

from zk_autograd.workload.names import Factory


def refusal(source: Factory, run: Path, recorded: bytes) -> str | None:
    """Why the code of `source` is not run for the run at `run`, whose header has the digest `recorded`; None if it may be."""
    folder = run.resolve()
    here = str(Path.cwd())
    path = sys.path if here in sys.path or "" in sys.path else [here, *sys.path]  # as factory finds modules
    if inside := [place for place in path if _within(Path(place or here), folder)]:
        return (
            f"Python looks for modules in {inside[0] or here}, which is in the run's own folder: start from another one"
        )
    parts, search = source.module.split("."), None
    spec: ModuleSpec | None = None
    for count in range(1, len(parts) + 1):
        name = ".".join(parts[:count])
        spec = _found(name, path if search is None else search, top=search is None)
        if spec is None:
            return f"there is no module {source.module} in the current folder or on PYTHONPATH"
        places = [spec.origin] if spec.has_location and spec.origin else []
        search = list(spec.submodule_search_locations or ())
        if any(_within(Path(place), folder) for place in [*places, *search]):
            return f"its module {name} lies in the run's own folder, and may be a stranger's"
    try:
        assert spec is not None
        found = sha256(Path(spec.origin or "").read_bytes()).digest()
    except OSError:
        return f"{source.module} has no file that can be read"
    if found != recorded:
        return f"{spec.origin} is not the code of the run (expected {recorded.hex()}, found {found.hex()})"
    return None


def _found(name: str, path: Sequence[str], *, top: bool) -> ModuleSpec | None:
    """As the import system finds a module, importing no package above it."""
    before = list(sys.path)
    try:
        if top:
            sys.path[:] = path
        for finder in sys.meta_path:
            if (spec := finder.find_spec(name, None if top else path)) is not None:
                return spec
    finally:
        sys.path[:] = before
    return None


def _within(place: Path, folder: Path) -> bool:
    """Whether `place`, which may be a link or not there, is `folder` or in it."""
    try:
        return place.resolve().is_relative_to(folder)
    except (OSError, RuntimeError, ValueError):
        return True
