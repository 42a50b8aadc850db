import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import pytest

from tests.train.test_timeline import Session, usual
from zk_autograd.run.events import (
    ProofDone,
    RecordWritten,
    SegmentSealed,
    StepLogged,
)
from zk_autograd.train.spans import Span
from zk_autograd.train.timeline import MAX_LANES, Course
from zk_autograd.train.timeline_picture import LEFT, MOST_RECTANGLES, RIGHT, WIDTH, draw

GOLDEN = Path(__file__).parents[1] / "data" / "timeline.svg"
SVG = "{http://www.w3.org/2000/svg}"


def read(text: str) -> ET.Element:
    """The picture's tree, if it is well formed."""
    return ET.fromstring(text)


def words(root: ET.Element) -> list[str]:
    return [found.text or "" for found in root.iter(f"{SVG}text")]


def bars(root: ET.Element, kind: str) -> list[tuple[float, float]]:
    """Left and right edge of the rectangles of a class in the lanes."""
    found = (r for group in root.iter(f"{SVG}g") for r in group.iter(f"{SVG}rect"))
    return [
        (float(r.attrib["x"]), float(r.attrib["x"]) + float(r.attrib["width"]))
        for r in found
        if r.get("class", r.get("fill", "")).startswith(kind)
    ]


def test_the_same_events_at_the_same_times_give_these_very_bytes() -> None:
    """To be replaced by what `draw` gives, after a look at it, when the picture is changed."""
    first, second = (draw(usual(Session())) for _ in range(2))
    assert first == second == GOLDEN.read_text(encoding="utf-8")


def test_bars_lie_on_the_axis_where_their_times_are() -> None:
    root = read(draw(usual(Session())))
    pixel = (RIGHT - LEFT) / 13  # a second
    assert bars(root, "t") == [
        pytest.approx((LEFT + a * pixel, LEFT + b * pixel), abs=0.02) for a, b in ((1, 3), (6, 8))
    ]
    assert bars(root, "p") == [
        pytest.approx((LEFT + a * pixel, LEFT + b * pixel), abs=0.02) for a, b in ((3, 6), (8, 12))
    ]
    assert bars(root, "url") == bars(root, "p")  # here training waits whenever there is a proof
    assert {"0", "1", "2", "4", "12", "seconds", "Training", "Proving"} <= set(words(root))


def test_it_says_in_words_what_it_shows_and_has_both_themes() -> None:
    text = draw(usual(Session()))
    root = read(text)
    assert root.attrib["role"] == "img"
    ids = {found.attrib["id"]: found.text for found in root.iter() if "id" in found.attrib}
    assert all(ids[name] for name in root.attrib["aria-labelledby"].split())
    assert "4 steps in 2 segments, 13.0 s in all; 2 proofs, 7.00 s of proving; waited 7.00 s; 1 failed" in text
    assert "prefers-color-scheme:dark" in text
    assert not any(outside in text for outside in ("<script", "href", "url(http", "@import", "<image"))


@pytest.mark.parametrize("end", [0.0, 1e-9, 0.0014, 0.02, 1.0, 9.0, 45.0, 3600.0, 1e7])
def test_ticks_are_round_few_and_apart(end: float) -> None:
    root = read(draw(Course(end=end)))
    ticks = [
        (float(found.attrib["x"]), float((found.text or "").replace(",", "")))
        for found in root.iter(f"{SVG}text")
        if found.get("text-anchor") == "middle"
    ]
    assert 2 <= len(ticks) <= 11
    assert ticks[0] == pytest.approx((LEFT, 0))
    assert all(b[0] - a[0] > 50 and b[1] > a[1] for a, b in pairwise(ticks))
    assert ticks[-1][0] <= RIGHT


def test_no_time_at_all_is_drawn_inside_the_picture() -> None:
    session = Session()
    session.at(0, StepLogged(1), SegmentSealed(0, 1, 1), ProofDone(0, 0, 1, 0.0, 0, True), RecordWritten(0, 1, 3))
    text = draw(session.ends(0))
    root = read(text)
    assert len(bars(root, "t")) == len(bars(root, "p")) == 1
    assert "nan" not in text
    assert "inf" not in text
    assert "Hashing" in words(root)  # nothing has a size, so nothing was proved


def test_a_session_without_events_says_so() -> None:
    text = draw(Session().ends(2))
    assert "No step was taken in 2.00 s." in text
    read(text)


def test_names_of_workers_are_no_markup_and_end_where_the_lane_begins() -> None:
    name = '</text><script>alert("x")</script>\x1b[0m\ud800\ufffe' + "long" * 500
    course = Course(end=1, proving=((name, (Span.of(0, 1, 0, name),)), ("other & <", (Span.of(0, 1, 0),))), proved=True)
    text = draw(course)
    text.encode("utf-8")
    root = read(text)
    assert not [found for found in root.iter() if found.tag == f"{SVG}script"]
    shown = [found for found in words(root) if found.startswith("Proving")]
    assert len(shown) == 2
    assert max(map(len, shown)) <= 14


def test_a_long_run_with_many_workers_stays_small() -> None:
    spans = tuple(Span.of(2 * i, 2 * i + 1, i, f"segment {i}") for i in range(4000))
    proving = tuple((f"worker-{number}", spans) for number in range(MAX_LANES))
    moments = tuple(float(i) for i in range(4000))
    course = Course(
        end=8000,
        training=spans,
        waiting=spans,
        proving=proving,
        records=moments,
        failed=moments,
        entries=moments,
        anchored=moments,
    )
    text = draw(course)
    root = read(text)
    assert len(bars(root, "t")) == MOST_RECTANGLES
    assert len(list(root.iter(f"{SVG}rect"))) < 1600
    assert len(text) < 400_000
    assert len(bars(root, "p")) < 500


def test_labels_have_room_in_their_bars() -> None:
    spans = tuple(Span.of(i, i + 0.9, 1000 + i) for i in range(40))
    root = read(draw(Course(end=400, training=spans, proving=(("1", (Span.of(0, 400, 7),)),))))
    inside = [found for group in root.iter(f"{SVG}g") for found in group.iter(f"{SVG}text")]
    assert [found.text for found in inside] == ["7"]


def test_the_picture_is_as_wide_as_it_says() -> None:
    root = read(draw(usual(Session())))
    assert root.attrib["viewBox"] == f"0 0 {WIDTH} {root.attrib['height']}"
    assert all(LEFT <= a <= b <= RIGHT + 1 for kind in ("t", "p", "url") for a, b in bars(root, kind))
