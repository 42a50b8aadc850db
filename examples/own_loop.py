"""A custom training loop, with a torch DataLoader and dropout, that resumes after a crash as if
there had been none.

    python -m examples.own_loop      # stop it with Ctrl-C, kill it, pull the plug
    python -m examples.own_loop      # resumes, to the weights of a run that was never stopped

What a loop needs to resume is its sources of randomness: here the DataLoader's generator, which
orders the rows, how far it is in this epoch, and torch's own generator, from which dropout draws.
`note(loop_state=...)` keeps it with each step.
"""

import argparse
import shlex
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from zk_autograd.optim import ZKOptimizer


def digits() -> TensorDataset:
    """Features, labels, and each row's number, which the run commits to."""
    features, labels = load_digits(return_X_y=True)
    numbers = torch.arange(len(labels))
    return TensorDataset(torch.from_numpy(features / 16).float(), torch.from_numpy(labels), numbers)


def state_of(shuffle_at_start: torch.Tensor, taken: int) -> bytes:
    """What the loop needs to resume after this step."""
    return b"".join(
        [taken.to_bytes(8, "little"), shuffle_at_start.numpy().tobytes(), torch.get_rng_state().numpy().tobytes()]
    )


def restored(state: bytes, shuffle: torch.Generator) -> int:
    """Restores both generators, and returns how many batches of the epoch were taken."""
    first, second = np.frombuffer(state, np.uint8, offset=8).reshape(2, -1)
    shuffle.set_state(torch.from_numpy(first.copy()))  # torch wants each in its own memory
    torch.set_rng_state(torch.from_numpy(second.copy()))
    return int.from_bytes(state[:8], "little")


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("run", nargs="?", type=Path, default=Path("runs/own-loop"))
    flags.add_argument("--steps", type=int, default=60)
    arguments = flags.parse_args()
    run: Path = arguments.run

    torch.manual_seed(0)
    torch.set_num_threads(1)  # so that a second run adds in the same order
    model = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 10))
    shuffle = torch.Generator().manual_seed(0)
    loader = DataLoader(digits(), batch_size=64, shuffle=True, generator=shuffle)

    with ZKOptimizer(
        model.named_parameters(),
        "adam",
        lr=0.01,
        eps=1e-6,
        schedule="constant",
        run=run,
        resume=run.exists(),
        expected_steps=arguments.steps,
        publish=True,
        unproved=model,
    ) as optimizer:
        taken = 0
        if optimizer.loop_state:
            taken = restored(optimizer.loop_state, shuffle)
            print(f"resuming after step {optimizer.steps}")
        while optimizer.steps < arguments.steps:
            epoch = shuffle.get_state()
            for features, labels, rows in islice(loader, taken, None):
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(features), labels)
                loss.backward()
                taken += 1
                optimizer.note(loss=loss, batch=rows, loop_state=state_of(epoch, taken))
                optimizer.step()
                if optimizer.steps == arguments.steps:
                    break
            else:
                taken = 0
        print(f"loss {loss.item():.4f} at step {optimizer.steps}; proving what is left")

    head, header = optimizer.head, optimizer.header
    assert head is not None
    assert header is not None
    root = f"{head.root.hex()}@{head.size}"
    print(f"root {root}")
    print(shlex.join(["zk-verify", root, "--from", str(run), "--key", header.keys[0]]))


if __name__ == "__main__":
    main()
