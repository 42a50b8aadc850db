"""`zk-train reproduce` on runs whose trainer lies in what no proof shows: no lie is FULL, nor
PARTIAL without a word of it."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.cli.forged import Objects, forge
from tests.cli.test_reproduce import Reproduce, finding, public, reproduce, trained
from zk_autograd.cli import reproduce as command
from zk_autograd.core.errors import ProverError
from zk_autograd.core.records import Block, Group, Header
from zk_autograd.core.trust import Missing
from zk_autograd.optim import header as header_of
from zk_autograd.prove.hashed.backend import HashedBackend
from zk_autograd.prove.native.verify import NativeSystem
from zk_autograd.run.layout import Layout
from zk_autograd.run.writer import RunWriter
from zk_autograd.train.loop import Loop

__all__ = ["reproduce"]

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(
        find_spec("torch") is None or find_spec("sklearn") is None, reason="the [train] extra is not installed"
    ),
]


@pytest.fixture(scope="module")
def hashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two segments without proofs."""
    return trained(tmp_path_factory.mktemp("hashed") / "home", "--prover", "none", "--steps", "20")


@pytest.fixture
def copied(hashed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(hashed, tmp_path / "copy"))


@pytest.fixture
def key(hashed: Path) -> Path:
    return hashed.parent / "config/zk-autograd/log.key"


def steps(events: Objects) -> Objects:
    return [event for event in events if event["event"] == "step"]


def without(kind: str) -> Callable[[Objects], Objects]:
    return lambda events: [event for event in events if event["event"] != kind]


def at(place: int, event: dict[str, Any]) -> Callable[[Objects], None]:
    return lambda events: events.insert(place, event)


def set_loss(objects: Objects) -> None:
    """Of step 3, in records or in the log."""
    for item in objects:
        if item.get("type") == "segment" and item["first"] == 1:
            item["claimed"]["loss"][2] = "0.0001"
        elif item.get("step") == 3:
            item["loss"] = "0.0001"


def set_saturated(objects: Objects) -> None:
    for item in objects:
        if item.get("type") == "segment" and item["first"] == 1:
            item["claimed"]["saturated"][2] = 7
        elif item.get("step") == 3:
            item["saturated"] = 7


def test_a_forged_run_without_a_change_is_FULL(copied: Path, key: Path, reproduce: Reproduce) -> None:
    assert reproduce(forge(copied, key))[1]["verdict"] == "FULL"


@pytest.mark.parametrize(
    ("log", "line"),
    [
        (lambda events: steps(events)[0].update(lr=["999"]), "line 2 of train_log.jsonl, 'step',"),
        (lambda events: steps(events)[1].update(loss="0.1"), "line 3 of train_log.jsonl, 'step',"),
        (lambda events: steps(events)[1].update(saturated=1), "line 3 of train_log.jsonl, 'step',"),
        (lambda events: events[0].update(run="00" * 16), "line 1 of train_log.jsonl, 'begin',"),
        (lambda events: events[0].update(steps=77), "line 1 of train_log.jsonl, 'begin',"),
        (lambda events: [*events[:1], *events[:0:-1]], "line 2 of train_log.jsonl, 'close',"),
        (lambda events: [events[0], events[2], events[1], *events[3:]], "line 2 of train_log.jsonl, 'step',"),
        (lambda events: [*events[:2], *events[1:]], "line 3 of train_log.jsonl, 'step',"),
        (lambda events: [*events[:5], *events[6:]], "line 6 of train_log.jsonl, 'step',"),
        (without("begin"), "line 1 of train_log.jsonl, 'step',"),
        (without("proved"), "line 22 of train_log.jsonl, 'close',"),
        (without("close"), "train_log.jsonl does not tell of the run's end"),
        (without("step"), "line 4 of train_log.jsonl, 'close',"),
        (at(1, {"event": "begin", "run": "x", "steps": 77}), "line 2 of train_log.jsonl, 'begin',"),
        (at(1, {"event": "proved", "segment": 5, "last": 9, "seconds": ""}), "line 2 of train_log.jsonl, 'proved',"),
        (at(1, {"event": "proved", "segment": 0, "last": 9, "seconds": ""}), "line 2 of train_log.jsonl, 'proved',"),
        (at(1, {"event": "resumed", "steps": 3, "changes": []}), "line 2 of train_log.jsonl, 'resumed',"),
        (at(1, {"event": "resumed", "steps": 0, "changes": [1]}), "line 2 of train_log.jsonl, 'resumed',"),
        (at(24, {"event": "close", "steps": 20, "segments": 2}), "line 25 of train_log.jsonl, 'close',"),
        (at(24, {"event": "resumed", "steps": 20, "changes": []}), "line 25 of train_log.jsonl, 'resumed',"),
        (lambda events: events[-1].update(steps=19), "line 24 of train_log.jsonl, 'close',"),
        (lambda events: events[-1].update(segments=1), "line 24 of train_log.jsonl, 'close',"),
    ],
    ids=[
        "lr",
        "loss",
        "saturated",
        "run",
        "begun late",
        "reversed",
        "swapped",
        "twice",
        "left out",
        "no begin",
        "no proved",
        "no close",
        "no step",
        "second begin",
        "no such segment",
        "another last step",
        "resumed early",
        "no text",
        "second close",
        "after the close",
        "closed early",
        "fewer segments",
    ],
)
@pytest.mark.parametrize("stranger", [False, True])
def test_a_log_that_tells_of_other_things_than_the_records_is_a_MISMATCH(
    log: Callable[[Objects], Objects | None], line: str, stranger: bool, copied: Path, key: Path, reproduce: Reproduce
) -> None:
    forge(copied, key, log=log)
    status, result = reproduce(public(copied) if stranger else copied, "--verify-only")
    assert (status, result["verdict"]) == (1, "MISMATCH")
    assert line in finding(result, "mismatch")


