"""The file of openings: what was written comes out, and nothing else is taken for one."""

import io
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verify.run_builder import honest
from zk_autograd.core.canonical import decode, encode
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.records import Header, Log
from zk_autograd.core.segments import Segments
from zk_autograd.evidence.data_secrets import DataSecrets, Table
from zk_autograd.evidence.openings import (
    FORMAT,
    Index,
    OpenedSegment,
    Openings,
    SegmentSecrets,
    encode_index,
    encode_segment,
    segment_bytes,
)

RUN = b"r" * 32
BACKENDS = ("none", "ezkl")
TABLE = Table("digits", "label", ("a", "b"), ("x", "y"), ("0.1", "-2.5"), ("1e-05", "3.0"), (5, 0, 2**32 - 1))


def log_of(backend: str, **changes: Any) -> Log:
    """A log of three segments of 3, 3 and 2 steps; 6 parameters in two blocks."""
    run = honest(backend)
    header = replace(run.header, **changes)
    return Log(header, RUN, None, Segments(run.header, run.segments))


LOGS = {backend: log_of(backend) for backend in BACKENDS}


def drawn(log: Log, number: int, random: np.random.Generator) -> OpenedSegment:
    """A segment of random numbers, extremes among them."""
    header, record = log.header, log.segments[number]

    def salts() -> tuple[bytes, ...]:
        return tuple(random.bytes(header.prover.form.salt_bytes) for _ in header.blocks)

    def states() -> dict[str, tuple[bytes, ...]]:
        return {name: salts() for name in header.states}

    steps = record.last - record.first + 1
    state = {name: random.integers(-(2**63), 2**63 - 1, header.size, endpoint=True) for name in header.states}
    rows = random.integers(-(2**30), 2**30, (steps, header.size), np.int32, endpoint=True)
    return OpenedSegment(SegmentSecrets(number, record.first, record.last, states(), states(), salts()), state, rows)


def written(log: Log, index: Index, opened: list[OpenedSegment]) -> bytes:
    pieces = (encode_segment(log.header, one.secrets, one.state, iter(one.gradients)) for one in opened)
    return encode_index(index) + b"".join(piece for one in pieces for piece in one)


def a_file(backend: str = "none", segments: tuple[int, ...] = (0, 2), data: DataSecrets | None = None) -> bytes:
    log, random = LOGS[backend], np.random.default_rng(1)
    index = Index(RUN, b"o" * 32, 6, "trainer", segments, data)
    return written(log, index, [drawn(log, number, random) for number in segments])


def edited(data: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """The file with another index, whose length is right."""
    start = len(FORMAT) + 8
    length = int.from_bytes(data[len(FORMAT) : start], "big")
    said: Any = decode(data[start : start + length], max_bytes=length)
    change(said)
    index = encode(said)
    return FORMAT + len(index).to_bytes(8, "big") + index + data[start + length :]


def read(data: bytes, log: Log = LOGS["none"]) -> list[OpenedSegment]:
    return list(Openings(io.BytesIO(data), log).segments())


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=8)
FLOATS = st.floats(allow_nan=False, allow_infinity=False).map(repr)
ABOVE_0 = st.floats(min_value=0, exclude_min=True, allow_infinity=False).map(repr)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    columns = draw(st.lists(TEXTS, max_size=3))
    means, deviations = (
        tuple(draw(st.lists(some, min_size=len(columns), max_size=len(columns)))) for some in (FLOATS, ABOVE_0)
    )
    rows = st.lists(st.integers(0, 2**32 - 1), max_size=5).map(tuple)
    classes = tuple(draw(st.lists(TEXTS, max_size=3)))
    return Table(draw(TEXTS), draw(TEXTS), classes, tuple(columns), means, deviations, draw(rows))


SECRETS = st.builds(
    DataSecrets,
    st.lists(st.binary(min_size=32, max_size=32), max_size=3).map(tuple),
    st.none() | tables(),
    st.none() | st.integers(0, 2**64 - 1),
)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(BACKENDS),
    st.sets(st.integers(0, 2), min_size=1),
    st.none() | SECRETS,
    st.integers(0, 2**32),
    st.sampled_from(["all", "challenge", "trainer"]),
)
def test_what_is_written_comes_out(
    backend: str, segments: set[int], data: DataSecrets | None, seed: int, chosen: str
) -> None:
    log, random = LOGS[backend], np.random.default_rng(seed)
    index = Index(RUN, random.bytes(32), 6, chosen, tuple(sorted(segments)), data)
    opened = [drawn(log, number, random) for number in index.segments]
    content = written(log, index, opened)
    file = Openings(io.BytesIO(content), log)
    assert file.index == index
    found = list(file.segments())
    assert [one.secrets for one in found] == [one.secrets for one in opened]
    for one, wanted in zip(found, opened, strict=True):
        assert one.gradients.dtype == np.int32 and one.state["W"].dtype == np.int64
        assert np.array_equal(one.gradients, wanted.gradients)
        assert all(np.array_equal(one.state[name], wanted.state[name]) for name in log.header.states)
    assert written(log, file.index, found) == content
    assert len(content) - len(encode_index(index)) == sum(
        segment_bytes(log.header, log.segments[number]) for number in index.segments
    )


