"""Attack: have a document of long ago stamped today, or none at all.

Gain: the certificate of an enclave's device ends after three hours, and its key may be stolen
later. With it the host signs a document for any run, and dates it back to when the key was good.

Why it fails: what counts is the earliest time that an anchor shows which the auditor trusts, over
header and genesis; never the document's own (step 8). All certificates must be valid then.
"""

from datetime import timedelta
from pathlib import Path

from attacks.tools.enclaves import STEP_8, Attempt, outcome, shown
from attacks.tools.outcome import Outcome
from tests.verify.attested_runs import BEGUN, STAMPED, device, enclave_run
from zk_autograd.tee.device.emulated import LIFE

GAIN = "a document for any run, under a device's key that was stolen long after its time"


def stamped_too_late(folder: Path) -> str:
    """The first time stamp is of the second after the certificate's end."""
    made = enclave_run()
    made.stamps = {2: BEGUN + LIFE + timedelta(seconds=1)}
    return shown(made, folder)


def dated_back(folder: Path) -> str:
    """The device's clock is set back by a day; the time stamp is of now."""
    return shown(enclave_run(by=device(at=BEGUN - timedelta(days=1))), folder)


def stamped_before_the_document(folder: Path) -> str:
    """The stamp in time is over the header alone: the document was made much later, and its
    stamp."""
    made = enclave_run()
    made.stamps = {1: STAMPED, 2: BEGUN + 2 * LIFE}
    return shown(made, folder)


def not_stamped(folder: Path) -> str:
    """Nobody says when the document was there."""
    made = enclave_run()
    made.stamps = {}
    return shown(made, folder)


LATE = "wasn't valid at the time for which it is judged"
ATTEMPTS = (
    Attempt("stamped too late", LATE, stamped_too_late),
    Attempt("dated back", LATE, dated_back),
    Attempt("stamped before the document", LATE, stamped_before_the_document),
    Attempt("not stamped", "no anchor that you trust says when header and document existed", not_stamped),
)


def run() -> Outcome:
    """All attempts."""
    return outcome("a document of an old certificate", STEP_8, GAIN, ATTEMPTS)
