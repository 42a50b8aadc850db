"""The trainer's own files: what is in them, and that they fit the close record however often the
run was broken off."""

import json
import stat
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.run.trainer import (
    SIGNER,
    FailingFiles,
    TracedFiles,
    first_weights,
    gradients,
    hashed_backend,
    make_header,
)
from zk_autograd.core.canonical import encode
from zk_autograd.core.errors import RunError, UsageError
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.core.records import Log
from zk_autograd.credentials.redaction import Redactor
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.evidence.hashes import Hashes, weights_hash
from zk_autograd.evidence.layout import ARTEFACTS
from zk_autograd.run import environment, train_log
from zk_autograd.run.artefacts import Artefacts, checked_config
from zk_autograd.run.claims import Claims
from zk_autograd.run.files import Files
from zk_autograd.run.writer import RunWriter

CONFIG = 'lr = "0.01"\nnote = "hf_AbCdEfGhIjKlMnOpQrStUvWxYz01234567"\n'
REDACTED = 'lr = "0.01"\nnote = "[redacted]"\n'
LAST = 5
RATES = ("0.001", "0.002")


def changed(content: bytes) -> bytes:
    """As if recorded on another machine."""
    return content.replace(b'"wibble":"1"', b'"wibble":"2"')


HERE = encode({"format": environment.FORMAT, "wibble": "1"})


class Trainer:
    """Trains `LAST` steps of a small run, resumes it if it is there, and closes it; tells what its
    files are told."""

    def __init__(self, path: Path, config: str | None = CONFIG, here: bytes = HERE, files: Files | None = None) -> None:
        self.path = path
        options: dict[str, Any] = {"files": files or TracedFiles(path)}
        seconds = iter(range(10**6))
        self.artefacts = Artefacts(
            environment=lambda: here, config=config, clock=lambda: float(next(seconds)), redactor=Redactor(), **options
        )
        backend = hashed_backend()
        if (path / "private/header").exists():
            self.writer = RunWriter.resume(path, lambda _: backend, [SIGNER], on_event=self.artefacts, **options)
            self.begin: Callable[[RunWriter], None] = self.artefacts.resume
        else:
            header = make_header(backend)
            self.writer = RunWriter.create(
                path, header, backend, [SIGNER], first_weights(), on_event=self.artefacts, **options
            )
            self.begin = self.artefacts.begin

    def train(self, last: int = LAST) -> None:
        for t in range(self.writer.step + 1, last + 1):
            self.writer.append(gradients(t), Claims(f"0.{t}", t))
            self.artefacts.step(t, f"0.{t}", RATES, t)

    def close(self, *, published: bool = True) -> None:
        self.writer.drain()
        W = self.writer.state["W"] if published else None
        self.writer.close({}, self.artefacts.finish(self.writer, W))

    def all(self) -> None:
        try:
            self.begin(self.writer)
            self.train()
            self.close()
        finally:
            self.writer.abandon()


def log_of(run: Path) -> Log:
    with RunFolder(run) as reader:
        return parse_log(reader.leaves())


def events_of(run: Path) -> list[dict[str, Any]]:
    return [dict(event) for event in train_log.events((run / "train_log.jsonl").read_bytes())]


def require_whole(run: Path, names: tuple[str, ...] = ARTEFACTS) -> None:
    """The close record names exactly these files, they are there with these digests, and all steps
    and segments are in the log."""
    log = log_of(run)
    assert log.close is not None
    assert tuple(dict(log.close.artefacts)) == tuple(sorted(names))
    for name, digest in log.close.artefacts:
        assert sha256((run / name).read_bytes()).digest() == digest
    assert sorted(p.name for p in run.iterdir() if p.is_file()) == sorted(names)
    events = events_of(run)
    assert [e["step"] for e in events if e["event"] == "step"] == list(range(1, LAST + 1))
    assert [e["loss"] for e in events if e["event"] == "step"] == [f"0.{t}" for t in range(1, LAST + 1)]
    assert {e["segment"]: e["last"] for e in events if e["event"] == "proved"} == {
        s.index: s.last for s in log.segments
    }
    assert len([e for e in events if e["event"] in ("begin", "close", "proved")]) == 2 + len(log.segments)
    assert events[0] == train_log.begin(log.header)
    assert events[-1] == train_log.close(LAST, len(log.segments))


def test_a_run_has_its_four_files_named_in_the_close_record(tmp_path: Path) -> None:
    trainer = Trainer(tmp_path / "run")
    trainer.all()
    require_whole(tmp_path / "run")
    steps = [e for e in events_of(tmp_path / "run") if e["event"] == "step"]
    assert steps[1] == {
        "event": "step",
        "step": 2,
        "loss": "0.2",
        "lr": list(RATES),
        "saturated": 2,
        "seconds": steps[1]["seconds"],
    }
    assert all(float(e["seconds"]) > 0 for e in steps)
    assert not [e for e in events_of(tmp_path / "run") if e["event"] == "resumed"]
    hashes = Hashes.parse((tmp_path / "run/hashes.json").read_bytes())
    W = weights_hash(trainer.writer.state["W"])
    assert hashes == Hashes.of(REDACTED.encode(), log_of(tmp_path / "run").header.data, HERE, W)
    assert (tmp_path / "run/config.toml").read_text() == REDACTED
    for name in ARTEFACTS:
        assert stat.S_IMODE((tmp_path / "run" / name).stat().st_mode) == 0o644


def test_without_config_and_published_weights_their_hashes_are_left_out(tmp_path: Path) -> None:
    trainer = Trainer(tmp_path / "run", config=None)
    trainer.begin(trainer.writer)
    trainer.train()
    trainer.close(published=False)
    require_whole(tmp_path / "run", ("environment.json", "train_log.jsonl", "hashes.json"))
    hashes = Hashes.parse((tmp_path / "run/hashes.json").read_bytes())
    assert hashes.config is None
    assert hashes.weights is None


