"""Trainers of a torch model are killed with signal 9 at random times, also while they resume: each
run ends as if nothing had happened."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.run.trainer import SIGNER, told
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.core.records import Log
from zk_autograd.evidence.bundle import Bundle
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.prove.verifiers import Systems
from zk_autograd.run import train_log
from zk_autograd.run.files import Files
from zk_autograd.run.journal import Journal
from zk_autograd.run.layout import Layout
from zk_autograd.run.packing import pack
from zk_autograd.run.sealed import batch_commitment
from zk_autograd.verify.outcome import Level
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.verifier import Verifier

pytest.importorskip("torch")
pytestmark = [pytest.mark.torch, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 600


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory, where there is one: what dies here is a process, not a machine, so
    nothing needs to reach a disk."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        yield Path(folder)


@dataclass(frozen=True, slots=True)
class Killed:
    """A run that was killed: what each kill met, and how many different proofs were seen of each
    segment and block."""

    run: Path
    kills: tuple[str, ...]
    proofs: Mapping[str, int]


def killed(folder: Path, prover: str, runs: int, seed: int) -> list[Killed]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.run.killed_training", str(folder), prover, str(runs), str(seed)],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}/src:{ROOT}", "PATH": "", "RAYON_NUM_THREADS": "2"},
        check=False,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return [Killed(folder / item["run"], tuple(item["kills"]), item["proofs"]) for item in found]


def story(run: Path) -> tuple[list[object], list[bytes], dict[str, bytes]]:
    """All of a run that doesn't hang on its salts and its name: what the records say, the batches
    of each step, the weights."""
    layout = Layout(run)
    with RunFolder(run) as reader:
        log = parse_log(reader.leaves())
        close = log.close
        assert close is not None
        weights = {name: reader.model_file(name) for name, _ in close.model if name.startswith("weights")}
    unnamed = replace(log.header, run=bytes(16))
    named = tuple((name, digest if name.startswith("weights") else b"") for name, digest in close.model)
    artefacts = tuple((name, b"") for name, _ in close.artefacts)
    comparable = Log(
        unnamed, log.header_digest, log.genesis, log.segments, replace(close, model=named, artefacts=artefacts)
    )
    journal = Journal(layout.segments, log.header, log.header_digest, Files())
    batches = []
    for segment in log.segments:
        found = [journal.step(segment.index, t).claims.batch for t in range(segment.first, segment.last + 1)]
        assert batch_commitment(journal.start(segment.index).salts.batches, found) == segment.batches
        batches += found
    return told(comparable), batches, weights


def judged(run: Path, level: Level) -> None:
    """The run and its bundle reach the level."""
    policy = Policy(keys=(SIGNER.public_key,), require=frozenset({level}))
    systems = Systems()
    out = run.with_name(f"{run.name}.tar")
    pack(run, out, Files(lambda _: None), lambda *_: None)
    with Bundle(out) as bundle:
        report = Verifier(policy, systems).verify(bundle)
    assert (report.exit_status, report.levels >= {level}) == (0, True), report.text(100)
    events = list(train_log.events((run / "train_log.jsonl").read_bytes()))
    assert [event["step"] for event in events if event["event"] == "step"] == list(range(1, 19))
    assert [event["segment"] for event in events if event["event"] == "proved"] == [0, 1]
    out.unlink()


def compared(folder: Path, runs: list[Killed], level: Level) -> Counter[str]:
    """Holds each run against the undisturbed one. Gives how often a kill met what."""
    expected = story(folder / "undisturbed")
    assert len(expected[1]) == 18
    assert len(set(expected[1])) == 18
    assert len(expected[2]) == 2
    for found in runs:
        assert story(found.run) == expected, found
        judged(found.run, level)
        assert not [path.name for path in found.run.rglob(".*.tmp") if "private" not in path.parts], found
        assert set(found.proofs.values()) <= {1}, found  # a proof that was made again is the same
        shutil.rmtree(found.run)
    return Counter(kill for found in runs for kill in found.kills)


@pytest.mark.parametrize(("count", "often"), [(40, 8), pytest.param(200, 70, marks=pytest.mark.long)])
def test_killed_runs_end_as_an_undisturbed_one(memory: Path, count: int, often: int) -> None:
    runs = killed(memory, "none", count, seed=1)
    assert len(runs) == count
    met = compared(memory, runs, Level.L0)
    # That the kills came at many different places, and not just before or after the run.
    assert met["before the run began"] < 0.6 * met.total(), met
    assert sum(len(found.kills) > 1 for found in runs) > often
    assert len({kill.removeprefix("torn ") for kill in met}) >= 5, met


@pytest.mark.parametrize(("count", "part"), [(4, 1), pytest.param(10, 0.6, marks=pytest.mark.long)])
def test_killed_runs_with_native_proofs_end_as_an_undisturbed_one(memory: Path, count: int, part: float) -> None:
    pytest.importorskip("zk_autograd._native")
    runs = killed(memory, "native", count, seed=2)
    assert len(runs) == count
    met = compared(memory, runs, Level.L1)
    assert met["before the run began"] < part * met.total(), met
    assert {name for found in runs for name in found.proofs} == {"0-0", "1-0"}
