"""The devices that attest: one small interface, and an implementation for each."""

from collections.abc import Callable
from importlib import import_module
from typing import Protocol, cast

from zk_autograd.core.attestation import Collateral, Document
from zk_autograd.core.errors import UsageError

EMULATED = "emulated, which shows nothing"
"""The name of the device that anybody can be."""


class Device(Protocol):
    """What signs for an enclave that its code is running. `kind` is the kind of its documents
    (tee.kinds), `name` what people are told: "AWS Nitro", "emulated ..."."""

    @property
    def kind(self) -> str: ...

    @property
    def name(self) -> str: ...

    def attest(self, data: bytes, *, nonce: bytes = b"", public_key: bytes = b"") -> bytes:
        """The device's document over `data`, 64 bytes (core.attestation.Binding.digest), and where
        its form has such fields, over `nonce` and `public_key`, at most 1024 bytes each. RunError
        if the device can't be reached or refuses."""
        ...

    def collateral(self) -> Collateral:
        """Certificates that the platform hands out with its documents; those that are missing are
        fetched by whoever publishes (docs/operating.md)."""
        ...


_DEVICES = {"nitro": "nsm", "snp": "snp", "emulated": "emulated"}


def open_device(spec: str) -> Device:
    """The device of a text: "nitro" (/dev/nsm), "snp" (configfs-tsm, /dev/sev-guest), or
    "emulated:FILE", whose measurements are in that file, as `zk-enclave measure --json` prints
    them. UsageError for another text, RunError if the device isn't there."""
    kind, _, rest = spec.partition(":")
    if kind not in _DEVICES:
        raise UsageError(f"{spec[:60]!r} is no device: it is nitro, snp or emulated:FILE")
    module = import_module(f"zk_autograd.tee.device.{_DEVICES[kind]}")
    return cast(Callable[[str], Device], module.open_device)(rest)


def document_of(
    device: Device, data: bytes, release_key: bytes = b"", nonce: bytes = b"", job: bytes = b""
) -> Document:
    """attestation/document.json of a run, whose `Binding.digest` is `data`."""
    return Document(device.kind, device.attest(data, nonce=nonce), release_key, nonce, job)
