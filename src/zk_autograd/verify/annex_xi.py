"""The report under the headings of Annex XI of Regulation (EU) 2024/1689, the EU AI Act.

Annex XI lists what the technical documentation of a general-purpose AI model contains (Article
53(1)(a)); Section 2 adds what models with systemic risk need. Each fact here is from one report,
with its source: proved, claimed, or absent where the report has nothing. Titles are shortened; the
annex's own words count. None of this is legal advice, and none of it says that a model conforms to
anything.

A run that failed, was not judged, or has no pinned key fills no heading: nobody vouches for it.

Source: OJ L, 2024/1689, 12.7.2024, Annex XI, http://data.europa.eu/eli/reg/2024/1689/oj
"""

from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from zk_autograd.core.records import Log
from zk_autograd.core.text import counted, quoted
from zk_autograd.evidence.layout import ENVIRONMENT, GRAPH, TRAIN_LOG
from zk_autograd.verify.beginning import FIRST_WEIGHTS
from zk_autograd.verify.outcome import Level, Source, Status, Step
from zk_autograd.verify.report import Report
from zk_autograd.verify.standing import Standing

TITLE = "Annex XI of the EU AI Act"
INTRODUCTION = (
    "What this report has under the headings of Annex XI (technical documentation for providers of general-purpose AI models) of "
    "Regulation (EU) 2024/1689. Titles are shortened; most headings ask for what no log of a training can show. This is no legal advice, "
    "and says of no model that it conforms to the Regulation."
)

_TITLES = {
    "1.1(a)": "tasks, and systems it can be integrated in",
    "1.1(b)": "acceptable use policies",
    "1.1(c)": "date of release, methods of distribution",
    "1.1(d)": "architecture and number of parameters",
    "1.1(e)": "modality and format of inputs and outputs",
    "1.1(f)": "licence",
    "1.2(a)": "technical means for integration",
    "1.2(b)": "design specifications of model and training process",
    "1.2(c)": "data used for training, testing and validation",
    "1.2(d)": "computational resources and training time",
    "1.2(e)": "energy consumption",
    "2.1": "evaluation strategies and results",
    "2.2": "adversarial testing, adaptations, alignment, fine-tuning",
    "2.3": "system architecture",
}
"""Section, point and letter, with a short title."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that the report has, and where it comes from."""

    source: Source
    text: str


@dataclass(frozen=True, slots=True)
class Heading:
    """One of the annex's headings: its section, point and letter as "1.2(b)", and at least one
    fact."""

    place: str
    title: str
    facts: tuple[Fact, ...]

    @property
    def spoken(self) -> str:
        """Its place in words."""
        section, _, point = self.place.partition(".")
        return f"Section {section}, point {point}"


def headings(report: Report) -> tuple[Heading, ...]:
    """All headings, in the annex's order."""
    found = dict(_facts(report))
    return tuple(
        Heading(place, title, found.get(place) or (Fact(Source.ABSENT, "nothing in a run speaks of it"),))
        for place, title in _TITLES.items()
    )


def to_json(report: Report) -> list[dict[str, Any]]:
    """The headings as JSON values."""
    return [
        {
            "place": heading.place,
            "title": heading.title,
            "facts": [{"source": fact.source.value, "fact": fact.text} for fact in heading.facts],
        }
        for heading in headings(report)
    ]


def text(report: Report, width: int = 100) -> str:
    """The headings for a reader: printable ASCII, lines of at most `width` columns."""
    lines = [TITLE, *wrap(INTRODUCTION, width), ""]
    for heading in headings(report):
        lines += wrap(f"{heading.spoken}: {heading.title}", width, subsequent_indent="    ")
        for fact in heading.facts:
            words = f"{fact.source.value}: {fact.text}"
            lines += wrap(words, width, initial_indent="    - ", subsequent_indent="      ", break_long_words=False)
    return "\n".join(lines)


def _facts(report: Report) -> Iterator[tuple[str, tuple[Fact, ...]]]:
    log = report.log
    standing = Standing.of(report)
    if log is None or standing not in (Standing.SHOWN, Standing.LESS):
        why = f"nothing: the verdict is {report.verdict}, so nobody vouches for what the run says"
        for place in _TITLES:
            yield place, (Fact(Source.ABSENT, why),)
        return
    yield "1.1(d)", tuple(_size(report, log))
    yield "1.2(b)", tuple(_process(report, log))
    yield "1.2(c)", tuple(_data(report, log))
    yield "1.2(d)", tuple(_resources(report, log))
    yield (
        "2.2",
        (
            Fact(Source.ABSENT, "tests and alignment"),
            _first_weights(report),
        ),
    )


_LATER = "The weights after the first steps can nearly be one's: L1 leaves each gradient to the trainer, and a large learning rate takes the weights far"


def _first_weights(report: Report) -> Fact:
    (source,) = [claim.source for claim in report.claims if claim.what == FIRST_WEIGHTS]
    if source is Source.ANCHORED:
        words = f"{FIRST_WEIGHTS} of the trained tensors follow from a beacon: they are no base model's. {_LATER}"
        return Fact(source, words)
    return Fact(source, f"{FIRST_WEIGHTS}: whether they are a base model's is not shown")


