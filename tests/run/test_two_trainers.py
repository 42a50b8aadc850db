"""One run, and two who want it: the second is refused, whatever it wants to do, until the first is
gone."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.run.test_forgetting import forgotten
from tests.run.test_packing import packed
from tests.run.test_recovery import begin, resume
from tests.run.trainer import FaultyProver, audit, train
from zk_autograd.core.errors import RunError
from zk_autograd.run.files import Files
from zk_autograd.run.inventory import look_at

ROOT = Path(__file__).resolve().parents[2]
TRAINER = """
import sys, time
from pathlib import Path
from tests.run.test_recovery import begin
from tests.run.trainer import train
from zk_autograd.run.files import Files
writer = begin(Path(sys.argv[1]), Files(lambda _: None))
train(writer, 2)
writer.drain()
train(writer, 3)
print("at work", flush=True)
time.sleep(60)
"""


@pytest.fixture
def first(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A trainer in another process, that has made three steps of tmp_path/run."""
    with subprocess.Popen(
        [sys.executable, "-c", TRAINER, str(tmp_path / "run")],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}/src:{ROOT}", "PATH": ""},
        stdout=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"at work\n"
            yield process
        finally:
            process.kill()


WANTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "to go on": (resume, "is being written by another trainer"),
    "to begin": (lambda run: begin(run, Files(lambda _: None)), "already exists"),
    "to forget": (lambda run: forgotten(run, unfinished=True), "is being written by another trainer"),
    "to pack": (lambda run: packed(run, run.parent / "b.tar"), "is being written by another trainer"),
}


def test_the_second_is_refused_and_the_first_is_not_disturbed(tmp_path: Path, first: "subprocess.Popen[bytes]") -> None:
    run = tmp_path / "run"
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    for want, (act, message) in WANTS.items():
        with pytest.raises(RunError, match=message) as caught:
            act(run)
        if "another trainer" in message:
            assert f"(process {first.pid}); wait for it to end, or stop it" in str(caught.value), want
    assert look_at(run).trainer == str(first.pid)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]
    first.kill()
    first.wait()
    assert look_at(run).trainer is None
    writer = resume(run)
    assert writer.step == 3
    train(writer, 4)
    writer.close()
    assert audit(run, FaultyProver()).close is not None
    packed(run, tmp_path / "b.tar")


@pytest.mark.slow
@pytest.mark.torch
def test_a_second_optimizer_is_refused(tmp_path: Path, first: "subprocess.Popen[bytes]") -> None:
    torch = pytest.importorskip("torch")
    from tests.run.killed_training import SIGNER
    from zk_autograd.optim import ZKOptimizer

    model = torch.nn.Linear(2, 1)
    for going_on, message in ((True, rf"another trainer \(process {first.pid}\)"), (False, "already exists")):
        with pytest.raises(RunError, match=message):
            ZKOptimizer(
                model.named_parameters(), run=tmp_path / "run", resume=going_on, prover="none", key=SIGNER, eps="1e-6"
            )
