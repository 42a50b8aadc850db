"""ExactGradient: its order and batches, its scale, what a header says of it, and bad arguments."""

from typing import Any

import numpy as np
import pytest
from torch import nn

from tests.optim.exact.autograd import weights_of
from zk_autograd.core.errors import UsageError
from zk_autograd.core.formats import IntArray
from zk_autograd.core.graph import Graph
from zk_autograd.core.graph.products import Floats
from zk_autograd.core.hyper import Rule
from zk_autograd.core.order import Order
from zk_autograd.optim.exact import ExactGradient, TorchMatmul, exact_graph
from zk_autograd.prove.hashed.backend import HashedBackend

pytestmark = pytest.mark.torch

MODEL = nn.Linear(4, 3)
GRAPH = exact_graph(MODEL, features=4)
RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(50, 4)), RANDOM.integers(0, 3, 50)


def gradient(batch_size: Any = 8, seed: Any = 3, **more: Any) -> ExactGradient:
    return ExactGradient(GRAPH, (X, Y), batch_size, seed, **more)


@pytest.fixture(scope="module")
def weights() -> IntArray:
    return weights_of(MODEL)


def test_batches_are_those_of_the_order_and_each_example_comes_once_an_epoch() -> None:
    exact = gradient()
    order = Order(exact.shards, 8, 3)
    batches = [exact.batch(step) for step in range(1, 7)]
    assert all(np.array_equal(batch, exact.cells[order.batch(i + 1)]) for i, batch in enumerate(batches))
    assert len(np.unique(np.concatenate(batches), axis=0)) == 48  # two of fifty are left out
    assert not np.array_equal(gradient(seed=4).batch(1), batches[0])


def test_batch_that_is_no_power_of_two_is_padded_and_its_gradient_is_smaller(weights: IntArray) -> None:
    exact = gradient(6)
    assert (exact.log_batch, len(exact.batch(1))) == (3, 7)
    assert np.array_equal(exact.batch(1)[-1], exact.cells[0])
    own = exact.batch(1)[:6]
    alone = [ExactGradient(GRAPH, own[i : i + 1], 1, 0).step(weights, 1, 0).G / 8 for i in range(6)]
    assert np.abs(exact.step(weights, 1, 0).G - np.sum(alone, axis=0)).max() <= 4  # roundings of 2^-28


@pytest.mark.parametrize(
    ("batch_size", "rule", "hyper", "expected"),
    [
        (8, Rule.ADAM, {"lr": "0.003", "eps": "1e-06"}, {}),
        (1, Rule.SGD, {"lr": "0.003"}, {}),
        (6, Rule.SGD, {"lr": "0.003"}, {"lr": "0.00225"}),
        (6, Rule.SGD_MOMENTUM, {"lr": "0.1", "momentum": "0.9"}, {"lr": "0.075"}),
        (6, Rule.NESTEROV, {"lr": "0.1", "momentum": "0.9"}, {"lr": "0.075"}),
        (6, Rule.ADAM, {"lr": "0.003", "eps": "1e-06"}, {"eps": "0.00000133333"}),
        (6, Rule.ADAMW, {"lr": "0.003", "eps": "3e-08"}, {"eps": "0.00000004"}),
        (50, Rule.RMSPROP, {"lr": "0.003", "eps": "1e-06"}, {"eps": "0.00000128"}),
        (6, Rule.LION, {"lr": "0.003"}, {}),
    ],
    ids=range(9),
)
def test_effective_hyper_parameters(
    batch_size: int, rule: Rule, hyper: dict[str, str], expected: dict[str, str]
) -> None:
    assert gradient(batch_size).effective(rule, hyper) == expected


def test_effective_lr_gives_the_step_of_the_mean(weights: IntArray) -> None:
    """The padded batch's gradient times lr is the mean's times the effective one."""
    padded = gradient(6).step(weights, 1, 0).G * 0.1
    mean = gradient(6).batch(1)[:6]
    floats = [ExactGradient(GRAPH, mean[i : i + 1], 1, 0).step(weights, 1, 0).G for i in range(6)]
    effective = float(gradient(6).effective(Rule.SGD, {"lr": "0.1"})["lr"])
    assert np.allclose(padded, np.mean(floats, axis=0) * effective, atol=1)


