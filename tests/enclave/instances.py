"""Runs of an enclave in one process, small ones: for the tests of whoever looks at them."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zk_autograd.core.canonical import Json
from zk_autograd.core.records import Header
from zk_autograd.enclave.job import Job
from zk_autograd.enclave.training import train_inside
from zk_autograd.tee.device import Device
from zk_autograd.tee.device.emulated import EmulatedDevice
from zk_autograd.train.command import Interrupted
from zk_autograd.train.summary import Summary

RUN_ID = bytes(range(16))
STEPS = 5
RELEASE_KEY = b"the key that the job's key was released to"
PCRS = {number: bytes([number + 1]) * 48 for number in (0, 1, 2)}
"""What the emulated device says of the code."""

SETTINGS: Mapping[str, Json] = {"model": "softmax", "steps": STEPS, "batch-size": 8, "seed": 7, "lr": "0.01"}
NATIVE: Mapping[str, Json] = {**SETTINGS, "prover": "native"}
NONE: Mapping[str, Json] = {**SETTINGS, "prover": "none"}


def table(rows: int = 60, columns: int = 4, classes: int = 3, seed: int = 1) -> bytes:
    """A table whose classes follow from its columns, with some noise."""
    drawn = random.Random(seed)
    lines = [",".join([*(f"measured {i}" for i in range(columns)), "diagnosis"])]
    for row in range(rows):
        kind = row % classes
        cells = [f"{drawn.gauss(3.0 * (kind == i), 1.0):.6f}" for i in range(columns)]
        lines.append(",".join([*cells, f"finding {kind}"]))
    return "\n".join(lines).encode() + b"\n"


def make_job(settings: Mapping[str, Json] = NATIVE, **fields: Any) -> Job:
    return Job(**({"run": RUN_ID, "settings": settings, "table": table()} | fields))


def make_device() -> EmulatedDevice:
    return EmulatedDevice(PCRS)


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


def make_enclave_run(
    folder: Path, *, device: Device | None = None, job: Job | None = None, tell: Told | None = None, **options: Any
) -> Summary:
    """A finished run in `folder`/run, its register in `folder`/register. `job`: `make_job` gives
    one, by default `STEPS` steps with native proofs (`make_job(NONE)`: without)."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    options = {"release_key": RELEASE_KEY} | options
    made: Summary | Interrupted = train_inside(
        job or make_job(), folder, device=device or make_device(), tell=tell or Told(), **options
    )
    assert isinstance(made, Summary)
    return made
