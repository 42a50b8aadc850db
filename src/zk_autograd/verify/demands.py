"""The kinds of demand that a policy file can make: one class each, with the step that knows the
answer. A new demand is a class here and its line in verify.policy_file.

All comparisons are exact: decimals are rationals, and so are the rates of a schedule
(core.schedules). What can't be compared is not met.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import ClassVar

from zk_autograd.core.decimals import decimal_text, parse_decimal, rounded
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.records import Segment
from zk_autograd.core.text import SHOWN, counted, quoted
from zk_autograd.verify.demand import Answer, Facts
from zk_autograd.verify.outcome import Status, Step


@dataclass(frozen=True, slots=True)
class SignedBy:
    """All of these keys signed. One that did not fails step 2; this says so in the answers."""

    keys: tuple[PublicKey, ...]
    field: ClassVar = "keys"
    step: ClassVar = Step.SIGNATURES
    claimed: ClassVar = False

    @property
    def expected(self) -> str:
        return f"{counted(len(self.keys), 'signature')}, one by each of its keys"

    def answer(self, facts: Facts) -> Answer:
        signed = sum(key in facts.signers for key in self.keys)
        return Answer(signed == len(self.keys), str(signed))


@dataclass(frozen=True, slots=True)
class ProverAllowed:
    """The backend is one of these."""

    provers: tuple[str, ...]
    field: ClassVar = "provers"
    step: ClassVar = Step.STATEMENT
    claimed: ClassVar = False

    @property
    def expected(self) -> str:
        return " or ".join(self.provers)

    def answer(self, facts: Facts) -> Answer:
        backend = facts.log.header.prover.backend
        return Answer(backend in self.provers, backend)


@dataclass(frozen=True, slots=True)
class ProvenBits:
    """The proofs of this backend were verified, and forging one takes at least 2^`least` work, as
    far as that is proven. A backend that states no number doesn't meet it."""

    prover: str
    least: int
    step: ClassVar = Step.PROOFS
    claimed: ClassVar = False

    @property
    def field(self) -> str:
        return f"provers.{self.prover}.min_bits"

    @property
    def expected(self) -> str:
        return f"at least {self.least} proven bits"

    def answer(self, facts: Facts) -> Answer:
        backend = facts.log.header.prover.backend
        if backend != self.prover:
            return Answer(None, f"the prover is {backend}")
        if not facts.proved:
            return Answer(False, "no proof that was verified")
        if facts.trust is None or facts.trust.security is None:
            return Answer(False, f"no number: nothing is proven of how hard a proof of {backend} is to forge")
        bits = facts.trust.security.proven_bits
        return Answer(bits >= self.least, f"{floor(10 * bits) / 10:.1f}")


@dataclass(frozen=True, slots=True)
class SrsListed:
    """The SRS of the proofs is one of these, by its SHA-256."""

    prover: str
    digests: frozenset[bytes]
    step: ClassVar = Step.STATEMENT
    claimed: ClassVar = False

    @property
    def field(self) -> str:
        return f"provers.{self.prover}.srs"

    @property
    def expected(self) -> str:
        return f"one of its SRS ({len(self.digests)})"

    def answer(self, facts: Facts) -> Answer:
        prover = facts.log.header.prover
        if prover.backend != self.prover:
            return Answer(None, f"the prover is {prover.backend}")
        return Answer(prover.srs_digest in self.digests, prover.srs_digest.hex())


@dataclass(frozen=True, slots=True)
class RuleAllowed:
    """The update rule is one of these."""

    rules: tuple[Rule, ...]
    field: ClassVar = "rules"
    step: ClassVar = Step.STATEMENT
    claimed: ClassVar = False

    @property
    def expected(self) -> str:
        return " or ".join(rule.value for rule in self.rules)

    def answer(self, facts: Facts) -> Answer:
        rule = facts.log.header.rule
        return Answer(rule in self.rules, rule.value)


@dataclass(frozen=True, slots=True)
class HyperInRange:
    """A hyper-parameter of this rule is within `low` .. `high` in every group: the header's exact
    decimals. For lr the rates of all steps count, too: those of the declared schedule, or those
    recorded."""

    rule: Rule
    name: str
    low: Fraction
    high: Fraction
    step: ClassVar = Step.STATEMENT
    claimed: ClassVar = False

    @property
    def field(self) -> str:
        return f"rules.{self.rule.value}.{self.name}"

    @property
    def expected(self) -> str:
        return f"{decimal_text(self.low)} to {decimal_text(self.high)}"

    def answer(self, facts: Facts) -> Answer:
        if facts.log.header.rule is not self.rule:
            return Answer(None, f"the rule is {facts.log.header.rule.value}")
        values: list[Fraction] = []
        for place, value in _values(facts, self.name):
            if value is None:
                return Answer(False, f"no decimal ({place})")
            if not self.low <= value <= self.high:
                return Answer(False, f"{_short(value)} ({place})")
            values.append(value)
        if not values:
            return Answer(False, f"no {self.name}")
        return Answer(True, " to ".join(map(_short, sorted({min(values), max(values)}))))