def of_segment(index: int, name: str, value: object) -> Callable[[Objects], None]:
    return lambda leaves: leaves[2 + index].update({name: value})


def set_state(name: str, at: tuple[tuple[int, str], ...]) -> Callable[[Objects], None]:
    def change(leaves: Objects) -> None:
        for leaf, end in at:
            leaves[leaf][end][name] = ["12" * 32]

    return change


@pytest.mark.parametrize(
    ("records", "log", "message", "stranger_too"),
    [
        (set_loss, set_loss, "trained again, step 3 has another loss (expected 0.0001, found 0.", True),
        (set_saturated, set_saturated, "trained again, step 3 has another count of saturated elements", True),
        (of_segment(1, "batches", "ab" * 32), None, "steps 17 to 20 take other batches than were committed to", False),
        (of_segment(0, "batches", ""), None, "steps 1 to 16 take other batches than were committed to", True),
        (set_state("W", ((1, "state"), (2, "state_in"))), None, "the integers W before step 1 are not what", False),
        (set_state("M", ((2, "state_out"), (3, "state_in"))), None, "the integers M after step 16 are not what", False),
        (set_state("V", ((3, "state_out"), (4, "state"))), None, "the integers V after step 20 are not what", False),
    ],
)
def test_a_record_that_the_training_does_not_lead_to_is_a_MISMATCH(
    records: Callable[[Objects], None],
    log: Callable[[Objects], None] | None,
    message: str,
    stranger_too: bool,
    copied: Path,
    key: Path,
    reproduce: Reproduce,
) -> None:
    forge(copied, key, records=records, log=log or (lambda events: None))
    status, result = reproduce(copied)
    assert (status, result["verdict"]) == (1, "MISMATCH")
    assert message in finding(result, "mismatch")
    status, result = reproduce(public(copied))
    assert (status, result["verdict"]) == ((1, "MISMATCH") if stranger_too else (3, "PARTIAL"))
    if not stranger_too:
        assert "batches and states: their commitments need the trainer's salts, and were not recomputed" in str(result)
        assert "batches" not in finding(result, "records")
        assert "state" not in finding(result, "records").replace("saturated", "")


@pytest.mark.parametrize("name", ["loss", "saturated"])
def test_a_record_that_leaves_losses_out_is_a_MISMATCH(
    name: str, copied: Path, key: Path, reproduce: Reproduce
) -> None:
    def change(leaves: Objects) -> None:
        leaves[2]["claimed"][name] = leaves[2]["claimed"][name][:-1]

    forge(copied, key, records=change)
    status, result = reproduce(copied)
    assert (status, result["verdict"]) == (1, "MISMATCH")
    assert "the record of segment 0 has " in finding(result, "mismatch")


