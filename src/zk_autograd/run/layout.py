"""Where the parts of a run lie in its directory: the public ones (evidence.layout), and the
trainer's own.

private/                   states, gradients, salts; mode 0700, part of no bundle
    .gitignore             keeps all of the folder out of a repository
    lock                   held by the trainer
    header, close          those two records, before they enter the log
    head                   the newest checkpoint, before it is published
    segments/<segment>/    the journal: the file `journal`, or those of run.step_files
    settings               what the optimizer's settings became after the newest step, if they did
    train.json             what zk-train was asked for, if it began the run
    data                   of a run with exact gradients: cells, and what opens their commitment
    timeline.svg           when zk-train's last session trained, waited and proved: a picture
    forgotten              says when the rest of the folder was deleted
"""

from dataclasses import dataclass
from pathlib import Path

from zk_autograd.evidence.layout import (
    ANCHORS,
    ATTESTATION,
    CELLS,
    COLLATERAL,
    CONFIG,
    DATA,
    DOCUMENT,
    ENVIRONMENT,
    GRAPH,
    HASHES,
    LOG,
    MODEL,
    PRIVATE,
    PROOFS,
    RECEIPTS,
    REGISTER,
    TRAIN_LOG,
    VIEWS,
    proof_name,
)

PLAN = "train.json"


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of the run in the directory `root`."""

    root: Path

    @property
    def log(self) -> Path:
        return self.root / LOG

    @property
    def proofs(self) -> Path:
        return self.root / PROOFS

    @property
    def model(self) -> Path:
        return self.root / MODEL

    @property
    def private(self) -> Path:
        return self.root / PRIVATE

    @property
    def lock(self) -> Path:
        return self.private / "lock"

    @property
    def ignore(self) -> Path:
        return self.private / ".gitignore"

    @property
    def header(self) -> Path:
        return self.private / "header"

    @property
    def close(self) -> Path:
        return self.private / "close"

    @property
    def head(self) -> Path:
        return self.private / "head"

    @property
    def segments(self) -> Path:
        return self.private / "segments"

    @property
    def settings(self) -> Path:
        return self.private / "settings"

    @property
    def plan(self) -> Path:
        return self.private / PLAN

    @property
    def data(self) -> Path:
        return self.private / "data"

    @property
    def graph(self) -> Path:
        return self.root / GRAPH

    @property
    def cells(self) -> Path:
        return self.root / DATA / CELLS

    @property
    def timeline(self) -> Path:
        return self.private / "timeline.svg"

    @property
    def forgotten(self) -> Path:
        return self.private / "forgotten"

    @property
    def environment(self) -> Path:
        return self.root / ENVIRONMENT

    @property
    def config(self) -> Path:
        return self.root / CONFIG

    @property
    def train_log(self) -> Path:
        return self.root / TRAIN_LOG

    @property
    def hashes(self) -> Path:
        return self.root / HASHES

    @property
    def views(self) -> Path:
        return self.root / REGISTER / VIEWS

    @property
    def receipts(self) -> Path:
        return self.root / ANCHORS / RECEIPTS

    @property
    def attestation(self) -> Path:
        return self.root / ATTESTATION

    @property
    def document(self) -> Path:
        return self.attestation / DOCUMENT

    @property
    def collateral(self) -> Path:
        return self.attestation / COLLATERAL

    def proof(self, segment: int, block: int) -> Path:
        return self.proofs / proof_name(segment, block)
