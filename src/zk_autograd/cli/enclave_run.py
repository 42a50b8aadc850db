"""`zk-enclave run`: a host starts an enclave for a sealed job, and keeps what its run publishes."""

import argparse
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from zk_autograd.cli.ending_signals import ending_signals
from zk_autograd.cli.output import Output
from zk_autograd.core.errors import ExitStatus, UsageError, VerificationError
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zk_autograd.enclave.host import Hosted
    from zk_autograd.enclave.relay.address import Address
    from zk_autograd.enclave.start import BrokerPlace, KmsPlace
    from zk_autograd.enclave.starting import Instance

HELP = "train a sealed job in an enclave, and keep what is public of it"

PORT = 5000
MAX_CPUS = 1024
MAX_MEMORY = 2**25
_MAX_CERTIFICATES = 2**15
_MAX_KEY = 2**12
_EMULATED = (
    "emulated: this shows nothing about where it ran; the enclave is a process of this machine, and nothing is isolated"
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    add = parser.add_argument
    add(
        "--job",
        type=Path,
        required=True,
        metavar="DIR",
        help="the folder of the sealed job, NAME.enc and NAME.key.json",
    )
    add("--out", type=Path, required=True, metavar="RUN", help="where the run is kept: a new folder")
    add("--image", type=Path, metavar="EIF", help="start this image, once checked, as an enclave of AWS Nitro")
    add(
        "--image-key",
        type=Path,
        metavar="FILE",
        help="of --image: the public key that signs your images (ECDSA P-256, PEM)",
    )
    add("--policy", type=Path, metavar="FILE", help="of --image: a policy that allows its measurement")
    add("--enclave-cid", type=int, default=16, metavar="N", help="of --image: its address (default: 16)")
    add("--port", type=int, default=PORT, metavar="N", help=f"of --image: the relay's port (default: {PORT})")
    add("--cpus", type=int, default=2, metavar="N", help="of --image: its processors (default: 2)")
    add("--memory", type=int, default=4096, metavar="MIB", help="of --image: its memory in MiB (default: 4096)")
    add("--process", action="store_true", help="start a process of this machine instead, which isolates nothing")
    add("--measurements", type=Path, metavar="FILE", help="of --process: what its emulated device attests")
    add("--broker", metavar="HOST:PORT", help="the broker that releases the job's key")
    add("--broker-key", metavar="KEY", help="the broker's public key, or the file that has it")
    add(
        "--broker-cert",
        type=Path,
        metavar="FILE",
        help="the certificates that the broker may show (PEM); without: no TLS",
    )
    add(
        "--kms-region",
        metavar="REGION",
        help="AWS KMS of this region releases the job's key; AWS's credentials are yours",
    )
    add(
        "--kms-endpoint",
        metavar="URL",
        help="with --process and --kms-region: http://HOST:PORT that speaks KMS's protocol",
    )
    add("--tunnel", action="append", default=[], metavar="NAME=HOST:PORT", help="what else the enclave may connect to")
    add("--anchor", action="append", default=[], metavar="rfc3161:URL", help="have the enclave's register time-stamped")
    add("--nonce", default="", metavar="HEX", help="an auditor's nonce, which the attestation will have in it")
    add(
        "--prove",
        action="store_true",
        help="make the proofs here, if the job has them made outside: they show you its data",
    )


def run(arguments: argparse.Namespace, output: Output) -> int:
    """The exit status."""
    from zk_autograd.enclave.host import Order, host
    from zk_autograd.enclave.relay.tunnel import Target
    from zk_autograd.enclave.stamping import anchors_of
    from zk_autograd.enclave.start import Start

    broker, kms = _broker(arguments), _kms(arguments)
    if broker is None and kms is None:
        raise UsageError("--broker or --kms-region says who releases the job's key")
    tunnels = dict(Target.parse(text) for text in arguments.tunnel)
    if broker is not None:
        tunnels |= [Target.parse(f"broker={arguments.broker}")]
    if kms is not None:
        place = kms.endpoint.removeprefix("http://").rstrip("/") or f"kms.{kms.region}.amazonaws.com:443"
        tunnels |= [Target.parse(f"kms={place}")]
    start, anchors = Start(broker, kms, _nonce(arguments.nonce)), anchors_of(arguments.anchor)
    with ending_signals(), _launcher(arguments, output) as launch:
        order = Order(
            job=arguments.job,
            out=arguments.out,
            start=start,
            launch=launch,
            tunnels=tunnels,
            anchors=anchors,
            proves=arguments.prove,
            cid=0 if arguments.process else arguments.enclave_cid,
            port=0 if arguments.process else arguments.port,
        )
        try:
            found = host(order, output.note)
        except KeyboardInterrupt:
            _interrupted(arguments.out, output)
            return ExitStatus.INTERRUPTED
    return _reported(found, output, emulated=arguments.process)


def _interrupted(out: Path, output: Output) -> None:
    left = f"{out} holds an unfinished run" if out.exists() else "it had sent nothing"
    output.note(f"the enclave was stopped; {left}. Nobody can resume it: its key is gone")
    output.result({"interrupted": True, "run": str(out) if out.exists() else None, "resumable": False})


def _reported(found: "Hosted", output: Output, *, emulated: bool) -> int:
    if not found.complete:
        left = f"{found.out} holds an unfinished run" if found.out.exists() else "nothing was recorded"
        stopped = found.how == "stopped"
        status = ExitStatus.INTERRUPTED if stopped else ExitStatus.REFUSED
        return output.error("Interrupted" if stopped else "RunError", f"in the enclave: {found.reason}; {left}", status)
    for sentence in found.unstamped:
        output.note(f"not time-stamped to its end: {sentence}")
    where = "a process of this machine, which shows nothing" if emulated else "an enclave"
    output.line(f"{found.out} is complete, says {where}: zk-verify {found.out} tells what it shows")
    if found.unstamped:
        output.line(f"{counted(len(found.unstamped), 'anchor')} did not hold its newest entry in time")
    output.result(
        {"run": str(found.out), "complete": True, "emulated": emulated, "not_anchored": list(found.unstamped)}
    )
    return ExitStatus.LESS if found.unstamped else ExitStatus.DONE


def _broker(arguments: argparse.Namespace) -> "BrokerPlace | None":
    from zk_autograd.enclave.start import BrokerPlace
    from zk_autograd.local.named_files import read_named

    if arguments.broker is None:
        if arguments.broker_key or arguments.broker_cert:
            raise UsageError("--broker-key and --broker-cert are for --broker: say where it is")
        return None
    if arguments.broker_key is None:
        raise UsageError("--broker-key is needed beside --broker: `zk-enclave broker` prints it when it starts")
    key = arguments.broker_key
    if "+" not in key or os.path.exists(key):
        key = _text(read_named(Path(key), "the broker's key", _MAX_KEY), "--broker-key").strip()
    certificates = ""
    if arguments.broker_cert is not None:
        certificates = _text(read_named(arguments.broker_cert, "the certificates", _MAX_CERTIFICATES), "--broker-cert")
    try:
        PublicKey.parse(key)  # what is wrong with it is said before an enclave is started
    except VerificationError as error:
        raise UsageError(f"--broker-key is no key as `zk-enclave broker` prints it: {error}") from error
    return BrokerPlace(arguments.broker, key, certificates)


def _kms(arguments: argparse.Namespace) -> "KmsPlace | None":
    from zk_autograd.enclave.start import KmsPlace

    if arguments.kms_region is None:
        if arguments.kms_endpoint:
            raise UsageError("--kms-endpoint is for --kms-region: name a region, too")
        return None
    if arguments.kms_endpoint and not arguments.kms_endpoint.startswith("http://"):
        raise UsageError("--kms-endpoint is http://HOST:PORT; AWS's own needs none, and is spoken to over TLS")
    if arguments.kms_endpoint and not arguments.process:
        raise UsageError("--kms-endpoint is for --process: a real enclave asks AWS's own KMS, over TLS, and no other")
    try:
        import boto3
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise UsageError("AWS KMS needs boto3: pip install 'zk-autograd[aws]'") from error
    try:
        found = boto3.session.Session().get_credentials()
        frozen = None if found is None else found.get_frozen_credentials()
    except BotoCoreError as error:
        raise UsageError(f"AWS gives no credentials ({type(error).__name__})") from error
    if frozen is None or not frozen.access_key or not frozen.secret_key:
        raise UsageError("AWS KMS needs credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role")
    return KmsPlace(
        arguments.kms_region, arguments.kms_endpoint or "", frozen.access_key, frozen.secret_key, frozen.token or ""
    )


@contextmanager
def _launcher(arguments: argparse.Namespace, output: Output) -> "Iterator[Callable[[Address], Instance]]":
    """What starts the enclave, while the block runs. UsageError for flags that say neither how, or
    both; VerificationError for an image that isn't signed, or isn't one that the policy allows."""
    if arguments.process == (arguments.image is not None):
        raise UsageError("--image starts an enclave, --process a process of this machine: choose one")
    if arguments.process:
        yield _process(arguments, output)
        return
    from zk_autograd.enclave.launching import checked_image
    from zk_autograd.enclave.starting import Nitro

    if arguments.measurements is not None:
        raise UsageError("--measurements is for --process: an image has its own")
    if arguments.image_key is None:
        raise UsageError("--image-key is needed beside --image: an image that nobody signed is not started")
    if not 3 < arguments.enclave_cid < 2**32 - 1 or not 0 < arguments.port < 2**32 - 1:
        raise UsageError("--enclave-cid is a number above 3, --port one above 0, both below 4294967295")
    if not 1 <= arguments.cpus <= MAX_CPUS or not 64 <= arguments.memory <= MAX_MEMORY:
        raise UsageError(f"--cpus is a number from 1 to {MAX_CPUS}, --memory one from 64 to {MAX_MEMORY}, in MiB")
    with checked_image(arguments.image, arguments.image_key, arguments.policy) as checked:
        output.note(f"{arguments.image} is signed by {checked.key.fingerprint}; {checked.judged}")
        yield lambda address: Nitro(checked.image.path, arguments.enclave_cid, arguments.cpus, arguments.memory)


def _process(arguments: argparse.Namespace, output: Output) -> "Callable[[Address], Instance]":
    from zk_autograd.enclave.starting import Process
    from zk_autograd.tee.device import open_device

    if arguments.image_key is not None or arguments.policy is not None:
        raise UsageError("--image-key and --policy are for --image: a process has no image that could be measured")
    if arguments.measurements is None:
        raise UsageError(
            "--measurements is needed beside --process: a file as `zk-enclave measure IMAGE --json` prints it"
        )
    measurements = arguments.measurements.absolute()
    open_device(f"emulated:{measurements}")  # what is wrong with the file is said now

    def process(address: "Address") -> Process:
        output.note(_EMULATED)
        return Process(address, measurements)

    return process


def _nonce(text: str) -> bytes:
    from zk_autograd.core.attestation import LEAST_NONCE, MAX_NONCE

    if not text:
        return b""
    if set(text) - set("0123456789abcdef") or len(text) % 2 or not LEAST_NONCE <= len(text) // 2 <= MAX_NONCE:
        raise UsageError(f"--nonce has {LEAST_NONCE} to {MAX_NONCE} bytes, in lower-case hexadecimal digits")
    return bytes.fromhex(text)


def _text(data: bytes, flag: str) -> str:
    try:
        return data.decode("ascii")
    except UnicodeDecodeError as error:
        raise UsageError(f"{flag} names a file that is no text") from error
