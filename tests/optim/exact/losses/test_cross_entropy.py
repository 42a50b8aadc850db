"""Softmax and cross-entropy as a graph's loss."""

import pytest
import torch
from torch import nn

from tests.optim.exact.autograd import compared
from zk_autograd.core.errors import UsageError
from zk_autograd.optim.exact import exact_graph

pytestmark = pytest.mark.torch


@pytest.mark.parametrize(("classes", "examples"), [(2, 32), (10, 33), (100, 64)])
def test_gradient_and_loss_are_torchs(classes: int, examples: int) -> None:
    torch.manual_seed(6)
    found = compared(nn.Linear(8, classes), "cross-entropy", features=8, examples=examples)
    share = examples / 2 ** (examples - 1).bit_length()  # a batch is padded to a power of two
    assert abs(found.exact - share * found.floating).max() < 1e-3 * abs(found.floating).max()
    exact, floating = found.losses
    assert exact == pytest.approx(floating, abs=3e-4)


def test_one_output_is_refused() -> None:
    with pytest.raises(UsageError, match=r'model gives one output.*use loss="logistic"'):
        exact_graph(nn.Linear(3, 1), features=3)
