"""`zk-train --start beacon:...`: the beacon gives first weights and order of the rows. The beacon
here is a stand-in (tests.run.beacons), which the verifier believes nothing; the real one is
tests/anchor/evm's."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests import trainer_key
from tests.run.beacons import HashBeacon

pytest.importorskip("torch")
pytest.importorskip("sklearn")

import torch

from zk_autograd.anchor.kinds import open_anchor
from zk_autograd.cli import key, reproduce, train, verify
from zk_autograd.cli import run as zk_run
from zk_autograd.core.errors import UsageError
from zk_autograd.core.first_weights import first_weights, order_of, order_seed
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.core.records import BEACON, Log
from zk_autograd.credentials import keyfile
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.optim import ZKOptimizer, registering, trajectory
from zk_autograd.optim.claims import batch_digest
from zk_autograd.run.files import Files
from zk_autograd.run.journal import Journal
from zk_autograd.run.layout import Layout
from zk_autograd.train.plan import Plan
from zk_autograd.train.sampler import Sampler
from zk_autograd.train.session import retrain

pytestmark = pytest.mark.torch

TRAIN = ["--steps", "3", "--prover", "none", "--data", "breast-cancer", "--model", "logistic", "--out", "run"]
START = ["--start", "beacon:hash:it"]
KEY = "config/zk-autograd/log.key.pub"


@pytest.fixture(autouse=True)
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HashBeacon:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    trainer_key.create(keyfile.default_path(), "trainer")
    found = HashBeacon(tmp_path / "anchored")
    monkeypatch.setattr(registering, "open_anchor", lambda spec: found if spec == "hash:it" else open_anchor(spec))
    return found


def log_of(run: str) -> Log:
    with RunFolder(Path(run)) as reader:
        return parse_log(reader.leaves())


def test_weights_and_order_are_the_beacons(capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main([*TRAIN, *START]) == 0
    _, err = capsys.readouterr()
    assert "the header is entered, and its beacon is waited for" in err
    log = log_of("run")
    assert log.genesis is not None
    assert (log.header.weights_by, log.header.order_by) == (BEACON, BEACON)
    beacon = log.genesis.beacon
    layout = Layout(Path("run"))
    journal = Journal(layout.segments, log.header, log.header_digest, Files())
    assert (journal.start(0).state["W"] == first_weights(log.header, log.header_digest, beacon)).all()
    sampler = Sampler(log.header.data.count, log.header.data.batch_size, order_seed(log.header_digest, beacon))
    for t in (1, 2, 3):
        assert journal.step(0, t).claims.batch == batch_digest(sampler.batch(t))
        assert sampler.batch(t).tolist() != Sampler(sampler.rows, sampler.batch_size, 0).batch(t).tolist()
    assert verify.main(["run", "--key", KEY, "--require", "L0"]) == 0
    assert reproduce.main(["run"]) == 0, capsys.readouterr().err


def test_order_of_exact_gradients_is_the_beacons(capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main([*TRAIN, *START, "--level", "L3"]) == 0
    log = log_of("run")
    assert log.genesis is not None
    assert log.header.exact is not None
    assert (log.header.order_by, log.header.exact.seed) == (BEACON, None)
    assert "order-seed" not in Path("run/config.toml").read_text()
    assert verify.main(["run", "--key", KEY, "--require", "L0"]) == 0
    assert reproduce.main(["run"]) == 0, capsys.readouterr().err
    beacon = log.genesis.beacon
    wrong = order_seed(log.header_digest, bytes(32))
    assert order_seed(log.header_digest, beacon) != wrong
    plan = replace(Plan.read(Path("run")), order_seed=wrong)
    weights = first_weights(log.header, log.header_digest, beacon)
    again = [
        retrain(plan, lambda step, steps: None, begun=(weights, seed)).tobytes()
        for seed in (wrong, order_seed(log.header_digest, beacon))
    ]
    assert again[0] != again[1]


@pytest.mark.slow
def test_an_auditor_recomputes_gradients_in_the_beacons_order(
    native_prover: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Level L3, and of nothing in another order, which the same trainer's code took."""
    words = ["--steps", "3", "--data", "breast-cancer", "--model", "logistic", "--level", "L3", *START]
    assert train.main([*words, "--out", "run"]) == 0
    capsys.readouterr()
    assert judged_with_all_opened("run") == 0
    told = capsys.readouterr().out
    assert told.endswith("verdict: L0, L1, L3\n")
    sentence = "in the order order/v1, of a seed that follows from the beacon in the genesis"
    assert sentence in " ".join(told.split())
    with monkeypatch.context() as patch:
        patch.setattr(trajectory, "order_of", lambda header, digest, beacon: order_of(header, digest, bytes(32)))
        assert train.main([*words, "--out", "another"]) == 0
    assert verify.main(["another", "--key", KEY, "--require", "L1"]) == 0
    capsys.readouterr()
    assert judged_with_all_opened("another") == 1
    assert "the gradient of step 1 is not what the graph gives on the data" in capsys.readouterr().out


