"""The other sections of a page, in reading order. One that has nothing to say is left out, and so
is one that would say something of a run that failed or was not judged."""

from collections.abc import Iterator

from zk_autograd.core.keys import PublicKey
from zk_autograd.core.text import quoted
from zk_autograd.verify.outcome import Source
from zk_autograd.verify.page import chain, curves
from zk_autograd.verify.page.icons import icon
from zk_autograd.verify.page.markup import Element, Node, element, sentence
from zk_autograd.verify.page.parts import section, table
from zk_autograd.verify.report import Report

_SOURCES = {
    Source.PROVED: "shown by this verification: by proofs, or recomputed from what was published",
    Source.ATTESTED: "vouched for by hardware",
    Source.REPLAYED: "computed again from the data",
    Source.ANCHORED: "vouched for by an anchor that you trust",
    Source.CLAIMED: "the trainer's word, and nothing more",
    Source.ABSENT: "nothing in the run speaks of it",
}

_KEYS = 20
_LONGEST_KEY = 200
"""Characters of a key's text that are shown; of a longer one, such as ML-DSA-44's, its name and
ID."""


def the_chain(report: Report) -> Iterator[Element]:
    """The records as a picture."""
    log = report.log
    if log is None:
        return
    marks = (("whole", "every proof verified"), ("part", "some"), ("unseen", "none"), ("bad", "refused"))
    legend = [element("li", chain.mark(mark), text) for mark, text in marks]
    yield section(
        "The chain",
        element(
            "figure",
            chain.picture(report, log),
            element("figcaption", element("p", chain.links(report)), element("p", f"Squares are segments of steps; of their proofs{_not_counted(report)}:"),
                    element("ul", *legend, class_="legend")),
            class_="beside",
        ),
    )  # fmt: skip


def _not_counted(report: Report) -> str:
    return (
        " (those of the report that was continued aside)" if report.sample is not None and report.sample.report else ""
    )


def what_the_trainer_says(report: Report) -> Iterator[Element]:
    """Loss and saturation, as claims."""
    log = report.log
    if log is None or not report.judged:
        return
    said_by = "claimed by the trainer" if report.pinned else "claimed by nobody you pinned"
    loss, saturated = curves.losses(log), curves.saturations(log)
    parts: list[Element] = []
    if loss.values or loss.odd:
        parts.append(curves.figure("Loss", "per step, as recorded. No proof covers it.", loss, said_by))
    if any(saturated.values):
        text = "clamped gradient elements per step, as recorded. No proof covers it."
        parts.append(curves.figure("Saturation", text, saturated, said_by))
    elif saturated.values:
        parts.append(element("p", element("strong", "Saturation"), element("span", said_by, class_="tag"),
                             " no gradient element was clamped, as recorded. No proof covers it."))  # fmt: skip
    if parts:
        yield section("What the trainer says", *parts)


def the_keys(report: Report) -> Iterator[Element]:
    """Whose signatures were checked, and which keys the header names besides."""
    log = report.log
    if log is None:
        return
    pinned = {key.encode() for key in report.signers}
    named = log.header.keys
    rows = []
    for text in sorted(named, key=lambda text: text not in pinned)[:_KEYS]:
        if text in pinned:
            by = "vouched for by the enclave's document" if report.vouched else "pinned by you"
            said = (icon("passed"), f"{by}; it signed")
        else:
            said = (icon("absent"), "named by the run alone: it vouches for nothing here")
        name = element("code", text if len(text) <= _LONGEST_KEY else PublicKey.parse(text).label)
        rows.append(element("tr", element("th", name, scope="row"), element("td", *said, class_="state")))
    more = len(named) - len(rows)
    yield section(
        "Keys",
        table("Keys that the run's header names", ("Key", "What it is worth"), rows),
        *([element("p", f"Keys that are not listed: {more}.", class_="note")] if more else []),
    )


