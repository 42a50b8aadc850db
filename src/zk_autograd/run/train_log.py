"""train_log.jsonl: what happened in a training, a line for each event, in canonical JSON. The trainer's word; nothing here is proved.

    {"event":"begin","run":ID,"steps":0}
    {"event":"step","loss":TEXT,"lr":[TEXT for each group],"saturated":COUNT,"seconds":TEXT,"step":T}
    {"event":"proved","last":T,"seconds":TEXT,"segment":INDEX}       proofs, record and checkpoint of the segment are on disk
    {"changes":[TEXT ...],"event":"resumed","steps":T}               another process goes on after step T; how its environment differs
    {"event":"close","segments":COUNT,"steps":T}

`loss` is "" where the loop gave none; `seconds` are those since the process began or resumed the run, "" where a crash lost the line and
it was written again from the journal and the records, which have all else of it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

from zk_autograd.core.canonical import Json, decode, encode
from zk_autograd.core.decimals import parse_decimal
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.records import Header, Segment
from zk_autograd.core.schedules import parse as parse_schedule

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
    """Another process took the run over."""
    return {"event": "resumed", "steps": steps, "changes": list(changes)}


def close(steps: int, segments: int) -> dict[str, Json]:
    """Everything is proved, and the close record is about to be written."""
    return {"event": "close", "steps": steps, "segments": segments}


def line(event: Mapping[str, Json]) -> bytes:
    """The event's line, newline included."""
    return encode(event) + b"\n"


def events(content: bytes) -> Iterator[dict[str, Json]]:
    """The events of a log in order, read strictly. VerificationError names the first line that is none."""
    lines = content.split(b"\n")
    if lines.pop():
        raise VerificationError("the last line of the training's log does not end")
    for number, text in enumerate(lines, 1):
        event = _event(text)
        if event is None:
            raise VerificationError(f"line {number} of the training's log is no event")
        yield event


def whole_events(content: bytes) -> list[dict[str, Json]]:
    """The events of a log that a crash may have torn: lines that are none, and an end without a newline, are left out."""
    found = (_event(text) for text in content[: content.rfind(b"\n") + 1].split(b"\n") if text)
    return [event for event in found if event is not None]


def mended(
    old: Iterable[dict[str, Json]], steps: Mapping[int, Mapping[str, Json]], segments: Mapping[int, int]
) -> list[Mapping[str, Json]]:
    """The log of a run that stands after `steps` (their events by number) with the recorded `segments` (their last steps by index).

    What `old` has of them stays where it is, with its seconds; what it lacks comes in front of the next later thing, and what can't be
    is left out: other steps, a line twice, and the close of a run that goes on.
    """
    log: list[Mapping[str, Json]] = []
    done: set[tuple[object, object]] = set()
    left = iter(sorted(steps))
    waiting = next(left, None)

    def up_to(number: int) -> None:
        nonlocal waiting
        while waiting is not None and waiting < number:
            if ("step", waiting) not in done:
                log.append(steps[waiting])
            waiting = next(left, None)

    for event in old:
        kind, key = event["event"], (event["event"], event.get("step", event.get("segment")))
        if kind == "close" or (kind in ("begin", "step", "proved") and key in done):
            continue
        if kind == "step":
            number = event["step"]
            assert isinstance(number, int)
            if {**event, "seconds": ""} != {**steps.get(number, {}), "seconds": ""}:
                continue
            up_to(number)
        elif kind == "proved":
            index = event["segment"]
            assert isinstance(index, int)
            if segments.get(index) != event["last"]:
                continue
            up_to(segments[index] + 1)
        done.add(key)
        log.append(event)
    up_to(2**63)
    return [*log, *(proved(i, last, "") for i, last in sorted(segments.items()) if ("proved", i) not in done)]


def steps_of(header: Header, segment: Segment) -> Iterator[dict[str, Json]]:
    """The events of a recorded segment's steps, as far as its record tells them."""
    for i in range(segment.last - segment.first + 1):
        t = segment.first + i
        yield step(t, segment.loss[i], rates(header, t, segment.lr[i] if segment.lr else ()), segment.saturated[i], "")


def rates(header: Header, t: int, recorded: Sequence[str]) -> tuple[str, ...]:
    """The learning rate of each group at step `t`: the recorded decimals, or where a schedule is declared, the shortest floats nearest to it."""
    schedule = parse_schedule(header.schedule)
    if schedule is None:
        return tuple(recorded)
    base = [dict(group.hyper)["lr"] for group in header.groups]
    if schedule.share(t) == 1:
        return tuple(base)
    return tuple(_text(schedule.rate(parse_decimal(text, "lr"), t)) for text in base)


def _text(rate: Fraction) -> str:
    return repr(float(rate))


def _event(text: bytes) -> dict[str, Json] | None:
    try:
        event = decode(text, max_bytes=MAX_LINE)
    except VerificationError:
        return None
    if not isinstance(event, dict) or (kind := event.get("event")) not in _SHAPES:
        return None
    shape = {"event": str, **_SHAPES[str(kind)]}
    return event if {name: type(value) for name, value in event.items()} == shape else None
