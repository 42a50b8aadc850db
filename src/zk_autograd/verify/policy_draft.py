"""A policy file for review, drafted from a run that was verified.

Rules: whoever made the run chose all that is drafted, so the draft pins nothing: its keys are
comments until somebody has compared them with another source. Texts of the run stand in it as TOML
strings in ASCII, everything else escaped, in comments too: none can end a string, a comment or a
line. Once its keys are pinned, the draft accepts the run: ranges are the run's own values.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import floor

from zk_autograd.core.decimals import decimal_text, parse_decimal
from zk_autograd.core.records import Header, Log, Segment, hyper_names
from zk_autograd.verify.demands import Finished, ModelPublished, signed_decimal
from zk_autograd.verify.outcome import Level, Step
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.policy_file import FORMAT, parse
from zk_autograd.verify.report import Report

_PLACES = 18
"""Digits behind the point to which a schedule's least rate is rounded down."""

_HEAD = """\
# A policy for zk-verify, drafted from a run, for review. docs/policy.md explains each field.
#
# IT PINS NOTHING YET. Whoever made the run chose all that stands here, its keys too. So:
#   1. Get the trainer's keys from somewhere else than the run, compare them with those below, and
#      only then take the "# " away before `keys`. Until then the verdict is UNPINNED.
#   2. Ask of each line whether it is what you would demand. Change it, or leave it out: what a
#      policy doesn't mention is not checked.
#   3. Keep this file out of the run's folder, where it is refused.
"""


def probe() -> Policy:
    """The policy under which a run is verified to be drafted from. It pins nothing."""
    return Policy(demands=(Finished(), ModelPublished()), digest=bytes(32))


def draft(report: Report) -> str:
    """The text of a policy file, from the report on a run under `probe`, in which nothing was found
    false. Lines of ASCII, the last one ended."""
    assert report.judged and report.log is not None and report.summary is not None and report.policy is not None
    met = {checked.field for checked in report.policy.demands if checked.met}
    proved = Level.L1 in report.outcomes[Step.PROOFS].shown
    log, run = report.log, report.summary
    lines = [
        *_HEAD.splitlines(),
        "#",
        f"# Drafted from the run {run.run}, root {run.root.hex()}@{run.size}.",
        "",
        f"format = {quote(FORMAT)}",
        "",
        *_keys(log.header),
        *_levels(proved),
        *_anchors(report),
        *_attestation(report),
        *_prover(log.header, proved, None if report.security is None else floor(report.security.proven_bits)),
        *_rule(log),
        *_run(run.steps, met),
        *_claims(log),
    ]
    text = "\n".join(lines).rstrip("\n") + "\n"
    parse(text.encode("ascii"), "the drafted policy")
    return text


def quote(text: str) -> str:
    """The text as a TOML basic string: ASCII, on one line, for a comment as for a value."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if " " <= character <= "~":
        return character
    code = ord(character)
    return f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"


def _keys(header: Header) -> Iterator[str]:
    yield "# The keys that the run names. Nothing here shows whose they are: compare each with a source"
    yield "# of your own. All keys in this list must have signed."
    yield "# keys = ["
    for key in header.keys:
        yield f"#     {quote(key)},"
    yield "# ]"
    yield ""


def _levels(proved: bool) -> Iterator[str]:
    if proved:
        yield "# L1: every step of the optimizer is proved. It rests on L0: the log is the one that was signed."
    else:
        yield "# L0: the log is the one that was signed. No proof of this run was verified here, so L1, that"
        yield "# every step of the optimizer is proved, would not be met."
    yield f"require = [{quote(Level.L1.value if proved else Level.L0.value)}]"
    yield ""


def _anchors(report: Report) -> Iterator[str]:
    """That the run is in its register, if all of it is; the kinds of anchor as comments, since the
    run can't say whom to trust."""
    assert report.summary is not None
    if report.anchoring.covering == report.summary.size:
        yield "# All of its records are in its trainer's register."
        yield "register = true"
        yield ""
    if kinds := sorted({one.kind for one in report.anchoring.anchored}):
        yield "# Anchors of which the run has receipts. Whom you trust to anchor is for you to say: [anchors.KIND]."
        yield "# [anchors]"
        yield f"# require = [{', '.join(map(quote, kinds))}]"
        yield ""


