"""The integer constants of every step, defined to the last bit from the hyper-parameters. No
floats.

A trainer and a verifier compute these independently and must agree in every bit. Hyper-parameters
are decimals, read exactly; lr_t comes from the run's schedule (`schedules`) or from the record.
With `round(x)` = floor(x + 1/2), exact rationals, and t = 1, 2, 3 ...:

Adam and AdamW, per run

    c1 = round((1 - beta1) * 2^15), c2 likewise; refused below 1  the effective beta is 1 - c/2^15
    b1 = (2^15 - c1) * 2^241, b2 likewise                         the effective beta, scale 2^256
    E_min = isqrt(floor(2^15 / c2)) + 1

and per step, where P1, P2, A1, A2, Q and F are integers at scale 2^256

    P1_1 = b1, P1_(t+1) = floor(P1_t * b1 / 2^256); P2 from b2    the powers beta^t
    A1_t = 2^256 - P1_t; A2_t likewise from P2_t
    Q_t = isqrt(A2_t * 2^256)                                     sqrt(1 - beta2^t)
    F_t = floor(Q_t * 2^256 / A1_t)                               sqrt(1 - beta2^t) / (1 - beta1^t)
    LR_t = round(lr_t * F_t * 2^32 / 2^256)
    E_t = max(E_min, round(eps * Q_t * 2^(k + 28) / 2^256))
    D_t = round(lr_t * weight_decay * 2^30)                       0 for Adam

SGD, with momentum, Nesterov

    mu = round(momentum * 2^15)                                   refused above 2^15 - 1
    cg = 2^15                                                     coefficient of the gradient
    LR_t = round(lr_t * 2^(32 - 28 - k + s))
    D_t as above

Lion

    c1, c2 as Adam's
    LR_t = round(lr_t * 2^32)
    D_t as above

RMSprop

    c2 = round((1 - alpha) * 2^15), E_min from it as Adam's
    LR_t = round(lr_t * 2^32)
    E = max(E_min, round(eps * 2^(k + 28)))
    D_t as above

where isqrt(x) is the largest integer whose square is at most x, 2^k the gradient's scale, and s, 30
or 15, is in the header. Intermediate products of rationals are not rounded: lr_t * F_t * 2^32 /
2^256 is one exact rational.

A no-op step has c1 = c2 = LR = D = 0, E = 1, as far as the rule has them; for SGD mu = 2^15, cg =
LR = D = 0. It leaves W, M, V, B as they are, whatever the gradient: cg = 0 keeps a prover from
moving B in a padding step, where mu alone would let a hidden G through.

Every constant outside its range is refused with a VerificationError, since the numbers may come
from a stranger's header; it names the hyper-parameter, its value, the range and what to change.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from fractions import Fraction
from math import isqrt
from typing import TypeAlias

from zk_autograd.core.decimals import decimal_text, round_half_up, rounded
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.formats import GRADIENT_BITS, K_RANGE, SHIFT, WEIGHT_BITS
from zk_autograd.core.hyper import AdamHyper, Hyper, LionHyper, RmspropHyper, SgdHyper, require_not_negative
from zk_autograd.core.schedules import CONSTANT, Schedule
from zk_autograd.core.text import SHOWN

COEFFICIENT_ONE = 2**SHIFT
ADAM_LR_BOUND = 2**30
"""Of Lion and RMSprop, too."""
SGD_LR_BOUND = 2**31
COARSE_LR = 2**8
"""An LR of SGD or Lion below this has lost precision."""
EPS_BOUND = 2**29
DECAY_BOUND = 2**28
DECAY_BITS = 30
FINE_S = 30
COARSE_S = 15
"""The two values of s, the shift after SGD's product LR * B."""

_BITS = 256
_ONE = 2**_BITS


