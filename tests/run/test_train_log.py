"""train_log.jsonl: one event a line, read strictly, and made whole again from what a crash left."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.run.trainer import hashed_backend, make_header
from zk_autograd.core.canonical import Json
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.records import Header
from zk_autograd.run.train_log import begin, close, events, line, mended, proved, rates, resumed, step, whole_events

STEPS = {t: step(t, f"0.{t}", ("0.01",), 0, "") for t in range(1, 8)}
SEGMENTS = {0: 3, 1: 6}


@pytest.fixture
def header() -> Header:
    return make_header(hashed_backend(), schedule="recorded")


def whole(header: Header) -> list[dict[str, Json]]:
    """The log of a run of 7 steps in segments of 3, whose last one is open."""
    timed = {t: {**event, "seconds": f"{t}.000"} for t, event in STEPS.items()}
    log: list[dict[str, Json]] = [begin(header)]
    for t, event in timed.items():
        log.append(event)
        log += [proved(i, last, "9.5") for i, last in SEGMENTS.items() if last == t]
    return log


def content(log: Iterable[dict[str, Json]]) -> bytes:
    return b"".join(map(line, log))


def _timeless(event: Mapping[str, Json]) -> bytes:
    return line({**event, "seconds": ""})


def test_what_is_written_is_read(header: Header) -> None:
    log = [*whole(header), resumed(7, ["packages.numpy: 1 there, 2 here"]), close(7, 3)]
    assert list(events(content(log))) == log
    assert whole_events(BytesIO(content(log))) == log


@pytest.mark.parametrize(
    "bad",
    [
        b"{}\n",
        b"\n",
        b'{"event":"steps"}\n',
        b'{"event":"close","segments":1,"steps":"1"}\n',
        b'{"event":"close","segments":1,"steps":true}\n',
        b'{"event":"close","segments":1}\n',
        b'{"event":"close", "segments":1,"steps":1}\n',
        b'{"event":"close","segments":1,"steps":1,"x":1}\n',
        b"\xff\n",
    ],
)
def test_a_line_that_is_no_event_is_refused_by_its_number_and_left_out_of_what_is_whole(
    bad: bytes, header: Header
) -> None:
    text = line(begin(header)) + bad + line(close(0, 0))
    with pytest.raises(VerificationError, match="line 2 "):
        list(events(text))
    assert whole_events(BytesIO(text)) == [begin(header), close(0, 0)]


def test_a_torn_end_is_refused_and_cut(header: Header) -> None:
    text = content(whole(header))
    with pytest.raises(VerificationError, match="is cut off"):
        list(events(text[:-1]))
    assert whole_events(BytesIO(text[:-1])) == whole(header)[:-1]


@given(st.data())
def test_a_log_cut_anywhere_is_made_whole_but_for_the_seconds(data: st.DataObject) -> None:
    header = make_header(hashed_backend())
    text = content(whole(header))
    cut = data.draw(st.integers(len(line(begin(header))), len(text)))
    kept = whole_events(BytesIO(text[:cut]))
    log = mended(kept, STEPS, SEGMENTS)
    assert log[: len(kept)] == kept
    assert sorted(_timeless(event) for event in log) == sorted(_timeless(event) for event in whole(header))
    assert [event["step"] for event in log if event["event"] == "step"] == list(STEPS)


@given(st.sets(st.integers(1, 9)))
def test_lines_lost_in_the_middle_come_back_in_their_place(lost: set[int]) -> None:
    header = make_header(hashed_backend())
    log = whole(header)
    kept = [event for i, event in enumerate(log) if i not in lost]
    again = mended(kept, STEPS, SEGMENTS)
    assert [event["step"] for event in again if event["event"] == "step"] == list(STEPS)
    assert {event["segment"] for event in again if event["event"] == "proved"} == set(SEGMENTS)
    assert [event for event in again if event in kept] == kept
    places = {(event["event"], event.get("step", event.get("segment"))): i for i, event in enumerate(again)}
    assert all(places["step", last] < places["proved", index] for index, last in SEGMENTS.items())


def test_what_the_run_does_not_have_is_left_out(header: Header) -> None:
    lies = [
        {**STEPS[2], "loss": "0"},
        step(8, "0.8", ("0.01",), 0, "1"),
        proved(0, 2, "1"),
        proved(5, 9, "1"),
        close(7, 3),
        begin(header),
    ]
    assert mended([*whole(header), *lies], STEPS, SEGMENTS) == whole(header)
    assert mended([begin(header), *lies], STEPS, SEGMENTS)[1:3] == [STEPS[1], STEPS[2]]


def test_lines_twice_are_left_out_and_resumptions_are_kept(header: Header) -> None:
    log = [*whole(header), resumed(7, []), resumed(7, [])]
    assert mended([*log, *whole(header)[1:]], STEPS, SEGMENTS) == log


def test_rates_are_those_of_the_record_or_of_the_header(header: Header) -> None:
    assert header.schedule == "recorded"
    assert rates(header, 5, ("0.125",)) == ("0.125",)
    base = tuple(dict(group.hyper)["lr"] for group in header.groups)
    falling = replace(header, schedule="linear:steps=4,end=0")
    assert rates(replace(header, schedule="constant"), 5, ()) == base
    assert rates(falling, 1, ()) == base
    assert rates(falling, 3, ()) == tuple(repr(float(lr) / 2) for lr in base)


def test_a_segment_that_was_proved_before_its_last_line_leaves_no_step_twice(header: Header) -> None:
    """Another thread writes of segments."""
    log = whole(header)
    early = [*log[:3], log[4], log[3], *log[5:]]
    assert [early[i]["event"] for i in (3, 4)] == ["proved", "step"]
    assert mended(early, STEPS, SEGMENTS) == log


def test_steps_that_were_lost_before_a_resumption_come_back_before_it(header: Header) -> None:
    log = [*whole(header)[:7], resumed(5, []), *whole(header)[7:]]
    assert [event["event"] for event in log[6:9]] == ["step", "resumed", "step"]
    again = mended([event for event in log if event.get("step") != 5], STEPS, SEGMENTS)
    assert [{**event, "seconds": ""} for event in again] == [{**event, "seconds": ""} for event in log]
