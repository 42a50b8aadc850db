import math

import pytest
import torch

from zk_autograd.core.errors import UsageError
from zk_autograd.workload.models import build, code_digest, one_thread
from zk_autograd.workload.names import ModelName

pytestmark = pytest.mark.torch


@pytest.mark.parametrize(
    ("name", "columns", "classes", "parameters"),
    [
        (ModelName.LOGISTIC, 30, 2, 31),
        (ModelName.SOFTMAX, 64, 10, 650),
        (ModelName.SOFTMAX, 30, 2, 62),
        (ModelName.MLP, 64, 10, 4810),
    ],
)
def test_models_have_their_sizes_and_give_a_logit_a_class(
    name: ModelName, columns: int, classes: int, parameters: int
) -> None:
    model = build(name, columns, classes, 0)
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert model(torch.zeros(5, columns)).shape == (5, classes)


def test_first_weights_are_a_function_of_the_seed() -> None:
    torch.manual_seed(1)
    one = build(ModelName.MLP, 8, 3, 5).state_dict()
    torch.manual_seed(2)
    same, other = build(ModelName.MLP, 8, 3, 5).state_dict(), build(ModelName.MLP, 8, 3, 6).state_dict()
    assert one["hidden.bias"][:8].tolist() != one["hidden.weight"][0].tolist()  # each has a stream of its own
    for name, values in one.items():
        assert torch.equal(values, same[name])
        assert not torch.equal(values, other[name])
        assert len(set(values.reshape(-1).tolist())) == values.numel()
        assert values.abs().max() <= 1 / math.sqrt(32 if name.startswith("out") else 8)


def test_logistic_gives_the_probabilities_of_a_sigmoid() -> None:
    model = build(ModelName.LOGISTIC, 3, 2, 0)
    features = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    weight, bias = model.get_parameter("linear.weight"), model.get_parameter("linear.bias")
    assert torch.allclose(model(features).softmax(1)[:, 1], torch.sigmoid(features @ weight[0] + bias))


def test_logistic_refuses_more_than_two_classes() -> None:
    with pytest.raises(UsageError, match="the data have 10: use --model softmax"):
        build(ModelName.LOGISTIC, 64, 10, 0)


def test_one_thread_is_taken_and_given_back() -> None:
    threads = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == threads


def test_code_digest_is_that_of_a_source() -> None:
    assert len(code_digest(ModelName.MLP)) == 32
