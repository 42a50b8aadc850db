"""What a whole step of ZKOptimizer costs against torch's, and how far a forecast is from the run.

    python -m benchmarks.bench_step [--json] [--kernel NAME] [--rounds N] [--only PART,PART]

The parts: `adam` (without a record, against torch.optim.Adam as it is by default and with foreach
and fused), `recorded` (with a record that proves nothing, on the disk of the temporary folder),
`rules` (the others, each against torch's own), `memory` (a process each), `gpu` and `forecast`
(`zk-train --dry-run` against `zk-train`).

All on one thread, torch and the kernel, but for the forecasts, whose commands are run as they are.
Optimizers take turns at the same gradients; a ratio is the median over the rounds of one step's
time over the other's.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks import forecast_errors
from benchmarks.figures import Figure, Goal, conditions, emit
from benchmarks.step_pairs import EPS, LR, Model, Timings, copy_seconds, take_turns, zk
from zk_autograd.core.hyper import Rule

SMALL, LARGE = (100_000, 1_000_000), 10_000_000
BYTES = 28
"""What a float32 Adam moves for a parameter: it reads four values and writes three."""
FOREACH, FUSED = Goal(2, 1, at_most=True), Goal(6, 2, at_most=True)
DEFAULT, RECORDED = Goal(3, 1.5, at_most=True), Goal(6, 3, at_most=True)
PARTS = ("adam", "recorded", "rules", "memory", "gpu", "forecast")

PEERS: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
    "sgd": (torch.optim.SGD, {}, {}),
    "sgd-momentum": (torch.optim.SGD, {"momentum": 0.9}, {"momentum": 0.9}),
    "sgd-nesterov": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}, {"momentum": 0.9, "nesterov": True}),
    "adamw": (torch.optim.AdamW, {"eps": EPS, "weight_decay": 0.01}, {"eps": EPS, "weight_decay": 0.01}),
    "rmsprop": (torch.optim.RMSprop, {"eps": EPS}, {"eps": EPS}),
}
"""By rule: torch's optimizer, its options, and ours."""


def figures(kernel: str, rounds: int, parts: list[str]) -> Iterator[Figure]:
    """All figures of this benchmark, as they come."""
    yield conditions()
    torch.set_num_threads(1)
    for size in SMALL:
        if "adam" in parts:
            yield from adam(size, 1, kernel, rounds)
            yield from adam(size, 8, kernel, rounds)
        if "recorded" in parts:
            yield from recorded(size, 1, kernel, rounds)
            yield from recorded(size, 8, kernel, rounds)
    if "adam" in parts:
        yield from large_adam(1, kernel, rounds)
        yield from large_adam(8, kernel, rounds)
    if "rules" in parts:
        for rule in Rule:
            if rule is not Rule.ADAM:
                yield from other_rule(rule.value, SMALL[-1], kernel, rounds)
    if "memory" in parts:
        yield from memory(kernel)
    if "forecast" in parts:
        yield from forecast_errors.figures()


def adam(size: int, tensors: int, kernel: str, rounds: int) -> Iterator[Figure]:
    """Without a record, against torch's default."""
    times = _timed(size, tensors, rounds, {"torch": {}}, kernel)
    yield from _compared("step.cpu.adam", "default", "torch.optim.Adam", times, size, tensors, DEFAULT)
    if tensors == 1:
        yield _speed(times, size, rounds)