def test_in_another_environment_other_losses_are_listed(
    copied: Path, key: Path, reproduce: Reproduce, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(leaves: Objects) -> None:
        set_loss(leaves)
        set_state("M", ((2, "state_out"), (3, "state_in")))(leaves)

    forge(copied, key, records=change, log=set_loss)
    monkeypatch.setenv("PYTHONHASHSEED", "77")
    status, result = reproduce(copied)
    assert (status, result["verdict"]) == (3, "PARTIAL")
    assert result["differences"][1].startswith("loss at step 3: 0.0001 there, 0.")
    assert result["differences"][2] == "states: the integers M after step 16 are not what was committed to"
    assert finding(result, "records") == "as trained again: header, count of saturated elements of each step, batches"


def in_group(name: str, value: str) -> Callable[[Objects], None]:
    return lambda leaves: leaves[0]["groups"][0].update({name: value})


def in_data(name: str, value: object) -> Callable[[Objects], None]:
    return lambda leaves: leaves[0]["data"].update({name: value})


BUFFER = {"name": "scale", "kind": "buffer", "shape": [1], "dtype": "float32", "sha256": "00" * 32}


@pytest.mark.parametrize(
    ("records", "what"),
    [
        (in_group("lr", "0.2"), "line 2 of train_log.jsonl"),
        (in_group("eps", "0.5"), "the header has other hyper-parameters"),
        (lambda leaves: leaves[0].update(grad_scale=3), "the header has other grad_scale"),
        (lambda leaves: leaves[0].update(schedule="cosine:steps=30,end=0,warm_up=2"), "line 2 of train_log.jsonl"),
        (lambda leaves: leaves[0].update(schedule="step:every=30,factor=0.5"), "the header has other schedule"),
        (lambda leaves: leaves[0].update(unproved=[BUFFER]), "the header has other unproved tensors"),
        (in_data("count", 7), "the header has other count of rows"),
        (in_data("sampler", "mine"), "the header has other sampler"),
        (in_data("batch_size", 7), "the header has other batch size"),
    ],
    ids=["lr", "eps", "scale", "cosine", "step", "unproved", "count", "sampler", "batch size"],
)
def test_a_strangers_header_that_is_not_its_configurations_is_a_MISMATCH(
    records: Callable[[Objects], None], what: str, copied: Path, key: Path, reproduce: Reproduce
) -> None:
    forge(copied, key, records=records)
    status, result = reproduce(public(copied))
    assert (status, result["verdict"]) == (1, "MISMATCH")
    assert what in finding(result, "mismatch")


def test_a_header_of_another_package_or_code_is_a_difference(copied: Path, key: Path, reproduce: Reproduce) -> None:
    forge(copied, key, records=lambda leaves: leaves[0].update(package="9.9", model_code="ab" * 32))
    result = reproduce(public(copied))[1]
    assert result["verdict"] == "PARTIAL"
    assert "the code of the model logistic" in result["differences"]
    assert any(text.startswith("package of the header: 9.9 there, ") for text in result["differences"])


def test_the_trainers_own_header_is_compared_too(
    tmp_path: Path, reproduce: Reproduce, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, sequence = RunWriter.create, Header.sequence
    honest: list[Header] = []

    def other(path: Path, header: Header, *arguments: Any, **named: Any) -> RunWriter:
        honest.append(header)
        group = header.groups[0]
        hyper = tuple((name, "0.2" if name == "lr" else text) for name, text in group.hyper)
        return create(path, replace(header, groups=(Group(hyper, group.s),)), *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(RunWriter, "create", other)
        patch.setattr(Header, "sequence", lambda self, group: sequence(honest[0] if honest else self, group))
        run = trained(tmp_path / "home", "--prover", "none")
    status, result = reproduce(run)
    assert (status, result["verdict"]) == (1, "MISMATCH")
    assert "the header has other hyper-parameters" in finding(result, "mismatch")


def test_batches_in_another_order_are_a_MISMATCH(
    tmp_path: Path, reproduce: Reproduce, monkeypatch: pytest.MonkeyPatch
) -> None:
    gradients = Loop.gradients

    class Reversed:
        def __init__(self, optimizer: Any) -> None:
            self._optimizer = optimizer

        def __getattr__(self, name: str) -> Any:
            return getattr(self._optimizer, name)

        def note(self, *, loss: object = None, batch: Any = None, loop_state: bytes | None = None) -> None:
            self._optimizer.note(loss=loss, batch=batch[::-1].copy(), loop_state=loop_state)

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "gradients", lambda self, step, optimizer: gradients(self, step, Reversed(optimizer)))
        run = trained(tmp_path / "home", "--prover", "none")
    status, result = reproduce(run)
    assert (status, result["verdict"]) == (1, "MISMATCH")
    assert "steps 1 to 3 take other batches than were committed to" in finding(result, "mismatch")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (("steps = 20", "steps = 1"), "config.toml has fewer steps than the records (expected 20, found 1)"),
        (('prover = "none"', 'prover = "native"'), "config.toml has another prover than the records"),
        (("publish = true", "publish = false"), "config.toml has another publish than the records"),
        (
            ('prover = "none"', 'prover = "native"\npreset = "strict"'),
            "config.toml has another prover than the records",
        ),
        (("batch-size = 16", "batch-size = 17"), "the header has other batch size"),
    ],
)
def test_a_configuration_that_is_not_of_the_records_is_a_MISMATCH(
    config: tuple[str, str], message: str, copied: Path, key: Path, reproduce: Reproduce
) -> None:
    status, result = reproduce(public(forge(copied, key, config=config)))
    assert (status, result["verdict"]) == (1, "MISMATCH")
    assert message in finding(result, "mismatch")


