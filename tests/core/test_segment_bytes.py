"""The short way to read a segment record, held against the definition of one: `record_bytes.parse`.

Whatever the bytes are, a log that is read the short way gives the same records, or the same
error."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.verify.run_builder import Run, honest
from zk_autograd.core.canonical import MAX_MARKS, encode
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.record_bytes import LogReader, parse, parse_log, to_bytes
from zk_autograd.core.records import Log, Prover, Segment
from zk_autograd.core.segment_bytes import SegmentReader
from zk_autograd.core.segments import Segments


def native() -> Run:
    """A run with the native prover's lengths, as far as records go."""
    run = honest("none", lengths=(3, 1))
    run.header = replace(run.header, prover=Prover("native", "1", 4, 3, "c", bytes(32)))

    def longer(state: dict[str, tuple[bytes, ...]]) -> dict[str, tuple[bytes, ...]]:
        return {name: tuple(commitment + bytes(24) for commitment in blocks) for name, blocks in state.items()}

    run.segments = [
        replace(
            segment,
            state_in=longer(segment.state_in),
            state_out=longer(segment.state_out),
            gradients=tuple(commitment + bytes(24) for commitment in segment.gradients),
            proofs=(bytes([7]) * 32,) * 2,
            batches=bytes([9]) * 32,
        )
        for segment in run.segments
    ]
    assert run.genesis is not None
    run.genesis = replace(run.genesis, state=longer(run.genesis.state))
    run.close = None
    return run


def one_block_and_step() -> Run:
    run = honest("none", lengths=(1, 1))
    block = replace(run.header.blocks[0], size=6)
    run.header = replace(run.header, blocks=(block,), prover=Prover("none", "1", 6, 1))
    assert run.genesis is not None

    def first(state: dict[str, tuple[bytes, ...]]) -> dict[str, tuple[bytes, ...]]:
        return {name: blocks[:1] for name, blocks in state.items()}

    run.genesis = replace(run.genesis, state=first(run.genesis.state), zero_salts=first(run.genesis.zero_salts))
    run.segments = [
        replace(s, state_in=first(s.state_in), state_out=first(s.state_out), gradients=s.gradients[:1])
        for s in run.segments
    ]
    run.close = None
    return run


RUNS: dict[str, Callable[[], Run]] = {
    "one block, one step": one_block_and_step,
    "two blocks": lambda: honest("none"),
    "momentum": lambda: honest("none", Rule.SGD_MOMENTUM),
    "sgd": lambda: honest("none", Rule.SGD),
    "recorded": lambda: honest("none", schedule="recorded", groups=2),
    "ezkl": honest,
    "native": native,
}
EACH_RUN = pytest.mark.parametrize("run", [make() for make in RUNS.values()], ids=list(RUNS))
MADE = {name: make() for name, make in RUNS.items()}


def told(log: Log) -> tuple[object, ...]:
    return log.header, log.header_digest, log.genesis, tuple(log.segments), log.close, log.segments.claims


def both(leaves: list[bytes]) -> tuple[object, object]:
    """What a log gives the short way, and by the definition alone: records, or the error."""

    class Plain(SegmentReader):
        def read(self, leaf: bytes) -> None:
            return None

    def found() -> object:
        try:
            return told(parse_log(leaves))
        except VerificationError as error:
            return str(error)

    short = found()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zk_autograd.core.record_bytes.SegmentReader", Plain)
        return short, found()


@EACH_RUN
def test_records_of_an_honest_run_are_read_the_short_way(run: Run) -> None:
    """All of them: otherwise a log of a million takes minutes."""
    reader, segments = SegmentReader(run.header), Segments(run.header)
    for segment in run.segments:
        packed = reader.read(to_bytes(segment))
        assert packed is not None
        segments.add(packed)
    assert tuple(segments) == tuple(run.segments) == tuple(Segments(run.header, run.segments))
    short, defined = both(run.leaves())
    assert short == defined


@EACH_RUN
def test_every_other_byte_at_every_place_is_judged_as_by_the_definition(run: Run) -> None:
    """What the short way takes is read to the same values; what it doesn't is left to the
    definition."""
    leaf = to_bytes(run.segments[1])
    reader, taken = SegmentReader(run.header), 0
    honest_one = reader.read(leaf)
    assert honest_one is not None
    for changed in other_bytes(leaf):
        packed = reader.read(changed)
        taken += packed is not None
        if packed is not None and (len(changed) != len(leaf) or packed.told != honest_one.told or taken % 16 == 0):
            # The others differ in a hash's digit.
            segments = Segments(run.header)
            segments.add(packed)
            assert segments[0] == parse(changed, run.header)
    assert taken > 64


