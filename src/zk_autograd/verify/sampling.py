"""Which proofs a sample holds, and what it misses. Exact integers only.

Of n proofs, numbered segment by segment and block by block, the first and the last are always in
it. The other k - 2 are drawn from the n - 2 between them, uniformly and without replacement, from
the bytes

    SHAKE-256("zk-autograd/sample/v0\\n" || len(seed) || seed || root || size)

(len(seed) and size: 8 bytes, big-endian), read as 8-byte big-endian numbers x: a number below b is
x mod b for the first x below the largest multiple of b up to 2^64. The draw is the first k - 2
steps of a Fisher-Yates shuffle of 1 .. n-2: step i swaps place i with place i + (a number below
n-2-i).

With m bad proofs among the n - 2, the sample misses all of them with probability C(n-2-m, k-2) /
C(n-2, k-2).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from hashlib import shake_256
from math import ceil, prod

from zk_autograd.core.errors import UsageError

DOMAIN = b"zk-autograd/sample/v0\n"
_WORD = 8
_FIRST_READ = 1024


@dataclass(frozen=True, slots=True)
class Detection:
    """What a sample is to find: if at least `bad` proofs are bad, a share of all (a Fraction of at
    most 1) or a number of them, at least one of them with probability `target`, below 1."""

    target: Fraction
    bad: Fraction | int

    @classmethod
    def parse(cls, target: str, bad: str) -> "Detection":
        """Of texts such as "0.99" or "99%", and "1%" or "3". UsageError for others."""
        probability, share = _fraction(target), _fraction(bad)
        if probability is None or not 0 < probability < 1:
            raise UsageError(
                f"--target-detection {target[:40]!a} is not a probability above 0 and below 1, such as 0.99; to be certain, verify all proofs"
            )
        whole = share is not None and "%" not in bad and share.denominator == 1
        if share is None or share <= 0 or not (whole or share <= 1):
            raise UsageError(
                f"--bad {bad[:40]!a} is neither a share, such as 1% or 0.01, nor a number of proofs, such as 3"
            )
        return cls(probability, int(share) if whole else share)

    def count(self, proofs: int) -> int:
        """How many of `proofs` proofs are to be taken for bad, at least 1."""
        return max(1, self.bad if isinstance(self.bad, int) else ceil(self.bad * proofs))

    def sample(self, proofs: int) -> int:
        """The smallest sample that finds one of them with the target's probability, first and last
        included; it may be all proofs."""
        bad = min(self.count(proofs), max(proofs - 2, 0))
        if bad == 0:
            return max(2, proofs)

        def enough(sample: int) -> bool:
            return sample >= proofs or 1 - miss_probability(proofs, sample, bad) >= self.target

        high = 2  # doubled first, which keeps the numbers small, as in `surely_found`
        while not enough(high):
            high *= 2
        low, high = high // 2, min(high, proofs)  # too small, large enough
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if enough(middle) else (middle, high)
        return max(2, high)


def _fraction(text: str) -> Fraction | None:
    """The number of a short decimal text, perhaps in percent; None for any other text."""
    digits = text.removesuffix("%")
    if not (digits.isascii() and len(digits) <= 20 and digits.replace(".", "", 1).isdigit()):
        return None
    return Fraction(digits) / (100 if digits != text else 1)


def draw(proofs: int, sample: int, seed: bytes, root: bytes, size: int, domain: bytes = DOMAIN) -> tuple[int, ...]:
    """The `sample` numbers chosen from 0 .. `proofs` - 1, in order; all of them if the sample isn't
    smaller. `sample` is at least 2."""
    if sample >= proofs:
        return tuple(range(proofs))
    words = _words(domain + len(seed).to_bytes(8, "big") + seed + root + size.to_bytes(8, "big"))
    inner = proofs - 2
    moved: dict[int, int] = {}  # the shuffled places whose content isn't their own number
    chosen = []
    for place in range(sample - 2):
        other = place + _below(inner - place, words)
        chosen.append(1 + moved.get(other, other))
        moved[other] = moved.get(place, place)
    return (0, *sorted(chosen), proofs - 1)


def miss_probability(proofs: int, sample: int, bad: int) -> Fraction:
    """The probability that a sample holds none of `bad` bad proofs that are neither the first nor
    the last."""
    inner, drawn = _between(proofs, sample)
    if bad > inner - drawn:
        return Fraction(0)
    # C(N-m, K) / C(N, K) is the product of (N-m-j)/(N-j) over j < K, and of (N-K-i)/(N-i) over i <
    # m.
    less, factors = (bad, drawn) if drawn <= bad else (drawn, bad)
    over = prod(inner - less - j for j in range(factors))
    return Fraction(over, prod(inner - j for j in range(factors)))


def surely_found(proofs: int, sample: int, confidence: Fraction = Fraction(99, 100)) -> int | None:
    """The smallest number of bad proofs of which the sample holds at least one with this
    probability; None if it never does."""
    inner, drawn = _between(proofs, sample)
    if drawn == 0 or inner == 0:
        return None

    def found(bad: int) -> bool:
        return 1 - miss_probability(proofs, sample, bad) >= confidence

    # Doubling first keeps the numbers small: one of `bad` and `drawn` is then at most about twice
    # the square root of 4.6 * inner.
    high = 1
    while not found(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high


def _between(proofs: int, sample: int) -> tuple[int, int]:
    """How many proofs lie between the first and the last, and how many of them are drawn."""
    inner = max(proofs - 2, 0)
    return inner, min(sample - 2, inner)


def _below(bound: int, words: Iterator[int]) -> int:
    limit = 2 ** (8 * _WORD) // bound * bound
    return next(word for word in words if word < limit) % bound


def _words(text: bytes) -> Iterator[int]:
    source, start, end = shake_256(text), 0, _FIRST_READ
    while True:
        output = source.digest(end)  # a longer output begins with the shorter one
        for i in range(start, end, _WORD):
            yield int.from_bytes(output[i : i + _WORD], "big")
        start, end = end, 2 * end
