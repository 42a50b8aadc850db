"""Trainings that are killed with signal 9 at random times: `python -m tests.run.killed_training
FOLDER PROVER RUNS SEED`.

Torch is loaded once; each trainer is a fork of this process that knows nothing of the one before
it, and finds out from the run's directory whether there is something to go on with. It is killed
after a random part of the time that an undisturbed training takes, as often as the seed says, and
so during its resumptions, too; the last one comes to the end. Prints a line for each run: what was
being written when each kill came, as JSON.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from collections import defaultdict
from hashlib import sha256
from pathlib import Path

import torch

from zk_autograd.core.errors import RunError
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.optim import ZKOptimizer
from zk_autograd.run.layout import Layout

SIGNER = Ed25519Signer("trainer/log", bytes(range(32)))
STEPS = 18
"""Two segments, of 16 steps and of 2."""

NOTHING = "before the run began"
END = "end"


def train(run: Path, prover: str) -> None:
    """Trains, or goes on with, the run, until it is closed."""
    layout = Layout(run)
    if run.exists() and not layout.header.exists():
        shutil.rmtree(run)  # what the error says to do with a run that was killed before it began
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(6, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2))
    try:
        optimizer = ZKOptimizer(
            model.named_parameters(),
            "adam",
            0.01,
            eps=1e-6,
            run=run,
            resume=layout.header.exists(),
            prover=prover,
            key=SIGNER,
            publish=True,
        )
    except RunError as error:
        assert "is complete" in str(error), error
        return
    try:
        for t in range(optimizer.steps + 1, STEPS + 1):
            assert optimizer.loop_state == (bytes([t - 1]) if t > 1 else b"")
            x = torch.randn(4, 6, generator=torch.Generator().manual_seed(t))
            optimizer.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            optimizer.note(loss=loss.item(), batch=[t, 2 * t], loop_state=bytes([t]))
            optimizer.step()
        optimizer.close()
    finally:
        optimizer.abandon()


def forked(run: Path, prover: str) -> int:
    """A trainer in a process of its own."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        train(run, prover)
        status = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(status)


def finish(run: Path, prover: str) -> float:
    """Trains the run to its end; the seconds that it took."""
    began = time.perf_counter()
    _, status = os.waitpid(forked(run, prover), 0)
    if status:
        raise SystemExit(f"{run}: the trainer ended with status {status}")
    return time.perf_counter() - began


def newest(run: Path) -> str:
    """What was written last: the name of a file, without its numbers, and "torn" for a temporary
    one."""
    if not Layout(run).header.exists():
        return NOTHING
    found = [path for path in run.rglob("*") if path.is_file() and path.name != "lock"]
    times = {path: path.stat() for path in found}
    # The system's times are coarse; a file made later has the larger number in most file systems.
    name = max(found, key=lambda path: (times[path].st_mtime_ns, times[path].st_ino)).relative_to(run)
    torn = "torn " if name.name.startswith(".") else ""
    part = name.name.strip(".").removesuffix(".tmp").split("-")[0]
    return torn + ("proof, public" if name.parts[0] == "proofs" else part)


def killed_after(run: Path, prover: str, seconds: float) -> str:
    """What a trainer that was killed after some seconds had written last; END if it had come to its
    end."""
    pid = forked(run, prover)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return newest(run)
    if status:
        raise SystemExit(f"{run}: the trainer ended with status {status}")
    return END


def proofs_in(run: Path) -> dict[str, str]:
    """The SHA-256 of each whole proof in the run, public or not, by segment and block."""
    layout = Layout(run)
    found = {path.name: path for path in layout.proofs.glob("[0-9]*-*")}
    staged = {f"{path.parent.name}-{path.name[6:]}": path for path in layout.segments.glob("*/proof-*")}
    assert all(found[name].read_bytes() == path.read_bytes() for name, path in staged.items() if name in found)
    return {name: sha256(path.read_bytes()).hexdigest() for name, path in (staged | found).items()}


def main(folder: Path, prover: str, runs: int, seed: int) -> None:
    torch.set_num_threads(1)
    SIGNER.sign("")  # loads what signs, once
    rng = random.Random(seed)
    whole = finish(folder / "undisturbed", prover)
    for i in range(runs):
        run = folder / str(i)
        kills: list[str] = []
        proofs: defaultdict[str, set[str]] = defaultdict(set)
        wanted = rng.choice((1, 1, 2, 3))
        while len(kills) < wanted:
            kill = killed_after(run, prover, rng.uniform(0, whole))
            if kill == END:  # it came too late: the machine was faster than before, and this run is not counted
                shutil.rmtree(run)
                kills.clear()
                proofs.clear()
                whole *= 0.8
                continue
            whole *= 1.2 if kill == NOTHING else 1
            kills.append(kill)
            for name, digest in proofs_in(run).items():
                proofs[name].add(digest)
        finish(run, prover)
        for name, digest in proofs_in(run).items():
            proofs[name].add(digest)
        found = {"run": run.name, "kills": kills, "proofs": {name: len(digests) for name, digests in proofs.items()}}
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