def claims_by_source(report: Report) -> Iterator[Element]:
    """Where each statement about the run comes from."""
    if not report.claims:
        return
    rows = []
    for source in Source:
        of_it = [claim.what for claim in report.claims if claim.source is source]
        if not of_it:
            continue
        rows.append(
            element(
                "tr",
                element("th", icon(source.value), source.value, element("span", _SOURCES[source], class_="meaning"), scope="row"),
                element("td", element("ul", *(element("li", *sentence(what)) for what in of_it))),
            )
        )  # fmt: skip
    head = element(
        "thead", element("tr", element("th", "Source", scope="col"), element("th", "Statement", scope="col"))
    )
    yield section("Where each claim comes from", element("table", head, element("tbody", *rows), class_="claims"))


def what_this_does_not_show(report: Report) -> Iterator[Element]:
    """The report's limits."""
    if report.limits:
        items = [element("li", *sentence(limit)) for limit in report.limits]
        yield section("What this does not show", element("ul", *items))


def your_policy(report: Report) -> Iterator[Element]:
    """What became of a policy file's demands."""
    if report.policy is None:
        return
    words = {True: ("passed", "met"), False: ("not shown", "not met"), None: ("not reached", "not checked")}
    rows = []
    for demand in report.policy.demands:
        sign, said = words[demand.met]
        whose = "; what it looks at is the trainer's word" if demand.claimed else ""
        found = "" if demand.found is None else f"; found: {demand.found}"
        name = element("th", demand.field, element("span", icon(sign), said, class_="state"), scope="row")
        rows.append(element("tr", name, element("td", *sentence(f"asked for: {demand.expected}{found}{whose}"))))
    head = element(
        "thead", element("tr", element("th", "Demand", scope="col"), element("th", "What was found", scope="col"))
    )
    digest = element(
        "p", "The policy file with the SHA-256 ", element("code", report.policy.digest.hex()), ".", class_="note"
    )
    yield section("Your policy", digest, element("table", head, element("tbody", *rows), class_="steps levels"))


def files_that_no_record_names(report: Report) -> Iterator[Element]:
    """What lies in the run that nothing vouches for."""
    if not report.uncovered:
        return
    rows = []
    for file in report.uncovered:
        said = (
            "has no weight" if file.harmless else "accepted by you" if file.accepted else "counts against the verdict"
        )
        like = "" if file.resembles is None else f"; it may be taken for {quoted(file.resembles, 200)}"
        rows.append(element("tr", element("th", quoted(file.name, 200), scope="row"), element("td", said + like)))
    more = [element("p", "There are others.", class_="note")] if report.uncovered_more else []
    yield section("Files that no record names", table("Names, and what of them", ("Name", "What of it"), rows), *more)


def judge_it_yourself(report: Report) -> Element:
    """That a page is no evidence, and the command that gathers some."""
    command: tuple[Node, ...] = ()
    if report.summary is not None:
        keys = " --key KEY" * max(1, len(report.signers))
        words = f"zk-verify {report.summary.root.hex()}@{report.summary.size} --from RUN{keys}"
        command = (element("p", element("code", words), class_="command"),)
    return section(
        "Judge it yourself",
        element("p", "This page is no evidence: anybody can write one like it. The evidence is the run, and the command that judges it is:"
                if command else "This page is no evidence: anybody can write one like it. The evidence is the run; judge it with zk-verify."),
        *command,
    )  # fmt: skip


def annex_xi(report: Report) -> Element:
    """The report under the headings of Annex XI."""
    from zk_autograd.verify import annex_xi as annex

    rows = []
    for heading in annex.headings(report):
        facts = [
            element(
                "li",
                icon(fact.source.value),
                element("span", fact.source.value, class_="source"),
                ": ",
                *sentence(fact.text),
            )
            for fact in heading.facts
        ]
        name = element("th", element("span", heading.spoken, class_="place"), heading.title, scope="row")
        rows.append(element("tr", name, element("td", element("ul", *facts, class_="facts"))))
    head = element(
        "thead", element("tr", element("th", "Heading", scope="col"), element("th", "What the report has", scope="col"))
    )
    return section(
        annex.TITLE,
        element("p", *sentence(annex.INTRODUCTION)),
        element("table", head, element("tbody", *rows), class_="claims"),
    )
