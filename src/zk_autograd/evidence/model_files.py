"""The published model: its weights as integers and as the float32 that everyone loads, and the
salts that open the last commitment to them.

Three files, each a function of the manifest and the final W alone:

    weights.i64.safetensors   the integers W, scale 2^-32, tensor by tensor as in the manifest
    weights.f32.safetensors   W * 2^-32, rounded to nearest, ties to even, once
    opening.json              canonical JSON, with a salt for each block:
                              {"format": "zk-autograd/opening/v0", "W": [...]}

The trainer writes them (`model_files`), the verifier reads them (`tensors`, `salts`). Neither file
of weights has metadata, or fields of an entry that the format doesn't have. The safetensors library
accepts a header with a name given twice, and readers differ in which one they take: it is refused.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from zk_autograd.core.canonical import decode, encode
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.formats import IntArray, dequantize_weight
from zk_autograd.core.records import Header, Parameter
from zk_autograd.core.text import listed, quoted
from zk_autograd.evidence.layout import OPENING, WEIGHTS_FLOATS, WEIGHTS_INTEGERS

OPENING_FORMAT = "zk-autograd/opening/v0"

_TYPES: dict[str, np.dtype[Any]] = {WEIGHTS_INTEGERS: np.dtype("<i8"), WEIGHTS_FLOATS: np.dtype("<f4")}
_METADATA = "__metadata__"
_ENTRY = frozenset({"dtype", "shape", "data_offsets"})
_TENSOR_HEADER = 1000
"""Bytes per tensor in a safetensors header, without its name: type, offsets, up to 32 lengths."""


def model_files(parameters: Sequence[Parameter], weights: IntArray, salts: Sequence[bytes]) -> dict[str, bytes]:
    """The files by name. `weights` is the final W, int64 (size,); `salts` are those of its blocks'
    last commitments."""
    floats = dequantize_weight(weights)
    return {
        WEIGHTS_INTEGERS: save({p.name: weights[_place(p)].reshape(p.shape) for p in parameters}),
        WEIGHTS_FLOATS: save({p.name: floats[_place(p)].reshape(p.shape) for p in parameters}),
        OPENING: encode({"format": OPENING_FORMAT, "W": [salt.hex() for salt in salts]}),
    }


def max_bytes(header: Header) -> dict[str, int]:
    """The most bytes that each file of this run's model can have; a name's character takes up to 12
    bytes in JSON."""
    names = 2**20 + sum(_TENSOR_HEADER + 12 * len(p.name) for p in header.parameters)
    return {
        **{name: dtype.itemsize * header.size + names for name, dtype in _TYPES.items()},
        OPENING: 2**20 + 4 * header.prover.form.salt_bytes * len(header.blocks),
    }


def flat(data: bytes, name: str, header: Header) -> NDArray[Any]:
    """The flat vector, (size,), of a file of weights called `name`: int64 or float32.
    VerificationError unless its tensors match the manifest's in name, type and shape, and nothing
    else is in it."""
    found = _tensors(data, name, header)
    return np.concatenate(
        [found[p.name].reshape(-1) for p in header.parameters]
    )  # the manifest fills it (core.records)


def salts(data: bytes, header: Header) -> list[bytes]:
    """The salts of W's blocks that opening.json holds. VerificationError unless it is canonical and
    complete."""
    fields = Fields(decode(data, max_bytes=len(data)), OPENING)
    fields.choice("format", (OPENING_FORMAT,))
    count = len(header.blocks)
    found = [value.hex(header.prover.form.salt_bytes) for value in fields.array("W", max_items=count, min_items=count)]
    fields.end()
    return found


def _place(parameter: Parameter) -> slice:
    return slice(parameter.offset, parameter.offset + parameter.size)


def _tensors(data: bytes, name: str, header: Header) -> dict[str, NDArray[Any]]:
    try:
        tensors = load(data)
        length = int.from_bytes(data[:8], "little")  # load() has checked it against the file's length
        entries = json.loads(data[8 : 8 + length], object_pairs_hook=partial(_distinct, name))
    except (SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise VerificationError(f"{name} is not a safetensors file: {quoted(str(error), 200)}") from error
    _require_bare(entries, name)
    manifest = {p.name: p for p in header.parameters}
    if tensors.keys() != manifest.keys():
        raise VerificationError(
            f"{name} does not have the tensors of the header's manifest",
            expected=some_of(manifest.keys() - tensors.keys()),
            found=some_of(tensors.keys() - manifest.keys()),
        )
    for tensor, parameter in manifest.items():
        want, have = (_TYPES[name], parameter.shape), (tensors[tensor].dtype, tensors[tensor].shape)
        if want != have:
            raise VerificationError(
                f"{name} has the wrong type or shape for {quoted(tensor)}",
                expected=f"{want[0]} {want[1]}",
                found=f"{have[0]} {have[1]}",
            )
    return tensors


def _require_bare(entries: Mapping[str, Any], name: str) -> None:
    """Nothing but tensors: loaders read metadata, and whatever fields of an entry they know."""
    if _METADATA in entries:
        raise VerificationError(f"{name} has metadata, which nothing covers", expected="tensors alone", found=_METADATA)
    for tensor, entry in entries.items():
        if not isinstance(entry, dict) or entry.keys() != _ENTRY:
            found = some_of(entry) if isinstance(entry, dict) else type(entry).__name__
            raise VerificationError(
                f"{name} has a malformed entry, {quoted(tensor)}",
                expected=", ".join(sorted(_ENTRY)),
                found=found,
            )


def _distinct(name: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise VerificationError(f"{name} is not a safetensors file: a name occurs twice")
    return dict(pairs)


def some_of(names: Iterable[str]) -> str:
    """Up to five of the names, quoted, in order; "nothing more" for none."""
    return listed([quoted(name) for name in sorted(names)], 5) or "nothing more"
