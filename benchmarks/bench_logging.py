"""What logging costs a step: ZKOptimizer that records and proves nothing (prover none), and without
a run, against torch.optim.Adam.

    python -m benchmarks.bench_logging [--json] [--steps N] [--sizes N,N]

The model is one tensor, whose gradient is set before each step: only `step()` is timed, a median
over the steps, with the optimizers taking turns so that all see the same machine. Where the time
goes is measured in further steps, by the interpreter's profiler. The commitments of sealed segments
are made by another thread meanwhile, which is part of what a step waits for. Everything runs on one
thread, as torch's Adam does for one tensor of this size or is told to here.
"""

import argparse
import cProfile
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from benchmarks.figures import Figure, conditions, emit
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.optim import ZKOptimizer

SIGNER = Ed25519Signer("benchmark", bytes(range(32)))
LR, EPS = 1e-3, 1e-6


def model_of(size: int) -> torch.nn.Module:
    """A model of one tensor with random weights."""
    torch.manual_seed(0)
    return torch.nn.Linear(size, 1, bias=False)


def set_gradient(model: torch.nn.Module, t: int) -> None:
    """A gradient for step `t`."""
    for tensor in model.parameters():
        tensor.grad = torch.randn(tensor.shape, generator=torch.Generator().manual_seed(t)) * 0.01


def zk(model: torch.nn.Module, run: Path | None) -> ZKOptimizer:
    """The optimizer that is measured."""
    return ZKOptimizer(model.named_parameters(), "adam", LR, eps=EPS, run=run, prover="none", key=SIGNER)


def timed(step: Callable[[], object]) -> float:
    """Seconds of a call."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def figures(steps: int, sizes: list[int]) -> Iterator[Figure]:
    """All figures of this benchmark, as they come."""
    yield conditions()
    torch.set_num_threads(1)
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            yield from of_size(size, steps, Path(folder))


def of_size(size: int, steps: int, folder: Path) -> Iterator[Figure]:
    """The figures of one model."""
    models = {name: model_of(size) for name in ("torch", "unrecorded", "recorded")}
    recorded = zk(models["recorded"], folder / "run")
    optimizers: dict[str, torch.optim.Optimizer] = {
        "torch": torch.optim.Adam(models["torch"].parameters(), LR, eps=EPS),
        "unrecorded": zk(models["unrecorded"], None),
        "recorded": recorded,
    }
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    for t in range(steps + 2):
        for name, optimizer in optimizers.items():
            set_gradient(models[name], t)
            found = timed(optimizer.step)
            if t >= 2:  # the first ones make the run, and load code
                seconds[name].append(found)
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    what = f"ms a step of {size:,} parameters"
    peer = "torch.optim.Adam"
    yield Figure(f"logging.{size}.torch_ms", round(1000 * medians["torch"], 3), what)
    for name, text in (
        ("unrecorded", "ZKOptimizer without a run"),
        ("recorded", "ZKOptimizer with a run, prover none"),
    ):
        ratio = medians[name] / medians["torch"]
        yield Figure(f"logging.{size}.{name}_ms", round(1000 * medians[name], 3), f"{what}, {text}", peer, ratio)
    yield from parts(size, steps, models["recorded"], recorded)
    recorded.abandon()


PARTS = {
    "rule": "run/step.py advance",
    "gradients rounded": "optim/gradients.py quantized",
    "weights compared with the last step's": "optim/parameters.py changed",
    "weights written to the model": "optim/parameters.py write",
    "journal: the step encoded and hashed": "run/frame.py encode",
    "write(2)": "<built-in method posix.write>",
    "fsync(2)": "<built-in method posix.fsync>",
}
"""What a step is made of: functions by the end of their file's name, whose times don't overlap."""


def parts(size: int, steps: int, model: torch.nn.Module, optimizer: ZKOptimizer) -> Iterator[Figure]:
    """Where a recorded step's time goes, by the interpreter's profiler, which slows it a little."""
    profile = cProfile.Profile()
    for t in range(steps):
        set_gradient(model, t)
        profile.enable()
        optimizer.step()
        profile.disable()
    profile.create_stats()
    found = profile.stats  # by file, line and name: calls, recursions, own time, time with what it called, callers
    total = sum(times[2] for times in found.values())
    rest = total
    for part, function in PARTS.items():
        seconds = sum(times[3] for (file, _, name), times in found.items() if f"{file} {name}".endswith(function))
        rest -= seconds
        yield _share(size, part, seconds / steps, seconds / total)
    yield _share(size, "rest", rest / steps, rest / total)


def _share(size: int, part: str, seconds: float, share: float) -> Figure:
    return Figure(f"logging.{size}.part", round(1000 * seconds, 3), f"ms a step: {part}", "the step", share)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--steps", type=int, default=50, help="steps of each optimizer (default 50)")
    parser.add_argument("--sizes", default="100000,1000000", help="parameters, separated by commas")
    arguments = parser.parse_args()
    emit(figures(arguments.steps, [int(size) for size in arguments.sizes.split(",")]), as_json=arguments.json)


if __name__ == "__main__":
    main()
