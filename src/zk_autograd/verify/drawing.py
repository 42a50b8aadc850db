"""A challenge for a run's trainer: drawn once the log's head is judged, so that they could not know
which segments it would be."""

import os

from zk_autograd.core.errors import UsageError
from zk_autograd.evidence.run import Evidence
from zk_autograd.verify.challenge import Challenge
from zk_autograd.verify.log import check_log, check_signatures, parse
from zk_autograd.verify.outcome import Step, at
from zk_autograd.verify.policy import Policy, require_beacon

_SEED_BYTES = 32
LEAST = 2
"""The first and the last segment are always drawn."""


def drawn(files: Evidence, policy: Policy, sample: int, beacon: str | None = None) -> Challenge:
    """A challenge of `sample` segments of the run in `files`, from the UTF-8 of `beacon`, or from
    the operating system's randomness.

    VerificationError, with its step, for a log that steps 1 to 3 refuse; UsageError for a policy
    without a key or that allows no beacon, for fewer than two segments, and for a log that has
    none.
    """
    if sample < LEAST:
        raise UsageError(
            f"--draw {sample}: at least {LEAST} segments are drawn, since the first and the last are always among them"
        )
    if not policy.keys:
        raise UsageError(
            "--draw: name the trainer's key with --key: a log that nobody signed can be made anew for each challenge"
        )
    if beacon is not None:
        require_beacon(beacon)
        if not policy.allow_beacon:
            raise UsageError("--beacon would loosen the policy's sample.beacon: draw from this verifier's randomness")
    with at(Step.PARSE):
        view, _ = parse(files, policy.head)
    with at(Step.SIGNATURES):
        check_signatures(view, policy.keys)
    with at(Step.LOG):
        check_log(view, policy.head)
    count = len(view.log.segments)
    if not count:
        raise UsageError("--draw: this log has no segment yet")
    seed = os.urandom(_SEED_BYTES) if beacon is None else beacon.encode("utf-8")
    return Challenge(view.head, count, min(sample, max(count, LEAST)), seed, beacon is not None)
