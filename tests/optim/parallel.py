"""One rank of a data-parallel training, for test_distributed.py: a process of its own, over gloo.

    python -m tests.optim.parallel SCENARIO RANK PORT FOLDER

Prints one JSON line: what became of it.
"""

import json
import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import distributed

from tests.optim.models import weights
from zk_autograd.core.errors import ZkError
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.optim import ExactGradient, ZKOptimizer, exact_graph

SIGNER = Ed25519Signer("trainer", bytes(range(32)))
RANKS = 2


def model(seed: int = 5) -> torch.nn.Module:
    torch.manual_seed(seed)
    return torch.nn.Linear(4, 3)


def optimizer(module: torch.nn.Module, run: Path | None, **options: Any) -> ZKOptimizer:
    options = {"prover": "none", "key": SIGNER, "grad_scale": "auto", "kernel": "torch", "eps": 0.001, **options}
    return ZKOptimizer(module.named_parameters(), "adam", 0.01, run=run, register=False, **options)


def backward(module: torch.nn.Module, seed: int) -> None:
    """Gradients of rows that only this rank has."""
    random = np.random.default_rng([seed, distributed.get_rank()])
    features = torch.tensor(random.normal(size=(8, 4)).astype(np.float32))
    labels = torch.tensor(random.integers(0, 3, 8))
    module.zero_grad(set_to_none=True)
    torch.nn.functional.cross_entropy(module(features), labels).backward()


def steps(module: torch.nn.Module, found: ZKOptimizer, numbers: range) -> None:
    for number in numbers:
        backward(module, number)
        found.note(loop_state=str(number).encode())
        found.step()


def proves(run: Path) -> dict[str, object]:
    """As `trains`, with proofs."""
    return trains(run, prover="native")


def trains(run: Path, **options: Any) -> dict[str, object]:
    """Records, resumes, and ends."""
    module = torch.nn.parallel.DistributedDataParallel(model(seed=distributed.get_rank()))
    first = optimizer(module, run, **options)
    steps(module, first, range(3))
    first.abandon()
    again = torch.nn.parallel.DistributedDataParallel(model(seed=7))
    with optimizer(again, run, resume=True, **options) as resumed:
        state = [resumed.steps, resumed.loop_state.decode(), *map(float, weights(again))]
        steps(again, resumed, range(3, 5))
    return {
        "resumed": state,
        "head": resumed.head is not None,
        "steps": resumed.steps,
        "weights": weights(again).tolist(),
    }


def differs(run: Path) -> dict[str, object]:
    """Each rank begins with its own weights; only one has a run; each steps with its own
    gradients, at first or after a step that was reduced."""
    other = model(seed=distributed.get_rank())
    errors = [refused(lambda: optimizer(other, run / "other"))]
    errors.append(refused(lambda: optimizer(model(), run / "some" if distributed.get_rank() == 0 else None)))
    module = model()
    found = optimizer(module, run / "first")
    backward(module, 0)
    before = weights(module).tolist()
    errors.append(refused(found.step))
    assert weights(module).tolist() == before
    assert not run.exists()
    wrapped = torch.nn.parallel.DistributedDataParallel(module)
    later = optimizer(wrapped, run / "later")
    steps(wrapped, later, range(1))
    before = weights(module).tolist()
    backward(module, 1)
    errors.append(refused(later.step))
    assert weights(module).tolist() == before
    steps(wrapped, later, range(1, 2))  # nothing was kept of it, and the run goes on
    later.abandon()
    return {"errors": errors, "steps": later.steps}


def fails(run: Path) -> dict[str, object]:
    """Rank 0 can't make the run; rank 1 has no gradient; rank 0 can't record; rank 1 is gone."""
    module = torch.nn.parallel.DistributedDataParallel(model())
    (run / "taken").mkdir(parents=True, exist_ok=True)
    errors = [refused(lambda: optimizer(module, run / "taken"))]
    found = optimizer(module, run / "run")
    steps(module, found, range(2))
    before = weights(module).tolist()
    backward(module, 2)
    if distributed.get_rank() == 1:
        next(module.parameters()).grad.view(-1)[0] = float("nan")  # type: ignore[union-attr]
    errors.append(refused(found.step))
    assert weights(module).tolist() == before
    backward(module, 3)
    if distributed.get_rank() == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))  # no file takes another byte
    errors.append(refused(found.step))
    assert weights(module).tolist() == before
    taken = found.steps
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    last = optimizer(module, run / "last")
    steps(module, last, range(1))
    backward(module, 1)
    if distributed.get_rank() == 0:
        errors.append(refused(last.step))
    return {"errors": errors, "steps": taken}


def exact(run: Path) -> dict[str, object]:
    """Exact gradients, of a model in DistributedDataParallel, and of one that isn't."""
    module = model()
    wrapped = torch.nn.parallel.DistributedDataParallel(module)
    errors = [refused(lambda: exact_graph(wrapped, features=4))]
    data = (np.zeros((8, 4), np.float32), np.zeros(8, int))
    gradient = ExactGradient(exact_graph(module, features=4), data, batch_size=4)
    errors.append(refused(lambda: optimizer(module, run, gradient=gradient)))
    errors.append(refused(lambda: optimizer(module, None, gradient=gradient)))
    return {"errors": errors, "exists": run.exists()}


def refused(call: Any) -> list[str]:
    try:
        call()
    except ZkError as error:
        return [type(error).__name__, str(error)]
    return ["", ""]


def main(scenario: str, rank: str, port: str, folder: str) -> None:
    distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=int(rank), world_size=RANKS)
    result = globals()[scenario](Path(folder) / "run")
    print(json.dumps(result), flush=True)
    if scenario != "fails":  # where rank 1 has left
        distributed.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
