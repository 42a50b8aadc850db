"""What a host checks before it starts an enclave's image: its signature and bill of materials
(enclave.image), and that what it measures is what a policy allows."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from zk_autograd.anchor import kinds as anchor_kinds
from zk_autograd.core.ec_keys import MAX_PEM, EcPublicKey
from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.enclave.image import MAX_IMAGE, SignedImage, verified_image
from zk_autograd.local.named_files import open_named, read_named
from zk_autograd.tee import kinds
from zk_autograd.tee.eif import measure, read_image
from zk_autograd.tee.nitro.judge import NitroPolicy
from zk_autograd.verify import policy_file


@dataclass(frozen=True, slots=True)
class CheckedImage:
    """An image that may be started. `measurement` are its registers by name, 48 bytes each in
    hexadecimal; `judged` says whose policy allows it."""

    image: SignedImage
    key: EcPublicKey
    measurement: Mapping[str, str]
    judged: str


@contextmanager
def checked_image(image: Path, key_file: Path, policy: Path | None = None) -> Iterator[CheckedImage]:
    """The image in a copy that may be started, until the end of the context. `key_file` holds the
    public key that signs images here; `policy` is an auditor's policy file, whose measurements one
    of which it must have.

    VerificationError for an image that is not signed, altered, or measured otherwise; UsageError
    for a file that isn't what it must be, StorageError where the system refuses.
    """
    key = _key(key_file)
    with verified_image(image, key) as signed:
        registers = measured(signed.path)
        judged = "no policy was given: whether anybody trusts this measurement was not looked at"
        if policy is not None:
            _require_allowed(registers, policy, image)
            judged = f"the measurement is one that {policy} allows"
        yield CheckedImage(signed, key, registers, judged)


def measured(path: Path) -> dict[str, str]:
    """The registers of an image, as `zk-enclave measure --json` prints them. VerificationError for
    one whose sections have another order than AWS's: its tools would measure the file's order, and
    what was compared here is not what the enclave attests."""
    with open_named(path, "the image", MAX_IMAGE) as descriptor, os.fdopen(descriptor, "rb", closefd=False) as file:
        image = read_image(file)
        if not image.in_order:
            raise VerificationError(
                f"{path.name} has kernel, command line and ramdisks in another order, which AWS's tools measure otherwise: it is not "
                "started; build it again with `zk-enclave build`"
            )
        return dict(measure(image).registers())


def _key(path: Path) -> EcPublicKey:
    try:
        key = EcPublicKey.parse(read_named(path, "the key of images", MAX_PEM))
        key.require_p256()
    except VerificationError as error:
        raise UsageError(
            f"the key of images {path} is no public key of ECDSA with P-256, as cosign makes: {error}"
        ) from error
    return key


def _require_allowed(registers: Mapping[str, str], path: Path, image: Path) -> None:
    policy = policy_file.load(path, anchors=anchor_kinds.verifiers(), attestations=kinds.verifiers())
    trust = policy.attestations.get("nitro")
    if not isinstance(trust, NitroPolicy):
        raise UsageError(f"the policy {path} says nothing of AWS Nitro enclaves: it has no table [attestation.nitro]")
    found = {name: bytes.fromhex(value) for name, value in registers.items()}
    for allowed in trust.measurements:
        if all(found.get(f"pcr{number}") == value for number, value in allowed.registers().items()):
            return
    raise VerificationError(
        f"{image.name} is signed, but its measurement is none that {path} allows: it is not started",
        expected=" or ".join(f"pcr0 {one.pcr0.hex()}" for one in trust.measurements[:3]),
        found=f"pcr0 {registers['pcr0']}",
    )
