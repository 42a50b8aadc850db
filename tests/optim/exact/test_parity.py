"""What exact gradients cost in accuracy: digits beside torch in float32, and the picture of it."""

from xml.etree import ElementTree

import pytest

from benchmarks.exact_curves import EVERY, FOLDER, THEMES, draw
from benchmarks.exact_parity import DIGITS, Course, course
from zk_autograd.train import models

pytestmark = [pytest.mark.torch, pytest.mark.slow]


@pytest.fixture(scope="module")
def one() -> Course:
    pytest.importorskip("sklearn", reason="the [train] extra is not installed")
    with models.one_thread():
        return course(DIGITS, 0, EVERY)


def test_digits_are_told_apart_as_well_as_by_floats(one: Course) -> None:
    exact, floats = one.accuracy
    assert floats > 0.95  # or there would be nothing to compare with
    assert abs(exact - floats) <= 0.005
    assert one.losses[0][-50:].mean() < 0.02
    assert one.losses[0][0] == pytest.approx(one.losses[1][0], rel=0.001)
    assert one.gradient_error < 0.05


@pytest.mark.long
def test_digits_are_told_apart_as_well_over_five_seeds() -> None:
    with models.one_thread():
        courses = [course(DIGITS, seed) for seed in range(5)]
    exact, floats = (sum(pair) / 5 for pair in zip(*(found.accuracy for found in courses), strict=True))
    assert floats > 0.95
    assert abs(exact - floats) <= 0.005


def test_curves_are_drawn_in_both_themes_from_the_numbers(one: Course) -> None:
    pictures = [draw(theme, one) for theme in THEMES.values()]
    for picture, name in zip(pictures, THEMES, strict=True):
        root = ElementTree.fromstring(picture)
        lines = [path for path in root.iter("{http://www.w3.org/2000/svg}path") if "L" in path.attrib["d"]]
        assert [path.attrib["d"].count("L") for path in lines] == [59, 59, 29, 29]
        assert f"{100 * one.accuracy[0]:.2f} % of the test rows are right" in picture
        kept = (FOLDER / f"exact-curves-{name}.svg").read_text(encoding="utf-8")
        shape = [element.tag for element in ElementTree.fromstring(kept).iter()]
        assert shape == [element.tag for element in root.iter()]
    assert pictures[0] != pictures[1]
