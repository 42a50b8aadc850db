"""The published model: its weights as integers and as the float32 everyone loads, and what opens the last commitment to them.

Three files, each written from the manifest and the final W alone: `weights.i64.safetensors` (the integers, scale 2^-32),
`weights.f32.safetensors` (their float32 values, rounded once) and `opening.json`, the salts of W's blocks.
"""

from collections.abc import Sequence

from safetensors.numpy import save

from zk_autograd.core.canonical import encode
from zk_autograd.core.formats import IntArray, dequantize_weight
from zk_autograd.core.records import Parameter

OPENING_FORMAT = "zk-autograd/opening/v0"


def model_files(parameters: Sequence[Parameter], weights: IntArray, salts: Sequence[bytes]) -> dict[str, bytes]:
    """The files by name. `weights` is the final W, int64 (size,); `salts` are those of its blocks' last commitments."""
    floats = dequantize_weight(weights)
    return {
        "weights.i64.safetensors": save({p.name: weights[_place(p)].reshape(p.shape) for p in parameters}),
        "weights.f32.safetensors": save({p.name: floats[_place(p)].reshape(p.shape) for p in parameters}),
        "opening.json": encode({"format": OPENING_FORMAT, "W": [salt.hex() for salt in salts]}),
    }


def _place(parameter: Parameter) -> slice:
    return slice(parameter.offset, parameter.offset + parameter.size)
