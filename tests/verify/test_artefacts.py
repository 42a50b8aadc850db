"""Step 10, the trainer's own files: one byte changed, one file less or more, one hash that the run
doesn't have."""

import os
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from tests.verify.run_builder import LOG_POLICY, Run, honest, judge, refused
from zk_autograd.core.canonical import encode
from zk_autograd.core.errors import UnreadableError
from zk_autograd.core.records import Data
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.evidence.hashes import Hashes, weights_hash
from zk_autograd.prove.verifiers import Systems
from zk_autograd.verify.outcome import Status, Step
from zk_autograd.verify.report import Report
from zk_autograd.verify.verifier import Verifier

ENVIRONMENT = encode({"format": "zk-autograd/environment/v0", "python": "3"})
CONFIG = b"steps = 8\n"
CLOSE = 5
"""The close record's index."""

Contents = dict[str, bytes]


def contents_of(run: Run, config: bytes | None = CONFIG) -> Contents:
    """The files of an honest trainer."""
    weights = weights_hash(run.weights) if run.model else None
    hashes = Hashes.of(config, run.header.data, ENVIRONMENT, weights)
    given = {
        "config.toml": config,
        "environment.json": ENVIRONMENT,
        "train_log.jsonl": b"{}\n",
        "hashes.json": hashes.encode(),
    }
    return {name: data for name, data in given.items() if data is not None}


def name(run: Run, contents: Contents) -> None:
    """The close record names the files as they are."""
    assert run.close is not None
    run.close = replace(run.close, artefacts=tuple((n, sha256(d).digest()) for n, d in sorted(contents.items())))


def judged(run: Run, contents: Contents, folder: Path) -> Report:
    folder.mkdir()
    for file, data in contents.items():
        (folder / file).write_bytes(data)
    return judge(run, folder)


def said(report: Report) -> str:
    return " ".join(report.findings[Step.MODEL].sentences)


@pytest.mark.parametrize("published", [True, False])
@pytest.mark.parametrize("config", [CONFIG, None])
def test_10_the_recorded_files_pass(published: bool, config: bytes | None, tmp_path: Path) -> None:
    run = honest()
    if not published:
        run.model = {}
        run.name_model()
    contents = contents_of(run, config)
    name(run, contents)
    report = judged(run, contents, tmp_path / "run")
    assert report.exit_status == 0, report.text()
    assert report.findings[Step.MODEL].status is (Status.PASSED if published else Status.ABSENT)
    assert "train_log.jsonl and hashes.json match the close record; what they say is the trainer's word" in said(report)
    assert ("reproducibility and weights" in said(report)) == published
    assert ("config.toml" in said(report)) == (config is not None)


def test_10_a_run_without_them_passes_and_nothing_is_said(tmp_path: Path) -> None:
    assert "trainer's word" not in said(judged(honest(), {}, tmp_path / "run"))