def large_adam(tensors: int, kernel: str, rounds: int) -> Iterator[Figure]:
    """Without a record, against torch's other two ways."""
    torches = {"torch": {}, "foreach": {"foreach": True}, "fused": {"fused": True}}
    times = _timed(LARGE, tensors, max(rounds // 4, 5), torches, kernel)
    for peer, goal in (("foreach", FOREACH), ("fused", FUSED)):
        yield from _compared("step.cpu.adam", peer, f"torch.optim.Adam({peer}=True)", times, LARGE, tensors, goal)
    yield from _compared("step.cpu.adam", "default", "torch.optim.Adam", times, LARGE, tensors, None)
    if tensors == 1:
        yield _speed(times, LARGE, 7)


def recorded(size: int, tensors: int, kernel: str, rounds: int) -> Iterator[Figure]:
    """With a record that proves nothing."""
    with tempfile.TemporaryDirectory() as folder:
        times = _timed(size, tensors, rounds, {"torch": {}}, kernel, Path(folder) / "run")
    yield from _compared("step.cpu.adam.recorded", "default", "torch.optim.Adam", times, size, tensors, RECORDED)


def other_rule(rule: str, size: int, kernel: str, rounds: int) -> Iterator[Figure]:
    """Without a record, against torch's own, where it has the rule."""
    peer = PEERS.get(rule)
    models = {"zk": Model(size, 1)}
    optimizers: dict[str, torch.optim.Optimizer] = {"zk": zk(models["zk"], rule, kernel, **(peer[2] if peer else {}))}
    if peer:
        models["torch"] = Model(size, 1)
        optimizers["torch"] = peer[0](models["torch"].parameters(), LR, **peer[1])
    times = take_turns(models, optimizers, rounds)
    name = f"step.cpu.{rule}"
    yield Figure(f"{name}.ms", _ms(times.median("zk")), f"ms a step of {size:,} parameters")
    if peer:
        yield Figure(f"{name}.ratio_to_torch_default", _short(times.ratio("zk", "torch")), f"x {peer[0].__name__}")


def memory(kernel: str) -> Iterator[Figure]:
    """What the optimizer takes beside weights and gradients, at most, in its making and 3 steps."""
    used = {}
    for name in ("torch", "zk"):
        command = [sys.executable, "-m", "benchmarks.bench_step", "--peak", name, "--kernel", kernel]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        used[name] = float(done.stdout)
    what = f"bytes a parameter, peak of {LARGE:,} parameters"
    yield Figure("step.cpu.adam.torch_peak_bytes", round(used["torch"], 1), what)
    ratio = used["zk"] / used["torch"]
    yield Figure("step.cpu.adam.peak_bytes", round(used["zk"], 1), what, "torch.optim.Adam", ratio)


def peak(name: str, kernel: str) -> float:
    """Bytes a parameter by which the process grows at its largest."""
    torch.set_num_threads(1)
    warm = Model(1000, 1)  # loads code
    model = Model(LARGE, 1)
    gradients = model.gradients()[0]
    for measured, given in ((warm, warm.gradients()[0]), (model, gradients)):
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew (proc(5))
        before = _resident("VmRSS")
        optimizer: torch.optim.Optimizer
        if name == "torch":
            optimizer = torch.optim.Adam(measured.parameters(), LR, eps=EPS)
        else:
            optimizer = zk(measured, "adam", kernel, eps=EPS)
        for _ in range(3):
            for tensor, gradient in zip(measured.weights, given, strict=True):
                tensor.grad = gradient
            optimizer.step()
    return (_resident("VmHWM") - before) / LARGE


def _resident(name: str) -> int:
    """Bytes of this process in memory: VmRSS now, VmHWM at most (proc(5))."""
    (line,) = (one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith(f"{name}:"))
    return 1024 * int(line.split()[1])


def _timed(
    size: int, tensors: int, rounds: int, torches: dict[str, dict[str, Any]], kernel: str, run: Path | None = None
) -> Timings:
    models = {name: Model(size, tensors) for name in (*torches, "zk")}
    own = zk(models["zk"], "adam", kernel, run, eps=EPS)
    optimizers: dict[str, torch.optim.Optimizer] = {
        name: torch.optim.Adam(models[name].parameters(), LR, eps=EPS, **options) for name, options in torches.items()
    }
    try:
        return take_turns(models, {**optimizers, "zk": own}, rounds)
    finally:
        own.abandon()


def _compared(
    name: str, peer: str, spelled: str, times: Timings, size: int, tensors: int, goal: Goal | None
) -> Iterator[Figure]:
    key = "torch" if peer == "default" else peer
    many = "" if tensors == 1 else f", {tensors} tensors"
    where = f"x {spelled}, {size:,} parameters{many}: {_ms(times.median('zk'))} ms for {_ms(times.median(key))} ms"
    many = "" if tensors == 1 else f".{tensors}_tensors"
    value = _short(times.ratio("zk", key))
    yield Figure(f"{name}{many}.ratio_to_torch_{peer}", value, where, goal=None if many else goal)


def _speed(times: Timings, size: int, rounds: int) -> Figure:
    moved, seconds = BYTES * size, times.median("zk")
    copied = copy_seconds(moved // 2, max(rounds, 5))
    what = f"GB/s, {size:,} parameters of {BYTES} bytes, as a float32 Adam moves"
    return Figure("step.cpu.adam.bytes_per_s", _short(moved / seconds / 1e9), what, "a copy here", copied / seconds)


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 3)


def _short(value: float) -> float:
    return float(f"{value:.3g}")


def on_gpu(*, as_json: bool) -> None:
    """The step on a GPU, where there is one, or that there is none."""
    name, why = "step.gpu.adam.share_of_copy_bandwidth", "no GPU here"
    if torch.cuda.is_available():
        from benchmarks import on_gpu as device

        device.report(device.DEFAULT_SIZE, as_json=as_json)
    elif as_json:
        print(json.dumps({"name": name, "unmeasured": why}), flush=True)
    else:
        print(f"{name:<36} unmeasured: {why}", flush=True)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--kernel", default="auto", help="the kernel of ZKOptimizer (default auto)")
    parser.add_argument("--rounds", type=int, default=60, help="steps of each optimizer (default 60)")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, of {','.join(PARTS)} (default all)")
    parser.add_argument("--peak", choices=("torch", "zk"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        print(peak(arguments.peak, arguments.kernel))
        return
    parts = arguments.only.split(",")
    if unknown := {*parts} - {*PARTS}:
        parser.error(f"there is no part {min(unknown)}; it is one of {', '.join(PARTS)}")
    emit(figures(arguments.kernel, arguments.rounds, parts), as_json=arguments.json)
    if "gpu" in parts:
        on_gpu(as_json=arguments.json)


if __name__ == "__main__":
    main()
