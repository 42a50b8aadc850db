"""One figure, and the two ways to print figures: a JSON object a line, or a table."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure must reach, and what it should; a smaller figure is better where `at_most`."""

    must: float
    aim: float
    at_most: bool = False

    def verdict(self, value: float) -> str:
        """`aim reached`, `must reached` or `missed`."""
        if self._met(value, self.aim):
            return "aim reached"
        return "must reached" if self._met(value, self.must) else "missed"

    def _met(self, value: float, bound: float) -> bool:
        return value <= bound if self.at_most else value >= bound


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value; `peer` names what it is compared with in the same run, and `ratio` is value
    over the peer's value."""

    name: str
    value: float
    unit: str
    peer: str = ""
    ratio: float | None = None
    goal: Goal | None = None


def conditions() -> Figure:
    """The machine's load before the measurement: figures are comparable only where it is near 0."""
    return Figure("machine.load_before", round(os.getloadavg()[0], 2), f"running processes on {os.cpu_count()} cores")


def emit(figures: Iterable[Figure], *, as_json: bool) -> None:
    """Prints each figure as soon as it is there."""
    for figure in figures:
        if as_json:
            values = asdict(figure)
            goal = values.pop("goal")
            if figure.goal is not None:
                values |= {"must": goal["must"], "aim": goal["aim"], "verdict": figure.goal.verdict(figure.value)}
            print(json.dumps(values), flush=True)
        else:
            ratio = f"   {figure.ratio:.3g} x {figure.peer}" if figure.ratio is not None else ""
            goal = figure.goal
            bounds = f"   must {goal.must:,g}, aim {goal.aim:,g}: {goal.verdict(figure.value)}" if goal else ""
            print(f"{figure.name:<36} {figure.value:>14,.6g} {figure.unit}{ratio}{bounds}", flush=True)
