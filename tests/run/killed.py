"""A trainer that kills itself with signal 9 at one write: `python killed.py RUN WRITE
before|after|torn [REGISTER]`.

`torn` leaves half of an append, or a half-written temporary file.
"""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.run.trainer import SIGNER, FaultyProver, TracedFiles, first_weights, make_header, train
from zk_autograd.core.register import origin_of
from zk_autograd.run.files import Files
from zk_autograd.run.registering import Registration
from zk_autograd.run.writer import RunWriter


class DeadlyFiles(TracedFiles):
    """Ends the process at the write `name`."""

    def __init__(self, root: Path, name: str, moment: str) -> None:
        super().__init__(root)
        self._fsync = os.fsync
        self._name = name
        self._moment = moment

    def act(self, name: str, path: Path, data: bytes, write: Callable[[], None]) -> None:
        if name != self._name:
            write()
            return
        if self._moment == "after":
            write()
        if self._moment == "torn" and name.startswith("append"):
            Files.append(self, path, data[: len(data) // 2])
        elif self._moment == "torn":
            path.with_name(f".{path.name}.tmp").write_bytes(data[: len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)


def main(run: Path, write: str, moment: str, register: Path | None) -> None:
    backend = FaultyProver()
    files = DeadlyFiles(run, write, moment)
    header, registration = make_header(backend), None
    if register is not None:
        header = replace(header, register=origin_of([SIGNER.public_key]))
        registration = Registration(register, every=1)
    writer = RunWriter.create(run, header, backend, [SIGNER], first_weights(), files=files, registration=registration)
    train(writer, 3)
    writer.close({"weights": b"published"})


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]) if len(sys.argv) > 4 else None)
