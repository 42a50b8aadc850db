"""Training on exact gradients against torch in float32: the same first weights, the same batches in
the same order, Adam with the same hyper-parameters.

    python -m benchmarks.exact_parity [--json] [--seeds N]

On digits, for each model: the mean accuracy on the test rows, with exact gradients against floats;
the largest difference of a seed, in test rows; the last losses, a mean over 50 steps; and how far
the first batch's gradient is off, as the norm of the difference over the norm. What is beyond
roundings there comes from ReLUs that are so close to 0 that they fall on the other side.
"""

import argparse
import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.figures import Figure, Goal, conditions, emit
from zk_autograd.core.formats import GRADIENT_BITS
from zk_autograd.core.graph.formats import ONE
from zk_autograd.optim import ExactGradient, ZKOptimizer, exact_graph
from zk_autograd.train import data
from zk_autograd.train.data import DataSet
from zk_autograd.train.names import DataName

LR, EPS = 0.003, 1e-6
LAST = 50
DIFFERENCE = Goal(0.005, 0.002, at_most=True)


@dataclass(frozen=True, slots=True)
class Shape:
    """A model's hidden widths, and how it is trained."""

    hidden: tuple[int, ...]
    batch_size: int
    steps: int

    @property
    def name(self) -> str:
        return f"64-{'-'.join(map(str, self.hidden))}-10.batch{self.batch_size}"


DIGITS = Shape((64,), 32, 600)
SHAPES = (DIGITS, Shape((64,), 64, 600), Shape((256, 256), 64, 300))


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """What became of one seed: each step's loss, and for each of the steps in `seen` the share of
    the test rows that were right, the last one among them; the exact pass first, then floats."""

    seen: tuple[int, ...]
    losses: tuple[NDArray[np.float64], NDArray[np.float64]]
    right: tuple[NDArray[np.float64], NDArray[np.float64]]
    gradient_error: float

    @property
    def accuracy(self) -> tuple[float, float]:
        exact, floats = self.right
        return float(exact[-1]), float(floats[-1])


def model_of(shape: Shape, seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    widths = (64, *shape.hidden, 10)
    layers = [layer for i in range(len(widths) - 1) for layer in (nn.Linear(widths[i], widths[i + 1]), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def course(shape: Shape, seed: int, every: int = 0) -> Course:
    """Trains both; looks at the test rows after each `every` steps, and after the last."""
    digits = data.load(DataName.DIGITS, seed)
    exact = model_of(shape, seed)
    floats = copy.deepcopy(exact)
    graph = exact_graph(exact, features=64)
    gradient = ExactGradient(graph, (digits.train.features, digits.train.labels), shape.batch_size, seed)
    zk = ZKOptimizer(exact.named_parameters(), "adam", LR, eps=EPS, gradient=gradient)
    adam = torch.optim.Adam(floats.parameters(), lr=LR, eps=EPS)
    seen = tuple(step for step in range(1, shape.steps + 1) if step == shape.steps or (every and step % every == 0))
    losses: tuple[list[float], list[float]] = ([], [])
    right: tuple[list[float], list[float]] = ([], [])
    error = 0.0
    for step in range(1, shape.steps + 1):
        if step == 1:
            integers = gradient.step(zk.integers["W"], 1, 0).G / 2.0**GRADIENT_BITS
        losses[0].append(zk.step())
        cells = torch.from_numpy(gradient.batch(step))
        adam.zero_grad()
        loss = nn.functional.cross_entropy(floats(cells[:, :64] / ONE), cells[:, 64:].argmax(1))
        loss.backward()
        if step == 1:
            wanted = np.concatenate([p.grad.numpy().reshape(-1) for p in floats.parameters() if p.grad is not None])
            error = float(np.linalg.norm(integers - wanted) / np.linalg.norm(wanted))
        adam.step()
        losses[1].append(float(loss.detach()))
        if step in seen:
            for found, model in zip(right, (exact, floats), strict=True):
                found.append(accuracy(model, digits))
    return Course(
        seen,
        (np.array(losses[0]), np.array(losses[1])),
        (np.array(right[0]), np.array(right[1])),
        error,
    )


def accuracy(model: nn.Module, digits: DataSet) -> float:
    """The share of the test rows that are right."""
    with torch.no_grad():
        found = model(torch.from_numpy(digits.test.features)).argmax(1).numpy()
    return float((found == digits.test.labels).mean())


def figures(shape: Shape, courses: Sequence[Course]) -> Iterator[Figure]:
    """The table's lines of one model."""
    exact, floats = (np.array(pair) for pair in zip(*(one.accuracy for one in courses), strict=True))
    name = f"exact.parity.{shape.name}"
    yield Figure(f"{name}.accuracy", round(float(exact.mean()), 5), "of the test rows")
    yield Figure(f"{name}.float", round(float(floats.mean()), 5), "of the test rows")
    difference = abs(float(exact.mean() - floats.mean()))
    yield Figure(f"{name}.difference", round(difference, 5), f"mean of {len(courses)} seeds", goal=DIFFERENCE)
    yield Figure(f"{name}.largest", round(float(np.abs(exact - floats).max()), 5), "largest of a seed")
    last = [float(np.mean([one.losses[i][-LAST:].mean() for one in courses])) for i in (0, 1)]
    yield Figure(f"{name}.loss", round(last[0], 5), "nats", "float", round(last[0] / last[1], 4))
    errors = [one.gradient_error for one in courses]
    yield Figure(f"{name}.first_gradient", round(max(errors), 5), "relative error, the largest of the seeds")


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--json", action="store_true")
    flags.add_argument("--seeds", type=int, default=5)
    arguments = flags.parse_args()
    torch.set_num_threads(1)
    emit([conditions()], as_json=arguments.json)
    for shape in SHAPES:
        courses = [course(shape, seed) for seed in range(arguments.seeds)]
        emit(figures(shape, courses), as_json=arguments.json)


if __name__ == "__main__":
    main()
