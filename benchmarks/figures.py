"""One figure, and the two ways to print figures: a JSON object a line, or a table."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value; `peer` names what it is compared with in the same run, and `ratio` is value over the peer's value."""

    name: str
    value: float
    unit: str
    peer: str = ""
    ratio: float | None = None


def conditions() -> Figure:
    """The machine's load before the measurement: figures are comparable only where it is near 0."""
    return Figure("machine.load_before", round(os.getloadavg()[0], 2), f"running processes on {os.cpu_count()} cores")


def emit(figures: Iterable[Figure], *, as_json: bool) -> None:
    """Prints each figure as soon as it is there."""
    for figure in figures:
        if as_json:
            print(json.dumps(asdict(figure)), flush=True)
        else:
            ratio = f"   {figure.ratio:.3g} x {figure.peer}" if figure.ratio is not None else ""
            print(f"{figure.name:<36} {figure.value:>14,.6g} {figure.unit}{ratio}", flush=True)
