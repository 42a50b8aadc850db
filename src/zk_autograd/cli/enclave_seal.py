"""`zk-enclave seal`: an owner's job for an enclave, sealed so that whoever carries it can neither
read nor change it, with its key wrapped for what releases it: AWS KMS, or a broker."""

import argparse
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zk_autograd.cli.output import Output

if TYPE_CHECKING:
    from zk_autograd.enclave.job import Job
    from zk_autograd.vault.pairs import Holding

HELP = "seal a job for an enclave: settings and a table, with its key for AWS KMS or a broker"
NAME = "job"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    from zk_autograd.core.records import INSIDE, OUTSIDE

    parser.add_argument(
        "--job",
        type=Path,
        required=True,
        metavar="FILE",
        help="the settings, as zk-train's in TOML (seed: random, if it isn't there)",
    )
    parser.add_argument("--data", type=Path, required=True, metavar="FILE", help="the table, CSV")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help=f"where {NAME}.enc and {NAME}.key.json go"
    )
    holder = parser.add_mutually_exclusive_group(required=True)
    holder.add_argument("--kms", metavar="KEY", help="wrap the job's key by this key of AWS KMS: its ARN, id or alias")
    holder.add_argument(
        "--kek-file", type=Path, metavar="FILE", help="wrap it by the 32 random bytes in this file, which a broker has"
    )
    holder.add_argument("--broker", type=Path, metavar="PUB", help="wrap it for a broker's public key (new-recipient)")
    parser.add_argument("--region", default="", metavar="NAME", help="of --kms (default: as configured for AWS)")
    parser.add_argument(
        "--endpoint", default="", metavar="URL", help="of --kms: another service that speaks its protocol"
    )
    parser.add_argument(
        "--recipient", type=Path, metavar="PUB", help="the public key that checkpoints and the model are sealed for"
    )
    parser.add_argument(
        "--checkpoint-every", type=int, default=0, metavar="N", help="steps between sealed checkpoints (default: none)"
    )
    parser.add_argument(
        "--proving",
        choices=(INSIDE, OUTSIDE),
        default=INSIDE,
        help=f"{OUTSIDE}: a prover beside the enclave sees all that is trained on, in the clear (default: {INSIDE})",
    )


def run(arguments: argparse.Namespace, output: Output) -> int:
    """The exit status."""
    import io

    from zk_autograd.vault.context import of_enclave
    from zk_autograd.vault.pairs import ENC, seal_pair

    job = _job(arguments)
    holding = _holding(arguments)
    out: Path = arguments.out
    with _folder(out):
        key_file = seal_pair(io.BytesIO(job.encode()), out, NAME, of_enclave(job.run), (holding,))
    digest = key_file.ciphertext.sha256
    output.note(_advice(arguments))
    output.line(f"run {job.run.hex()}: {out / (NAME + ENC)}, its key wrapped by {holding.by} {holding.kek}")
    output.line(f"job {digest}: what an enclave attests of it, for `job` below [attestation] of an auditor's policy")
    output.result(
        {
            "sha256": digest,
            "run": job.run.hex(),
            "job": str(out / (NAME + ENC)),
            "by": holding.by,
            "kek": holding.kek,
            "proving": job.proving,
        }
    )
    return 0


@contextmanager
def _folder(path: Path) -> Iterator[None]:
    """A folder, which goes again if it was made for a block that failed."""
    from zk_autograd.local.named_files import refusal

    made = not path.exists()
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise refusal(error, f"--out {path} can't be made") from error
    try:
        yield
    except BaseException:
        if made:
            with suppress(OSError):
                path.rmdir()
        raise


def _job(arguments: argparse.Namespace) -> "Job":
    """The job. UsageError for one that no enclave could train."""
    from zk_autograd.core.canonical import MAX_INTEGER
    from zk_autograd.core.errors import UsageError, VerificationError
    from zk_autograd.core.records import MAX_STEP
    from zk_autograd.core.register import RUN_BYTES
    from zk_autograd.enclave.job import Job
    from zk_autograd.local import csv_file
    from zk_autograd.local.named_files import read_named

    if not 0 <= arguments.checkpoint_every <= MAX_STEP:
        raise UsageError(f"--checkpoint-every is {arguments.checkpoint_every}; it is 0 (none) or a number of steps")
    recipient = b"" if arguments.recipient is None else _recipient(arguments.recipient, "--recipient").public
    if arguments.checkpoint_every and not recipient:
        raise UsageError("--checkpoint-every needs --recipient: checkpoints are sealed for somebody")
    # A seed that everybody knows would let them train a guess at the table again.
    settings = {"seed": secrets.randbelow(MAX_INTEGER + 1)} | _settings(arguments.job)
    table = read_named(arguments.data, "the table", csv_file.MAX_BYTES)
    job = Job(os.urandom(RUN_BYTES), settings, table, recipient, arguments.proving, arguments.checkpoint_every)
    _require_trainable(job, arguments.data)
    try:
        Job.parse(job.encode())
    except (VerificationError, ValueError) as error:
        raise UsageError(f"{arguments.job} can't be sealed as a job: {error}") from error
    return job


