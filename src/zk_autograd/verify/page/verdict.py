"""The first screen of a page: the verdict, why, and the levels.

Only a report that ends with status 0 has the look of a success. The look is a class, and what it
says stands in words and in a sign of its own shape as well.
"""

from collections.abc import Iterator

from zk_autograd.verify.outcome import SAMPLES, Level, Step
from zk_autograd.verify.page.icons import icon
from zk_autograd.verify.page.markup import Element, Node, Sign, element, sentence
from zk_autograd.verify.report import Report
from zk_autograd.verify.standing import Standing

_LEVELS = {
    Level.L0: "The records are those that every pinned key signed, in the order in which they were signed.",
    Level.L1: "L0, and each optimizer step is the rule's exact result for the committed state and gradient",
    Level.L1_SAMPLED: "L0, and the same for a sample of the proofs. The others were not looked at.",
    Level.L2: "L1, and code of a measurement that the policy trusts, inside an enclave, computed the gradients from the committed data.",
    Level.L3: "L1, and each gradient was computed again: it is exactly the declared graph's, on the committed data, in the declared order.",
    Level.L3_SAMPLED: "L0, and for the segments that the auditor drew each gradient and each step was computed again. The others were not.",
}


def banner(report: Report) -> Element:
    """The verdict, in the words of the verdict line, and what it comes to."""
    standing = Standing.of(report)
    of_run: tuple[Node, ...] = ()
    if report.summary is not None:
        of_run = ("run ", element("code", report.summary.run), " ", Sign.DOT, " ")
    return element(
        "header",
        element("p", *of_run, "judged by zk-verify", class_="kicker"),
        element("div", icon(standing.value, "large"), element("h1", *_title(report)), class_="verdict"),
        element("p", *sentence(_lead(report, standing)), class_="lead"),
        *_reasons(report, standing),
        *_advice(report),
        *_signed(report),
        class_=f"banner {standing.value}",
    )


def _title(report: Report) -> tuple[Node, ...]:
    line = report.verdict_line.removeprefix("verdict: ")
    return (element("span", "verdict:", class_="said"), " ", line)


def _lead(report: Report, standing: Standing) -> str:
    asked = " and ".join(sorted(level.value for level in report.required))
    if standing is Standing.FAILED:
        assert report.failure is not None
        return f"Something in this run is false, malformed or missing. It was found in step {report.failure.step}; no level is reached."
    if standing is Standing.UNJUDGED:
        return "This machine could not read or compute what it needs. That says nothing against the run, and nothing for it."
    if standing is Standing.UNPINNED:
        return "No key is pinned, so nobody vouches for this run: anybody could have written it. No level is reached."
    if standing is Standing.LESS:
        return f"Nothing false was found, but less was shown than was asked for ({asked})."
    return f"All that was asked for ({asked}) was shown. What that does not mean is listed below."


def _reasons(report: Report, standing: Standing) -> Iterator[Element]:
    error = report.failure or report.unreadable
    if error is not None:
        rows = [("what", error.message), ("step", f"{error.step}, {Step(error.step).title}")]
        if error.record is not None:
            rows.append(("record", str(error.record)))
        rows += [
            (name, text) for name, text in (("expected", error.expected), ("found", error.found)) if text is not None
        ]
        pairs = [element("div", element("dt", name), element("dd", *sentence(text))) for name, text in rows]
        yield element("dl", *pairs, class_="pairs")
    elif standing is not Standing.SHOWN:
        items = [element("li", *sentence(why)) for why in report.missing]
        yield element("ul", *items, class_="why")


def _advice(report: Report) -> Iterator[Element]:
    """What to do, where there is something to do."""
    if report.fix:
        yield element("p", element("strong", "Fix: "), *sentence(report.fix), class_="fix")


def _signed(report: Report) -> Iterator[Element]:
    """Who answers for the run, where anybody does."""
    if report.judged and report.signers:
        names = [element("dd", element("code", key.label)) for key in report.signers]
        yield element("dl", element("div", element("dt", "signed by"), *names), class_="pairs")


def _proofs(report: Report) -> str:
    """What L1 rests on."""
    if report.sample is not None and report.sample.report:
        return f"of the proofs, {len(report.sample.verified)} were verified, and of {len(report.sample.earlier)} the report that was continued says so"
    return "every proof was verified"


def levels(report: Report) -> Element:
    """Each level there is: whether it was reached, what it means, and whether it was asked for."""
    rows = []
    for level, what in _LEVELS.items():
        means = f"{what}: {_proofs(report)}." if level is Level.L1 else what
        reached = level in report.levels
        if level in SAMPLES.values() and not reached:
            continue
        if level is Level.L0 and report.vouched:
            means = "The records are those that every key signed which the enclave's document vouches for, in the order in which they were signed."
        if level is Level.L2 and report.emulated:
            means = f"{means} The enclave is emulated: anybody can make such an attestation, and it shows nothing."
        state = "passed" if reached else "absent"
        asked = [element("p", "Asked for.", class_="note")] if level in report.required else []
        rows.append(
            element(
                "tr",
                element(
                    "th",
                    element("span", level.value, class_="title"),
                    element("span", icon(state), "reached" if reached else "not reached", class_=f"state {state}"),
                    scope="row",
                ),
                element("td", element("p", means), *asked),
            )
        )
    head = element("tr", element("th", "Level", scope="col"), element("th", "What it means", scope="col"))
    table = element("table", element("thead", head), element("tbody", *rows), class_="steps levels")
    return element("section", element("h2", "Levels", id="levels"), table, aria_labelledby="levels")