@dataclass(frozen=True, slots=True)
class AdamConstants:
    """Public constants of an Adam or AdamW step. The ranges keep all products and sums below
    2^63."""

    c1: int
    c2: int
    LR: int
    E: int
    D: int

    def __post_init__(self) -> None:
        coefficients = 0 < self.c1 <= COEFFICIENT_ONE and 0 < self.c2 <= COEFFICIENT_ONE
        if coefficients and 0 <= self.LR < ADAM_LR_BOUND and 0 < self.E < EPS_BOUND and 0 <= self.D < DECAY_BOUND:
            return
        least = 0 if (self.c1, self.c2, self.LR, self.E, self.D) == (0, 0, 0, 1, 0) else 1
        _require("c1", self.c1, least, COEFFICIENT_ONE)
        _require("c2", self.c2, least, COEFFICIENT_ONE)
        _require("LR", self.LR, 0, ADAM_LR_BOUND - 1)
        _require("E", self.E, 1, EPS_BOUND - 1)
        _require("D", self.D, 0, DECAY_BOUND - 1)

    @classmethod
    def no_op(cls) -> "AdamConstants":
        """The constants of a step that changes nothing."""
        return cls(c1=0, c2=0, LR=0, E=1, D=0)


@dataclass(frozen=True, slots=True)
class SgdConstants:
    """Public constants of an SGD step. The ranges keep all products and sums below 2^63."""

    mu: int
    cg: int
    LR: int
    s: int
    D: int

    def __post_init__(self) -> None:
        if (self.mu, self.cg, self.LR, self.D) != (COEFFICIENT_ONE, 0, 0, 0):
            _require("mu", self.mu, 0, COEFFICIENT_ONE - 1)
            _require("cg", self.cg, COEFFICIENT_ONE, COEFFICIENT_ONE)
        _require("LR", self.LR, 0, SGD_LR_BOUND - 1)
        _require("D", self.D, 0, DECAY_BOUND - 1)
        _require_s(self.s)

    @classmethod
    def no_op(cls, s: int) -> "SgdConstants":
        """The constants of a step that changes nothing."""
        return cls(mu=COEFFICIENT_ONE, cg=0, LR=0, s=s, D=0)


@dataclass(frozen=True, slots=True)
class LionConstants:
    """Public constants of a Lion step. The ranges keep all products and sums below 2^63."""

    c1: int
    c2: int
    LR: int
    D: int

    def __post_init__(self) -> None:
        least = 0 if (self.c1, self.c2, self.LR, self.D) == (0, 0, 0, 0) else 1
        _require("c1", self.c1, least, COEFFICIENT_ONE)
        _require("c2", self.c2, least, COEFFICIENT_ONE)
        _require("LR", self.LR, 0, ADAM_LR_BOUND - 1)
        _require("D", self.D, 0, DECAY_BOUND - 1)

    @classmethod
    def no_op(cls) -> "LionConstants":
        """The constants of a step that changes nothing."""
        return cls(c1=0, c2=0, LR=0, D=0)


@dataclass(frozen=True, slots=True)
class RmspropConstants:
    """Public constants of an RMSprop step. The ranges keep all products and sums below 2^63."""

    c2: int
    LR: int
    E: int
    D: int

    def __post_init__(self) -> None:
        least = 0 if (self.c2, self.LR, self.E, self.D) == (0, 0, 1, 0) else 1
        _require("c2", self.c2, least, COEFFICIENT_ONE)
        _require("LR", self.LR, 0, ADAM_LR_BOUND - 1)
        _require("E", self.E, 1, EPS_BOUND - 1)
        _require("D", self.D, 0, DECAY_BOUND - 1)

    @classmethod
    def no_op(cls) -> "RmspropConstants":
        """The constants of a step that changes nothing."""
        return cls(c2=0, LR=0, E=1, D=0)


StepConstants: TypeAlias = AdamConstants | SgdConstants | LionConstants | RmspropConstants

NUMBERS = 5


