"""The three built-in classifiers. This file's SHA-256 is a run's `model_code`, so it holds what
defines them and nothing that moves: it imports nothing of this package. Whoever changes it ends
what runs of the version before can go on with.
"""

import math
from collections.abc import Callable

import torch
from torch import nn

HIDDEN = 64
"""Hidden units of the mlp."""


class Logistic(nn.Module):
    """Logistic regression: one logit for two classes; columns + 1 parameters."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.linear = nn.Linear(columns, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits of both classes, (rows, 2), of which the first one is 0."""
        logit = self.linear(features)
        return torch.cat([torch.zeros_like(logit), logit], dim=1)


class Softmax(nn.Module):
    """Multinomial logistic regression: (columns + 1) * classes parameters."""

    def __init__(self, columns: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(columns, classes)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits, (rows, classes)."""
        logits: torch.Tensor = self.linear(features)
        return logits


class Mlp(nn.Module):
    """One hidden layer of `HIDDEN` rectified units."""

    def __init__(self, columns: int, classes: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(columns, HIDDEN)
        self.out = nn.Linear(HIDDEN, classes)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits, (rows, classes)."""
        logits: torch.Tensor = self.out(torch.relu(self.hidden(features)))
        return logits


def logistic(columns: int, classes: int) -> nn.Module:
    return Logistic(columns)


def first_weights(model: nn.Module, draw: Callable[[int, int, float], torch.Tensor]) -> None:
    """Gives weights and biases numbers uniform in +-1/sqrt(inputs), as torch draws them: `draw`
    takes the tensor's place in the model, its number of elements, and the bound."""
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    tensors = [(tensor, layer.in_features) for layer in layers for tensor in (layer.weight, layer.bias)]
    with torch.no_grad():
        for index, (tensor, inputs) in enumerate(tensors):
            tensor.copy_(draw(index, tensor.numel(), 1 / math.sqrt(inputs)).reshape(tensor.shape))
