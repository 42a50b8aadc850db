"""A trainer under a scheduler that kills itself with signal 9: `python -m
tests.optim.killed_scheduled RUN KEPT SCHEDULER MOMENT STEPS`.

MOMENT: "between" the last step and the scheduler's own, "after" both, or "end", where it ends
without a word. KEPT gets the states as a checkpoint has them: the scheduler's after the last step
but one, and after the last.
"""

import os
import signal
import sys
from pathlib import Path

import torch

from tests.optim.scheduled import SCHEDULERS, gradients, optimizer, train


def main(run: Path, kept: Path, name: str, moment: str, steps: int) -> None:
    module, o = optimizer(run)
    scheduler = SCHEDULERS[name](o)
    train(module, o, scheduler, range(steps - 1))
    before = scheduler.state_dict()
    gradients(module, steps - 1)
    o.step()
    if moment != "between":
        scheduler.step()
    torch.save({"before": before, "after": scheduler.state_dict(), "lr": o.param_groups[0]["lr"]}, kept)
    if moment != "end":
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5]))