def numbers(constants: StepConstants) -> tuple[int, ...]:
    """The `NUMBERS` integers that stand for a step's constants in a statement: the fields in their
    order, then zeros."""
    found = astuple(constants)
    return found + (0,) * (NUMBERS - len(found))


def from_numbers(kind: type[StepConstants], numbers: Sequence[int]) -> StepConstants:
    """The constants that `numbers` stand for. VerificationError for any that a step of this kind
    can't have."""
    own = len(fields(kind))
    if any(numbers[own:]):
        raise VerificationError(f"a step has {own} constants, and 0 after them", found=str(tuple(numbers)))
    return kind(*numbers[:own])


@dataclass(frozen=True, slots=True)
class BiasCorrection:
    """P1_t, P2_t, Q_t and F_t of the module's definition: integers at scale 2^256."""

    power1: int
    power2: int
    root: int
    ratio: int


@dataclass(frozen=True, slots=True)
class Coarse:
    """A hyper-parameter that the integers can't hold as asked for: its effective value, `effect` in
    words, and what to do."""

    name: str
    found: Fraction
    asked: Fraction
    effect: str
    advice: str


class AdamSequence:
    """The constants of steps 1, 2, 3 ... of a run of Adam or AdamW.

    Going forward costs O(1) a step; asking for a smaller t than before restarts at 1. The result
    depends on the arguments alone. However large t is, at most about 5.6 million steps are
    computed: by then both powers are 0.
    """

    def __init__(self, hyper: AdamHyper, k: int, schedule: Schedule = CONSTANT) -> None:
        """Raises VerificationError for hyper-parameters and a k that no step could use."""
        _require_k(k)
        self.hyper = hyper
        self.k = k
        self.schedule = schedule
        self._c1 = _complement("beta1", hyper.beta1)
        self._c2 = _complement("beta2", hyper.beta2)
        self._beta1 = COEFFICIENT_ONE - self._c1
        self._beta2 = COEFFICIENT_ONE - self._c2
        self._cursor = (0, _ONE, _ONE)
        self._least_eps = _least_eps(self._c2)
        self._eps = _Product(hyper.eps, self.k + GRADIENT_BITS - _BITS)
        self._decay = _Product(hyper.weight_decay, DECAY_BITS)
        # E_t only grows with t, towards this one: a run can't fail on it later.
        _derive("E", self._eps_units(_ONE), 1, EPS_BOUND - 1, "eps", hyper.eps, "lower eps or grad_scale")

    @classmethod
    def of(cls, hyper: Hyper, k: int, s: int, schedule: Schedule) -> "AdamSequence":
        """As the rows of the rules make one (rules.families)."""
        assert isinstance(hyper, AdamHyper)
        return cls(hyper, k, schedule)

    def at(self, t: int, lr: Fraction | None = None) -> AdamConstants:
        """The constants of step `t` >= 1 with that step's learning rate (default: the schedule's).

        Raises VerificationError if one of them leaves its range.
        """
        root, ratio = self._correction(t)
        lr = self.schedule.rate(self.hyper.lr, t) if lr is None else lr
        decay = _decay(lr, self.hyper.weight_decay, self._decay)
        # round(lr * F * 2^32 / 2^256), in integers
        numerator, denominator = lr.numerator * ratio, lr.denominator << (_BITS - WEIGHT_BITS)
        rate = (2 * numerator + denominator) // (2 * denominator)
        if not 0 <= rate < ADAM_LR_BOUND:
            advice = "lower lr: with the bias corrections of this step it must stay below 1/4"
            _derive(f"LR of step {t}", rate, 0, ADAM_LR_BOUND - 1, "lr", lr, advice)
        return AdamConstants(self._c1, self._c2, rate, self._eps_units(root), decay)

    def no_op(self) -> AdamConstants:
        """The constants of a padding step."""
        return AdamConstants.no_op()

    def bias_correction(self, t: int) -> BiasCorrection:
        """The powers of both betas at step `t` >= 1, and what follows from them."""
        root, ratio = self._correction(t)
        _, power1, power2 = self._cursor
        return BiasCorrection(power1, power2, root, ratio)

    def _correction(self, t: int) -> tuple[int, int]:
        """Q_t and F_t, with the powers in the cursor."""
        _require("the number of a step", t, 1, None)
        step, power1, power2 = self._cursor if self._cursor[0] <= t else (0, _ONE, _ONE)
        # floor(P*b / 2^256) is floor(P*(2^15 - c) / 2^15). A power falls by 1 or more a step until
        # it is 0, and stays there: nothing is left to compute then.
        while step < t and (power1 or power2):
            step, power1, power2 = step + 1, power1 * self._beta1 >> SHIFT, power2 * self._beta2 >> SHIFT
        self._cursor = (t, power1, power2)
        root = isqrt((_ONE - power2) * _ONE)
        return root, root * _ONE // (_ONE - power1)

    def effective(self) -> dict[str, Fraction]:
        """The beta1, beta2 and eps that the integers stand for; `decimals.decimal_text` prints them
        for a report.

        eps at step t is E_t / (sqrt(1 - beta2^t) * 2^(k + 28)): what torch's formula would need
        there. "eps" is that of large t. Where E_min holds at step 1 it weighs more there, and
        "eps_at_step_1" says how much, to three digits.
        """
        scale = Fraction(2) ** (self.k + GRADIENT_BITS)
        found = {
            "beta1": 1 - Fraction(self._c1, COEFFICIENT_ONE),
            "beta2": 1 - Fraction(self._c2, COEFFICIENT_ONE),
            "eps": self._eps_units(_ONE) / scale,
        }
        root = isqrt((_ONE - (_ONE * self._beta2 >> SHIFT)) * _ONE)
        if self._eps_units(root) > self.hyper.eps * root * scale / _ONE + Fraction(1, 2):
            found["eps_at_step_1"] = rounded(self._eps_units(root) * _ONE / (root * scale), 3)
        return found

    def coarse(self) -> Coarse | None:
        """eps, if the effective one is at least ten times what was asked for."""
        return _coarse_eps(self.effective()["eps"], self.hyper.eps, self.k)

    def _eps_units(self, root: int) -> int:
        """E for sqrt(1 - beta2^t) = `root` / 2^256."""
        return max(self._least_eps, self._eps.times(root))


