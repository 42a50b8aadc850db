"""Step 10, what lies beside: one rule for a folder and a bundle. What no record names is listed,
and weighs unless it is harmless or was named."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.verify.run_builder import POLICY, Run, honest, refused, stand_ins
from zk_autograd.core.errors import UsageError
from zk_autograd.core.text import quoted
from zk_autograd.evidence.beside import HARMLESS
from zk_autograd.evidence.bundle import END, Bundle, header, padding
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.verify.outcome import Status, Step
from zk_autograd.verify.policy import Policy, TreeHead
from zk_autograd.verify.report import Report
from zk_autograd.verify.verifier import Verifier

NO_RECORD, ALIKE = "no record in this view names", "what may be mistaken for the run's own"


def look(folder: Path, policy: Policy = POLICY) -> Report:
    with Bundle(folder) if folder.is_file() else RunFolder(folder) as files:
        return Verifier(policy, stand_ins()).verify(files)


def said(report: Report) -> str:
    return " ".join(report.findings[Step.MODEL].sentences)


def names(report: Report) -> list[str]:
    assert report.uncovered is not None
    return [file.name for file in report.uncovered]


def less(report: Report, *uncovered: str) -> None:
    """Nothing false, less than asked for, and these names are why."""
    assert (report.failure, report.exit_status) == (None, 3), report.text()
    assert report.verdict == "L0, L1"
    assert report.findings[Step.MODEL].status is Status.NOT_SHOWN
    assert names(report) == sorted(uncovered)
    assert report.uncovered is not None
    assert any(file.weighs for file in report.uncovered)
    assert any("--accept-uncovered" in why for why in report.missing)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A complete run, of which all is covered."""
    return honest().write(tmp_path / "run")


FOREIGN = [
    "model.safetensors",
    "log/old",
    "log/.records.jsonl.tmp",
    "proofs/9-9",
    "proofs/0-2",
    "proofs/.0-0.tmp",
    "proofs/00-0",
    "model/pytorch_model.bin",
    "config.toml",
    "zk_autograd/__init__.py",
    "README/weights.bin",
    ".ipynb_checkpoints/x",
    "README.safetensors",
    "README.md.bin",
    "readme.md",
    ".GITIGNORE",
    "model/license",
    ".DS_Store ",
]


@pytest.mark.parametrize("name", FOREIGN)
def test_what_no_record_names_makes_the_verdict_less(run: Path, name: str) -> None:
    (run / name).parent.mkdir(exist_ok=True)
    (run / name).write_bytes(b"x")
    folder, _, _ = name.partition("/")
    found = name if folder in ("log", "proofs", "model") else folder
    report = look(run)
    less(report, found)
    assert f"{NO_RECORD} {quoted(found)}: nothing covers" in said(report)
    accepted = look(run, replace(POLICY, accept_uncovered=frozenset({found})))
    assert (accepted.exit_status, accepted.findings[Step.MODEL].status) == (0, Status.PASSED)
    assert accepted.verdict_line == "verdict: L0, L1 (uncovered files accepted: 1)"
    assert "accepted by the auditor" in said(accepted)


RESEMBLING = {
    "Model": "model",
    "LOG": "log",
    "private.": "private",
    "Config.toml": "config.toml",
    "weights.f32.safetensors": "weights.f32.safetensors",
    "model/Weights.f32.safetensors": "weights.f32.safetensors",
    "model/weight\u017f.f32.safetensors": "weights.f32.safetensors",
    "model/\uff4fpening.json": "opening.json",
    "model/weights.f32\u200d.safetensors": "weights.f32.safetensors",
    "proofs/\uff10-0": "0-0",
    "log/CHECKPOINT": "checkpoint",
    "records.jsonl": "records.jsonl",
    "MODEL.SIG": "model.sig",
}


@pytest.mark.parametrize("name", RESEMBLING)
def test_what_may_be_taken_for_the_runs_own_is_told_apart(run: Path, name: str) -> None:
    (run / name).write_bytes(b"x")
    report = look(run)
    less(report, name)
    assert f"{ALIKE}: {name!a} (for {RESEMBLING[name]})" in said(report)
    assert look(run, replace(POLICY, accept_uncovered=frozenset({name}))).exit_status == 0


