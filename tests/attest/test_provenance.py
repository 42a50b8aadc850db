"""SLSA provenance: the fields of the specification, digests of the records, and that each entry
says what is behind it."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.attest.conftest import ROOT
from tests.attest.signed_runs import OTHER, SIGNER, written
from tests.verify.run_builder import honest
from zk_autograd.attest.envelope import signed
from zk_autograd.attest.provenance import statement
from zk_autograd.attest.published import published
from zk_autograd.core.canonical import decode
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.exact_bytes import check_exact
from zk_autograd.core.order import SAMPLER
from zk_autograd.core.records import PRIVATE, PUBLIC, Data, Exact

NATIVE = ROOT / "tests/data/runs/native-finished"


def said(run: Path) -> Any:
    """The statement as JSON has it."""
    return json.loads(json.dumps(statement(published(run))))


def leaves(value: Any, path: str = "") -> Iterator[str]:
    """The paths of all values in an object that are none themselves."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}".strip("."))
    else:
        yield path


def test_it_has_what_the_specification_requires() -> None:
    found = said(NATIVE)
    assert found["_type"] == "https://in-toto.io/Statement/v1"
    assert found["predicateType"] == "https://slsa.dev/provenance/v1"
    assert all(list(subject["digest"]) == ["sha256"] for subject in found["subject"])
    definition, details = found["predicate"]["buildDefinition"], found["predicate"]["runDetails"]
    assert set(found["predicate"]) == {"buildDefinition", "runDetails"}
    assert isinstance(definition["externalParameters"], dict)
    assert ":" in definition["buildType"]
    assert ":" in details["builder"]["id"]
    assert details["metadata"] == {"invocationId": "2d3d3b35d846926da5f802742e3ca8ed"}  # and no times: a run has none
    resources = [*found["subject"], *definition["resolvedDependencies"], *details["byproducts"]]
    assert all(resource.keys() & {"uri", "digest", "content"} for resource in resources)
    assert len({resource["name"] for resource in resources}) == len(resources)


def test_its_digests_are_those_of_the_files_and_the_records() -> None:
    found = said(NATIVE)
    for subject in found["subject"]:
        assert subject["digest"]["sha256"] == sha256((NATIVE / "model" / subject["name"]).read_bytes()).hexdigest()
    assert len(found["subject"]) == 3
    lines = (NATIVE / "log/records.jsonl").read_bytes().splitlines()
    header: Any = decode(lines[0], max_bytes=2**20)
    needed = {r["name"]: r for r in found["predicate"]["buildDefinition"]["resolvedDependencies"]}
    assert needed["data"]["digest"] == {"zkAutogradDataRoot": header["data"]["root"]}
    assert needed["data"]["annotations"]["rows"] == header["data"]["count"] == 456
    assert needed["model code"]["digest"] == {"sha256": header["model_code"]}
    assert needed["first state"]["digest"] == {"sha256": sha256(lines[1]).hexdigest()}
    assert needed["zk-autograd"]["uri"] == "pkg:generic/zk-autograd@0.1.0"
    own = [needed["config.toml"], *found["predicate"]["runDetails"]["byproducts"]]
    assert len(own) == 4
    for file in own:
        assert file["digest"]["sha256"] == sha256((NATIVE / file["name"]).read_bytes()).hexdigest()
    parameters = found["predicate"]["buildDefinition"]["externalParameters"]
    assert (parameters["rule"], parameters["steps"], parameters["groups"]) == ("adam", 6, header["groups"])


@pytest.mark.parametrize("backend", ["none", "ezkl"])
def test_each_entry_has_exactly_one_source(backend: str, tmp_path: Path) -> None:
    run = honest(backend)
    run.edit_header(data=Data(bytes(32), 7, "sequential", 10, bytes(32)), model_code=bytes(32))
    found = said(run.write(tmp_path / "run"))
    sources = found["predicate"]["buildDefinition"]["internalParameters"]["sources"]
    kinds = {kind: sources[kind] for kind in ("checkable", "claimed", "fixed")}
    unused = {name for names in kinds.values() for name in names}
    for path in leaves({"subject": found["subject"], **found["predicate"]}):
        covering = [
            (kind, name) for kind, names in kinds.items() for name in names if f"{path}.".startswith(f"{name}.")
        ]
        assert len(covering) == 1, (path, covering)
        unused.discard(covering[0][1])
    assert not unused


def test_what_no_proof_shows_is_a_claim(tmp_path: Path) -> None:
    """Data, code and base model always, rule and hyper-parameters where there are no proofs."""
    always = {"buildDefinition.resolvedDependencies", "runDetails.builder.version", "runDetails.byproducts"}
    trained = {
        f"buildDefinition.externalParameters.{name}" for name in ("rule", "groups", "schedule", "steps", "gradScale")
    }
    for backend, proved in (("none", False), ("ezkl", True)):
        found = said(honest(backend).write(tmp_path / backend))
        sources = found["predicate"]["buildDefinition"]["internalParameters"]["sources"]
        assert always <= set(sources["claimed"])
        assert (trained <= set(sources["checkable"])) == proved
        assert (trained <= set(sources["claimed"])) != proved
        assert "verified" not in json.dumps(found).replace("No entry is verified by standing here", "")


