"""Float gradients of opened segments, computed again by autograd: "L3-approximate".

Floats add up in another order on another processor, so the recorded gradients are compared within
a tolerance (reproduce.closeness). That is less than L3, and no level of zk-verify, which runs
nobody's code. What the states, the gradients and the data are is held against the log, exactly; the
steps themselves are recomputed exactly, too. What a tolerance leaves open, `LIMITS` says.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import isfinite
from statistics import median
from typing import Any, BinaryIO

from zk_autograd.core.errors import ExitStatus, UsageError, VerificationError
from zk_autograd.core.formats import dequantize_weight
from zk_autograd.core.progress import Progress
from zk_autograd.core.records import Header, Log
from zk_autograd.core.text import counted, listed, printable, quoted
from zk_autograd.core.trust import Missing
from zk_autograd.evidence.openings import Index, Openings
from zk_autograd.prove.verifiers import Systems
from zk_autograd.reproduce.closeness import Difference, as_power, difference
from zk_autograd.reproduce.gradient_process import (
    ARITHMETICS,
    Arithmetic,
    Asked,
    GradientProcess,
    NotReplayable,
    started,
)
from zk_autograd.reproduce.named_model import NamedModel
from zk_autograd.train import data
from zk_autograd.train.data import Rows
from zk_autograd.train.names import DataSource
from zk_autograd.train.opened_data import OpenedData, opened_data
from zk_autograd.verify.opened import OpenedStep, OpenedSteps
from zk_autograd.verify.proof_system import ProofChecker

LEVEL = "L3-approximate"
BEYOND = "BEYOND TOLERANCE"
LIMITS = (
    "within the tolerance a trainer can move any element of a gradient, and all of them a little, in every step: a rule that divides by the "
    "gradient's size (Adam, RMSprop) makes as much of a small element as of a large one",
    "the gradient is what the model's code makes of weights and rows: that the code is the committed one was checked, what it does is for you to read",
    "a hidden unit that is within rounding of zero may be on there and off here: a step beyond the tolerance may be an honest one, computed "
    "on other hardware",
)
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Question:
    """What the auditor brings: where the data are, the model, the largest difference that passes,
    the number of threads, and whether the model's code may run where no process is confined."""

    source: DataSource
    model: NamedModel
    tolerance: float
    threads: int = 1
    unconfined: bool = False


@dataclass(frozen=True, slots=True)
class StepFound:
    """A step's difference, and with which arithmetic it was found."""

    number: int
    difference: Difference
    arithmetic: str


