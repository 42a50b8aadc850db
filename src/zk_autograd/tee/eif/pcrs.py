"""What a Nitro enclave that runs an image will attest of it: PCR0, PCR1 and PCR2, and PCR8 of one
that is signed.

A register begins as 48 zero bytes and is extended once: SHA-384(0^48 || SHA-384(content)). Content:
PCR0 kernel, command line, ramdisks; PCR1 the same up to the first ramdisk; PCR2 the other ramdisks
(that of nothing if there are none); PCR8 the signing certificate in DER. The kernel counts before
the command line, and that before the ramdisks, in whatever order they stand in the file; metadata
doesn't count.
"""

from dataclasses import dataclass
from hashlib import sha384

from zk_autograd.tee.eif.image import Image
from zk_autograd.tee.eif.layout import Kind
from zk_autograd.tee.eif.signature import certificate_of

PCR_BYTES = 48


@dataclass(frozen=True, slots=True)
class Measurement:
    """48 bytes each; `pcr8` is None for an image that isn't signed."""

    pcr0: bytes
    pcr1: bytes
    pcr2: bytes
    pcr8: bytes | None = None

    def registers(self) -> dict[str, str]:
        """By name, in lower-case hexadecimal, as a policy and `zk-enclave measure --json` have
        them."""
        values = {"pcr0": self.pcr0, "pcr1": self.pcr1, "pcr2": self.pcr2, "pcr8": self.pcr8}
        return {name: value.hex() for name, value in values.items() if value is not None}


def measure(image: Image) -> Measurement:
    """The measurement of an image, which is read through once more. A signature has to be one over
    its PCR0, with the key of its certificate: VerificationError. The certificate's dates and issuer
    are not looked at."""
    whole, others = sha384(), sha384()
    kernel, cmdline = image.all(Kind.KERNEL), image.all(Kind.CMDLINE)
    first, *rest = image.all(Kind.RAMDISK)
    for section in (*kernel, *cmdline, first):
        for chunk in image.chunks(section):
            whole.update(chunk)
    boot = whole.copy()
    for section in rest:
        for chunk in image.chunks(section):
            whole.update(chunk)
            others.update(chunk)
    pcr0 = extended(whole.digest())
    signature = image.content(Kind.SIGNATURE) if image.all(Kind.SIGNATURE) else None
    pcr8 = None if signature is None else extended(sha384(certificate_of(signature, pcr0)).digest())
    return Measurement(pcr0, extended(boot.digest()), extended(others.digest()), pcr8)


def extended(digest: bytes) -> bytes:
    """A register that was extended once, with a digest of 48 bytes."""
    return sha384(bytes(PCR_BYTES) + digest).digest()
