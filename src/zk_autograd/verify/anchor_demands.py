"""The kinds of demand about register and anchors (verify.demands has the others).

Each is about all records of the view that counts: an anchor of the begin alone says nothing of what
came after it. What counts is what an anchor shows under the auditor's own trust
(core.anchors.Standing.SHOWN); the trainer's word doesn't, nor does what was not judged.
"""

from dataclasses import dataclass
from typing import ClassVar

from zk_autograd.core.anchors import authorities
from zk_autograd.core.text import counted, listed
from zk_autograd.verify.anchoring import Anchored, time_text
from zk_autograd.verify.demand import Answer, Facts
from zk_autograd.verify.outcome import Step

OWN_REGISTER = "the enclave's own register, which shows no other instance"


@dataclass(frozen=True, slots=True)
class InRegister:
    """The run's entries in its trainer's register cover all records. Without a pinned key an
    enclave's run has none: whoever starts another instance begins another register."""

    field: ClassVar = "register"
    step: ClassVar = Step.ANCHORS
    claimed: ClassVar = False

    @property
    def expected(self) -> str:
        return "all records in the trainer's register"

    def answer(self, facts: Facts) -> Answer:
        if facts.anchoring.registered is None:
            return Answer(False, "a run in no register")
        if not facts.anchoring.registered.named:
            return Answer(False, "a register that no pinned key names")
        if facts.log.header.proving and not facts.pinned:
            return Answer(False, OWN_REGISTER)
        covered = facts.anchoring.covering
        return Answer(covered == facts.size, f"{covered} of {facts.size}")


@dataclass(frozen=True, slots=True)
class AnchoredBy:
    """An anchor of each of these kinds counts. `field` is what asked for it."""

    kinds: tuple[str, ...]
    field: str = "anchors.require"
    step: ClassVar = Step.ANCHORS
    claimed: ClassVar = False

    @property
    def expected(self) -> str:
        return f"all records anchored by {' and '.join(self.kinds)}"

    def answer(self, facts: Facts) -> Answer:
        counting = {one.kind for one in _counting(facts)}
        left = [kind for kind in self.kinds if kind not in counting]
        return Answer(
            not left, " and ".join(kind for kind in self.kinds if kind in counting) or "no anchor that counts"
        )


@dataclass(frozen=True, slots=True)
class Authorities:
    """At least so many that vouch by one kind of anchor: two receipts of one are one
    (core.anchors.authorities)."""

    kind: str
    least: int
    step: ClassVar = Step.ANCHORS
    claimed: ClassVar = False

    @property
    def field(self) -> str:
        return f"anchors.{self.kind}.authorities"

    @property
    def expected(self) -> str:
        return f"at least {self.least} that vouch for all records"

    def answer(self, facts: Facts) -> Answer:
        found = authorities(one.claim for one in _counting(facts) if one.kind == self.kind)
        shown = f": {listed(found, 3)}" if found else ""
        return Answer(len(found) >= self.least, f"{len(found)}{shown}")


@dataclass(frozen=True, slots=True)
class AnchoredBefore:
    """An anchor that counts says that all records existed by `time` (POSIX seconds)."""

    time: int
    field: ClassVar = "freshness.anchored_before"
    step: ClassVar = Step.ANCHORS
    claimed: ClassVar = False

    @property
    def expected(self) -> str:
        return f"all records anchored by {time_text(self.time)}"

    def answer(self, facts: Facts) -> Answer:
        times = [one.claim.time for one in _counting(facts) if one.claim.time is not None]
        if not times:
            return Answer(False, f"no time, of {counted(len(_counting(facts)), 'anchor')} that count")
        return Answer(min(times) <= self.time, time_text(min(times)))


def _counting(facts: Facts) -> list[Anchored]:
    """What counts, over all records of the view."""
    return list(facts.anchoring.shown(facts.size))
