"""The verifier on a real run of native proofs: SGD with momentum and decay, two groups of different
s, 11 steps in two segments."""

import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.verify.run_builder import KEY, SIGNER, refused
from zk_autograd.cli.verify import main
from zk_autograd.core.canonical import encode
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.note import checkpoint_text, sign
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.prove.native.verify import NativeSystem
from zk_autograd.verify.outcome import Level, Status, Step
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.report import Report
from zk_autograd.verify.verifier import Verifier

POLICY = Policy(keys=(KEY,), srs=frozenset())


@pytest.fixture
def run(native_run: Path, tmp_path: Path) -> Path:
    """A copy without anything private, to be altered."""
    return shutil.copytree(native_run, tmp_path / "run", ignore=shutil.ignore_patterns("private"))


def judged(run: Path) -> Report:
    with RunFolder(run) as files:
        return Verifier(POLICY, {"native": NativeSystem()}).verify(files)


def rewrite(run: Path, index: int, change: Callable[[Any], None]) -> None:
    """Changes record `index` and signs the log again: what a trainer can do."""
    with RunFolder(run) as files:
        leaves = files.leaves()
    record = json.loads(leaves[index])
    change(record)
    leaves[index] = encode(record)
    origin = parse_log([leaves[0]]).header.origin
    note = sign(checkpoint_text(origin, len(leaves), root([leaf_hash(leaf) for leaf in leaves])), (SIGNER,))
    (run / "log/records.jsonl").write_bytes(b"".join(leaf + b"\n" for leaf in leaves))
    (run / "log/checkpoint").write_bytes(note)


def test_every_step_is_shown_without_any_srs(run: Path) -> None:
    report = judged(run)
    assert (report.failure, report.missing, report.levels) == (None, (), frozenset({Level.L0, Level.L1}))
    for step in (Step.STATEMENT, Step.CHAIN, Step.PROOFS, Step.MODEL):
        assert report.findings[step].status is Status.PASSED
    assert "all 4 proofs are valid for the statements of the records" in report.findings[Step.PROOFS].sentences
    assert any("the proofs need no trusted set-up" in limit for limit in report.limits)
    assert not any("SRS" in sentence for sentence in (*report.findings[Step.STATEMENT].sentences, *report.limits))


def test_report_says_how_many_bits_the_proofs_are_worth(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run), "--key", KEY.encode(), "--long"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "circuit native/sgd-momentum-standard is this verifier's own" in text
    assert "native STARK, preset standard: " in text
    assert " proven bits (Johnson list decoding, random-oracle model)" in text
    assert main([str(run), "--key", KEY.encode(), "--json"]) == 0
    security = json.loads(capsys.readouterr().out)["security"]
    assert security["assumption"] == "Johnson list decoding, random-oracle model"
    assert security["proven_bits"] >= 100


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"circuit_digest": "00" * 32}, "its digest differs"),
        ({"circuit": "native/sgd-nesterov-standard"}, "its rule differs"),
        ({"circuit": "native/sgd-momentum-strict"}, "its digest differs"),
        ({"circuit": "native/sgd-momentum-lax"}, "the native prover has no such circuit"),
        ({"version": "2"}, "its version differs"),
        ({"block": 2**13 + 1}, "block must be a power of two"),
        ({"steps": 2**8}, "the native prover has no such shape"),
    ],
)
def test_step5_circuit_is_not_the_verifiers_own(run: Path, change: dict[str, Any], message: str) -> None:
    rewrite(run, 0, lambda header: header["prover"].update(change))
    refused(judged(run), 5, message, record=0)


def exchange(run: Path, name: str, proof: bytes) -> None:
    """Another proof in the place of `name`, with its hash in the record."""
    segment, block = map(int, name.split("-"))
    (run / "proofs" / name).write_bytes(proof)
    rewrite(run, 2 + segment, lambda record: record["proofs"].__setitem__(block, sha256(proof).hexdigest()))


@pytest.mark.parametrize("name", ["0-0", "0-1", "1-0", "1-1"])
def test_step7_each_proof_stands_for_its_own_record(run: Path, name: str) -> None:
    segment, block = name.split("-")
    exchange(run, name, (run / "proofs" / f"{1 - int(segment)}-{block}").read_bytes())
    refused(judged(run), 7, f"proof {name}: the proof does not verify", record=2 + int(segment))


@pytest.mark.parametrize(
    "change",
    [lambda p: p[:-1], lambda p: p + b"\0", lambda p: p[:-9] + bytes([p[-9] ^ 1]) + p[-8:], lambda p: p[:100]],
    ids=["shorter", "longer", "a bit", "commitments torn"],
)
def test_step7_other_bytes_are_refused(run: Path, change: Callable[[bytes], bytes]) -> None:
    exchange(run, "0-1", change((run / "proofs/0-1").read_bytes()))
    refused(judged(run), 7, "proof 0-1: the proof ", record=2)


@pytest.mark.parametrize(
    ("group", "name", "value"), [(0, "momentum", "0.8"), (0, "weight_decay", "0"), (1, "lr", "0.02"), (1, "s", 30)]
)
def test_step7_proofs_hold_under_their_own_header_alone(run: Path, group: int, name: str, value: Any) -> None:
    rewrite(run, 0, lambda header: header["groups"][group].update({name: value}))
    refused(judged(run), 7, "the proof does not verify", record=2)


def test_step6_first_momentum_that_is_not_zero_is_refused(run: Path) -> None:
    rewrite(run, 1, lambda genesis: genesis["zero_salts"]["B"].__setitem__(1, "00" * 32))
    refused(judged(run), 6, "B of block 1 is not zero at the start", record=1)


def test_module_that_is_not_built_shows_the_log_alone(run: Path, without_native: None) -> None:
    report = judged(run)
    assert (report.failure, report.exit_status, report.verdict) == (None, 3, "L0")
    assert "make install" in report.missing[0]
    assert report.findings[Step.STATEMENT].status is Status.NOT_SHOWN
    assert report.findings[Step.PROOFS].status is Status.SKIPPED
    assert report.security is None
