"""Attack: sign the document oneself: under the emulated device's root, whose private key is public,
under one's own, or in an enclave that its host can look into.

Gain: an enclave that never was, or whose host sees and changes what is in it.

Why it fails: roots are known by their digest; a policy refuses the emulated one by name, unless it
says `emulated = true`, and zero registers whatever it says; and an image counts by its measurement
(step 8).
"""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from attacks.tools.enclaves import STEP_8, Attempt, outcome, shown
from attacks.tools.outcome import Outcome
from tests.tee.nitro.documents import Chain, holder, raw, signer
from tests.verify.attested_runs import BEGUN, PCRS, PRODUCTION, device, enclave_run
from zk_autograd.core.attestation import Collateral

GAIN = "an enclave that never was"


class OwnRoot:
    """A device whose root nobody knows."""

    kind = "nitro"
    name = "an attacker's"

    def __init__(self) -> None:
        times: Any = {"begin": BEGUN - timedelta(hours=1), "end": BEGUN + timedelta(hours=2)}
        root = holder("aws.nitro-enclaves", **times)
        self._chain = Chain((root, signer(root, **times)))

    def attest(self, data: bytes, *, nonce: bytes = b"", public_key: bytes = b"") -> bytes:
        """A document over `data`."""
        now = int(BEGUN.timestamp() * 1000)
        return self._chain.document(user_data=data, pcrs=PCRS, timestamp=now)

    def collateral(self) -> Collateral:
        return Collateral()


def under_the_emulated_root(folder: Path) -> str:
    """With the measurement that the auditor trusts, which anybody can state there."""
    return shown(enclave_run(), folder, attestation=PRODUCTION)


def under_ones_own_root(folder: Path) -> str:
    """A chain as AWS's, with keys of one's own."""
    return shown(enclave_run(by=OwnRoot()), folder, attestation=PRODUCTION)


def without_a_signature(folder: Path) -> str:
    """As QEMU's emulated module, whose documents have a signature of zeros."""
    made = enclave_run()
    made.document = replace(made.document, raw=made.document.raw[:-96] + raw(0, 0))
    made.name()
    return shown(made, folder)


def in_debug_mode(folder: Path) -> str:
    """A real enclave, started so that its host can read its memory: its registers are zero."""
    return shown(enclave_run(by=device(pcrs={})), folder)


def another_image(folder: Path) -> str:
    """The host's own image, in a real enclave."""
    return shown(enclave_run(by=device(pcrs={**PCRS, 2: b"\x77" * 48})), folder)


ATTEMPTS = (
    Attempt("under the emulated root", "comes from the emulated device", under_the_emulated_root),
    Attempt("under one's own root", "begins with another root", under_ones_own_root),
    Attempt("without a signature", "the document's signature is wrong", without_a_signature),
    Attempt("in debug mode", "runs in debug mode", in_debug_mode),
    Attempt("another image", "none that the policy allows", another_image),
)


def run() -> Outcome:
    """All attempts."""
    return outcome("an enclave that never was", STEP_8, GAIN, ATTEMPTS)