@pytest.mark.parametrize("stop", range(LAST + 1))
def test_a_resumed_run_says_so_and_has_every_step_once(stop: int, tmp_path: Path) -> None:
    trainer = Trainer(tmp_path / "run")
    trainer.begin(trainer.writer)
    trainer.train(stop)
    trainer.writer.abandon()
    again = Trainer(tmp_path / "run", config="changed = true\n", here=changed(HERE))
    again.all()
    require_whole(tmp_path / "run")
    resumptions = [e for e in events_of(tmp_path / "run") if e["event"] == "resumed"]
    assert resumptions == [train_log.resumed(stop, ["wibble: 1 there, 2 here"])]
    assert (tmp_path / "run/config.toml").read_text() == REDACTED
    assert (tmp_path / "run/environment.json").read_bytes() == HERE


@pytest.mark.parametrize("lost", range(1, 400, 13))
def test_a_log_that_lost_its_end_in_a_crash_is_written_again(lost: int, tmp_path: Path) -> None:
    trainer = Trainer(tmp_path / "run")
    trainer.begin(trainer.writer)
    trainer.train(4)
    trainer.writer.abandon()
    path = tmp_path / "run/train_log.jsonl"
    path.write_bytes(path.read_bytes()[:-lost])
    Trainer(tmp_path / "run").all()
    require_whole(tmp_path / "run")
    for event in events_of(tmp_path / "run"):
        assert event["event"] != "step" or tuple(event["lr"]) == RATES


def test_files_that_are_gone_are_written_again(tmp_path: Path) -> None:
    trainer = Trainer(tmp_path / "run")
    trainer.begin(trainer.writer)
    trainer.train(4)
    trainer.writer.abandon()
    for name in ("environment.json", "config.toml", "train_log.jsonl"):
        (tmp_path / "run" / name).unlink()
    Trainer(tmp_path / "run").all()
    require_whole(tmp_path / "run")


def writes(tmp_path: Path) -> list[str]:
    """All writes of an undisturbed run that artefacts make, by name."""
    files = TracedFiles(tmp_path / "all")
    Trainer(tmp_path / "all", files=files).all()
    return [name for name in files.done if any(artefact in name for artefact in ARTEFACTS)]


@pytest.mark.parametrize("way", ["lost", "kept", "torn"])
def test_whichever_write_fails_a_resumption_ends_with_files_that_fit(way: str, tmp_path: Path) -> None:
    names = writes(tmp_path)
    assert len(names) == 3 + LAST + 3 + 2  # inputs and first line, steps, segments, end
    broken = 0
    for i, name in enumerate(names):
        if way == "torn" and not name.startswith("append"):
            continue
        run = tmp_path / str(i)
        with pytest.raises(RunError, match="failed and was"):
            Trainer(run, files=FailingFiles(run, name, way)).all()
        Trainer(run).all()
        require_whole(run)
        broken += 1
    assert broken >= LAST


def test_a_run_broken_off_between_its_files_and_its_close_record_is_closed_with_files_that_fit(tmp_path: Path) -> None:
    trainer = Trainer(tmp_path / "run")
    trainer.begin(trainer.writer)
    trainer.train()
    trainer.writer.drain()
    first = trainer.artefacts.finish(trainer.writer, trainer.writer.state["W"])
    trainer.writer.abandon()
    Trainer(tmp_path / "run").all()
    require_whole(tmp_path / "run")
    close = log_of(tmp_path / "run").close
    assert close is not None
    second = dict(close.artefacts)
    assert [name for name in first if first[name] != second[name]] == ["train_log.jsonl"]


def test_altered_environment_is_refused_at_a_resumption(tmp_path: Path) -> None:
    trainer = Trainer(tmp_path / "run")
    trainer.begin(trainer.writer)
    trainer.writer.abandon()
    (tmp_path / "run/environment.json").write_bytes(b"{")
    with pytest.raises(RunError, match=r"environment\.json is not what the trainer wrote: .*restore it from a copy"):
        Trainer(tmp_path / "run").all()


def test_a_link_in_a_files_place_is_not_followed(tmp_path: Path) -> None:
    trainer = Trainer(tmp_path / "run")
    trainer.begin(trainer.writer)
    trainer.writer.abandon()
    (tmp_path / "elsewhere").write_bytes(b"precious")
    (tmp_path / "run/train_log.jsonl").unlink()
    (tmp_path / "run/train_log.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunError, match="links are not followed"):
        Trainer(tmp_path / "run").all()
    assert (tmp_path / "elsewhere").read_bytes() == b"precious"


@pytest.mark.parametrize(
    "text",
    [
        "lr = ",
        "[[[",
        "a = 1\na = 2\n",
        f'a = "{"x" * 2**16}"\n',
        'a = "\ud800"\n',
        "a." * 9 + "b = 1",
        "a = " + "[" * 9999,
        "a = 1e" + "9" * 30,
        "a = 0x" + "f" * 5000,
    ],
)
def test_a_config_that_is_no_toml_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="config is not a TOML text that a run can keep"):
        checked_config(text)


def test_the_log_is_what_the_records_say(tmp_path: Path) -> None:
    Trainer(tmp_path / "run").all()
    log = log_of(tmp_path / "run")
    claimed = [(loss, n) for s in log.segments for loss, n in zip(s.loss, s.saturated, strict=True)]
    assert [(e["loss"], e["saturated"]) for e in events_of(tmp_path / "run") if e["event"] == "step"] == claimed
    assert all(json.loads(line) for line in (tmp_path / "run/train_log.jsonl").read_text().splitlines())