class SgdSequence:
    """The constants of steps 1, 2, 3 ... of a run of SGD, with momentum or Nesterov's."""

    def __init__(self, hyper: SgdHyper, k: int, s: int, schedule: Schedule = CONSTANT) -> None:
        """Raises VerificationError for hyper-parameters, a k or an s that no step could use."""
        _require_k(k)
        _require_s(s)
        self.hyper = hyper
        self.k = k
        self.s = s
        self.schedule = schedule
        self._decay = _Product(hyper.weight_decay, DECAY_BITS)
        mu = round_half_up(hyper.momentum * COEFFICIENT_ONE)
        advice = "it must be at least 0 and below 1 - 2^-16"
        self._mu = _derive("mu", mu, 0, COEFFICIENT_ONE - 1, "momentum", hyper.momentum, advice)

    @classmethod
    def of(cls, hyper: Hyper, k: int, s: int, schedule: Schedule) -> "SgdSequence":
        """As the rows of the rules make one (rules.families)."""
        assert isinstance(hyper, SgdHyper)
        return cls(hyper, k, s, schedule)

    def at(self, t: int, lr: Fraction | None = None) -> SgdConstants:
        """The constants of step `t` >= 1 with that step's learning rate (default: the schedule's).

        Raises VerificationError if one of them leaves its range.
        """
        _require("the number of a step", t, 1, None)
        lr = self.schedule.rate(self.hyper.lr, t) if lr is None else lr
        decay = _decay(lr, self.hyper.weight_decay, self._decay)
        rate = _sgd_rate(lr, self.k, self.s)
        if not 0 <= rate < SGD_LR_BOUND:
            coarser = _sgd_rate(lr, self.k, COARSE_S) < SGD_LR_BOUND
            advice = "lower lr, or raise grad_scale" + (
                f", or use s = {COARSE_S} from the run's first step" if coarser else ""
            )
            _derive(f"LR of step {t}", rate, 0, SGD_LR_BOUND - 1, "lr", lr, advice)
        return SgdConstants(self._mu, COEFFICIENT_ONE, rate, self.s, decay)

    def no_op(self) -> SgdConstants:
        """The constants of a padding step."""
        return SgdConstants.no_op(self.s)

    def effective(self) -> dict[str, Fraction]:
        """The momentum that the integer stands for, and lr, if LR has so few bits that it
        differs."""
        found = {"momentum": Fraction(self._mu, COEFFICIENT_ONE)}
        if self._lr_is_coarse():
            units = _sgd_rate(self.hyper.lr, self.k, self.s)
            found["lr"] = units / Fraction(2) ** (WEIGHT_BITS - GRADIENT_BITS - self.k + self.s)
        return found

    def coarse(self) -> Coarse | None:
        """lr, if LR of the whole lr has so few bits that the effective lr differs."""
        if not self._lr_is_coarse():
            return None
        fine = next((k for k in reversed(K_RANGE) if _sgd_rate(self.hyper.lr, k, FINE_S) >= COARSE_LR), None)
        advice = "raise lr" if fine is None else f"{fine} or less gives it 8 bits"
        effect = "lr differs from what was asked for: it has fewer than 8 bits"
        too_large = f"grad_scale {self.k} is too large for it; {advice}"
        return Coarse("lr", self.effective()["lr"], self.hyper.lr, effect, too_large)

    def _lr_is_coarse(self) -> bool:
        """Whether LR of the whole lr is below 2^8, so that lr is rounded by up to a part in 2^9 of
        it, or to 0."""
        return self.hyper.lr > 0 and _sgd_rate(self.hyper.lr, self.k, self.s) < COARSE_LR


