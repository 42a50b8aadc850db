import pytest

from zk_autograd.train.course import Pace, total_seconds


def total(pace: Pace, steps: int, cores: int = 10**9, backlog: int = 2) -> float:
    return total_seconds(pace, steps, cores=cores, backlog=backlog)


def test_one_segment_is_trained_and_then_proved() -> None:
    assert total(Pace(0.5, 10, 3.0), 4) == pytest.approx(2 + 3)
    assert total(Pace(0.5, 10, 3.0, first=1.0), 10) == pytest.approx(5 + 4)


def test_without_proofs_it_is_the_steps() -> None:
    assert total(Pace(0.5, 10, 0.0), 1) == pytest.approx(0.5)
    assert total(Pace(0.5, 10, 0.0), 95) == pytest.approx(47.5)
    assert total(Pace(0.001, 7, 0.0), 100_001) == pytest.approx(100.001)


def test_proving_hides_behind_a_longer_training_but_for_the_last_segment() -> None:
    assert total(Pace(1.0, 10, 4.0), 50) == pytest.approx(50 + 4)


def test_training_hides_behind_a_longer_proving_but_for_the_first_segment() -> None:
    assert total(Pace(0.1, 10, 4.0, first=0.5), 50) == pytest.approx(1 + 0.5 + 5 * 4)


def test_cores_are_shared_while_both_work() -> None:
    """Two segments on one core: 10 s and 10 s of training, 10 s and 10 s of proofs, and all of it
    one after the other."""
    assert total(Pace(1.0, 10, 10.0), 20, cores=1) == pytest.approx(40)
    # on two cores what is side by side goes at two thirds: 10 / (2/3) = 15
    assert total(Pace(1.0, 10, 10.0), 20, cores=2) == pytest.approx(10 + 15 + 10)


@pytest.mark.parametrize("backlog", [1, 2, 100])
def test_waiting_for_the_backlog_costs_no_time_where_the_prover_is_busy_all_the_while(backlog: int) -> None:
    assert total(Pace(0.1, 10, 4.0), 100, backlog=backlog) == pytest.approx(1 + 10 * 4)


@pytest.mark.parametrize("pace", [Pace(0.01, 16, 0.5), Pace(0.01, 16, 0.05), Pace(0.01, 16, 0.16, first=2.0)])
def test_a_long_run_goes_on_as_it_began(pace: Pace) -> None:
    """A thousand segments take what five times two hundred do, but for the ends."""
    short, long = (total(pace, 16 * n, cores=2) for n in (200, 1000))
    each = max(total(pace, 16 * 190, cores=2) - total(pace, 16 * 100, cores=2), 0) / 90
    assert long == pytest.approx(short + 800 * each, rel=0.01)
    assert total(pace, 16 * 10**6, cores=2) > 10**6 * max(pace.proof, 16 * pace.step) * 0.99


def test_training_waits_for_the_backlog() -> None:
    """While the first of five segments is proved for a long time, as many more are trained as may
    wait; the training of the last one comes after it."""
    pace = Pace(1.0, 1, 0.0, first=100.0)
    assert total(pace, 5, backlog=100) == pytest.approx(101)
    assert total(pace, 5, backlog=2) == pytest.approx(102)
    assert total(pace, 5, backlog=1) == pytest.approx(103)