def judged_with_all_opened(run: str) -> int:
    """zk-verify's exit status, --require L3, as an auditor who was given data and openings of all
    segments."""
    own, public, cells, openings = (f"{run}.{end}" for end in ("auditor", "auditor.pub", "cells", "openings"))
    assert key.main(["new", "--for", "recipient", "--key-file", own]) == 0
    assert zk_run.main(["open", run, "--all", "--for", public, "--out", openings]) == 0
    assert zk_run.main(["open", run, "--cells", cells]) == 0
    given = ["--data", cells, "--openings", openings, "--recipient-key", own, "--require", "L3", "--long"]
    return verify.main([run, "--key", KEY, *given])


def test_another_try_is_another_beacon_and_another_entry(source: HashBeacon) -> None:
    assert train.main([*TRAIN, *START]) == 0
    assert train.main([*TRAIN[:-1], "again", *START]) == 0
    one, two = log_of("run").genesis, log_of("again").genesis
    assert one is not None
    assert two is not None
    assert one.beacon != two.beacon
    assert source.sizes == [1, 3]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--start", "evm:x"], "names no start: it is beacon:KIND:REST"),
        (["--start", "beacon:"], "names no start"),
        (["--start", "beacon:nobody:x"], "names no kind of anchor"),
        (["--start", "beacon:file:a"], "gives no beacon: its trainer could ask for as many as they like"),
        ([*START, "--no-register"], "must be in a register"),
        ([*START, "--grad-scale", "auto"], "the header says grad_scale before a beacon gives the first weights"),
    ],
)
def test_a_start_that_is_none_is_refused(capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    assert train.main([*TRAIN, *words]) == 2
    assert message in capsys.readouterr().err
    assert not Path("run").exists()


def optimizer(**options: Any) -> tuple[torch.nn.Parameter, ZKOptimizer]:
    weight = torch.nn.Parameter(torch.ones(3, 2))
    return weight, ZKOptimizer([("w", weight)], "sgd", 0.125, prover="none", **options)


def test_a_loop_of_ones_own_starts_before_its_first_forward_pass(tmp_path: Path) -> None:
    weight, zk = optimizer(run=tmp_path / "run", start="beacon:hash:it")
    weight.sum().backward()
    with pytest.raises(UsageError, match=r"call start\(\) before the first forward pass"):
        zk.step()
    zk.start()
    assert zk.beacon
    assert zk.order_seed is None  # it is the trainer's, unless they say otherwise
    assert not (weight == 1).any()
    before = weight.detach().clone()
    zk.zero_grad()
    weight.sum().backward()
    zk.step()
    assert torch.allclose(weight, before - 0.125, atol=1e-6)
    zk.close()
    _, again = optimizer()
    with pytest.raises(UsageError, match="for a new run"):
        optimizer(run=tmp_path / "run", resume=True, start="beacon:hash:it")
    with pytest.raises(UsageError, match="goes with start="):
        optimizer(run=tmp_path / "other", order_by_beacon=True)
    again.begin_with(again.integers["W"])


def test_an_interrupted_one_goes_on_in_the_same_order(monkeypatch: pytest.MonkeyPatch) -> None:
    from zk_autograd.train.loop import Loop

    gradients = Loop.gradients
    assert train.main([*TRAIN, *START]) == 0

    def dies(self: Loop, step: int, zk: Any) -> float:
        if step == 3:
            raise KeyboardInterrupt
        return gradients(self, step, zk)

    monkeypatch.setattr(Loop, "gradients", dies)
    assert train.main([*TRAIN[:-1], "stopped", *START]) == 130
    monkeypatch.setattr(Loop, "gradients", gradients)
    assert train.main(["--resume", "stopped"]) == 0
    log = log_of("stopped")
    assert log.genesis is not None
    seed = order_seed(log.header_digest, log.genesis.beacon)
    journal = Journal(Layout(Path("stopped")).segments, log.header, log.header_digest, Files())
    sampler = Sampler(log.header.data.count, log.header.data.batch_size, seed)
    assert journal.step(0, 3).claims.batch == batch_digest(sampler.batch(3))
