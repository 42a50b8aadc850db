"""train_log.jsonl: what happened in a training, a line for each event, in canonical JSON. The
trainer's word; nothing here is proved.

    {"event":"begin","run":ID,"steps":0}
    {"event":"step","loss":TEXT,"lr":[TEXT ...],"saturated":COUNT,"seconds":TEXT,"step":T}
    {"event":"proved","last":T,"seconds":TEXT,"segment":INDEX}
    {"changes":[TEXT ...],"event":"resumed","steps":T}
    {"event":"close","segments":COUNT,"steps":T}

`lr` has a text for each group. "proved": proofs, record and checkpoint of the segment are on disk.
"resumed": another process resumes after step T; `changes` says how its environment differs.

`loss` is "" where the loop gave none; `seconds` are those since the process began or resumed the
run, "" where a crash lost the line and it was rewritten from the journal and the records, which
have all the rest of it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import BinaryIO

from zk_autograd.core.canonical import Json, decode, encode
from zk_autograd.core.decimals import parse_decimal
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.records import Header, Log, Segment
from zk_autograd.core.schedules import parse as parse_schedule
from zk_autograd.evidence.layout import TRAIN_LOG

MAX_BYTES = 4 * 2**30
MAX_LINE = 2**20

_SHAPES: dict[str, dict[str, type]] = {
    "begin": {"run": str, "steps": int},
    "step": {"step": int, "loss": str, "lr": list, "saturated": int, "seconds": str},
    "proved": {"segment": int, "last": int, "seconds": str},
    "resumed": {"steps": int, "changes": list},
    "close": {"steps": int, "segments": int},
}


def begin(header: Header) -> dict[str, Json]:
    """The first event."""
    return {"event": "begin", "run": header.run.hex(), "steps": 0}


def step(number: int, loss: str, lr: Sequence[str], saturated: int, seconds: str) -> dict[str, Json]:
    """A step was taken."""
    return {"event": "step", "step": number, "loss": loss, "lr": list(lr), "saturated": saturated, "seconds": seconds}


def proved(segment: int, last: int, seconds: str) -> dict[str, Json]:
    """A segment was proved and recorded."""
    return {"event": "proved", "segment": segment, "last": last, "seconds": seconds}


def resumed(steps: int, changes: Sequence[str]) -> dict[str, Json]:
    """Another process resumed the run."""
    return {"event": "resumed", "steps": steps, "changes": list(changes)}


def close(steps: int, segments: int) -> dict[str, Json]:
    """Everything is proved, and the close record is about to be written."""
    return {"event": "close", "steps": steps, "segments": segments}


def line(event: Mapping[str, Json]) -> bytes:
    """The event's line, newline included."""
    return encode(event) + b"\n"


def events(content: bytes) -> Iterator[dict[str, Json]]:
    """The events of a log in order, read strictly. VerificationError names the first bad line."""
    lines = content.split(b"\n")
    if lines.pop():
        raise VerificationError("the last line of the training's log is cut off")
    for number, text in enumerate(lines, 1):
        event = _event(text)
        if event is None:
            raise VerificationError(f"line {number} of the training's log is not an event")
        yield event


def whole_events(file: BinaryIO) -> list[dict[str, Json]]:
    """The events of a log that a crash may have torn: lines that are not events, and an end without
    a newline, are left out."""
    found: list[dict[str, Json]] = []
    inside = False  # a line that is too long for an event
    while piece := file.readline(MAX_LINE + 1):
        ended = piece.endswith(b"\n")
        if ended and not inside and (event := _event(piece[:-1])) is not None:
            found.append(event)
        inside = not ended
    return found


