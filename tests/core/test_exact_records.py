"""What a header says of exact gradients: it comes back as written, agrees with the rest of the
header, and is refused by name where a reader doesn't know it."""

import time
from dataclasses import replace
from typing import Any

import pytest

from tests.core.test_records import BEGUN, edited, header, native, of_format
from zk_autograd.core import cells, records
from zk_autograd.core.cells import Shards
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.exact_bytes import check_exact
from zk_autograd.core.order import SAMPLER
from zk_autograd.core.record_bytes import parse, to_bytes
from zk_autograd.core.records import BEACON, PRIVATE, PUBLIC, Data, Exact, Header, Prover, Unproved

GRAPH = bytes(range(32))
SHARD = bytes(range(56))
ROOT = bytes(32)
EXACT = Exact(GRAPH, log_batch=5, stride=10, log_cells=13, visibility=PRIVATE, shards=(SHARD, SHARD), seed=7)
DATA = Data(b"", 1000, SAMPLER, 32, b"")
"""1,000 examples of 10 cells: two shards of 2^13."""


def exact_header(exact: Exact = EXACT, data: Data = DATA, **changes: Any) -> Header:
    """A native header with exact gradients."""
    return replace(native(), **{"unproved": (), "data": data, "exact": exact, **changes})


BY_ROOT: dict[str, Any] = {"exact": replace(EXACT, shards=()), "data": replace(DATA, root=ROOT)}
OPEN: dict[str, Any] = {"exact": replace(EXACT, visibility=PUBLIC, shards=(), cells=ROOT)}
NONE = Prover("none", "1", 4, 5)
EZKL = Prover("ezkl", "23.0.5", 4, 5, "adam-n4-t5", bytes(32), bytes(32))
UNSEEDED = replace(EXACT, seed=None)


@pytest.mark.parametrize(
    "whole",
    [
        exact_header(),
        exact_header(**OPEN),
        exact_header(prover=NONE, **BY_ROOT),
        exact_header(prover=EZKL, **BY_ROOT),
        exact_header(prover=NONE, **OPEN),
        exact_header(**{**BEGUN, "order_by": BEACON}, exact=UNSEEDED),
        exact_header(**BEGUN),
        exact_header(replace(EXACT, seed=0)),
        exact_header(replace(EXACT, seed=2**64 - 1)),
        exact_header(data=replace(DATA, batch_size=17)),
        exact_header(replace(EXACT, log_batch=0), replace(DATA, batch_size=1)),
        exact_header(format=records.ENCLAVE_FORMAT, proving=records.OUTSIDE),
        exact_header(grad_scale=-7),
        exact_header(grad_scale=9),
    ],
)
def test_a_header_of_exact_gradients_comes_back(whole: Header) -> None:
    assert parse(to_bytes(whole), None) == whole


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("exact", ...),
        ("exact", {}),
        ("exact", None),
        ("exact.more", 1),
        *((f"exact.{name}", ...) for name in ("graph", "log_batch", "stride", "log_cells", "visibility", "shards")),
        ("exact.cells", ...),
        ("exact.seed", ...),
        ("exact.graph", ""),
        ("exact.graph", "00" * 31),
        ("exact.graph", "0F" * 32),
        ("exact.log_batch", "5"),
        ("exact.log_batch", True),
        ("exact.log_batch", 14),
        ("exact.log_batch", -1),
        ("exact.stride", 1),
        ("exact.stride", 2**20 + 1),
        ("exact.log_cells", 12),
        ("exact.log_cells", 21),
        ("exact.visibility", "Private"),
        ("exact.visibility", ""),
        ("exact.shards", ["00" * 56]),
        ("exact.shards", ["00" * 56] * 3),
        ("exact.shards", []),
        ("exact.shards", ["00" * 55] * 2),
        ("exact.shards.0", ""),
        ("exact.shards", ["00" * 56] * (2**16 + 1)),
        ("exact.cells", "00" * 32),
        ("exact.cells", "00"),
        ("exact.seed", 7),
        ("exact.seed", ""),
        ("exact.seed", "07"),
        ("exact.seed", "+7"),
        ("exact.seed", "-0"),
        ("exact.seed", " 7"),
        ("exact.seed", "7\n"),
        ("exact.seed", "0x7"),
        ("exact.seed", "7_0"),
        ("exact.seed", "\u0667"),
        ("exact.seed", str(2**64)),
        ("exact.seed", "1" * 21),
        ("data.count", 0),
        ("data.count", 2**32 + 1),
        ("data.count", 819),
        ("data.batch_size", 0),
    ],
)
def test_an_exact_member_that_no_writer_writes_is_refused(path: str, value: object) -> None:
    with pytest.raises(VerificationError):
        parse(edited(exact_header(), path, value), None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"exact": None}, f"the sampler is {SAMPLER}, but the header says nothing of exact gradients"),
        ({"data": replace(DATA, sampler="shuffled")}, f"sampler of exact gradients is another .*{SAMPLER}"),
        ({"data": replace(DATA, batch_size=501)}, r"batch is larger than a shard .*expected 1 to 500, found 501"),
        ({"data": replace(DATA, batch_size=16)}, r"not padded to the next power of two .*found 16 to 2\^5"),
        ({"data": replace(DATA, batch_size=33)}, r"not padded to the next power of two .*found 33 to 2\^5"),
        ({"grad_scale": -8}, "grad_scale doesn't go with the batch .*expected -7 to 9, found -8"),
        ({"grad_scale": 10}, "grad_scale doesn't go with the batch .*expected -7 to 9, found 10"),
        ({"exact": UNSEEDED}, "exactly if no beacon gives it"),
        ({**BEGUN, "order_by": BEACON}, "exactly if no beacon gives it"),
        ({"data": replace(DATA, seed=bytes(32))}, "commits to the seed of the data's order"),
        ({"exact": replace(EXACT, shards=(SHARD,))}, "another number of commitments than shards .*expected 2, found 1"),
        ({"exact": replace(EXACT, shards=(SHARD,) * 3)}, "another number of commitments than shards"),
        ({"prover": NONE}, "another number of commitments than shards .*expected 0, found 2"),
        ({"prover": EZKL}, "another number of commitments than shards"),
        (BY_ROOT, "another number of commitments than shards .*expected 2, found 0"),
        ({"data": replace(DATA, root=ROOT)}, "in another place"),
        ({"exact": replace(EXACT, cells=ROOT)}, "in another place"),
        ({**OPEN, "data": replace(DATA, root=ROOT)}, "in another place"),
        ({"exact": replace(EXACT, visibility=PUBLIC, cells=ROOT)}, "another number of commitments than shards"),
        ({"exact": replace(EXACT, visibility=PUBLIC, shards=())}, "in another place"),
        ({"prover": NONE, **OPEN, "exact": replace(EXACT, shards=())}, "in another place"),
        ({"unproved": (Unproved("mean", "buffer", (), "float32", ROOT),)}, "buffers or frozen parameters .*mean"),
        ({"unproved": (Unproved("mean", "frozen", (), "float32", ROOT),)}, "buffers or frozen parameters .*mean"),
        ({"exact": replace(EXACT, stride=8193)}, "an example has more cells than a shard"),
    ],
)
def test_exact_gradients_agree_with_the_rest_of_the_header(changes: dict[str, Any], message: str) -> None:
    """Whoever makes a header, as whoever reads one."""
    wrong = exact_header(**changes)
    for refused in (lambda: check_exact(wrong), lambda: parse(to_bytes(wrong), None)):
        with pytest.raises(VerificationError, match=message):
            refused()


