"""The Nitro secure module as an enclave reaches it: one request to /dev/nsm, one answer, in CBOR.

Source: aws/aws-nitro-enclaves-nsm-api, src/driver/mod.rs (the ioctl and its message) and
src/api/mod.rs (requests and responses as serde writes them). The project's tests know the encoding
of request and answer only: no test of it has ever run on this device.
"""

import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass

from zk_autograd.core.attestation import Collateral
from zk_autograd.core.errors import AttestationError, RunError, UsageError
from zk_autograd.core.text import SHOWN, quoted
from zk_autograd.tee import cbor
from zk_autograd.tee.device.requested import requested

PATH = "/dev/nsm"
MAX_REQUEST = 0x1000
MAX_RESPONSE = 0x3000

_MESSAGE = "@PNPN"
"""struct nsm_message: two iovecs, request and response, each an address and a length."""

IOCTL = 3 << 30 | struct.calcsize(_MESSAGE) << 16 | 0x0A << 8
"""_IOWR(0x0A, 0, struct nsm_message)."""


@dataclass(frozen=True, slots=True)
class NsmDevice:
    """`exchange` hands the module a request and returns its response, both in CBOR."""

    exchange: Callable[[bytes], bytes]

    @property
    def kind(self) -> str:
        return "nitro"

    @property
    def name(self) -> str:
        return f"AWS Nitro ({PATH})"

    def attest(self, data: bytes, *, nonce: bytes = b"", public_key: bytes = b"") -> bytes:
        """See tee.device.Device."""
        fields = requested(data, nonce, public_key)
        try:
            return document(self.exchange(request(fields)))
        except AttestationError as error:  # the answer's form, or cbor2 is missing
            raise RunError(f"{PATH}: {error.message}") from error

    def collateral(self) -> Collateral:
        """See tee.device.Device: the document has its certificates in it."""
        return Collateral()


def open_device(rest: str) -> NsmDevice:
    """The module of the enclave that this process runs in. `rest` has to be empty."""
    if rest:
        raise UsageError(f"the device nitro takes nothing after its name, and {quoted(rest, SHOWN)} follows")
    if not os.path.exists(PATH):
        raise RunError(f"{PATH} isn't there: this is no AWS Nitro enclave, or its kernel has no driver for it")
    return NsmDevice(_exchange)


def request(fields: dict[str, bytes | None]) -> bytes:
    """Request::Attestation. RunError if it is larger than the driver takes."""
    encoded = cbor.encode({"Attestation": fields})
    if len(encoded) > MAX_REQUEST:
        raise RunError(f"the request has {len(encoded)} bytes, and {PATH} takes {MAX_REQUEST}")
    return encoded


def document(response: bytes) -> bytes:
    """The document in a Response::Attestation. RunError names the module's own error;
    AttestationError for any other form."""
    value = cbor.decode(response, "the module's answer")
    match value:
        case {"Error": str(name), **others} if not others:
            raise RunError(f"{PATH} refuses: {quoted(name, SHOWN)}")
        case {"Attestation": {"document": bytes(found), **rest}, **others} if found and not rest and not others:
            return found
    raise AttestationError("the module's answer is no attestation, and no error either")


def _exchange(request: bytes) -> bytes:
    sent = ctypes.create_string_buffer(request, len(request))
    received = ctypes.create_string_buffer(MAX_RESPONSE)
    message = bytearray(
        struct.pack(_MESSAGE, ctypes.addressof(sent), len(request), ctypes.addressof(received), MAX_RESPONSE)
    )
    try:
        fd = os.open(PATH, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.ioctl(fd, IOCTL, message, True)
        finally:
            os.close(fd)
    except OSError as error:
        why = "the request is too large" if error.errno == errno.EMSGSIZE else error.strerror or str(error)
        raise RunError(f"{PATH} can't be asked: {why}") from error
    length = struct.unpack(_MESSAGE, message)[3]
    if length > MAX_RESPONSE:
        raise RunError(f"{PATH} says that it answered with {length} bytes, more than there was room for")
    return received.raw[:length]
