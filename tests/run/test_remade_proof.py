"""A native proof that is made again after a crash is the same, byte for byte: its commitments are
opened at no other point."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.run.killed import DeadlyFiles
from tests.run.trainer import SIGNER, SIZE, FailingFiles, audit, first_weights, make_header, train
from zk_autograd.core.errors import RunError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import Block, Header
from zk_autograd.core.statement import Statement
from zk_autograd.prove.native import shape
from zk_autograd.prove.native.backend import NativeBackend
from zk_autograd.prove.protocol import Backend, BlockProof, BlockWitness
from zk_autograd.run.files import Files
from zk_autograd.run.journal import Journal
from zk_autograd.run.layout import Layout
from zk_autograd.run.writer import RunWriter

pytest.importorskip("zk_autograd._native")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
STEPS = 2
STAGED = "write private/segments/0/proof-0 #0"


class CountingBackend(NativeBackend):
    """The native prover, that knows how many proofs it made."""

    def __init__(self) -> None:
        super().__init__(shape.choose(Rule.SGD, [SIZE], STEPS))
        self.made = 0

    def prove(self, statement: Statement, witness: BlockWitness) -> BlockProof:
        self.made += 1
        return super().prove(statement, witness)


class LosingFiles(DeadlyFiles):
    """Ends the process in the place of a write, and leaves its bytes in a file of our own beside
    the run: an eavesdropper's."""

    def write_atomic(self, path: Path, data: bytes, mode: int = 0o644) -> None:
        if path.name == "proof-0":
            (self._root.parent / "lost").write_bytes(data)
        super().write_atomic(path, data, mode)


def one_block(backend: Backend) -> Header:
    header = make_header(backend, Rule.SGD)
    parameters = tuple(replace(parameter, group=0) for parameter in header.parameters)
    return replace(header, groups=header.groups[:1], parameters=parameters, blocks=(Block(0, 0, SIZE),))


def begin(run: Path, files: Files) -> RunWriter:
    backend = CountingBackend()
    return RunWriter.create(run, one_block(backend), backend, [SIGNER], first_weights(), files=files)


def main(run: Path) -> None:
    """Trains until the first proof is made, and dies before it is on disk."""
    writer = begin(run, LosingFiles(run, STAGED, "before"))
    train(writer, STEPS)
    writer.drain()


def resume(run: Path, files: Files) -> tuple[RunWriter, CountingBackend]:
    backend = CountingBackend()
    return RunWriter.resume(run, lambda _: backend, [SIGNER], files=files), backend


def test_a_proof_that_was_lost_is_made_again_and_one_that_was_kept_is_not(tmp_path: Path) -> None:
    run = tmp_path / "run"
    killed = subprocess.run(
        [sys.executable, "-m", "tests.run.test_remade_proof", str(run)],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}/src:{ROOT}", "PATH": ""},
        check=False,
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -9, killed.stderr
    lost = (tmp_path / "lost").read_bytes()
    layout = Layout(run)
    assert not (layout.segments / "0" / "proof-0").exists()

    made = []
    for write in ("write private/segments/0/published #0", "write proofs/0-0 #0"):
        writer, backend = resume(run, FailingFiles(run, write, "lost"))
        train(writer, STEPS)
        with pytest.raises(RunError, match="failed and was lost"):
            writer.drain()
        writer.abandon()
        made.append(backend.made)
        assert (layout.segments / "0" / "proof-0").read_bytes() == lost
    writer, backend = resume(run, Files(lambda _: None))
    writer.close()
    assert [*made, backend.made] == [1, 0, 0]
    assert layout.proof(0, 0).read_bytes() == lost
    log = audit(run, CountingBackend())
    journal = Journal(layout.segments, log.header, log.header_digest, Files())
    assert {block: len(hashes) for block, hashes in journal.published(0).items()} == {0: 1}

    other = begin(tmp_path / "other", Files(lambda _: None))  # the same steps under other salts: another proof
    train(other, STEPS)
    other.close()
    assert Layout(tmp_path / "other").proof(0, 0).read_bytes() != lost


if __name__ == "__main__":
    main(Path(sys.argv[1]))
