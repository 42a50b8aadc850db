"""Step 10, Model: the published weights are those of the last commitment.

The close record names exactly three files by their SHA-256, or none:

    weights.i64.safetensors   the integers W, which open close.state["W"], block by block, with the salts of
    opening.json              {"format": "zk-autograd/opening/v0", "W": [a salt for each block]}, canonical JSON
    weights.f32.safetensors   W * 2^-32, rounded to nearest, ties to even, once

What else lies in model/ is no part of this: verify.uncovered.

Both have the tensors of the header's manifest, by name, shape and type, and no others: unproved tensors (buffers, frozen parameters)
are not in them, nor metadata, nor fields of an entry that the format doesn't have. The safetensors library accepts a header with one name twice, and readers differ in which they take: it is refused.
"""

import json
from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from zk_autograd.core.canonical import decode
from zk_autograd.core.errors import RangeError, VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.formats import IntArray, dequantize_weight
from zk_autograd.core.records import SALT_BYTES, Close, Header, Log
from zk_autograd.core.text import quoted
from zk_autograd.run.hashes import weights_hash
from zk_autograd.run.layout import MODEL, OPENING, PUBLISHED, WEIGHTS_FLOATS, WEIGHTS_INTEGERS
from zk_autograd.verify.evidence import Missing, Progress, RunFiles, digests
from zk_autograd.verify.report import Finding, Status
from zk_autograd.verify.statement import SEGMENT_RECORD, Basis

OPENING_FORMAT = "zk-autograd/opening/v0"
INTEGERS, FLOATS = WEIGHTS_INTEGERS, WEIGHTS_FLOATS
MAX_PARAMETERS = 2**28
"""The largest model that is opened. Step 10 takes about 40 bytes of memory for a parameter: 10 GiB here."""

_TYPES = {INTEGERS: np.dtype("<i8"), FLOATS: np.dtype("<f4")}
_METADATA = "__metadata__"
_ENTRY = frozenset({"dtype", "shape", "data_offsets"})
_TENSOR_HEADER = 1000
"""Bytes of a safetensors header for a tensor besides its name: type, offsets and at most 32 lengths."""


def check_model(log: Log, files: RunFiles, basis: Basis, progress: Progress) -> tuple[Finding, bytes | None]:
    """Step 10's finding, and the hash of the published integers (run.hashes) if there are any."""
    close = log.close
    if close is None or not close.model:
        why = "no close record" if close is None else "the close record names no model"
        return Finding(Status.ABSENT, (f"not published: {why}",)), None
    try:
        return _check(log.header, close, files, basis, progress)
    except VerificationError as error:
        raise error.at(0, SEGMENT_RECORD + len(log.segments)) from error


def _check(
    header: Header, close: Close, files: RunFiles, basis: Basis, progress: Progress
) -> tuple[Finding, bytes | None]:
    named = dict(close.model)
    if named.keys() != set(PUBLISHED):
        raise VerificationError(
            "the close record names other files than a model's", expected=", ".join(PUBLISHED), found=_listed(named)
        )
    if header.size > MAX_PARAMETERS:
        raise VerificationError(
            "the model is too large to be opened", expected=f"at most {MAX_PARAMETERS}", found=str(header.size)
        )
    limits = {
        INTEGERS: _limit(header, 8),
        FLOATS: _limit(header, 4),
        OPENING: 2**20 + 4 * SALT_BYTES["ezkl"] * len(header.blocks),
    }
    # Before one is held in memory: a file of holes costs its writer nothing.
    for path, found in digests(files, {f"{MODEL}/{name}": limits[name] for name in PUBLISHED}):
        name = path.removeprefix(f"{MODEL}/")
        _require(name, named[name], found)
    W = _flat(header, _tensors(_read(files, INTEGERS, named, limits[INTEGERS]), INTEGERS, header))
    try:
        rounded = dequantize_weight(W)
    except RangeError as error:
        raise VerificationError(f"{INTEGERS} holds what no step gives: {error}") from error
    published = _flat(header, _tensors(_read(files, FLOATS, named, limits[FLOATS]), FLOATS, header))
    # Bits are compared, not values: -0.0 is equal to 0.0, and no rounding gives it.
    differing = np.flatnonzero(published.view(np.uint32) != rounded.view(np.uint32))
    if differing.size:
        place = int(differing[0])
        raise VerificationError(
            f"{FLOATS} is not the rounding of {INTEGERS}: {_name(header, place)}",
            expected=repr(float(rounded[place])),
            found=repr(float(published[place])),
        )
    salts = _salts(_read(files, OPENING, named, limits[OPENING]), header)
    sentences = [
        f"{INTEGERS}, {FLOATS} and {OPENING} are those of the close record",
        f"they hold the tensors of the header ({len(header.parameters)}, {header.size} parameters) and no others; the floats are the integers' "
        "rounding",
    ]
    if isinstance(basis.checker, Missing):
        sentences.append(
            "that the integers open the final commitment was not looked at: it can't be recomputed (step 5)"
        )
        return Finding(Status.NOT_SHOWN, tuple(sentences)), weights_hash(W)
    blocks = (_padded(W[b.offset : b.offset + b.size], header.prover.block) for b in header.blocks)
    commitments = basis.checker.commitments(zip(blocks, salts, strict=True))
    for i, (found, expected) in enumerate(zip(commitments, close.state["W"], strict=True)):
        if found != expected:
            raise VerificationError(
                f"the weights of block {i} don't open the final commitment", expected=expected.hex(), found=found.hex()
            )
        progress("model", i + 1, len(salts))
    return Finding(Status.PASSED, (*sentences, "the integers open the final commitment of W")), weights_hash(W)


