"""`zk-run replay`: real runs of zk-train, opened for an auditor, whose float gradients are computed
again; and what a hostile trainer, or a hostile model, gets from it."""

import json
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests import trainer_key
from tests.run.beacons import HashBeacon
from zk_autograd.anchor.kinds import open_anchor
from zk_autograd.cli import run as run_command
from zk_autograd.cli import train
from zk_autograd.core.errors import UsageError
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.core.records import BEACON, PRIVATE, Exact, Log
from zk_autograd.credentials import keyfile
from zk_autograd.evidence.data_secrets import DataSecrets
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.local.child_processes import python_alone
from zk_autograd.local.confinement import available
from zk_autograd.optim import registering
from zk_autograd.train import opened_data
from zk_autograd.vault import openings, recipient_files

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(
        find_spec("torch") is None or find_spec("sklearn") is None, reason="the [train] extra is not installed"
    ),
]

DIGITS = ("--data", "digits", "--batch-size", "32", "--prover", "none")
QUICK = ("--model", "logistic", "--data", "breast-cancer", "--steps", "2", "--batch-size", "16", "--prover", "none")
STEPS = 20
STEPS_OF_QUICK = 2
NET = """
from torch import nn

def net(columns, classes):
    return nn.Sequential(nn.Linear(columns, 32), nn.ReLU(), nn.Linear(32, classes))
"""


@dataclass(frozen=True)
class Opened:
    """A run, its openings, and the keys: the trainer's public ones, the auditor's own."""

    run: Path
    openings: Path
    key: Path
    recipient: Path

    @property
    def log(self) -> Log:
        with RunFolder(self.run) as files:
            return parse_log(files.leaves())


def opened(folder: Path, *flags: str, model: str = "", chosen: Sequence[str] = ("--all",)) -> Opened:
    """A run of a new user in `folder`, whose model's code, if any, is `model`, in a file `own.py`
    of its own; opened for an auditor."""
    folder.mkdir()
    name = f"own_{folder.name.replace('-', '_')}"
    if model:
        (folder / f"{name}.py").write_text(model, encoding="utf-8")
        flags = ("--model", f"{name}:net", *flags)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        patch.chdir(folder)
        before = list(sys.path)
        trainer_key.create(keyfile.default_path(), "trainer")
        key = keyfile.public_path(keyfile.default_path())
        recipient_files.create(folder / "auditor")
        try:
            assert train.main([*flags, "--out", "run"]) == 0
        finally:
            sys.path[:] = before
            sys.modules.pop(name, None)
        assert run_command.main(["open", "run", *chosen, "--for", "auditor.pub", "--out", "openings"]) == 0
    return Opened(folder / "run", folder / "openings", key, folder / "auditor")


