"""`zk-train reproduce`: what each verdict needs, and that no byte of a run can be another."""

import json
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import trainer_key
from zk_autograd.cli import reproduce as command
from zk_autograd.cli import run as run_command
from zk_autograd.cli import train
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.credentials import keyfile
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.local.csv_name import CsvFile
from zk_autograd.prove.ezkl.keys import Cache
from zk_autograd.reproduce import reproduction
from zk_autograd.reproduce.repetition import Repetition, check_settings
from zk_autograd.run.exact_files import ExactFiles
from zk_autograd.run.files import Files
from zk_autograd.run.journal import Journal
from zk_autograd.run.layout import Layout
from zk_autograd.train import session

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(
        find_spec("torch") is None or find_spec("sklearn") is None, reason="the [train] extra is not installed"
    ),
]

SMALL = ("--model", "logistic", "--data", "breast-cancer", "--steps", "3", "--batch-size", "16")
TABLE = "\n".join(["a,b,kind", *(f"{i % 7},{i * i % 5},{'x' if i % 3 else 'y'}" for i in range(40))]) + "\n"

Reproduce = Callable[..., tuple[int, dict[str, Any]]]


def trained(folder: Path, *flags: str) -> Path:
    """A run of a user with a key, in `folder`."""
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        patch.chdir(folder)
        trainer_key.create(keyfile.default_path(), "trainer")
        assert train.main([*SMALL, *flags, "--out", "run"]) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def hashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published run without proofs."""
    return trained(tmp_path_factory.mktemp("hashed") / "home", "--prover", "none")


@pytest.fixture(scope="module")
def proved(tmp_path_factory: pytest.TempPathFactory, native_prover: None) -> Path:
    """A published run with native proofs."""
    return trained(tmp_path_factory.mktemp("proved") / "home", "--prover", "native")


@pytest.fixture(scope="module")
def withheld(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without proofs whose weights are not published."""
    return trained(tmp_path_factory.mktemp("withheld") / "home", "--prover", "none", "--no-publish")


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory, native_prover: None) -> Path:
    """A run with exact gradients and native proofs, on private data."""
    return trained(tmp_path_factory.mktemp("exact") / "home", "--level", "L3", "--order-seed", "7")


@pytest.fixture
def reproduce(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Reproduce]:
    """Runs the command with --json; gives exit status and object."""
    monkeypatch.setenv("ZK_AUTOGRAD_CACHE", str(tmp_path / "cache"))

    def run(path: Path, *flags: str) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        status = command.main([str(path), "--json", *flags])
        return status, json.loads(capsys.readouterr().out)

    yield run


@pytest.fixture
def copied(hashed: Path, tmp_path: Path) -> Path:
    """A copy of the published run, to be changed."""
    return Path(shutil.copytree(hashed, tmp_path / "copy"))


def public(run: Path) -> Path:
    """The run as a stranger has it."""
    shutil.rmtree(run / "private")
    return run


def finding(result: dict[str, Any], name: str) -> str:
    return "; ".join(check["finding"] for check in result["checks"] if check["name"] == name)


def test_the_trainer_gets_FULL(hashed: Path, reproduce: Reproduce) -> None:
    status, result = reproduce(hashed)
    assert (status, result["verdict"], result["exit_status"], result["differences"]) == (0, "FULL", 0, [])
    names = [check["name"] for check in result["checks"]]
    assert names == ["evidence", "log", "environment", "hashes", "config", "data", "weights", "records"]
    assert finding(result, "weights") == "3 steps trained again: bit for bit the published integers"
    assert finding(result, "hashes") == "as recorded: config, data, environment, reproducibility, weights"


