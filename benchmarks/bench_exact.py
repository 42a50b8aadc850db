"""What an exact step costs against torch's: forward, backward and update, without a record; and
what its replay costs against the training.

    python -m benchmarks.bench_exact [--json] [--rounds N] [--only PART,PART]

The parts: `step` (the digits' network at batches of 32, and one of 10^6 parameters at 64, against
torch in float32 with torch.optim.Adam as it is by default), `pass` (its gradient alone) and
`replay` (an auditor's recomputation against the recorded training that it repeats, which proves
nothing).

One thread, torch, NumPy and the kernel. Two models take turns, so that both see the same machine; a
ratio is the median over the rounds of one step's time over the other's.
"""

import argparse
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.figures import Figure, Goal, conditions, emit
from benchmarks.step_pairs import EPS, LR, SIGNER, WARM_UP
from zk_autograd.core.first_weights import order_of
from zk_autograd.core.graph import text
from zk_autograd.evidence.openings import Openings
from zk_autograd.optim import ZKOptimizer
from zk_autograd.optim.exact import ExactGradient, exact_graph
from zk_autograd.prove.choice import backend_of_run
from zk_autograd.prove.hashed.verify import HashedSystem
from zk_autograd.run.opening import Opening, data_secrets
from zk_autograd.run.recorded import recorded
from zk_autograd.verify.replay import Recomputation

ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"), "1")
PARTS = ("step", "pass", "replay")
EXAMPLES = 1797


