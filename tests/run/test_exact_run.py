"""A run with exact gradients: its segments end where a shard of the data ends, whichever write
fails and whenever it is resumed."""

import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.run.beacons import TERMS, HashBeacon
from tests.run.exact_run import BATCHES, EXAMPLES, create, exact_files, exact_header
from tests.run.plain_run import resume
from tests.run.registered import begun
from tests.run.trainer import SIGNER, FailingFiles, FaultyProver, TracedFiles, audit, hashed_backend, told, train
from zk_autograd.core.cells import tree_root
from zk_autograd.core.errors import RunError
from zk_autograd.core.first_weights import order_of
from zk_autograd.core.order import Order
from zk_autograd.core.records import BEACON, Log
from zk_autograd.core.register import origin_of
from zk_autograd.core.rules import State
from zk_autograd.run.inventory import look_at
from zk_autograd.run.writer import RunWriter

ROOT = Path(__file__).resolve().parents[2]
STEPS = 9
MODEL = {"weights": b"published"}


def complete(writer: RunWriter, steps: int = STEPS) -> State:
    train(writer, steps)
    state = writer.state
    writer.close(MODEL)
    return state


def undisturbed(path: Path, steps: int = STEPS) -> tuple[State, Log, list[str]]:
    files = TracedFiles(path)
    state = complete(create(path, files=files), steps)
    return state, audit(path, hashed_backend()), files.done


def recovered(path: Path, state: State) -> Log:
    """The log after the run was resumed and completed; `state` is what it must come to."""
    try:
        writer = resume(path)
    except RunError as error:
        assert "is complete" in str(error)  # only closing was left to do
    else:
        end = complete(writer)
        for name, values in state.items():
            np.testing.assert_array_equal(end[name], values)
    return audit(path, hashed_backend())


def spans(log: Log) -> list[tuple[int, int]]:
    return [(segment.first, segment.last) for segment in log.segments]


def expected_spans(order: Order, steps: int) -> list[tuple[int, int]]:
    """From the order's shards alone: each in segments of two steps, the last of which may have
    one."""
    found: list[tuple[int, int]] = []
    first = 1
    while first <= steps:
        shard = order.shard(first)
        end = min(steps, first + BATCHES[shard] - 1)
        assert {order.shard(t) for t in range(first, end + 1)} == {shard}
        found += [(t, min(t + 1, end)) for t in range(first, end + 1, 2)]
        first = end + 1
    return found


def test_a_segment_ends_where_its_shard_ends(tmp_path: Path) -> None:
    """Three epochs, each with the shards in an order of its own."""
    steps = 3 * EXAMPLES
    _, log, _ = undisturbed(tmp_path / "run", steps)
    assert spans(log) == expected_spans(log.header.order(), steps)
    assert sum(last == first for first, last in spans(log)) == 6
    order = log.header.order()
    assert len({tuple(order.shard(10 * epoch + t) for t in range(1, 11)) for epoch in range(3)}) > 1


def test_a_segment_of_data_in_one_shard_is_full(tmp_path: Path) -> None:
    """It goes on over the end of an epoch."""
    header, files = exact_header(), exact_files()
    cells = files.cells[:3]
    assert header.exact is not None
    data = replace(header.data, count=3, root=tree_root(cells, files.secrets.salts[0]))
    writer = create(tmp_path / "run", header=replace(header, data=data), exact=replace(files, cells=cells))
    complete(writer, 8)
    assert spans(audit(tmp_path / "run", hashed_backend())) == [(1, 2), (3, 4), (5, 6), (7, 8)]


def test_the_shards_are_those_of_the_order_that_a_beacon_gives(tmp_path: Path) -> None:
    """After a resumption, too."""
    registration = begun(tmp_path / "register")
    plain = exact_header(FaultyProver())
    assert plain.exact is not None
    header = replace(
        plain,
        register=origin_of([SIGNER.public_key]),
        weights_by=BEACON,
        order_by=BEACON,
        beacon=tuple(sorted({**TERMS, "kind": "hash"}.items())),
        exact=replace(plain.exact, seed=None),
    )
    run, source = tmp_path / "run", HashBeacon(tmp_path / "anchored")
    writer = create(run, FaultyProver(), header=header, registration=registration, beacon=source)
    order = order_of(header, writer.header_digest, writer.beacon)
    assert order is not None
    train(writer, 5)
    writer.abandon()
    again = resume(run, FaultyProver(), registration=registration)
    complete(again, 3 * EXAMPLES)
    assert spans(audit(run, FaultyProver())) == expected_spans(order, 3 * EXAMPLES)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["lost", "kept", "torn"])
def test_whichever_write_fails_the_run_comes_back_whole(tmp_path: Path, way: str) -> None:
    state, log, writes = undisturbed(tmp_path / "undisturbed")
    story = told(log)
    created = writes.index("append private/segments/0/journal #0")
    assert writes.index("write private/data #0") < writes.index("write private/header #0") < created
    for n, write in enumerate(writes):
        if n < created or (way == "torn" and not write.startswith("append")):
            continue
        path = tmp_path / str(n)
        writer = create(path, files=FailingFiles(path, write, way))
        with pytest.raises(RunError, match=f"failed and was {way}"):
            complete(writer)
        acknowledged = writer.step
        writer.abandon()
        assert look_at(path).steps >= acknowledged, write
        assert told(recovered(path, state)) == story, write
        shutil.rmtree(path)


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_a_run_is_resumed_after_each_step_as_if_it_had_gone_on(tmp_path: Path, step: int) -> None:
    state, log, _ = undisturbed(tmp_path / "undisturbed")
    writer = create(tmp_path / "run")
    train(writer, step)
    writer.abandon()
    assert told(recovered(tmp_path / "run", state)) == told(log)


@pytest.mark.parametrize(
    ("write", "moment"),
    [
        ("write_stream private/segments/3/journal #0", "before"),  # the seal of a shard's last segment
        ("append private/segments/1/journal #0", "torn"),
        ("append log/records.jsonl #3", "torn"),
    ],
)
def test_a_killed_trainer_is_resumed_as_if_nothing_had_happened(tmp_path: Path, write: str, moment: str) -> None:
    run = tmp_path / "run"
    killed = subprocess.run(
        [sys.executable, "-m", "tests.run.killed_exact", str(run), write, moment],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}/src:{ROOT}", "PATH": ""},
        check=False,
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    state, log, _ = undisturbed(tmp_path / "undisturbed")
    assert told(recovered(run, state)) == told(log)
