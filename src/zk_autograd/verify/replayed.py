"""What a replay shows, as values and in sentences: levels, claims, and what they don't mean."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import groupby
from math import ceil

from zk_autograd.core.records import Log
from zk_autograd.core.text import counted, listed
from zk_autograd.verify.challenge import Challenge
from zk_autograd.verify.exact_data import GENUINE, Described
from zk_autograd.verify.outcome import Claim, Finding, Level, Outcome, Source, Status
from zk_autograd.verify.proofs import GRADIENTS, L1_LIMIT

_LIMIT = (
    "a replay does not say that the data are genuine or rightly labelled, or that the graph is a good one, nor that seed, first weights and "
    "hyper-parameters were not tried until they suited; the loss in the records is the trainer's word. It was shown to you, to whom it was "
    "opened: nobody else sees it"
)
_RANGES_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Replayed:
    """Which of a log's `count` segments were computed again, `segments`, with how many `steps`;
    `drawn` are those of the auditor's own challenge, from `seed` (a text's, if `beacon`): none
    without one. `missed` and `surely_found` are of that draw (verify.sampling)."""

    count: int
    segments: tuple[int, ...]
    steps: int
    drawn: tuple[int, ...] = ()
    seed: bytes = b""
    beacon: bool = False
    missed: Fraction = Fraction(1)
    surely_found: int | None = None

    @classmethod
    def of(cls, log: Log, segments: tuple[int, ...], challenge: Challenge | None) -> "Replayed":
        """What was computed again of this log."""
        places = list(log.segments.places())
        steps = sum(places[number][2] - places[number][1] + 1 for number in segments)
        found = cls(len(places), segments, steps)
        if challenge is None:
            return found
        return replace(
            found,
            drawn=challenge.segments,
            seed=challenge.seed,
            beacon=challenge.beacon,
            missed=challenge.missed,
            surely_found=challenge.surely_found,
        )

    @property
    def whole(self) -> bool:
        """Whether that is every segment."""
        return len(self.segments) == self.count

    @property
    def unanswered(self) -> tuple[int, ...]:
        """The drawn segments that were not opened."""
        return tuple(sorted(set(self.drawn) - set(self.segments)))

    @property
    def chosen(self) -> tuple[int, ...]:
        """The opened segments that the auditor did not draw."""
        return tuple(sorted(set(self.segments) - set(self.drawn)))

    def shown(self, proved: frozenset[Level]) -> frozenset[Level]:
        """The level that this shows, of those that step 7 showed."""
        if self.whole and Level.L1 in proved:
            return frozenset({Level.L3})
        sampled = bool(self.drawn) and not self.unanswered and bool(proved & {Level.L1, Level.L1_SAMPLED})
        return frozenset({Level.L3_SAMPLED} if sampled else ())


def outcome(described: Described, replayed: Replayed, log: Log, proved: frozenset[Level]) -> Outcome:
    """Step 9's, if nothing that was computed again differs."""
    shown = replayed.shown(proved)
    whole = Level.L3 in shown
    missing = {} if whole else {Level.L3: f"L3 was not reached: {_why_not(replayed, proved)}"}
    limits = (_LIMIT,) if whole or replayed.whole else (*_sampled_limits(replayed), _LIMIT)
    return Outcome(
        Finding(Status.PASSED, (*described.sentences, *_sentences(replayed, private=described.cells is None))),
        shown=shown,
        missing=missing,
        claims=(*_claims(replayed, log, private=described.cells is None), GENUINE),
        limits=limits,
        fix="" if whole else _fix(replayed, proved),
    )


def not_replayed(described: Described, why: str) -> Outcome:
    """Step 9's, if this machine can't make the run's commitments."""
    return Outcome(
        Finding(Status.NOT_SHOWN, (*described.sentences, f"no segment was computed again: {why}")),
        missing={Level.L3: f"L3 was not reached: {why}"},
        claims=(GENUINE,),
    )


def without_gradients(proofs: Outcome, replayed: Replayed) -> Outcome:
    """Step 7's outcome where gradients were computed again: whose word they are, step 9 says. That
    L1 alone doesn't speak of them stays said unless all of them were."""
    limits = tuple(limit for limit in proofs.limits if not (replayed.whole and limit == L1_LIMIT))
    return replace(proofs, claims=tuple(claim for claim in proofs.claims if claim != GRADIENTS), limits=limits)


