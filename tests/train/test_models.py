import math
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from zk_autograd.core.errors import UsageError
from zk_autograd.train import built_in
from zk_autograd.train.models import EARLIER, build, code_digest, is_code, one_thread
from zk_autograd.train.names import Factory, ModelName

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


def test_code_digest_is_that_of_a_file_that_nothing_else_of_the_package_moves() -> None:
    source = Path(built_in.__file__).read_text(encoding="utf-8")
    assert code_digest(ModelName.MLP) == sha256(source.encode()).digest()
    assert "zk_autograd" not in source
    assert is_code(ModelName.MLP, code_digest(ModelName.MLP))
    assert not is_code(ModelName.MLP, bytes(32))


def test_code_of_an_earlier_version_is_known_for_built_in_models_alone() -> None:
    """The file of version 0.1. Its models had these first weights, bit for bit."""
    first = {
        (ModelName.LOGISTIC, 30, 2): "e670ae5fbdced343f08faed907f01461ef264eae890445bf40f631d5e5b504ae",
        (ModelName.SOFTMAX, 64, 10): "6643cffe67da35b0d6aac3698d1f4e13e2c23626bdf224e4a2e08af739734e9a",
        (ModelName.MLP, 8, 3): "adb653c93c35db801f05eede1fdabff2445d0d3d456ab74c5b451d93b40dff65",
    }
    for (name, columns, classes), digest_of_weights in first.items():
        tensors = build(name, columns, classes, 5).state_dict().items()
        found = sha256(b"".join(key.encode() + value.numpy().tobytes() for key, value in tensors))
        assert found.hexdigest() == digest_of_weights
    for digest in EARLIER:
        assert is_code(ModelName.MLP, digest)
        assert not is_code(Factory("tests.train.noisy_net", "net"), digest)
