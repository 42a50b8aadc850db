"""A process that gives up what it doesn't need, before it talks to anybody: Linux's Landlock.

Afterwards it, and whatever it starts, reads and writes files below the named folders alone, traces
no process outside, and, where the kernel is new enough, signals none. It can't get any of it back.
The network stays open: who is confined here talks to others. Source: landlock(7).
"""

import ctypes
import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path

_CREATE, _ADD, _RESTRICT = 444, 445, 446
"""Numbers of the system calls, on every architecture."""
_VERSION = 1
_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38

_RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many rights over files each version of the interface knows."""
_SCOPES_FROM = 6
_SCOPES = 0b11
"""Abstract sockets and signals."""

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_READING = _EXECUTE | _READ_FILE | _READ_DIR


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def available() -> str:
    """ "" if a process can be confined here; else why not, in words."""
    return _version(ctypes.CDLL(None, use_errno=True))[1]


def confine(read: Iterable[Path], write: Sequence[Path]) -> str:
    """Confines this process to reading below `read`, and to reading and writing below `write`;
    places that don't exist are left out. Call it before there are other threads: those that are
    there stay as they are.

    Of /proc, name what is needed: where all of it may be read, so may the environments of the
    user's other processes.

    "" if it is done; else why this system can't, in words.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    abi, reason = _version(libc)
    if reason:
        return reason
    rights = (1 << _RIGHTS_BY_ABI.get(abi, 16)) - 1
    rules = _Ruleset(rights, 0, _SCOPES if abi >= _SCOPES_FROM else 0)
    size = ctypes.sizeof(rules) if abi >= _SCOPES_FROM else 8
    ruleset = libc.syscall(_CREATE, ctypes.byref(rules), ctypes.c_size_t(size), ctypes.c_uint32(0))
    if ruleset < 0:
        return f"Landlock refuses ({os.strerror(ctypes.get_errno())})"
    try:
        for places, allowed in ((read, _READING), (write, rights)):
            for place in places:
                if reason := _allow(libc, ruleset, place, allowed & rights):
                    return reason
        if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.syscall(_RESTRICT, ruleset, ctypes.c_uint32(0)):
            return f"Landlock refuses ({os.strerror(ctypes.get_errno())})"
    finally:
        os.close(ruleset)
    return ""


def _version(libc: ctypes.CDLL) -> tuple[int, str]:
    """Of the interface; and why there is none."""
    if platform.system() != "Linux":
        return 0, "this system has no Landlock"
    abi = libc.syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    return abi, "" if abi >= 1 else f"this kernel offers no Landlock ({os.strerror(ctypes.get_errno())})"


def _allow(libc: ctypes.CDLL, ruleset: int, place: Path, allowed: int) -> str:
    try:
        descriptor = os.open(place, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        rights = allowed if place.is_dir() else allowed & _OF_FILES
        rule = _Beneath(rights, descriptor)
        if libc.syscall(_ADD, ruleset, _PATH_BENEATH, ctypes.byref(rule), ctypes.c_uint32(0)):
            return f"Landlock refuses {place} ({os.strerror(ctypes.get_errno())})"
    finally:
        os.close(descriptor)
    return ""
