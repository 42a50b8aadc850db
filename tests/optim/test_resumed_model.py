"""What a resumption doesn't restore of a model is named, and nothing else is."""

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.optim.models import backward
from tests.optim.scheduled import SIGNER
from zk_autograd.optim import ZKOptimizer
from zk_autograd.optim.resuming import ResumedModel
from zk_autograd.optim.unproved import BUDGET
from zk_autograd.prove.hashed.backend import HashedBackend

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::zk_autograd.optim.trajectory.CoarseEps")]


class Net(torch.nn.Module):
    """Batch norm, a table that stays, a frozen layer, and a moving average that the loop makes
    after each step."""

    table: torch.Tensor
    average: torch.Tensor

    def __init__(self, seed: int = 5) -> None:
        super().__init__()
        torch.manual_seed(seed if seed else 5)
        self.first = torch.nn.Linear(4, 6)
        self.norm = torch.nn.BatchNorm1d(6)
        self.last = torch.nn.Linear(6, 3)
        self.register_buffer("table", torch.arange(6.0))
        self.register_buffer("average", torch.zeros(3))
        torch.manual_seed(seed)
        self.backbone = torch.nn.Linear(6, 6, bias=False).requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = self.backbone(self.norm(self.first(x))) + self.table
        out: torch.Tensor = self.last(hidden)
        return out


def make(module: torch.nn.Module, run: Path, **options: Any) -> ZKOptimizer:
    settings = {"unproved": module, "run": run, "key": SIGNER, "prover": HashedBackend(64, 3), **options}
    return ZKOptimizer(module.named_parameters(), "adam", 0.01, **settings)


def train(module: Net, o: ZKOptimizer, steps: range) -> None:
    for step in steps:
        backward(module, step)
        o.step()
        with torch.no_grad():
            module.average.copy_(0.5 * module.average + module.last.bias)


def left(run: Path, steps: int) -> dict[str, Any]:
    """Leaves a run after some steps, and gives the model's checkpoint."""
    module = Net()
    o = make(module, run)
    train(module, o, range(steps))
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    o.abandon()
    loaded: dict[str, Any] = torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    return loaded


MOVED = "norm.running_mean, norm.running_var, norm.num_batches_tracked"


@pytest.mark.parametrize("steps", [1, 3, 4])
def test_buffers_that_a_resumed_model_lacks_are_named(steps: int, tmp_path: Path) -> None:
    left(tmp_path / "run", steps)
    with pytest.warns(ResumedModel) as caught:
        make(Net(), tmp_path / "run", resume=True).abandon()
    (warning,) = caught
    average = ", average" if steps > 1 else ""  # it moved after the first step
    names = str(warning.message).split(":")[0]
    assert sorted(names.split(", ")) == sorted((MOVED + average).split(", "))
    assert f"not as step {steps} left them" in str(warning.message)
    assert warning.filename == __file__


@pytest.mark.parametrize("steps", [1, 3, 4])
def test_model_whose_checkpoint_was_loaded_is_resumed_without_a_word(steps: int, tmp_path: Path) -> None:
    checkpoint = left(tmp_path / "run", steps)
    module = Net()
    module.load_state_dict(checkpoint)
    o = make(module, tmp_path / "run", resume=True)
    train(module, o, range(steps, steps + 1))
    o.abandon()


def test_table_that_never_moves_is_not_named(tmp_path: Path) -> None:
    run = tmp_path / "run"

    class Table(torch.nn.Module):
        table: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(1)
            self.layer = torch.nn.Linear(4, 3)
            self.register_buffer("table", torch.arange(4.0))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.layer(x + self.table)
            return out

    module = Table()
    o = make(module, run)
    backward(module, 0)
    o.step()
    o.abandon()
    make(Table(), run, resume=True).abandon()


def test_frozen_parameter_with_other_values_is_named(tmp_path: Path) -> None:
    checkpoint = left(tmp_path / "run", 2)
    module = Net(seed=6)
    module.load_state_dict({n: t for n, t in checkpoint.items() if not n.startswith("backbone")}, strict=False)
    with pytest.warns(ResumedModel, match=r"^backbone\.weight: not as step 2 left them"):
        make(module, tmp_path / "run", resume=True).abandon()


def test_what_is_named_stands_in_the_newest_step_of_a_resumed_run_too(tmp_path: Path) -> None:
    checkpoint = left(tmp_path / "run", 2)
    module = Net()
    module.load_state_dict(checkpoint)
    o = make(module, tmp_path / "run", resume=True)
    train(module, o, range(2, 3))
    o.abandon()
    with pytest.warns(ResumedModel, match=r"norm\.running_mean.*not as step 3 left them"):
        make(Net(), tmp_path / "run", resume=True).abandon()


def test_long_list_is_cut(tmp_path: Path) -> None:
    run = tmp_path / "run"

    def deep() -> torch.nn.Sequential:
        torch.manual_seed(2)
        norms = [torch.nn.BatchNorm1d(4) for _ in range(3)]
        return torch.nn.Sequential(*norms, torch.nn.Linear(4, 3))

    module = deep()
    o = make(module, run)
    backward(module, 0)
    o.step()
    o.abandon()
    with pytest.warns(ResumedModel, match=" and 4 more: not as step 1 left them"):
        make(deep(), run, resume=True).abandon()


class Large(torch.nn.Module):
    """A buffer beyond what is looked at, and one that is looked at; both count."""

    large: torch.Tensor
    small: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.layer = torch.nn.Linear(4, 3)
        self.register_buffer("large", torch.zeros(BUDGET // 4 + 1))
        self.register_buffer("small", torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.large = self.large + 1  # another tensor each time
        self.small = self.small + 1
        out: torch.Tensor = self.layer(x)
        return out


def test_tensors_too_large_to_look_at_with_each_step_are_left_out(tmp_path: Path) -> None:
    module = Large()
    o = make(module, tmp_path / "run")
    backward(module, 0)
    o.step()
    o.abandon()
    with pytest.warns(ResumedModel, match="^small: not as step 1 left them"):
        make(Large(), tmp_path / "run", resume=True).abandon()


def gone(module: Large) -> None:
    del module.small


def emptied(module: Large) -> None:
    module.small = None  # type: ignore[assignment]


def without_values(module: Large) -> None:
    module.small = torch.zeros(1, device="meta")


@pytest.mark.parametrize("change", [gone, emptied, without_values])
def test_buffer_that_is_taken_away_while_a_run_is_trained_stops_nothing(
    change: Callable[[Large], None], tmp_path: Path
) -> None:
    module = Large()
    o = make(module, tmp_path / "run")
    backward(module, 0)
    change(module)
    o.step()
    o.abandon()
    make(Large(), tmp_path / "run", resume=True).abandon()


def test_warning_taken_for_an_error_gives_the_lock_back(tmp_path: Path) -> None:
    left(tmp_path / "run", 2)
    with pytest.raises(ResumedModel):
        make(Net(), tmp_path / "run", resume=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResumedModel)
        make(Net(), tmp_path / "run", resume=True).abandon()
