"""Runs of an enclave for the verifier to judge: made with `core` alone, attested by the emulated
device, entered into their own register, and time-stamped by a local authority.

`EnclaveRun` can be changed at will before it is written, as `run_builder.Run` can.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.anchor.rfc3161.authority import Holder, holder, stamp, token
from tests.verify.register_builder import Tree, enter, write
from tests.verify.run_builder import KEY, SIGNER, SRS, Run, honest, stand_ins
from zk_autograd.anchor.kinds import verifiers as anchor_verifiers
from zk_autograd.anchor.rfc3161.token import imprint
from zk_autograd.core.anchors import Receipt
from zk_autograd.core.attestation import AttestationVerifier, Binding, Collateral, Document
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.keys import Signer
from zk_autograd.core.record_bytes import to_bytes
from zk_autograd.core.records import ENCLAVE_FORMAT, INSIDE, Data, header_digest
from zk_autograd.core.register import Kind
from zk_autograd.core.text import encode_base64
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.prove.verifiers import Systems
from zk_autograd.tee.device import Device
from zk_autograd.tee.device.emulated import EmulatedDevice
from zk_autograd.tee.kinds import verifiers as attestation_verifiers
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.policy_file import FORMAT, load
from zk_autograd.verify.report import Report
from zk_autograd.verify.verifier import Verifier

BEGUN = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
"""When the enclave makes its document, by its clock."""

STAMPED = BEGUN + timedelta(minutes=2)
PCRS = {number: bytes([number + 1]) * 48 for number in (0, 1, 2)}
DATA = Data(bytes([3]) * 32, 100, "sequential", 10, b"")
NONCE = bytes(range(16))
_TOKEN_NONCE = bytes(range(1, 17))


@cache
def authority() -> tuple[Holder, Holder]:
    """A root, and a time-stamp authority under it."""
    root = holder("a root", ca=True)
    return root, holder("an authority", root)


@dataclass
class EnclaveRun:
    """A run of an enclave: `document` is written as `data` if that is given; `views` are the places
    of its entries in the register, and the sizes of its trees; `stamps` the times of the stamps, by
    the tree's size."""

    run: Run
    tree: Tree
    document: Document
    collateral: bytes | None = None
    views: tuple[tuple[int, int], ...] = ((0, 1), (1, 2), (2, 3))
    stamps: dict[int, datetime] = field(default_factory=lambda: {2: STAMPED})
    data: bytes | None = None

    def name(self) -> None:
        """The genesis names the document as it is, and all that follows is made anew."""
        assert self.run.genesis is not None
        digest = sha256(self.document.encode()).digest()
        self.run.genesis = replace(self.run.genesis, attestation=digest)
        if self.run.header.prover.form.proves:
            self.run.reprove()
        self.enter()

    def enter(self) -> None:
        """The register's entries, as the records are now."""
        self.tree.entries.clear()
        enter(self.run, self.tree, Kind.BEGIN, 1)
        enter(self.run, self.tree, Kind.CHECKPOINT, 2)
        enter(self.run, self.tree, Kind.CLOSE, len(self.run.leaves()))

    def write(self, folder: Path) -> Path:
        self.run.write(folder)
        write(folder, self.tree.views(*self.views), [self.receipt(size, at) for size, at in self.stamps.items()])
        (folder / "attestation").mkdir(exist_ok=True)
        (folder / "attestation/document.json").write_bytes(self.document.encode() if self.data is None else self.data)
        if self.collateral is not None:
            (folder / "attestation/collateral.json").write_bytes(self.collateral)
        return folder

    def receipt(self, size: int, at: datetime) -> Receipt:
        """The authority's stamp for the register's first `size` entries."""
        return stamped(self.tree.head(size), at)


def stamped(head: Checkpoint, at: datetime) -> Receipt:
    """The authority's stamp for a tree head of the register."""
    signed = stamp(imprint(head), int.from_bytes(_TOKEN_NONCE, "big"), written=f"{at:%Y%m%d%H%M%SZ}")
    body = {"nonce": _TOKEN_NONCE.hex(), "token": encode_base64(token(authority()[1], signed))}
    return Receipt("rfc3161", head.size, head.root, body)


def device(pcrs: Mapping[int, bytes] = PCRS, at: datetime = BEGUN) -> Device:
    return EmulatedDevice(pcrs, lambda: at)


def enclave_run(
    backend: str = "ezkl",
    *,
    proving: str = INSIDE,
    signers: Sequence[Signer] = (SIGNER,),
    nonce: bytes = b"",
    job: bytes = b"",
    by: Device | None = None,
    bind: Callable[[Binding], Binding] = lambda binding: binding,
    **changes: Any,
) -> EnclaveRun:
    """An honest one, closed, in its own register: begun, entered again with its genesis, closed.
    `bind` changes what the device is asked to sign; `changes` are of the header."""
    run, tree = honest(backend), Tree(signers=tuple(signers))
    run.signers = tuple(signers)
    keys = tuple(signer.public_key.encode() for signer in signers)
    run.edit_header(
        **{
            "format": ENCLAVE_FORMAT,
            "proving": proving,
            "keys": keys,
            "register": tree.origin,
            "data": DATA,
            **changes,
        }
    )
    by = by or device()
    found = EnclaveRun(run, tree, documented(run, by, nonce=nonce, job=job, bind=bind))
    found.name()
    return found


def documented(
    run: Run,
    by: Device,
    *,
    nonce: bytes = b"",
    release_key: bytes = b"release",
    job: bytes = b"",
    bind: Callable[[Binding], Binding] = lambda binding: binding,
) -> Document:
    """The document of a run by this device."""
    digest = header_digest(to_bytes(run.header))
    binding = bind(Binding(run.header.run, digest, run.header.keys, release_key, nonce, job))
    return Document(by.kind, by.attest(binding.digest(), nonce=nonce), release_key, nonce, job)


ANCHORS = '[anchors.rfc3161]\nroots = ["root.pem"]\n'
MEASURED = ", ".join(f'pcr{number} = "{pcr.hex()}"' for number, pcr in PCRS.items())
EMULATED = f"[attestation.nitro]\nmeasurements = [{{{MEASURED}}}]\nemulated = true\n"
PRODUCTION = f"[attestation.nitro]\nmeasurements = [{{{MEASURED}}}]\n"


def policy(
    folder: Path,
    *,
    keys: bool = True,
    require: str = '"L1", "L2"',
    anchors: str = ANCHORS,
    attestation: str = EMULATED,
    provers: str = f'[provers.ezkl]\nsrs = ["{SRS.hex()}"]\n',
) -> Policy:
    """The auditor's policy file, read as zk-verify reads it."""
    folder.mkdir(exist_ok=True)
    (folder / "root.pem").write_bytes(authority()[0].pem)
    pinned = f'keys = ["{KEY.encode()}"]\n' if keys else ""
    text = f'format = "{FORMAT}"\n{pinned}require = [{require}]\n{provers}{anchors}{attestation}'
    (folder / "policy.toml").write_text(text, encoding="utf-8")
    return load(folder / "policy.toml", None, anchor_verifiers(), attestation_verifiers())


def judged(
    run: Path,
    asked: Policy,
    attestations: Mapping[str, AttestationVerifier] | None = None,
    *,
    systems: bool = False,
) -> Report:
    """The report on the run in this folder. `systems`: with the real provers' verifiers, and no
    stand-in for EZKL's."""
    known = attestation_verifiers() if attestations is None else attestations
    with RunFolder(run) as files:
        return Verifier(asked, Systems() if systems else stand_ins(), anchor_verifiers(), known).verify(files)


NO_COLLATERAL = Collateral().encode()