def other_bytes(leaf: bytes) -> Iterator[bytes]:
    """Each byte replaced by others, left out, and doubled."""
    hexadecimal = b"0123456789abcdef"
    for place in range(len(leaf)):
        before, after = leaf[:place], leaf[place + 1 :]
        yield before + after
        yield before + leaf[place : place + 1] * 2 + after
        # In the middle of a hash, a few stand for all.
        inside = all(byte in hexadecimal for byte in leaf[max(0, place - 2) : place + 3])
        for byte in b'0fgF"\\,]\n\xff' if inside else range(256):
            if byte != leaf[place]:
                yield before + bytes([byte]) + after


def agree(run: Run, leaf: bytes, number: int = 1) -> None:
    """A segment's leaf gives the same both ways, in its log."""
    leaves = run.leaves()
    leaves[2 + number] = leaf
    short, defined = both(leaves)
    assert short == defined


INTEGERS = st.sampled_from(
    [0, -1, 1, 2, 3, 4, 6, 7, 9, 10**12 - 1, 10**12, 2**40, 2**40 + 1, 2**53 - 1, True, "1", [], {}]
)
TEXTS = st.one_of(
    st.sampled_from(
        [
            "",
            "0.5",
            "0" * 60,
            "0" * 61,
            "0" * 100,
            "0" * 101,
            "\x7f",
            "\x00",
            "\u00e9",
            '"',
            "\\",
            "/",
            "<>&'",
            "\U0001f600",
        ]
    ),
    st.text(max_size=4),
)
VALUES = st.one_of(INTEGERS, TEXTS)
LISTS = st.lists(VALUES, max_size=4)


@given(st.sampled_from(list(RUNS)), st.data())
def test_other_values_are_judged_as_by_the_definition(name: str, data: st.DataObject) -> None:
    run = MADE[name]
    record = json.loads(to_bytes(run.segments[1]))
    for _ in range(data.draw(st.integers(1, 3))):
        change(record, data)
    try:
        leaf = encode(record)
    except (ValueError, RecursionError):
        return  # no canonical bytes say that
    agree(run, leaf)


def change(record: dict[str, Any], data: st.DataObject) -> None:
    """One value of a record, somewhere, is another, or a field is missing, or is one too many."""
    inside = data.draw(st.sampled_from(["", "claimed", "state_in", "state_out"]))
    place = record.get(inside, record) if inside else record
    if not isinstance(place, dict) or not place:
        return
    key = data.draw(st.sampled_from(sorted(place)))
    kind = data.draw(st.sampled_from(["value", "list", "items", "none", "more"]))
    if kind == "value":
        place[key] = data.draw(VALUES)
    elif kind == "list":
        place[key] = data.draw(st.one_of(LISTS, st.lists(LISTS, max_size=3)))
    elif kind == "items" and isinstance(place[key], list) and place[key]:
        items = place[key]
        items[data.draw(st.integers(0, len(items) - 1))] = data.draw(VALUES)
    elif kind == "none":
        del place[key]
    elif kind == "more":
        place[data.draw(st.text(max_size=3))] = data.draw(VALUES)


TWO_STEPS = 2
"""The number of a segment with fewer steps than its run's others have."""


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": ("0.5",) * 2},
        {"loss": ("0.5",) * 3},
        {"loss": ("0" * 60,)},
        {"loss": ("0" * 61,)},
        {"loss": ("\u00e9" * 60,)},
        {"loss": ("\x7f",)},
        {"loss": ()},
        {"saturated": (0,) * 2},
        {"saturated": (0,) * 3},
        {"saturated": ()},
        {"saturated": (10**12 - 1,)},
        {"saturated": (2**40,)},
        {"saturated": (2**40 + 1,)},
        {"first": 0, "last": 1},
        {"first": 0, "last": 0},
        {"first": 8, "last": 7, "loss": (), "saturated": ()},
        {"first": 8, "last": 6, "loss": (), "saturated": ()},
        {"last": 9},
        {"last": 10},
        {"first": 2**40, "last": 2**40 + 1},
        {"first": 2**40 + 1, "last": 2**40 + 1},
        {"index": 2**40},
        {"index": 2**40 + 1},
        {"lr": (("0.1",),)},
        {"lr": ((),)},
        {"batches": bytes(31)},
        {"batches": bytes(32)},
        {"proofs": (bytes(32),)},
        {"gradients": (bytes(32),)},
        {"gradients": (bytes(32),) * 3},
        {"state_out": {}},
    ],
)
def test_edges_are_those_of_the_definition(changes: dict[str, Any]) -> None:
    run = MADE["two blocks"]
    agree(run, to_bytes(replace(run.segments[TWO_STEPS], **changes)), TWO_STEPS)