def _limit(header: Header, width: int) -> int:
    """The most bytes that a safetensors file of the manifest can have; a name's character takes up to 12 bytes in JSON."""
    return width * header.size + 2**20 + sum(_TENSOR_HEADER + 12 * len(p.name) for p in header.parameters)


def _read(files: RunFiles, name: str, digests: Mapping[str, bytes], limit: int) -> bytes:
    data = files.model_file(name, limit)
    _require(name, digests[name], sha256(data).digest())  # these bytes: the file may be another than before
    return data


def _require(name: str, expected: bytes, found: bytes) -> None:
    if found != expected:
        raise VerificationError(f"{name} is not the published one", expected=expected.hex(), found=found.hex())


def _tensors(data: bytes, name: str, header: Header) -> dict[str, NDArray[Any]]:
    """The tensors of a file, which are the manifest's in name, type and shape."""
    try:
        tensors = load(data)
        length = int.from_bytes(data[:8], "little")  # load() has checked it against the file's length
        entries = json.loads(data[8 : 8 + length], object_pairs_hook=partial(_distinct, name))
    except (SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise VerificationError(f"{name} is no safetensors file: {quoted(str(error), 200)}") from error
    _require_bare(entries, name)
    manifest = {p.name: p for p in header.parameters}
    if tensors.keys() != manifest.keys():
        raise VerificationError(
            f"{name} has other tensors than the header's manifest",
            expected=_listed(manifest.keys() - tensors.keys()),
            found=_listed(tensors.keys() - manifest.keys()),
        )
    for tensor, parameter in manifest.items():
        want, have = (_TYPES[name], parameter.shape), (tensors[tensor].dtype, tensors[tensor].shape)
        if want != have:
            raise VerificationError(
                f"{name} has another type or shape of {quoted(tensor)}",
                expected=f"{want[0]} {want[1]}",
                found=f"{have[0]} {have[1]}",
            )
    return tensors


def _require_bare(entries: Mapping[str, Any], name: str) -> None:
    """Nothing but tensors: loaders read metadata, and take what they know of an entry."""
    if _METADATA in entries:
        raise VerificationError(f"{name} has metadata, which nothing shows", expected="tensors alone", found=_METADATA)
    for tensor, entry in entries.items():
        if not isinstance(entry, dict) or entry.keys() != _ENTRY:
            found = _listed(entry) if isinstance(entry, dict) else type(entry).__name__
            raise VerificationError(
                f"{name} has an entry of another form, {quoted(tensor)}",
                expected=", ".join(sorted(_ENTRY)),
                found=found,
            )


def _flat(header: Header, tensors: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """The flat vector in the manifest's order, which fills it (core.records)."""
    return np.concatenate([tensors[p.name].reshape(-1) for p in header.parameters])


def _salts(data: bytes, header: Header) -> list[bytes]:
    fields = Fields(decode(data, max_bytes=len(data)), OPENING)
    fields.choice("format", (OPENING_FORMAT,))
    count = len(header.blocks)
    salts = [
        value.hex(SALT_BYTES[header.prover.backend]) for value in fields.array("W", max_items=count, min_items=count)
    ]
    fields.end()
    return salts


def _padded(values: IntArray, block: int) -> IntArray:
    return np.concatenate([values, np.zeros(block - len(values), np.int64)])


def _name(header: Header, place: int) -> str:
    parameter = next(p for p in header.parameters if p.offset <= place < p.offset + p.size)
    return f"{quoted(parameter.name)}, element {place - parameter.offset}"


def _distinct(name: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise VerificationError(f"{name} is no safetensors file: a name stands there twice")
    return dict(pairs)


def _listed(names: Any) -> str:
    shown = [quoted(name) for name in sorted(names)]
    return ", ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "") if shown else "nothing more"
