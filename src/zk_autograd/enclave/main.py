"""The main program of an enclave: it gets its job and the job's key, trains, and sends what is
public. Nobody can say anything to it but what is read here, and nothing leaves it but by the relay.

    python -m zk_autograd.enclave.main --relay vsock:3:5000 --device nitro

What an enclave relies on in its own machine: randomness, which the kernel has from the Nitro
secure module (checked: `require_entropy`), from the processor in an SEV-SNP guest; and no clock:
it times nothing that anybody is shown as time (that is an anchor's word), and pinned certificates
are all that TLS goes by. Its files are in memory: in the image every file system is.
"""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from zk_autograd.core.errors import (
    ExitStatus,
    GradientError,
    ProverError,
    RangeError,
    RunError,
    VerificationError,
    ZkError,
)
from zk_autograd.enclave.relay.address import Address
from zk_autograd.enclave.relay.channels import COMPLETE, FAILED, STOPPED
from zk_autograd.enclave.relay.client import Outlet, Relay
from zk_autograd.enclave.relay.frames import PATIENCE
from zk_autograd.enclave.working import work
from zk_autograd.tee.device import open_device
from zk_autograd.vault.errors import KeyRefused, KeyServiceDown, VaultError
from zk_autograd.version import __version__

HARDWARE = Path("/sys/devices/virtual/misc/hw_random/rng_current")
NITRO_SOURCE = "nsm-hwrng"

UNOPENED = (
    "the job's key or the sealed job does not open here; which of them, and why, is not said outside: a host that changes what it "
    "carries would learn from it. Give the enclave the job, its key file and the released key as they were made"
)
"""What is said of whatever a secret key didn't open."""


def main(argv: Sequence[str] | None = None) -> int:
    """The program's exit status (core.errors.ExitStatus). It prints nothing, but for --self-test:
    an enclave's console is nobody's, or the host's."""
    parser = argparse.ArgumentParser(prog="zk_autograd.enclave.main")
    parser.add_argument("--relay", metavar="unix:PATH|vsock:CID:PORT")
    parser.add_argument("--device", required=True, metavar="nitro|snp|emulated:FILE")
    parser.add_argument("--patience", type=float, default=PATIENCE, metavar="SECONDS", help="to wait for the host")
    parser.add_argument("--self-test", action="store_true", help="print what this is as one line of JSON, and end")
    arguments = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, _interrupt)
    if arguments.self_test:
        return _self_test(arguments.device)
    if arguments.relay is None:
        parser.error("--relay says where the host is")
    try:
        relay = Relay(Address.parse(arguments.relay), arguments.patience)
        with relay, relay.outlet() as outlet:
            return _reported(relay, outlet, arguments.device)
    except ZkError as error:  # the host doesn't listen: there is nobody to tell
        return error.exit_status


def _reported(relay: Relay, outlet: Outlet, device: str) -> int:
    """Works, and tells the host how that ended."""
    try:
        status = _status(relay, outlet, device)
    except KeyboardInterrupt:
        status = (ExitStatus.INTERRUPTED, STOPPED, "it was interrupted before there was a run")
    except ZkError as error:
        status = (error.exit_status, FAILED, said_of(error))
    except BaseException as error:  # also a panic in compiled code; its text may have data in it
        status = (ExitStatus.INTERNAL, FAILED, f"the enclave's program failed ({type(error).__name__})")
    with suppress(RunError):
        outlet.end(status[1], status[2])
    return status[0]


def _status(relay: Relay, outlet: Outlet, device: str) -> tuple[ExitStatus, str, str]:
    if device == "nitro":
        require_entropy()
    with tempfile.TemporaryDirectory(prefix="zk-enclave-", ignore_cleanup_errors=True) as folder:  # mode 0700
        steps = work(relay, outlet, open_device(device), Path(folder))
    if steps is None:
        return ExitStatus.INTERRUPTED, STOPPED, "it was interrupted: the run stays unfinished, and its key is gone"
    return ExitStatus.DONE, COMPLETE, ""


def said_of(error: ZkError) -> str:
    """What the host is told of an error. It sees all that leaves, so nothing is said of data: a
    refused step's values, or what a job has in it."""
    if isinstance(error, RangeError | GradientError):
        return (
            "a step can't be taken (a value left its range, or a gradient is not finite); which one is not said outside. The job's owner "
            "sees it by training the same without an enclave"
        )
    if isinstance(error, ProverError):
        return "a proof could not be made inside; why is not said outside"
    if isinstance(error, VaultError) and not isinstance(error, KeyRefused | KeyServiceDown):
        return UNOPENED
    if isinstance(error, VerificationError):
        return "the job that was unsealed is no job of this version: its owner must seal it anew"
    return str(error)


def require_entropy(source: Path = HARDWARE) -> None:
    """RunError unless the kernel's randomness comes from the Nitro secure module: keys and salts
    are drawn from it, and nothing else in a new enclave is unknown to the host."""
    try:
        found = source.read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        raise RunError(f"the source of the kernel's randomness can't be read: {error.strerror}") from error
    if found != NITRO_SOURCE:
        raise RunError(
            f"the kernel's randomness is not from the Nitro secure module ({NITRO_SOURCE}): this is no enclave"
        )


def _self_test(device: str) -> int:
    import zk_autograd.enclave.training  # noqa: F401 - all that a training loads

    try:
        name = open_device(device).name
    except ZkError as error:
        print(json.dumps({"version": __version__, "error": str(error)}))
        return error.exit_status
    print(json.dumps({"version": __version__, "device": name, "torch": "torch" in sys.modules}))
    return ExitStatus.INTERNAL if "torch" in sys.modules else ExitStatus.DONE


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
