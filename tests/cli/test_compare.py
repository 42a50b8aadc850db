"""`zk-verify compare`, and `zk-verify EVIDENCE`: fork, no fork, and what nobody can tell."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.another_user import as_another, public_folder
from tests.verify.run_builder import KEY, SECOND, SIGNER, Run, honest
from zk_autograd.cli import compare as command
from zk_autograd.cli import run as zk_run
from zk_autograd.cli.verify import main
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.evidence.fork_evidence import FORMAT, ForkEvidence, SignedHead
from zk_autograd.verify import comparison

VKEY = KEY.encode()
THIEF = Ed25519Signer("trainer", bytes(32))

DATA = Path(__file__).parents[1] / "data" / "runs"


def other(run: Run) -> None:
    """Another claim in the first segment, record 2."""
    run.segments[0] = replace(run.segments[0], loss=("0.4",) * 3)


def written(
    folder: Path, change: Callable[[Run], None] | None = None, *, signed: int | None = None, **signers: Ed25519Signer
) -> str:
    """A run of six records, changed; `signed`: how many its checkpoint covers."""
    run = honest("none")
    if change is not None:
        change(run)
    run.signed = signed
    if signers:
        run.signers = tuple(signers.values())
    return str(run.write(folder))


def note(run: str) -> str:
    return f"{run}/log/checkpoint"


@pytest.fixture
def whole(tmp_path: Path) -> str:
    return written(tmp_path / "whole")


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    return written(tmp_path / "prefix", signed=4)


@pytest.fixture
def forked(tmp_path: Path) -> str:
    return written(tmp_path / "forked", other)


def compared(capsys: pytest.CaptureFixture[str], *words: str, key: str = VKEY) -> tuple[int, str]:
    """Status and output; with --json both are the same."""
    flags = ["compare", *words, *(["--key", key] if key else [])]
    status = main(flags)
    shown = capsys.readouterr().out
    if "--out" not in words:
        assert main([*flags, "--json"]) == status
        assert json.loads(capsys.readouterr().out)["exit_status"] == status
    return status, shown


# ---- what can be told --------------------------------------------------------------------------


def test_a_prefix_is_consistent_as_run_bundle_and_note(
    whole: str, prefix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = str(tmp_path / "whole.tar")
    assert zk_run.main(["bundle", whole, "--out", bundle]) == 0
    capsys.readouterr()
    for larger in (whole, bundle):
        for smaller in (prefix, note(prefix)):
            for pair in ((larger, smaller), (smaller, larger)):
                status, shown = compared(capsys, *pair)
                assert (status, shown.splitlines()[0]) == (0, "verdict: CONSISTENT")
                assert "a consistency proof leads to both roots" in shown


def test_records_beyond_a_checkpoint_may_show_the_larger_one(
    whole: str, prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run's own checkpoint covers four of its records, the note beside it six."""
    assert compared(capsys, prefix, note(whole))[0] == 0