class LionSequence:
    """The constants of steps 1, 2, 3 ... of a run of Lion."""

    def __init__(self, hyper: LionHyper, k: int, schedule: Schedule = CONSTANT) -> None:
        """Raises VerificationError for hyper-parameters and a k that no step could use."""
        _require_k(k)
        self.hyper = hyper
        self.k = k
        self.schedule = schedule
        self._c1 = _complement("beta1", hyper.beta1)
        self._c2 = _complement("beta2", hyper.beta2)
        self._decay = _Product(hyper.weight_decay, DECAY_BITS)

    @classmethod
    def of(cls, hyper: Hyper, k: int, s: int, schedule: Schedule) -> "LionSequence":
        """As the rows of the rules make one (rules.families)."""
        assert isinstance(hyper, LionHyper)
        return cls(hyper, k, schedule)

    def at(self, t: int, lr: Fraction | None = None) -> LionConstants:
        """The constants of step `t` >= 1 with that step's learning rate (default: the schedule's).

        Raises VerificationError if one of them leaves its range.
        """
        _require("the number of a step", t, 1, None)
        lr = self.schedule.rate(self.hyper.lr, t) if lr is None else lr
        decay = _decay(lr, self.hyper.weight_decay, self._decay)
        return LionConstants(self._c1, self._c2, _bounded_rate(lr, t), decay)

    def no_op(self) -> LionConstants:
        """The constants of a padding step."""
        return LionConstants.no_op()

    def effective(self) -> dict[str, Fraction]:
        """The betas that the integers stand for, and lr, if LR has so few bits that it differs."""
        found = {
            "beta1": 1 - Fraction(self._c1, COEFFICIENT_ONE),
            "beta2": 1 - Fraction(self._c2, COEFFICIENT_ONE),
        }
        if self._lr_is_coarse():
            found["lr"] = Fraction(_rate(self.hyper.lr), 2**WEIGHT_BITS)
        return found

    def coarse(self) -> Coarse | None:
        """lr, if LR of the whole lr has so few bits that the effective lr differs."""
        if not self._lr_is_coarse():
            return None
        effect = "lr differs from what was asked for: it has fewer than 8 bits"
        return Coarse("lr", self.effective()["lr"], self.hyper.lr, effect, "raise lr")

    def _lr_is_coarse(self) -> bool:
        """As SGD's: every step moves a weight by LR itself."""
        return self.hyper.lr > 0 and _rate(self.hyper.lr) < COARSE_LR


