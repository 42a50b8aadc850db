"""The page as a browser shows it: headless Chromium, with axe-core's rules of accessibility.

Needs Chromium on this machine (`make test-deps`) and the [dev] extra's Playwright, whose own
browsers aren't used.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from tests.verify.kinds import KINDS, synthetic
from zk_autograd.verify.page.document import page as document
from zk_autograd.verify.report import Report

pytestmark = pytest.mark.slow

MADE = datetime(2026, 11, 30, 14, 2, 23, tzinfo=UTC)
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)  # fmt: skip
SHOWN = (
    "passed, native",
    "sample",
    "unpinned",
    "failed, proof",
    "unreadable",
    "hostile texts",
    "uncovered",
    "policy file not met",
)
"""One of each standing, and those with texts of others in them."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: make test-deps installs it, as root")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


class Look:
    """A page in the browser, what it asked for, and what it complained about."""

    def __init__(self, page: Page, file: Path, html: str) -> None:
        self.page = page
        self.requests: list[str] = []
        self.console: list[str] = []
        self.refused: list[str] = []
        page.on("requestfailed", lambda request: self.refused.append(request.url) if request.failure == "csp" else None)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.console.append(message.text))
        page.on("pageerror", lambda error: self.console.append(str(error)))
        file.write_text(html, encoding="ascii")
        page.goto(file.as_uri())


@pytest.fixture
def look(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Look]]:
    """Shows a page. `scheme` is light or dark, `media` screen or print."""
    opened: list[Page] = []

    def shown(html: str, scheme: str = "light", media: str = "screen", width: int = 1100) -> Look:
        page = browser.new_page(viewport={"width": width, "height": 900})
        opened.append(page)
        page.emulate_media(media=media, color_scheme=scheme)  # type: ignore[arg-type]
        return Look(page, tmp_path / f"{len(opened)}.html", html)

    yield shown
    for page in opened:
        page.close()


LOOKS = {
    "light": ("light", "screen", 1100),
    "dark": ("dark", "screen", 1100),
    "narrow": ("light", "screen", 375),
    "print": ("dark", "print", 760),
}
QUICK = {*((SHOWN[0], name) for name in LOOKS), ("failed, proof", "dark"), ("uncovered", "narrow")}
CASES = [
    pytest.param(kind, name, marks=[] if (kind, name) in QUICK else [pytest.mark.long])
    for kind in SHOWN
    for name in LOOKS
]


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_a_page_asks_for_nothing_and_breaks_no_rule(
    kind: str, name: str, look: Callable[..., Look], report_of: Callable[[str], Report]
) -> None:
    seen = look(document(report_of(kind), MADE, annex_xi=True), *LOOKS[name])
    assert (seen.console, len(seen.requests)) == ([], 1)
    # All of axe-core's rules, contrast (4.5:1), landmarks, headings and tables among them.
    results = Axe().run(seen.page)
    assert results.violations_count == 0, results.generate_report()
    assert seen.page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    if name == "print":  # dark ink on white paper, whatever the screen's scheme
        assert lightness(seen.page, "body", "backgroundColor") > 0.9
        assert lightness(seen.page, "body", "color") < 0.3


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["passed", "sample", "unpinned", "failed, proof", "unreadable"])
def test_each_verdict_is_legible(
    kind: str, scheme: str, look: Callable[..., Look], report_of: Callable[[str], Report]
) -> None:
    page = look(document(report_of(kind), MADE), scheme).page
    results = Axe().run(page, context=".banner", options={"runOnly": ["color-contrast"]})
    assert results.violations_count == 0, results.generate_report()
    assert len(results.response["passes"][0]["nodes"]) >= 3


def lightness(page: Page, selector: str, what: str) -> float:
    """Of a computed colour, 0 to 1."""
    found: list[int] = page.eval_on_selector(selector, f"e => getComputedStyle(e).{what}.match(/\\d+/g).map(Number)")
    return sum(found[:3]) / 765