def _settings(path: Path) -> dict[str, Any]:
    """The settings of a file, decimals as texts: a job has no other numbers than integers."""
    from zk_autograd.core import bounded_toml
    from zk_autograd.core.errors import UsageError
    from zk_autograd.local.named_files import read_named

    try:
        text = read_named(path, "the job's settings", bounded_toml.MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"the job's settings {path} are not UTF-8 text") from error
    return {name: _plain(value) for name, value in bounded_toml.parse(text, str(path)).items()}


def _plain(value: Any) -> Any:
    from decimal import Decimal

    if isinstance(value, list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Decimal) else value


def _require_trainable(job: "Job", path: Path) -> None:
    """UsageError, which tells the owner why, for what the enclave would refuse without a word."""
    from dataclasses import replace

    from zk_autograd.enclave import settings
    from zk_autograd.local import csv_file
    from zk_autograd.local.csv_name import CsvFile
    from zk_autograd.optim.registering import DEFAULT
    from zk_autograd.train import data

    plan = settings.plan_of(job.settings, bytes(32), DEFAULT)
    assert isinstance(plan.data, CsvFile)
    source = replace(plan.data, path=str(path))
    rows = data.divided(csv_file.parsed(job.table, source), source, plan.seed)
    settings.network_of(plan.fitted(len(rows.train)), rows.columns, rows.classes)


def _holding(arguments: argparse.Namespace) -> "Holding":
    from zk_autograd.core.errors import UsageError
    from zk_autograd.local.secret_files import read_secret
    from zk_autograd.vault.errors import VaultError
    from zk_autograd.vault.holder.keyfile import KEK_BYTES, FileKey
    from zk_autograd.vault.holder.kms import KmsKey, client, require_key_id
    from zk_autograd.vault.keys import KEYFILE, KMS, RECIPIENT
    from zk_autograd.vault.pairs import Holding

    if arguments.kms is not None:
        require_key_id(arguments.kms)
        return Holding(KmsKey(client(arguments.region, arguments.endpoint), arguments.kms), arguments.kms, KMS)
    if arguments.region or arguments.endpoint:
        raise UsageError("--region and --endpoint are of --kms")
    if arguments.broker is not None:
        recipient = _recipient(arguments.broker, "--broker")
        return Holding(recipient, recipient.fingerprint, RECIPIENT)
    made = f"make one: `(umask 077; head -c {KEK_BYTES} /dev/urandom > FILE)`"
    data = read_secret(arguments.kek_file, "key that wraps keys", KEK_BYTES + 1, made, made)
    try:
        key = FileKey(data)
    except VaultError:
        raise UsageError(f"--kek-file {arguments.kek_file} has to have {KEK_BYTES} random bytes; {made}") from None
    return Holding(key, key.name, KEYFILE)


def _recipient(path: Path, option: str) -> Any:
    from zk_autograd.core.errors import UsageError
    from zk_autograd.local.named_files import read_named
    from zk_autograd.vault.errors import VaultError
    from zk_autograd.vault.holder.recipient import MAX_TEXT, Recipient

    try:
        return Recipient.parse(read_named(path, "the public key", MAX_TEXT))
    except VaultError as error:
        raise UsageError(f"{option} {path}: {error}; `zk-enclave new-recipient` makes one, FILE.pub") from error


def _advice(arguments: argparse.Namespace) -> str:
    if arguments.kms is not None:
        return (
            "the key's policy in KMS decides who opens this job: allow kms:Decrypt under kms:RecipientAttestation:PCR0, PCR1 and PCR2 of your image "
            "(zk-enclave measure), and kms:Encrypt to yourself alone"
        )
    return "whoever has the broker's key opens this job: give the two files to the host, and the key file to the broker (zk-enclave broker)"
