"""The golden run `native-v1` with a bit flipped, and what the verifier says then: its log as a
stranger alters it, its proof as the trainer does, who hashes and signs anew."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from zk_autograd.core.checkpoint import checkpoint_text
from zk_autograd.core.keys import parse_keys
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.note import sign
from zk_autograd.core.record_bytes import parse_log, to_bytes
from zk_autograd.credentials.keyfile import load
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.prove.verifiers import Systems
from zk_autograd.verify.outcome import Level
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.report import Report
from zk_autograd.verify.verifier import Verifier

RUNS = Path(__file__).parent.parent / "data" / "runs"
RECORDS, CHECKPOINT, PROOF = "log/records.jsonl", "log/checkpoint", "proofs/0-0"


class Altered:
    """A copy of the run below `folder`, for an auditor who pins both its keys and asks for L1."""

    def __init__(self, folder: Path) -> None:
        key = folder / "log.key"
        shutil.copyfile(RUNS / "test-v1.key", key)
        key.chmod(0o600)  # git doesn't keep that
        self._signers = load(key)
        self._run = Path(shutil.copytree(RUNS / "native-v1", folder / "run"))
        self._policy = Policy(keys=parse_keys((RUNS / "test-v1.key.pub").read_text()), require=frozenset({Level.L1}))
        self._systems = Systems()
        self.files = {name: (self._run / name).read_bytes() for name in (RECORDS, CHECKPOINT, PROOF)}
        leaves = self.files[RECORDS].split(b"\n")[:-1]
        self._log = parse_log(leaves)
        self._leaves = leaves

    def judged(self, files: Mapping[str, bytes]) -> Report:
        """The report on the run with these contents, which are put back afterwards."""
        try:
            for name, data in files.items():
                (self._run / name).write_bytes(data)
            with RunFolder(self._run) as evidence:
                return Verifier(self._policy, self._systems).verify(evidence)
        finally:
            for name in files:
                (self._run / name).write_bytes(self.files[name])

    def with_proof(self, proof: bytes) -> dict[str, bytes]:
        """The files of a run that differs from this one in its proof alone: its record names the
        proof's hash, and the trainer's keys sign the log."""
        segment = replace(self._log.segments[0], proofs=(sha256(proof).digest(),))
        leaves = [*self._leaves[:2], to_bytes(segment), *self._leaves[3:]]
        head = root([leaf_hash(leaf) for leaf in leaves])
        note = sign(checkpoint_text(self._log.header.origin, len(leaves), head), self._signers)
        return {RECORDS: b"".join(leaf + b"\n" for leaf in leaves), CHECKPOINT: note, PROOF: proof}


def flipped(data: bytes, bit: int) -> bytes:
    """The data with one bit changed, of 8 in each byte."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def is_worse(report: Report) -> bool:
    """Whether the run failed, and nothing is said to be shown of it."""
    return (report.exit_status, report.verdict, report.levels) == (1, "FAILED", frozenset())
