"""The kernels on this machine's GPU: bit for bit against core, and how fast they are.

    python -m benchmarks.on_gpu [--json] [--size N]

Compares the kernels "triton" and "torch" with `core` on every combination of extreme states and on
random ones, then times a step of Adam against the device's own copy. Ends with 1 if a bit differs.
Without a GPU nothing is measured, and it says so; with TRITON_INTERPRET=1 the comparison runs on
the CPU, in Triton's interpreter.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec

import numpy as np
import torch

from benchmarks.figures import Figure, Goal, conditions, emit
from tests.kernels.agreement import ADAM, extremes, random_case, require_agreement
from zk_autograd.core.errors import UsageError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import Parameter
from zk_autograd.kernels.choice import kernel_called
from zk_autograd.kernels.protocol import Kernel, Model

KERNELS = ("triton", "torch")
SHARE = "step.gpu.adam.share_of_copy_bandwidth"
GOAL = Goal(0.5, 0.8)
BYTES = 2 * (6 + 6 + 8) + 3 * 4 + 4
"""Of an element that a step of Adam moves: W, M, V read and written, the gradient and the weight
read, the weight and G written."""
SIZES = (1, 1023, 1024, 1025)
ROUNDS = 20
DEFAULT_SIZE = 10**7


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--size", type=int, default=DEFAULT_SIZE, help="parameters of the model that is timed (default: 10^7)"
    )
    arguments = parser.parse_args()
    report(arguments.size, as_json=arguments.json)
    return 0


def report(size: int, *, as_json: bool) -> None:
    """Compares, measures and prints. AssertionError if a bit differs."""
    gpu = torch.cuda.is_available()
    interpreted = find_spec("triton") is not None and _is_interpreted()
    if not gpu and not interpreted:
        print(f"unmeasured: no GPU: {SHARE}, and whether the kernels give core's bits on one")
        return
    emit([conditions()], as_json=as_json)
    for name in KERNELS:
        emit(agreement(name, "cpu" if interpreted else "cuda"), as_json=as_json)
    if interpreted:
        print(f"unmeasured: no GPU: {SHARE}")
        return
    emit(speed(size), as_json=as_json)


def _is_interpreted() -> bool:
    from triton import knobs

    return bool(knobs.runtime.interpret)


def agreement(name: str, device: str) -> Iterator[Figure]:
    """How many elements' steps of each rule were compared. Ends the program with 1 if one
    differs."""
    kernel = kernel_called(name, device)
    for rule in Rule:
        compared = 0
        try:
            for case in extremes(rule):
                require_agreement(kernel, case, device)
                compared += case.G.size
            for seed in range(20 if device == "cuda" else 1):
                case = random_case(rule, (*SIZES, 10**5) if device == "cuda" else SIZES, seed)
                require_agreement(kernel, case, device)
                compared += case.G.size
        except UsageError as error:  # a rule without a program of Triton's
            print(f"unmeasured: {error}")
            continue
        except AssertionError as error:
            print(f"FALSE: {error}", file=sys.stderr)
            raise SystemExit(1) from None
        yield Figure(f"step.{device}.{name}.{rule.value}.equal_to_core", compared, "elements")


def speed(size: int) -> Iterator[Figure]:
    """A step of Adam over one tensor of `size` elements, rounds taken in turn."""
    source = torch.empty(2**28, dtype=torch.float32, device="cuda")
    target = torch.empty_like(source)
    copied = 2 * source.nbytes / best(lambda: target.copy_(source))
    yield Figure("gpu.copy", copied / 1e9, "GB/s")
    for name in KERNELS:
        seconds = best(stepping(kernel_called(name, "cuda"), size))
        moved = BYTES * size / seconds
        yield Figure(f"step.gpu.adam.{name}", seconds * 1e3, "ms")
        if name == "triton":
            yield Figure(SHARE, moved / copied, "of the copy's bytes a second", goal=GOAL)
    peer = torch.nn.Parameter(torch.zeros(size, device="cuda"))
    peer.grad = torch.ones_like(peer)
    optimizer = torch.optim.Adam([peer], fused=True)
    yield Figure("torch.gpu.adam.fused", best(optimizer.step) * 1e3, "ms")


def stepping(kernel: Kernel, size: int) -> Callable[[], object]:
    """Takes one step after another, each with its integers copied to the host."""
    zeros = np.zeros(size, dtype=np.int64)
    stepper = kernel.stepper(Rule.ADAM, [Parameter("w", (size,), 0, size, 0)], {"W": zeros, "M": zeros, "V": zeros})
    gradient = torch.randn(size, device="cuda") * 0.01
    model = Model([gradient], [torch.zeros(size, device="cuda")], 0)
    return lambda: stepper.step_model(model, ADAM[:1])


def best(call: Callable[[], object]) -> float:
    """Seconds of the fastest of ROUNDS calls, on the device's clock."""
    found: list[float] = []
    for _ in range(ROUNDS + 3):  # the first ones compile
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        call()
        end.record()
        end.synchronize()
        found.append(begin.elapsed_time(end) / 1e3)
    return min(found[3:])


if __name__ == "__main__":
    sys.exit(main())
