"""Where the parts of a run lie in its directory.

log/records.jsonl          one record a line; its bytes, without the newline, are the Merkle leaf
log/checkpoint             signed note of the newest tree head
proofs/<segment>-<block>   proof bytes
model/                     published weights
environment.json, config.toml, train_log.jsonl, hashes.json    the trainer's own artefacts
private/                   the trainer's own: states, gradients, salts; mode 0700, part of no bundle
    .gitignore             keeps all of the folder out of a repository
    lock                   held by the trainer
    header, close          those two records, before they enter the log
    segments/<segment>/    the journal
    settings               what the optimizer's settings became after the newest step, if they did
    train.json             what zk-train was asked for, if it began the run
    forgotten              says when the rest of the folder was deleted
"""

import re
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
PLAN = "train.json"
ARTEFACTS = (ENVIRONMENT, CONFIG, TRAIN_LOG, HASHES)
"""The trainer's own files at the run's top level. Each may be missing."""

WEIGHTS_INTEGERS = "weights.i64.safetensors"
WEIGHTS_FLOATS = "weights.f32.safetensors"
OPENING = "opening.json"
PUBLISHED = (WEIGHTS_INTEGERS, WEIGHTS_FLOATS, OPENING)
"""The files of a published model: all of them, or none."""

PLAIN_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
"""The name of a published file: it is no path, is not hidden, and has no character that anything could take for something else."""

_PROOF_NAME = re.compile(r"(0|[1-9][0-9]{0,14})-(0|[1-9][0-9]{0,14})")


def proof_name(segment: int, block: int) -> str:
    """The file of a block's proof, in the folder `PROOFS`."""
    return f"{segment}-{block}"


def proof_place(name: str) -> tuple[int, int] | None:
    """Segment and block of a proof's file, by its name; None if no proof has such a name."""
    match = _PROOF_NAME.fullmatch(name)
    return None if match is None else (int(match[1]), int(match[2]))


def is_public(path: str) -> bool:
    """Whether `path`, with "/" between folder and name, is that of a file which a run shows to strangers."""
    folder, _, name = path.rpartition("/")
    match folder:
        case "":
            return path in ARTEFACTS
        case "log":
            return name in (RECORDS, CHECKPOINT)
        case "proofs":
            return proof_place(name) is not None
        case "model":
            return PLAIN_NAME.fullmatch(name) is not None
        case _:
            return False


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
    def segments(self) -> Path:
        return self.private / "segments"

    @property
    def settings(self) -> Path:
        return self.private / "settings"

    @property
    def plan(self) -> Path:
        return self.private / PLAN

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

    def proof(self, segment: int, block: int) -> Path:
        return self.proofs / proof_name(segment, block)
