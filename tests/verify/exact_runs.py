"""Runs with exact gradients, made by the trainer's own code, honest or not, and what they open."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tests.verify.run_builder import SIGNER
from zk_autograd.core.cells import Cells
from zk_autograd.core.hyper import Rule
from zk_autograd.optim.exact import ExactGradient, exact_graph
from zk_autograd.optim.exact.model_graph import ModelGraph
from zk_autograd.optim.optimizer import ZKOptimizer
from zk_autograd.prove.choice import backend_of_run
from zk_autograd.prove.hashed.backend import HashedBackend
from zk_autograd.prove.native.backend import NativeBackend
from zk_autograd.prove.native.preset import Preset
from zk_autograd.prove.native.shape import Shape
from zk_autograd.prove.protocol import Backend
from zk_autograd.run.exact_files import ExactFiles
from zk_autograd.run.opening import Opening, data_secrets
from zk_autograd.run.recorded import Choice, recorded
from zk_autograd.verify.challenge import Challenge

EXAMPLES, FEATURES, CLASSES, BATCH, STEPS, SEGMENT, SEED = 50, 4, 3, 6, 20, 8, 7
"""Of the runs here: batches of 6, padded to 8 by dead examples; segments 1..8, 9..16, 17..20; the
order's seed."""


def data(seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, CLASSES, EXAMPLES)
    features = generator.normal(size=(EXAMPLES, FEATURES)) + labels[:, None]
    return features.astype(np.float32), labels


def model() -> nn.Sequential:
    """The same weights each time."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(FEATURES, 5), nn.ReLU(), nn.Linear(5, CLASSES))


def graph_of(own: nn.Sequential, loss: str = "cross-entropy") -> ModelGraph:
    return exact_graph(own, features=FEATURES, loss=loss)


def backend(name: str) -> Backend:
    """Small ones. The blocks of `none` are smaller than the runs' 43 parameters."""
    if name == "none":
        return HashedBackend(block=32, steps=SEGMENT)
    return NativeBackend(Shape(Rule.ADAM, Preset.STANDARD, 13, 3))


def gradient(seed_of_data: int = 0, **options: Any) -> ExactGradient:
    """The honest one, of a model of its own."""
    return ExactGradient(graph_of(model()), data(seed_of_data), BATCH, SEED, **options)


def train(
    path: Path, prover: str | Backend = "none", exact: ExactGradient | None = None, steps: int = STEPS, **options: Any
) -> Path:
    """A finished run at `path`, which SIGNER signed; of the honest gradient, if there is none."""
    chosen = exact or gradient()
    made = backend(prover) if isinstance(prover, str) else prover
    wanted: dict[str, Any] = {"rule": "adam", "lr": "0.01", "eps": "0.000001", "publish": True, **options}
    parameters = chosen.graph.model.named_parameters()  # type: ignore[attr-defined]
    with ZKOptimizer(
        parameters, run=path, prover=made, gradient=chosen, key=[SIGNER], register=False, **wanted
    ) as optimizer:
        for _ in range(steps):
            optimizer.step()
    return path


def opened(
    run: Path,
    segments: Sequence[int] | None = None,
    *,
    challenge: Challenge | None = None,
    checked: bool = True,
    own: Backend | None = None,
) -> bytes:
    """The openings of a run's segments (None: all), in clear. `checked`: as `zk-run open` makes
    them, which refuses data that aren't those of the header."""
    found = recorded(run)
    choice = found.all() if challenge is None else found.drawn(challenge)
    if segments is not None:
        choice = Choice(tuple(segments), choice.root, choice.size, "trainer")
    header = found.log.header
    own = own or backend_of_run(header.prover, header.prover.backend, None, found.layout.private)
    try:
        files = ExactFiles.read(found.layout, header, found.log.header_digest)
        secrets = data_secrets(found, own) if checked else files.secrets
        return b"".join(Opening(found, own).pieces(choice, secrets, lambda *_: None))
    finally:
        own.stop()


def cells(run: Path) -> Cells:
    """The data of the run."""
    found = recorded(run)
    return ExactFiles.read(found.layout, found.log.header, found.log.header_digest).cells