def mended(
    old: Iterable[dict[str, Json]], steps: Mapping[int, Mapping[str, Json]], segments: Mapping[int, int]
) -> list[Mapping[str, Json]]:
    """The log of a run that stands after `steps` (their events by number) with the recorded
    `segments` (their last steps by index).

    What `old` has of them stays where it is, with its seconds; what it lacks comes before the next
    later event, and what can't be is left out: other steps, a line twice, and the close of a run
    that is being resumed.
    """
    taken: dict[int, Mapping[str, Json]] = {}  # the steps of `old` with their seconds
    for event in old:
        number = event.get("step")
        if event["event"] == "step" and isinstance(number, int) and _timeless(event) == steps.get(number):
            taken.setdefault(number, event)
    log: list[Mapping[str, Json]] = []
    done: set[tuple[object, object]] = set()
    left = iter(sorted(steps))
    waiting = next(left, None)

    def up_to(number: int) -> None:
        nonlocal waiting
        while waiting is not None and waiting <= number:
            log.append(taken.get(waiting, steps[waiting]))
            waiting = next(left, None)

    for event in old:
        kind, key = event["event"], (event["event"], event.get("segment"))
        if kind == "step":
            number = event["step"]
            if isinstance(number, int) and number in taken:
                up_to(number)
            continue
        if kind == "close" or (kind in ("begin", "proved") and key in done):
            continue
        if kind == "resumed":
            assert isinstance(event["steps"], int)
            up_to(event["steps"])
        elif kind == "proved":
            index = event["segment"]
            assert isinstance(index, int)
            if segments.get(index) != event["last"]:
                continue
            up_to(segments[index])
        done.add(key)
        log.append(event)
    up_to(2**63)
    return [*log, *(proved(i, last, "") for i, last in sorted(segments.items()) if ("proved", i) not in done)]


def changes(content: bytes, log: Log) -> list[str]:
    """What the resumptions in a finished run's log say of their environments.

    VerificationError, which names the line, unless it is what the records tell: it begins, has
    every step in order, every segment, and closes, each of them once. Only `seconds`, where among
    the steps a segment was proved, and what a resumption says, are not in the records.
    """
    assert log.close is not None
    header, done, ended = log.header, 0, False
    steps = (event for segment in log.segments for event in steps_of(header, segment))
    unproved = {segment.index: segment.last for segment in log.segments}
    found: list[str] = []
    for number, event in enumerate(events(content), 1):
        kind = event["event"]
        if ended:
            right = False
        elif number == 1 or kind == "begin":
            right = number == 1 and event == begin(header)
        elif kind == "step":
            right = _timeless(event) == next(steps, None)
            done += 1
        elif kind == "proved":
            index = event["segment"]
            assert isinstance(index, int)
            right = unproved.pop(index, None) == event["last"]
        elif kind == "resumed":
            texts = event["changes"]
            assert isinstance(texts, list)
            found += [text for text in texts if isinstance(text, str)]
            right = event["steps"] == done and all(isinstance(text, str) for text in texts)
        else:
            right = (
                event == close(log.close.last_step, log.close.segments) and done == log.close.last_step and not unproved
            )
            ended = True
        if not right:
            raise VerificationError(f"line {number} of {TRAIN_LOG}, {kind!r}, is not what the records tell")
    if not ended:
        raise VerificationError(f"{TRAIN_LOG} does not tell of the run's end")
    return found


def steps_of(header: Header, segment: Segment) -> Iterator[dict[str, Json]]:
    """The events of a recorded segment's steps, as far as its record has them. VerificationError if
    it leaves any out."""
    count = segment.last - segment.first + 1
    if not len(segment.loss) == len(segment.saturated) == count:
        raise VerificationError(
            f"the record of segment {segment.index} has {len(segment.loss)} losses and {len(segment.saturated)} counts of saturated "
            f"elements for {count} steps"
        )
    for i in range(count):
        t = segment.first + i
        yield step(t, segment.loss[i], rates(header, t, segment.lr[i] if segment.lr else ()), segment.saturated[i], "")


def rates(header: Header, t: int, recorded: Sequence[str]) -> tuple[str, ...]:
    """The learning rate of each group at step `t`: the recorded decimals, or where a schedule is
    declared, the shortest floats nearest to it."""
    schedule = parse_schedule(header.schedule)
    if schedule is None:
        return tuple(recorded)
    base = [dict(group.hyper)["lr"] for group in header.groups]
    if schedule.share(t) == 1:
        return tuple(base)
    return tuple(_text(schedule.rate(parse_decimal(text, "lr"), t)) for text in base)


def _text(rate: Fraction) -> str:
    return repr(float(rate))


def _timeless(event: Mapping[str, Json]) -> dict[str, Json]:
    return {**event, "seconds": ""}


def _event(text: bytes) -> dict[str, Json] | None:
    try:
        event = decode(text, max_bytes=MAX_LINE)
    except VerificationError:
        return None
    if not isinstance(event, dict) or (kind := event.get("event")) not in _SHAPES:
        return None
    shape = {"event": str, **_SHAPES[str(kind)]}
    return event if {name: type(value) for name, value in event.items()} == shape else None
