"""What a published model was made of, as a SLSA provenance v1 statement (https://slsa.dev/spec/v1.0/provenance).

The subjects are the published files. The parameters are those of the header and the close record.
The resolved dependencies are what went in: the commitment to the data, the first state, the tensors
that no proof covers, the model's code, the package. docs/formats.md describes the build type.

Nothing in such a statement is verified by standing in it. So it says of each entry what is behind
it, in `internalParameters.sources`: what `zk-verify` shows from the run's log and proofs, what is
fixed by the log but the trainer's word, and what is no statement about this training at all. No
times are given: a run has none.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256

from zk_autograd.attest.published import Published
from zk_autograd.core.canonical import Json
from zk_autograd.core.dsse import STATEMENT
from zk_autograd.core.records import Header, Unproved
from zk_autograd.evidence.layout import ARTEFACTS, CONFIG

PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:zk-autograd:training:v1"
BUILDER = "urn:zk-autograd:trainer"
"""The trainer's own machine: nothing attests to it."""

NOTE = (
    "No entry is verified by standing here. `checkable`: zk-verify shows it from the run with the root below, or fails; `claimed`: the trainer's "
    "word, fixed by the log; `fixed`: the same in every statement of this build type. A name covers what is below it."
)


def statement(model: Published) -> dict[str, Json]:
    """The statement, unsigned. Its files and digests are those that `published` compared."""
    return {
        "_type": STATEMENT,
        "subject": [_file(name, digest) for name, digest in model.model],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": _external(model),
                "internalParameters": _internal(model),
                "resolvedDependencies": _dependencies(model),
            },
            "runDetails": {
                "builder": {"id": BUILDER, "version": {"zk-autograd": model.log.header.package}},
                "metadata": {"invocationId": model.log.header.run.hex()},
                "byproducts": [_file(name, digest) for name, digest in _own_files(model) if name != CONFIG],
            },
        },
    }


def _external(model: Published) -> Json:
    """What the trainer chose."""
    header = model.log.header
    return {
        "rule": header.rule.value,
        "schedule": header.schedule,
        "gradScale": header.grad_scale,
        "groups": [{**dict(group.hyper), "s": group.s} for group in header.groups],
        "steps": model.close.last_step,
        "batchSize": header.data.batch_size,
        "sampler": header.data.sampler,
    }


def _internal(model: Published) -> Json:
    header, prover = model.log.header, model.log.header.prover
    proof: dict[str, Json] = {"backend": prover.backend, "version": prover.version}
    if prover.form.proves:
        proof |= {"circuit": prover.circuit, "circuitDigest": prover.circuit_digest.hex()}
    return {
        "parameters": header.size,
        "tensors": len(header.parameters),
        "prover": proof,
        "log": {
            "origin": header.origin,
            "root": model.head.root.hex(),
            "size": model.head.size,
            "keys": list(model.signers),
        },
        **_seed(header),
        "sources": _sources(header),
    }


def _seed(header: Header) -> dict[str, Json]:
    """That of the data's order: in clear with exact gradients ("" where a beacon gives it)."""
    if header.exact is None:
        return {"seedCommitment": header.data.seed.hex()}
    return {"orderSeed": "" if header.exact.seed is None else str(header.exact.seed)}


def _sources(header: Header) -> Json:
    """What is behind each entry, by its path in the predicate. Where nothing is proved, the rule
    and its parameters are claims too."""
    definition = "buildDefinition"
    trained = [
        *(f"{definition}.externalParameters.{name}" for name in ("rule", "schedule", "gradScale", "groups")),
        f"{definition}.externalParameters.steps",
        f"{definition}.internalParameters.prover",
    ]
    checkable = [
        "subject",
        f"{definition}.internalParameters.parameters",
        f"{definition}.internalParameters.tensors",
        f"{definition}.internalParameters.log",
        "runDetails.metadata.invocationId",
        *(trained if header.prover.form.proves else []),
    ]
    claimed = [
        *([] if header.prover.form.proves else trained),
        f"{definition}.externalParameters.batchSize",
        f"{definition}.externalParameters.sampler",
        *(f"{definition}.internalParameters.{name}" for name in _seed(header)),
        f"{definition}.resolvedDependencies",
        "runDetails.builder.version",
        "runDetails.byproducts",
    ]
    fixed = [f"{definition}.buildType", f"{definition}.internalParameters.sources", "runDetails.builder.id"]
    return {"note": NOTE, "checkable": checkable, "claimed": claimed, "fixed": fixed}


def _dependencies(model: Published) -> Sequence[Json]:
    header = model.log.header
    found: list[Json] = [{"name": "zk-autograd", "uri": f"pkg:generic/zk-autograd@{header.package}"}]
    found += _data(header)
    if header.exact is not None:
        found.append(_resource("graph", {"sha256": header.exact.graph.hex()}, form="graph.txt"))
    first = {"sha256": model.genesis_digest.hex()}
    found.append(_resource("first state", first, form="the log's record 1, with salted commitments to the weights"))
    if header.model_code:
        found.append(_resource("model code", {"sha256": header.model_code.hex()}))
    found += [_tensor(tensor) for tensor in header.unproved]
    return found + [_file(name, digest) for name, digest in _own_files(model) if name == CONFIG]


def _data(header: Header) -> Sequence[Json]:
    """The one commitment to the data, if the header has one."""
    exact, rows = header.exact, header.data.count
    if exact is not None and exact.cells:
        return [_resource("data", {"sha256": exact.cells.hex()}, rows=rows, form="data/cells")]
    if exact is not None and exact.shards:
        together = {"zkAutogradDataShards": sha256(b"".join(exact.shards)).hexdigest()}
        return [_resource("data", together, rows=rows, form="SHA-256 over the commitments to the shards")]
    if header.data.root:
        root = {"zkAutogradDataRoot": header.data.root.hex()}
        return [_resource("data", root, rows=rows, form="salted Merkle root over the rows")]
    return []


def _own_files(model: Published) -> list[tuple[str, bytes]]:
    """The trainer's own files of the run. Other names in a close record are of files that nobody
    compared."""
    return sorted((name, digest) for name, digest in model.close.artefacts if name in ARTEFACTS)


def _tensor(tensor: Unproved) -> Json:
    """A buffer or frozen parameter, of the base model where there is one."""
    digest = {"sha256": tensor.digest.hex()}
    shape = "x".join(map(str, tensor.shape))
    return _resource(f"tensor {tensor.name}", digest, kind=tensor.kind, dtype=tensor.dtype, shape=shape)


def _resource(name: str, digest: Mapping[str, str], **annotations: Json) -> Json:
    return {"name": name, "digest": digest, **({"annotations": annotations} if annotations else {})}


def _file(name: str, digest: bytes) -> Json:
    return {"name": name, "digest": {"sha256": digest.hex()}}
