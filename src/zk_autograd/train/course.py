"""How long a training takes whose segments are proved beside it: by the times of one step and of
one segment's proofs, computed segment by segment.

Training and proving share the machine's cores. Alone each goes at its own speed; side by side the
system gives each thread its turn: with c cores that the prover uses all, c + 1 threads want them,
and each gets c / (c + 1) of what it would have alone. Training waits while more than
`backlog` sealed segments, besides the one being proved, are not proved yet: run.proving_thread.
"""

from dataclasses import dataclass

_EXACT = 200
"""Segments that are followed one by one; a longer run goes on as the last ones went."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: `step` of one step, `proof` of the proofs of a segment of `steps` steps, with all
    cores; `first` is what the first of them takes more."""

    step: float
    steps: int
    proof: float
    first: float = 0


def total_seconds(pace: Pace, steps: int, *, cores: int, backlog: int) -> float:
    """Seconds from the first step to the last record of a run of `steps` steps, from 1."""
    segments = -(-steps // pace.steps)
    short = steps - (segments - 1) * pace.steps  # the last segment's steps; its proof takes as long
    if segments <= _EXACT:
        return _followed(pace, segments, short, cores, backlog)
    whole, half = (_followed(pace, n, pace.steps, cores, backlog) for n in (_EXACT, _EXACT // 2))
    each = (whole - half) / (_EXACT - _EXACT // 2)
    return whole + each * (segments - _EXACT) - (pace.steps - short) * pace.step


def _followed(pace: Pace, segments: int, short: int, cores: int, backlog: int) -> float:
    shared = cores / (cores + 1)
    now, sealed, proved = 0.0, 0, 0
    training, proving = pace.step * (short if segments == 1 else pace.steps), 0.0  # seconds of work that are left
    while proved < segments:
        if not proving and sealed > proved:
            proving = pace.proof + (0 if proved else pace.first)
        waits = sealed == segments or sealed - proved > backlog + 1
        busy = ([] if waits else [training]) + ([proving] if sealed > proved else [])
        speed = shared if len(busy) == 2 else 1.0
        worked = min(busy)
        now += worked / speed
        if not waits:
            training -= worked
            if training <= 1e-12:
                sealed += 1
                training = pace.step * (short if sealed == segments - 1 else pace.steps)
        if len(busy) == 2 or waits:
            proving -= worked
            if proving <= 1e-12:
                proved, proving = proved + 1, 0.0
    return now
