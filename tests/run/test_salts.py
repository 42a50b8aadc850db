"""Each committed value has a salt of its own, so that equal values are not seen to be equal; a
state has one from segment to segment."""

from pathlib import Path

import pytest

from tests.run.trainer import SIGNER, FaultyProver, TracedFiles, first_weights, hashed_backend, make_header, train
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.prove.protocol import Backend
from zk_autograd.run.journal import Journal
from zk_autograd.run.layout import Layout
from zk_autograd.run.writer import RunWriter


@pytest.mark.parametrize("backend", [hashed_backend(), FaultyProver()], ids=["none", "proofs"])
def test_no_salt_is_used_for_two_values(tmp_path: Path, backend: Backend) -> None:
    """Over states, blocks and segments: in the private journal, and in what is published of it."""
    run = tmp_path / "run"
    writer = RunWriter.create(run, make_header(backend), backend, [SIGNER], first_weights(), files=TracedFiles(run))
    train(writer, 5)
    writer.drain()
    writer.abandon()
    with RunFolder(run) as files:
        log = parse_log(files.leaves())
    assert log.genesis is not None
    journal = Journal(Layout(run).segments, log.header, log.header_digest, TracedFiles(run))
    blocks, states = len(log.header.blocks), len(log.header.states)
    seen: list[bytes] = []
    before = None
    for segment in log.segments:
        salts = journal.start(segment.index).salts
        if before is None:
            seen += [salt for name in log.header.states for salt in salts.state_in[name]]
            assert {name: salts.state_in[name] for name in log.header.states[1:]} == log.genesis.zero_salts
        else:
            assert salts.state_in == before  # one commitment for both
        seen += [salt for name in log.header.states for salt in salts.state_out[name]]
        seen += [*salts.gradients, salts.batches]
        before = salts.state_out
    count = len(log.segments)
    assert len(seen) == states * blocks * (count + 1) + count * (blocks + 1)
    assert len(set(seen)) == len(seen)


def test_equal_values_have_other_commitments(tmp_path: Path) -> None:
    """Zeros in every block and state, and gradients that come again."""
    backend, run = hashed_backend(), tmp_path / "run"
    writer = RunWriter.create(run, make_header(backend), backend, [SIGNER], first_weights() * 0, files=TracedFiles(run))
    for _ in range(4):
        writer.append(first_weights() * 0)
    writer.close()
    with RunFolder(run) as files:
        log = parse_log(files.leaves())
    assert log.genesis is not None
    seen = [c for blocks in log.genesis.state.values() for c in blocks]
    for segment in log.segments:
        seen += [c for blocks in segment.state_out.values() for c in blocks]
        seen += segment.gradients
    assert len(set(seen)) == len(seen)
