"""Attack: round the other way. M', Mh, V', the root S, B', Nesterov's N, the decay or floor(W /
2^15) one more or one less than the rule's, with everything after it consistent.

Gain: a choice of one unit in each rounding, at every step and element: a hidden channel of a bit or
two per value and step, states that the exact rule never reaches, and an update that is larger or
smaller where S or Mh is small. A floor of W one off moves the decay by up to 2^13.

Why it fails: the remainder of a division by 2^15, moved by one, is looked up, and its output must
be 1, which it is on 1 .. 2^15 alone: a quotient too small leaves a remainder above 2^15 (in the
table, output 2: the penalty refuses it), one too large leaves 0 (output 0) or a negative number
(not in the table). A root one off makes t = S*S + 2*S - V' or e = 2*S - t negative, and its limbs
leave the table.
"""

from collections.abc import Callable
from functools import cache
from math import isqrt

from attacks.tools.cheat import Cheat, described, outcome
from attacks.tools.outcome import Outcome
from attacks.tools.segment import ONE, Segment, State, exact_step
from attacks.tools.variants import ADAMS, BUFFERED, DECAYING, LIONS, NESTEROVS, ROOTED, SGDS, start, under
from zk_autograd.core.constants import AdamConstants, SgdConstants, StepConstants
from zk_autograd.core.formats import SHIFT
from zk_autograd.prove.ezkl.circuit.relations import OFFSET_G
from zk_autograd.prove.ezkl.circuit.variants import CIRCUITS

GAIN = "one unit more or less in every rounding, as the prover likes"

ADAM = AdamConstants(c1=3277, c2=33, LR=2**22, E=700, D=0)
SGD = SgdConstants(mu=29491, cg=ONE, LR=2**28 + 12345, s=30, D=0)
GRADIENT = 4000
LARGE_DECAY = 2**28 - 1
STRIDE = 5 * ONE + 1
"""W is tried in such steps, which change both W and floor(W / 2^15) modulo 2^15, and 2^15 further
each time round."""


@cache
def cheats() -> tuple[Cheat, ...]:
    """Each once in a segment's last step, whose lines differ, and once before it."""
    return tuple(cheat for steps, at in ((1, 0), (3, 1), (3, 2)) for cheat in _at(steps, at))


def _at(steps: int, at: int) -> list[Cheat]:
    return [
        *(cheat for variant in ADAMS for cheat in _moments(variant, steps, at)),
        *(cheat for variant in ROOTED for cheat in _roots(variant, steps, at)),
        *(cheat for variant in LIONS for cheat in _lions(variant, steps, at)),
        *(cheat for variant in BUFFERED for cheat in _buffers(variant, steps, at)),
        *(cheat for variant in NESTEROVS for cheat in _aheads(variant, steps, at)),
        *(cheat for variant in DECAYING for cheat in _decays(variant, steps, at)),
    ]


def _moments(variant: str, steps: int, at: int) -> list[Cheat]:
    def changed(wanted: Wanted, **more: int) -> Segment:
        return _changed(variant, steps, at, wanted, **more)

    return [
        Cheat("M' one less", changed(lambda s: _room(_r1(s)), M=-1), exact=("r1",)),
        Cheat("M' one more, remainder 2^15", changed(lambda s: _r1(s) == ONE, M=1), exact=("r1",)),
        Cheat("M' three more", changed(_any, M=3), lookups=("r1",)),
        Cheat("Mh one less", changed(lambda s: _room(_rm(s)), Mh=-1), exact=("rm",)),
        Cheat("Mh one more, remainder 2^15", changed(lambda s: _rm(s) == ONE, Mh=1), exact=("rm",)),
        Cheat("Mh three more", changed(_any, Mh=3), lookups=("rm",)),
    ]


