"""A process that gives up what it doesn't need, before it talks to anybody: Linux's Landlock, and
its capabilities.

Afterwards it, and whatever it starts, opens files below the named folders alone, traces no process
outside, has no rights of root but those of the files' owner, and, where the kernel is new enough,
signals no process outside. It can't get any of it back. What stays: the network, Unix sockets that
have a path (Landlock doesn't know them), whether a file exists and its size, and its mode and
times, if it is the user's own. Sources: landlock(7), capabilities(7).
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
_PR_SET_NO_NEW_PRIVS, _PR_CAPBSET_DROP, _PR_CAP_AMBIENT, _CLEAR_ALL = 38, 24, 47, 4
_CAPABILITY_VERSION = 0x20080522
_CAPABILITIES = 64

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


class _Capabilities(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


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

    "" if it is done; else why this system can't, in words. Its capabilities are gone all the same,
    if it is Linux.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    abi, reason = _version(libc)
    if reason:
        return _drop_capabilities(libc) or reason
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
    return _drop_capabilities(libc)


def _drop_capabilities(libc: ctypes.CDLL) -> str:
    """A kernel lets who has some read the memory of others, whatever Landlock says."""
    if platform.system() != "Linux":
        return ""
    for capability in range(_CAPABILITIES):  # only who has them all can; the others gain none by no_new_privs
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    libc.prctl(_PR_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0)
    none = (ctypes.c_uint32 * 6)()
    head = _Capabilities(_CAPABILITY_VERSION, 0)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.capset(ctypes.byref(head), none):
        return f"it keeps its capabilities ({os.strerror(ctypes.get_errno())})"
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
