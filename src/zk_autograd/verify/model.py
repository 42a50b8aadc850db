"""Step 10, Model: the published weights are those of the last commitment.

The close record names exactly the three files of evidence.model_files by their SHA-256, or none.
They hold the tensors of the header's manifest and no others: unproved tensors (buffers, frozen
parameters) are not in them. The floats are the integers' rounding, and the integers open
close.state["W"], block by block.

Anything else in model/ is left to verify.uncovered.
"""

from collections.abc import Mapping
from hashlib import sha256

import numpy as np

from zk_autograd.core.errors import RangeError, VerificationError
from zk_autograd.core.formats import dequantize_weight
from zk_autograd.core.progress import Progress
from zk_autograd.core.records import Close, Header, Log
from zk_autograd.core.text import quoted
from zk_autograd.core.trust import Missing
from zk_autograd.evidence import model_files
from zk_autograd.evidence.hashes import weights_hash
from zk_autograd.evidence.layout import MODEL, OPENING, PUBLISHED, WEIGHTS_FLOATS, WEIGHTS_INTEGERS
from zk_autograd.evidence.run import Evidence, digests
from zk_autograd.verify.outcome import Claim, Finding, Outcome, Source, Status
from zk_autograd.verify.statement import SEGMENT_RECORD, Basis

INTEGERS, FLOATS = WEIGHTS_INTEGERS, WEIGHTS_FLOATS
MAX_PARAMETERS = 2**28
"""The largest model that is opened. Step 10 takes about 40 bytes per parameter: 10 GiB here."""


def check_model(log: Log, files: Evidence, basis: Basis, progress: Progress) -> tuple[bytes | None, Outcome]:
    """Step 10's part for the model, and the published integers' hash (evidence.hashes), if any."""
    close = log.close
    if close is None or not close.model:
        why = "no close record" if close is None else "the close record names no model"
        claim = Claim("published weights", Source.ABSENT)
        return None, Outcome(Finding(Status.ABSENT, (f"not published: {why}",)), claims=(claim,))
    try:
        finding, weights = _check(log.header, close, files, basis, progress)
    except VerificationError as error:
        raise error.at(0, SEGMENT_RECORD + len(log.segments)) from error
    source = Source.PROVED if finding.status is Status.PASSED else Source.CLAIMED
    return weights, Outcome(finding, claims=(Claim("that the published weights are those of the last record", source),))


def _check(header: Header, close: Close, files: Evidence, basis: Basis, progress: Progress) -> tuple[Finding, bytes]:
    named = dict(close.model)
    if named.keys() != set(PUBLISHED):
        raise VerificationError(
            "the close record does not name exactly the files of a model",
            expected=", ".join(PUBLISHED),
            found=model_files.some_of(named),
        )
    if header.size > MAX_PARAMETERS:
        raise VerificationError(
            "the model is too large to be opened", expected=f"at most {MAX_PARAMETERS}", found=str(header.size)
        )
    limits = model_files.max_bytes(header)
    # Before one is held in memory: a sparse file costs its writer nothing.
    for path, found in digests(files, {f"{MODEL}/{name}": limits[name] for name in PUBLISHED}):
        name = path.removeprefix(f"{MODEL}/")
        require_digest(name, named[name], found)
    W = model_files.flat(_read(files, INTEGERS, named, limits[INTEGERS]), INTEGERS, header)
    try:
        rounded = dequantize_weight(W)
    except RangeError as error:
        raise VerificationError(f"{INTEGERS} holds a value that no step produces: {error}") from error
    published = model_files.flat(_read(files, FLOATS, named, limits[FLOATS]), FLOATS, header)
    # Bits are compared, not values: -0.0 equals 0.0, and no rounding produces it.
    differing = np.flatnonzero(published.view(np.uint32) != rounded.view(np.uint32))
    if differing.size:
        place = int(differing[0])
        raise VerificationError(
            f"{FLOATS} is not the rounding of {INTEGERS}: {_name(header, place)}",
            expected=repr(float(rounded[place])),
            found=repr(float(published[place])),
        )
    salts = model_files.salts(_read(files, OPENING, named, limits[OPENING]), header)
    sentences = [
        f"{INTEGERS}, {FLOATS} and {OPENING} match the close record",
        f"they hold the tensors of the header ({len(header.parameters)}, {header.size} parameters) and no others; the floats are the integers, "
        "rounded",
    ]
    if isinstance(basis.checker, Missing):
        sentences.append(
            "whether the integers open the final commitment was not checked: it can't be recomputed (step 5)"
        )
        return Finding(Status.NOT_SHOWN, tuple(sentences)), weights_hash(W)
    blocks = (header.padded(W, block) for block in range(len(header.blocks)))
    commitments = basis.checker.commitments(zip(blocks, salts, strict=True))
    for i, (found, expected) in enumerate(zip(commitments, close.state["W"], strict=True)):
        if found != expected:
            raise VerificationError(
                f"the weights of block {i} don't open the final commitment", expected=expected.hex(), found=found.hex()
            )
        progress("model", i + 1, len(salts))
    return Finding(Status.PASSED, (*sentences, "the integers open the final commitment of W")), weights_hash(W)


def _read(files: Evidence, name: str, digests: Mapping[str, bytes], limit: int) -> bytes:
    data = files.model_file(name, limit)
    require_digest(name, digests[name], sha256(data).digest())  # these bytes: the file may be another than before
    return data


def require_digest(name: str, expected: bytes, found: bytes) -> None:
    """VerificationError unless a file of the model has the close record's digest."""
    if found != expected:
        raise VerificationError(f"{name} does not match the close record", expected=expected.hex(), found=found.hex())


def _name(header: Header, place: int) -> str:
    parameter = next(p for p in header.parameters if p.offset <= place < p.offset + p.size)
    return f"{quoted(parameter.name)}, element {place - parameter.offset}"