def _roots(variant: str, steps: int, at: int) -> list[Cheat]:
    def changed(wanted: Wanted, **more: int) -> Segment:
        return _changed(variant, steps, at, wanted, **more)

    found = [
        Cheat("V' one less", changed(lambda s: _room(_r2(s)), V=-1), exact=("r2",)),
        Cheat("V' one more, remainder 2^15", changed(lambda s: _r2(s) == ONE, V=1), exact=("r2",)),
        Cheat("V' three more", changed(_any, V=3), lookups=("r2",)),
    ]
    for limb in ("t0", "t1"):
        found.append(Cheat(f"S one less, {limb} negative", changed(_any, S=-1).sparing(limb), lookups=(limb,)))
    for limb in ("e0", "e1"):
        found.append(Cheat(f"S one more, {limb} negative", changed(_any, S=1).sparing(limb), lookups=(limb,)))
    return found


def _lions(variant: str, steps: int, at: int) -> list[Cheat]:
    found = []
    for title, wanted, more, checks in (
        ("M' one less", lambda s: _room(_rl(s)), -1, {"exact": ("r1",)}),
        ("M' one less, and no penalties looked up", lambda s: _room(_rl(s)), -1, {"lookups": ("p",)}),
        ("M' one more, remainder 2^15", lambda s: _rl(s) == ONE, 1, {"exact": ("r1",)}),
        ("M' three more", _any, 3, {"lookups": ("r1",)}),
    ):
        found.append(Cheat(title, _changed(variant, steps, at, wanted, M=more), **checks))
    return found


def _buffers(variant: str, steps: int, at: int) -> list[Cheat]:
    found = []
    for title, wanted, more, checks in (
        ("B' one less", lambda s: _room(_rb(s)), -1, {"exact": ("rm",)}),
        ("B' one less, and no penalties looked up", lambda s: _room(_rb(s)), -1, {"lookups": ("p",)}),
        ("B' one more, remainder 2^15", lambda s: _rb(s) == ONE, 1, {"exact": ("rm",)}),
        ("B' three more", _any, 3, {"lookups": ("rm",)}),
    ):
        segment = _search(variant, under(variant, SGD), steps, at, wanted)
        segment = segment.with_state("B", at + 1, 0, segment.states["B"][at + 1][0] + more)
        found.append(Cheat(title, segment.moved(at), **checks))
    return found


