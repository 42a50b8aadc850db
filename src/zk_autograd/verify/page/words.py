"""What was shown, in plain words: the rule, its constants, and what the proofs rest on."""

from collections.abc import Iterator

from zk_autograd.core.decimals import decimal_text
from zk_autograd.core.records import Header, Log
from zk_autograd.core.rules.families import FAMILIES
from zk_autograd.core.text import counted
from zk_autograd.verify.outcome import Level, Step
from zk_autograd.verify.page.markup import Element, element, sentence
from zk_autograd.verify.page.parts import section, table
from zk_autograd.verify.report import Report

_GROUPS = 8
"""Parameter groups whose constants are listed: those with the most parameters."""


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
    rule = f"The rule is {FAMILIES[header.rule].words or header.rule.value}, as an exact function of integers, for {counted(header.size, 'parameter')}."
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
    if report.attestation is not None and Level.L2 in report.outcomes[Step.ATTESTATION].shown:
        yield (
            f"The gradients were computed by code that is known by its measurement, inside an enclave of the kind {report.attestation.kind}: so "
            "says its device's document. What the data are is the trainer's word, and so is what the code is meant to do."
            + ("" if Level.L2 in report.levels else " Level L2, which needs all steps proved as well, was not reached.")
        )
        if report.attestation.emulated:
            yield "The device is an emulated one, under whose root anybody can sign: this shows nothing."
    elif report.replayed is None:
        yield "Nothing here says where a gradient came from: the data, the model's code and the loss are the trainer's word."
    if (replayed := report.replayed) is not None:
        which = f"steps 1 to {steps}" if replayed.whole else f"{len(replayed.segments)} of {replayed.count} segments"
        yield (
            f"The gradients of {which} were computed again from the data and from what the trainer opened: each is exactly what the declared "
            "graph gives at the committed weights, for the examples that the declared order names. What the data are is the trainer's word."
            + ("" if replayed.whole else " Nothing here says where the gradients of the other segments came from.")
        )


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
