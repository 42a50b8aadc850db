from collections.abc import Callable

import pytest
import torch
from torch import nn

from zk_autograd.core.errors import RunError, UsageError
from zk_autograd.train.loop_state import Fresh, restored, taken

pytestmark = pytest.mark.torch


def net(columns: int = 3) -> nn.Module:
    return nn.Sequential(nn.BatchNorm1d(columns), nn.Dropout(), nn.BatchNorm1d(columns))


def begun(model: nn.Module) -> Fresh:
    return Fresh.of(model, torch.get_rng_state())


def test_generator_and_buffers_are_put_back() -> None:
    torch.manual_seed(1)
    model = net()
    fresh = begun(model)
    model(torch.rand(5, 3))
    state = taken(model, fresh)
    drawn, buffers = torch.rand(3), {name: b.clone() for name, b in model.named_buffers()}
    torch.manual_seed(2)
    other = net()
    restored(state, other, fresh)
    assert torch.equal(torch.rand(3), drawn)
    for name, buffer in other.named_buffers():
        assert torch.equal(buffer, buffers[name])
        assert name != "0.running_mean" or buffer.any()


def test_loop_that_draws_and_counts_nothing_has_no_state() -> None:
    model = nn.Linear(2, 2)
    fresh = begun(model)
    model(torch.zeros(1, 2))
    assert taken(model, fresh) == b""
    torch.rand(1)
    restored(b"", model, fresh)
    assert torch.equal(torch.get_rng_state(), fresh.generator)


def test_state_before_the_first_step_leaves_buffers_as_they_were_made() -> None:
    model = net()
    restored(b"", model, begun(model))
    assert model.get_buffer("0.num_batches_tracked") == 0


@pytest.mark.parametrize("other", [nn.Linear(3, 3), net(4), net().double(), nn.Sequential(nn.BatchNorm1d(3))])
def test_state_of_another_model_is_refused(other: nn.Module) -> None:
    model = net()
    with pytest.raises(RunError, match="the model's buffers are not those"):
        restored(taken(model, begun(model)), other, begun(other))


def test_state_that_is_none_is_refused() -> None:
    with pytest.raises(RunError, match="can't be read"):
        restored(b"12345678{}", net(), begun(net()))


class Averaged(nn.Module):
    """A layer, and a frozen one that follows it."""

    def __init__(self, width: int = 2) -> None:
        super().__init__()
        self.layer, self.mean = nn.Linear(2, 2), nn.Linear(width, 2)
        self.mean.requires_grad_(False)
        self.register_buffer("seen", torch.zeros(1).expand(3))

    def follow(self) -> None:
        self.mean.weight.data.mul_(0.5).add_(1)


def test_frozen_parameter_that_a_step_moves_is_put_back() -> None:
    torch.manual_seed(1)
    model = Averaged()
    torch.manual_seed(1)
    other = Averaged()
    fresh, again = begun(model), begun(other)
    still = taken(model, fresh)
    model.follow()
    state = taken(model, fresh)
    assert len(state) > len(still)  # what stays as it was is not kept: it may be large
    restored(state, other, again)
    assert torch.equal(other.mean.weight, model.mean.weight)
    restored(still, other, again)
    assert torch.equal(other.mean.weight, fresh.frozen["mean.weight"])
    assert not torch.equal(other.mean.weight, model.mean.weight)


def test_last_bit_and_sign_of_zero_are_kept() -> None:
    model = Averaged()
    model.mean.weight.data.zero_()
    fresh = begun(model)
    model.mean.weight.data.neg_()
    state = taken(model, fresh)
    model.mean.weight.data.zero_()
    restored(state, model, fresh)
    assert torch.signbit(model.mean.weight).all()


def test_parameter_that_is_frozen_later_is_none_of_the_loops() -> None:
    model = Averaged()
    fresh = begun(model)
    state = taken(model, fresh)
    model.layer.requires_grad_(False)
    model.mean.requires_grad_(True)
    assert taken(model, fresh) == state


def test_state_with_frozen_parameters_of_another_model_is_refused() -> None:
    model, other = Averaged(), Averaged(3)
    fresh = begun(model)
    model.follow()
    for stranger in (other, nn.Linear(2, 2)):
        with pytest.raises(RunError, match="the model's frozen parameters are not those that the run was begun with"):
            restored(taken(model, fresh), stranger, begun(stranger))


def made(model: nn.Module) -> None:
    model.register_buffer("late", torch.zeros(()))


def dropped(model: nn.Module) -> None:
    del model.seen


def grown(model: nn.Module) -> None:
    model.seen = torch.zeros(4)


def retyped(model: nn.Module) -> None:
    model.seen = torch.zeros(3, dtype=torch.float64)


def another(model: nn.Module) -> None:
    model.mean = nn.Linear(2, 3)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (made, "buffer late"),
        (dropped, "buffer seen"),
        (grown, "buffer seen"),
        (retyped, "buffer seen"),
        (another, "frozen parameter mean.bias"),
    ],
)
def test_model_that_changes_its_form_while_it_is_trained_is_refused(
    change: Callable[[nn.Module], None], named: str
) -> None:
    """No model that its code makes again would have what the state is of."""
    model = Averaged()
    fresh = begun(model)
    change(model)
    with pytest.raises(UsageError, match=rf"the model's {named} was added, dropped, or given another shape or type"):
        taken(model, fresh)


def test_buffers_of_every_memory_are_put_back() -> None:
    """Expanded ones hold what they held; views of one memory, and those that lie crosswise, get
    their values."""
    model, memory = nn.Module(), torch.arange(6.0)
    buffers = {
        "expanded": torch.ones(1).expand(3),
        "first": memory[:4],
        "second": memory[2:],
        "one": torch.arange(4.0)[::2][:1],
        "crosswise": torch.arange(6.0).reshape(2, 3).T,
        "conjugate": torch.tensor([1 + 2j]).conj(),
        "empty": torch.zeros(0, 2),
        "number": torch.tensor(3, dtype=torch.bfloat16),
    }
    for name, buffer in buffers.items():
        model.register_buffer(name, buffer)
    fresh = begun(model)
    memory += 1
    model.get_buffer("crosswise").mul_(2)
    wanted = {name: buffer.clone() for name, buffer in model.named_buffers()}
    state = taken(model, fresh)
    for name in ("first", "second", "crosswise", "conjugate", "number"):
        model.get_buffer(name).zero_()
    restored(state, model, fresh)
    for name, buffer in model.named_buffers():
        assert torch.equal(buffer, wanted[name]), name


def test_expanded_buffer_that_cannot_be_put_back_is_refused() -> None:
    model = Averaged()
    fresh = begun(model)
    state = taken(model, fresh)
    model.seen = torch.ones(1).expand(3)
    with pytest.raises(RunError, match="the model's seen can't be restored to what it was"):
        restored(state, model, fresh)


def test_buffer_that_no_file_holds_is_refused() -> None:
    model = nn.Module()
    model.register_buffer("sparse", torch.eye(2).to_sparse())
    with pytest.raises(UsageError, match="the model's buffers can't be kept"):
        taken(model, begun(model))
