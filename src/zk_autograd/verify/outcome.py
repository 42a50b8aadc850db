"""The outcome of a verification step: the one form in which every step answers, and from which step
11 decides.

No decision rests on a sentence: levels, what keeps one from being reached, and where a claim comes
from are values.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, IntEnum

from zk_autograd.core.errors import VerificationError


class Step(IntEnum):
    """The steps of a verification; the numbers are those of docs/verification.md, of the tests'
    names and of VerificationError.step."""

    PARSE = 1
    SIGNATURES = 2
    LOG = 3
    ANCHORS = 4
    STATEMENT = 5
    CHAIN = 6
    PROOFS = 7
    ATTESTATION = 8
    DATA = 9
    MODEL = 10
    VERDICT = 11

    @property
    def title(self) -> str:
        return "Register and anchors" if self is Step.ANCHORS else self.name.capitalize()


class Status(Enum):
    """How a step ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_SHOWN = "not shown"
    SKIPPED = "skipped"
    ABSENT = "absent"
    NOT_REACHED = "not reached"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Finding:
    """How a step ended, and in sentences what it checked and what it found."""

    status: Status
    sentences: tuple[str, ...] = ()


NOT_REACHED = Finding(Status.NOT_REACHED)


@dataclass(frozen=True, slots=True)
class SampleTaken:
    """The sample of proofs, drawn from `seed`; `beacon`: whether that is the policy's beacon. Where
    an earlier sample was continued, `verified` are those that it left, `earlier` those that it
    verified, and `report` is its report's SHA-256."""

    proofs: int
    verified: tuple[int, ...]
    seed: bytes
    beacon: bool
    miss_one: str
    surely_found: int | None
    earlier: tuple[int, ...] = ()
    report: bytes = b""


@dataclass(frozen=True, slots=True)
class UncoveredFile:
    """A name in the run that no record names: its path, with "/". A `harmless` name doesn't count
    against the run, nor does one that the auditor `accepted`; `resembles` is the run's own name
    that it may be mistaken for."""

    name: str
    harmless: bool
    accepted: bool
    resembles: str | None

    @property
    def weighs(self) -> bool:
        """Whether it counts against the verdict."""
        return not (self.harmless or self.accepted)


class Level(Enum):
    """What can be shown of a run (docs/verification.md). L1_SAMPLED and L3_SAMPLED are reached,
    never required: see `Policy.accept_sample`."""

    L0 = "L0"
    L1 = "L1"
    L1_SAMPLED = "L1-sampled"
    L2 = "L2"
    L3 = "L3"
    L3_SAMPLED = "L3-sampled"


RESTS_ON: Mapping[Level, frozenset[Level]] = {
    Level.L0: frozenset(),
    Level.L1: frozenset({Level.L0}),
    Level.L1_SAMPLED: frozenset({Level.L0}),
    Level.L2: frozenset({Level.L0, Level.L1}),
    Level.L3: frozenset({Level.L0, Level.L1}),
    Level.L3_SAMPLED: frozenset({Level.L0}),
}
"""The levels without which a level is not reached. L2 and L3 rest on L1, which no sample reaches.
L3_SAMPLED is shown by step 9 only where step 7 showed L1 or L1_SAMPLED."""

SAMPLES: Mapping[Level, Level] = {Level.L1: Level.L1_SAMPLED, Level.L3: Level.L3_SAMPLED}
"""What a sample reaches in place of a level."""


class Source(Enum):
    """Where a statement about a run comes from."""

    PROVED = "proved"
    ATTESTED = "attested"
    REPLAYED = "replayed"
    ANCHORED = "anchored"
    CLAIMED = "claimed by the trainer"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that a run claims, or could claim, and where it comes from."""

    what: str
    source: Source


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step found.

    `shown` are the levels that it shows, provided those they rest on are shown; `missing` says why
    the step keeps a level from being reached. `withheld` says why the verdict is not complete,
    whatever the levels; `fix` says what to do about either. `claims` are those whose source the
    step knows, `limits` what none of this means: sentences for a reader, on which no decision
    rests.
    """

    finding: Finding
    shown: frozenset[Level] = frozenset()
    missing: Mapping[Level, str] = field(default_factory=dict)
    withheld: tuple[str, ...] = ()
    fix: str = ""
    claims: tuple[Claim, ...] = ()
    limits: tuple[str, ...] = ()


def combined(status: Status, *parts: Outcome) -> Outcome:
    """One outcome for a step's parts, in their order."""
    return Outcome(
        Finding(status, tuple(sentence for part in parts for sentence in part.finding.sentences)),
        shown=frozenset(level for part in parts for level in part.shown),
        missing={level: why for part in parts for level, why in part.missing.items()},
        withheld=tuple(why for part in parts for why in part.withheld),
        fix=next((part.fix for part in parts if part.fix), ""),
        claims=tuple(claim for part in parts for claim in part.claims),
        limits=tuple(limit for part in parts for limit in part.limits),
    )


@contextmanager
def at(step: Step) -> Iterator[None]:
    """Attributes failures in the block to the step."""
    try:
        yield
    except VerificationError as error:
        raise error.at(step) from error
