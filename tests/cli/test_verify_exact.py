"""zk-verify draws segments, and computes again what the trainer opened for the auditor's key: from
the draw to the verdict, by the commands alone."""

import json
import re
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest

from tests.shared import Shared
from tests.verify import exact_runs
from tests.verify.run_builder import KEY
from zk_autograd import verify_run
from zk_autograd.cli import key as zk_key
from zk_autograd.cli import run as zk_run
from zk_autograd.cli.verify import main
from zk_autograd.core.errors import UsageError
from zk_autograd.evidence.data_secrets import Table
from zk_autograd.evidence.table_cells import cells_from_table
from zk_autograd.optim.exact import ExactGradient

pytestmark = [pytest.mark.slow, pytest.mark.torch]
PIN = ["--key", KEY.encode()]


@pytest.fixture(scope="module")
def run(shared: Shared, native_prover: None) -> Path:
    return shared.made("exact-run", lambda folder: exact_runs.train(folder / "run", "native")) / "run"


@pytest.fixture(scope="module")
def desk(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an auditor has: a key, a challenge, the data, and openings of all segments, and of those
    that they drew."""
    desk = tmp_path_factory.mktemp("desk")
    assert zk_key.main(["new", "--for", "recipient", "--key-file", str(desk / "own.key")]) == 0
    assert main([str(run), *PIN, "--draw", "2", "--challenge", str(desk / "challenge")]) == 0
    public = ["--for", str(desk / "own.key.pub")]
    assert zk_run.main(["open", str(run), "--all", *public, "--out", str(desk / "all")]) == 0
    drawn = ["--challenge", str(desk / "challenge")]
    assert zk_run.main(["open", str(run), *drawn, *public, "--out", str(desk / "drawn")]) == 0
    assert zk_run.main(["open", str(run), "--cells", str(desk / "cells")]) == 0
    return desk


def given(desk: Path, openings: str, **others: str) -> list[str]:
    files = {"openings": openings, "recipient-key": "own.key", "data": "cells", **others}
    return [word for flag, name in files.items() if name for word in (f"--{flag}", str(desk / name))]


def test_all_segments_opened_end_with_0(run: Path, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main([str(run), *PIN, *given(desk, "all"), "--require", "L3"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("verdict: L0, L1, L3\n")
    assert "replayed   the gradients of steps 1..20" in told


def test_the_drawn_ones_are_enough_if_the_auditor_says_so(
    run: Path, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(run), *PIN, *given(desk, "drawn", challenge="challenge"), "--require", "L3", "--json"]
    capsys.readouterr()
    assert main(words) == 3
    report = json.loads(capsys.readouterr().out)
    assert (report["verdict"], report["replay"]["drawn"]) == ("L0, L1, L3-sampled", [0, 2])
    assert main([*words, "--accept-sample"]) == 0
    assert json.loads(capsys.readouterr().out)["replay"]["seed_from"] == "verifier"


def test_the_same_in_python(run: Path, desk: Path) -> None:
    files = {"data": desk / "cells", "openings": desk / "all", "recipient_key": desk / "own.key"}
    assert verify_run(run, keys=[KEY], require=["L3"], **files).verdict == "L0, L1, L3"  # type: ignore[arg-type]


def test_a_draw_is_printed_and_writes_nothing_twice(run: Path, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    words = [str(run), *PIN, "--draw", "2", "--beacon", "noon", "--challenge", str(desk / "second")]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "2 segments of 3, under the root" in told
    assert "drawn: 0, 2" in told
    assert "is missed 100.0 % of the time" in told
    assert main(words) == 2
    assert "exists, and is not overwritten" in capsys.readouterr().err
    assert main([*words[:-1], str(run / "challenge")]) == 2
    assert not (run / "challenge").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--openings", "all"], "--recipient-key"),
        (["--data", "cells"], "--openings"),
        (["--openings", "all", "--recipient-key", "own.key"], "name yours with --data"),
        (["--openings", "all", "--recipient-key", "other.key", "--data", "cells"], "is sealed for the recipient key"),
        (
            ["--openings", "cells", "--recipient-key", "own.key", "--data", "cells"],
            "does not begin as a file of sealed",
        ),
        (["--openings", "all", "--recipient-key", "own.key", "--data", "all"], "is no file of cells"),
        (
            ["--openings", "all", "--recipient-key", "own.key", "--data", "digits"],
            "No such file or directory; name the file that the trainer wrote with `zk-run open --cells`",
        ),
        (
            ["--openings", "all", "--recipient-key", "own.key", "--data", "cells", "--challenge", "all"],
            "not a challenge",
        ),
        (["--openings", "cut", "--recipient-key", "own.key", "--data", "cells"], "can't be opened"),
        (["--draw", "2"], "--challenge FILE"),
        (["--draw", "2", "--challenge", "new", "--openings", "all"], "leave out --openings"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_files_are_refused_with_a_sentence(
    run: Path, desk: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    if not (desk / "other.key").exists():
        assert zk_key.main(["new", "--for", "recipient", "--key-file", str(desk / "other.key")]) == 0
        (desk / "cut").write_bytes((desk / "all").read_bytes()[:-100])
    capsys.readouterr()
    paths = [word if word.startswith("--") or word.isdigit() else str(desk / word) for word in words]
    assert main([str(run), *PIN, *paths]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
    assert not (desk / "new").exists()


def test_the_table_that_the_cells_were_made_from_is_enough(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the backend `none`, which is quicker: all gradients are computed again, and no level is
    reached."""
    values, labels = exact_runs.data()
    wide = values.astype(np.float64) * 3 + 1  # the table's own units
    rows = np.random.default_rng(3).permutation(len(wide))
    names = [f"class-{label}" for label in labels]
    lines = ["kind,a,b,c,d"] + [",".join([names[r], *map(repr, map(float, wide[r]))]) for r in range(len(wide))]
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    told = Table(
        "table.csv",
        "kind",
        ("class-0", "class-1", "class-2"),
        tuple("abcd"),
        ("1.0",) * 4,
        ("3.0",) * 4,
        tuple(map(int, rows)),
    )
    made = cells_from_table(wide, told.columns, names, told, exact_runs.CLASSES)
    gradient = ExactGradient(exact_runs.graph_of(exact_runs.model()), made, exact_runs.BATCH, 7, table=told)
    run = exact_runs.train(tmp_path / "run", "none", gradient, steps=3)
    key = tmp_path / "own.key"
    assert zk_key.main(["new", "--for", "recipient", "--key-file", str(key)]) == 0
    assert zk_run.main(["open", str(run), "--all", "--for", f"{key}.pub", "--out", str(tmp_path / "all")]) == 0
    words = [
        str(run),
        *PIN,
        "--openings",
        str(tmp_path / "all"),
        "--recipient-key",
        str(key),
        "--require",
        "L0",
        "--long",
    ]
    capsys.readouterr()
    assert main([*words, "--data", str(tmp_path / "table.csv")]) == 0
    assert "computed again: 1 segment of 1 (all), 3 steps" in capsys.readouterr().out
    (tmp_path / "table.csv").write_text("\n".join([*lines[:9], lines[9].replace(",", ",1", 1), *lines[10:]]) + "\n")
    assert main([*words, "--data", f"csv:{tmp_path / 'table.csv'}"]) == 1
    assert "not what the header commits to" in " ".join(capsys.readouterr().out.split())
    (tmp_path / "table.csv").write_text("\n".join(lines[:30]) + "\n")
    assert main([*words, "--data", str(tmp_path / "table.csv")]) == 1
    assert "doesn't have as many rows as the openings take" in capsys.readouterr().out


def test_openings_of_another_run_are_refused(
    run: Path, desk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = exact_runs.train(tmp_path / "other", "none", steps=1)
    assert main([str(other), *PIN, *given(desk, "all")]) == 2
    assert "openings of the run with header digest" in capsys.readouterr().err


def test_a_challenge_in_the_run_is_refused(run: Path, desk: Path, tmp_path: Path) -> None:
    copied = copytree(run, tmp_path / "copy")
    (copied / "challenge").write_bytes((desk / "challenge").read_bytes())
    files = {"data": desk / "cells", "openings": desk / "all", "recipient_key": desk / "own.key"}
    with pytest.raises(UsageError, match="lies in the run"):
        verify_run(copied, keys=[KEY], challenge=copied / "challenge", **files)  # type: ignore[arg-type]


def test_a_log_that_its_key_did_not_sign_gives_no_challenge(
    run: Path, desk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = copytree(run, tmp_path / "copy")
    records = (copied / "log/records.jsonl").read_bytes()
    (copied / "log/records.jsonl").write_bytes(re.sub(rb'("loss":\["[0-9]\.)[0-9]', rb"\g<1>9", records, count=1))
    assert main([str(copied), *PIN, "--draw", "2", "--challenge", str(tmp_path / "challenge")]) == 1
    assert "step 3" in capsys.readouterr().err
    assert not (tmp_path / "challenge").exists()
    assert main([str(run), "--draw", "2", "--challenge", str(tmp_path / "challenge")]) == 2
    assert "name the trainer's key" in capsys.readouterr().err
