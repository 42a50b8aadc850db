"""Whether code that a run names may be run here, decided without importing any of it.

A run, and its private folder too, may come from a stranger, and whoever made it knows the digests
of everything published: of Python's own modules, of packages, of whatever project its receiver
works in. So the code is run only if the caller names it, or the run is the caller's own; its
module's file must be the one whose SHA-256 the header has; and nothing in the run's own folder is
imported, nor anything while Python looks for modules there: a file of the run could pass for any
module.

A factory's module is looked for in the current folder first, then where Python looks. That holds
for this one name only: whatever else is imported meanwhile comes from the current folder only if it
is nowhere else.
"""

import site
import sys
import sysconfig
from collections.abc import Sequence
from enum import Enum
from hashlib import sha256
from importlib.machinery import ModuleSpec
from pathlib import Path

from zk_autograd.train.names import Factory


class Consent(Enum):
    """Who says that the code of a run may be run."""

    NOBODY = "nobody"
    OWN_RUN = "own run"
    """The run is signed by the caller's own key. Not enough for modules of Python's installation,
    which no trainer writes."""
    NAMED = "named"
    """The caller named this very code."""


def refusal(source: Factory, run: Path, recorded: bytes, consent: Consent) -> str | None:
    """Why the code of `source` is not run for the run at `run`, whose header has the digest
    `recorded`; None if it may be."""
    if consent is Consent.NOBODY:
        return f"code that a run names is run only if you name it, too: look at it, and pass --allow-code {source}"
    folder = run.resolve()
    here = str(Path.cwd())
    if inside := [place for place in _places() if _within(Path(place or here), folder)]:
        return f"Python looks for modules in {inside[0] or here}, which is in the run's own folder: start from another folder"
    parts, search = source.module.split("."), None
    spec: ModuleSpec | None = None
    for count in range(1, len(parts) + 1):
        name = ".".join(parts[:count])
        try:
            spec = top_level(name) if search is None else _found(name, search)
        except KeyError:  # only importing its parent would tell where it lies
            return f"its package {name} is a nested folder without an __init__.py: add one"
        if spec is None:
            return f"there is no module {source.module} in the current folder or on PYTHONPATH"
        places = [spec.origin] if spec.has_location and spec.origin else []
        search = list(spec.submodule_search_locations or ())
        if any(_within(Path(place), folder) for place in [*places, *search]):
            return f"its module {name} lies in the run's own folder, and may be a stranger's"
    assert spec is not None
    try:
        found = sha256(Path(spec.origin or "").read_bytes()).digest()
    except OSError:
        return f"{source.module} has no file that can be read"
    if found != recorded:
        return f"{spec.origin} is not the code of the run (expected {recorded.hex()}, found {found.hex()})"
    if consent is Consent.OWN_RUN and _installed(Path(spec.origin or "")):
        return f"{spec.origin} is a part of Python's installation: if you mean it, pass --allow-code {source}"
    return None


def top_level(name: str) -> ModuleSpec | None:
    """A factory's module or package of this name: the one in the current folder, else the one that
    Python finds. None if there is none."""
    before = list(sys.path)
    try:
        sys.path[:] = _places()
        return _found(name, None)
    finally:
        sys.path[:] = before


def _places() -> list[str]:
    here = str(Path.cwd())
    return [here, *(place for place in sys.path if place not in (here, ""))]


def _found(name: str, path: Sequence[str] | None) -> ModuleSpec | None:
    """As the import system finds a module, but without importing its parent package; `path` is that
    package's, None for a module without one."""
    for finder in sys.meta_path:
        if (spec := finder.find_spec(name, path)) is not None:
            return spec
    return None


def _installed(origin: Path) -> bool:
    """Whether a module's file lies among Python's own or among installed packages."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = [*(sysconfig.get_path(name) for name in names), *site.getsitepackages(), site.getusersitepackages()]
    return any(_within(origin, Path(folder).resolve()) for folder in folders) or "dist-packages" in origin.parts


def _within(place: Path, folder: Path) -> bool:
    """Whether `place`, which may be a link or not there, is `folder` or in it."""
    try:
        return place.resolve().is_relative_to(folder)
    except (OSError, RuntimeError, ValueError):
        return True
