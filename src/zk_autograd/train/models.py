"""Three small classifiers with seeded first weights, and the way to a user's own."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256

import torch
from torch import nn

from zk_autograd.core.errors import UsageError
from zk_autograd.train import built_in, own_model
from zk_autograd.train.names import Factory, ModelName, ModelSource
from zk_autograd.train.seeded import Purpose, uniform

EARLIER = frozenset({bytes.fromhex("a98a784ea5cf8530cbe971b4707eb77ce9fff5c7d9a1de0071b7b33ace082099")})
"""The built-in models' code in runs that were begun before they had a file of their own: the one
that defined them then had other imports, and the same models."""

_MAKERS: dict[ModelName, Callable[[int, int], nn.Module]] = {
    ModelName.LOGISTIC: built_in.logistic,
    ModelName.SOFTMAX: built_in.Softmax,
    ModelName.MLP: built_in.Mlp,
}


def build(source: ModelSource, columns: int, classes: int, seed: int) -> nn.Module:
    """The model, with its first weights. UsageError for a model that the data don't fit, or a
    factory that doesn't make one.

    The built-in models have weights and biases uniform in +-1/sqrt(inputs), as torch draws them,
    from the seed; a user's has what its factory gave it with torch's generator seeded from the
    seed.
    """
    if isinstance(source, Factory):
        return own_model.built(source, columns, classes)
    if source is ModelName.LOGISTIC and classes != 2:
        raise UsageError(
            f"the model logistic tells two classes apart, but the data have {classes}: use --model softmax or mlp"
        )
    model = _MAKERS[source](columns, classes)
    built_in.first_weights(
        model, lambda index, count, bound: torch.from_numpy(uniform(seed, Purpose.WEIGHTS, index, count, bound))
    )
    return model


def code_digest(source: ModelSource) -> bytes:
    """SHA-256 of the file that defines the model: `built_in`'s, or that of a user's factory."""
    if isinstance(source, Factory):
        return own_model.code_digest(source)
    return sha256(inspect.getsource(built_in).encode()).digest()


def is_code(source: ModelSource, digest: bytes) -> bool:
    """Whether `digest`, of a run's header, is that of the code that defines the model here, or
    defined it in an earlier version."""
    return digest == code_digest(source) or (not isinstance(source, Factory) and digest in EARLIER)


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, torch computes on one thread, so that a machine repeats itself to the last bit: on a
    CPU, what the models here are made of adds in an order that depends on the number of threads and
    on nothing else."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
