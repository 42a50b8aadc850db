import hmac
import tracemalloc
from fractions import Fraction
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pymerkle import InmemoryTree

from zk_autograd.core.cells import (
    FORMAT,
    MAX_SHARDS,
    Cells,
    Shards,
    cells_of,
    encoded,
    one_hot,
    parsed,
    parts,
    quantized,
    scaled,
    tree_root,
)
from zk_autograd.core.errors import RangeError, UsageError, VerificationError

MOST = 2**22 - 1
CELLS: Cells = np.array([[1, -2, 4096, 0], [MOST, -MOST, 0, 4096], [0, 7, 4096, 0]], np.int32)
HEAD = b'{"examples":3,"features":2,"targets":2}\n'


def test_the_file_form() -> None:
    data = encoded(CELLS, 2)
    assert data == FORMAT + HEAD + b"".join(int(cell).to_bytes(4, "little", signed=True) for cell in CELLS.reshape(-1))
    cells, features = parsed(data)
    assert cells.dtype == np.int32
    assert cells.flags.writeable
    assert (cells.tolist(), features) == (CELLS.tolist(), 2)


def test_the_file_form_of_another_byte_order() -> None:
    assert encoded(CELLS.astype(">i4"), 2) == encoded(CELLS, 2)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        FORMAT,
        FORMAT + HEAD,
        FORMAT + HEAD[:-1],
        FORMAT.replace(b"v1", b"v2") + HEAD + bytes(48),
        FORMAT + HEAD + bytes(47),
        FORMAT + HEAD + bytes(49),
        FORMAT + HEAD.replace(b"3", b"0") + bytes(0),
        FORMAT + HEAD.replace(b"3", b"-3") + bytes(48),
        FORMAT + HEAD.replace(b"3", b"3.0") + bytes(48),
        FORMAT + HEAD.replace(b"3", b"4294967297") + bytes(48),
        FORMAT + HEAD.replace(b'"features":2', b'"features":0') + bytes(24),
        FORMAT + HEAD.replace(b'"targets":2', b'"targets":1048577') + bytes(48),
        FORMAT + HEAD.replace(b",", b", ") + bytes(48),
        FORMAT + HEAD.replace(b"}", b',"x":1}') + bytes(48),
        FORMAT + HEAD.replace(b',"targets":2', b"") + bytes(48),
        FORMAT + b"{" + b" " * 2000 + HEAD[1:] + bytes(48),
        FORMAT + b"[]\n" + bytes(48),
        FORMAT + b"\xff\n" + bytes(48),
        encoded(CELLS, 2).replace(MOST.to_bytes(4, "little"), (2**22).to_bytes(4, "little")),
        encoded(CELLS, 2).replace(MOST.to_bytes(4, "little"), b"\x00\x00\x00\x80"),
    ],
    ids=range(21),
)
def test_other_bytes_are_no_cells(data: bytes) -> None:
    with pytest.raises(VerificationError) as error:
        parsed(data)
    assert len(str(error.value)) < 300


def test_a_file_that_says_much_costs_little() -> None:
    data = FORMAT + b'{"examples":4294967296,"features":1048576,"targets":1048576}\n' + bytes(10**6)
    tracemalloc.start()
    try:
        with pytest.raises(VerificationError, match="not as many as the file says"):
            parsed(data)
        assert tracemalloc.get_traced_memory()[1] < 10**5
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=60), st.integers(0, 130))
def test_a_file_has_no_second_form(noise: bytes, at: int) -> None:
    good = encoded(CELLS, 2)
    for data in (FORMAT + noise, good[:at] + noise + good[at + len(noise) :]):
        try:
            cells, features = parsed(data)
        except VerificationError:
            continue
        assert encoded(cells, features) == data


