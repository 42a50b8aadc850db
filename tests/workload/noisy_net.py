"""A user's model that draws (dropout) and counts (batch norm), for `--model tests.workload.noisy_net:net`; and a training that is killed.

`python -m tests.workload.noisy_net RUN KEY STEP` trains `PLAN` and dies by SIGKILL after that step.
"""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from torch import nn

from tests.workload.test_plan import PLAN
from zk_autograd.core.hyper import Rule
from zk_autograd.workload.names import DataName, Factory
from zk_autograd.workload.session import Recording, Session, repeatable


def net(columns: int, classes: int) -> nn.Module:
    """A small classifier."""
    return nn.Sequential(nn.Linear(columns, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, classes))


NOISY = replace(
    PLAN,
    model=Factory("tests.workload.noisy_net", "net"),
    data=DataName.BREAST_CANCER,
    rule=Rule.ADAM,
    momentum="",
    grad_scale=0,
    prover="none",
    schedule="cosine:steps=40,warm_up=5",
    steps=40,
)


def main(run: str, key: str, step: str) -> None:
    with repeatable():
        session = Session(NOISY, Recording(Path(run), "none", Path(key)))

        def go_on() -> bool:
            if session.optimizer.steps == int(step):
                os.kill(os.getpid(), signal.SIGKILL)
            return True

        session.train(go_on)


if __name__ == "__main__":
    main(*sys.argv[1:])