@dataclass(frozen=True, slots=True)
class FloatReplay:
    """What came of it: one of `steps` for each opened step, `opened` of the log's `segments`."""

    index: Index
    segments: int
    all_steps: int
    data: str
    model: NamedModel
    tolerance: float
    steps: tuple[StepFound, ...]

    @property
    def beyond(self) -> tuple[StepFound, ...]:
        """The steps beyond the tolerance."""
        return tuple(step for step in self.steps if not step.difference.value <= self.tolerance)

    @property
    def worst(self) -> StepFound:
        return max(self.steps, key=lambda step: step.difference.value)

    @property
    def median(self) -> float:
        """Of the steps' differences."""
        return median(step.difference.value for step in self.steps)

    @property
    def exact(self) -> int:
        """How many steps have every integer as it was computed here."""
        return sum(step.difference.exact for step in self.steps)

    @property
    def verdict(self) -> str:
        return BEYOND if self.beyond else LEVEL

    @property
    def exit_status(self) -> ExitStatus:
        return ExitStatus.REFUSED if self.beyond else ExitStatus.DONE

    @property
    def arithmetics(self) -> dict[str, int]:
        """With which arithmetic how many steps are closest."""
        found: dict[str, int] = {}
        for step in self.steps:
            found[step.arithmetic] = found.get(step.arithmetic, 0) + 1
        return found

    @property
    def limits(self) -> tuple[str, ...]:
        """What it doesn't show."""
        unopened = self.segments - len(self.index.segments)
        if not unopened:
            return LIMITS
        return (f"the gradients of {counted(unopened, 'segment')} were not opened, and may be any", *LIMITS)

    def lines(self) -> list[str]:
        """For people."""
        worst, by = self.worst, _CHOSEN[self.index.chosen]
        where = f", at step {worst.number} in {quoted(worst.difference.tensor)}" if worst.difference.value else ""
        computed = ", ".join(f"{count} with {name}" for name, count in self.arithmetics.items())
        rows = [
            (
                "openings",
                f"{counted(len(self.index.segments), 'segment')} of {self.segments}, {len(self.steps)} steps of {self.all_steps}; {by}",
            ),
            (
                "opened",
                "state before, gradients and state after each segment: what its record commits to; each step is the rule's",
            ),
            ("data", self.data),
            ("model", f"{self.model}: its SHA-256 is the header's model_code"),
            ("gradients", f"computed again: {computed}; {self.exact} of them equal to the unit"),
            (
                "difference",
                f"largest {as_power(worst.difference.value)}{where}; median of the steps {as_power(self.median)}; tolerance "
                f"{as_power(self.tolerance)}",
            ),
        ]
        rows += [
            (
                "beyond",
                f"step {step.number}: {as_power(step.difference.value)} in {quoted(step.difference.tensor)}",
            )
            for step in self.beyond[:_SHOWN]
        ]
        if len(self.beyond) > _SHOWN:
            rows.append(("", f"and {counted(len(self.beyond) - _SHOWN, 'more step')} of {len(self.steps)}"))
        lines = [f"{name:<12}{text}" for name, text in rows] + [f"{'':<12}- {text}" for text in self.limits]
        return [printable(line) for line in (*lines, "", f"verdict: {self.verdict}")]

    def to_json(self) -> dict[str, Any]:
        """For machines; a difference is null where it is infinite."""
        return {
            "verdict": self.verdict,
            "exit_status": int(self.exit_status),
            "segments": list(self.index.segments),
            "segments_of_run": self.segments,
            "chosen_by": self.index.chosen,
            "steps": len(self.steps),
            "steps_of_run": self.all_steps,
            "exact_steps": self.exact,
            "tolerance": self.tolerance,
            "largest": _step_json(self.worst),
            "median": _number(self.median),
            "computed_with": self.arithmetics,
            "beyond": [_step_json(step) for step in self.beyond],
            "model_code": self.model.digest,
            "limits": list(self.limits),
        }


_CHOSEN = {
    "all": "all that were recorded",
    "challenge": "chosen by a challenge, the trainer says",
    "trainer": "chosen by the trainer",
}


def require_replayable(header: Header) -> None:
    """UsageError for a run that zk-verify replays itself; NotReplayable, one sentence, for one
    whose gradients don't follow from what is opened."""
    if header.exact is not None:
        raise UsageError(
            "the gradients of this run are exact: `zk-verify RUN --data DATA --openings FILE --recipient-key KEY --require L3` recomputes them bit "
            "for bit, without any code of the trainer's"
        )
    if header.unproved:
        names = listed([f"{quoted(one.name)} ({one.kind})" for one in header.unproved], 3)
        raise NotReplayable(
            f"the model has tensors that no proof covers and nobody opens, on which its gradients depend: {names}"
        )
    if not header.data.root or header.data.sampler != data.SAMPLER:
        raise NotReplayable(
            "the run says nothing of its data, or takes them by a sampler that is not known here: only runs that zk-train began can be replayed"
        )


def require_code(header: Header, model: NamedModel) -> None:
    """VerificationError if the model isn't the run's. Nothing of it is run."""
    if not model.is_code(header.model_code):
        raise VerificationError(
            f"{model.file or model.name} is not the code of the run's model, and was not run",
            expected=header.model_code.hex() or "none",
            found=model.digest,
        )


def checker_of(header: Header, srs: frozenset[bytes]) -> ProofChecker:
    """What makes the commitments of a run that the verifier has judged. NotReplayable if they can't
    be made here."""
    system = Systems()[header.prover.backend]
    for found in (system.trust(header.prover, srs), checker := system.checker(header.prover)):
        if isinstance(found, Missing):
            raise NotReplayable(f"the commitments can't be recomputed: {found.reason}")
    assert not isinstance(checker, Missing)
    return checker