def _values(facts: Facts, name: str) -> Iterator[tuple[str, Fraction | None]]:
    """Where the hyper-parameter stands, and its value, None if that is no decimal. Of the rates of
    a declared schedule the least and the greatest are enough."""
    header = facts.log.header
    schedule = header.declared
    for index, group in enumerate(header.groups):
        own = _decimal(dict(group.hyper).get(name, ""))
        yield f"group {index}", own
        if name == "lr" and schedule is not None and facts.steps and own is not None:
            for step in schedule.extremes(facts.steps):
                yield f"group {index}, step {step}", schedule.rate(own, step)
    if name == "lr" and schedule is None:
        yield from _recorded(facts.log.segments)


def _recorded(segments: Sequence[Segment]) -> Iterator[tuple[str, Fraction | None]]:
    """The recorded rates, equal ones once."""
    seen: set[str] = set()
    for segment in segments:
        for offset, groups in enumerate(segment.lr):
            for index, text in enumerate(groups):
                if text not in seen:
                    seen.add(text)
                    yield f"group {index}, step {segment.first + offset}", _decimal(text)


@dataclass(frozen=True, slots=True)
class LeastSteps:
    """The optimizer took at least this many steps."""

    least: int
    field: ClassVar = "run.min_steps"
    step: ClassVar = Step.CHAIN
    claimed: ClassVar = False

    @property
    def expected(self) -> str:
        return f"at least {counted(self.least, 'step')}"

    def answer(self, facts: Facts) -> Answer:
        return Answer(facts.steps >= self.least, str(facts.steps))


@dataclass(frozen=True, slots=True)
class Finished:
    """The view ends in a close record."""

    field: ClassVar = "run.finished"
    step: ClassVar = Step.CHAIN
    claimed: ClassVar = False
    expected: ClassVar = "a finished run"

    def answer(self, facts: Facts) -> Answer:
        finished = facts.log.close is not None
        return Answer(finished, "a close record" if finished else "no close record")


@dataclass(frozen=True, slots=True)
class ModelPublished:
    """Weights are published, and were shown to open the last commitment."""

    field: ClassVar = "run.model"
    step: ClassVar = Step.MODEL
    claimed: ClassVar = False
    expected: ClassVar = "a published model, shown to open the last commitment"

    def answer(self, facts: Facts) -> Answer:
        if facts.model is Status.PASSED:
            return Answer(True, "one")
        published = facts.log.close is not None and facts.log.close.model
        return Answer(False, "one for which that was not shown" if published else "none")


@dataclass(frozen=True, slots=True)
class LastLoss:
    """The loss that the trainer claims for the last step is at most this."""

    most: Fraction
    field: ClassVar = "claims.max_last_loss"
    step: ClassVar = Step.CHAIN
    claimed: ClassVar = True

    @property
    def expected(self) -> str:
        return f"a claimed loss of at most {_signed(self.most)} at the last step"

    def answer(self, facts: Facts) -> Answer:
        segment = facts.log.segments[-1] if facts.log.segments else None
        if segment is None or len(segment.loss) != segment.last - segment.first + 1 or not segment.loss[-1]:
            return Answer(False, "none")
        text = segment.loss[-1]
        loss = signed_decimal(text)
        if loss is None:
            return Answer(False, f"{quoted(text, SHOWN)}, which is not a decimal")
        return Answer(loss <= self.most, quoted(text, SHOWN))


@dataclass(frozen=True, slots=True)
class SaturatedShare:
    """Of the gradients' elements in all steps, the share that the trainer claims to have saturated
    is at most this."""

    most: Fraction
    field: ClassVar = "claims.max_saturated_share"
    step: ClassVar = Step.CHAIN
    claimed: ClassVar = True

    @property
    def expected(self) -> str:
        return f"a claimed share of at most {decimal_text(self.most)}"

    def answer(self, facts: Facts) -> Answer:
        segments, size = facts.log.segments, facts.log.header.size
        if not segments or any(len(s.saturated) != s.last - s.first + 1 for s in segments):
            return Answer(False, "none for some step")
        share = Fraction(sum(sum(s.saturated) for s in segments), facts.steps * size)
        return Answer(share <= self.most, _short(share))


def signed_decimal(text: str) -> Fraction | None:
    """The exact value of a decimal that may be negative; None for any other text ("nan", "inf")."""
    value = _decimal(text.removeprefix("-"))
    return -value if value is not None and text.startswith("-") else value


def _decimal(text: str) -> Fraction | None:
    try:
        return parse_decimal(text, "it")
    except VerificationError:
        return None


def _signed(value: Fraction) -> str:
    return f"-{decimal_text(-value)}" if value < 0 else decimal_text(value)


def _short(value: Fraction) -> str:
    """A value from a run: exact, or about, if its decimal is long or it has none."""
    text = decimal_text(value)
    return text if "/" not in text and len(text) <= SHOWN else f"about {decimal_text(rounded(value, 6))}"
