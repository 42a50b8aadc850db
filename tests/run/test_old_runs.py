"""Runs that earlier versions made (tests/data/runs/) are verified for ever, and the open ones go
on."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from zk_autograd import ZKOptimizer, verify_run
from zk_autograd.anchor.evm import trust as evm
from zk_autograd.anchor.evm.contract import contract
from zk_autograd.anchor.kinds import verifiers
from zk_autograd.cli import key as zk_key
from zk_autograd.cli import register as zk_register
from zk_autograd.cli import run as zk_run
from zk_autograd.cli import train as zk_train
from zk_autograd.core.errors import RunError, UsageError, VerificationError
from zk_autograd.core.keys import Algorithm, PublicKey, parse_keys
from zk_autograd.core.note import parse_unverified
from zk_autograd.core.progress import silent
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.core.records import TRAINER, V0
from zk_autograd.core.register import origin_of
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.optim.resuming import ResumedLr
from zk_autograd.prove.verifiers import Systems
from zk_autograd.run.files import Files
from zk_autograd.run.inventory import look_at
from zk_autograd.run.journal import Journal
from zk_autograd.run.layout import Layout
from zk_autograd.verify.anchors import check_anchors
from zk_autograd.verify.beginning import check_beginning
from zk_autograd.verify.log import parse
from zk_autograd.verify.outcome import Claim, Level, Source, Status, Step
from zk_autograd.verify.policy import Policy, TreeHead
from zk_autograd.verify.report import Report
from zk_autograd.verify.statement import check_statement
from zk_autograd.verify.verifier import Verifier

RUNS = Path(__file__).parent.parent / "data" / "runs"
PUBLIC = (RUNS / "test.key.pub").read_text().strip()
ROOT_V1 = "36b9148815a9b86c152ba7af7df844820d4433b1cc4e228b0f9237216dce61fe@4"
ROOT_V2 = "fd1890ed9d8b9bd455e6890db98052206d96dc8b5b7a4f667ce0faeef8a80e5a@4"
ROOT_EXACT = "fc7de8f7bf1cd646099131238009051469dd5f3d8dbe8d6fb4fd2cc753f887fb@4"
ROOT = "84181b5ef48d86b6cc78f6f0026a42d15219a4d9f70fd690a37c94aa1f143889@4"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """The key that signed the runs, closed to others: git doesn't keep that."""
    path = tmp_path / "log.key"
    shutil.copyfile(RUNS / "test.key", path)
    path.chmod(0o600)
    return path


def copied(name: str, place: Path) -> Path:
    """A copy of the run `name`, with the empty folders that git doesn't keep."""
    run = Path(shutil.copytree(RUNS / name, place / name))
    for folder in ("log", "proofs", "model"):
        (run / folder).mkdir(exist_ok=True)
    return run


def judged(run: Path, level: Level, head: TreeHead | None = None) -> Report:
    policy = Policy(keys=(PublicKey.parse(PUBLIC),), require=frozenset({level}), head=head)
    with RunFolder(run) as files:
        return Verifier(policy, Systems()).verify(files)


@pytest.mark.usefixtures("native_prover")
def test_a_finished_native_run_of_v0_is_verified() -> None:
    report = judged(RUNS / "native-finished", Level.L1, TreeHead.parse(ROOT))
    assert (report.verdict, report.exit_status, report.missing) == ("L0, L1", 0, ())


@pytest.mark.usefixtures("native_prover")
def test_an_exact_run_is_computed_again_from_its_openings(tmp_path: Path) -> None:
    key = tmp_path / "test-recipient.key"
    shutil.copyfile(RUNS / "test-recipient.key", key)
    key.chmod(0o600)
    report = verify_run(
        RUNS / "native-exact",
        keys=[RUNS / "test-v1.key.pub"],
        root=ROOT_EXACT,
        require=["L3"],
        data=RUNS / "native-exact.cells",
        openings=RUNS / "native-exact.openings",
        recipient_key=key,
    )
    assert (report.verdict, report.exit_status, report.missing) == ("L0, L1, L3", 0, ())


@pytest.mark.usefixtures("native_prover")
def test_a_finished_native_run_of_v1_is_verified_by_both_its_keys() -> None:
    keys = parse_keys((RUNS / "test-v1.key.pub").read_text())
    assert [key.algorithm for key in keys] == [Algorithm.ED25519, Algorithm.ML_DSA_44]
    with RunFolder(RUNS / "native-v1") as files:
        report = Verifier(Policy(keys=keys, head=TreeHead.parse(ROOT_V1)), Systems()).verify(files)
    assert (report.verdict, report.exit_status, report.missing) == ("L0, L1", 0, ())
    signed = report.findings[Step.SIGNATURES].sentences
    assert signed == tuple(f"signed by the pinned key {key.label}" for key in keys)


