"""The test of timing finds what isn't constant in time, and nothing where there is nothing."""

import numpy as np
import pytest

from benchmarks import timing_of_secrets as timing
from zk_autograd.core.hyper import Rule


def times(seed: int, count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Times with a long tail, and the class of each."""
    rng = np.random.default_rng(seed)
    return 1e-5 + 1e-7 * rng.standard_exponential(count), rng.integers(0, 2, count).astype(bool)


@pytest.mark.parametrize("seed", range(5))
def test_two_classes_of_one_distribution_are_not_told_apart(seed: int) -> None:
    assert timing.largest_t(*times(seed)) < timing.TELLING


def test_a_shift_and_a_wider_spread_are_told_apart() -> None:
    found, is_fixed = times(1)
    assert timing.largest_t(found + 2e-7 * is_fixed, is_fixed) >= timing.TELLING
    wider = np.where(is_fixed, 1e-5 + 3 * (found - found.mean()), 1e-5 + (found - found.mean()))
    assert timing.largest_t(wider, is_fixed) >= timing.TELLING


def test_what_few_slow_measurements_hide_is_found_by_cropping() -> None:
    found, is_fixed = times(2)
    found = found + 5e-8 * is_fixed
    found[::50] += 1e-3 * np.random.default_rng(3).standard_exponential(len(found[::50]))
    assert timing.welch(found[is_fixed], found[~is_fixed]) < timing.TELLING <= timing.largest_t(found, is_fixed)


def test_a_step_that_skips_elements_without_gradient_is_told_apart() -> None:
    control = next(timing.comparisons(4096))
    assert timing.measure(control, 400)[0] >= timing.TELLING


def test_the_native_step_that_is_measured_is_the_rules() -> None:
    stepping = timing.Stepping(300)
    rng = np.random.default_rng(1)
    secret = timing.Secret(timing.random_gradient(rng, 300), timing.random_state(Rule.ADAM, rng, 300))
    assert stepping.native(Rule.ADAM, secret) > 0
    assert stepping.kept.any()


def test_without_controls_told_apart_the_program_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(timing, "measure", lambda comparison, count: (1.0, 0.0))
    assert timing.main([]) == 1
    assert "control.zero_skipped was not told apart" in capsys.readouterr().err
    monkeypatch.setattr(timing, "measure", lambda comparison, count: (99.0, 0.0))
    assert timing.main([]) == 0