@pytest.mark.parametrize("folder", ["", "log", "proofs", "model"])
def test_harmless_names_are_listed_and_weigh_nothing(run: Path, folder: str) -> None:
    harmless = HARMLESS if folder else HARMLESS - {"model.sig"}  # which is the run's own there
    for name in harmless:
        (run / folder / name).write_bytes(b"x")
    report = look(run)
    assert (report.exit_status, report.findings[Step.MODEL].status) == (0, Status.PASSED)
    assert names(report) == sorted(f"{folder}/{name}".strip("/") for name in harmless)
    assert "not covered, but with harmless names" in said(report)
    assert report.verdict_line == "verdict: L0, L1"


@pytest.mark.parametrize(
    "make", [lambda p: p.mkdir(), lambda p: p.symlink_to("log/checkpoint"), os.mkfifo], ids=["folder", "link", "pipe"]
)
@pytest.mark.parametrize("name", ["README.md", "model/.DS_Store"])
def test_a_harmless_name_of_something_else_than_a_file_weighs(
    run: Path, name: str, make: Callable[[Path], object]
) -> None:
    make(run / name)
    less(look(run), name)


def test_links_in_place_of_folders_that_nobody_needs_are_not_followed(tmp_path: Path) -> None:
    run = honest()
    run.model = {}
    run.name_model()
    folder = run.write(tmp_path / "run")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "weights").write_bytes(b"x")
    for name in ("model", "private"):
        (folder / name).symlink_to(tmp_path / "elsewhere")
    less(look(folder), "model", "private")


def test_nothing_is_said_of_the_private_folder(run: Path) -> None:
    (run / "private").mkdir()
    (run / "private" / "state").write_bytes(b"x")
    report = look(run)
    assert (names(report), report.exit_status) == ([], 0)


def test_each_name_is_accepted_by_itself(run: Path) -> None:
    for name in ("model/a.bin", "model/b.bin", "README"):
        (run / name).write_bytes(b"x")
    for given in ({"model/a.bin"}, {"a.bin", "b.bin"}, {"model"}, {"model/*"}, {"model/a.bin", "MODEL/b.bin"}):
        assert look(run, replace(POLICY, accept_uncovered=frozenset(given))).exit_status == 3
    both = replace(POLICY, accept_uncovered=frozenset({"model/a.bin", "model/b.bin", "README"}))
    assert look(run, both).verdict_line == "verdict: L0, L1 (uncovered files accepted: 2)"


@pytest.mark.parametrize("name", ["", "/etc", "./x", "model//x", "model/", "../x", "model/.."])
def test_a_path_that_no_name_has_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is not a path in a run"):
        Policy(accept_uncovered=frozenset({name}))


def test_accepting_covers_nothing_that_is_missing_or_false(run: Path) -> None:
    policy = replace(POLICY, accept_uncovered=frozenset({"model/opening.json", "proofs/0-0"}))
    (run / "model" / "opening.json").rename(run / "model" / "Opening.json")
    refused(look(run, policy), 10, "opening.json can't be read", record=5)


def test_very_many_names_are_not_all_kept(run: Path) -> None:
    for i in range(1001):
        (run / f"model/{i:04}").touch()
    report = look(run, replace(POLICY, accept_uncovered=frozenset(f"model/{i:04}" for i in range(1001))))
    assert (report.exit_status, report.uncovered_more) == (3, True)
    assert report.uncovered is not None
    assert len(report.uncovered) == 1000
    assert "there are more than 1000 such names" in said(report)


@pytest.mark.parametrize(
    "name", ["\x1b[2J", "a\nverdict: L0, L1", "\u202egnp.ledom", "a\u0300\u0300\u0300", os.fsdecode(b"\xff\xfe")]
)
def test_names_are_escaped(run: Path, name: str) -> None:
    (run / name).write_bytes(b"x")
    report = look(run)
    less(report, name)
    assert report.text().isascii()
    assert quoted(name) in report.text().replace("\n      ", " ")
    assert json.loads(json.dumps(report.to_json()))["uncovered"][0]["name"] == name


# ---- views without close record


def unfinished(run: Run) -> Run:
    run.close = None
    return run