Replay = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Replay:
    """Runs the command with --json, as an auditor elsewhere; gives exit status, object and standard
    error."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "auditor"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    def run(of: Opened, *flags: str, data: str = "digits", model: str = "") -> tuple[int, dict[str, Any], str]:
        capsys.readouterr()
        model = model or f"{next(of.run.parent.glob('own_*.py'))}:net"
        status = run_command.main(
            [
                *("replay", str(of.run), "--json", "--key", str(of.key), "--data", data, "--model", model),
                *("--openings", str(of.openings), "--recipient-key", str(of.recipient), *flags),
            ]
        )
        said = capsys.readouterr()
        return status, json.loads(said.out) if said.out else {}, said.err

    return run


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    return opened(tmp_path_factory.mktemp("honest") / "home", *DIGITS, "--steps", str(STEPS), model=NET)


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    return opened(tmp_path_factory.mktemp("quick") / "home", *QUICK)


def resealed(of: Opened, to: Path, change: Callable[[bytearray, Log], None]) -> Opened:
    """With openings that were changed, and sealed again."""
    log, key = of.log, recipient_files.load(of.recipient)
    with openings.opened(of.openings, key) as file:
        plain = bytearray(file.read())
    change(plain, log)
    openings.seal([bytes(plain)], to, key.recipient, run=log.header_digest, root=bytes(32), size=1)
    return replace(of, openings=to)


@pytest.mark.slow
def test_gradients_of_zk_train_are_computed_again_to_the_unit(honest: Opened, replay: Replay) -> None:
    status, found, _ = replay(honest)
    assert (status, found["verdict"], found["verified"]) == (0, "L3-approximate", "L0")
    assert (found["steps"], found["steps_of_run"], found["segments"]) == (STEPS, STEPS, [0, 1])
    # One thread here as there, and the same instructions.
    assert (found["exact_steps"], found["largest"]["difference"], found["beyond"]) == (STEPS, 0.0, [])


@pytest.mark.slow
def test_a_proved_run_and_a_table_that_has_moved(native_prover: None, tmp_path: Path, replay: Replay) -> None:
    table = tmp_path / "kinds.csv"
    rows = [f"{min(i % 3, 1)},{i % 7},{i * i % 5}" for i in range(40)]
    table.write_text("\n".join(["kind,a,b", *rows]) + "\n", encoding="ascii")
    flags = ("--model", "logistic", "--data", f"csv:{table}", "--label", "kind", "--steps", "3", "--batch-size", "8")
    of = opened(tmp_path / "home", *flags, "--prover", "native")
    moved = table.rename(tmp_path / "elsewhere" / "moved.csv")
    status, found, _ = replay(of, "--label", "kind", data="csv:moved.csv", model="logistic")
    assert (status, found["verdict"], found["verified"]) == (0, "L3-approximate", "L0, L1")
    assert found["exact_steps"] == 3
    status, _, error = replay(of, data=f"csv:{moved}", model="logistic")
    assert status == 1 and "--label" in error, "the last column is another column of classes"


@pytest.mark.slow
def test_the_order_of_a_beacon_is_taken_again(tmp_path: Path, replay: Replay, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a beacon gave the seed of the rows' order, the opened one gives the division alone."""
    beacon = HashBeacon(tmp_path / "anchored")
    monkeypatch.setattr(registering, "open_anchor", lambda spec: beacon if spec == "hash:it" else open_anchor(spec))
    of = opened(tmp_path / "home", *QUICK, "--start", "beacon:hash:it")
    assert of.log.header.order_by == BEACON
    status, found, _ = replay(of, data="breast-cancer", model="logistic")
    assert (status, found["exact_steps"]) == (0, STEPS_OF_QUICK)


