import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_autograd.core.errors import UsageError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import Parameter, Prover
from zk_autograd.optim.header import NO_DATA, HeaderParts, blocks_of, shifts_of
from zk_autograd.optim.options import read_options


@given(st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=4), min_size=1, max_size=4), st.integers(1, 50))
def test_blocks_fill_each_group_in_order_and_cross_none(groups: list[list[int]], capacity: int) -> None:
    parameters, offset = [], 0
    for group, sizes in enumerate(groups):
        for size in sizes:
            parameters.append(Parameter(f"p{offset}", (size,), offset, size, group))
            offset += size
    end = 0
    for block in blocks_of(parameters, capacity):
        assert block.offset == end
        assert 1 <= block.size <= capacity
        inside = [p for p in parameters if p.offset < block.offset + block.size and block.offset < p.offset + p.size]
        assert {p.group for p in inside} == {block.group}
        end += block.size
    assert end == offset
    needed = sum(-(-sum(sizes) // capacity) for sizes in groups)
    assert len(blocks_of(parameters, capacity)) == needed


@pytest.mark.parametrize(("capacity", "sizes"), [(4, [4, 4, 2]), (10, [10]), (11, [10])])
def test_last_block_of_a_group_is_the_shorter_one(capacity: int, sizes: list[int]) -> None:
    assert [b.size for b in blocks_of([Parameter("p", (10,), 0, 10, 0)], capacity)] == sizes


@pytest.mark.parametrize(("blocks", "rule"), [(1024, Rule.ADAM), (1025, Rule.ADAM), (1025, Rule.SGD)])
def test_no_run_is_begun_that_has_more_blocks_than_a_verifier_looks_at(blocks: int, rule: Rule) -> None:
    parts = HeaderParts(
        rule,
        (Parameter("p", (32 * blocks,), 0, 32 * blocks, 0),),
        "constant",
        (),
        NO_DATA,
        b"",
        Prover("ezkl", "1", 32, 16, "a", bytes(32), bytes(32)),
        (),
    )
    options = read_options(rule, {"lr": 0.01}, "p")
    shifts = shifts_of(rule, [options.values["lr"].fraction], 20)
    if blocks == 1024:
        assert len(parts.complete([options], shifts, 20).blocks) == blocks
        return
    with pytest.raises(UsageError, match=r"too many blocks .*at most 1024 blocks of the backend ezkl, found 1025"):
        parts.complete([options], shifts, 20)