def test_the_tree_is_rfc_9162s() -> None:
    """pymerkle hashes leaves and nodes by itself; the salts are the docstring's."""
    secret = bytes(range(32))
    for count in (1, 2, 3, 7, 8, 13):
        cells = np.arange(4 * count, dtype=np.int32).reshape(count, 4) - 9
        tree = InmemoryTree(algorithm="sha256")
        for i, row in enumerate(cells.tolist()):
            message = b"zk-autograd/cells-salt/v1\n" + i.to_bytes(8, "big")
            salt = hmac.new(secret, message, sha256).digest()
            tree.append_entry(salt + b"".join(cell.to_bytes(4, "little", signed=True) for cell in row))
        assert tree_root(cells, secret) == tree.get_root()


def test_the_tree_binds_cells_order_and_secret() -> None:
    secret = bytes(32)
    roots = {
        tree_root(cells, own)
        for cells, own in (
            (CELLS, secret),
            (CELLS[::-1], secret),
            (CELLS + np.eye(3, 4, dtype=np.int32), secret),
            (CELLS, bytes(31) + b"\x01"),
            (CELLS[:2], secret),
        )
    }
    assert len(roots) == 5


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (0.5 / 4096, 0),
        (1.5 / 4096, 2),
        (2.5 / 4096, 2),
        (-0.5 / 4096, 0),
        (-1.5 / 4096, -2),
        (1 / 3, 1365),
        (1.0, 4096),
    ],
)
def test_cells_are_rounded_half_to_even(value: float, cell: int) -> None:
    assert quantized(np.array([[value]], np.float32)).tolist() == [[cell]]


@given(st.floats(-1023.5, 1023.5, width=32))
def test_the_product_is_exact_before_it_is_rounded(value: float) -> None:
    assert quantized(np.array([[value]], np.float32)).tolist() == [[round(Fraction(value) * 4096)]]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_refused(value: float) -> None:
    features = np.zeros((3, 2), np.float32)
    features[2, 1] = value
    with pytest.raises(UsageError, match=rf"number 1 of example 2 in the features is {value}"):
        quantized(features)


@pytest.mark.parametrize(("value", "shown"), [(1024.0, "1,024"), (-1024.0, "-1,024"), (3e38, "3e")])
def test_a_value_that_no_cell_holds_is_refused(value: float, shown: str) -> None:
    features = np.zeros((3, 2), np.float32)
    features[2, 1] = value
    with pytest.raises(RangeError) as error:
        quantized(features)
    start = f"the value of the features, unit 1, example 2 of the data, is {shown}"
    assert str(error.value).startswith(start)
    assert str(error.value).endswith("and must stay below 1,024 in size at L3: scale the data down")
    features[2, 1] = np.nextafter(np.float32(1024), np.float32(0))  # rounds to 2^22
    with pytest.raises(RangeError):
        quantized(features)


@pytest.mark.parametrize("values", [np.zeros((2, 2)), np.zeros((2, 2), np.int32), np.zeros(2, np.float32)])
def test_only_float32_is_quantized(values: NDArray[np.float32]) -> None:
    with pytest.raises(UsageError, match=r"must be float32 \(examples, numbers\)"):
        quantized(values)


def test_cells_are_features_and_targets() -> None:
    features = np.array([[0.25, -1.0], [0.0, 2.0]], np.float32)
    assert cells_of(features, one_hot(np.array([1, 0]), 2)).tolist() == [[1024, -4096, 0, 4096], [0, 8192, 4096, 0]]
    for bad in (2**22, -(2**31)):
        with pytest.raises(RangeError, match="the value of the targets, unit 0, example 1"):
            cells_of(features, np.array([[0], [bad]], np.int32))


@pytest.mark.parametrize(("labels", "at", "bad"), [([0, 3], 1, 3), ([-1, 2], 0, -1), ([2**62, 0], 0, 2**62)])
def test_a_label_out_of_range_is_named(labels: list[int], at: int, bad: int) -> None:
    with pytest.raises(UsageError) as error:
        one_hot(np.array(labels), 3)
    assert str(error.value) == f"the label of example {at} is {bad}; the model has classes 0 to 2"