class RmspropSequence:
    """The constants of steps 1, 2, 3 ... of a run of RMSprop."""

    def __init__(self, hyper: RmspropHyper, k: int, schedule: Schedule = CONSTANT) -> None:
        """Raises VerificationError for hyper-parameters and a k that no step could use."""
        _require_k(k)
        self.hyper = hyper
        self.k = k
        self.schedule = schedule
        self._c2 = _complement("alpha", hyper.alpha, "c2")
        eps = round_half_up(hyper.eps * Fraction(2) ** (k + GRADIENT_BITS))
        self._eps = max(_least_eps(self._c2), eps)
        _derive("E", self._eps, 1, EPS_BOUND - 1, "eps", hyper.eps, "lower eps or grad_scale")
        self._decay = _Product(hyper.weight_decay, DECAY_BITS)

    @classmethod
    def of(cls, hyper: Hyper, k: int, s: int, schedule: Schedule) -> "RmspropSequence":
        """As the rows of the rules make one (rules.families)."""
        assert isinstance(hyper, RmspropHyper)
        return cls(hyper, k, schedule)

    def at(self, t: int, lr: Fraction | None = None) -> RmspropConstants:
        """The constants of step `t` >= 1 with that step's learning rate (default: the schedule's).

        Raises VerificationError if one of them leaves its range.
        """
        _require("the number of a step", t, 1, None)
        lr = self.schedule.rate(self.hyper.lr, t) if lr is None else lr
        decay = _decay(lr, self.hyper.weight_decay, self._decay)
        return RmspropConstants(self._c2, _bounded_rate(lr, t), self._eps, decay)

    def no_op(self) -> RmspropConstants:
        """The constants of a padding step."""
        return RmspropConstants.no_op()

    def effective(self) -> dict[str, Fraction]:
        """The alpha and eps that the integers stand for."""
        return {
            "alpha": 1 - Fraction(self._c2, COEFFICIENT_ONE),
            "eps": self._eps / Fraction(2) ** (self.k + GRADIENT_BITS),
        }

    def coarse(self) -> Coarse | None:
        """eps, if the effective one is at least ten times what was asked for."""
        return _coarse_eps(self.effective()["eps"], self.hyper.eps, self.k)


ConstantsSequence: TypeAlias = AdamSequence | SgdSequence | LionSequence | RmspropSequence


def choose_s(max_lr: Fraction, k: int) -> int:
    """The s of an SGD run whose largest learning rate is `max_lr`: 30 if LR then stays below 2^31
    (lr < 2^(k-3)), else 15.

    Raises VerificationError if 15 is not enough either (lr >= 2^(k+12)), or k isn't permitted.
    """
    _require_k(k)
    if _sgd_rate(max_lr, k, FINE_S) < SGD_LR_BOUND:
        return FINE_S
    coarse = _sgd_rate(max_lr, k, COARSE_S)
    _derive("LR", coarse, 0, SGD_LR_BOUND - 1, "lr", max_lr, "lower lr or raise grad_scale")
    return COARSE_S


