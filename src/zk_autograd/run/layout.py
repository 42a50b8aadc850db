"""Where the parts of a run lie in its directory.

log/records.jsonl          one record a line; its bytes, without the newline, are the Merkle leaf
log/checkpoint             signed note of the newest tree head
proofs/<segment>-<block>   proof bytes
model/                     published weights
environment.json, config.toml, train_log.jsonl, hashes.json    the trainer's own artefacts
private/                   the trainer's own: states, gradients, salts; mode 0700, part of no bundle
    lock                   held by the trainer
    header, close          those two records, before they enter the log
    segments/<segment>/    the journal
"""

from dataclasses import dataclass
from pathlib import Path

LOG = "log"
RECORDS = "records.jsonl"
CHECKPOINT = "checkpoint"
PROOFS = "proofs"
MODEL = "model"
PRIVATE = "private"
ENVIRONMENT = "environment.json"
CONFIG = "config.toml"
TRAIN_LOG = "train_log.jsonl"
HASHES = "hashes.json"
ARTEFACTS = (ENVIRONMENT, CONFIG, TRAIN_LOG, HASHES)
"""The trainer's own files at the run's top level. Each may be missing."""


def proof_name(segment: int, block: int) -> str:
    """The file of a block's proof, in the folder `PROOFS`."""
    return f"{segment}-{block}"


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
    def header(self) -> Path:
        return self.private / "header"

    @property
    def close(self) -> Path:
        return self.private / "close"

    @property
    def segments(self) -> Path:
        return self.private / "segments"

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

    def proof(self, segment: int, block: int) -> Path:
        return self.proofs / proof_name(segment, block)