@pytest.mark.usefixtures("native_prover")
def test_a_finished_native_run_of_v2_is_verified_in_its_register() -> None:
    keys = parse_keys((RUNS / "test-v1.key.pub").read_text())
    with RunFolder(RUNS / "native-v2") as files:
        assert parse_log(files.leaves()).header.register == origin_of(keys)
        report = Verifier(Policy(keys=keys, head=TreeHead.parse(ROOT_V2)), Systems(), verifiers()).verify(files)
    assert (report.verdict, report.exit_status, report.missing) == ("L0, L1", 0, ())
    found = report.findings[Step.ANCHORS]
    assert found.status is Status.PASSED
    told = " ".join(found.sentences)
    assert "its entry 3 covers all of these 4 records" in told
    assert (
        "file: 2 receipts, the newest for the register's first 4 entries, with all 4 records; the trainer's word"
        in told
    )
    assert "initial weights and data order chosen by the trainer" in report.limits


BLOCK = bytes.fromhex("1eab58ffc80936782550bc5d51c1a71f3a6489eb80040add6936269494e60982")
ROOT_BEACON = "fc27df78563c3ecaf3a15b892291cf6100da887f613b512be21c3a7aacf17d10@4"


@pytest.mark.parametrize(
    ("trust", "source"),
    [
        (None, Source.CLAIMED),
        (evm.Trust(31337, frozenset([BLOCK]), contract().address), Source.ANCHORED),
        (evm.Trust(31337, frozenset([BLOCK]), contract().address, delay=129), Source.CLAIMED),
        (evm.Trust(31337, frozenset([BLOCK]), contract().address, depth=161), Source.CLAIMED),
        (evm.Trust(1, frozenset([BLOCK]), contract().address), Source.CLAIMED),
        (evm.Trust(31337, frozenset([bytes(32)]), contract().address), Source.CLAIMED),
    ],
)
@pytest.mark.usefixtures("native_prover")
def test_a_run_that_a_beacon_began_is_verified(trust: evm.Trust | None, source: Source) -> None:
    pytest.importorskip("Crypto.Hash.keccak", reason="the anchor evm takes pycryptodome")
    keys = parse_keys((RUNS / "test-v1.key.pub").read_text())
    policy = Policy(keys=keys, head=TreeHead.parse(ROOT_BEACON), anchors={} if trust is None else {"evm": trust})
    with RunFolder(RUNS / "native-beacon") as files:
        report = Verifier(policy, Systems(), verifiers()).verify(files)
    assert (report.verdict, report.exit_status) == ("L0, L1", 0)
    assert Claim("the first weights", source) in report.claims
    chosen = any("initial weights and data order chosen by the trainer" in limit for limit in report.limits)
    assert chosen == (source is Source.CLAIMED)


@pytest.mark.usefixtures("native_prover")
def test_the_run_that_a_beacon_began_has_the_chains_and_no_other(tmp_path: Path) -> None:
    """Its trainer, who has the keys, writes down another beacon: the weights don't follow from it,
    and they can't make others, for the header stands in the chain."""
    pytest.importorskip("Crypto.Hash.keccak", reason="the anchor evm takes pycryptodome")
    run = Path(shutil.copytree(RUNS / "native-beacon", tmp_path / "run"))
    with RunFolder(run) as files:
        log = parse_log(files.leaves())
        policy = Policy(anchors={"evm": evm.Trust(31337, frozenset([BLOCK]), contract().address)})
        view, _ = parse(files, None)
        found, _ = check_anchors(files, view, policy, verifiers())
    (claim,) = [one.claim for one in found.at_begin() if one.kind == "evm"]
    assert log.genesis is not None
    assert claim.beacon == log.genesis.beacon
    assert {**claim.beacon_terms, "kind": "evm"} == dict(log.header.beacon)
    basis, _ = check_statement(log, Systems(), frozenset(), silent)
    ground = replace(log, genesis=replace(log.genesis, beacon=bytes(32)))
    with pytest.raises(VerificationError, match="does not have the beacon that evm gives"):
        check_beginning(ground, [claim], basis, silent)
    with pytest.raises(VerificationError, match="W of block 0 is not what the beacon gives"):
        check_beginning(ground, [], basis, silent)


