"""Reports through /dev/sev-guest, the device of Linux's driver for guests of SEV-SNP.

Source: Linux, include/uapi/linux/sev-guest.h; AMD 56860 (MSG_REPORT_RSP).
"""

import ctypes
import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

from zk_autograd.core.errors import RunError
from zk_autograd.tee.snp.abi import REPORT_BYTES

MAX_TABLE = 2**14
"""Bytes of a certificate table (SEV_FW_BLOB_MAX_SIZE)."""

_TRIES = 8
_PAUSE = 0.25


class _Request(ctypes.Structure):
    """struct snp_guest_request_ioctl."""

    _fields_ = (
        ("msg_version", ctypes.c_uint8),
        ("req_data", ctypes.c_uint64),
        ("resp_data", ctypes.c_uint64),
        ("exitinfo2", ctypes.c_uint64),
    )


class _ReportRequest(ctypes.Structure):
    """struct snp_report_req."""

    _fields_ = (("user_data", ctypes.c_uint8 * 64), ("vmpl", ctypes.c_uint32), ("rsvd", ctypes.c_uint8 * 28))


class _ExtendedRequest(ctypes.Structure):
    """struct snp_ext_report_req."""

    _fields_ = (("data", _ReportRequest), ("certs_address", ctypes.c_uint64), ("certs_len", ctypes.c_uint32))


RESPONSE_BYTES = 4000
_MESSAGE_VERSION = 1
_REPORT_AT = 0x20
_VMM_BUSY = 2


def ioctl_number(order: int) -> int:
    """_IOWR('S', order, struct snp_guest_request_ioctl)."""
    return 3 << 30 | ctypes.sizeof(_Request) << 16 | ord("S") << 8 | order


SNP_GET_REPORT = ioctl_number(0)
SNP_GET_EXT_REPORT = ioctl_number(2)


class SevGuest:
    """Reports through the driver's own device: with certificates where the host has some, without
    them where it refuses that. `call` is fcntl.ioctl, or what a test has in its place."""

    def __init__(self, path: Path, call: Callable[[int, int, object], object] | None = None) -> None:
        self._path, self._call = path, call

    def __call__(self, data: bytes) -> tuple[bytes, bytes]:
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise RunError(f"{self._path} can't be opened: {error.strerror}") from error
        try:
            try:
                return self._extended(descriptor, data)
            except OSError:
                return self._plain(descriptor, data), b""
        except OSError as error:
            raise RunError(f"{self._path} gives no report: {error.strerror}") from error
        finally:
            os.close(descriptor)

    def _extended(self, descriptor: int, data: bytes) -> tuple[bytes, bytes]:
        table = ctypes.create_string_buffer(MAX_TABLE)
        request = _ExtendedRequest(_ReportRequest(), ctypes.addressof(table), MAX_TABLE)
        request.data.user_data[:] = data
        report = self._submit(descriptor, SNP_GET_EXT_REPORT, request)
        return report, table.raw

    def _plain(self, descriptor: int, data: bytes) -> bytes:
        request = _ReportRequest()
        request.user_data[:] = data
        return self._submit(descriptor, SNP_GET_REPORT, request)

    def _submit(self, descriptor: int, number: int, request: ctypes.Structure) -> bytes:
        import fcntl

        call = self._call or fcntl.ioctl
        response = ctypes.create_string_buffer(RESPONSE_BYTES)
        message = _Request(_MESSAGE_VERSION, ctypes.addressof(request), ctypes.addressof(response), 0)
        for left in reversed(range(_TRIES)):
            try:
                call(descriptor, number, message)
                break
            except OSError as error:
                busy = error.errno == errno.EAGAIN or message.exitinfo2 >> 32 == _VMM_BUSY
                if not busy or not left:
                    raise
                time.sleep(_PAUSE)
        return report_of(response.raw)


def report_of(response: bytes) -> bytes:
    """The report in an answer of the firmware: MSG_REPORT_RSP (AMD 56860, table 26). RunError."""
    status, size = int.from_bytes(response[:4], "little"), int.from_bytes(response[4:8], "little")
    if status or size != REPORT_BYTES:
        raise RunError(f"the firmware gives no report: status {status:#x}, {size} bytes")
    return response[_REPORT_AT : _REPORT_AT + REPORT_BYTES]
