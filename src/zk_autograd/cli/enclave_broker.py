"""`zk-enclave broker`: releases the keys of sealed jobs to the enclaves that a policy allows."""

import argparse
from pathlib import Path

from zk_autograd.cli.output import Output
from zk_autograd.cli.server_log import log_lines
from zk_autograd.core.errors import ExitStatus, UsageError
from zk_autograd.core.text import counted

HELP = "release the keys of jobs to enclaves that a policy allows, until SIGTERM or Ctrl-C"

LISTEN = "127.0.0.1:7390"
RATE = 30


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    parser.add_argument(
        "--policy",
        type=Path,
        required=True,
        metavar="FILE",
        help="which enclaves: the [attestation.KIND] of a zk-verify policy",
    )
    parser.add_argument("--jobs", type=Path, required=True, metavar="DIR", help="the folder of the jobs' NAME.key.json")
    parser.add_argument(
        "--kek-file",
        type=Path,
        required=True,
        metavar="FILE",
        help="the key that opens the jobs' keys: a recipient's private key, or 32 random bytes",
    )
    parser.add_argument(
        "--state", type=Path, required=True, metavar="DIR", help="the broker's own folder, made if there is none"
    )
    parser.add_argument(
        "--listen", default=LISTEN, metavar="HOST:PORT", help=f"where to listen (default: {LISTEN}; port 0: a free one)"
    )
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="serve over TLS 1.3, with this certificate (PEM)")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="the certificate's key (PEM)")
    parser.add_argument(
        "--releases", type=_positive, default=1, metavar="N", help="how often a run's key is released (default: once)"
    )
    parser.add_argument(
        "--rate",
        type=_positive,
        default=RATE,
        metavar="N",
        help=f"requests a minute of each address, and about each run (default: {RATE})",
    )


def run(arguments: argparse.Namespace, output: Output) -> int:
    """The command's exit status."""
    from zk_autograd.broker.deciding import Broker
    from zk_autograd.broker.folder import Folder
    from zk_autograd.broker.jobs import JobFolder, load_kek
    from zk_autograd.broker.policy import load
    from zk_autograd.broker.rates import Rates
    from zk_autograd.broker.serving import Door, server
    from zk_autograd.local.serving import listening, url_of
    from zk_autograd.tee.kinds import verifiers

    tls = _tls(arguments)
    policy = load(arguments.policy, verifiers())
    jobs = JobFolder(arguments.jobs, load_kek(arguments.kek_file))
    folder = Folder(arguments.state)
    broker = Broker(folder, policy, jobs, releases=arguments.releases)
    door = Door(broker, Rates(arguments.rate), Rates(arguments.rate))
    running = server(door, log_lines(output, json_output=arguments.json), tls)
    key = folder.signer.public_key.encode()
    if policy.emulated:
        output.note(
            "the policy takes emulated devices, which show nothing: whoever asks about a run gets its key; for demonstrations"
        )
    with listening(arguments.listen) as place:
        url = url_of(place, "https" if tls else "http")
        output.line(f"listening at {url}")
        output.line(f"key {key}")
        output.line(f"log {folder.origin}, {counted(folder.known.size, 'decision')}")
        output.line(f"keys of {counted(len(jobs.runs), 'job')}")
        output.result(
            {
                "url": url,
                "key": key,
                "log": folder.origin,
                "decisions": folder.known.size,
                "runs": [one.hex() for one in jobs.runs],
                "emulated": policy.emulated,
            }
        )
        output.flush()
        running.run(sockets=[place])
    folder.close()
    return ExitStatus.DONE


def _tls(arguments: argparse.Namespace) -> tuple[Path, Path] | None:
    if (arguments.tls_cert is None) != (arguments.tls_key is None):
        raise UsageError("--tls-cert and --tls-key go together: give both, or neither")
    return None if arguments.tls_cert is None else (arguments.tls_cert, arguments.tls_key)


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 7 and 0 < int(text) <= 1_000_000):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no number from 1 to 1000000")
    return int(text)
