import pytest

from zk_autograd.train.sampler import Sampler


@pytest.mark.parametrize(
    ("rows", "size", "batches"), [(10, 4, [4, 4, 2]), (8, 4, [4, 4]), (3, 3, [3]), (3, 1, [1, 1, 1])]
)
def test_an_epoch_takes_each_row_once(rows: int, size: int, batches: list[int]) -> None:
    sampler = Sampler(rows, size, seed=1)
    for epoch in range(3):
        seen = [sampler.batch(1 + epoch * len(batches) + i).tolist() for i in range(len(batches))]
        assert [len(batch) for batch in seen] == batches
        assert sorted(row for batch in seen for row in batch) == list(range(rows))


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = [Sampler(100, 100, seed).batch(step).tolist() for seed in (0, 1) for step in (1, 2)]
    assert len({tuple(order) for order in orders}) == 4


def test_batch_depends_on_its_step_alone() -> None:
    fresh, used = Sampler(100, 8, 5), Sampler(100, 8, 5)
    for step in range(1, 40):
        used.batch(step)
    assert used.batch(17).tolist() == fresh.batch(17).tolist()