def _attestation(report: Report) -> Iterator[str]:
    """What a run of an enclave says of its code, as a comment: a measurement that was first seen in
    the run is nobody's but the host's."""
    if (found := report.attestation) is None:
        return
    yield "# The run is an enclave's. Its document names the measurement below: compare it with that of an"
    yield "# image that you built yourself (zk-enclave measure) before you trust it, and require L2 then."
    if found.emulated:
        yield "# Its device is emulated, so anybody can have made the document: it shows nothing."
    yield f"# [attestation.{found.kind}]" if found.root else f"# Of the kind {quote(found.kind)}, and not verified."
    if found.measurement:
        yield f"# {quote(found.measurement)}"
    yield ""


def _prover(header: Header, proved: bool, bits: int | None) -> Iterator[str]:
    prover = header.prover
    yield "# Only these provers."
    yield f"[provers.{prover.backend}]"
    if proved and bits is not None:
        yield "# How hard it is to forge a proof: the run's own number, rounded down."
        yield f"min_bits = {bits}"
    if prover.form.setup:
        yield "# Whoever made an SRS can forge proofs under it. This is the run's own: allow it only if you know"
        yield "# that the trainer can't have made it."
        if proved:
            yield "# (It is a public ceremony's, as this verifier knows it.)"
        yield f"{'' if proved else '# '}srs = [{quote(prover.srs_digest.hex())}]"
    yield ""


def _rule(log: Log) -> Iterator[str]:
    header = log.header
    yield "# Only these update rules, each hyper-parameter from .. to, both included: here the run's own values"
    yield "# over all groups. lr counts at every step, too."
    yield f"[rules.{header.rule.value}]"
    for name in hyper_names(header.rule):
        texts = [dict(group.hyper)[name] for group in header.groups]
        if name == "lr":
            texts += _rates(log)
        texts.sort(key=lambda text: parse_decimal(text, "it"))
        yield f"{name} = [{quote(texts[0])}, {quote(texts[-1])}]"
    yield ""


def _rates(log: Log) -> list[str]:
    """The recorded rates; or of a declared schedule, for each group, the least, rounded down: the
    greatest is at most the group's lr."""
    header, last = log.header, log.segments[-1].last if log.segments else 0
    if header.declared is None:
        return sorted({text for segment in log.segments for step in segment.lr for text in step})
    shares = [header.declared.share(step) for step in header.declared.extremes(last)] if last else []
    rates = [min(shares) * parse_decimal(dict(group.hyper)["lr"], "lr") for group in header.groups if shares]
    return [decimal_text(Fraction(floor(rate * 10**_PLACES), 10**_PLACES)) for rate in rates]


def _run(steps: int, met: set[str]) -> Iterator[str]:
    if not steps:
        return
    yield "[run]"
    yield "# Steps of the optimizer, at least."
    yield f"min_steps = {steps}"
    if Finished.field in met:
        yield "# The trainer has closed the run: it ends here."
        yield "finished = true"
    if ModelPublished.field in met:
        yield "# Weights are published, and are those of the last step."
        yield "model = true"
    yield ""


def _claims(log: Log) -> Iterator[str]:
    """Comments: nothing shows what they say."""
    loss = _last_loss(log.segments)
    share = _share(log)
    if loss is None and share is None:
        return
    yield "# What the trainer claims of this run, and nothing shows. A bound on a claim keeps out a run that"
    yield "# claims worse, and nobody who lies."
    yield "# [claims]"
    if loss is not None:
        yield f"# max_last_loss = {quote(loss)}"
    if share is not None:
        yield f"# max_saturated_share = {quote(share)}"


def _last_loss(segments: Sequence[Segment]) -> str | None:
    if not segments or len(segments[-1].loss) != segments[-1].last - segments[-1].first + 1:
        return None
    text = segments[-1].loss[-1]
    return text if signed_decimal(text) is not None else None


def _share(log: Log) -> str | None:
    """The share of saturated elements, rounded up to six places."""
    if not log.segments or any(len(s.saturated) != s.last - s.first + 1 for s in log.segments):
        return None
    share = Fraction(sum(sum(s.saturated) for s in log.segments), log.segments[-1].last * log.header.size)
    return decimal_text(Fraction(-floor(-share * 10**6), 10**6)) if share <= 1 else None