@dataclass(frozen=True, slots=True)
class Network:
    """A network of full layers, its batch, and what its step must cost at most, and should."""

    name: str
    widths: tuple[int, ...]
    batch: int
    goal: Goal

    @property
    def parameters(self) -> int:
        return sum((a + 1) * b for a, b in zip(self.widths, self.widths[1:], strict=False))

    def model(self) -> nn.Sequential:
        """The same at each call."""
        torch.manual_seed(0)
        layers: list[nn.Module] = []
        for inputs, outputs in zip(self.widths, self.widths[1:], strict=False):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        return nn.Sequential(*layers[:-1])

    def data(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Features, standard normal, and labels."""
        generator = torch.Generator().manual_seed(1)
        features = torch.randn(EXAMPLES, self.widths[0], generator=generator)
        return features, torch.randint(0, self.widths[-1], (EXAMPLES,), generator=generator)

    def gradient(self, model: nn.Sequential) -> ExactGradient:
        features, labels = self.data()
        graph = exact_graph(model, loss="cross-entropy", features=self.widths[0])
        return ExactGradient(graph, (features.numpy(), labels.numpy()), batch_size=self.batch, seed=7)


DIGITS = Network("digits", (64, 64, 10), 32, Goal(6, 2.5, at_most=True))
MILLION = Network("million", (784, 600, 600, 256, 10), 64, Goal(6, 3, at_most=True))


def figures(rounds: int, parts: list[str]) -> Iterator[Figure]:
    """All figures of this benchmark, as they come."""
    yield conditions()
    torch.set_num_threads(1)
    for network, count in ((DIGITS, 10 * rounds), (MILLION, rounds)):
        if "step" in parts:
            yield from step(network, count)
        if "pass" in parts:
            yield gradient_alone(network, count)
    if "replay" in parts:
        yield replay(DIGITS, 512)
        yield replay(MILLION, 24)


def step(network: Network, rounds: int) -> Iterator[Figure]:
    """A whole step against torch's."""
    model = network.model()
    own = ZKOptimizer(model.named_parameters(), "adam", LR, eps=EPS, gradient=network.gradient(model))
    taken = in_turns(rounds, {"exact": own.step, "torch": torch_step(network)})
    pairs = zip(taken["exact"], taken["torch"], strict=True)
    ms = {name: 1000 * statistics.median(seconds) for name, seconds in taken.items()}
    ratio = statistics.median(exact / other for exact, other in pairs)
    what = f"{network.parameters:,} parameters, B = {network.batch}: {ms['exact']:.3f} ms for {ms['torch']:.3f} ms"
    name = f"exact.step.{network.name}.ratio_to_torch"
    yield Figure(name, float(f"{ratio:.3g}"), f"x torch.optim.Adam, float32, {what}", goal=network.goal)


def gradient_alone(network: Network, rounds: int) -> Figure:
    """Forward and backward pass without the update, against torch's."""
    model = network.model()
    gradient = network.gradient(model)
    weights = np.concatenate([np.rint(p.detach().numpy().ravel() * 2.0**32) for p in model.parameters()])
    integers, k, steps = weights.astype(np.int64), 0, iter(range(1, 10**9))
    k = gradient.suitable_scale(integers)
    taken = in_turns(
        rounds,
        {
            "exact": lambda: gradient.step(integers, next(steps), k),
            "torch": torch_step(network, update=False),
        },
    )
    ratio = statistics.median(a / b for a, b in zip(taken["exact"], taken["torch"], strict=True))
    what = f"x torch's forward and backward, {network.parameters:,} parameters, B = {network.batch}"
    return Figure(f"exact.pass.{network.name}.ratio_to_torch", float(f"{ratio:.3g}"), what)


def replay(network: Network, steps: int) -> Figure:
    """Steps that an auditor computes again in a second: all segments of a run, opened in clear."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        model = network.model()
        gradient = network.gradient(model)
        with ZKOptimizer(
            model.named_parameters(), "adam", LR, eps=EPS, run=path, prover="none", key=SIGNER, gradient=gradient
        ) as own:
            own.step()
            began = time.perf_counter()
            for _ in range(steps - 1):
                own.step()
        trained = (steps - 1) / (time.perf_counter() - began)
        found = recorded(path)
        header = found.log.header
        backend = backend_of_run(header.prover, header.prover.backend, None, found.layout.private)
        pieces = Opening(found, backend).pieces(found.all(), data_secrets(found, backend), lambda *_: None)
        openings = Openings(io.BytesIO(b"".join(pieces)), found.log)
        graph = text.parse(text.encode(gradient.graph))
        order = order_of(header, found.log.header_digest, b"")
        assert order is not None
        recompute = Recomputation(found.log, graph, order, gradient.cells, HashedSystem())
        began = time.perf_counter()
        for opened in openings.segments():
            recompute.segment(opened)
        replayed = steps / (time.perf_counter() - began)
    return Figure(
        f"exact.replay_steps_per_s.{network.name}",
        float(f"{replayed:.3g}"),
        f"steps/s, {network.parameters:,} parameters, B = {network.batch}",
        "the training, recorded without proofs",
        replayed / trained,
    )


def torch_step(network: Network, *, update: bool = True) -> Callable[[], object]:
    """A step of torch on batches of random rows, taken beforehand."""
    model = network.model()
    optimizer = torch.optim.Adam(model.parameters(), LR, eps=EPS)
    features, labels = network.data()
    generator = torch.Generator().manual_seed(2)

    def taken() -> None:
        rows = torch.randint(0, EXAMPLES, (network.batch,), generator=generator)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(features[rows]), labels[rows]).backward()
        if update:
            optimizer.step()

    return taken


def in_turns(rounds: int, steps: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Seconds of each step, by name; every other round is in reverse order."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + WARM_UP):
        for name in list(steps)[:: 1 if number % 2 else -1]:
            began = time.perf_counter()
            steps[name]()
            taken = time.perf_counter() - began
            if number >= WARM_UP:
                seconds[name].append(taken)
    return seconds


def main() -> None:
    """Measures and prints."""
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):  # read when NumPy is loaded
        command = [sys.executable, "-m", "benchmarks.bench_exact", *sys.argv[1:]]
        sys.exit(subprocess.run(command, check=False, env=os.environ | ONE_THREAD).returncode)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--rounds", type=int, default=60, help="steps of the large network (default 60)")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, of {','.join(PARTS)} (default all)")
    arguments = parser.parse_args()
    parts = arguments.only.split(",")
    if unknown := {*parts} - {*PARTS}:
        parser.error(f"there is no part {min(unknown)}; it is one of {', '.join(PARTS)}")
    emit(figures(arguments.rounds, parts), as_json=arguments.json)


if __name__ == "__main__":
    main()
