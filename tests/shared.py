"""What is made once for all tests, whichever worker asks first: the others wait for it.

A session's things lie in its own temporary folder, so that none was made by other code than is
tested.
"""

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from zk_autograd.prove.ezkl.child import Child
from zk_autograd.prove.ezkl.circuit.catalogue import Circuit
from zk_autograd.prove.ezkl.keys import Cache, Keys


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """For one process at a time; the file `path` is the lock, and stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Shared:
    """A folder of things that a session makes once. Who would change one takes a copy."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def made(self, name: str, make: Callable[[Path], object]) -> Path:
        """The folder `name`, empty until `make` fills it; one that could not be made is tried again
        by whoever asks next."""
        folder, done = self._folder / name, self._folder / f"{name}.done"
        with locked(self._folder / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                done.touch()
        return folder


class SharedCache(Cache):
    """A cache whose keys are made by one worker at a time: each takes a gigabyte and both cores."""

    def keys(self, circuit: Circuit, srs_digest: bytes, child: Child, *, proving: bool) -> Keys:
        with locked(self.folder / "locks" / circuit.digest.hex()):
            return super().keys(circuit, srs_digest, child, proving=proving)