@pytest.mark.slow
def test_another_processors_gradients_are_within_the_tolerance_and_found_again_by_its_own_instructions(
    honest: Opened, replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zk_autograd.reproduce.gradient_process import ARITHMETICS

    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("this processor has one arithmetic")
    own, *_, sse = ARITHMETICS
    monkeypatch.setattr("zk_autograd.reproduce.replay.ARITHMETICS", (sse,))
    status, found, _ = replay(honest)
    assert (status, found["computed_with"]) == (0, {"SSE4": STEPS})
    assert 0 < found["largest"]["difference"] < 2.0**-17, "a processor without AVX2 adds as SSE4 does"
    assert found["exact_steps"] < STEPS
    assert replay(honest, "--tolerance", "0.0000000001")[0] == 1
    monkeypatch.setattr("zk_autograd.reproduce.replay.ARITHMETICS", (sse, own))
    status, found, _ = replay(honest)
    assert (status, found["computed_with"], found["exact_steps"]) == (0, {own.name: STEPS}, STEPS)


@pytest.mark.slow
def test_a_step_of_other_data_is_beyond_the_tolerance(
    tmp_path: Path, replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The committed data, but one step of a hostile loop takes rows of its own choice."""
    from zk_autograd.reproduce.gradient_process import ARITHMETICS
    from zk_autograd.train.loop import Loop

    honestly = Loop.gradients

    def elsewhere(self: Loop, step: int, optimizer: Any) -> float:
        if step != 5:
            return honestly(self, step, optimizer)
        features = self.data.train.features
        features[:] = -features
        try:
            return honestly(self, step, optimizer)
        finally:
            features[:] = -features

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "gradients", elsewhere)
        of = opened(tmp_path / "home", *DIGITS, "--steps", "8", model=NET)
    monkeypatch.setattr("zk_autograd.reproduce.replay.ARITHMETICS", ARITHMETICS[:1])  # no other comes closer
    status, found, _ = replay(of)
    assert (status, found["verdict"]) == (1, "BEYOND TOLERANCE")
    assert [step["step"] for step in found["beyond"]] == [5]
    assert found["exact_steps"] == 7


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda plain, log: _flip(plain, -1), "the gradients of block 0 that were opened are not those of segment 0"),
        (
            lambda plain, log: _flip(plain, -4 * STEPS_OF_QUICK * log.header.size - 1),
            "the V of block 0 that was opened is not the one before segment 0",
        ),
        (
            lambda plain, log: _flip(plain, _salts_out(plain, log)),
            "the opened steps of segment 0 don't lead to the W of block 0",
        ),
    ],
)
def test_what_is_opened_is_held_against_the_log(
    quick: Opened, tmp_path: Path, replay: Replay, change: Callable[[bytearray, Log], None], said: str
) -> None:
    status, _, error = replay(resealed(quick, tmp_path / "changed", change), data="breast-cancer", model="logistic")
    assert status == 1 and said in error


def _flip(plain: bytearray, place: int) -> None:
    plain[place] ^= 1


def _salts_out(plain: bytearray, log: Log) -> int:
    """Where the salts of the state after the segment begin."""
    header, record = log.header, log.segments[0]
    whole = openings_bytes(log)
    salts = header.prover.form.salt_bytes * len(header.blocks) * len(header.states)
    assert record.last == STEPS_OF_QUICK
    return len(plain) - whole + salts


def openings_bytes(log: Log) -> int:
    from zk_autograd.evidence.openings import segment_bytes

    return segment_bytes(log.header, log.segments[0])


@pytest.mark.parametrize("secrets", [DataSecrets((bytes(32),), seed=0), DataSecrets((), seed=0)], ids=["other", "none"])
def test_another_secret_opens_no_data(
    quick: Opened, tmp_path: Path, replay: Replay, monkeypatch: pytest.MonkeyPatch, secrets: DataSecrets
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(opened_data, "data_secrets", lambda layout: secrets)
        out = tmp_path / "openings"
        words = ("open", str(quick.run), "--all", "--for", f"{quick.recipient}.pub", "--out", str(out))
        assert run_command.main(words) == 0
    status, _, error = replay(replace(quick, openings=out), data="breast-cancer", model="logistic")
    assert status == 1 and "secret and seed" in error


def test_other_data_are_told_by_their_root(quick: Opened, replay: Replay) -> None:
    status, _, error = replay(quick, data="digits", model="logistic")
    assert status == 1 and "the data digits are not those that the header commits to" in error


def test_other_code_is_refused_before_it_runs(honest: Opened, tmp_path: Path, replay: Replay) -> None:
    mark, other = tmp_path / "ran", tmp_path / "own.py"
    other.write_text(f"open({str(mark)!r}, 'w').close()\n{NET}", encoding="utf-8")
    status, _, error = replay(honest, "--unconfined", model=f"{other}:net")
    assert status == 1 and "is not the code of the run's model, and was not run" in error
    assert not mark.exists()


HOSTILE = """
import os
from torch import nn

def net(columns, classes):
    try:
        open({secret!r}).read()
    except OSError:  # there is none yet while it is trained
        pass
    else:
        raise RuntimeError("stolen")
    if "HF_TOKEN" in os.environ:
        raise RuntimeError("a token")
    try:
        open({leak!r}, "w").close()
    except OSError:
        pass
    return nn.Sequential(nn.Linear(columns, 32), nn.ReLU(), nn.Linear(32, classes))
"""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Opened, Path]:
    """A run whose model's code, which the header commits to, looks for a secret of the auditor's;
    and the file that it would leave behind."""
    folder = tmp_path_factory.mktemp("hostile")
    secret, leak = folder / "secret", folder / "leak"
    of = opened(folder / "home", *DIGITS, "--steps", "2", model=HOSTILE.format(secret=str(secret), leak=str(leak)))
    assert leak.exists(), "the code does what it says where it may"
    leak.unlink()
    secret.write_text("secret", encoding="ascii")
    return of, leak


@pytest.mark.slow
def test_a_models_code_reaches_no_file_and_no_token_of_the_auditor(
    hostile: tuple[Opened, Path], replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason := available():
        pytest.skip(f"no process can be confined here: {reason}")
    of, leak = hostile
    monkeypatch.setenv("HF_TOKEN", "hf_0123456789")
    status, found, _ = replay(of)
    assert (status, found["verdict"], leak.exists()) == (0, "L3-approximate", False)


@pytest.fixture
def nothing_confined(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that confines no process."""

    def elsewhere(module: str, *arguments: str) -> list[str]:
        words = python_alone(module, *arguments)
        at = words.index("-c") + 1
        words[at] = words[at].replace("main()", f"import {module} as m; m.confine = lambda *_: 'no Landlock'; main()")
        return words

    monkeypatch.setattr("zk_autograd.reproduce.gradient_process.python_alone", elsewhere)


def test_where_nothing_is_confined_no_code_of_a_file_is_run_unless_asked(
    hostile: tuple[Opened, Path], replay: Replay, nothing_confined: None
) -> None:
    of, leak = hostile
    status, _, error = replay(of)
    assert (status, leak.exists()) == (4, False) and "could read your files here (no Landlock)" in error
    status, _, error = replay(of, "--unconfined")
    assert status == 4 and "RuntimeError: stolen" in error, "it would, if it could"


RANDOM = NET.replace("nn.ReLU()", "nn.Dropout(0.5)")
COUNTING = NET.replace("nn.ReLU()", "nn.BatchNorm1d(32)")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "said"),
    [(RANDOM, "draws random numbers in its forward pass"), (COUNTING, "'1.running_mean' (buffer)")],
    ids=["dropout", "batch norm"],
)
def test_what_does_not_follow_from_the_openings_is_refused(
    tmp_path: Path, replay: Replay, model: str, said: str
) -> None:
    of = opened(tmp_path / "home", *DIGITS, "--steps", "1", model=model)
    status, _, error = replay(of)
    assert status == 4 and said in error