def ranges(numbers: Iterable[int], most: int = _RANGES_SHOWN) -> str:
    """Ascending numbers in words, "0..2, 5, 8..9": `most` ranges of them, and how many more there
    are."""
    rows = [[n for _, n in row] for _, row in groupby(enumerate(numbers), lambda at: at[1] - at[0])]
    texts = [str(row[0]) if len(row) == 1 else f"{row[0]}..{row[-1]}" for row in rows]
    return listed(texts, most)


def percent(missed: Fraction) -> str:
    """A probability in percent, rounded up: what can happen is never 0."""
    tenths = ceil(missed * 1000)
    return f"{tenths // 10}.{tenths % 10} %"


def _sentences(replayed: Replayed, *, private: bool) -> list[str]:
    where = "all" if replayed.whole else ranges(replayed.segments)
    found = [
        "the data that were given are those that the header commits to"
        if private
        else "the data are the run's own, which are public",
        f"computed again: {counted(len(replayed.segments), 'segment')} of {replayed.count} ({where}), {counted(replayed.steps, 'step')}; every "
        "gradient is the graph's to the bit, and every state what the rule leads to",
    ]
    if not replayed.drawn:
        return found if replayed.whole else [*found, "these segments were not drawn by you: they show themselves alone"]
    seed = "the beacon that was given" if replayed.beacon else f"this auditor's randomness, {replayed.seed.hex()}"
    found.append(f"drawn after the root was known: {counted(len(replayed.drawn), 'segment')}, from {seed}")
    if replayed.unanswered:
        found.append(f"drawn, and not opened: {ranges(replayed.unanswered)}")
    if replayed.chosen and not replayed.whole:
        found.append(f"opened, and not drawn: {ranges(replayed.chosen)}; they show themselves alone")
    return found


def _claims(replayed: Replayed, log: Log, *, private: bool) -> list[Claim]:
    data = "the data given" if private else "the run's public data"
    what = f"the declared graph's, on {data}, in order"
    if replayed.whole:
        return [Claim(f"the gradients of steps 1..{log.segments[-1].last}: {what}", Source.REPLAYED)]
    return [
        Claim(f"the gradients of {len(replayed.segments)} of {replayed.count} segments: {what}", Source.REPLAYED),
        Claim(
            f"the gradients of the other {counted(replayed.count - len(replayed.segments), 'segment')}", Source.CLAIMED
        ),
    ]


def _why_not(replayed: Replayed, proved: frozenset[Level]) -> str:
    if replayed.whole:
        return "every segment was computed again, but L3 rests on L1, which was not shown (step 7)"
    count = f"{len(replayed.segments)} of {replayed.count} segments were computed again"
    if not replayed.drawn:
        return f"{count}, and it was not you who drew them; all are needed, or a challenge of your own (--draw)"
    if replayed.unanswered:
        return f"drawn, and not opened: {ranges(replayed.unanswered)}"
    if not proved & {Level.L1, Level.L1_SAMPLED}:
        return f"{count}, and step 7 showed no proof"
    missed = f"one bad segment is missed {percent(replayed.missed)} of the time"
    return f"{count}, and a sample reaches L3-sampled ({missed}): open all, or give --accept-sample"


def _fix(replayed: Replayed, proved: frozenset[Level]) -> str:
    if replayed.whole or not proved & {Level.L1, Level.L1_SAMPLED}:
        return ""
    if replayed.unanswered:
        return (
            "ask the trainer to open what you drew (zk-run open RUN --challenge FILE), and rely on nothing before that"
        )
    if not replayed.drawn:
        return "draw segments yourself (zk-verify RUN --draw K --challenge FILE), and ask the trainer to open those, or all"
    return "ask for openings of all segments (zk-run open RUN --all), or give --accept-sample if a sample is enough for you"


def _sampled_limits(replayed: Replayed) -> list[str]:
    count = replayed.count - len(replayed.segments)
    left = f"{counted(count, 'segment')} {'was' if count == 1 else 'were'} not computed again"
    if not replayed.drawn or replayed.unanswered:
        return [f"{left}, and whoever chose the others could avoid a bad one"]
    found = [
        f"{left}: a bad one among them is missed {percent(replayed.missed)} of the time, and one can "
        "replace the model; a sample reaches L3-sampled, never L3"
    ]
    if replayed.beacon:
        found.append(
            "nothing shows that the trainer did not know the beacon when the log was made: no anchor's time is held against it"
        )
    return found
