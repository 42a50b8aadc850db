"""The models that an enclave trains, in NumPy: their layers, loss and gradients, to the same bits
on every machine. This file's SHA-256 is a run's `model_code`: it imports nothing of this package.

NumPy's products of matrices and its exp differ from processor to processor, and its sums may with
their vectors. So all is made of what IEEE 754 leaves no choice in: float64 additions, subtractions,
multiplications, divisions and comparisons, element by element, and in an order that the shapes
alone determine: products of matrices run over the inner dimension, sums halve until one element is
left, exp and log are polynomials. Numbers that are fed in are float32, as are the gradients that
come out, which are rounded once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Doubles: TypeAlias = NDArray[np.float64]
Classes: TypeAlias = NDArray[np.int64]

HIDDEN = 64
"""Hidden units of an mlp that names no other number, as in zk-train."""

_LOG2_E = 1.4426950408889634
_LN2_HIGH = 0.693147180369123816490
"""The first 33 bits of ln 2: a multiple of it by less than 2^20 is exact."""

_LN2_LOW = 1.90821492927058770002e-10
_EXP_TERMS = 14
_LOG_TERMS = 12
_LEAST_EXPONENT = -700.0
"""exp is 0 below it: nothing here depends on how a processor treats subnormal numbers."""

_SQRT_HALF = 0.7071067811865476
_TINY = 2.0**-1000


@dataclass(frozen=True, slots=True)
class Tensor:
    """A trained tensor: its name, shape, and the number of inputs of an output of its layer."""

    name: str
    shape: tuple[int, ...]
    inputs: int

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Network:
    """Linear layers with rectified units between them, and the mean cross-entropy over rows.

    `widths` are those of the input, of the hidden layers, and of the output. An output of one
    (logistic regression) is the logit of class 1, that of class 0 being 0.
    """

    widths: tuple[int, ...]

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers' names: those of zk-train's models, and of a second hidden layer."""
        hidden = len(self.widths) - 2
        if hidden == 0:
            return ("linear",)
        return (*(f"hidden{i or ''}" for i in range(hidden)), "out")

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """In the order of a run's flat vector."""
        found: list[Tensor] = []
        for i, name in enumerate(self.layers):
            inputs, outputs = self.widths[i : i + 2]
            found += [Tensor(f"{name}.weight", (outputs, inputs), inputs), Tensor(f"{name}.bias", (outputs,), inputs)]
        return tuple(found)

    def step(self, weights: Sequence[Floats], features: Floats, classes: Classes) -> tuple[float, list[Floats]]:
        """The loss over rows, `features` (rows, columns) and `classes` (rows,), and its gradients,
        float32, as the tensors. Neither needs be finite."""
        with np.errstate(all="ignore"):
            return self._step(weights, features, classes)

    def predicted(self, weights: Sequence[Floats], features: Floats) -> Classes:
        """The likeliest class of each row, int64 (rows,); the first of several."""
        with np.errstate(all="ignore"):
            logits = _with_first(self._forward(weights, features)[-1])
        found: Classes = np.argmax(logits, axis=1).astype(np.int64)
        return found

    def _step(self, weights: Sequence[Floats], features: Floats, classes: Classes) -> tuple[float, list[Floats]]:
        values = self._forward(weights, features)
        loss, back = _cross_entropy(_with_first(values[-1]), classes)
        back = back[:, -self.widths[-1] :]  # of a logit that is always 0 there is no gradient
        gradients: list[Floats] = []
        for i in reversed(range(len(self.layers))):
            into = values[i]
            gradients[:0] = [product(back.T, into).astype(np.float32), total(back.T).astype(np.float32)]
            if i:
                back = np.where(into <= 0, 0.0, product(back, weights[2 * i].astype(np.float64)))
        return loss, gradients

    def _forward(self, weights: Sequence[Floats], features: Floats) -> list[Doubles]:
        """The input of each layer, and the logits."""
        values = [features.astype(np.float64)]
        for i, _ in enumerate(self.layers):
            weight, bias = (tensor.astype(np.float64) for tensor in weights[2 * i : 2 * i + 2])
            out = product(values[-1], weight.T) + bias
            values.append(out if i == len(self.layers) - 1 else np.where(out <= 0, 0.0, out))  # NaN stays
        return values


def product(left: Doubles, right: Doubles) -> Doubles:
    """left (n, k) times right (k, m), with the sum over k taken in its order."""
    found = np.zeros((left.shape[0], right.shape[1]))
    for k in range(left.shape[1]):
        found += left[:, k : k + 1] * right[k : k + 1, :]
    return found


def total(values: Doubles) -> Doubles:
    """The sums over the last axis: one half is added to the other until one element is left."""
    length = values.shape[-1]
    while length > 1:
        half = (length + 1) // 2
        folded = values[..., :half].copy()
        folded[..., : length - half] += values[..., half:length]
        values, length = folded, half
    return values[..., 0].copy()


def exp(x: Doubles) -> Doubles:
    """e^x for x of 0 and below, to about an ulp; 0 below -700."""
    inside = np.maximum(x, _LEAST_EXPONENT)
    n = np.rint(inside * _LOG2_E)
    r = (inside - n * _LN2_HIGH) - n * _LN2_LOW
    found = np.ones_like(r)
    for i in range(_EXP_TERMS, 0, -1):
        found = 1.0 + found * r / i
    found = found * _power_of_two(n)
    return np.where(x < _LEAST_EXPONENT, 0.0, np.where(np.isnan(x), x, found))


def log(x: Doubles) -> Doubles:
    """The natural logarithm of x of 1 and above, to about an ulp of its size or of 1."""
    mantissa, exponent = np.frexp(x)
    low = mantissa < _SQRT_HALF
    m = np.where(low, mantissa * 2.0, mantissa)
    n = (exponent - low).astype(np.float64)
    s = (m - 1.0) / (m + 1.0)
    square = s * s
    series = np.zeros_like(s)
    for i in range(_LOG_TERMS, -1, -1):
        series = series * square + 1.0 / (2 * i + 1)
    return n * _LN2_HIGH + (n * _LN2_LOW + 2.0 * s * series)


def _power_of_two(n: Doubles) -> Doubles:
    """2^n of whole numbers -1022 .. 0, by its bits."""
    whole = np.where(np.isfinite(n), n, 0.0).astype(np.int64)
    return ((whole + 1023) << 52).view(np.float64)


def _with_first(logits: Doubles) -> Doubles:
    return np.concatenate([np.zeros_like(logits), logits], axis=1) if logits.shape[1] == 1 else logits


def _cross_entropy(logits: Doubles, classes: Classes) -> tuple[float, Doubles]:
    """The mean over rows, and its gradient, (rows, classes)."""
    rows = len(classes)
    shifted = logits - logits.max(axis=1, keepdims=True)
    powers = exp(shifted)
    sums = total(powers)
    own = shifted[np.arange(rows), classes]
    loss = float(total(log(sums) - own)) / rows
    probable = powers / sums[:, None]
    probable[np.arange(rows), classes] -= 1.0
    small = np.abs(probable) < _TINY
    return loss, np.where(small, 0.0, probable) / rows


def first_weights(network: Network, drawn: Sequence[Doubles]) -> list[Floats]:
    """The tensors of what was drawn for each, float64 (elements,)."""
    return [drawn[i].astype(np.float32).reshape(tensor.shape) for i, tensor in enumerate(network.tensors)]