@pytest.mark.parametrize(
    "lr",
    [
        (("0.1", "0.2"),) * 2,
        (("0.1", "0.2"),) * 3,
        (("0.1", "0.2"),),
        (("0.1", "0.2"), ("0.1",)),
        (("0.1", "0.2", "0.3"), ("0.1",)),
        (("0.1",), ("0.1", "0.2", "0.3")),
        (("0" * 100, "0.2"),) * 2,
        (("0" * 101, "0.2"),) * 2,
        (("", "0.2"),) * 2,
        ((), ()),
        (),
    ],
)
def test_edges_of_recorded_rates_are_those_of_the_definition(lr: tuple[tuple[str, ...], ...]) -> None:
    run = MADE["recorded"]
    agree(run, to_bytes(replace(run.segments[TWO_STEPS], lr=lr)), TWO_STEPS)


@pytest.mark.parametrize("field", ["first", "index", "last", "saturated"])
@pytest.mark.parametrize("number", [b"00", b"01", b"-1", b"+1", b"1.0", b"1e0", b" 1", b"1 ", b"-0", b"", b"null"])
def test_numbers_have_one_form(field: str, number: bytes) -> None:
    run = MADE["two blocks"]
    leaf = to_bytes(replace(run.segments[TWO_STEPS], saturated=(7,)))
    changed = re.sub(rb'("%s":\[?)\d+' % field.encode(), lambda found: found[1] + number, leaf, count=1)
    assert changed != leaf
    agree(run, changed, TWO_STEPS)


@pytest.mark.parametrize("more", [b"}", b"{}", b" ", b"\r", b"\n", b"\x00", b","])
def test_nothing_stands_before_or_behind_a_record(more: bytes) -> None:
    run = MADE["two blocks"]
    leaf = to_bytes(run.segments[TWO_STEPS])
    reader = SegmentReader(run.header)
    assert reader.read(leaf + more) is reader.read(more + leaf) is None
    agree(run, leaf + more, TWO_STEPS)


@pytest.mark.parametrize("where", [1, 2, 3, 4, 5])
def test_a_segment_out_of_its_place_is_judged_as_by_the_definition(where: int) -> None:
    """Before the genesis, twice, and behind the close record."""
    run = MADE["two blocks"]
    leaves = run.leaves()
    leaves.insert(where, leaves[2])
    short, defined = both(leaves)
    assert short == defined
    moved = run.leaves()
    moved.append(moved.pop(3))
    short, defined = both(moved)
    assert short == defined == "record 5: a record follows the close record"


def test_a_record_of_too_many_marks_is_left_to_the_definition() -> None:
    """It counts them; the short way can't have read them."""
    run = MADE["one block, one step"]
    leaf = to_bytes(run.segments[0])
    reader = SegmentReader(run.header)
    assert reader.read(leaf) is not None
    assert reader.read(leaf + b" " * (MAX_MARKS + 1 - len(leaf))) is None
    count = MAX_MARKS // (7 * 67) + 1
    wide = replace(run.header, blocks=run.header.blocks * count)
    state = {name: (bytes(32),) * count for name in run.header.states}
    segment = replace(run.segments[0], state_in=state, state_out=state, gradients=(bytes(32),) * count)
    assert SegmentReader(wide).read(to_bytes(segment)) is None
    assert isinstance(parse(to_bytes(segment), wide), Segment)


def test_a_record_of_thousands_of_blocks_is_read_the_short_way() -> None:
    run = MADE["one block, one step"]
    count = 4000
    header = replace(run.header, blocks=run.header.blocks * count)
    state = {name: tuple(i.to_bytes(32, "big") for i in range(count)) for name in header.states}
    segment = replace(run.segments[0], state_in=state, state_out=state, gradients=(bytes(32),) * count)
    packed = SegmentReader(header).read(to_bytes(segment))
    assert packed is not None
    segments = Segments(header)
    segments.add(packed)
    assert segments[0] == segment == parse(to_bytes(segment), header)


def test_the_reader_says_which_header_it_took() -> None:
    reader = LogReader()
    assert reader.header is None
    with pytest.raises(VerificationError, match="the log has no records"):
        reader.log()
    run = MADE["two blocks"]
    reader.add(run.leaves()[0])
    assert reader.header == run.header
