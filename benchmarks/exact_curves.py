"""The learning curves of docs/gradients.md: exact gradients beside floats on digits, one seed.

    python -m benchmarks.exact_curves

trains both (benchmarks.exact_parity) and writes docs/exact-curves-light.svg and -dark.svg: the
loss, a mean over `WINDOW` steps on a logarithmic scale, and the share of the test rows that are
right. Plain SVG without fonts, scripts or links, as docs/evidence_chain.py.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil, floor, log10
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.exact_parity import DIGITS, Course, course

FOLDER = Path(__file__).parents[1] / "docs"
WIDTH, HEIGHT = 800, 330
TOP, BOTTOM = 52, 262
PANELS = ((64, 386), (466, 788))
"""Left and right edges."""
FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif"
TITLE = "Training on exact gradients and on floats"
WINDOW, EVERY = 10, 20
SEED = 0


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of one picture."""

    page: str
    panel: str
    grid: str
    text: str
    quiet: str
    floats: str
    exact: str


THEMES = {
    "light": Theme("#ffffff", "#f6f8fa", "#d8dee4", "#1f2328", "#57606a", "#f0b35a", "#0a56b8"),
    "dark": Theme("#0d1117", "#161b22", "#30363d", "#f0f6fc", "#b3bcc6", "#a8741a", "#79b8ff"),
}


@dataclass(frozen=True, slots=True)
class Panel:
    """One diagram: `y` maps a value to 0 .. 1 from the bottom up, `ticks` are values and labels."""

    edges: tuple[int, int]
    name: str
    steps: NDArray[np.float64]
    lines: tuple[NDArray[np.float64], NDArray[np.float64]]
    y: Callable[[float], float]
    ticks: tuple[tuple[float, str], ...]

    def x(self, step: float) -> float:
        left, right = self.edges
        return left + (right - left) * step / float(self.steps[-1])

    def height(self, value: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * self.y(value)


def loss_panel(found: Course) -> Panel:
    """Both losses; the scale takes in whole powers of ten."""
    count = len(found.losses[0]) // WINDOW
    exact, floats = (line[: count * WINDOW].reshape(count, WINDOW).mean(axis=1) for line in found.losses)
    low = floor(log10(min(exact.min(), floats.min())))
    high = ceil(log10(max(exact.max(), floats.max())))
    ticks = tuple((10.0**power, f"{10.0**power:g}") for power in range(low, high + 1))
    steps = (np.arange(1, count + 1) * WINDOW).astype(np.float64)
    return Panel(PANELS[0], "loss", steps, (exact, floats), lambda value: (log10(value) - low) / (high - low), ticks)


def accuracy_panel(found: Course) -> Panel:
    """Both shares of the test rows, from a multiple of 10 % to 100 %."""
    exact, floats = found.right
    low = floor(10 * min(exact.min(), floats.min())) / 10
    ticks = tuple((share / 10, f"{10 * share} %") for share in range(round(10 * low), 11))
    steps = np.array(found.seen, dtype=np.float64)
    return Panel(
        PANELS[1], "right on test rows", steps, (exact, floats), lambda value: (value - low) / (1 - low), ticks
    )


def draw(theme: Theme, found: Course) -> str:
    """The picture as SVG text."""
    exact, floats = found.accuracy
    said = (
        f"Digits, a hidden layer of 64, batches of 32, Adam: {len(found.losses[0])} steps from the same first weights on the same batches. After the "
        f"last one {100 * exact:.2f} % of the test rows are right with exact gradients, {100 * floats:.2f} % with floats."
    )
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
            f'aria-labelledby="title description" font-family="{FONT}">',
            f'<title id="title">{escape(TITLE)}</title>',
            f'<desc id="description">{escape(said)}</desc>',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{theme.page}"/>',
            *_panel(theme, loss_panel(found)),
            *_panel(theme, accuracy_panel(found)),
            *_legend(theme),
            "</svg>\n",
        )
    )


def _panel(theme: Theme, panel: Panel) -> Iterator[str]:
    left, right = panel.edges
    yield f'<rect x="{left}" y="{TOP}" width="{right - left}" height="{BOTTOM - TOP}" fill="{theme.panel}"/>'
    yield _words(theme, left, TOP - 14, panel.name, bold=True)
    for value, label in panel.ticks:
        y = panel.height(value)
        yield f'<path d="M{left} {y:.1f} H{right}" stroke="{theme.grid}" stroke-width="1"/>'
        yield _words(theme, left - 8, y + 4, label, anchor="end")
    last = int(panel.steps[-1])
    for step in range(0, last + 1, max(1, last // 4)):
        yield _words(theme, panel.x(step), BOTTOM + 18, str(step), anchor="middle")
    yield _words(theme, right, BOTTOM + 36, "steps", anchor="end")
    exact, floats = panel.lines
    for line, colour, width in ((floats, theme.floats, 5.0), (exact, theme.exact, 1.5)):
        points = " L".join(
            f"{panel.x(step):.1f} {panel.height(value):.1f}" for step, value in zip(panel.steps, line, strict=True)
        )
        yield f'<path d="M{points}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"/>'


def _legend(theme: Theme) -> Iterator[str]:
    x = PANELS[0][0]
    for words, colour, width in (("exact gradients", theme.exact, 1.5), ("float32, torch", theme.floats, 5.0)):
        yield f'<path d="M{x} {HEIGHT - 20} h28" stroke="{colour}" stroke-width="{width}"/>'
        yield _words(theme, x + 36, HEIGHT - 16, words)
        x += 160


def _words(theme: Theme, x: float, y: float, words: str, *, anchor: str = "start", bold: bool = False) -> str:
    colour, size, weight = (theme.text, 13, ' font-weight="600"') if bold else (theme.quiet, 12, "")
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}"{weight}>{escape(words)}</text>'


def main() -> None:
    """Trains, and writes both files."""
    torch.set_num_threads(1)
    found = course(DIGITS, SEED, EVERY)
    for name, theme in THEMES.items():
        (FOLDER / f"exact-curves-{name}.svg").write_text(draw(theme, found), encoding="utf-8")


if __name__ == "__main__":
    main()