@pytest.mark.parametrize("form", [records.V0, records.V1])
def test_an_older_header_has_no_exact_gradients(form: str) -> None:
    with pytest.raises(VerificationError, match=r"unknown fields .*'exact'"):
        parse(edited(header(format=form), "exact", {}), None)
    with pytest.raises(VerificationError, match=r"unknown fields .*'exact'"):
        parse(to_bytes(exact_header(format=form)), None)
    named_so = header(format=form, data=DATA)
    assert parse(to_bytes(named_so), None) == named_so


def test_a_reader_that_does_not_know_a_member_names_it() -> None:
    """As a reader from before exact gradients names theirs: by the same line. To it their sampler
    is a name like any other."""
    leaf = to_bytes(exact_header()).replace(b'"exact":', b'"exactly":').replace(SAMPLER.encode(), b"another")
    with pytest.raises(VerificationError, match=r"unknown fields .*'exactly'"):
        parse(leaf, None)


@pytest.mark.parametrize("form", records.FORMATS)
def test_a_header_without_exact_gradients_does_not_mention_them(form: str) -> None:
    leaf = to_bytes(of_format(form))
    assert b"exact" not in leaf
    read = parse(leaf, None)
    assert isinstance(read, Header) and read.exact is None


def test_a_header_says_how_its_data_are_cut_and_ordered() -> None:
    order = exact_header().order()
    assert order.shards == Shards(1000, 10, 13) and order.shards.counts == (500, 500)
    assert (order.batch_size, order.seed) == (32, 7)
    assert exact_header(UNSEEDED).order(9).seed == 9


@pytest.mark.parametrize(
    ("count", "stride", "log_cells"), [(2**32, 2, 13), (2**24, 2**13, 13), (2**24, 2**20, 20), (2**29 + 1, 128, 20)]
)
def test_a_header_of_very_many_examples_costs_no_more_than_its_shards(count: int, stride: int, log_cells: int) -> None:
    """Numbers of examples are made for 2^16 shards at most: here there would be up to 2^24."""
    begun = time.process_time()
    huge = exact_header(replace(EXACT, stride=stride, log_cells=log_cells, shards=()), replace(DATA, count=count))
    with pytest.raises(VerificationError, match="too many shards"):
        check_exact(huge)
    assert time.process_time() - begun < 0.5


def test_as_many_shards_as_there_may_be_are_cut() -> None:
    largest = Shards(2**32, 16, 20)
    assert len(largest.counts) == cells.MAX_SHARDS and sum(largest.counts) == 2**32
    whole = exact_header(
        Exact(GRAPH, 13, 16, 20, PRIVATE, (SHARD,) * cells.MAX_SHARDS, seed=1),
        Data(b"", 2**32, SAMPLER, 2**13, b""),
        grad_scale=3,
    )
    assert parse(to_bytes(whole), None) == whole
