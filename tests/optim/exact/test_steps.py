"""ZKOptimizer with exact gradients: its steps, whose tensors it takes, and who else may not have a
part in them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests import trainer_key
from tests.optim.exact.autograd import weights_of
from tests.optim.exact.problem import SEED, X, Y, gradient, network, optimizer
from tests.optim.test_recorded_run import log_of
from tests.run.beacons import HashBeacon
from zk_autograd.core.errors import UsageError
from zk_autograd.core.first_weights import first_weights
from zk_autograd.core.formats import dequantize_weight
from zk_autograd.core.graph import Graph, UnitRangeError
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.core.order import Order
from zk_autograd.core.rules import initial_state
from zk_autograd.credentials import keyfile
from zk_autograd.kernels.reference import REFERENCE
from zk_autograd.optim import ExactGradient, ZKOptimizer, exact_graph
from zk_autograd.optim.optimizer import ExactLossDiffers

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::zk_autograd.optim.trajectory.CoarseEps")]


def floats(model: nn.Module) -> list[np.ndarray]:
    return [parameter.detach().numpy().copy() for parameter in model.parameters()]


# ---- steps ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", ["native", "torch"])
def test_steps_are_the_rule_over_the_exact_gradients_of_the_orders_batches(
    kernel: str, tmp_path: Path, signer: Ed25519Signer, native_prover: None
) -> None:
    model, exact = network(), gradient(network())
    W = weights_of(model)
    with optimizer(model, kernel=kernel, run=tmp_path / "run", prover="none", key=signer, register=False) as zk:
        losses = [zk.step() for _ in range(8)]
        header, state = zk.header, zk.integers
    assert header is not None
    stepper = REFERENCE.stepper(header.rule, header.parameters, initial_state(header.rule, W))
    order = Order(exact.shards, 16, SEED)
    for t in range(1, 9):
        G, loss = ExactGradient(exact.graph, exact.cells[order.batch(t)], 16, 0).step(stepper.weights, 1, 0)
        assert losses[t - 1] == pytest.approx(loss)
        stepper.step(G, [header.sequence(0).at(t, header.sequence(0).hyper.lr)])
    assert all(np.array_equal(state[name], values) for name, values in stepper.state.items())
    assert all(isinstance(loss, float) for loss in losses)
    written = np.concatenate([values.reshape(-1) for values in floats(model)])
    assert np.array_equal(written, dequantize_weight(state["W"]))


def test_loss_falls_without_a_run_and_the_header_says_what_it_would_be() -> None:
    zk = optimizer(network(), lr="0.03")
    losses = [zk.step() for _ in range(60)]
    assert np.mean(losses[-3:]) < 0.3 * np.mean(losses[:3])
    assert zk.header is not None
    assert zk.header.exact is not None
    assert zk.header.exact.seed == SEED


def test_model_with_a_tensor_that_is_not_contiguous() -> None:
    plain: Any = network()
    turned: Any = network()
    with torch.no_grad():
        turned[0].weight = nn.Parameter(turned[0].weight.detach().t().contiguous().t())
    assert not turned[0].weight.is_contiguous()
    one, other = optimizer(plain), optimizer(turned)
    assert [one.step() for _ in range(3)] == [other.step() for _ in range(3)]
    assert all(np.array_equal(a, b) for a, b in zip(floats(plain), floats(turned), strict=True))


def test_noted_loss_is_recorded_in_place_of_the_integers(tmp_path: Path, signer: Ed25519Signer) -> None:
    with optimizer(network(), run=tmp_path / "run", prover="none", key=signer, register=False) as zk:
        first = zk.step()
        zk.note(loss=0.5, loop_state=b"there")
        second = zk.step()
        assert zk.loop_state == b"there"
    assert [float(text) for segment in log_of(tmp_path / "run").segments for text in segment.loss] == [first, 0.5]
    assert second != 0.5


def test_grad_scale_auto_is_chosen_by_the_first_batch_alone() -> None:
    model: Any = network()
    small = gradient(model, data=(X / 64, Y))
    zk = optimizer(model, grad_scale="auto", gradient=small)
    wanted = gradient(network(), data=(X / 64, Y)).suitable_scale(weights_of(model))
    zk.step()
    assert zk.header is not None
    assert zk.header.grad_scale == wanted != 0


@pytest.mark.parametrize(("scale", "batch_size"), [(9, 16), (-9, 16), (5, 1), (-13, 1)])
def test_grad_scale_that_does_not_go_with_the_batch_is_refused(scale: int, batch_size: int) -> None:
    model: Any = network()
    with pytest.raises(UsageError, match=f"grad_scale doesn't go with the batch of exact gradients.*found {scale}"):
        optimizer(model, grad_scale=scale, gradient=gradient(model, batch_size=batch_size))


def test_state_dict_continues_bit_for_bit() -> None:
    whole, model = optimizer(network()), network()
    expected = [whole.step() for _ in range(7)]
    first = optimizer(model)
    assert [first.step() for _ in range(4)] == expected[:4]
    other = network(seed=6)
    second = optimizer(other)
    second.step()
    second.load_state_dict(first.state_dict())
    assert [second.step() for _ in range(3)] == expected[4:]
    assert all(np.array_equal(second.integers[name], values) for name, values in whole.integers.items())


# ---- whose tensors -------------------------------------------------------------------------------


def test_tensors_must_be_the_graphs_own_in_its_order() -> None:
    model, other = network(), network()
    exact = gradient(model)
    with pytest.raises(UsageError, match=r"the optimizer's tensor 0.weight is not 0.weight of the graph's model"):
        ZKOptimizer(other.named_parameters(), gradient=exact)
    turned = list(model.named_parameters())[::-1]
    with pytest.raises(UsageError, match=r"the optimizer's tensor 2.bias is not 0.weight of the graph's model"):
        ZKOptimizer(turned, gradient=exact)
    with pytest.raises(UsageError, match="the graph has 4 tensors, and the optimizer 3"):
        ZKOptimizer(list(model.named_parameters())[:3], gradient=exact)
    model[2].bias.requires_grad_(False)
    with pytest.raises(UsageError, match="the graph has 4 tensors, and the optimizer 3"):
        ZKOptimizer(model.named_parameters(), gradient=exact)


def test_graph_that_is_no_models_is_compared_by_shapes() -> None:
    model, graph = network(), exact_graph(network(), features=4)
    plain = Graph(graph.units, graph.tensors)
    of_graph, of_model = optimizer(model, gradient=ExactGradient(plain, (X, Y), 16, SEED)), optimizer(network())
    assert [of_graph.step() for _ in range(3)] == [of_model.step() for _ in range(3)]
    turned = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))
    with pytest.raises(
        UsageError, match=r"0.weight has the shape \(4, 6\), and the graph's tensor in its place \(6, 4\)"
    ):
        optimizer(turned, gradient=ExactGradient(plain, (X, Y), 16, SEED))


def test_groups_have_their_own_hyper_parameters() -> None:
    model: Any = network()
    names = list(model.named_parameters())
    zk = ZKOptimizer(
        [{"params": names[:2], "lr": "0.5"}, {"params": names[2:], "lr": "0.25"}], "sgd", gradient=gradient(model)
    )
    before = floats(model)
    zk.step()
    assert all((a != b).any() for a, b in zip(before, floats(model), strict=True))


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    "change",
    [
        lambda tensor: tensor.data.mul_(2),
        lambda tensor: tensor.detach().numpy().__setitem__((0, 0), 0.25),
        nn.init.zeros_,
    ],
    ids=["data", "numpy", "init"],
)
def test_weights_that_somebody_else_changed_are_noticed(first: bool, change: Callable[[torch.Tensor], Any]) -> None:
    model: Any = network()
    zk = optimizer(model)
    if not first:
        zk.step()
    steps, before, kept = zk.steps, zk.integers, model[2].weight.detach().clone()
    change(model[2].weight)
    with pytest.raises(UsageError, match=r"2.weight was changed by something else since the last step"):
        zk.step()
    assert zk.steps == steps
    assert all(np.array_equal(zk.integers[name], values) for name, values in before.items())
    model[2].weight.data.copy_(kept)
    zk.step()


# ---- others' part in a step ----------------------------------------------------------------------


def backward(model: nn.Module) -> None:
    nn.functional.cross_entropy(model(torch.from_numpy(X)), torch.from_numpy(Y)).backward()


def test_gradient_of_autograds_is_refused_before_there_is_a_run(tmp_path: Path, signer: Ed25519Signer) -> None:
    model: Any = network()
    zk = optimizer(model, run=tmp_path / "run", prover="none", key=signer, register=False)
    backward(model)
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    message = r"0.weight has a gradient of autograd's, whose floats L3 can't recompute: .*clip_grad_norm_.*accumulation"
    with pytest.raises(UsageError, match=message):
        zk.step()
    assert not (tmp_path / "run").exists()
    zk.zero_grad(set_to_none=False)
    zk.step()
    assert zk.steps == 1
    zk.abandon()


def test_closure_is_refused() -> None:
    model: Any = network()
    zk = optimizer(model)

    def closure() -> float:
        raise AssertionError("is not called")

    with pytest.raises(UsageError, match=r"step\(closure\) is for autograd's gradients"):
        zk.step(closure)
    assert isinstance(zk.step(), float)


def test_grad_scaler_is_refused_by_name() -> None:
    model: Any = network()
    zk = optimizer(model)
    scaler = torch.amp.GradScaler("cpu")
    scaler.scale(torch.ones(()))
    with pytest.raises(UsageError, match="GradScaler scales autograd's gradients, and exact ones are integers"):
        scaler.step(zk)
    assert isinstance(zk.step(), float)  # and left nothing behind


def test_what_is_no_exact_gradient_is_refused() -> None:
    model: Any = network()
    with pytest.raises(UsageError, match="gradient is a ModelGraph; give an ExactGradient, of a graph and data"):
        optimizer(model, gradient=exact_graph(model, features=4))


def test_what_the_header_would_say_of_float_gradients_data_is_refused() -> None:
    from zk_autograd.core.records import Data

    with pytest.raises(UsageError, match="data= says what autograd's gradients are of: leave it out"):
        optimizer(network(), data=Data(bytes(32), 60, "mine", 16, b""))


# ---- ranges and warnings -------------------------------------------------------------------------


def test_first_step_out_of_range_leaves_no_directory_and_a_later_one_records_nothing(
    tmp_path: Path, signer: Ed25519Signer
) -> None:
    wild: Any = network()
    with torch.no_grad():
        wild[2].weight[1, 3] = 65.0
    zk = optimizer(wild, run=tmp_path / "run", prover="none", key=signer, register=False)
    with pytest.raises(UnitRangeError, match="a weight of layer 2, unit 1, is 65 and must stay below 64") as error:
        zk.step()
    assert (error.value.tensor, error.value.index, error.value.example) == ("layer 2", 1, -1)
    assert not (tmp_path / "run").exists()
    with torch.no_grad():
        wild[2].weight[1, 3] = 0.0
    model: Any = network()
    later = optimizer(model, rule="lion", lr="0.2", run=tmp_path / "run", prover="none", key=signer, register=False)
    for _ in range(200):
        before, steps = later.integers, later.steps
        try:
            later.step()
        except UnitRangeError as found:
            assert f"{found.what} of layer " in str(found)
            break
    else:
        raise AssertionError("weights of any size are in range")
    assert later.steps == steps > 0
    assert all(np.array_equal(later.integers[name], values) for name, values in before.items())
    with pytest.raises(UnitRangeError):  # the same again: it depends on nothing else
        later.step()
    later.close()
    close = log_of(tmp_path / "run").close
    assert close is not None
    assert close.last_step == steps


def rounded_away() -> Any:
    """Its hidden numbers are below half a unit of 2^-12, and its outputs aren't."""
    model: Any = nn.Sequential(nn.Linear(4, 64, bias=False), nn.ReLU(), nn.Linear(64, 3, bias=False))
    with torch.no_grad():
        model[0].weight.fill_(0.00002)
        model[2].weight.copy_(torch.tensor([[30.0], [-30.0], [0.0]]).expand(3, 64))
    return model