@pytest.mark.parametrize("batch_size", [1, 6, 32, 50])
def test_suitable_scale_puts_the_largest_element_near_2_to_the_26(batch_size: int, weights: IntArray) -> None:
    exact = gradient(batch_size)
    k = exact.suitable_scale(weights)
    s = 4 + exact.log_batch - k
    assert 0 <= s <= 16
    largest = np.abs(exact.step(weights, 1, k).G).max()
    assert 2**25.4 < largest < 2**26.6 or s == 0


def test_suitable_scale_stays_within_what_the_batch_allows(weights: IntArray) -> None:
    small = ExactGradient(GRAPH, (X * 2.0**-12, Y), 32, 0)
    zero = ExactGradient(exact_graph(MODEL, "mse", features=4), (np.zeros((8, 4)), np.zeros((8, 3))), 8, 0)
    assert small.suitable_scale(weights) <= small.log_batch + 4
    assert zero.suitable_scale(weights * 0) == 0
    assert zero.nearest_scale(99) == 7
    assert zero.nearest_scale(-99) == -9


def test_header_commits_to_graph_data_and_seed() -> None:
    backend = HashedBackend(GRAPH.size)
    data, exact, files = gradient().committed(backend, by_beacon=False)
    assert (exact.seed, exact.visibility, exact.cells, exact.shards) == (3, "private", b"", ())
    assert len(data.root) == 32
    assert len(files.secrets.salts) == 1
    again, _, _ = gradient().committed(backend, by_beacon=False)
    assert again.root != data.root  # salted
    data, exact, _ = gradient(public=True).committed(backend, by_beacon=False)
    assert (exact.visibility, data.root, len(exact.cells)) == ("public", b"", 32)
    with pytest.raises(UsageError, match="seed=3 of the ExactGradient: the beacon gives the order's seed"):
        gradient().committed(backend, by_beacon=True)


def test_seeds_that_are_not_given_differ() -> None:
    assert gradient(seed=None).seed != gradient(seed=None).seed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0; it must be an integer of 1 to 8,192"),
        ({"batch_size": 8.0}, "batch_size is 8.0; it must be an integer"),
        ({"batch_size": "8"}, "batch_size is '8'; it must be an integer"),
        ({"batch_size": 8193}, "batch_size is 8193; it must be an integer of 1 to 8,192"),
        ({"batch_size": 51}, "batch_size is 51, and the data have 50 examples: lower it"),
        ({"seed": -1}, "the order's seed is -1; it must be an integer of 0 to 18,446,744,073,709,551,615"),
        ({"seed": 2**64}, "the order's seed is 18446744073709551616"),
        ({"seed": 0.5}, "the order's seed is 0.5"),
    ],
    ids=range(8),
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        gradient(**arguments)


def test_batch_larger_than_a_shard_is_refused() -> None:
    wide = exact_graph(nn.Linear(2**17, 2), features=2**17)
    data = (np.zeros((10, 2**17), np.float32), np.zeros(10, int))
    with pytest.raises(
        UsageError, match="batch_size is 8, and a batch is of one shard of the data, of which the smallest has 5"
    ):
        ExactGradient(wide, data, 8)


def test_graph_of_another_kind_is_refused() -> None:
    nothing: Any = MODEL
    with pytest.raises(UsageError, match="the graph is a Linear; give what exact_graph makes of the model"):
        ExactGradient(nothing, (X, Y), 8)


def test_float_loss_is_the_models_and_a_plain_graph_has_none(weights: IntArray) -> None:
    exact = gradient(6)
    floating = exact.float_loss(1)
    assert floating is not None
    assert exact.step(weights, 1, 0).loss == pytest.approx(floating, abs=3e-4)
    assert ExactGradient(Graph(GRAPH.units, GRAPH.tensors), (X, Y), 6, 3).float_loss(1) is None


def test_whatever_multiplies_the_gradient_is_the_same(weights: IntArray) -> None:
    products: list[tuple[int, ...]] = []
    torchs = TorchMatmul()

    def counted(x: Floats, y: Floats) -> Floats:
        products.append(x.shape)
        return torchs(x, y)

    found, wanted = gradient(matmul=counted).step(weights, 1, 0), gradient().step(weights, 1, 0)
    assert products == [(8, 4), (3, 8)]
    assert (found.G.tolist(), found.loss) == (wanted.G.tolist(), wanted.loss)


def test_one_order_for_one_gradient() -> None:
    exact = gradient()
    exact.take_order(Order(exact.shards, 8, 3))
    exact.take_order(Order(exact.shards, 8, 3))
    with pytest.raises(UsageError, match="another optimizer's, with another order"):
        exact.take_order(Order(exact.shards, 8, 4))
