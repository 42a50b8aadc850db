"""A run whose first weights a beacon gives: entered, anchored, and only then begun."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.run.beacons import TERMS, HashBeacon
from tests.run.registered import begun, complete, create, entries, header, look, receipts, resume, views
from tests.run.trainer import SIGNER, FailingFiles, FaultyProver, TracedFiles, audit, first_weights, make_header, train
from zk_autograd.core import first_weights as exact
from zk_autograd.core.errors import AnchorBehind, AnchorDown, AnchorError, AnchorForked, RunError, UsageError
from zk_autograd.core.records import BEACON, Header, header_digest
from zk_autograd.core.register import Kind
from zk_autograd.run import beacon as beacons
from zk_autograd.run.events import BeaconAwaited, Event
from zk_autograd.run.registering import Registration
from zk_autograd.run.writer import RunWriter


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beacons, "FIRST_WAIT", 0.01)


def by_beacon() -> Header:
    return replace(
        header(), weights_by=BEACON, order_by=BEACON, beacon=tuple(sorted({**TERMS, "kind": "hash"}.items()))
    )


def begin(path: Path, registration: Registration, source: HashBeacon, **options: Any) -> RunWriter:
    options = {"files": TracedFiles(path)} | options
    prover, weights = FaultyProver(), first_weights()
    return RunWriter.create(
        path, by_beacon(), prover, [SIGNER], weights, registration=registration, beacon=source, **options
    )


def raising(error: BaseException) -> Callable[[], None]:
    def fault() -> None:
        raise error

    return fault


def test_the_header_is_anchored_alone_and_the_beacon_gives_the_weights(tmp_path: Path) -> None:
    run, registration = tmp_path / "run", begun(tmp_path / "register")
    create(tmp_path / "another", registration, 3).abandon()
    source = HashBeacon(tmp_path / "anchored")
    writer = begin(run, registration, source)
    first = views(run)[0]
    assert (first.entry.kind, first.head.size) == (Kind.BEGIN, first.index + 1)
    assert source.sizes == [first.head.size]
    digest = header_digest((run / "log/records.jsonl").read_bytes().splitlines()[0])
    expected = exact.first_weights(writer.header, digest, writer.beacon)
    np.testing.assert_array_equal(writer.state["W"], expected)
    assert not np.array_equal(expected, first_weights())
    complete(writer)
    log = audit(run, FaultyProver())
    assert log.genesis is not None
    assert log.genesis.beacon == writer.beacon
    salted = [
        FaultyProver().commit(log.header.padded(expected, block), salt)
        for block, salt in enumerate(log.genesis.weight_salts)
    ]
    assert tuple(salted) == log.genesis.state["W"]
    look(run, registration.folder)
    assert first.head.size in {receipt.size for receipt in receipts(run)}


def test_nothing_of_the_training_is_there_before_the_beacon(tmp_path: Path) -> None:
    run, registration = tmp_path / "run", begun(tmp_path / "register")
    seen: list[list[str]] = []

    def look_around() -> None:
        seen.append(sorted(str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()))

    begin(run, registration, HashBeacon(tmp_path / "anchored", [look_around])).abandon()
    assert seen == [
        [
            "anchors/receipts.jsonl",
            "log/checkpoint",
            "log/records.jsonl",
            "private/.gitignore",
            "private/head",
            "private/lock",
            "register/views.jsonl",
        ]
    ]


def test_a_beacon_that_takes_its_time_is_waited_for(tmp_path: Path) -> None:
    registration = begun(tmp_path / "register")
    source = HashBeacon(tmp_path / "anchored", [raising(AnchorDown("3 blocks are missing"))] * 5)
    events: list[Event] = []
    writer = begin(tmp_path / "run", registration, source, on_event=events.append)
    assert any(isinstance(event, BeaconAwaited) for event in events)
    complete(writer)
    look(tmp_path / "run", registration.folder)


@pytest.mark.parametrize(
    "error", [AnchorBehind("another tree was first"), AnchorForked("another branch"), AnchorError("no randomness")]
)
def test_without_a_beacon_there_is_no_run_but_its_entry(tmp_path: Path, error: AnchorError) -> None:
    """Another try is another entry: an auditor of the register sees how many there were."""
    registration = begun(tmp_path / "register")
    with pytest.raises(RunError, match="gives no beacon for this run"):
        begin(tmp_path / "run", registration, HashBeacon(tmp_path / "anchored", [raising(error)]))
    assert not (tmp_path / "run").exists()
    assert [entry.kind for entry in entries(registration.folder)] == [Kind.BEGIN]


def test_ctrl_c_leaves_the_entry_and_no_run(tmp_path: Path) -> None:
    registration = begun(tmp_path / "register")
    for interrupt in (raising(KeyboardInterrupt()), raising(AnchorDown("no block yet"))):
        asked: list[Event] = []

        def on_event(event: Event, asked: list[Event] = asked) -> None:
            asked.append(event)
            if isinstance(event, BeaconAwaited) and len(asked) > 6:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            source = HashBeacon(tmp_path / "anchored", [interrupt] * 10**6)
            begin(tmp_path / "run", registration, source, on_event=on_event)
        assert not (tmp_path / "run").exists()
        shutil.move(registration.folder, tmp_path / "before")
        begun(registration.folder)
        shutil.rmtree(tmp_path / "before")


@pytest.mark.parametrize(
    ("write", "way"),
    [(f"append log/records.jsonl #{n}", way) for n in (0, 1) for way in ("lost", "kept", "torn")]
    + [(f"write log/checkpoint #{n}", way) for n in (0, 1) for way in ("lost", "kept")],
)
def test_a_run_that_fails_at_its_genesis_leaves_nothing(tmp_path: Path, write: str, way: str) -> None:
    run, registration = tmp_path / "run", begun(tmp_path / "register")
    with pytest.raises(RunError, match="failed and was"):
        begin(run, registration, HashBeacon(tmp_path / "anchored"), files=FailingFiles(run, write, way))
    assert not run.exists()


def test_it_is_resumed_with_its_beacon(tmp_path: Path) -> None:
    run, registration = tmp_path / "run", begun(tmp_path / "register")
    writer = begin(run, registration, HashBeacon(tmp_path / "anchored"))
    weights, beacon = writer.state["W"], writer.beacon
    writer.abandon()
    again = resume(run, registration)
    assert again.beacon == beacon
    np.testing.assert_array_equal(again.state["W"], weights)
    train(again, 3)
    again.close()
    look(run, registration.folder)


def test_a_crash_between_header_and_genesis_forgets_no_beacon(tmp_path: Path) -> None:
    """The log is cut back to its header, as a crash before the genesis leaves it."""
    run, registration = tmp_path / "run", begun(tmp_path / "register", every=64)
    writer = begin(run, registration, HashBeacon(tmp_path / "anchored"))
    beacon = writer.beacon
    writer.abandon()
    lines = (run / "log/records.jsonl").read_bytes().splitlines(keepends=True)
    (run / "log/records.jsonl").write_bytes(lines[0])
    for name in ("log/checkpoint", "private/head"):
        (run / name).unlink()
    again = resume(run, registration)
    assert again.beacon == beacon
    complete(again)
    log = audit(run, FaultyProver())
    assert log.genesis is not None
    assert log.genesis.beacon == beacon


def test_header_and_source_must_agree(tmp_path: Path) -> None:
    registration = begun(tmp_path / "register")
    backend = FaultyProver()
    for made, source in ((header(), HashBeacon(tmp_path / "anchored")), (by_beacon(), None)):
        with pytest.raises(UsageError, match="if, and only if, its header says so"):
            RunWriter.create(
                tmp_path / "run", made, backend, [SIGNER], first_weights(), registration=registration, beacon=source
            )
    assert not (tmp_path / "run").exists()
    assert make_header(backend).beacon == ()
