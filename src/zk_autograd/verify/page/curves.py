"""What the records say of loss and saturation, as curves: the trainer's word, and marked as such.

A curve of many steps shows the least and the greatest value of each of its columns, so that no
peak is lost. A value that is no number, or is beyond a float, is counted and not drawn.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from zk_autograd.core.records import Log
from zk_autograd.core.text import counted
from zk_autograd.verify.page.markup import Element, element

_COLUMNS = 300
_WIDTH, _HEIGHT = 600.0, 120.0


@dataclass(frozen=True, slots=True)
class Series:
    """Steps and their values, in order, and how many values could not be drawn."""

    steps: Sequence[int]
    values: Sequence[float]
    odd: int


def losses(log: Log) -> Series:
    """The loss of each step for which the records have one."""
    steps: list[int] = []
    values: list[float] = []
    odd = 0
    for segment in log.segments:
        for step, text in enumerate(segment.loss, segment.first):
            value = _number(text)
            if value is not None:
                steps.append(step)
                values.append(value)
            elif text:
                odd += 1
    return Series(steps, values, odd)


def saturations(log: Log) -> Series:
    """How many gradient elements each step is said to have clamped."""
    pairs = [pair for s in log.segments for pair in zip(range(s.first, s.last + 1), s.saturated, strict=False)]
    return Series([step for step, _ in pairs], [float(count) for _, count in pairs], 0)


def figure(name: str, what: str, series: Series, said_by: str) -> Element:
    """A curve with its caption; `said_by` says whose word it is."""
    if not series.values:
        none = f" The records hold {counted(series.odd, 'value')}, and no finite number."
        return element("p", element("strong", name), element("span", said_by, class_="tag"), none)
    low, high = min(series.values), max(series.values)
    first, last = series.steps[0], series.steps[-1]
    drawn = (
        f"{name} over steps {first} to {last}: {_short(series.values[0])} at first, {_short(series.values[-1])} at last, "
        f"least {_short(low)}, greatest {_short(high)}"
    )
    odd = f" Not drawn, since no finite number: {counted(series.odd, 'value')}." if series.odd else ""
    key = name.lower()
    return element(
        "figure",
        element("figcaption", element("strong", name), element("span", said_by, class_="tag"), f" {what}{odd}"),
        element(
            "div",
            element("div", element("span", _short(high)), element("span", _short(low)), class_="ys", aria_hidden="true"),
            element(
                "svg",
                element("title", f"{name}, {said_by}", id=f"{key}-title"),
                element("desc", f"{drawn}.", id=f"{key}-text"),
                *(element("line", x1=0, x2=_WIDTH, y1=y, y2=y, class_="grid") for y in (0, _HEIGHT / 2, _HEIGHT)),
                *_lines(series, low, high),
                role="img",
                aria_labelledby=f"{key}-title {key}-text",
                viewBox=f"0 0 {_WIDTH:g} {_HEIGHT:g}",
                preserveAspectRatio="none",
                class_="curve",
            ),
            element("div", element("span", f"step {first}"), element("span", f"step {last}"), class_="xs", aria_hidden="true"),
            class_="plot",
        ),
        element("p", f"{drawn}.", class_="said-again"),
    )  # fmt: skip


def _lines(series: Series, low: float, high: float) -> Iterator[Element]:
    first, span = series.steps[0], max(series.steps[-1] - series.steps[0], 1)
    half, middle = high / 2 - low / 2, high / 2 + low / 2  # halves: a sum could leave the range of floats

    def place(step: int, value: float) -> str:
        x = (step - first) / span * _WIDTH
        y = _HEIGHT / 2 if half == 0 else _HEIGHT / 2 - (value / 2 - middle / 2) / half * _HEIGHT
        return f"{x:.1f},{y:.1f}"

    if len(series.values) == 1:
        yield element("polyline", points=f"0,{_HEIGHT / 2} {_WIDTH},{_HEIGHT / 2}", class_="line")
        return
    yield element("polyline", points=" ".join(place(*point) for point in _thinned(series)), class_="line")


def _thinned(series: Series) -> Iterator[tuple[int, float]]:
    """All points of a short series; of a long one the least and the greatest of each column."""
    count = len(series.values)
    if count <= 2 * _COLUMNS:
        yield from zip(series.steps, series.values, strict=True)
        return
    for column in range(_COLUMNS):
        rows = range(count * column // _COLUMNS, count * (column + 1) // _COLUMNS)
        least, greatest = min(rows, key=series.values.__getitem__), max(rows, key=series.values.__getitem__)
        for i in sorted({least, greatest}):
            yield series.steps[i], series.values[i]


def _number(text: str) -> float | None:
    try:
        value = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _short(value: float) -> str:
    return f"{value:.4g}"
