"""Brokers for tests: real ones, on real sockets, with sealed jobs, and emulated enclaves whose
documents the real verifier reads."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from zk_autograd.broker.deciding import Broker
from zk_autograd.broker.decision import Decision
from zk_autograd.broker.folder import Folder
from zk_autograd.broker.jobs import JobFolder
from zk_autograd.broker.messages import Request
from zk_autograd.broker.policy import load
from zk_autograd.broker.rates import Rates
from zk_autograd.broker.serving import Door, server
from zk_autograd.core.attestation import release_digest
from zk_autograd.enclave.release import broker as client
from zk_autograd.local.serving import listening
from zk_autograd.tee.device import Device, document_of
from zk_autograd.tee.device.emulated import EmulatedDevice
from zk_autograd.tee.kinds import verifiers
from zk_autograd.vault.context import of_enclave
from zk_autograd.vault.holder.recipient import RecipientKey
from zk_autograd.vault.keys import RECIPIENT, SUFFIX
from zk_autograd.vault.pairs import Holding, sealed_pair

RUN = bytes.fromhex("00112233445566778899aabbccddeeff")
OTHER_RUN = bytes.fromhex("ffeeddccbbaa99887766554433221100")
PCRS = {number: bytes([number + 1]) * 48 for number in (0, 1, 2)}
OTHER_PCRS = {**PCRS, 2: b"\x77" * 48}


def policy_text(pcrs: dict[int, bytes] = PCRS, *, emulated: bool = True) -> str:
    registers = ", ".join(f'pcr{number} = "{pcr.hex()}"' for number, pcr in pcrs.items())
    taken = "emulated = true\n" if emulated else ""
    head = 'format = "zk-autograd/policy/v1"\nrequire = ["L2"]\n'
    return f"{head}[attestation.nitro]\nmeasurements = [{{ {registers} }}]\n{taken}"


def add_job(jobs: Path, kek: RecipientKey, run: bytes, name: str = "") -> bytes:
    """Seals a job for the enclave of the run, and gives its key."""
    holding = Holding(kek.recipient, kek.recipient.fingerprint, RECIPIENT)
    _, key_file = sealed_pair(b"a job", of_enclave(run), [holding])
    jobs.mkdir(exist_ok=True)
    (jobs / f"{name or run.hex()}{SUFFIX}").write_bytes(key_file.encode())
    return kek.unwrap(key_file.wrap(RECIPIENT).wrapped, of_enclave(run))


@dataclass
class Place:
    """All that a broker of tests needs, in one folder, and the keys of its two jobs."""

    path: Path
    releases: int = 1
    rate: int = 10_000
    clock: Callable[[], float] = time.time
    kek: RecipientKey = field(default_factory=RecipientKey.generate)
    deks: dict[bytes, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.path.mkdir(exist_ok=True)
        if not self.policy.exists():
            self.policy.write_text(policy_text())
        for run in (RUN, OTHER_RUN):
            self.deks[run] = add_job(self.jobs, self.kek, run)
        if not self.kek_file.exists():
            self.kek_file.touch(0o600)
            self.kek_file.write_text(self.kek.secret_text)

    @property
    def policy(self) -> Path:
        return self.path / "policy.toml"

    @property
    def jobs(self) -> Path:
        return self.path / "jobs"

    @property
    def kek_file(self) -> Path:
        return self.path / "kek"

    @property
    def state(self) -> Path:
        return self.path / "state"

    @contextmanager
    def opened(self) -> Iterator[Broker]:
        """The broker, in this process."""
        folder = Folder(self.state)
        try:
            policy = load(self.policy, verifiers())
            keys = JobFolder(self.jobs, self.kek)
            yield Broker(folder, policy, keys, releases=self.releases, clock=self.clock)
        finally:
            folder.close()

    @contextmanager
    def running(self, tls: tuple[Path, Path] | None = None) -> Iterator["Running"]:
        """The broker on a free port, in a thread of this process."""
        with self.opened() as broker, listening("127.0.0.1:0") as place:
            lines: list[tuple[str, str, int]] = []
            door = Door(broker, Rates(self.rate), Rates(self.rate))
            uvicorn = server(door, lambda *line: lines.append(line), tls)
            thread = threading.Thread(target=uvicorn.run, kwargs={"sockets": [place]})
            thread.start()
            try:
                while not uvicorn.started:
                    assert thread.is_alive()
                    time.sleep(0.005)
                yield Running(broker, place.getsockname()[1], lines)
            finally:
                uvicorn.should_exit = True
                thread.join(20)
                assert not thread.is_alive()

    def decisions(self) -> list[Decision]:
        with self.opened() as broker:
            return list(map(Decision.parse, broker.entries(0, 10_000)))


@dataclass
class Running:
    """A broker's server, and the lines of its own log."""

    broker: Broker
    port: int
    lines: list[tuple[str, str, int]]

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 20)

    def client(self, connect: Callable[[], socket.socket] | None = None) -> client.Broker:
        """What an enclave knows of it."""
        return client.Broker(connect or self.connect, f"127.0.0.1:{self.port}", self.broker.key)


@dataclass
class Enclave:
    """An instance: its release key, and its device."""

    device: Device = field(default_factory=lambda: EmulatedDevice(PCRS))
    key: RecipientKey = field(default_factory=RecipientKey.generate)

    def request(self, run: bytes, nonce: bytes, *, attested: bytes | None = None) -> Request:
        """A request; `attested`: another run than it is about."""
        public = self.key.public
        digest = release_digest(run if attested is None else attested, public, nonce)
        return Request(run, document_of(self.device, digest, public, nonce), self.device.collateral())


def nonce_of(broker: Broker, run: bytes = RUN) -> bytes:
    found = broker.nonce(run)
    assert found is not None
    return found.nonce


def random_nonce() -> bytes:
    return os.urandom(32)