def test_tensors_that_no_proof_covers_are_dependencies_and_data_only_if_named(tmp_path: Path) -> None:
    needed = said(written(tmp_path / "run"))["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert [resource["name"] for resource in needed] == ["zk-autograd", "first state", "tensor norm.running_mean"]
    assert needed[2]["digest"] == {"sha256": "00" * 32}
    assert needed[2]["annotations"] == {"kind": "buffer", "dtype": "float32", "shape": "2"}


@pytest.mark.parametrize(
    ("backend", "visibility", "digest"),
    [
        ("none", PRIVATE, {"zkAutogradDataRoot": "07" * 32}),
        ("native", PRIVATE, {"zkAutogradDataShards": sha256(bytes(56) + b"\1" * 56).hexdigest()}),
        ("native", PUBLIC, {"sha256": "09" * 32}),
    ],
)
def test_exact_gradients_name_their_graph_and_the_one_commitment_to_their_data(
    backend: str, visibility: str, digest: dict[str, str]
) -> None:
    """Shards of a native run: its root is empty."""
    by_shard = visibility == PRIVATE and backend == "native"
    exact = Exact(
        b"\3" * 32,
        log_batch=5,
        stride=10,
        log_cells=13,
        visibility=visibility,
        shards=(bytes(56), b"\1" * 56) if by_shard else (),
        cells=b"\x09" * 32 if visibility == PUBLIC else b"",
        seed=2**63,
    )
    root = b"\7" * 32 if visibility == PRIVATE and not by_shard else b""
    model = published(NATIVE)
    prover = replace(model.log.header.prover, backend=backend)
    header = replace(
        model.log.header,
        prover=prover,
        data=Data(root, 1000, SAMPLER, 32, b""),
        exact=exact,
        unproved=(),
        model_code=b"",
        grad_scale=0,
    )
    check_exact(header)
    predicate: Any = json.loads(json.dumps(statement(replace(model, log=replace(model.log, header=header)))))[
        "predicate"
    ]
    definition = predicate["buildDefinition"]
    needed = {r["name"]: r for r in definition["resolvedDependencies"]}
    assert needed["data"]["digest"] == digest and needed["data"]["annotations"]["rows"] == 1000
    assert needed["graph"]["digest"] == {"sha256": "03" * 32}
    internal = definition["internalParameters"]
    assert internal["orderSeed"] == str(2**63) and "seedCommitment" not in internal
    claimed = internal["sources"]["claimed"]
    assert "buildDefinition.internalParameters.orderSeed" in claimed
    assert "buildDefinition.internalParameters.seedCommitment" not in claimed
    assert definition["externalParameters"]["sampler"] == SAMPLER


def test_files_that_nobody_compared_are_not_named(tmp_path: Path) -> None:
    run = honest("none")
    assert run.close is not None
    run.close = replace(run.close, artefacts=(("elsewhere.bin", bytes(32)),))
    found = said(run.write(tmp_path / "run"))
    assert found["predicate"]["runDetails"]["byproducts"] == []
    assert "elsewhere" not in json.dumps(found)


def test_a_signed_one_is_an_envelope_over_the_same_statement() -> None:
    plain = statement(published(NATIVE))
    envelope = signed(plain, SIGNER)
    assert decode(envelope.payload, max_bytes=2**20) == said(NATIVE)
    assert envelope.payload_type == "application/vnd.in-toto+json"
    SIGNER.public_key.verify(envelope.signed, envelope.signatures[0].sig)
    with pytest.raises(VerificationError, match="wrong signature"):
        OTHER.public_key.verify(envelope.signed, envelope.signatures[0].sig)


class Lying:
    """A device that signs with another key than it shows."""

    public_key = SIGNER.public_key
    sign = OTHER.sign


def test_a_signature_that_does_not_verify_is_not_handed_out() -> None:
    with pytest.raises(VerificationError, match="wrong signature"):
        signed(statement(published(NATIVE)), Lying())


@pytest.mark.slow
def test_in_totos_own_definitions_read_all_of_it(their_python: Path) -> None:
    found = said(NATIVE)
    script = ROOT / "tests/attest/statements_read.py"

    def read(value: Any) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [their_python, "-P", script], input=json.dumps(value), capture_output=True, text=True, check=False
        )

    done = read(found)
    assert done.returncode == 0, done.stderr
    understood = json.loads(done.stdout)
    assert (
        understood["buildDefinition"]["resolvedDependencies"]
        == found["predicate"]["buildDefinition"]["resolvedDependencies"]
    )
    assert understood["runDetails"] == found["predicate"]["runDetails"]
    assert (
        understood["buildDefinition"]["externalParameters"]
        == found["predicate"]["buildDefinition"]["externalParameters"]
    )
    found["predicate"]["buildDefinition"]["verified"] = True
    assert "no field named" in read(found).stderr