def test_two_roots_of_one_size_are_a_fork_without_any_records(
    whole: str, forked: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for pair in ((whole, forked), (note(whole), note(forked))):
        status, shown = compared(capsys, *pair)
        assert (status, shown.splitlines()[0]) == (1, "verdict: FORK PROVED")
        assert "two roots for 6 records" in shown


def test_another_past_is_a_fork_if_the_larger_records_are_there(
    prefix: str, forked: str, whole: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, shown = compared(capsys, prefix, forked)
    assert status == 1
    assert "was signed" in shown
    assert compared(capsys, note(prefix), forked)[0] == 1
    assert compared(capsys, prefix, note(forked))[0] == 3
    assert compared(capsys, whole, written(Path(whole).with_name("5"), other, signed=5))[0] == 1


@pytest.mark.parametrize("smaller", ["3", "4"])
def test_a_file_proves_it_to_anybody(
    smaller: str, forked: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evidence = str(tmp_path / "evidence")
    one = written(tmp_path / "one", signed=int(smaller))
    assert compared(capsys, one, forked, "--out", evidence)[0] == 1
    for run in (one, forked):
        shutil.rmtree(run)
    assert main([evidence, "--key", VKEY]) == 1
    shown = capsys.readouterr().out
    assert "verdict: FORK PROVED" in shown
    assert f"both are signed by the pinned key trainer+{KEY.key_id.hex()}" in shown
    assert main([evidence, "--key", VKEY, "--json"]) == 1
    value = json.loads(capsys.readouterr().out)
    assert (value["verdict"], value["exit_status"], value["keys"]) == ("FORK PROVED", 1, [VKEY])
    assert [c["size"] for c in value["checkpoints"]] == [int(smaller), 6]


def test_a_file_of_two_that_agree_says_so(
    prefix: str, whole: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evidence = str(tmp_path / "evidence")
    assert compared(capsys, prefix, whole, "--out", evidence)[0] == 0
    assert main([evidence, "--key", VKEY]) == 0
    assert "nothing is said about any third checkpoint" in capsys.readouterr().out


def test_one_of_two_keys_is_enough_for_a_fork(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = written(tmp_path / "one", a=SIGNER, b=SECOND)
    two = written(tmp_path / "two", other, a=SIGNER)
    assert main(["compare", one, two, "--key", VKEY, "--key", SECOND.public_key.encode(), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["keys"] == [VKEY]


# ---- what nobody can tell ----------------------------------------------------------------------


def test_a_key_that_is_given_twice_is_one_signer(
    whole: str, forked: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evidence = str(tmp_path / "evidence")
    for words in (["compare", whole, forked, "--out", evidence], [evidence]):
        assert main([*words, "--json", "--key", VKEY, "--key", f"{VKEY}\n{VKEY}"]) == 1
        found = json.loads(capsys.readouterr().out)
        assert found["keys"] == [VKEY]
        assert sum("both are signed" in sentence for sentence in found["sentences"]) == 1


def untold(capsys: pytest.CaptureFixture[str], words: str, *flags: str, key: str = VKEY) -> None:
    status, shown = compared(capsys, *flags, key=key)
    assert (status, shown.splitlines()[0]) == (3, "verdict: CAN'T TELL")
    assert words in shown
    assert shown.splitlines()[-1].startswith("Fix: ")


def test_another_key_s_log(whole: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    untold(capsys, "no pinned key signed both", whole, written(tmp_path / "stolen", other, thief=THIEF))
    untold(capsys, "no pinned key signed both", whole, written(tmp_path / "same", thief=THIEF))


def test_another_log(whole: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def another(run: Run) -> None:
        run.edit_header(run=bytes(16))

    untold(capsys, "two logs", whole, written(tmp_path / "another", another))


def test_nobody_pinned(whole: str, forked: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    untold(capsys, f"name 'trainer' (ID {KEY.key_id.hex()})", whole, forked, key="")
    evidence = tmp_path / "evidence"
    assert main(["compare", whole, forked, "--out", str(evidence)]) == 3
    assert not evidence.exists()
    assert main(["compare", whole, forked, "--key", VKEY, "--out", str(evidence)]) == 1
    capsys.readouterr()
    assert main([str(evidence)]) == 3
    assert f"name 'trainer' (ID {KEY.key_id.hex()})" in capsys.readouterr().out
    assert main([str(evidence), "--key", THIEF.public_key.encode()]) == 3


def test_two_sizes_without_records(whole: str, prefix: str, capsys: pytest.CaptureFixture[str]) -> None:
    untold(capsys, "nobody shows the 6 records of the larger tree", note(prefix), note(whole))


def torn(run: str) -> None:
    path = Path(run) / "log/records.jsonl"
    path.write_bytes(path.read_bytes()[:-9])


def exchanged(run: str) -> None:
    path = Path(run) / "log/records.jsonl"
    path.write_bytes(path.read_bytes().replace(b"0.5", b"0.6"))


def missing(run: str) -> None:
    (Path(run) / "log/records.jsonl").unlink()


@pytest.mark.parametrize(
    ("spoil", "words"), [(torn, "does not end"), (exchanged, "nobody can tell"), (missing, "can't be read")]
)
def test_records_that_are_not_the_signed_ones(
    spoil: Callable[[str], None], words: str, whole: str, prefix: str, forked: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are no word of the signer's: anybody can write them."""
    spoil(whole)
    for same in (whole, note(whole)):
        untold(capsys, words, whole, same)
    untold(capsys, words, whole, note(prefix))
    assert compared(capsys, whole, forked)[0] == 1  # whatever lies beside two roots of one size


def test_a_false_larger_log_beside_a_true_checkpoint_slanders_nobody(
    whole: str, prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    exchanged(whole)
    untold(capsys, "its 6 records are not those of its checkpoint", note(prefix), whole)


def test_no_checkpoint(whole: str, prefix: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(note(prefix)).write_bytes(b"no note\n")
    untold(capsys, "has no checkpoint that can be read", prefix, whole)
    Path(note(prefix)).unlink()
    untold(capsys, "has no checkpoint that can be read", whole, prefix)


# ---- usage -------------------------------------------------------------------------------------


def test_what_is_neither_run_nor_checkpoint_exits_2(
    whole: str, forked: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, evidence = tmp_path / "text", tmp_path / "evidence"
    text.write_text("nothing of the kind\n")
    assert main(["compare", whole, forked, "--key", VKEY, "--out", str(evidence)]) == 1
    for wrong in (str(tmp_path / "none"), str(text), str(evidence), str(tmp_path)):
        assert main(["compare", whole, wrong, "--key", VKEY]) == 2
    assert "is evidence of two checkpoints already" in capsys.readouterr().err
    assert main(["compare", whole, forked, "--key", "nobody"]) == 2


def test_an_existing_file_is_never_written_over(
    whole: str, forked: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evidence = tmp_path / "evidence"
    evidence.symlink_to("nowhere")
    assert main(["compare", whole, forked, "--key", VKEY, "--out", str(evidence)]) == 2
    assert "is not overwritten" in capsys.readouterr().err
    assert main(["compare", whole, forked, "--key", VKEY, "--out", str(tmp_path / "none/evidence")]) == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["evidence", "forked", "whole"]


def test_a_disk_that_is_full_exits_4_and_leaves_nothing(
    whole: str,
    forked: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "fsync", full)
    assert main(["compare", whole, forked, "--key", VKEY, "--out", str(tmp_path / "evidence")]) == 4
    assert "FORK PROVED, and the evidence is not written" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["forked", "whole"]


@pytest.mark.parametrize("change", [b"v2", b"v1 ", b"v1\n\n"])
def test_what_is_almost_evidence_exits_2(
    change: bytes, whole: str, forked: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evidence = tmp_path / "evidence"
    assert main(["compare", whole, forked, "--key", VKEY, "--out", str(evidence)]) == 1
    evidence.write_bytes(evidence.read_bytes().replace(b"v1", change, 1))
    assert main([str(evidence), "--key", VKEY]) == 2
    assert "is not fork evidence" in capsys.readouterr().err
    evidence.write_bytes(FORMAT.encode() + b"\n" + bytes(10**6))
    assert main([str(evidence), "--key", VKEY]) == 2


def test_flags_about_runs_are_refused_beside_evidence(
    whole: str, forked: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evidence = str(tmp_path / "evidence")
    assert main(["compare", whole, forked, "--key", VKEY, "--out", evidence]) == 1
    for flags in (["--sample", "3"], ["--require", "L0"], ["--accept-uncovered", "x"]):
        assert main([evidence, "--key", VKEY, *flags]) == 2
        assert f"{flags[0]} is about runs" in capsys.readouterr().err


def test_what_has_the_form_of_a_root_is_one(
    whole: str, forked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"{bytes(32).hex()}@6"
    assert main(["compare", whole, forked, "--key", VKEY, "--out", name]) == 1
    assert main([name, "--key", VKEY]) == 2
    assert main([f"./{name}", "--key", VKEY]) == 1


def test_a_run_of_that_name_is_judged_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path / "compare")
    monkeypatch.chdir(tmp_path)
    assert main(["./compare", "--key", VKEY, "--require", "L0"]) == 0


def test_no_other_failure_has_the_status_of_a_fork(
    whole: str, forked: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> None:
        raise VerificationError("something else")

    monkeypatch.setattr(comparison, "connect", fails)
    assert main(["compare", whole, forked, "--key", VKEY]) == 3
    assert main(["compare", whole, forked, "--key", VKEY, "--json"]) == 3
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["error"]["exit_status"] == 3
    monkeypatch.setattr(command, "only_a_fork_is_1", lambda run, output: run(output))
    assert main(["compare", whole, forked, "--key", VKEY]) == 1


def test_what_can_t_be_read_here_exits_4() -> None:
    with public_folder() as folder:
        one, two = written(folder / "one"), written(folder / "two", other)
        Path(note(two)).chmod(0o600)
        done = as_another("compare", one, two, "--key", VKEY, cwd=folder)
        assert done.returncode == 4, done.stderr


@pytest.mark.parametrize("name", ["weights.safetensors", "model.BIN", "run.tar", "run.bundle", "w.gguf"])
def test_evidence_under_the_name_of_a_model_is_no_verified_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Anybody makes evidence that agrees with itself, of one public checkpoint given twice."""
    head = SignedHead.parse((DATA / "native-finished/log/checkpoint").read_bytes())
    path = tmp_path / name
    path.write_bytes(ForkEvidence.of(head, head).encode())
    assert main([str(path), "--key", str(DATA / "test.key.pub")]) == 2
    assert "under the name of a model" in capsys.readouterr().err
    path.rename(tmp_path / "evidence.txt")
    assert main([str(tmp_path / "evidence.txt"), "--key", str(DATA / "test.key.pub")]) == 0