@pytest.mark.parametrize("name", ["native-finished", "native-v1"])
@pytest.mark.usefixtures("native_prover")
def test_older_runs_are_in_no_register(name: str) -> None:
    keys = parse_keys((RUNS / ("test.key.pub" if name == "native-finished" else "test-v1.key.pub")).read_text())
    with RunFolder(RUNS / name) as files:
        header = parse_log(files.leaves()).header
        report = Verifier(Policy(keys=keys), Systems(), verifiers()).verify(files)
    assert (header.register, header.weights_by, header.beacon) == ("", TRAINER, ())
    assert report.findings[Step.ANCHORS].status is Status.ABSENT
    assert "initial weights and data order chosen by the trainer" in report.limits


@pytest.mark.parametrize("name", ["none-open", "train-open"])
def test_an_unfinished_run_of_v0_is_verified(name: str, tmp_path: Path) -> None:
    report = judged(copied(name, tmp_path), Level.L0)
    assert (report.verdict, report.exit_status) == ("L0", 0)
    assert report.summary is not None
    assert (report.summary.steps, report.summary.finished) == (16, False)


@pytest.mark.torch
def test_an_open_run_of_v0_of_an_own_loop_goes_on(tmp_path: Path, key: Path) -> None:
    run = copied("none-open", tmp_path)
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 1))
    inputs = torch.linspace(-1, 1, 12).reshape(4, 3)
    with ZKOptimizer(
        model.named_parameters(),
        "adam",
        lr=0.01,
        eps=1e-6,
        run=run,
        resume=True,
        key=key,
        prover="none",
        unproved=model,
    ) as optimizer:
        assert optimizer.steps == 18
        model(inputs).pow(2).sum().backward()
        # A scheduler had set lr, and no version of that time kept what it set for step 19.
        with pytest.warns(
            ResumedLr, match="lr of parameter group 0 is 0.01 at step 19, .* step 18 had 0.00166.*an earlier version"
        ):
            optimizer.step()
    report = judged(run, Level.L0)
    assert (report.verdict, report.exit_status) == ("L0", 0)
    assert report.summary is not None
    assert (report.summary.steps, report.summary.finished) == (19, True)


