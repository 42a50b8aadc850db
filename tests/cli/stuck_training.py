"""zk-train with a prover that never comes to an end unless it is stopped: `python stuck_training.py
FLAGS`."""

import sys
import threading
from typing import Any

from zk_autograd.cli.output import run_command
from zk_autograd.cli.train import parser, train
from zk_autograd.core.errors import ProverError
from zk_autograd.prove.hashed.backend import HashedBackend


class Stuck(HashedBackend):
    """Waits until it is stopped."""

    def __init__(self) -> None:
        super().__init__(31, 16)
        self._stopped = threading.Event()

    def prove(self, *arguments: Any) -> Any:
        self._stopped.wait(300)
        raise ProverError("stopped")

    def stop(self) -> None:
        self._stopped.set()


def main(flags: list[str]) -> int:
    arguments = parser().parse_args(flags)
    return run_command(lambda output: train(arguments, output, Stuck()), json_output=arguments.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