@pytest.mark.parametrize("file", ["environment.json", "config.toml", "train_log.jsonl", "hashes.json"])
def test_10_a_flipped_bit_anywhere_fails(file: str, tmp_path: Path) -> None:
    run = honest()
    contents = contents_of(run)
    name(run, contents)
    data = contents[file]
    for place in {0, len(data) // 2, len(data) - 1}:
        flipped = bytearray(data)
        flipped[place] ^= 1
        report = judged(run, {**contents, file: bytes(flipped)}, tmp_path / str(place))
        refused(report, 10, f"{file} does not match the close record", CLOSE)


@pytest.mark.parametrize("file", ["environment.json", "config.toml", "train_log.jsonl", "hashes.json"])
def test_10_a_missing_file_fails_and_one_more_is_not_covered(file: str, tmp_path: Path) -> None:
    run = honest()
    contents = contents_of(run)
    less = {n: d for n, d in contents.items() if n != file}
    name(run, contents)
    refused(judged(run, less, tmp_path / "less"), 10, f"{file} can't be read: No such file", CLOSE)
    if file != "config.toml":  # without one of the others the record itself is refused
        return
    contents = contents_of(run, None)
    name(run, contents)
    report = judged(run, {**contents, file: CONFIG}, tmp_path / "more")
    assert (report.exit_status, report.findings[Step.MODEL].status) == (3, Status.NOT_SHOWN)
    assert "no record in this view names 'config.toml'" in said(report)
    assert "config.toml, environment.json" not in said(report)


def test_10_files_beside_a_close_record_that_names_none_are_not_covered(tmp_path: Path) -> None:
    run = honest()
    report = judged(run, contents_of(run), tmp_path / "run")
    assert (report.failure, report.exit_status) == (None, 3)
    assert report.uncovered is not None
    assert [file.name for file in report.uncovered] == sorted(contents_of(run))


def test_10_nothing_covers_the_files_of_an_unfinished_run(tmp_path: Path) -> None:
    run = honest()
    contents = {"environment.json": ENVIRONMENT, "train_log.jsonl": b"{}\n"}
    run.close, run.model = None, {}
    report = judged(run, contents, tmp_path / "run")
    assert report.exit_status == 0
    assert "no close record in this view names environment.json and train_log.jsonl: nothing covers" in said(report)


def test_10_a_link_is_not_followed(tmp_path: Path) -> None:
    run = honest()
    contents = contents_of(run)
    name(run, contents)
    (tmp_path / "elsewhere").write_bytes(contents.pop("config.toml"))
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.toml").symlink_to(tmp_path / "elsewhere")
    for file, data in contents.items():
        (tmp_path / "run" / file).write_bytes(data)
    refused(judge(run, tmp_path / "run"), 10, "config.toml can't be read: it is a link", CLOSE)


def test_10_a_file_too_large_is_not_read(tmp_path: Path) -> None:
    run = honest()
    contents = {**contents_of(run), "environment.json": b" " * (2**16 + 1)}
    name(run, contents)
    refused(judged(run, contents, tmp_path / "run"), 10, "environment.json is too large", CLOSE)


def _hashed(**parts: object) -> Callable[[Run], bytes]:
    def hashes(run: Run) -> bytes:
        chosen = {
            "config": CONFIG,
            "data": run.header.data,
            "environment": ENVIRONMENT,
            "weights": weights_hash(run.weights),
        }
        return Hashes.of(**{**chosen, **parts}).encode()  # type: ignore[arg-type]

    return hashes


LIES: dict[str, tuple[str, Callable[[Run], bytes]]] = {
    "another config": ("the hash config in hashes.json is not the run's", _hashed(config=b"steps = 9\n")),
    "no config": ("the hash config in hashes.json is not the run's", _hashed(config=None)),
    "other data": (
        "the hash data in hashes.json is not the run's",
        _hashed(data=Data(bytes(32), 100, "sequential", 10, b"")),
    ),
    "another environment": ("the hash environment in hashes.json is not the run's", _hashed(environment=b"{}")),
    "other weights": ("the hash weights in hashes.json is not the run's", _hashed(weights=bytes(32))),
    "no weights": ("the hash weights in hashes.json is not the run's", _hashed(weights=None)),
    "another reproducibility": (
        "the hash reproducibility in hashes.json is not the run's",
        lambda run: replace(Hashes.parse(_hashed()(run)), reproducibility=bytes(32)).encode(),
    ),
    "not canonical": ("not canonical JSON", lambda run: _hashed()(run) + b"\n"),
    "another version": ("hashes.json.format", lambda run: _hashed()(run).replace(b"/v0", b"/v1")),
}


@pytest.mark.parametrize("lie", LIES)
def test_10_recorded_hashes_that_are_not_the_runs_fail(lie: str, tmp_path: Path) -> None:
    message, hashes = LIES[lie]
    run = honest()
    contents = {**contents_of(run), "hashes.json": hashes(run)}
    name(run, contents)
    refused(judged(run, contents, tmp_path / "run"), 10, message, CLOSE)


def test_10_weights_hash_of_weights_that_are_not_published_fails(tmp_path: Path) -> None:
    run = honest()
    contents = contents_of(run)
    run.model = {}
    run.name_model()
    name(run, contents)
    refused(judged(run, contents, tmp_path / "run"), 10, "the hash weights in hashes.json is not the run's", CLOSE)


@pytest.mark.parametrize("left_out", ["environment.json", "hashes.json", "train_log.jsonl"])
def test_10_a_close_record_that_leaves_out_one_of_the_trainers_files_fails(left_out: str, tmp_path: Path) -> None:
    run = honest()
    contents = {n: d for n, d in contents_of(run).items() if n != left_out}
    name(run, contents)
    refused(judged(run, contents, tmp_path / "run"), 10, "leaves out one of the trainer's own files", CLOSE)


def test_10_digests_of_other_files_are_counted(tmp_path: Path) -> None:
    run = honest()
    name(run, {"paper.pdf": b"", "slides.pdf": b""})
    assert "digests of files that are not part of a run, which were not looked at: 2" in said(
        judged(run, {}, tmp_path / "run")
    )


def test_10_the_log_of_the_training_is_not_held_in_memory(tmp_path: Path) -> None:
    """A gigabyte of holes takes no space on the disk."""
    run = honest("none")
    contents = contents_of(run)
    size = 2**28
    digest = sha256()
    for _ in range(size // 2**20):
        digest.update(bytes(2**20))
    name(run, contents)
    assert run.close is not None
    artefacts = {**dict(run.close.artefacts), "train_log.jsonl": digest.digest()}
    run.close = replace(run.close, artefacts=tuple(sorted(artefacts.items())))
    folder = tmp_path / "run"
    folder.mkdir()
    for file, data in contents.items():
        (folder / file).write_bytes(data)
    os.truncate(folder / "train_log.jsonl", 0)
    os.truncate(folder / "train_log.jsonl", size)
    tracemalloc.start()
    try:
        report = judge(run, folder, LOG_POLICY)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert report.exit_status == 0, report.text()
    assert peak < size // 4


class Closed(RunFolder):
    """A run, some files of which this machine doesn't let be read; `held` are those of the model
    that were read whole."""

    def __init__(self, path: Path, closed: tuple[str, ...]) -> None:
        super().__init__(path)
        self.closed = closed
        self.held: list[str] = []

    def digest(self, path: str, limit: int) -> bytes:
        if path in self.closed:
            raise UnreadableError(f"{path} can't be read")
        return super().digest(path, limit)

    def model_file(self, name: str, limit: int = 2**30) -> bytes:
        self.held.append(name)
        return super().model_file(name, limit)


@pytest.mark.parametrize(
    ("closed", "false"),
    [
        ("environment.json", "hashes.json"),
        ("environment.json", "train_log.jsonl"),
        ("model/weights.i64.safetensors", "model/weights.f32.safetensors"),
        ("model/opening.json", "hashes.json"),
    ],
)
def test_10_a_false_file_does_not_hide_behind_one_that_can_not_be_read(tmp_path: Path, closed: str, false: str) -> None:
    run = honest("none")
    contents = contents_of(run)
    name(run, contents)
    folder = run.write(tmp_path / "run")
    for file, data in contents.items():
        (folder / file).write_bytes(data)
    with Closed(folder, (closed,)) as files:
        report = Verifier(LOG_POLICY, Systems()).verify(files)
        assert report.exit_status == 4
    (folder / false).write_bytes(b"false")
    with Closed(folder, (closed,)) as files:
        report = Verifier(LOG_POLICY, Systems()).verify(files)
    refused(report, 10, Path(false).name, record=CLOSE)


def test_10_a_false_model_is_refused_before_any_of_it_is_held_in_memory(tmp_path: Path) -> None:
    run = honest("none")
    folder = run.write(tmp_path / "run")
    (folder / "model/opening.json").write_bytes(b"false")
    with Closed(folder, ()) as files:
        report = Verifier(LOG_POLICY, Systems()).verify(files)
        refused(report, 10, "opening.json does not match the close record", record=CLOSE)
        assert files.held == []


@pytest.mark.parametrize("file", ["model/weights.i64.safetensors", "model/opening.json", "hashes.json"])
def test_10_a_file_exchanged_after_it_was_hashed_is_refused(tmp_path: Path, file: str) -> None:
    run = honest("none")
    contents = contents_of(run)
    name(run, contents)
    folder = run.write(tmp_path / "run")
    for other, data in contents.items():
        (folder / other).write_bytes(data)

    class Exchanged(RunFolder):
        def digest(self, path: str, limit: int) -> bytes:
            digest = super().digest(path, limit)
            if path == file:
                (folder / file).write_bytes((folder / file).read_bytes() + b" ")
            return digest

    with Exchanged(folder) as files:
        report = Verifier(LOG_POLICY, Systems()).verify(files)
    refused(report, 10, f"{Path(file).name} does not match the close record", record=CLOSE)
