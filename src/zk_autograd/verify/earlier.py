"""An earlier report of the auditor's own, whose sample is continued: what is left is verified, and
nothing is drawn again.

The report is the JSON that `zk-verify --json` printed. It is the auditor's own word: that its
proofs were valid is not looked at again, and the new report says so. So it must not come from the
run: the caller refuses a file that lies in it. Steps 1 to 6 are taken anew; the root, which binds
all records, must be the report's.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.verify.outcome import Level
from zk_autograd.verify.policy import TreeHead
from zk_autograd.verify.report import FORMAT

MAX_REPORT = 64 * 2**20
"""Bytes of a report."""

MAX_PROOFS = 2**42
"""As many as 2^22 segments of 2^20 blocks have."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """A sample that was verified: of `proofs` proofs under `head` those in `verified`, drawn from
    `seed`. `digest` is the SHA-256 of the report."""

    digest: bytes
    head: TreeHead
    proofs: int
    verified: frozenset[int]
    seed: bytes

    @classmethod
    def read(cls, data: bytes) -> "Earlier":
        """The sample of a report. UsageError for what is no report, and for one that verified no
        sample: failed, unpinned, or complete."""
        try:
            return cls._read(data)
        except (VerificationError, ValueError, RecursionError) as error:  # ValueError: what is no JSON
            what = "this is not a report of a sample, as `zk-verify --json` prints it"
            raise UsageError(f"--continue: {what}: {error}") from error

    @classmethod
    def _read(cls, data: bytes) -> "Earlier":
        if len(data) > MAX_REPORT:
            raise VerificationError("it is too long", expected=f"at most {MAX_REPORT} bytes", found=str(len(data)))
        report = Fields(json.loads(data, object_pairs_hook=_distinct), "report")
        report.choice("format", (FORMAT,))
        if report.raw("failure") is not None or Level.L1_SAMPLED.value not in report.texts(
            "levels", max_items=20, max_len=40
        ):
            raise VerificationError(f"it did not reach {Level.L1_SAMPLED.value}, so no sample of it can be continued")
        run, sample = report.object("run"), report.object("sample")
        count = sample.integer("proofs", 1, MAX_PROOFS)
        numbers = [v.integer(0, count - 1) for v in sample.array("verified", max_items=count)]
        if sorted(set(numbers)) != numbers or not {0, count - 1} <= set(numbers):
            raise VerificationError("its sample is not in order, or lacks the first or the last proof")
        if len(numbers) == count:
            raise VerificationError("its sample is all proofs: nothing is left, and nothing would be verified")
        return cls(
            sha256(data).digest(),
            TreeHead(run.hex("root", 32), run.integer("size", 1, 2**63 - 1)),
            count,
            frozenset(numbers),
            bytes.fromhex(sample.text("seed", max_len=2 * 4 * 1000)),
        )

    def left(self, count: int, head: TreeHead) -> Sequence[int]:
        """The numbers of the proofs that are still to be verified. UsageError if the report is
        about another log."""
        if self.head != head or self.proofs != count:
            raise UsageError(
                f"--continue: the report is about {self.head} with {self.proofs} proofs, and this run is {head} with {count}: a sample is "
                "continued on the same root alone"
            )
        return [number for number in range(count) if number not in self.verified]


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's members. ValueError for a name given twice, of which readers take one or the
    other."""
    if len(values := dict(pairs)) < len(pairs):
        raise ValueError("a name is given twice")
    return values
