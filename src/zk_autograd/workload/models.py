"""Three small classifiers with first weights from a seed, and the way to a user's own."""

import inspect
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256

import torch
from torch import nn

from zk_autograd.core.errors import UsageError
from zk_autograd.workload import factory
from zk_autograd.workload.names import Factory, ModelName, ModelSource
from zk_autograd.workload.randomness import Purpose, uniform

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


def build(source: ModelSource, columns: int, classes: int, seed: int) -> nn.Module:
    """The model, with its first weights. UsageError for a model that the data don't fit, or a factory that makes none.

    The built-in models have weights and biases uniform in +-1/sqrt(inputs), as torch draws them, from the seed; a user's has what its
    factory gave it with torch's generator begun from the seed.
    """
    if isinstance(source, Factory):
        return factory.built(source, columns, classes)
    if source is ModelName.LOGISTIC and classes != 2:
        raise UsageError(
            f"the model logistic tells two classes apart, and the data have {classes}: use --model softmax or mlp"
        )
    makers: dict[ModelName, Callable[[], nn.Module]] = {
        ModelName.LOGISTIC: lambda: Logistic(columns),
        ModelName.SOFTMAX: lambda: Softmax(columns, classes),
        ModelName.MLP: lambda: Mlp(columns, classes),
    }
    model = makers[source]()
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    tensors = [(tensor, layer.in_features) for layer in layers for tensor in (layer.weight, layer.bias)]
    with torch.no_grad():
        for index, (tensor, inputs) in enumerate(tensors):
            drawn = uniform(seed, Purpose.WEIGHTS, index, tensor.numel(), 1 / math.sqrt(inputs))
            tensor.copy_(torch.from_numpy(drawn.reshape(tensor.shape)))
    return model


def code_digest(source: ModelSource) -> bytes:
    """SHA-256 of the file that defines the model: this module's, or that of a user's factory."""
    if isinstance(source, Factory):
        return factory.code_digest(source)
    return sha256(inspect.getsource(sys.modules[__name__]).encode()).digest()


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, torch computes on one thread, so that a machine repeats itself to the last bit: on a CPU, what the models here are made of
    adds in an order that depends on the number of threads and on nothing else."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
