"""A user's model that draws (dropout) and counts (batch norm), for `--model
tests.train.noisy_net:net`; and a training that is killed.

`python -m tests.train.noisy_net RUN KEY STEP` trains `PLAN` and dies by SIGKILL after that step.
"""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from tests.train.test_plan import PLAN
from zk_autograd.core.hyper import Rule
from zk_autograd.train.command import Recording
from zk_autograd.train.names import DataName, Factory
from zk_autograd.train.session import Session, repeatable


def net(columns: int, classes: int) -> nn.Module:
    """A small classifier."""
    return nn.Sequential(nn.Linear(columns, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, classes))


class Averaging(nn.Module):
    """A classifier of what its inputs differ by from their moving average, which is a frozen
    parameter, and from a layer's, which the plan freezes: a forward pass moves both."""

    def __init__(self, columns: int, classes: int) -> None:
        super().__init__()
        self.out = nn.Linear(columns, classes)
        self.mean = nn.Parameter(torch.zeros(columns), requires_grad=False)
        self.scale = nn.Parameter(torch.ones(columns))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.mean.data.mul_(0.9).add_(features.mean(0), alpha=0.1)
            self.scale.data.mul_(1.01)
        logits: torch.Tensor = self.out((features - self.mean) * self.scale)
        return logits


class Late(nn.Module):
    """Counts in a buffer that its first step makes."""

    def __init__(self, columns: int, classes: int) -> None:
        super().__init__()
        self.out = nn.Linear(columns, classes)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        if self.training and not hasattr(self, "count"):
            self.register_buffer("count", torch.zeros(()))
        logits: torch.Tensor = self.out(features)
        return logits


class Shared(nn.Module):
    """Keeps a view of its weights as a buffer."""

    def __init__(self, columns: int, classes: int) -> None:
        super().__init__()
        self.out = nn.Linear(columns, classes)
        self.register_buffer("last", self.out.weight.data[1:])

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.out(features)
        return logits


NOISY = replace(
    PLAN,
    model=Factory("tests.train.noisy_net", "net"),
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
