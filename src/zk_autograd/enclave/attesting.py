"""How an instance of an enclave has its run attested."""

from collections.abc import Sequence
from dataclasses import dataclass

from zk_autograd.core.attestation import Binding, Collateral, Document
from zk_autograd.tee.device import Device, document_of


@dataclass(frozen=True, slots=True)
class Attesting:
    """Who attests a run, and what beside the run is bound: see core.attestation.Binding."""

    device: Device
    release_key: bytes
    nonce: bytes
    job: bytes = b""

    def document(self, run: bytes, header_digest: bytes, keys: Sequence[str]) -> Document:
        """The run's attestation. RunError if the device gives none."""
        bound = Binding(run, header_digest, tuple(keys), self.release_key, self.nonce, self.job).digest()
        return document_of(self.device, bound, self.release_key, self.nonce, self.job)

    def collateral(self) -> Collateral:
        """What the platform gave with that document."""
        return self.device.collateral()
