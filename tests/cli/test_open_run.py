"""`zk-run open` as a function: what it writes and for whom, what it says, its exit status."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.run import exact_run
from tests.run.plain_run import create
from tests.run.trainer import train
from zk_autograd.cli.key import main as zk_key
from zk_autograd.cli.run import main
from zk_autograd.core import cells as cells_format
from zk_autograd.core.records import PUBLIC
from zk_autograd.evidence.openings import Openings
from zk_autograd.run.recorded import recorded
from zk_autograd.vault.openings import opened
from zk_autograd.vault.recipient_files import load
from zk_autograd.verify.challenge import Challenge
from zk_autograd.verify.policy import TreeHead

Open = Callable[..., tuple[int, str, str]]


@pytest.fixture
def open_run(capsys: pytest.CaptureFixture[str]) -> Open:
    """Runs the command; gives exit status, standard output and standard error."""

    def run(*flags: str | Path) -> tuple[int, str, str]:
        status = main(["open", *map(str, flags)])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with exact gradients, of three segments."""
    writer = exact_run.create(tmp_path / "run")
    train(writer, 5)
    writer.close()
    return tmp_path / "run"


@pytest.fixture
def key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """An auditor's private key; FILE.pub lies beside it."""
    path = tmp_path / "auditor.key"
    assert zk_key(["new", "--for", "recipient", "--key-file", str(path)]) == 0
    capsys.readouterr()
    return path


def public(key: Path) -> Path:
    return key.with_name(key.name + ".pub")


def test_segments_are_sealed_for_the_auditor(run: Path, key: Path, tmp_path: Path, open_run: Open) -> None:
    out = tmp_path / "answer"
    status, text, told = open_run(run, "--segments", "0,2", "--for", public(key), "--out", out)
    fingerprint = load(key).recipient.fingerprint
    assert status == 0
    assert (
        f"who holds the private half of {fingerprint[:16]}.. will see the weights and moments before each of 2 seg"
        in told
    )
    log = recorded(run).log
    steps = sum(log.segments[i].last - log.segments[i].first + 1 for i in (0, 2))
    assert f"the gradients of their {steps} steps" in told and "can confirm a guess at the data" in told
    assert text.startswith(f"{out}: 2 segments of 3, {out.stat().st_size} bytes, SHA-256 ")
    assert "--openings answer --recipient-key FILE --require L3\n" in text
    with opened(out, load(key), log.header_digest) as file:
        found = Openings(file, log)
        assert found.index.chosen == "trainer"
        assert found.index.data == exact_run.exact_files().secrets
        assert [one.secrets.index for one in found.segments()] == [0, 2]


def test_a_single_segment_is_named(run: Path, key: Path, tmp_path: Path, open_run: Open) -> None:
    _, _, told = open_run(run, "--segments", "1", "--for", public(key), "--out", tmp_path / "a")
    assert "will see the weights and moments before segment 1, the gradients of its " in told


def test_json_names_file_segments_and_key(run: Path, key: Path, tmp_path: Path, open_run: Open) -> None:
    status, text, _ = open_run(run, "--all", "--for", public(key), "--out", tmp_path / "a", "--json")
    found = json.loads(text)
    assert status == 0 and found["segments"] == [0, 1, 2]
    assert (found["chosen_by"], found["bytes"]) == ("all", (tmp_path / "a").stat().st_size)
    assert found["recipient"] == load(key).recipient.fingerprint
    assert found["root"] == f"{recorded(run).all().root.hex()}@6"


def test_a_challenge_is_answered(run: Path, key: Path, tmp_path: Path, open_run: Open) -> None:
    whole, path = recorded(run).all(), tmp_path / "challenge"
    path.write_bytes(Challenge(TreeHead(whole.root, whole.size), 3, 2, b"seed", True).encode())
    flags = ("--for", public(key), "--out", tmp_path / "a", "--json")
    status, text, _ = open_run(run, "--challenge", path, *flags)
    assert (status, json.loads(text)["segments"], json.loads(text)["chosen_by"]) == (0, [0, 2], "challenge")
    assert "--challenge CHALLENGE" in json.loads(text)["verify"]
    (tmp_path / "a").unlink()
    path.write_bytes(Challenge(TreeHead(bytes(32), whole.size), 3, 2, b"seed", True).encode())
    status, text, _ = open_run(run, "--challenge", path, *flags)
    assert status == 1 and "the challenge is of another log" in json.loads(text)["error"]["message"]
    path.write_bytes(b"{}")
    assert open_run(run, "--challenge", path, *flags)[0] == 2
    assert not (tmp_path / "a").exists()


