"""A run in the hands of whoever controls the trainer's key: every record, proof and file may be
changed, and the log is remade over them.

`Forgery.read` takes a run apart; its fields are edited; `write` puts it together in a new folder:
records, their Merkle root, a signed checkpoint, proofs, published files. What `write` makes is well
formed and signed, so that only its content can give it away.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from zk_autograd.core.canonical import encode
from zk_autograd.core.formats import IntArray, dequantize_weight
from zk_autograd.core.keys import Signer
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.note import checkpoint_text, sign
from zk_autograd.core.record_bytes import parse_log, to_bytes
from zk_autograd.core.records import Close, Genesis, Header, Record, Segment, StateCommitments, header_digest
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.evidence.layout import CHECKPOINT, LOG, MODEL, OPENING, PROOFS, RECORDS, proof_name
from zk_autograd.evidence.model_files import OPENING_FORMAT
from zk_autograd.verify.model import FLOATS, INTEGERS
from zk_autograd.verify.policy import TreeHead

Place = tuple[int, int]
"""Segment and block of a proof."""


@dataclass(slots=True)
class Forgery:
    """The parts of a run, free to be changed. `signers` sign the log that `write` makes."""

    header: Header
    genesis: Genesis
    segments: list[Segment]
    close: Close | None
    proofs: dict[Place, bytes]
    model: dict[str, bytes]
    signers: tuple[Signer, ...]

    @classmethod
    def read(cls, path: Path, *signers: Signer) -> "Forgery":
        """The parts of the complete run at `path`."""
        with RunFolder(path) as files:
            log = parse_log(files.leaves())
            assert log.genesis is not None
            blocks = range(len(log.header.blocks)) if log.header.prover.form.proves else ()
            proofs = {(s.index, b): files.proof(s.index, b) for s in log.segments for b in blocks}
            model = {name: files.model_file(name) for name, _ in log.close.model} if log.close else {}
        return cls(log.header, log.genesis, list(log.segments), log.close, proofs, model, signers)

    @property
    def closing(self) -> Close:
        """The close record, which is there."""
        assert self.close is not None
        return self.close

    @property
    def digest(self) -> bytes:
        """The header's digest, as it is now."""
        return header_digest(to_bytes(self.header))

    def leaves(self) -> list[bytes]:
        """The records' bytes."""
        records: list[Record] = [
            self.header,
            self.genesis,
            *self.segments,
            *([] if self.close is None else [self.close]),
        ]
        return [to_bytes(record) for record in records]

    def head(self) -> TreeHead:
        """The tree head over the records as they are now."""
        leaves = self.leaves()
        return TreeHead(root([leaf_hash(leaf) for leaf in leaves]), len(leaves))

    def edit(self, index: int, **changes: Any) -> None:
        """Replaces fields of the record of segment `index`."""
        self.segments[index] = replace(self.segments[index], **changes)

    def commit_after(self, index: int, state: str, block: int, commitment: bytes) -> None:
        """Sets a commitment after segment `index`, wherever the chain repeats it: in the next
        segment, or in the close record."""
        self.edit(index, state_out=with_commitment(self.segments[index].state_out, state, block, commitment))
        if index + 1 < len(self.segments):
            state_in = with_commitment(self.segments[index + 1].state_in, state, block, commitment)
            self.edit(index + 1, state_in=state_in)
        else:
            self.close = replace(self.closing, state=with_commitment(self.closing.state, state, block, commitment))

    def commit_first(self, state: str, block: int, commitment: bytes) -> None:
        """Sets a commitment of the first state, in the genesis and in the first segment."""
        self.genesis = replace(self.genesis, state=with_commitment(self.genesis.state, state, block, commitment))
        self.edit(0, state_in=with_commitment(self.segments[0].state_in, state, block, commitment))

    def put_proof(self, place: Place, proof: bytes) -> None:
        """Puts a proof in its place, with its hash in the record."""
        index, block = place
        self.proofs[place] = proof
        hashes = list(self.segments[index].proofs)
        hashes[block] = sha256(proof).digest()
        self.edit(index, proofs=tuple(hashes))

    def publish(self, weights: IntArray, salts: Sequence[bytes]) -> None:
        """Publishes these weights, int64 (header.size,), as all three files want them."""
        self.publish_files(model_files(self.header, weights, salts))

    def publish_files(self, model: Mapping[str, bytes]) -> None:
        """Publishes these files, with their hashes in the close record."""
        self.model = dict(model)
        hashes = tuple((name, sha256(data).digest()) for name, data in sorted(model.items()))
        self.close = replace(self.closing, model=hashes)

    def withhold_model(self) -> None:
        """Publishes no model."""
        self.model = {}
        if self.close is not None:
            self.close = replace(self.close, model=())

    def write(self, path: Path, *, leaves: Sequence[bytes] | None = None, signed: int | None = None) -> Path:
        """The run in the new folder `path`. `leaves`: other records than its own; `signed`: how
        many the checkpoint covers (all)."""
        leaves = self.leaves() if leaves is None else leaves
        size = len(leaves) if signed is None else signed
        for folder in (LOG, PROOFS, MODEL):
            (path / folder).mkdir(parents=True)
        (path / LOG / RECORDS).write_bytes(b"".join(leaf + b"\n" for leaf in leaves))
        head = root([leaf_hash(leaf) for leaf in leaves[:size]])
        (path / LOG / CHECKPOINT).write_bytes(sign(checkpoint_text(self.header.origin, size, head), self.signers))
        for place, proof in self.proofs.items():
            (path / PROOFS / proof_name(*place)).write_bytes(proof)
        for name, data in self.model.items():
            (path / MODEL / name).write_bytes(data)
        return path


def with_commitment(state: StateCommitments, name: str, block: int, commitment: bytes) -> StateCommitments:
    """The commitments with one of them replaced."""
    blocks = list(state[name])
    blocks[block] = commitment
    return {**state, name: tuple(blocks)}


def of_one_block(commitments: Mapping[str, bytes]) -> StateCommitments:
    """A state's commitments where there is one block."""
    return {name: (commitment,) for name, commitment in commitments.items()}


def model_files(header: Header, weights: IntArray, salts: Sequence[bytes]) -> dict[str, bytes]:
    """The published files of these weights."""
    return {
        INTEGERS: save(tensors(header, weights)),
        FLOATS: save(tensors(header, dequantize_weight(weights))),
        OPENING: encode({"format": OPENING_FORMAT, "W": [salt.hex() for salt in salts]}),
    }


def tensors(header: Header, flat: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """The manifest's tensors of a flat vector."""
    return {
        p.name: np.ascontiguousarray(flat[p.offset : p.offset + p.size].reshape(p.shape)) for p in header.parameters
    }


def with_tensor_twice(data: bytes, name: str) -> bytes:
    """A safetensors file whose header has an entry of this name twice; readers differ in which of
    them they take."""
    length = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + length].decode().rstrip()
    entry = f'"{name}":{json.dumps(json.loads(header)[name], separators=(",", ":"))}'
    doubled = (header[:-1] + "," + entry + "}").encode()
    doubled += b" " * (-len(doubled) % 8)
    return len(doubled).to_bytes(8, "little") + doubled + data[8 + length :]
