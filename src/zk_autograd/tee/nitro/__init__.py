"""AWS Nitro: COSE_Sign1 documents of its secure module. `abi` reads bytes, `chain` checks
signatures, `judge` has the opinion."""

from zk_autograd.tee.nitro.claim import NitroClaim
from zk_autograd.tee.nitro.document import verify
from zk_autograd.tee.nitro.judge import Measurement, NitroPolicy

__all__ = ["Measurement", "NitroClaim", "NitroPolicy", "verify"]