def test_for_people_the_verdict_is_the_last_line(hashed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert train.main(["reproduce", str(hashed)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-1] == "verdict: FULL"
    assert out[0].startswith("evidence    steps 1 to 10 of zk-verify")


def test_a_proved_run_gets_FULL_with_its_proofs(proved: Path, reproduce: Reproduce) -> None:
    status, result = reproduce(proved)
    assert (status, result["verdict"]) == (0, "FULL")
    assert finding(result, "evidence").endswith("with the run's own keys: nothing false; proofs: passed")


@pytest.mark.slow
@pytest.mark.ezkl
def test_a_run_of_ezkls_gets_FULL_and_the_word_that_the_maker_of_its_srs_could_forge(
    ezkl_cache: Cache, srs_digest: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reproduce: Reproduce
) -> None:
    monkeypatch.setenv("ZK_AUTOGRAD_CACHE", str(ezkl_cache.folder))
    status, result = reproduce(trained(tmp_path / "home", "--prover", "ezkl", "--srs", srs_digest.hex()))
    assert (status, result["verdict"]) == (0, "FULL")
    evidence = finding(result, "evidence")
    assert evidence.endswith(
        "the run's own keys and SRS, whose maker could forge proofs: nothing false; proofs: passed"
    )
    assert "state after each segment" in finding(result, "records")


def test_withheld_weights_are_compared_with_their_commitment(
    withheld: Path, reproduce: Reproduce, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, result = reproduce(withheld)
    assert (status, result["verdict"]) == (0, "FULL")
    assert finding(result, "weights").endswith("bit for bit what the last commitment was made to")
    original = session.retrain

    def other(*arguments: Any) -> Any:
        weights = original(*arguments)
        weights[3] += 1
        return weights

    monkeypatch.setattr(session, "retrain", other)
    status, result = reproduce(withheld)
    assert (status, result["verdict"]) == (1, "MISMATCH")
    assert "the weights are not what the last commitment was made to" in finding(result, "mismatch")


def test_one_unit_in_one_weight_is_a_MISMATCH(
    hashed: Path, reproduce: Reproduce, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = session.retrain

    def other(*arguments: Any) -> Any:
        weights = original(*arguments)
        weights[-1] -= 1
        return weights

    monkeypatch.setattr(session, "retrain", other)
    status, result = reproduce(hashed)
    assert (status, result["verdict"]) == (1, "MISMATCH")
    assert finding(result, "mismatch") == "trained again, the weights are not the published integers"


def test_verify_only_says_no_more_than_CONFIG_ONLY(
    hashed: Path, reproduce: Reproduce, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(session, "retrain")
    status, result = reproduce(hashed, "--verify-only")
    assert (status, result["verdict"], result["exit_status"]) == (0, "CONFIG ONLY", 0)
    assert finding(result, "weights").endswith("that this configuration leads to these weights was not tested")


def test_another_environment_is_PARTIAL_and_named(
    hashed: Path, reproduce: Reproduce, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "77")
    status, result = reproduce(hashed)
    assert (status, result["verdict"], result["exit_status"]) == (3, "PARTIAL", 3)
    assert result["differences"] == ["variables.PYTHONHASHSEED: nothing there, 77 here"]


def test_a_stranger_gets_PARTIAL_from_what_is_public(copied: Path, reproduce: Reproduce) -> None:
    status, result = reproduce(public(copied))
    assert (status, result["verdict"]) == (3, "PARTIAL")
    assert result["differences"] == [
        "data: their salted root needs the trainer's secret, and was not recomputed",
        "batches and states: their commitments need the trainer's salts, and were not recomputed",
    ]


def test_a_bundle_is_judged_as_the_run(copied: Path, tmp_path: Path, reproduce: Reproduce) -> None:
    assert run_command.main(["bundle", str(copied), "--out", str(tmp_path / "run.tar")]) == 0
    status, result = reproduce(tmp_path / "run.tar")
    assert (status, result["verdict"]) == (3, "PARTIAL")


def test_a_forgotten_run_is_judged_by_what_is_public(
    withheld: Path, tmp_path: Path, reproduce: Reproduce, copied: Path
) -> None:
    other = Path(shutil.copytree(withheld, tmp_path / "withheld"))
    for run in (copied, other):
        assert run_command.main(["forget", str(run), "--yes"]) == 0
    assert reproduce(copied)[1]["verdict"] == "PARTIAL"
    status, result = reproduce(other)
    assert (status, result["verdict"], result["exit_status"]) == (3, "CONFIG ONLY", 3)
    assert "the weights are not published, and the trainer's private folder" in finding(result, "weights")


def _files(run: Path) -> list[Path]:
    return sorted(p for p in run.rglob("*") if p.is_file() and "private" not in p.relative_to(run).parts)


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_flipped_bit_in_any_public_file_is_a_MISMATCH_that_names_it(
    data: st.DataObject, proved: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    files = _files(proved)
    assert len(files) == 12  # records, checkpoint, a proof, three of the model, four artefacts, register and anchors
    path = data.draw(st.sampled_from(files))
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    run = tmp_path_factory.mktemp("flipped") / "run"
    shutil.copytree(proved, run)
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    (run / path.relative_to(proved)).write_bytes(content)
    capsys.readouterr()
    assert command.main([str(run), "--verify-only"]) == 1
    out = capsys.readouterr().out
    shutil.rmtree(run)
    assert out.endswith("verdict: MISMATCH\n")
    assert path.name in out or path.parent.name + "/" in out


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"seed":"0"', b'"seed":"1"', "config.toml is not what private/train.json says"),
        (b'"lr":"0.01"', b'"lr":"0.02"', "config.toml is not what private/train.json says"),
        (b'"secret":"', b'"secret":"0', "train.json is not of this version"),
        (b'"format":"zk', b'"format":"zq', "train.json is not of this version"),
    ],
)
def test_a_private_plan_that_is_not_the_published_one_is_a_MISMATCH(
    old: bytes, new: bytes, message: str, copied: Path, reproduce: Reproduce
) -> None:
    path = Layout(copied).private / "train.json"
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    status, result = reproduce(copied, "--verify-only")
    assert (status, result["verdict"]) == (1, "MISMATCH")
    assert message in finding(result, "mismatch")


def test_another_secret_gives_another_root(copied: Path, reproduce: Reproduce) -> None:
    path = Layout(copied).private / "train.json"
    plan = json.loads(path.read_bytes())
    path.write_bytes(path.read_bytes().replace(plan["secret"].encode(), b"00" * 32))
    status, result = reproduce(copied, "--verify-only")
    assert (status, result["verdict"]) == (1, "MISMATCH")
    assert "the data breast-cancer are not those of the run" in finding(result, "mismatch")


def test_altered_salts_of_withheld_weights_are_a_MISMATCH(withheld: Path, tmp_path: Path, reproduce: Reproduce) -> None:
    run = Path(shutil.copytree(withheld, tmp_path / "copy"))
    start = run / "private/segments/1/journal"
    content = bytearray(start.read_bytes())
    content[-1] ^= 1
    start.write_bytes(content)
    status, result = reproduce(run)
    assert (status, result["verdict"]) == (1, "MISMATCH")
    assert "segments/1/journal is missing, torn or altered" in finding(result, "mismatch")


def test_a_table_is_read_where_it_is_now(tmp_path: Path, reproduce: Reproduce, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    (tmp_path / "table.csv").write_text(TABLE)
    run = trained(home, "--data", f"csv:{tmp_path / 'table.csv'}", "--prover", "none")
    assert reproduce(run)[1]["verdict"] == "FULL"
    assert str(tmp_path).encode() not in b"".join(path.read_bytes() for path in _files(run))
    (tmp_path / "table.csv").rename(tmp_path / "moved.csv")
    status, result = reproduce(run)
    assert (status, result["verdict"]) == (3, "CONFIG ONLY")
    assert "its data can't be read: " in finding(result, "weights")
    moved = f"csv:{tmp_path / 'moved.csv'}"
    assert reproduce(run, "--data", moved)[1]["verdict"] == "FULL"
    changed = tmp_path / "changed.csv"
    changed.write_text(TABLE.replace("\n6,1,", "\n6,0,"))  # the first of them is a row for tests
    assert changed.read_text() != TABLE
    status, result = reproduce(run, "--data", f"csv:{changed}")
    assert (status, result["verdict"]) == (1, "MISMATCH")
    assert "the data csv:changed.csv are not those of the run" in finding(result, "mismatch")
    shutil.copytree(run, tmp_path / "copy")
    stranger = public(tmp_path / "copy")
    monkeypatch.chdir(tmp_path)
    shutil.copy(tmp_path / "moved.csv", tmp_path / "table.csv")  # what lies there by chance is not taken for it
    status, result = reproduce(stranger)
    assert (status, result["verdict"]) == (3, "CONFIG ONLY")
    assert "say where with --data csv:table.csv" in finding(result, "weights")
    assert reproduce(stranger, "--data", moved)[1]["verdict"] == "PARTIAL"


def test_cells_of_exact_gradients_are_made_again_and_the_commitments_to_them_too(
    exact: Path, tmp_path: Path, reproduce: Reproduce
) -> None:
    status, result = reproduce(exact)
    assert (status, result["verdict"], result["differences"]) == (0, "FULL", [])
    assert finding(result, "data") == "cells of 456 rows, which the header commits to: made again, equal"
    assert finding(result, "records").endswith("saturated elements of each step, state after each segment")
    run = Path(shutil.copytree(exact, tmp_path / "copy"))
    stranger = public(Path(shutil.copytree(exact, tmp_path / "stranger")))
    status, result = reproduce(stranger)
    assert (status, result["verdict"]) == (3, "PARTIAL")
    assert "3 steps trained again: bit for bit" in finding(result, "weights")
    data = Layout(run).data
    data.rename(tmp_path / "data")
    status, result = reproduce(run)
    assert (status, result["verdict"]) == (3, "PARTIAL")
    assert "data: their commitment needs the trainer's secrets, and was not recomputed" in result["differences"]
    log = parse_log(RunFolder(exact).leaves())
    files = ExactFiles.read(Layout(exact), log.header, log.header_digest)
    for cells, salts in ((files.cells[::-1], files.secrets.salts), (files.cells, (bytes(32),))):
        replace(files, cells=cells, secrets=replace(files.secrets, salts=salts)).write(
            Layout(run), log.header, log.header_digest, Files()
        )
        status, result = reproduce(run, "--verify-only")
        assert (status, result["verdict"]) == (1, "MISMATCH")
        assert "holds other data than the header commits to" in finding(result, "mismatch")


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [("order-seed = 7", "order-seed = 8", "order-seed"), ('level = "L3"\norder-seed = 7\n', "", "level")],
)
def test_level_and_order_of_the_configuration_are_those_of_the_records(
    old: str, new: str, name: str, exact: Path
) -> None:
    log = parse_log(RunFolder(exact).leaves())
    text = (exact / "config.toml").read_text()
    check_settings(reproduction._plan_of(text.encode()), log.header, published=True)
    assert old in text
    with pytest.raises(VerificationError, match=f"config.toml has another {name} than the records"):
        check_settings(reproduction._plan_of(text.replace(old, new).encode()), log.header, published=True)


def test_private_rows_are_compared_with_those_of_the_table(tmp_path: Path, reproduce: Reproduce) -> None:
    table = tmp_path / "table.csv"
    table.write_text(TABLE)
    run = trained(tmp_path / "home", "--data", f"csv:{table}", "--prover", "none", "--level", "L3")
    assert reproduce(run, "--verify-only")[1]["verdict"] == "CONFIG ONLY"
    table.write_text(TABLE.replace("\n6,1,", "\n6,0,"))
    status, result = reproduce(run, "--verify-only")
    assert (status, result["verdict"]) == (1, "MISMATCH")
    assert finding(result, "mismatch") == "the data csv:table.csv are not those of the run"


def test_public_rows_are_compared_by_whoever_has_the_table(
    tmp_path: Path, reproduce: Reproduce, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "table.csv").write_text(TABLE)
    flags = ("--data", f"csv:{tmp_path / 'table.csv'}", "--prover", "none", "--level", "L3", "--public-data")
    run = public(trained(tmp_path / "home", *flags))
    monkeypatch.chdir(tmp_path)  # what lies there by chance is not taken for it
    assert "say where with --data csv:table.csv" in finding(reproduce(run)[1], "weights")
    status, result = reproduce(run, "--data", "csv:table.csv")
    assert (status, result["verdict"]) == (3, "PARTIAL")
    assert finding(result, "data") == "the published cells of 32 rows: made again, equal"
    (tmp_path / "changed.csv").write_text(TABLE.replace("\n6,1,", "\n6,0,"))
    status, result = reproduce(run, "--data", "csv:changed.csv")
    assert (status, result["verdict"]) == (1, "MISMATCH")
    assert finding(result, "mismatch") == "the data csv:changed.csv are not those of the run"


def test_nothing_as_large_as_a_header_says_is_read_before_the_model_has_that_size(
    withheld: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = parse_log(RunFolder(withheld).leaves())
    journal = Journal(tmp_path, log.header, log.header_digest, Files())
    monkeypatch.setattr(Journal, "start", lambda *_: pytest.fail("it was read"))
    with pytest.raises(VerificationError, match="has another number of parameters than the header"):
        Repetition(log, journal, None, lenient=False).begun(np.zeros(log.header.size - 1, np.int64))


@pytest.mark.parametrize("name", ["t.csv", "t.csv; echo pasted", "t csv"])
def test_a_command_that_is_advised_can_be_pasted(
    copied: Path, name: str, reproduce: Reproduce, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table's name is the run's choice."""
    words = shlex.split(f"--data {shlex.quote(str(CsvFile(name)))}")
    assert words == ["--data", f"csv:{name}"]
    inquiry = reproduction._Inquiry(copied, RunFolder(copied), {}, lambda *_: None, None, None)
    plan = reproduction._plan_of(f'data = "csv:{name}"\nlabel = "x"\n'.encode())
    log = parse_log(RunFolder(copied).leaves())
    with pytest.raises(reproduction._Untrainable) as caught:
        inquiry._data(log, plan)
    assert shlex.split(str(caught.value).partition("say where with ")[2]) == words


def test_code_that_a_strangers_run_names_is_not_run(
    tmp_path: Path, reproduce: Reproduce, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "reproduced_net.py"
    source.write_text("from torch import nn\n\n\ndef make(columns, classes):\n    return nn.Linear(columns, classes)\n")
    monkeypatch.syspath_prepend(tmp_path)
    run = trained(tmp_path / "home", "--model", "reproduced_net:make", "--prover", "none")
    del sys.modules["reproduced_net"]
    status, result = reproduce(run)  # its private folder may be a stranger's, too
    assert (status, result["verdict"], result["differences"]) == (3, "CONFIG ONLY", [])
    assert "look at it, and pass --allow-code reproduced_net:make" in finding(result, "weights")
    assert reproduce(run, "--allow-code", "other_net:make")[1]["verdict"] == "CONFIG ONLY"
    assert "reproduced_net" not in sys.modules
    named = ("--allow-code", "reproduced_net:make")
    assert reproduce(run, *named)[1]["verdict"] == "FULL"
    stranger = public(Path(shutil.copytree(run, tmp_path / "stranger")))
    assert reproduce(stranger, *named)[1]["verdict"] == "PARTIAL"
    source.write_text(source.read_text() + "# another line\n")
    for place in (run, stranger):
        status, result = reproduce(place, *named)
        assert (status, result["verdict"]) == (3, "CONFIG ONLY")
        assert f"{source} is not the code of the run (expected " in finding(result, "weights")


@pytest.mark.parametrize("text", ["mlp", "net", "a b:c"])
def test_allow_code_names_code(copied: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert command.main([str(copied), "--allow-code", text]) == 2
    assert "error: --allow-code is " in capsys.readouterr().err


def test_code_in_the_runs_own_folder_is_not_run(
    tmp_path: Path, reproduce: Reproduce, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a stranger may ship it, private folder and all, to whoever starts the command there."""
    source = "from torch import nn\n\n\ndef make(columns, classes):\n    return nn.Linear(columns, classes)\n"
    home = tmp_path / "home"
    with monkeypatch.context() as patch:
        (tmp_path / "code").mkdir()
        (tmp_path / "code/shipped_net.py").write_text(source)
        patch.syspath_prepend(tmp_path / "code")
        run = trained(home, "--model", "shipped_net:make", "--prover", "none")
    del sys.modules["shipped_net"]
    (run / "shipped_net.py").write_text(f"open({str(tmp_path / 'run-by-chance')!r}, 'w')\n" + source)
    places = list(sys.path)
    monkeypatch.chdir(run)
    named = ("--allow-code", "shipped_net:make")
    status, result = reproduce(Path("."), *named)
    assert (status, result["verdict"]) == (3, "CONFIG ONLY")
    assert "which is in the run's own folder: start from another folder" in finding(result, "weights")
    (run / "shipped_net.py").write_text(source)  # nor the very code of the run
    assert reproduce(Path("."), *named)[1]["verdict"] == "CONFIG ONLY"
    assert not (tmp_path / "run-by-chance").exists()
    assert "shipped_net" not in sys.modules
    assert sys.path == places


def test_what_can_not_be_judged_is_refused_with_a_sentence(
    copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert command.main([str(tmp_path / "nowhere")]) == 2
    assert "is not a run" in capsys.readouterr().err
    assert command.main([str(copied), "--data", "csv:x.csv"]) == 2
    assert "--data is for runs on your own table; this one is on breast-cancer" in capsys.readouterr().err


def test_an_unfinished_run_is_refused_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from zk_autograd.optim import ZKOptimizer

    def close(self: ZKOptimizer) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ZKOptimizer, "close", close)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    trainer_key.create(keyfile.default_path(), "trainer")
    run = tmp_path / "run"
    assert train.main([*SMALL, "--prover", "none", "--out", str(run)]) == 130
    capsys.readouterr()
    assert command.main([str(run)]) == 1
    assert f"is unfinished, so it has no hashes yet: `zk-train --resume {run}` resumes it" in capsys.readouterr().err


def test_a_resumption_in_another_environment_is_a_difference(
    tmp_path: Path, reproduce: Reproduce, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zk_autograd.optim import ZKOptimizer

    def close(self: ZKOptimizer) -> None:
        raise KeyboardInterrupt

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    trainer_key.create(keyfile.default_path(), "trainer")
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(ZKOptimizer, "close", close)
        assert train.main([*SMALL, "--prover", "none", "--out", str(run)]) == 130
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONHASHSEED", "77")
        assert train.main(["--resume", str(run)]) == 0
    status, result = reproduce(run)
    assert (status, result["verdict"]) == (3, "PARTIAL")
    assert result["differences"] == [
        "environment when it was resumed: variables.PYTHONHASHSEED: nothing there, 77 here"
    ]


@pytest.mark.parametrize(
    ("config", "why"),
    [(None, "the run has no configuration"), ('name = "mine"\n', "config.toml is not of zk-train: ")],
)
def test_a_run_of_ones_own_loop_is_CONFIG_ONLY(
    config: str | None, why: str, tmp_path: Path, reproduce: Reproduce
) -> None:
    import torch

    from zk_autograd.core.keys import Ed25519Signer
    from zk_autograd.optim import ZKOptimizer

    weight = torch.nn.Parameter(torch.ones(3))
    key = Ed25519Signer("trainer", bytes(32))
    with ZKOptimizer(
        [weight], "sgd", grad_scale=0, run=tmp_path / "run", prover="none", key=key, publish=True, config=config
    ) as optimizer:
        weight.grad = torch.ones(3)
        optimizer.step()
    status, result = reproduce(tmp_path / "run")
    assert (status, result["verdict"], result["exit_status"]) == (3, "CONFIG ONLY", 3)
    assert why in finding(result, "weights")


def test_an_interrupt_ends_it_with_its_exit_status(
    hashed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "retrain", interrupted)
    assert command.main([str(hashed)]) == 130
    assert "interrupted" in capsys.readouterr().err
