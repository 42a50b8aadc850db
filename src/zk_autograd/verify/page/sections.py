"""The sections of a page after the verdict, in reading order. One that has nothing to say is left
out, and so is one that would say something of a run that failed or was not judged."""

from collections.abc import Iterator

from zk_autograd.core.decimals import decimal_text
from zk_autograd.core.hyper import Rule
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.records import Header, Log
from zk_autograd.core.text import counted, quoted
from zk_autograd.verify.outcome import Level, SampleTaken, Source, Status, Step
from zk_autograd.verify.page import chain, curves
from zk_autograd.verify.page.icons import icon
from zk_autograd.verify.page.markup import Element, Node, element, sentence
from zk_autograd.verify.report import Report

_RULES = {
    Rule.SGD: "stochastic gradient descent",
    Rule.SGD_MOMENTUM: "stochastic gradient descent with momentum",
    Rule.NESTEROV: "stochastic gradient descent with Nesterov's momentum",
    Rule.ADAM: "Adam",
    Rule.ADAMW: "AdamW, that is Adam with decoupled weight decay",
}
_SOURCES = {
    Source.PROVED: "shown by this verification: by proofs, or recomputed from what was published",
    Source.ATTESTED: "vouched for by hardware",
    Source.REPLAYED: "computed again from the data",
    Source.CLAIMED: "the trainer's word, and nothing more",
    Source.ABSENT: "nothing in the run speaks of it",
}
_GROUPS = 8
"""Parameter groups whose constants are listed: those with the most parameters."""

_KEYS = 20
_LONGEST_KEY = 200
"""Characters of a key's text that are shown; of a longer one, such as ML-DSA-44's, its name and
ID."""


def section(title: str, *children: Node) -> Element:
    """A section under its heading."""
    name = title.lower().replace(" ", "-")
    return element("section", element("h2", title, id=name), *children, aria_labelledby=name)


def in_plain_words(report: Report) -> Iterator[Element]:
    """What was shown, in sentences; nothing of a run that was not judged."""
    log = report.log
    if not report.judged or log is None or report.summary is None:
        return
    yield section(
        "In plain words", *(element("p", *sentence(text)) for text in _plain(report, log)), *_constants(log.header)
    )


def _plain(report: Report, log: Log) -> Iterator[str]:
    header, steps = log.header, log.segments[-1].last if log.segments else 0
    rule = (
        f"The rule is {_RULES[header.rule]}, as an exact function of integers, for {counted(header.size, 'parameter')}."
    )
    shown = report.outcomes[Step.PROOFS].shown
    if not report.pinned:
        yield (
            "Whatever follows holds for a run that anybody could have written. Its records fit together as far as the steps below "
            "say; since no key is pinned, they are nobody's."
        )
    if Level.L1 in shown:
        yield (
            f"{rule} Each of the steps 1 to {steps} is this rule's result for the state and the gradient that the records commit to, and each "
            "step begins with the state in which the one before it ended: none was skipped, repeated or changed afterwards."
        )
    elif report.sample is not None:
        yield (
            f"{rule} {len(report.sample.verified)} of {report.sample.proofs} proofs were verified: for their steps, the next state is this rule's "
            "result for the committed state and gradient. For the other steps that is the trainer's word."
        )
    else:
        yield f"{rule} No step of it was shown: that the records tell what was computed is the trainer's word."
    if report.sample is not None and report.sample.report:
        yield (
            f"That {len(report.sample.earlier)} of the {report.sample.proofs} proofs are valid is the word of the report that was continued, "
            f"SHA-256 {report.sample.report.hex()}: they were not looked at again."
        )
    if report.security is not None:
        yield (
            f"Forging a proof takes at least 2^{int(10 * report.security.proven_bits) / 10} operations, as proven under one assumption: "
            f"{report.security.assumption}."
        )
    elif Level.L1 in shown or report.sample is not None:
        yield "The proofs hold if nobody knows the secret behind the set-up whose digest you allowed: whoever does can forge them."
    yield "Nothing here says where a gradient came from: the data, the model's code and the loss are the trainer's word."


def _constants(header: Header) -> Iterator[Element]:
    """The hyper-parameters as given, and as the rule's integers have them."""
    sizes = [0] * len(header.groups)
    for parameter in header.parameters:
        sizes[parameter.group] += parameter.size
    largest = sorted(sorted(range(len(sizes)), key=lambda i: -sizes[i])[:_GROUPS])
    rows = []
    for index in largest:
        effective = header.sequence(index).effective()
        for name, text in header.groups[index].hyper:
            in_force = decimal_text(effective[name]) if name in effective else text
            if name == "eps" and "eps_at_step_1" in effective:
                in_force += f", and {decimal_text(effective['eps_at_step_1'])} at step 1"
            rows.append(
                element(
                    "tr",
                    element("th", f"group {index}, {name}" if len(sizes) > 1 else name, scope="row"),
                    element("td", text),
                    element("td", in_force),
                )
            )
    declared = header.declared
    if declared is None:
        schedule = "The learning rates were recorded as the run went: their schedule was the trainer's choice."
    else:
        schedule = f"The learning rate is {declared.words}."
    more = len(sizes) - len(largest)
    yield table("Constants of the rule", ("Constant", "As given", "In force"), rows)
    yield element("p", schedule + (f" Groups that are not listed: {more}." if more else ""), class_="note")


def table(name: str, columns: tuple[str, ...], rows: list[Element], class_: str = "") -> Element:
    """A table with its caption, that scrolls where a screen is too narrow for it."""
    head = element("thead", element("tr", *(element("th", column, scope="col") for column in columns)))
    whole = element("table", element("caption", name), head, element("tbody", *rows), class_=class_)
    return element("div", whole, class_="wide", role="region", aria_label=name, tabindex=0)


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
            said = (icon("passed"), "pinned by you; it signed")
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
