"""A rule of the test's own, from its constants to a verdict: it is added by its name, its file and
its row, and by nothing else.

A proof would need its AIR and its circuit besides; crates/air has a toy one in its tests.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from zk_autograd import ZKOptimizer, verify_run
from zk_autograd.core.constants import StepConstants
from zk_autograd.core.formats import IntArray
from zk_autograd.core.hyper import Rule
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.core.rules.families import FAMILIES, Family
from zk_autograd.core.schedules import CONSTANT, Schedule

pytestmark = pytest.mark.torch

# ---- the rule's file -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToyHyper:
    lr: Fraction


@dataclass(frozen=True, slots=True)
class ToyConstants:
    LR: int


@dataclass(frozen=True, slots=True)
class ToyTrace:
    """Weights, and how many steps were taken for each."""

    W: IntArray
    N: IntArray


class ToySequence:
    def __init__(self, hyper: ToyHyper, schedule: Schedule) -> None:
        self.hyper, self.schedule = hyper, schedule

    def at(self, t: int, lr: Fraction | None = None) -> ToyConstants:
        return ToyConstants(int((self.schedule.rate(self.hyper.lr, t) if lr is None else lr) * 2**32))

    def no_op(self) -> ToyConstants:
        return ToyConstants(0)

    def effective(self) -> dict[str, Fraction]:
        return {}

    def coarse(self) -> None:
        return None


def trace(state: Mapping[str, IntArray], G: IntArray, constants: StepConstants) -> ToyTrace:
    """The weight goes down by lr where the gradient is positive, and up where it is negative."""
    rate = constants.LR
    return ToyTrace(state["W"] - rate * np.sign(G), state["N"] + (rate > 0))


# ---- its row -------------------------------------------------------------------------------------

ROW = Family(
    states=("W", "N"),
    hyper_names=("lr",),
    hyper=ToyHyper,  # type: ignore[arg-type]
    constants=ToyConstants,  # type: ignore[arg-type]
    sequence=lambda hyper, k, s, schedule=CONSTANT: ToySequence(hyper, schedule),  # type: ignore[arg-type, misc]
    trace=trace,  # type: ignore[arg-type]
    own_lr="0.5",
    defaults={"lr": "0.001"},
)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Rule:
    """Its name: a member more of the enumeration, for the time of the test."""
    member = object.__new__(Rule)
    member._name_, member._value_ = "TOY", "toy"
    monkeypatch.setitem(Rule._member_map_, "TOY", member)
    monkeypatch.setitem(Rule._value2member_map_, "toy", member)
    monkeypatch.setattr(Rule, "_member_names_", [*Rule._member_names_, "TOY"])
    monkeypatch.setitem(FAMILIES, member, ROW)
    return member


def test_a_rule_by_its_file_and_its_row_trains_is_recorded_resumed_and_judged(toy: Rule, tmp_path: Path) -> None:
    model = torch.nn.Linear(3, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(1)
    signer = Ed25519Signer("trainer", bytes(32))
    options: dict[str, Any] = {"rule": "toy", "run": tmp_path / "run", "key": signer, "prover": "none"}
    optimizer = ZKOptimizer(model.named_parameters(), lr=0.25, **options)
    for sign in (1.0, 1.0, -1.0):
        model.weight.grad = torch.tensor([[sign, 0.0, -sign]])
        optimizer.step()
    optimizer.abandon()
    resumed = ZKOptimizer(model.named_parameters(), lr=0.25, resume=True, **options)
    model.weight.grad = torch.tensor([[1.0, 1.0, 1.0]])
    resumed.step()
    resumed.close()
    assert model.weight.tolist() == [[0.5, 0.75, 1.0]]
    report = verify_run(tmp_path / "run", keys=[signer.public_key], require=["L0"])
    assert (report.verdict, report.exit_status) == ("L0", 0), report.text()
    assert "rule toy: the constants of steps 1..4 recomputed" in report.text(200)
