"""Fine-tuning with adapters: a tiny transformer that counts upwards learns to count by threes, and
its adapters' training is proved.

    python -m examples.lora_transformer

The base is trained first, without records, as if somebody else had published it. Then it is frozen,
and each of its linear maps gets a low-rank one beside it (LoRA: Hu et al., 2021), which begins at
zero. Only these are trained, proved and published; the header lists each tensor of the base as
unproved, with the digest of its values, so that an auditor who has the base can tell that it is
this one.
"""

import argparse
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import nn

from zk_autograd.optim import ZKOptimizer

NUMBERS, LENGTH, WIDTH, HEADS, RANK = 16, 12, 32, 2, 4


class Adapter(nn.Module):
    """`base(x)` plus `x` through `RANK` dimensions, which is zero before the first step."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base
        self.down = nn.Parameter(torch.randn(base.in_features, RANK) / base.in_features**0.5)
        self.up = nn.Parameter(torch.zeros(RANK, base.out_features))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As the base's."""
        mapped: torch.Tensor = self.base(x) + x @ self.down @ self.up
        return mapped


class Block(nn.Module):
    """Attention to what came before, and two layers on each place."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv: nn.Module = nn.Linear(WIDTH, 3 * WIDTH)
        self.out: nn.Module = nn.Linear(WIDTH, WIDTH)
        self.wide: nn.Module = nn.Linear(WIDTH, 2 * WIDTH)
        self.narrow: nn.Module = nn.Linear(2 * WIDTH, WIDTH)
        self.norms = nn.ModuleList([nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(rows, LENGTH, WIDTH) to the same."""
        split = self.qkv(self.norms[0](x)).unflatten(2, (3, HEADS, WIDTH // HEADS)).permute(2, 0, 3, 1, 4)
        seen = nn.functional.scaled_dot_product_attention(split[0], split[1], split[2], is_causal=True)
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        changed: torch.Tensor = x + self.narrow(torch.relu(self.wide(self.norms[1](x))))
        return changed


class Transformer(nn.Module):
    """From numbers (rows, LENGTH) to logits of the next ones (rows, LENGTH, NUMBERS)."""

    def __init__(self) -> None:
        super().__init__()
        self.number = nn.Embedding(NUMBERS, WIDTH)
        self.place = nn.Embedding(LENGTH, WIDTH)
        self.blocks = nn.Sequential(Block(), Block())
        self.head = nn.Linear(WIDTH, NUMBERS)

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        """The logits."""
        x = self.number(numbers) + self.place(torch.arange(LENGTH))
        logits: torch.Tensor = self.head(self.blocks(x))
        return logits


def add_adapters(model: nn.Module) -> None:
    """Freezes what is there, and puts an adapter in place of each linear map of each block."""
    model.requires_grad_(False)
    for block in [m for m in model.modules() if isinstance(m, Block)]:
        for name, layer in list(block.named_children()):
            if isinstance(layer, nn.Linear):
                setattr(block, name, Adapter(layer))


def counting(by: int, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Numbers, and those that follow."""
    first = torch.randint(NUMBERS, (rows, 1))
    all_of_them = (first + by * torch.arange(LENGTH + 1)) % NUMBERS
    return all_of_them[:, :-1], all_of_them[:, 1:]


def train(model: nn.Module, optimizer: torch.optim.Optimizer, by: int, steps: int, note: Callable[..., None]) -> None:
    """`steps` steps towards counting by `by`."""
    for _ in range(steps):
        numbers, following = counting(by, 32)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(numbers).flatten(0, 1), following.flatten())
        loss.backward()
        note(loss=loss, batch=numbers[:, 0])
        optimizer.step()


def right(model: nn.Module, by: int) -> float:
    """The fraction of the numbers, after the first, that the model predicts."""
    numbers, following = counting(by, 200)
    with torch.no_grad():
        found = model(numbers).argmax(dim=2) == following
    part: float = found[:, 1:].float().mean().item()
    return part


def elements(tensors: Iterable[torch.Tensor]) -> int:
    """How many numbers they hold."""
    return sum(tensor.numel() for tensor in tensors)


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("run", nargs="?", type=Path, default=Path("runs/lora-transformer"))
    flags.add_argument("--steps", type=int, default=60)
    arguments = flags.parse_args()

    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = Transformer()
    train(model, torch.optim.Adam(model.parameters(), lr=0.003), 1, 200, lambda **note: None)
    add_adapters(model)
    print(f"base      {elements(p for p in model.parameters() if not p.requires_grad)} parameters, frozen: ", end="")
    print(f"counts by ones {100 * right(model, 1):.0f} %, by threes {100 * right(model, 3):.0f} %")

    with ZKOptimizer(
        model.named_parameters(),
        "adam",
        lr=0.02,
        eps=1e-6,
        schedule=f"linear:steps={arguments.steps},end=0.1",
        run=arguments.run,
        expected_steps=arguments.steps,
        publish=True,
        unproved=model,
    ) as optimizer:
        train(model, optimizer, 3, arguments.steps, optimizer.note)

    head, header = optimizer.head, optimizer.header
    assert head is not None
    assert header is not None
    print(f"adapters  {header.size} parameters: counts by threes {100 * right(model, 3):.0f} %")
    print(f"unproved  {len(header.unproved)} tensors of the base, such as {header.unproved[0].name}, whose SHA-256 is")
    print(f"          {header.unproved[0].digest.hex()}")
    print(f"published {arguments.run / 'model'}: the adapters alone")
    root = f"{head.root.hex()}@{head.size}"
    print(f"root      {root}")
    print(shlex.join(["zk-verify", root, "--from", str(arguments.run), "--key", header.keys[0]]))


if __name__ == "__main__":
    main()
