"""Registers and witnesses for tests: a log whose leaves are at hand, real witnesses on real
sockets, and policies that name them."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from zk_autograd.core.anchors import SignedCheckpoint
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.cosigner import CosignerKey, Ed25519Cosigner, MlDsa44Cosigner
from zk_autograd.core.keys import Ed25519Signer, MlDsa44Signer, PublicKey
from zk_autograd.core.merkle import consistency_proof, leaf_hash, root
from zk_autograd.core.register import origin_of, renamed, sign_head
from zk_autograd.core.text import encode_base64
from zk_autograd.local.serving import listening
from zk_autograd.witness.folder import Folder
from zk_autograd.witness.serving import server
from zk_autograd.witness.store import Log


@dataclass
class Register:
    """A trainer's register, in memory; `branch` tells apart the leaves of two branches from
    `fork_at` on. A core.anchors.History."""

    seed: int = 1
    branch: str = ""
    fork_at: int = 0
    signers: list[Ed25519Signer | MlDsa44Signer] = field(init=False)

    def __post_init__(self) -> None:
        seed = self.seed.to_bytes(32, "big")
        self.signers = [Ed25519Signer("trainer", seed), MlDsa44Signer("trainer", seed)]

    @property
    def origin(self) -> str:
        return origin_of([signer.public_key for signer in self.signers])

    @property
    def keys(self) -> list[PublicKey]:
        return renamed([signer.public_key for signer in self.signers], self.origin)

    def entries(self, first: int, end: int) -> Sequence[bytes]:
        return [f"{index}{self.branch if index >= self.fork_at else ''}".encode() for index in range(first, end)]

    def hashes(self, size: int) -> list[bytes]:
        return [leaf_hash(leaf) for leaf in self.entries(0, size)]

    def consistency(self, size1: int, size2: int) -> Sequence[bytes]:
        return consistency_proof(self.hashes(size2), size1, size2)

    def checkpoint(self, size: int) -> SignedCheckpoint:
        head = Checkpoint(self.origin, size, root(self.hashes(size)))
        return SignedCheckpoint(sign_head(head, self.signers), head)

    def body(self, old: int, size: int) -> bytes:
        """A request to add-checkpoint."""
        proof = self.consistency(old, size) if old <= size else []
        return body(old, proof, self.checkpoint(size).note)


def body(old: int | str, proof: Sequence[bytes], note: bytes) -> bytes:
    lines = "".join(f"{encode_base64(node)}\n" for node in proof)
    return f"old {old}\n{lines}\n".encode() + note


def made(path: Path, *registers: Register, name: str = "witness.example/w") -> Folder:
    """A witness in a new folder that knows the registers."""
    folder = Folder(path)
    folder.create(name)
    for register in registers:
        folder.witness().add_log(Log(register.origin, tuple(register.keys)))
    return folder


def vkeys(folder: Folder) -> list[str]:
    """The public keys of a witness: Ed25519, ML-DSA-44."""
    return (folder.path / "witness.key.pub").read_text().split()


@dataclass
class Running:
    """A witness's server, and its log lines."""

    url: str
    port: int
    lines: list[tuple[str, str, int]]
    stop: Callable[[], None]
    """It is to end, which takes a moment: several are told so at once."""


@contextmanager
def running(folder: Folder, address: str = "127.0.0.1:0") -> Iterator[Running]:
    """The witness of a folder on a free port, in a thread of this process."""
    lines: list[tuple[str, str, int]] = []
    uvicorn = server(folder.witness(), lambda *line: lines.append(line))

    def stop() -> None:
        uvicorn.should_exit = True

    with listening(address) as place:
        port = place.getsockname()[1]
        thread = threading.Thread(target=uvicorn.run, kwargs={"sockets": [place]})
        thread.start()
        try:
            while not uvicorn.started:
                assert thread.is_alive()
                time.sleep(0.005)
            yield Running(f"http://127.0.0.1:{port}", port, lines, stop)
        finally:
            stop()
            thread.join(20)
            assert not thread.is_alive()


def policy(witnesses: Sequence[tuple[str, str]], k: int, register: Register | None = None) -> bytes:
    """A tlog-policy: `k` of the witnesses, each a vkey and a URL ("" for none)."""
    names = [f"w{number}" for number in range(len(witnesses))]
    lines = [f"witness {name} {vkey} {url}" for name, (vkey, url) in zip(names, witnesses, strict=True)]
    logs = [f"log {key.encode()}" for key in register.keys] if register else []
    return "".join(f"{line}\n" for line in [*logs, *lines, f"group g {k} {' '.join(names)}", "quorum g"]).encode()


@dataclass(frozen=True)
class Signers:
    """A witness that is nothing but its keys, of a seed."""

    seed: int

    @property
    def name(self) -> str:
        return f"witness.example/{self.seed}"

    @property
    def ed25519(self) -> Ed25519Cosigner:
        return Ed25519Cosigner(Ed25519Signer(self.name, (1000 + self.seed).to_bytes(32, "big")))

    @property
    def mldsa44(self) -> MlDsa44Cosigner:
        return MlDsa44Cosigner(MlDsa44Signer(self.name, (2000 + self.seed).to_bytes(32, "big")))

    @property
    def keys(self) -> tuple[CosignerKey, CosignerKey]:
        return self.ed25519.public_key, self.mldsa44.public_key
