"""What the levels that were reached do not mean, in plain words: printed with every report that says something was shown."""

from collections.abc import Sequence

from zk_autograd.core.records import Log, Unproved
from zk_autograd.core.text import quoted
from zk_autograd.verify.evidence import Missing, Trust
from zk_autograd.verify.proofs import Proved
from zk_autograd.verify.report import SampleTaken
from zk_autograd.verify.statement import rates

_NAMES_SHOWN = 10


def limits(log: Log, proved: Proved, trust: Trust | None) -> tuple[str, ...]:
    """The sentences for a log in which nothing false was found; `trust` is what its proofs rest on, where they were looked at."""
    shown = not isinstance(proved.level, Missing)
    return (
        "no anchor: nothing shows that there is no other view of this log, nor when it was written",
        *_whose_word(log, shown),
        *(_proof_limits(trust, proved.sample) if shown and trust is not None else ()),
        *_outside(log),
    )


def _whose_word(log: Log, proved: bool) -> list[str]:
    lines = ["initial weights and data order chosen by the trainer"]
    if proved:
        lines.append(
            "L1 does not say where a gradient came from: almost any next state can be reached with some gradient. The data, the model's "
            "code and the loss are the trainer's word"
        )
    else:
        lines.append(
            "that the records tell what was computed: no step of the rule is shown, each state and gradient is the trainer's word"
        )
    spread = rates(log)
    if spread is not None:
        lines.append(
            f"the learning rates ({spread}) were recorded as the run went: the schedule was the trainer's choice"
        )
    if any(segment.loss or segment.saturated for segment in log.segments):
        lines.append("loss, metrics and saturation counts are claimed, not shown")
    return lines


def _proof_limits(trust: Trust, sample: SampleTaken | None) -> list[str]:
    lines = [trust.limit]
    if sample is not None:
        lines.append(
            f"{sample.proofs - len(sample.verified)} proofs were not looked at: a sample reaches L1-sampled, never L1"
        )
        if sample.beacon:
            lines.append(
                "nothing shows that the trainer did not know the beacon when the log was made: there is no anchor before it"
            )
    return lines


def _outside(log: Log) -> list[str]:
    lines = []
    for kind, what in (("buffer", "buffers"), ("frozen", "frozen parameters")):
        tensors = [u for u in log.header.unproved if u.kind == kind]
        if tensors:
            lines.append(f"{what} that no proof speaks of and no published file holds: {_listed(tensors)}")
    if log.close is None:
        lines.append("unfinished run: no close record, so nothing says that the trainer stopped here")
    elif log.close.artefacts:
        lines.append(
            "what the trainer's own files say (environment, configuration, log of the training) is the trainer's word"
        )
    return lines


def _listed(tensors: Sequence[Unproved]) -> str:
    shown = ", ".join(quoted(u.name) for u in tensors[:_NAMES_SHOWN])
    return shown + (f" and {len(tensors) - _NAMES_SHOWN} more" if len(tensors) > _NAMES_SHOWN else "")
