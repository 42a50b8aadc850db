"""ZKOptimizer's own files in a run: written by themselves, judged, and whole again after an
interruption."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.optim.models import backward, network, train
from zk_autograd.core.errors import RunError, UsageError
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.evidence.hashes import Hashes, weights_hash
from zk_autograd.optim import ZKOptimizer
from zk_autograd.prove.hashed.backend import HashedBackend
from zk_autograd.prove.verifiers import Systems
from zk_autograd.run import train_log
from zk_autograd.verify.outcome import Level
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.report import Report
from zk_autograd.verify.verifier import Verifier

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::zk_autograd.optim.trajectory.CoarseEps")]

TOKEN = "hf_AbCdEfGhIjKlMnOpQrStUvWxYz01234567"

Make = Callable[..., ZKOptimizer]


@pytest.fixture
def make(tmp_path: Path, signer: Ed25519Signer) -> Make:
    def made(model: torch.nn.Module, **options: Any) -> ZKOptimizer:
        settings = {"prover": HashedBackend(20, 3), "key": signer, "run": tmp_path / "run", **options}
        return ZKOptimizer(model.named_parameters(), "adam", 0.01, **settings)

    return made


def report_of(run: Path, signer: Ed25519Signer) -> Report:
    policy = Policy(keys=(signer.public_key,), require=frozenset({Level.L0}))
    with RunFolder(run) as files:
        return Verifier(policy, Systems()).verify(files)


def lines(run: Path) -> list[dict[str, Any]]:
    return [dict(event) for event in train_log.events((run / "train_log.jsonl").read_bytes())]


def test_a_run_of_the_library_has_the_files_and_is_judged_with_them(
    tmp_path: Path, make: Make, signer: Ed25519Signer
) -> None:
    model, run = network(), tmp_path / "run"
    with make(model, publish=True) as optimizer:
        train(model, optimizer, range(4))
    assert report_of(run, signer).exit_status == 0
    assert sorted(p.name for p in run.iterdir() if p.is_file()) == [
        "environment.json",
        "hashes.json",
        "train_log.jsonl",
    ]
    assert json.loads((run / "environment.json").read_bytes())["torch"]["threads"] == torch.get_num_threads()
    hashes = Hashes.parse((run / "hashes.json").read_bytes())
    assert hashes.weights == weights_hash(optimizer.integers["W"])
    assert hashes.config is None
    kinds = [event["event"] for event in lines(run)]
    assert kinds[:2] == ["begin", "step"]
    assert kinds[-1] == "close"
    assert (kinds.count("step"), kinds.count("proved")) == (4, 2)
    assert [event["lr"] for event in lines(run) if event["event"] == "step"] == [["0.01"]] * 4


def test_config_is_kept_without_tokens(tmp_path: Path, make: Make, signer: Ed25519Signer) -> None:
    model = network()
    with make(model, config=f'name = "a"\nurl = "https://me:{TOKEN}@example.org"\n') as optimizer:
        train(model, optimizer, range(1))
    kept = (tmp_path / "run/config.toml").read_bytes()
    assert kept == b'name = "a"\nurl = "https://me:[redacted]@example.org"\n'
    assert report_of(tmp_path / "run", signer).exit_status == 0
    with pytest.raises(UsageError, match="config is not a TOML text"):
        make(network(), run=tmp_path / "other", config="name =")


def test_the_lr_of_each_step_is_the_schedules(tmp_path: Path, make: Make) -> None:
    model = network()
    with make(model, schedule="linear:steps=4,end=0") as optimizer:
        train(model, optimizer, range(3))
    assert [event["lr"] for event in lines(tmp_path / "run") if event["event"] == "step"] == [
        ["0.01"],
        ["0.0075"],
        ["0.005"],
    ]


@pytest.mark.parametrize("stop", [0, 1, 4])
def test_a_resumed_run_says_so_once_it_goes_on(stop: int, tmp_path: Path, make: Make, signer: Ed25519Signer) -> None:
    model, run = network(), tmp_path / "run"
    optimizer = make(model, grad_scale=0)
    optimizer.start()
    train(model, optimizer, range(stop))
    optimizer.abandon()
    before = (run / "train_log.jsonl").read_bytes()
    make(network(), grad_scale=0, resume=True).abandon()
    assert (run / "train_log.jsonl").read_bytes() == before
    model = network()
    with make(model, grad_scale=0, resume=True, publish=True) as resumed:
        train(model, resumed, range(stop, 6))
    assert report_of(run, signer).exit_status == 0
    assert [(e["steps"], e["changes"]) for e in lines(run) if e["event"] == "resumed"] == [(stop, [])]
    assert [e["step"] for e in lines(run) if e["event"] == "step"] == list(range(1, 7))
    with RunFolder(run) as files:
        close = parse_log(files.leaves()).close
    assert close is not None
    assert dict(close.artefacts)["train_log.jsonl"] == sha256((run / "train_log.jsonl").read_bytes()).digest()


def test_a_log_that_can_not_be_written_ends_the_training_with_nothing_lost(
    tmp_path: Path, make: Make, signer: Ed25519Signer
) -> None:
    model, run = network(), tmp_path / "run"
    optimizer = make(model)
    train(model, optimizer, range(2))
    log = (run / "train_log.jsonl").read_bytes()
    (run / "train_log.jsonl").unlink()
    (run / "train_log.jsonl").mkdir()
    backward(model, 2)
    optimizer.note(loss=0.5)
    with pytest.raises(RunError, match=r"train_log\.jsonl could not be appended to"):
        optimizer.step()
    with pytest.raises(RunError, match="was abandoned; resume it"):
        train(model, optimizer, range(1))
    (run / "train_log.jsonl").rmdir()
    (run / "train_log.jsonl").write_bytes(log[:-7])
    with make(network(), resume=True) as resumed:
        assert resumed.steps == 3
    assert report_of(run, signer).exit_status == 0
    assert [e["step"] for e in lines(run) if e["event"] == "step"] == [1, 2, 3]


def test_a_place_that_can_not_take_the_files_leaves_no_run(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = network()
    optimizer = make(model, config='name = "a"\n')
    backward(model, 0)

    def full(self: object, path: Path, data: bytes, mode: int = 0) -> None:
        if path.name == "config.toml":
            raise RunError(f"{path} could not be written: No space left on device")
        return write(self, path, data, mode or 0o644)  # type: ignore[arg-type]

    from zk_autograd.run.files import Files

    write = Files.write_atomic
    monkeypatch.setattr(Files, "write_atomic", full)
    with pytest.raises(RunError, match="No space left"):
        optimizer.step()
    assert not (tmp_path / "run").exists()
