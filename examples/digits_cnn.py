"""A small convolutional network with batch norm, on the digits that ship with scikit-learn.

    python -m examples.digits_cnn

Every weight's updates are proved. The running statistics of batch norm are not weights: no
optimizer step makes them, so the header lists them as unproved, with their initial values' digests.
"""

import argparse
import shlex
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn

from zk_autograd.optim import ZKOptimizer

BATCH = 64


def cnn() -> nn.Module:
    """From (rows, 1, 8, 8) to (rows, 10)."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 10),
    )


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("run", nargs="?", type=Path, default=Path("runs/digits-cnn"))
    flags.add_argument("--steps", type=int, default=100)
    arguments = flags.parse_args()

    torch.manual_seed(0)
    torch.set_num_threads(1)
    images, labels = load_digits(return_X_y=True)
    features = torch.from_numpy(images / 16).float().reshape(-1, 1, 8, 8)
    classes = torch.from_numpy(labels)
    order = torch.randperm(len(classes))
    tested, trained = order[:360], order[360:]

    model = cnn()
    with ZKOptimizer(
        model.named_parameters(),
        "adamw",
        lr=0.02,
        eps=1e-6,
        schedule=f"cosine:steps={arguments.steps},warm_up=5",
        run=arguments.run,
        expected_steps=arguments.steps,
        publish=True,
        unproved=model,
    ) as optimizer:
        for _ in range(arguments.steps):
            rows = trained[torch.randint(len(trained), (BATCH,))]
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(features[rows]), classes[rows])
            loss.backward()
            optimizer.note(loss=loss, batch=rows)
            optimizer.step()

    model.eval()
    with torch.no_grad():
        right = (model(features[tested]).argmax(dim=1) == classes[tested]).sum().item()
    head, header = optimizer.head, optimizer.header
    assert head is not None
    assert header is not None
    print(f"{header.size} parameters, {100 * right / len(tested):.1f} % of {len(tested)} test images right")
    for tensor in header.unproved:
        print(f"unproved: {tensor.kind} {tensor.name}, {tensor.dtype} {tensor.shape}")
    root = f"{head.root.hex()}@{head.size}"
    print(f"root {root}")
    print(shlex.join(["zk-verify", root, "--from", str(arguments.run), "--key", header.keys[0]]))


if __name__ == "__main__":
    main()