def test_exact_gradients_are_for_zk_verify(quick: Opened) -> None:
    from zk_autograd.reproduce.replay import require_replayable

    exact = Exact(graph=bytes(32), log_batch=4, stride=32, log_cells=13, visibility=PRIVATE, seed=1)
    with pytest.raises(UsageError, match="--require L3"):
        require_replayable(replace(quick.log.header, exact=exact))


def test_a_run_of_an_own_loop_has_no_batches_to_take_again(tmp_path: Path, replay: Replay, quick: Opened) -> None:
    import torch

    from zk_autograd import ZKOptimizer

    model = torch.nn.Linear(2, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(quick.run.parent / "config"))
        with ZKOptimizer(
            model.named_parameters(), rule="sgd", lr="0.1", run=tmp_path / "loop", prover="none", register=False
        ) as optimizer:
            torch.nn.functional.cross_entropy(model(torch.ones(1, 2)), torch.tensor([1])).backward()
            optimizer.step()
    status, _, error = replay(replace(quick, run=tmp_path / "loop"), model="softmax")
    assert status == 4 and "only runs that zk-train began can be replayed" in error


def test_a_run_of_another_key_is_refused_first(quick: Opened, honest: Opened, replay: Replay) -> None:
    status, found, _ = replay(replace(quick, key=honest.key), model="logistic")
    assert (status, found["verdict"]) == (1, "FAILED")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--tolerance", "1"), "--tolerance is '1'"),
        (("--tolerance", "2^11"), "--tolerance is '2^11'"),
        (("--threads", "0"), "--threads is 0"),
        (("--model", "own.py"), "FILE:NAME"),
        (("--model", "absent.py:net"), "absent.py can't be read"),
        (("--data", "moons"), "--data is moons"),
    ],
)
def test_wrong_usage_is_said_before_anything_is_read(
    quick: Opened, replay: Replay, flags: tuple[str, ...], said: str
) -> None:
    status, _, error = replay(quick, *flags, model="logistic")
    assert status == 2 and said in error


@pytest.mark.slow
def test_for_people_the_verdict_is_the_last_line(quick: Opened, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["replay", str(quick.run), "--key", str(quick.key), "--data", "breast-cancer", "--model", "logistic"]
    capsys.readouterr()
    assert run_command.main([*words, "--openings", str(quick.openings), "--recipient-key", str(quick.recipient)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "verdict: L3-approximate"
    assert lines[0].startswith("evidence    steps 1 to 10 of zk-verify: nothing false; verdict: L0")