class _Product:
    """x -> round(factor * x * 2^exponent), in integers: a step needs it several times, and
    fractions would take most of its time."""

    __slots__ = ("_denominator", "_numerator")

    def __init__(self, factor: Fraction, exponent: int) -> None:
        scaled = 2 * factor * Fraction(2) ** exponent
        self._numerator, self._denominator = scaled.numerator, scaled.denominator

    def times(self, numerator: int, denominator: int = 1) -> int:
        """For x = `numerator` / `denominator`."""
        denominator *= self._denominator
        return (self._numerator * numerator + denominator) // (2 * denominator)


def _least_eps(c2: int) -> int:
    """E_min: a gradient with c2*G*G < 2^14 never moves V, whose root it would be divided by."""
    return isqrt(COEFFICIENT_ONE // c2) + 1


def _coarse_eps(found: Fraction, asked: Fraction, k: int) -> Coarse | None:
    if found < 10 * asked:
        return None
    effect = "eps is at least ten times what was asked for"
    return Coarse("eps", found, asked, effect, f"grad_scale {k} is too small for it")


def _rate(lr: Fraction) -> int:
    """LR of a rule without bias correction whose update has the weights' scale."""
    require_not_negative("lr", lr)
    return round_half_up(lr * 2**WEIGHT_BITS)


def _bounded_rate(lr: Fraction, t: int) -> int:
    return _derive(f"LR of step {t}", _rate(lr), 0, ADAM_LR_BOUND - 1, "lr", lr, "lower lr: it must stay below 1/4")


def _sgd_rate(lr: Fraction, k: int, s: int) -> int:
    require_not_negative("lr", lr)
    exponent = WEIGHT_BITS - GRADIENT_BITS - k + s
    numerator, denominator = lr.numerator << max(exponent, 0), lr.denominator << max(-exponent, 0)
    return (2 * numerator + denominator) // (2 * denominator)


def _decay(lr: Fraction, weight_decay: Fraction, product: _Product) -> int:
    """D; `product` is that of weight_decay and 2^30."""
    require_not_negative("lr", lr)
    units = product.times(lr.numerator, lr.denominator) if weight_decay else 0
    if 0 <= units < DECAY_BOUND:
        return units
    advice = "lower it, or lr: their product must stay below 1/4"
    return _derive("D", units, 0, DECAY_BOUND - 1, "weight_decay", weight_decay, advice)


def _complement(name: str, beta: Fraction, symbol: str = "") -> int:
    """c = round((1 - beta) * 2^15); `symbol` is what a message calls it."""
    units = round_half_up((1 - beta) * COEFFICIENT_ONE)
    advice = "it must be at least 0 and at most 1 - 2^-16"
    return _derive(symbol or f"c{name[-1]}", units, 1, COEFFICIENT_ONE, name, beta, advice)


def _derive(symbol: str, value: int, low: int, high: int, name: str, given: Fraction, advice: str) -> int:
    """`value`, the constant that `name` = `given` leads to, if it is in `low`..`high`."""
    if low <= value <= high:
        return value
    text = decimal_text(given)
    if "/" in text or len(text) > SHOWN:  # a schedule's rate may have a hundred digits
        text = "about " + decimal_text(rounded(given, 6))
    raise VerificationError(
        f"{name} = {text} gives {symbol} out of range; {advice}",
        expected=f"{low}..{high}",
        found=str(value),
    )


def _require(name: str, value: int, low: int, high: int | None) -> None:
    if value < low or (high is not None and value > high):
        expected = f"at least {low}" if high is None else f"{low}..{high}"
        raise VerificationError(f"{name} is out of range", expected=expected, found=str(value))


def _require_k(k: int) -> None:
    _require("grad_scale's exponent k", k, K_RANGE[0], K_RANGE[-1])


def _require_s(s: int) -> None:
    if s not in (FINE_S, COARSE_S):
        raise VerificationError("s of SGD is not permitted", expected=f"{FINE_S} or {COARSE_S}", found=str(s))