def test_each_cut_and_each_addition_is_refused() -> None:
    data = a_file()
    for end in (*range(40), *range(40, len(data), 7), len(data) - 1):
        with pytest.raises(VerificationError, match=r"cut short|not as long"):
            read(data[:end])
    with pytest.raises(VerificationError, match="not as long as the segments of this log"):
        read(data + b"\0")


BAD_INDEXES: list[tuple[dict[str, Any], str]] = [
    (dict(run="73" * 32), "the openings are of another run"),
    (dict(chosen="auditor"), "openings.chosen"),
    (dict(more=1), "unknown fields"),
    (dict(size=0), "openings.size"),
    (dict(segments=[]), "openings.segments"),
    (dict(segments=[[0, 0], [0, 0]]), "not in ascending ranges"),
    (dict(segments=[[2, 2], [0, 0]]), "not in ascending ranges"),
    (dict(segments=[[0, 0], [1, 1]]), "not in ascending ranges"),
    (dict(segments=[[2, 0]]), "not in ascending ranges"),
    (dict(segments=[[0, 2**40]]), "segment 1099511627776 is opened, which the log doesn't have"),
    (dict(segments=[[0, 3]]), "segment 3 is opened, which the log doesn't have"),
    (dict(segments=[[0, 1]]), "not as long as the segments"),
    (dict(data={"seed": "1"}), "unknown fields"),
    (dict(data={"salts": ["00"]}), "salts"),
    *(({"data": {"salts": [], "seed": seed}}, "seed") for seed in ("-1", "01", "", "18446744073709551616", "1e3", "٣")),
]


def _update(changes: dict[str, Any], said: dict[str, Any]) -> None:
    said.update(changes)


def test_an_index_that_was_edited_is_refused() -> None:
    for changes, sentence in BAD_INDEXES:
        with pytest.raises(VerificationError, match=sentence):
            read(edited(a_file(), partial(_update, changes)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("means", ["0.10", "-2.5"]),
        ("means", ["nan", "-2.5"]),
        ("means", ["inf", "-2.5"]),
        ("means", ["0.1"]),
        ("deviations", ["1", "3.0"]),
        ("deviations", ["0.0", "3.0"]),
        ("deviations", ["-1.0", "3.0"]),
        ("deviations", ["x", "3.0"]),
        ("rows", "0000000"),
        ("rows", "0000000G"),
        ("rows", "0000000A"),
        ("rows", [1, 2]),
    ],
)
def test_a_table_that_was_edited_is_refused(name: str, value: Any) -> None:
    def change(said: dict[str, Any]) -> None:
        said["data"]["table"][name] = value

    data = a_file(data=DataSecrets((b"s" * 32,), TABLE))
    assert Openings(io.BytesIO(data), LOGS["none"]).index.data == DataSecrets((b"s" * 32,), TABLE)
    with pytest.raises(VerificationError):
        read(edited(data, change))


def test_no_more_is_held_than_the_file_has() -> None:
    """Of a header with 2^40 parameters, and of an index that says that it is long."""
    data, tracing = a_file(), 2**22
    log = log_of("none", size=2**40)
    assert isinstance(log.header, Header)
    for content, of, sentence in (
        (data, log, "not as long as"),
        (FORMAT + (2**28).to_bytes(8, "big") + b"{}", LOGS["none"], "cut short"),
        (FORMAT + (2**63).to_bytes(8, "big") + b"{}", LOGS["none"], "index of the openings is too large"),
    ):
        tracemalloc.start()
        try:
            with pytest.raises(VerificationError, match=sentence):
                read(content, of)
            assert tracemalloc.get_traced_memory()[1] < tracing
        finally:
            tracemalloc.stop()


def test_a_record_of_more_steps_than_a_segment_has() -> None:
    run = honest("none")
    long = replace(run.segments[2], last=run.segments[2].first + 3)
    log = Log(run.header, RUN, None, Segments(run.header, [*run.segments[:2], long]))
    with pytest.raises(VerificationError, match="segment 2 has more steps than a segment of this run"):
        read(a_file(), log)


def test_another_file_is_none() -> None:
    for data in (b"", b"zk-autograd/openings/v2\n" + bytes(100), b"zk-autograd/sealed-openings/v1\n" + bytes(100)):
        with pytest.raises(VerificationError, match=r"cut short|not a file of openings"):
            read(data)


def test_secrets_are_not_shown() -> None:
    file = Openings(io.BytesIO(a_file(data=DataSecrets((b"s" * 32,), TABLE, 77))), LOGS["none"])
    text = repr(file.index) + repr(list(file.segments()))
    for secret in (b"s" * 32, *(salt for one in file.segments() for salt in one.secrets.gradients)):
        assert repr(secret) not in text
    assert "77" not in repr(file.index.data)