def test_an_unfinished_run_may_have_what_its_trainer_writes_next(tmp_path: Path) -> None:
    run = unfinished(honest())
    model, run.model = run.model, {}
    folder = run.write(tmp_path / "run")
    beside = (
        "environment.json",
        "config.toml",
        "train_log.jsonl",
        "hashes.json",
        ".hashes.json.tmp",
        "log/.checkpoint.tmp",
    )
    for name in (*beside, "proofs/3-0", "proofs/.3-1.tmp"):
        (folder / name).write_bytes(b"x")
    report = look(folder)
    assert (report.exit_status, report.findings[Step.MODEL].status, names(report)) == (0, Status.ABSENT, [])
    assert "as an unfinished run leaves them (proofs of later segments, half-written files): 8 files" in said(report)
    (folder / "model").mkdir()
    for name, data in model.items():
        (folder / "model" / name).write_bytes(data)
    less(look(folder), *(f"model/{name}" for name in model))


@pytest.mark.parametrize(
    "name", ["proofs/3-2", "proofs/0-2", "proofs/x", "config.toml.bak", ".x.tmp", "0-0", "model/3-0"]
)
def test_what_no_trainer_writes_weighs_in_an_unfinished_run_too(tmp_path: Path, name: str) -> None:
    run = unfinished(honest())
    run.model = {}
    folder = run.write(tmp_path / "run")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"x")
    less(look(folder), name)


def test_a_root_from_before_sees_later_proofs_and_they_weigh_nothing(tmp_path: Path) -> None:
    run = honest()
    folder = run.write(tmp_path / "run")
    policy = replace(POLICY, head=TreeHead(run.root(4), 4))
    less(look(folder, policy), *(f"model/{name}" for name in run.model))
    for file in (folder / "model").iterdir():
        file.unlink()
    report = look(folder, policy)
    assert (report.exit_status, names(report)) == (0, [])
    assert "2 files" in said(report)  # of the third segment


# ---- bundles


def bundled(folder: Path, **files: bytes) -> Path:
    members = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()} | files
    out = folder.with_suffix(".tar")
    parts = (header(n, len(d)) + d + bytes(padding(len(d))) for n, d in sorted(members.items()))
    out.write_bytes(b"".join(parts) + END)
    return out


@pytest.mark.parametrize(
    "name", ["proofs/9-9", "proofs/0-2", "model/pytorch_model.bin", "config.toml", "model/README.md"]
)
def test_a_bundle_is_judged_by_the_same_rule(run: Path, name: str) -> None:
    whole = look(bundled(run))
    assert (names(whole), whole.exit_status) == ([], 0)
    bundle = bundled(run, **{name: b"x"})
    if name.endswith("README.md"):
        assert (names(look(bundle)), look(bundle).exit_status) == ([name], 0)
    else:
        less(look(bundle), name)
    (run / name).write_bytes(b"x")
    assert look(run).to_json() == look(bundle).to_json()


def test_nothing_is_looked_at_after_a_failure(run: Path) -> None:
    (run / "model.safetensors").write_bytes(b"x")
    (run / "proofs" / "0-0").write_bytes(b"x")
    report = look(run)
    assert (report.exit_status, report.uncovered) == (1, None)


@pytest.mark.parametrize("kind", ["folder", "link", "nothing"])
def test_what_bears_a_proofs_name_outside_the_sample_and_is_no_file_is_listed(tmp_path: Path, kind: str) -> None:
    """It is not looked at as a proof, and whoever reads the verdict finds it under a name that the
    records name."""
    folder = honest(lengths=(3,) * 8).write(tmp_path / "run")
    policy = replace(POLICY, sample=3, beacon="x", accept_sample=True)
    before = look(folder, policy)
    assert before.exit_status == 0
    assert before.sample is not None
    number = min(set(range(16)) - set(before.sample.verified))
    proof = folder / f"proofs/{number // 2}-{number % 2}"
    proof.unlink()
    if kind == "folder":
        proof.mkdir()
        (proof / "evil.py").touch()
    elif kind == "link":
        proof.symlink_to("/etc/passwd")
    report = look(folder, policy)
    if kind == "nothing":
        assert report.exit_status == 0
    else:
        assert (report.failure, report.exit_status) == (None, 3)
        assert names(report) == [f"proofs/{proof.name}"]


def test_that_a_private_folder_was_not_looked_at_is_said_where_it_is_there(run: Path) -> None:
    assert "private/" not in said(look(run))
    (run / "private").mkdir()
    report = look(run)
    assert "private/ is the trainer's own, and was not looked at" in said(report)
    assert report.exit_status == 0