def test_loss_that_is_not_the_float_models_is_warned_of_once(tmp_path: Path, signer: Ed25519Signer) -> None:
    data = (np.abs(X), Y)
    model = rounded_away()
    zk = optimizer(
        model, gradient=gradient(model, data=data), run=tmp_path / "run", prover="none", key=signer, register=False
    )
    message = r"the loss of the first batch is 1\.09\d* in integers, and \d.\d* by the float model"
    with pytest.raises(ExactLossDiffers, match=message):  # an error here
        zk.step()
    assert not (tmp_path / "run").exists()
    with pytest.warns(ExactLossDiffers) as warned:
        optimizer(model, gradient=gradient(model, data=data)).step()
    assert len(warned) == 1
    assert warned[0].filename == __file__


# ---- beacons -------------------------------------------------------------------------------------


def test_beacon_gives_first_weights_and_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    trainer_key.create(keyfile.default_path(), "trainer")
    model: Any = network()
    options = {"run": tmp_path / "run", "prover": "none", "start": HashBeacon(tmp_path / "anchored")}
    with pytest.raises(UsageError, match="seed=11 of the ExactGradient: the beacon gives the order's seed"):
        optimizer(model, order_by_beacon=True, **options)
    with optimizer(model, order_by_beacon=True, gradient=gradient(model, seed=None), **options) as zk:
        zk.start()
        assert zk.header is not None
        assert zk.header.exact is not None
        assert zk.header.exact.seed is None
        seed, W = zk.order_seed, zk.integers["W"]
        assert seed is not None
        first = zk.step()
        zk.step()
        exact = gradient(network(), seed=seed)
        assert first == exact.step(W, 1, 0).loss
        zk.abandon()
    digest = zk._trajectory.header_digest
    assert np.array_equal(W, first_weights(zk.header, digest, zk.beacon))
    other = network(seed=8)
    with optimizer(
        other, resume=True, gradient=gradient(other, seed=None), run=tmp_path / "run", prover="none"
    ) as again:
        W = again.integers["W"]
        assert again.step() == exact.step(W, 3, 0).loss