def test_float_gradients_open_while_their_trainer_is_at_work(key: Path, tmp_path: Path, open_run: Open) -> None:
    writer = create(tmp_path / "run")
    train(writer, 3)
    writer.drain()
    status, _, told = open_run(tmp_path / "run", "--all", "--for", public(key), "--out", tmp_path / "a")
    assert status == 0 and "a guess at the data" not in told
    with opened(tmp_path / "a", load(key)) as file:
        assert Openings(file, recorded(tmp_path / "run").log).index.data is None
    train(writer, 4)
    writer.close()


def test_nothing_is_written_where_something_is_wrong(
    run: Path, key: Path, tmp_path: Path, open_run: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    out, to = tmp_path / "a", public(key)
    secret = key.read_text().splitlines()[1]

    def refused(status: int, sentence: str, *flags: str | Path) -> None:
        found, text, told = open_run(*flags)
        assert (found, text) == (status, ""), told
        assert sentence in told and secret not in told
        assert not out.exists()

    refused(2, "say whose eyes it is for, with --for KEY.pub", run, "--all", "--out", out)
    refused(2, "and where it goes, with --out FILE", run, "--all", "--for", to)
    refused(2, "is a recipient's private key, which its owner keeps", run, "--all", "--for", key, "--out", out)
    refused(2, "it is the file FILE.pub of a recipient's key", run, "--all", "--for", run / "graph.txt", "--out", out)
    refused(2, "is published, or passed on, as a whole", run, "--all", "--for", to, "--out", run / "a")
    refused(2, "exists, and is not overwritten", run, "--all", "--for", to, "--out", key)
    refused(2, "segment 3 of", run, "--segments", "3", "--for", to, "--out", out)
    refused(2, "there is no run at", tmp_path / "none", "--all", "--for", to, "--out", out)
    journal = run / "private" / "segments" / "1" / "journal"
    whole = journal.read_bytes()
    journal.write_bytes((run / "private" / "segments" / "2" / "journal").read_bytes())
    refused(1, "segments/1/journal is missing, torn or altered", run, "--all", "--for", to, "--out", out)
    journal.write_bytes(whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["auditor.key", "auditor.key.pub", "run"]
    assert main(["forget", "--yes", str(run)]) == 0
    capsys.readouterr()
    refused(1, "its gradients, states and salts are deleted", run, "--all", "--for", to, "--out", out)


@pytest.mark.parametrize("which", [(), ("--all", "--segments", "0"), ("--all", "--cells", "c")])
def test_exactly_one_choice_is_made(run: Path, open_run: Open, which: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        open_run(run, *which)
    assert ended.value.code == 2


@pytest.mark.parametrize("visibility", ["private", PUBLIC])
def test_the_committed_cells_are_exported(tmp_path: Path, open_run: Open, visibility: str) -> None:
    writer = exact_run.create(tmp_path / "run", visibility=visibility)
    writer.close()
    out = tmp_path / "cells"
    status, text, told = open_run(tmp_path / "run", "--cells", out, "--json")
    found: dict[str, Any] = json.loads(text)
    assert status == 0 and "give them only to who may see them" in told
    assert (found["examples"], found["features"], found["cells"]) == (10, 2046, 2048)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert out.read_bytes() == cells_format.encoded(exact_run.CELLS, exact_run.FEATURES)
    assert open_run(tmp_path / "run", "--cells", out)[0] == 2
    assert open_run(tmp_path / "run", "--cells", tmp_path / "b", "--out", tmp_path / "c")[0] == 2
    assert open_run(tmp_path / "run", "--cells", tmp_path / "run" / "b")[0] == 2


def test_float_gradients_have_no_cells(tmp_path: Path, open_run: Open) -> None:
    create(tmp_path / "run").close()
    status, _, told = open_run(tmp_path / "run", "--cells", tmp_path / "cells")
    assert status == 2 and "are not exact: it has no committed cells to write" in told
    assert not (tmp_path / "cells").exists()
