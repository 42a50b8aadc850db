"""A training whose gradients are an exact integer function of weights and data, so that an auditor
who is given the data can recompute every step, bit for bit (docs/gradients.md).

    python -m examples.exact_gradients      # again, and it resumes where it was left

There is no backward(): `step()` takes the next batch in the order that the header fixes, and
returns its loss. The model is one that `exact_graph` takes: linear layers and ReLUs.
"""

import argparse
import shlex
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn

from zk_autograd.optim import ExactGradient, ZKOptimizer, exact_graph


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("run", nargs="?", type=Path, default=Path("runs/exact-gradients"))
    flags.add_argument("--steps", type=int, default=100)
    arguments = flags.parse_args()
    run: Path = arguments.run

    features, labels = load_digits(return_X_y=True)
    features = (features - 8) / 6  # a feature is rounded to a multiple of 2^-12

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    graph = exact_graph(model, loss="cross-entropy", features=64)
    gradient = ExactGradient(graph, (features, labels), batch_size=32, seed=7)

    with ZKOptimizer(
        model.named_parameters(),
        "adam",
        lr=0.003,
        eps=1e-6,
        schedule="constant",
        gradient=gradient,
        run=run,
        resume=run.exists(),
        expected_steps=arguments.steps,
        publish=True,
    ) as optimizer:
        if optimizer.steps:
            print(f"resuming after step {optimizer.steps}")
        while optimizer.steps < arguments.steps:
            loss = optimizer.step()
        print(f"loss {loss:.4f} at step {optimizer.steps}; proving what is left")

    with torch.no_grad():
        right = model(torch.from_numpy(features).float()).argmax(1) == torch.from_numpy(labels)
    print(f"{100 * right.float().mean():.1f} % of the rows it was trained on are right")

    head, header = optimizer.head, optimizer.header
    assert head is not None
    assert header is not None
    root = f"{head.root.hex()}@{head.size}"
    print(f"root {root}")
    print(shlex.join(["zk-verify", root, "--from", str(run), "--key", header.keys[0]]))


if __name__ == "__main__":
    main()
