import pytest
import torch
from torch import nn

from zk_autograd.core.errors import RunError
from zk_autograd.workload.loop_state import restored, taken

pytestmark = pytest.mark.torch


def net(columns: int = 3) -> nn.Module:
    return nn.Sequential(nn.BatchNorm1d(columns), nn.Dropout(), nn.BatchNorm1d(columns))


def test_generator_and_buffers_are_put_back() -> None:
    torch.manual_seed(1)
    fresh, model = torch.get_rng_state(), net()
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
    fresh = torch.get_rng_state()
    model(torch.zeros(1, 2))
    assert taken(model, fresh) == b""
    torch.rand(1)
    restored(b"", model, fresh)
    assert torch.equal(torch.get_rng_state(), fresh)


def test_state_before_the_first_step_leaves_buffers_as_they_were_made() -> None:
    model = net()
    restored(b"", model, torch.get_rng_state())
    assert model.get_buffer("0.num_batches_tracked") == 0


@pytest.mark.parametrize("other", [nn.Linear(3, 3), net(4), net().double(), nn.Sequential(nn.BatchNorm1d(3))])
def test_state_of_another_model_is_refused(other: nn.Module) -> None:
    fresh, model = torch.get_rng_state(), net()
    with pytest.raises(RunError, match="the model's buffers are not those"):
        restored(taken(model, fresh), other, fresh)


def test_state_that_is_none_is_refused() -> None:
    with pytest.raises(RunError, match="can't be read"):
        restored(b"12345678{}", net(), torch.get_rng_state())
