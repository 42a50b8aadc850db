"""The models of an enclave: their gradients are right, and the same to the bit wherever they are
computed."""

import ast
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from zk_autograd.enclave import models
from zk_autograd.enclave.models import HIDDEN, Floats, Network, exp, first_weights, log, product, total
from zk_autograd.train.seeded import Purpose, uniform

NETWORKS = {
    "logistic": Network((5, 1)),
    "softmax": Network((5, 3)),
    "mlp": Network((5, 7, 3)),
    "two hidden": Network((5, 7, 6, 3)),
}
ROWS = 11


def weights_of(network: Network, seed: int = 3) -> list[Floats]:
    drawn = [uniform(seed, Purpose.WEIGHTS, i, t.size, 1.0) for i, t in enumerate(network.tensors)]
    return first_weights(network, drawn)


def rows_of(network: Network, rows: int = ROWS) -> tuple[Floats, models.Classes]:
    columns, classes = network.widths[0], max(2, network.widths[-1])
    features = uniform(5, Purpose.SPLIT, 0, rows * columns, 2.0).astype(np.float32).reshape(rows, columns)
    return features, np.arange(rows, dtype=np.int64) % classes


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    network = NETWORKS[name]
    weights, (features, classes) = weights_of(network), rows_of(network)
    _, gradients = network.step(weights, features, classes)
    assert [g.shape for g in gradients] == [t.shape for t in network.tensors]
    by = 2.0**-12  # exact in float32, beside weights below 1
    for tensor, gradient in zip(weights, gradients, strict=True):
        assert gradient.dtype == np.float32
        for index in np.ndindex(tensor.shape):
            before, ends = tensor[index], []
            for sign in (1, -1):
                tensor[index] = before + np.float32(sign * by)
                ends.append((network.step(weights, features, classes)[0], float(tensor[index])))
            tensor[index] = before
            found = (ends[0][0] - ends[1][0]) / (ends[0][1] - ends[1][1])
            assert gradient[index] == pytest.approx(found, abs=2e-6, rel=1e-4), (name, index)


@pytest.mark.torch
@pytest.mark.parametrize("name", NETWORKS)
def test_loss_and_gradients_are_torchs(name: str) -> None:
    import torch

    network = NETWORKS[name]
    weights, (features, classes) = weights_of(network), rows_of(network)
    loss, gradients = network.step(weights, features, classes)
    tensors = [torch.tensor(w, dtype=torch.float64, requires_grad=True) for w in weights]
    value = torch.tensor(features, dtype=torch.float64)
    for i in range(0, len(tensors), 2):
        value = value @ tensors[i].T + tensors[i + 1]
        value = torch.relu(value) if i < len(tensors) - 2 else value
    if value.shape[1] == 1:
        value = torch.cat([torch.zeros_like(value), value], dim=1)
    found = torch.nn.functional.cross_entropy(value, torch.tensor(classes))
    found.backward()
    assert loss == pytest.approx(found.item(), rel=1e-14)
    for tensor, gradient in zip(tensors, gradients, strict=True):
        assert tensor.grad is not None
        np.testing.assert_allclose(gradient, tensor.grad.numpy(), rtol=1e-6, atol=1e-12)
    assert network.predicted(weights, features).tolist() == value.argmax(dim=1).tolist()


@pytest.mark.torch
@pytest.mark.parametrize(("name", "network"), [("logistic", (5, 1)), ("softmax", (5, 3)), ("mlp", (5, HIDDEN, 3))])
def test_names_shapes_and_first_weights_are_zk_trains(name: str, network: tuple[int, ...]) -> None:
    from zk_autograd.train.models import build
    from zk_autograd.train.names import ModelName

    own = Network(network)
    drawn = [uniform(9, Purpose.WEIGHTS, i, t.size, 1 / np.sqrt(t.inputs)) for i, t in enumerate(own.tensors)]
    theirs = dict(build(ModelName(name), 5, 2 if name == "logistic" else 3, 9).named_parameters())
    assert [t.name for t in own.tensors] == list(theirs)
    for tensor, weight in zip(own.tensors, first_weights(own, drawn), strict=True):
        np.testing.assert_array_equal(weight, theirs[tensor.name].detach().numpy())


