"""Step 9 of data in several shards: each has a commitment of its own, and a segment's steps are of
one."""

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest

from tests.verify import exact_runs
from tests.verify.run_builder import KEY
from zk_autograd.core.cells import Cells, Shards
from zk_autograd.core.progress import silent
from zk_autograd.core.records import Header
from zk_autograd.core.trust import Missing
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.optim.exact import ExactGradient
from zk_autograd.prove.verifiers import Systems
from zk_autograd.run.exact_files import ExactFiles
from zk_autograd.run.recorded import recorded
from zk_autograd.verify.outcome import Level, Step
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.replay import Replay, _require_committed
from zk_autograd.verify.report import Report
from zk_autograd.verify.verifier import Verifier

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("native_prover")]

EXAMPLES, BATCH, STEPS = 1201, 100, 14
"""Two shards of 2^13 cells, of 601 and 600 examples: 6 batches each, and so segments of 6, 6 and 2
steps."""


def sharded() -> ExactGradient:
    generator = np.random.default_rng(4)
    labels = generator.integers(0, exact_runs.CLASSES, EXAMPLES)
    features = generator.normal(size=(EXAMPLES, exact_runs.FEATURES)) + labels[:, None]
    made = ExactGradient(
        exact_runs.graph_of(exact_runs.model()),
        (features.astype(np.float32), labels),
        BATCH,
        7,
    )
    made.shards = Shards(EXAMPLES, made.graph.stride, 13)
    return made


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exact_runs.train(tmp_path_factory.mktemp("shards") / "run", "native", sharded(), STEPS)


def judged(run: Path, change: Callable[[Cells], None] = lambda _: None) -> Report:
    """By an auditor who has the cells, changed, and openings of every segment."""
    cells = sharded().cells.copy()
    change(cells)
    content = exact_runs.opened(run)
    with RunFolder(run) as files:
        replay = Replay(lambda _: BytesIO(content), lambda graph, secrets: cells)
        return Verifier(Policy(keys=(KEY,), require=frozenset({Level.L3})), Systems()).verify(files, replay=replay)


def test_segments_end_with_their_shards_and_every_gradient_is_computed_again(run: Path) -> None:
    records = [json.loads(line) for line in (run / "log/records.jsonl").read_bytes().splitlines()]
    assert len(records[0]["exact"]["shards"]) == 2 and records[0]["data"]["root"] == ""
    assert [(r["first"], r["last"]) for r in records if r["type"] == "segment"] == [(1, 6), (7, 12), (13, 14)]
    report = judged(run)
    assert Level.L3 in report.levels and report.exit_status == 0, report.text()


def test_how_the_data_are_cut_is_not_computed_for_each_shard_again(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 2^16 shards it takes 10 ms."""
    found = recorded(run)
    header = found.log.header
    secrets = ExactFiles.read(found.layout, header, found.log.header_digest).secrets
    checker = Systems()["native"].checker(header.prover)
    assert not isinstance(checker, Missing)
    asked = MagicMock(return_value=header.shards)
    monkeypatch.setattr(Header, "shards", property(asked))
    _require_committed(header, sharded().cells, secrets.salts, checker, silent)
    assert asked.call_count == 1


@pytest.mark.parametrize("example", [0, 600, 601, 1200])
def test_each_shard_is_held_against_its_own_commitment(run: Path, example: int) -> None:
    """By one cell of an example: the first and the last of each shard."""

    def change(cells: Cells) -> None:
        cells[example, 0] ^= 1

    report = judged(run, change)
    assert report.failure is not None and report.failure.step == Step.DATA
    assert f"shard {int(example > 600)}" in str(report.failure), report.failure