def contrast(one: list[float], other: list[float]) -> float:
    """WCAG 2.2, "contrast ratio"."""

    def luminance(colour: list[float]) -> float:
        parts = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_are_as_legible_as_texts(
    scheme: str, look: Callable[..., Look], report_of: Callable[[str], Report]
) -> None:
    """axe-core does not measure what is in an SVG."""
    page = look(document(report_of("sample"), MADE), scheme).page

    def colour(selector: str, what: str) -> list[float]:
        found: list[float] = page.eval_on_selector(
            selector, f"e => getComputedStyle(e).{what}.match(/[\\d.]+/g).map(Number)"
        )
        return found

    paper = colour("body", "backgroundColor")
    for selector, what in ((".chain .name", "fill"), (".chain .detail", "fill")):
        assert contrast(colour(selector, what), paper) >= 4.5
    for selector, what in (
        (".mark.whole", "fill"),
        (".mark.unseen", "stroke"),
        (".spine", "stroke"),
        (".curve .line", "stroke"),
    ):
        assert contrast(colour(selector, what), paper) >= 3
    assert contrast(colour(".chain .tick", "stroke"), colour(".mark.whole", "fill")) >= 3


def test_the_policy_is_in_force(look: Callable[..., Look], report_of: Callable[[str], Report]) -> None:
    """A page into which somebody put a script, a style and a picture runs, wears and loads none."""
    html = document(report_of("passed"), MADE)
    put = (
        "<script>document.title = 'taken'</script><style>h1 { display: none }</style>"
        '<img src="https://192.0.2.1/x.png" onerror="document.title = \'taken\'"><p id="p" style="color: red">'
    )
    seen = look(html.replace("<body", f"<body{' '}", 1).replace("<main>", f"<main>{put}", 1))
    assert seen.page.title() == look(html).page.title() != "taken"
    assert seen.page.locator("h1").is_visible()
    assert (
        lightness(seen.page, "#p", "color") < 0.3
        and seen.page.eval_on_selector("#p", "e => getComputedStyle(e).color") != "rgb(255, 0, 0)"
    )
    assert seen.refused == ["https://192.0.2.1/x.png"]
    assert len(seen.console) >= 3 and all("Content Security Policy" in text for text in seen.console)


@pytest.mark.parametrize("kind", SHOWN)
def test_headings_are_read_in_order(kind: str, look: Callable[..., Look], report_of: Callable[[str], Report]) -> None:
    page = look(document(report_of(kind), MADE)).page
    levels = [int(tag[1]) for tag in page.eval_on_selector_all("h1,h2,h3,h4", "all => all.map(e => e.tagName)")]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - one <= 1 for one, after in pairwise(levels))
    # The verdict is what is read first, and what is seen without scrolling, as the words it is.
    first = page.locator("main").inner_text().splitlines()
    assert any(line.lower().startswith("verdict:") for line in first[:4])
    box = page.locator("h1").bounding_box()
    assert box is not None and box["y"] + box["height"] < 400
    # What stands below another on the screen is read after it.
    tops = page.eval_on_selector_all("main h1, main h2", "all => all.map(e => e.getBoundingClientRect().top)")
    assert tops == sorted(tops)


def test_what_scrolls_can_be_scrolled_by_keyboard(
    look: Callable[..., Look], report_of: Callable[[str], Report]
) -> None:
    page = look(document(report_of("passed, native"), MADE), width=375).page
    wide = page.locator(".wide")
    assert wide.count() >= 1
    for i in range(wide.count()):
        page.keyboard.press("Tab")
        assert page.evaluate("i => document.activeElement === document.querySelectorAll('.wide')[i]", i)


def test_a_long_run_is_shown_whole(
    look: Callable[..., Look], report_of: Callable[[str], Report], tmp_path: Path
) -> None:
    seen = look(document(synthetic(report_of("passed"), 10_000), MADE), width=375)
    assert seen.page.locator(".chain .name").count() < 15
    for box in (seen.page.locator(".chain text").nth(i).bounding_box() for i in range(6)):
        assert box is not None and box["x"] + box["width"] <= 375
    assert len(seen.page.screenshot(path=tmp_path / "long.png", full_page=True)) > 10_000


def test_the_kinds_shown_are_kinds() -> None:
    assert set(SHOWN) <= set(KINDS)


@pytest.mark.parametrize("width", [375, 1100])
def test_names_of_several_signers_stand_below_each_other(
    width: int, look: Callable[..., Look], report_of: Callable[[str], Report]
) -> None:
    report = report_of("passed, native")
    seen = look(document(replace(report, signers=report.signers * 2), MADE), width=width)
    left = seen.page.evaluate("[...document.querySelectorAll('.banner dd')].map(e => e.getBoundingClientRect().left)")
    assert len(left) >= 2 and len(set(left)) == 1