def test_exp_and_log_are_right() -> None:
    x = np.concatenate([np.linspace(-700, 0, 40_001), [-0.0, -1e-300]])
    np.testing.assert_array_max_ulp(exp(x), np.exp(x), 2)
    assert exp(np.array([-700.1, -1e308, -np.inf])).tolist() == [0, 0, 0]
    assert np.isnan(exp(np.array([np.nan]))[0])
    y = np.concatenate([np.linspace(1, 1000, 40_001), [1e300]])
    assert np.max(np.abs(log(y) - np.log(y)) / np.maximum(1, np.log(y))) < 2**-50


@pytest.mark.parametrize("length", [1, 2, 3, 7, 8, 100])
def test_sums_and_products_are_right(length: int) -> None:
    left, right = (uniform(i, Purpose.ORDER, 0, 4 * length, 1.0).reshape(4, length) for i in (1, 2))
    np.testing.assert_allclose(total(left), left.sum(axis=1), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(product(left, right.T), left @ right.T, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("bad", [np.inf, np.nan, 3e38])
def test_what_overflows_is_not_hidden(bad: float) -> None:
    """Of such gradients there are no integers: the training ends with a GradientError."""
    network = NETWORKS["mlp"]
    weights, (features, classes) = weights_of(network), rows_of(network)
    weights[0][0, 0] = bad
    weights[2][:, 0] = 3e38
    features = np.abs(features) * np.float32(1e38)
    _, gradients = network.step(weights, features, classes)
    assert not all(np.isfinite(g).all() for g in gradients)


def test_the_file_that_a_run_names_stands_alone() -> None:
    """model_code is its digest: nothing else of the package may decide what a gradient is. BLAS
    and vector libraries stay out."""
    tree = ast.parse(Path(models.__file__).read_text())
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else name.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert imported == {"math", "collections.abc", "dataclasses", "typing", "numpy", "numpy.typing"}
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not used & {"exp", "log", "dot", "matmul", "einsum", "sum", "mean", "add", "tensordot", "inner", "power"}
    operators = [node for node in ast.walk(tree) if isinstance(node, ast.BinOp)]
    assert not any(isinstance(node.op, ast.MatMult) for node in operators)
    assert all(isinstance(node.left, ast.Constant) for node in operators if isinstance(node.op, ast.Pow))


ELSEWHERE = """
from hashlib import sha256
import numpy as np
from tests.enclave.test_models import everything
own = everything()
big = np.random.Generator(np.random.Philox(1)).random((64, 257))
print(sha256(own).hexdigest(), sha256((big @ big.T).tobytes()).hexdigest())
"""


def everything() -> bytes:
    """Losses and gradients of networks of many sizes, as bytes."""
    found = b""
    for widths in ((5, 1), (33, 10), (64, 64, 10), (7, 33, 17, 3)):
        network = Network(widths)
        weights, (features, classes) = weights_of(network), rows_of(network, 65)
        for _ in range(2):
            loss, gradients = network.step(weights, features, classes)
            weights = [w - np.float32(0.5) * g for w, g in zip(weights, gradients, strict=True)]
            found += np.float64(loss).tobytes() + b"".join(g.tobytes() for g in gradients)
        found += network.predicted(weights, features).tobytes()
    ends = np.concatenate([np.linspace(-710, 0, 10_001)])
    return found + exp(ends).tobytes() + log(1 - ends).tobytes()


ELSEWHERE_FOUND = "f18de2005e73e7aa1ec808bc4abee610090fe707244a1d57d4657a31556407e7"
"""Of `everything`, as one machine had it."""


def test_the_same_bits_as_on_another_machine() -> None:
    assert sha256(everything()).hexdigest() == ELSEWHERE_FOUND


def _there(**variables: str) -> list[str]:
    env = {**os.environ, **variables, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", ELSEWHERE], env=env, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_the_same_bits_on_every_processor() -> None:
    """NumPy and BLAS take other ways by processor and number of threads. The second digest, of
    BLAS's own product, shows that what is set here does change something."""
    features = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    plain = _there(NPY_DISABLE_CPU_FEATURES=" ".join(features), OPENBLAS_CORETYPE="Nehalem", OPENBLAS_NUM_THREADS="1")
    others = [
        _there(),
        _there(OPENBLAS_CORETYPE="Haswell", OPENBLAS_NUM_THREADS="2"),
        _there(NPY_DISABLE_CPU_FEATURES=" ".join(features), OPENBLAS_NUM_THREADS="4"),
    ]
    assert {own for own, _ in (plain, *others)} == {plain[0]}
    if "fma" in Path("/proc/cpuinfo").read_text():
        assert len({blas for _, blas in (plain, *others)}) > 1
