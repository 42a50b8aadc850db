"""A challenge: which segments an auditor wants opened, drawn after they had the root.

Of n segments, the first and the last and k - 2 others (verify.sampling, under a domain of its own),
from the auditor's own randomness or a beacon, and root and size of the log. The file is canonical
JSON, and the auditor's own: what comes back is judged against it, and one that the trainer handed
over shows nothing. The draw is made again from seed, root and size, whatever the file lists.
"""

from dataclasses import dataclass
from fractions import Fraction

from zk_autograd.core.canonical import decode, encode
from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.records import MAX_STEP
from zk_autograd.verify.policy import TreeHead
from zk_autograd.verify.sampling import draw, miss_probability, surely_found

FORMAT = "zk-autograd/challenge/v1"
DOMAIN = b"zk-autograd/challenge/v1\n"
MAX_CHALLENGE = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Challenge:
    """`segments` of `count` segments of the log under `head`, drawn from `seed`; `beacon`: the
    seed is the UTF-8 of a text that the auditor gave, else 32 random bytes."""

    head: TreeHead
    count: int
    sample: int
    seed: bytes
    beacon: bool

    @property
    def segments(self) -> tuple[int, ...]:
        """The drawn segments in order."""
        return draw(self.count, self.sample, self.seed, self.head.root, self.head.size, DOMAIN)

    @property
    def missed(self) -> Fraction:
        """The probability that one bad segment, neither first nor last, is not among them."""
        return Fraction(0) if self.sample >= self.count else miss_probability(self.count, self.sample, 1)

    @property
    def surely_found(self) -> int | None:
        """The smallest number of bad segments of which at least one is found with 99 %; None if
        there is no such number."""
        return 1 if self.sample >= self.count else surely_found(self.count, self.sample)

    def encode(self) -> bytes:
        """The file's bytes."""
        return encode(
            {
                "format": FORMAT,
                "root": self.head.root.hex(),
                "size": self.head.size,
                "count": self.count,
                "sample": self.sample,
                "seed": self.seed.hex(),
                "beacon": self.beacon,
                "segments": list(self.segments),
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> "Challenge":
        """The challenge of a file. UsageError for any other bytes, and for one whose list isn't
        what its seed draws."""
        try:
            f = Fields(decode(data, max_bytes=MAX_CHALLENGE), "challenge")
            f.choice("format", (FORMAT,))
            seed = f.text("seed", max_len=8000, min_len=2)
            challenge = cls(
                TreeHead(f.hex("root", 32), f.integer("size", 1, MAX_STEP)),
                f.integer("count", 1, MAX_STEP),
                f.integer("sample", 2, MAX_STEP),
                bytes.fromhex(seed),
                f.boolean("beacon"),
            )
            listed = tuple(v.integer(0, MAX_STEP) for v in f.array("segments", max_items=2**22))
            f.end()
            if challenge.seed.hex() != seed:
                raise VerificationError("its seed is not lower-case hexadecimal")
            # How many comes first: whoever wrote the file says how many are drawn.
            if len(listed) != min(challenge.sample, challenge.count) or listed != challenge.segments:
                raise VerificationError("its segments are not those that its seed draws")
        except (VerificationError, ValueError) as error:
            raise UsageError(
                f"this is not a challenge, as `zk-verify RUN --draw K --challenge FILE` writes it: {error}"
            ) from error
        return challenge
