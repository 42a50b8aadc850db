"""Runs of an enclave in one process, small ones: for the tests of whoever looks at them."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zk_autograd.core.attestation import Collateral
from zk_autograd.core.canonical import Json
from zk_autograd.core.errors import RunError
from zk_autograd.core.records import Header
from zk_autograd.enclave.job import Job
from zk_autograd.enclave.training import RUN, train_inside
from zk_autograd.tee.device import Device
from zk_autograd.train.command import Interrupted
from zk_autograd.train.summary import Summary

RUN_ID = bytes(range(16))
STEPS = 5
RELEASE_KEY = b"the key that the job's key was released to"
SETTINGS: Mapping[str, Json] = {"model": "softmax", "steps": STEPS, "batch-size": 8, "seed": 7, "lr": "0.01"}
NATIVE: Mapping[str, Json] = {**SETTINGS, "prover": "native"}
NONE: Mapping[str, Json] = {**SETTINGS, "prover": "none"}


def table(rows: int = 60, columns: int = 4, classes: int = 3, seed: int = 1) -> bytes:
    """A table whose classes follow from its columns, with some noise."""
    drawn = random.Random(seed)
    lines = [",".join([*(f"column {i}" for i in range(columns)), "kind"])]
    for row in range(rows):
        kind = row % classes
        cells = [f"{drawn.gauss(3.0 * (kind == i), 1.0):.6f}" for i in range(columns)]
        lines.append(",".join([*cells, f"kind {kind}"]))
    return "\n".join(lines).encode() + b"\n"


def make_job(settings: Mapping[str, Json] = NATIVE, **fields: Any) -> Job:
    return Job(**({"run": RUN_ID, "settings": settings, "table": table()} | fields))


class Told:
    """Keeps what was told of a training."""

    def __init__(self) -> None:
        self.events: list[object] = []
        self.notes: list[str] = []
        self.headers: list[Header | None] = []

    def __call__(self, event: object) -> None:
        self.events.append(event)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def header(self, header: Header | None) -> None:
        self.headers.append(header)


class StandIn:
    """A device whose documents nothing verifies: for tests that look at what is asked of it."""

    kind = "nitro"
    name = "a stand-in"

    def __init__(self, *, broken: bool = False) -> None:
        self.asked: list[tuple[bytes, bytes]] = []
        self._broken = broken

    def attest(self, data: bytes, *, nonce: bytes = b"", public_key: bytes = b"") -> bytes:
        if self._broken:
            raise RunError("the device answers nothing")
        self.asked.append((data, nonce))
        return b"document over " + data

    def collateral(self) -> Collateral:
        return Collateral((b"certificate",), ())


def make_enclave_run(
    folder: Path, *, device: Device | None = None, job: Job | None = None, tell: Told | None = None, **options: Any
) -> Summary:
    """A finished run in `folder`/run, its register in `folder`/register. `job`: `make_job` gives
    one, by default `STEPS` steps with native proofs (`make_job(NONE)`: without)."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    options = {"release_key": RELEASE_KEY} | options
    made: Summary | Interrupted = train_inside(
        job or make_job(), folder, device=device or StandIn(), tell=tell or Told(), **options
    )
    assert isinstance(made, Summary)
    return made
