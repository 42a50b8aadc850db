#!/usr/bin/python3.11 -I
"""The first program in the enclave: makes the kernel's file systems visible, runs the enclave's
program, and powers off. Without arguments that is for a Nitro enclave; others follow "--" on the
kernel's command line.

Arguments are the host's to choose (zk_autograd.tee.eif says why): nothing that is attested
may hang on them. `self-test` tells what this image is made of, and that its parts work.
"""

import ctypes
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

POWER_OFF = 0x4321FEDC
"""LINUX_REBOOT_CMD_POWER_OFF (reboot(2))."""

SET_FLAGS, UP = 0x8914, 1
"""SIOCSIFFLAGS and IFF_UP (netdevice(7)), and of a `struct ifreq` the name and the flags."""

FILE_SYSTEMS = (("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/run"), ("tmpfs", "/tmp"))
PROGRAM = "zk_autograd.enclave.main"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/"}
"""Of the program, and nothing else: the kernel makes variables of what it doesn't know on its
command line, and libraries take settings from them."""

NITRO = ("--device", "nitro", "--relay", "vsock:3:5000")
"""AWS's tools give an enclave's first program no arguments."""


def main(arguments: list[str]) -> int:
    """The exit status of what was run."""
    return self_test() if arguments == ["self-test"] else program(*(arguments or NITRO))


def program(*arguments: str) -> int:
    """Runs the enclave's program; its exit status."""
    command = [sys.executable, "-I", "-m", PROGRAM, *arguments]
    return subprocess.run(command, check=False, env=ENVIRONMENT).returncode


def self_test() -> int:
    """Prints what is here, a JSON object on a line; 1 if something is missing or shouldn't be here.
    Then the enclave's program tests itself, with an emulated device."""
    from importlib import import_module
    from importlib.metadata import distributions
    from importlib.util import find_spec

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from zk_autograd import __version__, _native

    for name in ("asn1crypto.cms", "rich.console", "safetensors.numpy"):
        import_module(name)
    key = Ed25519PrivateKey.generate()
    key.public_key().verify(key.sign(b"self-test"), b"self-test")
    cbor2, numpy = import_module("cbor2"), import_module("numpy")
    product = numpy.arange(6.0).reshape(2, 3) @ numpy.ones(3)
    # A client of a service that is asked, by way of the network inside; nothing is sent.
    kms = import_module("boto3").client("kms", "us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname(), 10):
        asked = kms.meta.service_model.service_name
    works = asked == "kms" and cbor2.loads(cbor2.dumps([1])) == [1] and product.tolist() == [3.0, 12.0]
    shells = [
        name for name in ("sh", "bash", "dash", "busybox") if any(Path(p, name).exists() for p in ("/bin", "/usr/bin"))
    ]
    found = {
        "zk-autograd": __version__,
        "native": _native.version(),
        "python": sys.version.split()[0],
        "kernel": os.uname().release,
        "first": os.getpid() == 1,
        "packages": sorted(f"{one.name} {one.version}" for one in distributions()),
        "torch": find_spec("torch") is not None,
        "shells": shells,
        "works": works,
    }
    print(json.dumps(found), flush=True)
    if find_spec(PROGRAM) is not None:
        measured = Path("/tmp/measured.json")
        measured.write_text(json.dumps({f"pcr{number}": f"{number + 1:02x}" * 48 for number in range(3)}))
        works = program("--self-test", "--device", f"emulated:{measured}") == 0 and works
    return int(found["torch"] or bool(shells) or not works)


def loopback() -> None:
    """Lets the enclave's programs reach each other on 127.0.0.1; there is no other network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as socket_:
        fcntl.ioctl(socket_, SET_FLAGS, struct.pack("16sh14x", b"lo", UP))


def mount() -> None:
    """Mounts what the kernel offers."""
    libc = ctypes.CDLL(None, use_errno=True)
    for kind, place in FILE_SYSTEMS:
        if libc.mount(kind.encode(), place.encode(), kind.encode(), 0, None):
            raise OSError(ctypes.get_errno(), f"{place} can't be mounted")


if __name__ == "__main__":
    if os.getpid() != 1:  # another program began the machine, as AWS's own does
        with suppress(OSError):  # not for whoever tries it without being root: then it is up
            loopback()
        sys.exit(main(sys.argv[1:]))
    try:
        mount()
        loopback()
        print(f"zk-enclave: exit status {main(sys.argv[1:])}", flush=True)
    finally:
        os.sync()
        ctypes.CDLL(None).reboot(POWER_OFF)