def _size(report: Report, log: Log) -> Iterator[Fact]:
    header = log.header
    tensors = f"{counted(header.size, 'trained parameter')} in {counted(len(header.parameters), 'tensor')}"
    opened = log.close is not None and log.close.model and report.findings[Step.MODEL].status is Status.PASSED
    if Level.L1 in report.levels and opened:
        yield Fact(Source.PROVED, f"{tensors}: those that the proofs cover and the published weights hold")
    elif Level.L1 in report.levels:
        yield Fact(Source.PROVED, f"{counted(header.size, 'trained parameter')}: those that the proofs cover")
    else:
        yield Fact(Source.CLAIMED, tensors)
    if header.unproved:
        yield Fact(Source.CLAIMED, f"tensors that were not trained, which no proof covers: {len(header.unproved)}")
    if header.exact is not None:
        whole = report.replayed is not None and report.replayed.whole
        words = f"the architecture, as a graph of units: {GRAPH}, SHA-256 {header.exact.graph.hex()}"
        yield Fact(Source.REPLAYED if whole else Source.CLAIMED, words)
    elif header.model_code:
        yield Fact(Source.CLAIMED, f"the model's code, by its SHA-256 alone: {header.model_code.hex()}")
    else:
        yield Fact(Source.ABSENT, "the architecture: the header names no code")


def _process(report: Report, log: Log) -> Iterator[Fact]:
    header = log.header
    steps = log.segments[-1].last if log.segments else 0
    rule = f"optimizer rule {header.rule.value}, steps 1 to {steps}" if steps else f"optimizer rule {header.rule.value}"
    constants = "; constants in force as in step 5 of the report"
    if Level.L1 in report.levels:
        yield Fact(Source.PROVED, f"{rule}, each computed exactly{constants}{_earlier(report)}")
    elif report.sample is not None and Level.L1_SAMPLED in report.levels:
        verified, there = len(report.sample.verified), report.sample.proofs
        yield Fact(Source.PROVED, f"{rule}: the steps of {verified} of {there} proofs{constants}")
        yield Fact(Source.CLAIMED, f"the steps of the other {there - verified} proofs")
    else:
        yield Fact(Source.CLAIMED, rule + constants)
    declared = header.declared
    if declared is None:
        yield Fact(Source.CLAIMED, "the schedule of the learning rates, recorded as the run went")
    else:
        source = Source.PROVED if Level.L1 in report.levels else Source.CLAIMED
        yield Fact(source, f"learning rate {declared.words}, as the header declares")
    yield Fact(
        Source.ABSENT, "what the model is designed to optimise for, design choices, their rationale and assumptions"
    )


def _earlier(report: Report) -> str:
    """On whose word a part of the proofs counts as verified, where an earlier report was
    continued."""
    if report.sample is None or not report.sample.report:
        return ""
    return f"; for {len(report.sample.earlier)} of {report.sample.proofs} proofs by the word of the report that was continued"


def _data(report: Report, log: Log) -> Iterator[Fact]:
    data, exact, replayed = log.header.data, log.header.exact, report.replayed
    if exact is not None:
        count = f"{counted(data.count, 'data point')} of {exact.stride} numbers"
        if replayed is not None:
            which = "every step" if replayed.whole else f"{len(replayed.segments)} of {replayed.count} segments"
            words = f"{count}: those that the header commits to, and that the gradients of {which} were computed from"
            yield Fact(Source.REPLAYED, words)
        else:
            where = "data/cells of the run" if exact.cells else "a commitment that was not opened"
            yield Fact(Source.CLAIMED, f"{count}, {where}")
        yield Fact(
            Source.REPLAYED if replayed is not None and replayed.whole else Source.CLAIMED,
            f"order {quoted(data.sampler)}, batches of {data.batch_size}",
        )
    elif data.root:
        yield Fact(Source.CLAIMED, f"{counted(data.count, 'data point')}, committed to by a root that was not opened")
        yield Fact(Source.CLAIMED, f"order {quoted(data.sampler)}, batches of {data.batch_size}")
    else:
        yield Fact(Source.ABSENT, "the data: the header commits to none")
    yield Fact(Source.ABSENT, "type, provenance, curation, selection, measures against unsuitable sources and biases")


def _resources(report: Report, log: Log) -> Iterator[Fact]:
    steps = log.segments[-1].last if log.segments else 0
    source = Source.PROVED if Level.L1 in report.levels else Source.CLAIMED
    yield Fact(source, f"{counted(steps, 'optimizer step')} of {counted(log.header.size, 'parameter')}")
    if log.close is not None and any(name == TRAIN_LOG for name, _ in log.close.artefacts):
        yield Fact(Source.CLAIMED, f"training time: {TRAIN_LOG} has a time for each step, which was not looked at")
    else:
        yield Fact(Source.ABSENT, "training time")
    if log.close is not None and any(name == ENVIRONMENT for name, _ in log.close.artefacts):
        yield Fact(Source.CLAIMED, f"software and machine: {ENVIRONMENT} names them")
    yield Fact(Source.ABSENT, "number of floating-point operations")
