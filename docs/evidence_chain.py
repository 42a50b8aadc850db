"""The picture of the evidence chain in the README: `python docs/evidence_chain.py` writes it, for a
light and a dark page.

Plain SVG without fonts, scripts or links of its own; a test compares the two files beside this one
byte for byte.
"""

from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

FOLDER = Path(__file__).parent
WIDTH, HEIGHT = 800, 484
FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif"

TITLE = "The evidence chain of a run"
DESCRIPTION = (
    "Training steps are grouped into segments; the state at the end of one segment is the state at the beginning of the "
    "next. Each segment has one proof per block of parameters and one record. The records are the leaves of a Merkle "
    "log, whose root is in a checkpoint that the trainer signs. It is an entry in the trainer's register, the log over "
    "all of their runs, and anchors hold on to that. The auditor's zk-verify reads proofs, records, checkpoint, the register's "
    "entries and the anchors' receipts, takes the trainer's key from elsewhere, and prints a verdict. Data, gradients and states between segments stay private."
)


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of one picture."""

    page: str
    private: str
    public: str
    box: str
    line: str
    text: str
    quiet: str
    accent: str


THEMES = {
    "light": Theme("#ffffff", "#fdf3e1", "#eaf2fc", "#ffffff", "#57606a", "#1f2328", "#57606a", "#0a56b8"),
    "dark": Theme("#0d1117", "#2b2210", "#12233a", "#0d1117", "#9198a1", "#f0f6fc", "#b3bcc6", "#79b8ff"),
}

COLUMNS = (136, 312, 488)
"""Left edges of the three segments; a box is `BOX` wide."""
BOX, GAP = 136, 40
RIGHT = COLUMNS[-1] + BOX
VERIFIER = 672
VERIFIER_WIDTH = 112


class Picture:
    """The lines of an SVG, one element each."""

    def __init__(self, theme: Theme) -> None:
        self.theme = theme
        self.lines: list[str] = []

    def band(self, y: int, height: int, fill: str) -> None:
        """A region behind everything else."""
        self.lines.append(f'<rect x="12" y="{y}" width="{RIGHT}" height="{height}" rx="10" fill="{fill}"/>')

    def box(self, x: int, y: int, width: int, height: int, *, strong: bool = False) -> None:
        """A part."""
        stroke = self.theme.accent if strong else self.theme.line
        self.lines.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" fill="{self.theme.box}" '
            f'stroke="{stroke}" stroke-width="{2 if strong else 1.25}"/>'
        )

    def text(
        self, x: int, y: int, words: str, *, anchor: str = "middle", quiet: bool = False, bold: bool = False
    ) -> None:
        """One line of text on the base line `y`."""
        colour, size = (self.theme.quiet, 12) if quiet else (self.theme.text, 13)
        weight = ' font-weight="600"' if bold else ""
        self.lines.append(
            f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size}" fill="{colour}"{weight}>'
            f"{escape(words)}</text>"
        )

    def path(self, *points: tuple[int, int], arrow: bool = True, strong: bool = False) -> None:
        """A line through points, to an arrow head."""
        stroke = self.theme.accent if strong else self.theme.line
        steps = " L".join(f"{x} {y}" for x, y in points)
        head = f' marker-end="url(#{"strong" if strong else "head"})"' if arrow else ""
        self.lines.append(
            f'<path d="M{steps}" fill="none" stroke="{stroke}" stroke-width="{2 if strong else 1.25}"{head}/>'
        )

    def square(self, x: int, y: int) -> None:
        """One training step."""
        self.lines.append(
            f'<rect x="{x}" y="{y}" width="14" height="14" rx="2" fill="{self.theme.private}" '
            f'stroke="{self.theme.line}" stroke-width="1"/>'
        )

    def knot(self, x: int, y: int) -> None:
        """An inner node of the Merkle tree."""
        self.lines.append(
            f'<circle cx="{x}" cy="{y}" r="5" fill="{self.theme.box}" stroke="{self.theme.line}" stroke-width="1.25"/>'
        )


def draw(theme: Theme) -> str:
    """The picture as SVG text."""
    picture = Picture(theme)
    picture.band(12, 118, theme.private)
    picture.band(142, 330, theme.public)
    _labels(picture)
    for index, x in enumerate(COLUMNS):
        _segment(picture, index, x)
    for x in COLUMNS[1:]:
        picture.path((x - GAP + 2, 84), (x - 3, 84), strong=True)
        picture.text(x - GAP // 2, 42, "state-out = state-in", quiet=True)
    _tree(picture)
    _signed(picture)
    _auditor(picture)
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
            f'role="img" aria-labelledby="title description" font-family="{FONT}">',
            f'<title id="title">{escape(TITLE)}</title>',
            f'<desc id="description">{escape(DESCRIPTION)}</desc>',
            "<defs>",
            _head("head", theme.line),
            _head("strong", theme.accent),
            "</defs>",
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{theme.page}"/>',
            *picture.lines,
            "</svg>\n",
        )
    )


def _head(name: str, colour: str) -> str:
    return (
        f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 L8 4 L0 8 Z" fill="{colour}"/></marker>'
    )


def _labels(picture: Picture) -> None:
    for y, name, more in (
        (80, "Training", "step by step"),
        (172, "Proofs", "one per block"),
        (236, "Records", "one per segment"),
        (326, "Merkle log", "append-only"),
        (416, "Tree head", "signed"),
    ):
        picture.text(24, y, name, anchor="start", bold=True)
        picture.text(24, y + 16, more, anchor="start", quiet=True)
    picture.text(24, 36, "PRIVATE", anchor="start", quiet=True)
    picture.text(24, 464, "PUBLIC", anchor="start", quiet=True)


def _segment(picture: Picture, index: int, x: int) -> None:
    middle = x + BOX // 2
    picture.box(x, 54, BOX, 60)
    picture.text(middle, 74, f"segment {index}", bold=True)
    for step in range(5):
        picture.square(x + 15 + 23 * step, 88)
        if step:
            picture.path((x + 15 + 23 * step - 9, 95), (x + 15 + 23 * step, 95), arrow=False)
    half = (BOX - 8) // 2
    for block in range(2):
        left = x + block * (half + 8)
        picture.path((left + half // 2, 114), (left + half // 2, 158))
        picture.box(left, 160, half, 32)
        picture.text(left + half // 2, 180, f"proof {index}-{block}", quiet=True)
        picture.path((left + half // 2, 192), (left + half // 2, 222))
    picture.box(x, 224, BOX, 32)
    picture.text(middle, 244, f"record of segment {index}", quiet=True)


def _tree(picture: Picture) -> None:
    first, second, third = (x + BOX // 2 for x in COLUMNS)
    inner = (first + second) // 2
    for x, top in ((first, inner), (second, inner), (third, third)):
        picture.path((x, 256), (top, 286), arrow=False)
    picture.path((inner, 286), (second - 24, 314))
    picture.path((third, 286), (second + 24, 314))
    picture.knot(inner, 286)
    picture.knot(third, 286)
    picture.box(COLUMNS[1], 316, BOX, 32)
    picture.text(second, 337, "root over all records", quiet=True)


def _signed(picture: Picture) -> None:
    first, second, third = COLUMNS
    picture.path((second + BOX // 2, 348), (second + BOX // 2, 372), (first + BOX // 2, 372), (first + BOX // 2, 394))
    for x, name, more in (
        (first, "checkpoint", "root and size, signed"),
        (second, "register", "one log over all runs"),
        (third, "anchor", "holds on to its root"),
    ):
        picture.box(x, 396, BOX, 48)
        picture.text(x + BOX // 2, 416, name, bold=True)
        picture.text(x + BOX // 2, 433, more, quiet=True)
        if x != first:
            picture.path((x - GAP, 420), (x - 2, 420))


def _auditor(picture: Picture) -> None:
    x, middle = VERIFIER, VERIFIER + VERIFIER_WIDTH // 2
    picture.box(x, 54, VERIFIER_WIDTH, 60)
    picture.text(middle, 42, "The auditor", bold=True)
    picture.text(middle, 74, "trainer's key", bold=True)
    picture.text(middle, 90, "from elsewhere", quiet=True)
    picture.text(middle, 105, "than the run", quiet=True)
    picture.path((middle, 114), (middle, 157), strong=True)
    picture.box(x, 160, VERIFIER_WIDTH, 284, strong=True)
    picture.text(middle, 284, "zk-verify", bold=True)
    picture.text(middle, 304, "eleven steps,", quiet=True)
    picture.text(middle, 320, "then the verdict", quiet=True)
    for y in (176, 240, 420):
        picture.path((RIGHT, y), (x - 3, y), strong=True)
    first = COLUMNS[0] + BOX // 2
    picture.path((first, 444), (first, 460), (middle, 460), (middle, 447), strong=True)


def main() -> None:
    """Writes both files."""
    for name, theme in THEMES.items():
        (FOLDER / f"evidence-chain-{name}.svg").write_text(draw(theme), encoding="utf-8")


if __name__ == "__main__":
    main()
