"""The picture of a session's course: one SVG, whose bytes follow from the course alone.

It looks as docs/evidence_chain.py does, and carries both of its themes: what shows it chooses, by
prefers-color-scheme. No fonts, scripts or links. However long the session was, a lane has at most
`MOST_RECTANGLES` rectangles; one that stands for several says so when it is pointed at.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import floor, log10
from xml.sax.saxutils import escape

from zk_autograd.core.text import counted, printable
from zk_autograd.train.spans import Span, joined
from zk_autograd.train.timeline import Course

WIDTH = 800
LEFT, RIGHT = 136, 776
LANE, GAP, TOP = 26, 8, 62
MOST_RECTANGLES = 120
_FEWEST = 24
"""Rectangles of a lane where there are many lanes."""
_ALL = 480
"""Rectangles of all lanes of proving, about."""
_MARK_PIXELS = 4
_DIGIT = 7.2
"""Pixels that a character of a label takes."""
_MOST_TICKS = 9
_LONGEST_NAME = 14
FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif"

TITLE = "Training against proving"

_FILLS = {
    "page": ("#ffffff", "#0d1117"),
    "band": ("#f6f8fa", "#161b22"),
    "t0": ("#f5d58f", "#6b5314"),
    "t1": ("#fbe8bd", "#4a3a10"),
    "p0": ("#a9cbf5", "#1f4a80"),
    "p1": ("#d3e4fa", "#17365e"),
    "text": ("#1f2328", "#f0f6fc"),
    "quiet": ("#57606a", "#b3bcc6"),
    "mark": ("#0a56b8", "#79b8ff"),
    "bad": ("#b42318", "#ff9492"),
    "wait": ("#e3e6ea", "#2b323b"),
}
"""Colours by class, for a light page and a dark one."""
_STROKES = {"edge": ("#57606a", "#9198a1"), "grid": ("#d8dde3", "#2b323b")}


@dataclass(frozen=True, slots=True)
class _Lane:
    """A row: its name, and what is drawn in it at a height y."""

    name: str
    draw: "Callable[[_Scale, int], Iterable[str]]"


def draw(course: Course) -> str:
    """The picture as SVG text."""
    scale, lanes = _Scale(course.end), list(_lanes(course))
    bottom = TOP + len(lanes) * (LANE + GAP)
    height = bottom + 74
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-labelledby="title description" font-family="{FONT}">',
        f'<title id="title">{TITLE}</title>',
        f'<desc id="description">{_plain(_summary(course))}</desc>',
        f"<style>{_rules(0)}@media (prefers-color-scheme:dark){{{_rules(1)}}}</style>",
        '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<rect class="wait" width="6" height="6"/><rect class="quiet" width="1" height="6"/></pattern></defs>',
        f'<rect class="page" width="{WIDTH}" height="{height}"/>',
        _words(24, 28, TITLE, bold=True),
        _words(24, 46, _summary(course), quiet=True),
    ]
    for index, lane in enumerate(lanes):
        y = TOP + index * (LANE + GAP)
        lines.append(f'<rect class="band" x="{LEFT}" y="{y}" width="{RIGHT - LEFT}" height="{LANE}"/>')
        lines.append(_words(24, y + 17, lane.name, bold=True))
    lines += _axis(scale, bottom)
    for index, lane in enumerate(lanes):
        lines += lane.draw(scale, TOP + index * (LANE + GAP))
    return "\n".join((*lines, *_legend(course, bottom + 58), "</svg>\n"))


class _Scale:
    """From seconds to pixels, with ticks at round numbers of seconds."""

    def __init__(self, end: float) -> None:
        self.end = max(end, 0.001)
        power = floor(log10(self.end / _MOST_TICKS))
        steps = (m * 10.0 ** (power + p) for p in (0, 1) for m in (1, 2, 5))
        self.step = next(step for step in steps if step * _MOST_TICKS >= self.end)
        self.decimals = max(0, -floor(log10(self.step) + 1e-9))

    def x(self, seconds: float) -> float:
        return LEFT + (RIGHT - LEFT) * min(max(seconds / self.end, 0), 1)

    def ticks(self) -> Iterator[tuple[float, str]]:
        for number in range(floor(self.end / self.step + 1e-9) + 1):
            yield self.x(number * self.step), f"{number * self.step:,.{self.decimals}f}"


def _lanes(course: Course) -> Iterator[_Lane]:
    yield _Lane("Training", lambda scale, y: _training(course, scale, y))
    most = max(_FEWEST, min(MOST_RECTANGLES, _ALL // max(len(course.proving), 1)))
    what = "Proving" if course.proved else "Hashing"
    for name, spans in course.proving:
        label = what if len(course.proving) == 1 else _short(f"{what} {name}")
        yield _proving(label, spans, most)
    if course.records or course.failed:
        yield _Lane("Records", lambda scale, y: _records(course, scale, y))
    if course.entries or course.anchored:
        yield _Lane("Anchors" if course.anchored else "Register", lambda scale, y: _anchors(course, scale, y))


def _proving(label: str, spans: Sequence[Span], most: int) -> _Lane:
    return _Lane(label, lambda scale, y: _bars(spans, "p", scale, y, most))


def _training(course: Course, scale: _Scale, y: int) -> Iterator[str]:
    for span in joined(course.waiting, MOST_RECTANGLES):
        yield _bar(span, 'fill="url(#hatch)"', "", scale, y)
    yield from _bars(course.training, "t", scale, y, MOST_RECTANGLES)


def _records(course: Course, scale: _Scale, y: int) -> Iterator[str]:
    yield from _marks(course.records, "mark", scale, y)
    yield from _marks(course.failed, "bad", scale, y)


def _anchors(course: Course, scale: _Scale, y: int) -> Iterator[str]:
    yield from _marks(course.entries, "quiet", scale, y)
    yield from _marks(course.anchored, "mark", scale, y)


def _bars(spans: Iterable[Span], kind: str, scale: _Scale, y: int, most: int) -> Iterator[str]:
    for number, span in enumerate(joined(tuple(spans), most)):
        shade = (span.first if span.count == 1 else number) % 2
        label = str(span.first) if span.first == span.last else f"{span.first}\u2013{span.last}"
        yield _bar(span, f'class="{kind}{shade}"', label, scale, y)


def _bar(span: Span, look: str, label: str, scale: _Scale, y: int) -> str:
    x, width = scale.x(span.begin), max(scale.x(span.end) - scale.x(span.begin), 0.75)
    shown = width >= _DIGIT * len(label) + 6 and label
    words = _words(x + width / 2, y + 17, label, quiet=True, anchor="middle") if shown else ""
    return (
        f'<g><title>{_plain(_told(span))}</title><rect {look} x="{x:.2f}" y="{y + 2}" width="{width:.2f}" '
        f'height="{LANE - 4}"/>{words}</g>'
    )


def _told(span: Span) -> str:
    when = f"{seconds(span.begin)} to {seconds(span.end)}"
    if span.count == 1:
        return f"{span.note}: {seconds(span.end - span.begin)}, from {when}"
    which = f"segment {span.first}" if span.first == span.last else f"segments {span.first} to {span.last}"
    return f"{which}: {span.count} pieces of {seconds(span.busy)} in all, from {when}"


def _marks(times: Iterable[float], look: str, scale: _Scale, y: int) -> Iterator[str]:
    """One for each place where there are any."""
    for place in sorted({round(scale.x(time) / _MARK_PIXELS) for time in times}):
        yield f'<rect class="{look}" x="{place * _MARK_PIXELS - 1}" y="{y + 5}" width="2" height="{LANE - 10}"/>'


def _axis(scale: _Scale, bottom: int) -> Iterator[str]:
    for x, label in scale.ticks():
        yield f'<path class="grid" d="M{x:.2f} {TOP - 4} V{bottom}"/>'
        yield _words(x, bottom + 14, label, quiet=True, anchor="middle")
    yield f'<path class="edge" d="M{LEFT} {bottom} H{RIGHT}"/>'
    yield _words(24, bottom + 14, "seconds", quiet=True)


def _legend(course: Course, y: int) -> Iterator[str]:
    x = 24.0
    proof = "proof of a block" if course.proved else "hashing of a block"
    for look, words, there in (
        ('class="t0"', "training of a segment", bool(course.training)),
        ('fill="url(#hatch)"', "waiting", bool(course.waiting)),
        ('class="p0"', proof, bool(course.proving)),
        ('class="mark"', "record in the log", bool(course.records)),
        ('class="bad"', "failed attempt", bool(course.failed)),
        ('class="quiet"', "register", bool(course.entries)),
        ('class="mark"', "anchored", bool(course.anchored)),
    ):
        if there:
            yield f'<rect {look} x="{x:.2f}" y="{y - 9}" width="10" height="10"/>'
            yield _words(x + 15, y, words, quiet=True)
            x += 15 + 6.2 * len(words) + 10


def _summary(course: Course) -> str:
    """The course in a sentence."""
    if not course.last_step:
        return f"No step was taken in {seconds(course.end)}."
    steps = counted(course.last_step - course.first_step + 1, "step")
    before = f" (from step {course.first_step})" if course.first_step > 1 else ""
    said = [f"{steps}{before} in {counted(course.segments, 'segment')}, {seconds(course.end)} in all"]
    if course.proved:
        said.append(f"{counted(course.proof_count, 'proof')}, {seconds(course.proof_seconds)} of proving")
    else:
        said.append("nothing proved")
    said.append(f"waited {seconds(sum(span.busy for span in course.waiting))}")
    if course.failures:
        said.append(counted(course.failures, "failed attempt"))
    return "; ".join(said) + "."


def seconds(value: float) -> str:
    """A time with three digits or so."""
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s" if value < 100 else f"{value:,.0f} s"


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "\u2026"


def _plain(text: str) -> str:
    """Text as XML may hold it: no control character, no lone surrogate."""
    return escape(printable(text))


def _words(x: float, y: int, words: str, *, quiet: bool = False, bold: bool = False, anchor: str = "start") -> str:
    look, size = ("quiet", 12) if quiet else ("text", 13)
    weight = ' font-weight="600"' if bold else ""
    middle = ' text-anchor="middle"' if anchor == "middle" else ""
    return f'<text class="{look}" x="{x:.2f}" y="{y}" font-size="{size}"{middle}{weight}>{_plain(words)}</text>'


def _rules(theme: int) -> str:
    fills = (f".{name}{{fill:{colours[theme]}}}" for name, colours in _FILLS.items())
    strokes = (f".{name}{{stroke:{colours[theme]};fill:none}}" for name, colours in _STROKES.items())
    return "".join((*fills, *strokes))
