"""A trainer of a run with exact gradients that kills itself with signal 9 at one write, as
tests.run.killed: `python killed_exact.py RUN WRITE before|after|torn`."""

import sys
from pathlib import Path

from tests.run.exact_run import create
from tests.run.killed import DeadlyFiles
from tests.run.test_exact_run import complete


def main(run: Path, write: str, moment: str) -> None:
    complete(create(run, files=DeadlyFiles(run, write, moment)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
