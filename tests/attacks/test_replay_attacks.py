"""Every attack on a replay is refused by step 9 with the words that are meant to, and wins where
that check is taken out."""

from collections.abc import Callable
from functools import cache

import pytest

from attacks.__main__ import ON_REPLAYS, program
from attacks.__main__ import main as attack
from attacks.tools.replays import Attempt, Submission
from zk_autograd.verify import replay
from zk_autograd.verify.opened import OpenedSteps
from zk_autograd.verify.outcome import Step
from zk_autograd.verify.replay import Recomputation

pytestmark = pytest.mark.slow
CASES = [(name, attempt) for name in ON_REPLAYS for attempt in program(name).ATTEMPTS]

TakenOut = Callable[[pytest.MonkeyPatch], None]
Forged = Callable[[str, Attempt], Submission]


def _patching(*targets: tuple[object, str]) -> TakenOut:
    def take_out(patch: pytest.MonkeyPatch) -> None:
        for owner, name in targets:
            patch.setattr(owner, name, lambda *_, **__: None)

    return take_out


_GRADIENT = (Recomputation, "_require_gradient")
_DATA = (replay, "_require_committed")
_OPENED = ((OpenedSteps, "_require_state"), (OpenedSteps, "_require_gradients"))

TAKEN_OUT: dict[str, dict[str, TakenOut]] = {
    "gradients_of_something_else": {
        name: _patching(_GRADIENT)
        for name in (
            "other data",
            "labels exchanged",
            "another graph",
            "another order",
            "a batch reused",
            "a dead example counted",
        )
    },
    "data_of_another_run": {
        "with its own data": _patching(_DATA),
        "with the other run's data": _patching(_GRADIENT),
    },
    "openings_mixed": {
        "segments of two runs": _patching(*_OPENED),
        "two segments exchanged": _patching(*_OPENED, _GRADIENT),
    },
}
"""Without these checks an attempt reaches L3. Where there are several, all stand in its way."""


def _cases() -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("name", "attempt"), [pytest.param(n, a, id=f"{n}: {a.name}") for n, a in CASES])


@pytest.fixture(scope="module")
def forged(native_prover: None, tmp_path_factory: pytest.TempPathFactory) -> Forged:
    """Each attempt, made once."""
    return cache(lambda name, attempt: attempt.forge(tmp_path_factory.mktemp("forged")))


@_cases()
def test_an_attack_is_refused_by_step_9(name: str, attempt: Attempt, forged: Forged) -> None:
    report = forged(name, attempt).judged()
    assert report.failure is not None
    assert report.failure.step == Step.DATA
    assert attempt.words in str(report.failure)
    assert (report.exit_status, report.levels) == (1, frozenset())


@_cases()
def test_it_passes_without_that_check(
    name: str, attempt: Attempt, forged: Forged, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        TAKEN_OUT[name][attempt.name](patch)
        report = forged(name, attempt).judged()
    assert (report.verdict, report.exit_status) == ("L0, L1, L3", 0)


def test_no_attempt_is_left_out_here() -> None:
    assert {(n, a.name) for n, a in CASES} == {(n, a) for n, cases in TAKEN_OUT.items() for a in cases}


def test_the_program_says_what_became_of_it(native_prover: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert attack(["openings_mixed"]) == 0
    assert "step 9, Data" in capsys.readouterr().out
