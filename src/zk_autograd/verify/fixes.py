"""What to do about a verdict that is less than an auditor wants: one sentence for each report.

Nothing here decides anything. The advice never says how to make a failed run pass: a run that fails
is not to be relied on, whatever the reason.
"""

from collections.abc import Mapping

from zk_autograd.core.errors import UnreadableError, VerificationError
from zk_autograd.verify.outcome import Step

_AGAIN = (
    "get the run again from its trainer, best as a bundle, and compare its SHA-256; if it fails again, don't rely on it"
)

FAILED: Mapping[Step, str] = {
    Step.PARSE: _AGAIN,
    Step.SIGNATURES: "ask the trainer, not the run, for the public key; if yours is right, somebody else signed this log: don't rely on it",
    Step.LOG: f"ask whoever gave you the root for the log that has it, or {_AGAIN}",
    Step.ANCHORS: "keep all files: they may show two views of one log; ask the trainer for both",
    Step.STATEMENT: "ask the trainer for a run of a rule and circuit that this version knows, or judge it with the version that made it",
    Step.CHAIN: "don't rely on this run: its records contradict each other; keep it, and ask the trainer",
    Step.PROOFS: "don't rely on this run: a step is not proved; keep it, and ask the trainer for the run whose root was published",
    Step.ATTESTATION: "don't rely on this run: its attestation is false, or another's; ask whoever ran the enclave for the run as it left it",
    Step.DATA: "don't rely on this run before you know whose fault it is: ask the trainer for data and openings once more (zk-run open), from "
    "their own hands, since anybody can make a file that opens nothing; a gradient that opens its commitment and is another is the trainer's",
    Step.MODEL: "don't use these files: they, or a signature over them, are not what the run's record names; get the published ones again from the trainer",
}

UNREADABLE = "nothing was judged: free what is missing (permission, memory, disk, network) or take another machine, and run it again"


def of_failure(error: VerificationError) -> str:
    """The advice for a step that failed, or that could not be carried out here."""
    if isinstance(error, UnreadableError):
        return UNREADABLE
    return next((fix for step, fix in FAILED.items() if step == error.step), _AGAIN)
