"""The verifier against the conformance suite: every case through the command line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conformance import make
from tests.conformance.about_bounds import NOT_ZERO
from tests.conformance.case import INDEX, put_together
from tests.conformance.draft import Draft
from zk_autograd.cli.verify import main
from zk_autograd.core.record_bytes import parse
from zk_autograd.core.records import Header
from zk_autograd.prove.native.shape import Shape
from zk_autograd.prove.native.verify import NativeVerifier

SUITE: dict[str, Any] = json.loads(INDEX.read_text(encoding="ascii"))
CASES: list[dict[str, Any]] = SUITE["cases"]


def arguments(auditor: dict[str, Any], target: Path) -> list[str]:
    """What the auditor types."""
    words = [str(target)] if "root" not in auditor else [auditor["root"], "--from", str(target)]
    for key in auditor["keys"]:
        words += ["--key", key]
    for flag in ("sample", "beacon"):
        if flag in auditor:
            words += [f"--{flag}", str(auditor[flag])]
    if "trust" in auditor:
        pytest.importorskip("Crypto.Hash.keccak", reason="the anchor evm takes pycryptodome")
        trust = target.parent / f"{target.name}-trust.toml"
        trust.write_text(auditor["trust"], encoding="ascii")
        words += ["--trust-anchors", str(trust)]
    for name in auditor.get("accept_uncovered", []):
        words += ["--accept-uncovered", name]
    return [*words, "--require", auditor["require"], *(["--accept-sample"] if auditor.get("accept_sample") else [])]


@pytest.mark.usefixtures("native_prover")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_verifier_conforms(case: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if case["base"] == "enclave":
        pytest.importorskip("cbor2", reason="documents of Nitro's form take cbor2: [tee]")
    tmp_path.mkdir(exist_ok=True)
    target = put_together(case, SUITE["bases"], tmp_path / "case")
    expected = case["expect"]
    status = main([*arguments(case["auditor"], target), "--json"])
    output, errors = capsys.readouterr()
    assert "Traceback" not in errors
    report = json.loads(output)
    assert status == expected["exit_status"], output[:2000]
    if status == 2:
        assert report["error"]["exit_status"] == 2
        assert case["says"] in output
        return
    assert (report["exit_status"], report["verdict"]) == (status, expected["verdict"])
    assert report["levels"] == expected["levels"]
    assert (report["failure"] or {}).get("step") == expected.get("step"), report["failure"]
    assert case["says"] in json.dumps(report, ensure_ascii=False)


@pytest.mark.usefixtures("native_prover")
def test_a_first_state_that_is_not_zero_has_the_commitment_that_its_case_names() -> None:
    draft = Draft("native")
    header = parse(draft.leaves[0], None)
    assert isinstance(header, Header)
    checker = NativeVerifier(Shape.of(header.prover))
    values, salt = np.zeros(header.prover.block, np.int64), bytes.fromhex(draft.record(1)["zero_salts"]["M"][0])
    assert checker.commit(values, salt).hex() == draft.record(1)["state"]["M"][0]
    values[0] = 1
    assert checker.commit(values, salt).hex() == NOT_ZERO


def test_the_index_is_what_its_generator_writes() -> None:
    assert make.text() == INDEX.read_text(encoding="ascii")


def test_it_has_every_step_and_status() -> None:
    names = [case["name"] for case in CASES]
    assert len(set(names)) == len(names) >= 120
    assert {case["expect"]["exit_status"] for case in CASES} == {0, 1, 2, 3}
    failing = {case["expect"]["step"] for case in CASES if case["expect"]["exit_status"] == 1}
    assert failing == set(range(1, 11))
    assert {"L1-sampled", "L0", "L1"} == {level for case in CASES for level in case["expect"].get("levels", [])}


def test_the_index_has_the_form_that_its_schema_says() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(SUITE, json.loads((INDEX.parent / "schema.json").read_text(encoding="ascii")))


def test_the_whole_folder_stays_small() -> None:
    sizes = [
        path.stat().st_size for path in INDEX.parent.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
    assert sum(sizes) < 6 * 2**20


def test_a_verifier_of_other_verdicts_does_not_conform(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The runner can fail: too kind, or too strict."""
    by_status = {case["expect"]["exit_status"]: case for case in CASES}
    for status, case in by_status.items():
        wrong = {**case, "expect": {**case["expect"], "exit_status": (status + 1) % 4}}
        with pytest.raises((AssertionError, KeyError)):
            test_the_verifier_conforms(wrong, tmp_path / str(status), capsys)