def _aheads(variant: str, steps: int, at: int) -> list[Cheat]:
    found = []
    for title, wanted, more, checks in (
        ("N one less", lambda s: _room(_rn(s)), -1, {"exact": ("rn",)}),
        ("N one more, remainder 2^15", lambda s: _rn(s) == ONE, 1, {"exact": ("rn",)}),
        ("N three more", _any, 3, {"lookups": ("rn",)}),
    ):
        segment = _search(variant, under(variant, SGD), steps, at, wanted)
        ahead = (SGD.mu * segment.states["B"][at + 1][0] + ONE // 2) >> SHIFT
        found.append(Cheat(title, segment.with_hint("N", at, 0, ahead + OFFSET_G + more).moved(at), **checks))
    return found


def _decays(variant: str, steps: int, at: int) -> list[Cheat]:
    c: StepConstants = under(variant, SGD if variant in SGDS else ADAM, LARGE_DECAY)
    found = []
    for title, wanted, more, checks in (
        ("Rd one less", lambda s: _room(_rd(s)), -1, {"exact": ("rd",)}),
        (
            "Rd one less, and no penalties looked up",
            lambda s: _room(_rd(s)),
            -1,
            {"lookups": (CIRCUITS[variant].last,)},
        ),
        ("Rd one more, remainder 2^15", lambda s: _rd(s) == ONE, 1, {"exact": ("rd",)}),
        ("Rd three more", _any, 3, {"lookups": ("rd",)}),
    ):
        segment = _search(variant, c, steps, at, wanted)
        found.append(Cheat(title, segment.with_hint("Rd", at, 0, segment.decay(at, 0) + more).moved(at), **checks))
    for title, wanted, more, checks in (
        ("floor(W / 2^15) one less", lambda s: _room(_wl(s)), -1, {"exact": ("wl",)}),
        ("floor(W / 2^15) one more, remainder 2^15", lambda s: _wl(s) == ONE, 1, {"exact": ("wl",)}),
        ("floor(W / 2^15) three more", _any, 3, {"lookups": ("wl",)}),
    ):
        segment = _search(variant, c, steps, at, wanted)
        floor = segment.states["W"][at][0] >> SHIFT
        found.append(Cheat(title, segment.with_hint("wq", at, 0, floor + OFFSET_G + more).moved(at), **checks))
    return found


Wanted = Callable[[State], bool]
"""Whether a step from this state, under GRADIENT, has the remainder that a cheat needs."""


def _any(state: State) -> bool:
    return True


def _room(remainder: int) -> bool:
    """Whether a remainder larger by 2^15 is still in the table."""
    return remainder + ONE < 2 * ONE - 9


def _r1(state: State) -> int:
    return (ADAM.c1 * ONE * GRADIENT + (ONE - ADAM.c1) * state["M"] + ONE // 2) % ONE + 1


def _rl(state: State) -> int:
    return (ADAM.c2 * ONE * GRADIENT + (ONE - ADAM.c2) * state["M"] + ONE // 2) % ONE + 1


def _r2(state: State) -> int:
    return (ADAM.c2 * GRADIENT**2 + (ONE - ADAM.c2) * state["V"] + ONE // 2) % ONE + 1


def _rm(state: State) -> int:
    return (exact_step("adam", state, GRADIENT, ADAM)["M"] + ONE // 2) % ONE + 1


def _rb(state: State) -> int:
    return (SGD.mu * state["B"] + ONE // 2) % ONE + 1


def _rn(state: State) -> int:
    return (SGD.mu * exact_step("sgd-momentum", state, GRADIENT, SGD)["B"] + ONE // 2) % ONE + 1


def _wl(state: State) -> int:
    return state["W"] % ONE + 1


def _rd(state: State) -> int:
    return (LARGE_DECAY * (state["W"] >> SHIFT) + ONE // 2) % ONE + 1


def _search(variant: str, constants: StepConstants, steps: int, at: int, wanted: Wanted) -> Segment:
    """An honest segment whose step `at` has the remainder that a cheat needs."""
    for low in range(8 * ONE):
        weight = 12345 + STRIDE * low + ONE * (low // ONE)
        first = start(variant, W=weight, M=987654321 + low, V=10**6 + low, B=54321 + low)
        state = first
        for _ in range(at):
            state = exact_step(variant, state, GRADIENT, constants)
        if wanted(state):
            return Segment.honest(variant, [constants] * steps, [first], [[GRADIENT]] * steps)
    raise AssertionError("no segment has such a remainder")


def _changed(
    variant: str, steps: int, at: int, wanted: Wanted, M: int = 0, V: int = 0, Mh: int = 0, S: int = 0
) -> Segment:
    """A segment whose step `at` rounds differently: M', V', Mh or S are that much more, and W' and
    all later steps follow from them."""
    segment = _search(variant, under(variant, ADAM), steps, at, wanted)
    for name, more in (("M", M), ("V", V)):
        if name in segment.states:
            segment = segment.with_state(name, at + 1, 0, segment.states[name][at + 1][0] + more)
    after = {name: rows[at + 1][0] for name, rows in segment.states.items()}
    if Mh:
        segment = segment.with_hint("Mh", at, 0, ((after["M"] + ONE // 2) >> SHIFT) + Mh)
    if S:
        segment = segment.with_hint("S", at, 0, isqrt(after["V"]) + S)
    return segment.moved(at)


def run() -> Outcome:
    """Tries all of them."""
    return outcome("rounding off by one", cheats(), GAIN)


if __name__ == "__main__":
    print(run())
    print(described(cheats()))
