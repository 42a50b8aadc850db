"""Hosts and enclaves as two processes: an owner's sealed job, a real broker, and the emulated
device, whose measurements the broker's policy allows."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.broker.brokers import PCRS, Place, Running
from tests.enclave.instances import NONE, make_job
from zk_autograd import verify_run
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.enclave.host import Hosted, Order, host
from zk_autograd.enclave.job import Job
from zk_autograd.enclave.relay.address import Address
from zk_autograd.enclave.relay.tunnel import Target
from zk_autograd.enclave.start import BrokerPlace, Start
from zk_autograd.enclave.starting import Instance, Process
from zk_autograd.vault.context import of_enclave
from zk_autograd.vault.holder.recipient import RecipientKey
from zk_autograd.vault.keys import RECIPIENT, SUFFIX
from zk_autograd.vault.pairs import Holding, sealed_pair
from zk_autograd.verify.policy_file import FORMAT
from zk_autograd.verify.report import Report

PATIENCE = 20.0
SECRET = b"3.141592"
"""In the table of `secret_job`."""


def secret_job(settings: Mapping[str, Any] = NONE, **fields: Any) -> Job:
    """A job whose table has a value and a column's name that are nowhere else."""
    job = make_job(settings, **fields)
    lines = job.table.split(b"\n")
    lines[0] = lines[0].replace(b"column 0", b"column sesame")
    lines[1] = SECRET + lines[1][lines[1].index(b",") :]
    return replace(job, table=b"\n".join(lines))


def measurements(path: Path, pcrs: Mapping[int, bytes] = PCRS) -> Path:
    """The file of an emulated device that attests these."""
    path.write_text(json.dumps({f"pcr{number}": pcr.hex() for number, pcr in pcrs.items()}))
    return path


@dataclass
class Bench:
    """An owner, a broker that holds their jobs' keys, and a host, in one folder. `said` are the
    lines for people."""

    path: Path
    place: Place
    broker: Running
    said: list[str] = field(default_factory=list)

    def sealed(self, job: Job, name: str = "job", run: bytes | None = None) -> Path:
        """The folder of a sealed job, whose key the broker holds too. `run`: what the seal says, if
        another run than the job's."""
        folder = self.path / name
        folder.mkdir()
        kek: RecipientKey = self.place.kek
        holding = Holding(kek.recipient, kek.recipient.fingerprint, RECIPIENT)
        data, key_file = sealed_pair(job.encode(), of_enclave(job.run if run is None else run), [holding])
        (folder / "job.enc").write_bytes(data)
        (folder / f"job{SUFFIX}").write_bytes(key_file.encode())
        (self.place.jobs / f"{name}{SUFFIX}").write_bytes(key_file.encode())
        return folder

    def start(self, **fields: Any) -> Start:
        place = BrokerPlace(f"127.0.0.1:{self.broker.port}", self.broker.broker.key.encode())
        return Start(**({"broker": place} | fields))

    def host(
        self, job: Path, out: str = "out", launch: Callable[[Address], Instance] | None = None, **fields: Any
    ) -> Hosted:
        """What a host does; the enclave is another process."""
        chosen: dict[str, Any] = {
            "tunnels": {"broker": Target("127.0.0.1", self.broker.port)},
            "start": self.start(),
            "patience": PATIENCE,
        }
        order = Order(job=job, out=self.path / out, launch=launch or self.launch, **(chosen | fields))
        return host(order, self.said.append)

    def launch(self, address: Address, pcrs: Mapping[int, bytes] = PCRS, patience: float = PATIENCE) -> Process:
        return Process(address, measurements(self.path / "measurements.json", pcrs), patience)


@contextmanager
def bench(path: Path, **options: Any) -> Iterator[Bench]:
    """`options`: of the broker (tests.broker.brokers.Place)."""
    (path / "broker").mkdir()
    place = Place(path / "broker", **options)
    with place.running() as broker:
        yield Bench(path, place, broker)


def demonstration(folder: Path, root: bytes) -> Path:
    """An auditor's policy that trusts the emulated measurement, and an authority for time stamps
    under this root (PEM). It pins no key."""
    folder.mkdir()
    (folder / "root.pem").write_bytes(root)
    registers = ", ".join(f'pcr{number} = "{pcr.hex()}"' for number, pcr in PCRS.items())
    (folder / "policy.toml").write_text(
        f'format = "{FORMAT}"\nrequire = ["L1", "L2"]\n[anchors.rfc3161]\nroots = ["root.pem"]\n'
        f"[attestation.nitro]\nmeasurements = [{{ {registers} }}]\nemulated = true\n"
    )
    return folder / "policy.toml"


def records(run: Path) -> list[bytes]:
    """The records that lie in a run."""
    path = run / "log/records.jsonl"
    return path.read_bytes().splitlines() if path.exists() else []


def judged(run: Path, **options: Any) -> Report:
    """zk-verify's report, under the keys that the run names itself: all that a reader of this one
    run could pin."""
    keys: Sequence[str] = parse_log(records(run)).header.keys
    return verify_run(run, keys=list(keys), **options)