def steps_of_own_loop(run: Path, key: Path, steps: int, *, resume: bool) -> None:
    """The loop of `step-files-open`, to the end of the run."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh(), torch.nn.Linear(2, 1))
    inputs = torch.linspace(-1, 1, 12).reshape(4, 3)
    place: dict[str, Any] = {"run": run, "resume": resume, "key": key, "prover": "none"}
    with ZKOptimizer(
        model.named_parameters(), "adam", lr=0.01, eps=1e-6, publish=True, register=None if resume else False, **place
    ) as optimizer:
        for t in range(optimizer.steps, steps):
            assert optimizer.loop_state == (bytes([t]) if t else b"")
            optimizer.zero_grad()
            loss = model(inputs).pow(2).sum()
            loss.backward()
            optimizer.note(loss=loss.item(), batch=[t], loop_state=bytes([t + 1]))
            optimizer.step()


@pytest.fixture
def key_v1(tmp_path: Path) -> Path:
    path = tmp_path / "v1.key"
    shutil.copyfile(RUNS / "test-v1.key", path)
    path.chmod(0o600)
    return path


@pytest.mark.torch
def test_an_open_run_whose_journal_has_a_file_for_each_step_goes_on(tmp_path: Path, key_v1: Path) -> None:
    run = copied("step-files-open", tmp_path)
    assert (look_at(run).steps, look_at(run).recorded) == (18, 16)
    steps_of_own_loop(run, key_v1, 35, resume=True)
    segments = run / "private" / "segments"
    names = [{path.name for path in (segments / str(i)).iterdir()} for i in range(4)]
    # The open segment keeps its form to the end, and no other gets it.
    assert names[1:] == [{"start", *(f"step-{t}" for t in range(17, 33))}, {"journal"}, {"journal"}]
    whole = tmp_path / "whole"
    steps_of_own_loop(whole, key_v1, 35, resume=False)
    for name in ("weights.i64.safetensors", "weights.f32.safetensors"):
        assert (run / "model" / name).read_bytes() == (whole / "model" / name).read_bytes()
    keys = parse_keys((RUNS / "test-v1.key.pub").read_text())
    with RunFolder(run) as files:
        report = Verifier(Policy(keys=keys, require=frozenset({Level.L0})), Systems()).verify(files)
    assert (report.exit_status, report.summary and report.summary.steps) == (0, 35)
    with RunFolder(run) as files:
        log = parse_log(files.leaves())
    journal = Journal(Layout(run).segments, log.header, log.header_digest, Files())
    for segment in log.segments:
        steps = range(segment.first, segment.last + 1)
        assert journal.steps(segment.index) == [told.number for told in journal.told(segment.index)] == list(steps)
        rows = journal.block(segment.index, 2, 5, segment.first, segment.last)
        for row, t in zip(rows, steps, strict=True):
            assert (row == journal.step(segment.index, t).gradients[2:7]).all()
    assert zk_run.main(["forget", str(run), "--yes"]) == 0
    assert not segments.exists()


@pytest.mark.torch
@pytest.mark.parametrize("damage", ["altered", "missing"])
def test_a_step_file_that_is_damaged_is_named(tmp_path: Path, key_v1: Path, damage: str) -> None:
    run = copied("step-files-open", tmp_path)
    path = run / "private" / "segments" / "1" / "step-17"
    content = path.read_bytes()
    path.unlink() if damage == "missing" else path.write_bytes(content[:-40] + b"\0" + content[-39:])
    message = "its steps have a gap" if damage == "missing" else "step-17 is missing, torn or altered"
    with pytest.raises(RunError, match=message):
        steps_of_own_loop(run, key_v1, 35, resume=True)


@pytest.mark.torch
def test_an_older_run_goes_on_with_its_one_key_of_a_rotated_file(
    tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is signed with the key that its header names, and the auditor's line names that one."""
    run = copied("train-open", tmp_path)
    assert zk_key.main(["rotate", "--key-file", str(key)]) == 0
    both = parse_keys(Path(f"{key}.pub").read_text())
    capsys.readouterr()
    assert zk_train.main(["--resume", str(run), "--key-file", str(key)]) == 0, capsys.readouterr().err
    assert f"--key {PUBLIC}" in capsys.readouterr().out
    assert judged(run, Level.L0).verdict == "L0"
    (line,) = parse_unverified((run / "log" / "checkpoint").read_bytes()).lines
    assert line.key_id == both[0].key_id
    with RunFolder(run) as files:
        assert parse_log(files.leaves()).header.format == V0
        report = Verifier(Policy(keys=both, require=frozenset({Level.L0})), Systems()).verify(files)
    assert (report.exit_status, report.failure and report.failure.step) == (1, 2)
    again = verify_run(run, [Path(f"{key}.1.pub")], require=["L0"])
    assert again.exit_status == 0


@pytest.mark.torch
def test_a_file_of_v0_goes_on_with_its_key_and_one_with_new_keys_is_another_trainers(
    tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def trained(name: str) -> list[str]:
        with ZKOptimizer(
            [torch.nn.Parameter(torch.ones(2))], "sgd", lr=0.1, run=tmp_path / name, prover="none", key=key
        ) as o:
            o.start()
            o.abandon()
            assert o.header is not None
            assert o.header.format == "zk-autograd/run/v2"
            return list(o.header.keys)

    def resumed(name: str, file: Path) -> None:
        weights = [torch.nn.Parameter(torch.ones(2))]
        ZKOptimizer(weights, "sgd", lr=0.1, run=tmp_path / name, prover="none", key=file, resume=True).abandon()

    assert zk_register.main(["begin", "--key-file", str(key), "--yes"]) == 0  # an older version began none
    assert trained("before") == [PUBLIC]
    assert zk_key.main(["rotate", "--key-file", str(key)]) == 0
    both = Path(f"{key}.pub").read_text().split()
    assert trained("between") == both
    assert zk_key.main(["rotate", "--key-file", str(key)]) == 0
    assert not set(both) & set(trained("after"))
    for name, kept in (("before", ".1"), ("between", ".2")):
        with pytest.raises(UsageError, match=r"the run's key .* is missing: .*`zk-key rotate` keeps the earlier ones"):
            resumed(name, key)
        resumed(name, Path(f"{key}{kept}"))
    capsys.readouterr()


@pytest.mark.torch
def test_an_open_run_of_v0_of_zk_train_goes_on(tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = copied("train-open", tmp_path)
    assert zk_train.main(["--resume", str(run), "--key-file", str(key)]) == 0, capsys.readouterr().err
    report = judged(run, Level.L0)
    assert (report.verdict, report.exit_status) == ("L0", 0)
    assert report.summary is not None
    assert (report.summary.steps, report.summary.finished) == (40, True)