def test_scaling_is_elementwise_and_stays_finite() -> None:
    values = np.array([1.0, 2.0, 1e308, -1e308])
    found = scaled(values, 0.1, 0.3)
    assert found.dtype == np.float32
    assert found[0] == np.float32((1.0 - 0.1) / 0.3)
    largest = float(np.finfo(np.float32).max)
    assert found[2:].tolist() == [largest, -largest]
    for i, value in enumerate(values):
        assert scaled(values[i : i + 1], 0.1, 0.3)[0] == found[i], value
    assert scaled(values, 0.0, 5e-324).tolist()[2:] == [largest, -largest]


@pytest.mark.parametrize(
    ("examples", "stride", "log_cells", "counts"),
    [
        (1, 1, 13, (1,)),
        (1797, 74, 18, (1797,)),
        (2**13, 1, 13, (2**13,)),
        (2**13 + 1, 1, 14, (2**13 + 1,)),
        (2**20 + 1, 1, 20, (2**19 + 1, 2**19)),
        (60_000, 794, 20, tuple([1305] * 16 + [1304] * 30)),
    ],
)
def test_how_a_data_set_is_cut(examples: int, stride: int, log_cells: int, counts: tuple[int, ...]) -> None:
    cut = Shards.of(examples, stride)
    assert (cut.log_cells, cut.counts) == (log_cells, counts)


@given(st.integers(1, 3000), st.integers(1, 2**13))
def test_shards_hold_all_examples_evenly(examples: int, stride: int) -> None:
    cut = Shards(examples, stride, 13)
    counts = cut.counts
    assert sum(counts) == examples
    assert max(counts) * stride <= 2**13
    assert max(counts) - min(counts) <= 1
    assert sorted(counts, reverse=True) == [*counts]
    assert len(counts) == -(-examples // (2**13 // stride))  # as few as it takes
    assert cut.firsts == tuple(sum(counts[:i]) for i in range(len(counts)))


def test_a_shards_cells_are_padded_with_zeros() -> None:
    cells = np.arange(1, 5001, dtype=np.int32).reshape(5, 1000)
    cut = Shards(5, 1000, 13)
    assert cut.padded(cells, 0).tolist() == [*range(1, 5001), *[0] * 3192]
    cells = np.arange(10 * 1000, dtype=np.int32).reshape(10, 1000)
    cut = Shards(10, 1000, 13)
    assert [np.trim_zeros(cut.padded(cells, i)).tolist()[-1] for i in (0, 1)] == [4999, 9999]
    assert cut.padded(cells, 1).dtype == np.int64


@pytest.mark.parametrize(
    ("examples", "stride", "log_cells"),
    [(0, 1, 13), (-1, 1, 13), (2**32 + 1, 1, 20), (1, 0, 13), (1, 1, 12), (1, 1, 21), (1, 2**13 + 1, 13), (1, 2**20 + 1, 20),
     (MAX_SHARDS + 1, 2**13, 13), (2**32, 2**13, 13)],
)  # fmt: skip
def test_what_cannot_be_cut_is_refused(examples: int, stride: int, log_cells: int) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(VerificationError):
            Shards(examples, stride, log_cells)
        assert tracemalloc.get_traced_memory()[1] < 10**7
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_a_file_in_pieces_is_read_as_a_whole_one_is(size: int) -> None:
    cells = np.arange(60, dtype=np.int32).reshape(12, 5) - 30
    data = encoded(cells, 3)

    def read(content: bytes) -> Cells:
        found = list(parts(content[i : i + size] for i in range(0, len(content), size)))
        assert {features for _, features in found} == {3}
        return np.concatenate([part for part, _ in found])

    np.testing.assert_array_equal(read(data), cells)
    for other in (data[:-1], data[:-20], data + b"\0", data + bytes(20), data[:10], data[:30], b""):
        with pytest.raises(VerificationError):
            read(other)
    with pytest.raises(VerificationError, match="out of range"):
        read(data[:-4] + (2**22).to_bytes(4, "little"))
