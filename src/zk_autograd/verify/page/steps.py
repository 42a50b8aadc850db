"""The eleven steps of a verification, and how much of the run they looked at."""

from collections.abc import Iterator

from zk_autograd.core.text import quoted
from zk_autograd.verify.outcome import SampleTaken, Status, Step
from zk_autograd.verify.page import chain
from zk_autograd.verify.page.icons import icon
from zk_autograd.verify.page.markup import Element, element, sentence
from zk_autograd.verify.page.parts import section
from zk_autograd.verify.report import Report


def the_eleven_steps(report: Report) -> Element:
    """Each step, how it ended, and what it found."""
    items = []
    for step in Step:
        finding = report.findings[step]
        status = finding.status.value
        items.append(
            element(
                "tr",
                element(
                    "th",
                    element("span", str(step.value), class_="number"),
                    element("span", step.title, class_="title"),
                    element("span", icon(status), status, class_=f"state {status.replace(' ', '-')}"),
                    scope="row",
                ),
                element("td", *(element("p", *sentence(text)) for text in finding.sentences)),
            )
        )
    head = element(
        "thead", element("tr", element("th", "Step", scope="col"), element("th", "What was found", scope="col"))
    )
    return section("The eleven steps", element("table", head, element("tbody", *items), class_="steps"))


def checked_and_skipped(report: Report) -> Iterator[Element]:
    """How much of the run was looked at."""
    rows = list(_looked_at(report))
    if rows:
        pairs = [element("div", element("dt", name), element("dd", *sentence(text))) for name, text in rows]
        yield section("Checked and skipped", element("dl", *pairs, class_="pairs"))


def _looked_at(report: Report) -> Iterator[tuple[str, str]]:
    log = report.log
    if report.found is not None:
        yield "evidence", report.found.line
        for subject in report.found.subjects:
            digest = "no regular file" if subject.digest is None else subject.digest.hex()
            yield "file", f"{quoted(subject.name, 200)} {digest}"
    if report.judged and log is not None and report.summary is not None:
        yield "records", f"all {report.summary.size}"
        done, there = chain.Verified.of(report, log).among(log.segments)
        yield "proofs", "none in this run" if there == 0 else f"{done} of {there} verified"
    if report.sample is not None:
        yield from _sampled(report.sample)
    for status in (
        Status.FAILED,
        Status.NOT_SHOWN,
        Status.SKIPPED,
        Status.ABSENT,
        Status.UNREADABLE,
        Status.NOT_REACHED,
    ):
        steps = [f"{step.value} {step.title}" for step in Step if report.findings[step].status is status]
        if steps:
            yield status.value, ", ".join(steps)


def _sampled(sample: SampleTaken) -> Iterator[tuple[str, str]]:
    if sample.report:
        yield (
            "earlier",
            f"{len(sample.earlier)} verified by the report that was continued, SHA-256 {sample.report.hex()}, as it says",
        )
        return
    drawn = (
        "from the beacon that was given" if sample.beacon else f"from this verifier's randomness, {sample.seed.hex()}"
    )
    yield "sample", f"first, last, and others drawn {drawn}"
    yield "one bad proof", f"is missed with probability {sample.miss_one} if it is neither the first nor the last"
    if sample.surely_found is not None:
        yield "more of them", f"{sample.surely_found} or more are found with a probability of at least 99 %"