def replay(log: Log, checker: ProofChecker, file: BinaryIO, question: Question, progress: Progress) -> FloatReplay:
    """Computes the gradients of the segments that `file` opens again; `log` is judged, and its
    header as `require_replayable` and `require_code` want it. VerificationError if what is opened
    isn't what the log commits to, NotReplayable if a gradient can't be computed."""
    openings = Openings(file, log)
    if openings.index.data is None:
        raise NotReplayable(
            "the openings have neither the secret nor the seed of the data: a run of the trainer's own loop has none that zk-run knows, so its "
            "batches can't be taken again"
        )
    rows = opened_data(log, openings.index.data, question.source)
    asked = Asked(
        question.model,
        log.header.parameters,
        rows.rows.columns,
        rows.rows.classes,
        question.threads,
        question.unconfined,
    )
    found: list[StepFound] = []
    opened_steps, total = OpenedSteps(log, checker), _steps(log, openings.index.segments)
    with ExitStack() as stack:
        computing = _Computing(asked, log.header.grad_scale, question.tolerance, stack)
        for segment in openings.segments():
            for step in opened_steps.of(segment):
                found.append(computing.compared(step, rows.batch(step.number)))
                progress("gradients", len(found), total)
    every = range(len(log.segments))
    return FloatReplay(
        openings.index,
        len(every),
        _steps(log, every),
        _told(rows),
        question.model,
        question.tolerance,
        tuple(found),
    )


class _Computing:
    """Computes steps with each arithmetic in turn, until one is close enough: first with the one
    that came closest at the first step, where all are tried until one gives the very integers.
    Processes are started when they are needed, and end with the stack."""

    def __init__(self, asked: Asked, scale: int, tolerance: float, stack: ExitStack) -> None:
        self._asked, self._scale, self._tolerance, self._stack = asked, scale, tolerance, stack
        self._order = list(ARITHMETICS)
        self._begun = False
        self._processes: dict[str, GradientProcess] = {}

    def compared(self, step: OpenedStep, rows: Rows) -> StepFound:
        """The closest that was found."""
        weights = dequantize_weight(step.weights)
        found: list[StepFound] = []
        for arithmetic in tuple(self._order):
            try:
                gradient = self._process(arithmetic).gradients(weights, rows.features, rows.labels)
            except NotReplayable:
                if not found:
                    raise
                self._order.remove(arithmetic)  # a processor without these instructions
                continue
            apart = difference(step.gradients, gradient, self._asked.parameters, self._scale)
            found.append(StepFound(step.number, apart, arithmetic.name))
            if apart.exact or (self._begun and apart.value <= self._tolerance):
                break
        found.sort(key=lambda one: one.difference.value)
        if not self._begun:
            rank = {one.arithmetic: i for i, one in enumerate(found)}
            self._order.sort(key=lambda arithmetic: rank.get(arithmetic.name, len(rank)))
            self._begun = True
        return found[0]

    def _process(self, arithmetic: Arithmetic) -> GradientProcess:
        if arithmetic.name not in self._processes:
            self._processes[arithmetic.name] = self._stack.enter_context(started(self._asked, arithmetic))
        return self._processes[arithmetic.name]


def _told(rows: OpenedData) -> str:
    return (
        f"{rows.source}: root over {counted(len(rows.rows.train), 'row')} and commitment to the seed recomputed, equal; batches in the order "
        "that follows from the seed"
    )


def _steps(log: Log, segments: Sequence[int]) -> int:
    records = (log.segments[i] for i in segments)
    return sum(record.last - record.first + 1 for record in records)


def _step_json(step: StepFound) -> dict[str, Any]:
    return {
        "step": step.number,
        "tensor": step.difference.tensor,
        "difference": _number(step.difference.value),
        "computed_with": step.arithmetic,
    }


def _number(value: float) -> float | None:
    return value if isfinite(value) else None
