"""Runs with exact gradients, made by the trainer's own code, honest or not, and what they open."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tests.verify.run_builder import SIGNER
from zk_autograd.core.hyper import Rule
from zk_autograd.evidence.openings import CHOSEN
from zk_autograd.optim.exact import ExactGradient, exact_graph
from zk_autograd.optim.optimizer import ZKOptimizer
from zk_autograd.prove.choice import backend_of_run
from zk_autograd.prove.hashed.backend import HashedBackend
from zk_autograd.prove.native.backend import NativeBackend
from zk_autograd.prove.native.preset import Preset
from zk_autograd.prove.native.shape import Shape
from zk_autograd.prove.protocol import Backend
from zk_autograd.run.opening import Opening, data_secrets
from zk_autograd.run.recorded import Choice, recorded

EXAMPLES, FEATURES, CLASSES, BATCH, STEPS, SEGMENT = 50, 4, 3, 6, 20, 8
"""Of the runs here: batches of 6, padded to 8 by dead examples; segments 1..8, 9..16, 17..20."""


def data(seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, CLASSES, EXAMPLES)
    features = generator.normal(size=(EXAMPLES, FEATURES)) + labels[:, None]
    return features.astype(np.float32), labels


def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(FEATURES, 5), nn.ReLU(), nn.Linear(5, CLASSES))


def graph(loss: str = "cross-entropy") -> Any:
    return exact_graph(model(), features=FEATURES, loss=loss)


def backend(name: str) -> Backend:
    """Small ones, of blocks that the runs' 43 parameters don't fill."""
    if name == "none":
        return HashedBackend(block=32, steps=SEGMENT)
    return NativeBackend(Shape(Rule.ADAM, Preset.STANDARD, 13, 3))


def gradient(**options: Any) -> ExactGradient:
    return ExactGradient(graph(), data(), BATCH, 7, **options)


def train(
    path: Path,
    prover: str | Backend = "none",
    exact: ExactGradient | None = None,
    steps: int = STEPS,
    **options: Any,
) -> Path:
    """A finished run at `path`, with the trainer's key in KEY.pub's form in the log's header."""
    own = model() if exact is None or not hasattr(exact.graph, "model") else exact.graph.model
    chosen = exact or ExactGradient(exact_graph(own, features=FEATURES), data(), BATCH, 7)
    made = backend(prover) if isinstance(prover, str) else prover
    options = {
        "rule": "adam",
        "lr": "0.01",
        "eps": "0.000001",
        "publish": True,
        "key": [SIGNER],
        "register": False,
        **options,
    }
    with ZKOptimizer(own.named_parameters(), run=path, prover=made, gradient=chosen, **options) as optimizer:
        for _ in range(steps):
            optimizer.step()
    return path


def opened(run: Path, segments: Sequence[int] | None = None, chosen: str = "trainer") -> bytes:
    """The openings of a run's segments (None: all), in clear."""
    assert chosen in CHOSEN
    found = recorded(run)
    whole = found.all()
    choice = whole if segments is None else Choice(tuple(segments), whole.root, whole.size, chosen)
    own = backend_of_run(found.log.header.prover, found.log.header.prover.backend, None, found.layout.private)
    try:
        return b"".join(Opening(found, own).pieces(choice, data_secrets(found, own), lambda *_: None))
    finally:
        own.stop()
