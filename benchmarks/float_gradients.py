"""How far the float gradients of one step are apart between a processor's instructions, and between
numbers of threads: what the tolerance of `zk-run replay` is derived from.

    python benchmarks/float_gradients.py

Each model is trained by Adam on batches of 32 rows of digits. Then processes of their own, one for
each arithmetic (reproduce.gradient_process), compute the gradients of the same weights and rows,
and each is compared with the first by the measures of reproduce.closeness: the largest element and
the norm of the difference, as shares of the gradient's. On a processor without AVX-512 the first
two are the same.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from math import log2
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import nn

from zk_autograd.reproduce.gradient_process import ARITHMETICS

Gradients = list[list[torch.Tensor]]
ROWS = 32


class Attention(nn.Module):
    """A transformer layer over the eight lines of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 32)
        self.layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True)
        self.out = nn.Linear(256, 10)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.out(self.layer(self.embed(rows.reshape(-1, 8, 8))).flatten(1))
        return logits


def deep(activation: type[nn.Module]) -> nn.Module:
    widths = (64, 256, 256, 256)
    hidden = [part for a, b in pairwise(widths) for part in (nn.Linear(a, b), activation())]
    return nn.Sequential(*hidden, nn.Linear(256, 10))


def convolutions() -> nn.Module:
    first, second = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1)
    ends = nn.MaxPool2d(2), nn.Flatten(), nn.Linear(512, 10)
    return nn.Sequential(nn.Unflatten(1, (1, 8, 8)), first, nn.ReLU(), second, nn.ReLU(), *ends)


def wide() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 1024), nn.ReLU(), nn.Linear(1024, 960), nn.ReLU(), nn.Linear(960, 10))


MODELS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "softmax": (lambda: nn.Linear(64, 10), 300),
    "mlp": (lambda: nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)), 300),
    "relu-3x256": (lambda: deep(nn.ReLU), 300),
    "gelu-3x256": (lambda: deep(nn.GELU), 300),
    "mlp-10^6": (wide, 60),
    "transformer": (Attention, 150),
    "convolutions": (convolutions, 100),
}


def data() -> tuple[torch.Tensor, torch.Tensor]:
    features, labels = load_digits(return_X_y=True)
    scaled = (features - features.mean(0)) / (features.std(0) + 1e-9)
    return torch.from_numpy(scaled.astype(np.float32)), torch.from_numpy(labels)


def batch(step: int, count: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(step).permutation(count)[:ROWS].copy())


def computed(name: str, weights: Gradients | None) -> tuple[Gradients, Gradients]:
    """Weights before each step, and gradients: of a training, or at given weights."""
    make, steps = MODELS[name]
    torch.manual_seed(0)
    model = make()
    tensors, (features, labels) = list(model.parameters()), data()
    optimizer = torch.optim.Adam(tensors, lr=1e-3)
    before: Gradients = []
    found: Gradients = []
    for step in range(steps):
        if weights is not None:
            with torch.no_grad():
                for tensor, value in zip(tensors, weights[step], strict=True):
                    tensor.copy_(value)
        before.append([tensor.detach().clone() for tensor in tensors])
        rows = batch(step, len(labels))
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(features[rows]), labels[rows]).backward()
        found.append([tensor.grad.clone() for tensor in tensors if tensor.grad is not None])
        if weights is None:
            optimizer.step()
    return before, found


def share(one: torch.Tensor, other: torch.Tensor) -> float:
    a, b = one.double().numpy(), other.double().numpy()
    apart: NDArray[np.float64] = a - b
    return max(float(np.abs(apart).max() / np.abs(b).max()), float(np.linalg.norm(apart) / np.linalg.norm(b)))


def differences(one: Gradients, other: Gradients) -> list[float]:
    """Of each step, in its worst tensor."""
    return [max(share(a, b) for a, b in zip(x, y, strict=True)) for x, y in zip(one, other, strict=True)]


def child(name: str, threads: int, folder: Path, to: str) -> None:
    torch.set_num_threads(threads)
    _, found = computed(name, torch.load(folder / "weights"))
    torch.save(found, folder / to)


def main() -> None:
    variants = [(one.name, dict(one.environment), 1) for one in ARITHMETICS] + [("two threads", {}, 2)]
    print(f"{'model':14}{'':12}{'largest':>10}{'median':>10}{'> 2^-11':>9}")
    for name in MODELS:
        with TemporaryDirectory() as place:
            torch.set_num_threads(1)
            torch.save(computed(name, None)[0], Path(place) / "weights")
            for to, environment, threads in variants:
                words = [sys.executable, __file__, name, str(threads), place, to.replace(" ", "-")]
                subprocess.run(words, check=True, env={**os.environ, **environment})
            first, *others = (torch.load(Path(place) / to.replace(" ", "-")) for to, _, _ in variants)
        for (to, _, _), other in zip(variants[1:], others, strict=True):
            found = differences(other, first)
            most, middle = (f"2^{log2(x):.1f}" if x else "0" for x in (max(found), median(found)))
            print(f"{name:14}{to:12}{most:>10}{middle:>10}{sum(x > 2**-11 for x in found):>9}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        child(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
    else:
        main()