def test_a_recorded_rate_that_is_not_the_configurations_is_a_MISMATCH(tmp_path: Path, reproduce: Reproduce) -> None:
    run = trained(tmp_path / "home", "--prover", "none", "--schedule", "recorded")
    key = run.parent / "config/zk-autograd/log.key"
    assert reproduce(run)[1]["verdict"] == "FULL"
    forge(
        run,
        key,
        records=lambda leaves: leaves[2]["lr"][1].__setitem__(0, "0.5"),
        log=lambda events: steps(events)[1].update(lr=["0.5"]),
    )
    status, result = reproduce(run)
    assert (status, result["verdict"]) == (1, "MISMATCH")
    assert finding(result, "mismatch") == "trained again, step 2 has another lr (expected 0.5, found 0.01)"


def test_what_the_verifier_can_not_look_at_is_a_difference(
    tmp_path: Path, reproduce: Reproduce, native_prover: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(tmp_path / "home", "--prover", "native")
    assert reproduce(run)[1]["verdict"] == "FULL"
    monkeypatch.setattr(NativeSystem, "checker", lambda self, prover: Missing("it is not installed"))
    status, result = reproduce(run)
    assert (status, result["verdict"]) == (3, "PARTIAL")
    assert [text.partition(":")[0] for text in result["differences"]] == ["statement", "chain", "proofs", "model"]


def test_states_that_can_not_be_committed_to_here_are_a_difference(
    copied: Path, reproduce: Reproduce, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> list[bytes]:
        raise ProverError("no prover")

    monkeypatch.setattr(HashedBackend, "commit_all", fail)
    status, result = reproduce(copied)
    assert (status, result["verdict"]) == (3, "PARTIAL")
    assert result["differences"] == ["states: their commitments can't be made here: no prover"]
    assert finding(result, "records").endswith("saturated elements of each step, batches")


def test_blocks_that_are_cut_otherwise_are_a_MISMATCH(
    tmp_path: Path, reproduce: Reproduce, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(header_of, "blocks_of", lambda parameters, capacity: (Block(0, 0, 10), Block(0, 10, 21)))
        run = trained(tmp_path / "home", "--prover", "none")
    status, result = reproduce(run)
    assert (status, result["verdict"]) == (1, "MISMATCH")
    assert "block 0 is neither full nor the last of its group" in finding(result, "mismatch")


def test_another_preset_than_the_records_is_a_MISMATCH(
    tmp_path: Path, reproduce: Reproduce, native_prover: None
) -> None:
    run = trained(tmp_path / "home", "--prover", "native")
    key = run.parent / "config/zk-autograd/log.key"
    forge(public(run), key, config=('prover = "native"', 'prover = "native"\npreset = "strict"'))
    status, result = reproduce(run, "--verify-only")
    assert (status, result["verdict"]) == (1, "MISMATCH")
    assert "config.toml has another preset than the records (expected standard, found strict)" in str(result)


def test_a_run_that_was_closed_early_is_PARTIAL(copied: Path, key: Path, reproduce: Reproduce) -> None:
    forge(copied, key, config=("steps = 20", "steps = 40"))
    plan = Layout(copied).private / "train.json"
    plan.write_bytes(plan.read_bytes().replace(b'"steps":20', b'"steps":40'))
    status, result = reproduce(copied)
    assert (status, result["verdict"]) == (3, "PARTIAL")
    assert result["differences"] == ["steps: 40 in config.toml, but the run was closed after 20"]


def test_a_run_without_a_log_of_its_training_is_a_MISMATCH(
    copied: Path, key: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forge(copied, key, records=lambda leaves: leaves[-1]["artefacts"].pop("train_log.jsonl"))
    (copied / "train_log.jsonl").unlink()
    capsys.readouterr()
    assert command.main([str(copied)]) == 1
    assert "the close record leaves out one of the trainer's own files" in capsys.readouterr().out
