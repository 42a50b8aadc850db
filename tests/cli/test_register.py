"""`zk-register` as a function, on real registers; what recovery takes and refuses is
tests/register/test_recovery.py's."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.evidence.servers import served
from tests.register.registers import entries
from zk_autograd.anchor.file.publish import FileAnchor
from zk_autograd.cli.key import main as key_main
from zk_autograd.cli.register import main
from zk_autograd.cli.verify import main as verify_main
from zk_autograd.core import tlog_policy
from zk_autograd.core.keys import Algorithm
from zk_autograd.core.note import open_note
from zk_autograd.core.register import key_id, origin_of
from zk_autograd.credentials import keyfile
from zk_autograd.register.database import DATABASE
from zk_autograd.register.place import place_of
from zk_autograd.register.register import ANCHORS, PUBLIC, Register


class Trainer:
    """A key, and the folder of its register."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.key = folder / "log.key"
        self.folder = folder / "register"
        self._capsys = capsys
        self.signers = keyfile.create(self.key, "trainer")

    def run(self, command: str, *flags: str) -> tuple[int, str, str]:
        status = main([command, "--key-file", str(self.key), "--register", str(self.folder), *flags])
        return status, *self._capsys.readouterr()

    def enter(self, first: int, end: int, branch: int | None = None) -> None:
        with Register(self.folder, self.signers) as register:
            for one in entries(end, branch)[first:end]:
                register.enter(one)

    def anchor(self) -> None:
        with Register(self.folder, self.signers) as register:
            FileAnchor(self.folder / ANCHORS).publish(register.checkpoint, register)


@pytest.fixture
def trainer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Trainer:
    """A register of 13 entries, of which 12 are in the anchor file."""
    made = Trainer(tmp_path, capsys)
    assert made.run("begin", "--yes")[0] == 0
    made.enter(0, 12)
    made.anchor()
    made.enter(12, 13)
    return made


def test_begin_asks_unless_it_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = Trainer(tmp_path, capsys)
    for flags in ((), ("--json",)):
        status, _, err = trainer.run("begin", *flags)
        assert status == 2
        assert "a second one contradicts it" in err
        assert "confirm that with --yes" in err
    assert not trainer.folder.exists()
    status, out, _ = trainer.run("begin", "--yes", "--json")
    origin = origin_of([signer.public_key for signer in trainer.signers])
    assert (status, json.loads(out)) == (0, {"folder": str(trainer.folder), "origin": origin})
    status, _, err = trainer.run("begin", "--yes")
    assert (status, "there is a register in" in err) == (2, True)


def test_show_and_list(trainer: Trainer) -> None:
    status, out, _ = trainer.run("show")
    assert status == 0
    assert "runs        3 begun, 1 closed, 2 unfinished\n" in out
    assert "anchor file 12 entries\n" in out
    assert "published   nothing\n" in out
    found = json.loads(trainer.run("show", "--json")[1])
    assert (found["size"], found["runs"], found["anchored"], found["published"]) == (
        13,
        {"begun": 3, "closed": 1, "unfinished": 2},
        12,
        None,
    )
    assert found["keys"] == [line.split()[1] for line in out.splitlines() if line.startswith("log ")]
    status, out, _ = trainer.run("list")
    assert status == 0
    assert [line.split()[-1] for line in out.splitlines()] == ["state", "closed", "unfinished", "unfinished"]
    runs = json.loads(trainer.run("list", "--json")[1])["runs"]
    assert [(run["number"], run["begun"], run["newest"], run["records"], run["closed"]) for run in runs] == [
        (1, 0, 12, 5, True),
        (2, 1, 10, 4, False),
        (3, 2, 11, 4, False),
    ]


def test_show_has_the_log_lines_of_a_policy_that_the_checkpoint_is_signed_under(trainer: Trainer) -> None:
    """As they are printed, and by them alone: under the keys' own names nobody signed it."""
    _, out, _ = trainer.run("show")
    lines = [line for line in out.splitlines() if line.startswith("log ")]
    policy = tlog_policy.parse("\n".join([*lines, "quorum none", ""]).encode())
    keys = [log.key for log in policy.logs]
    assert {key.algorithm for key in keys} == set(Algorithm)
    with Register.read(trainer.folder, [signer.public_key for signer in trainer.signers]) as register:
        note, origin = register.checkpoint.note, register.origin
    assert {key.name for key in keys} == {origin}
    assert open_note(note, keys).text.startswith(f"{origin}\n13\n")


def test_check_publish_and_check_again(trainer: Trainer) -> None:
    assert trainer.run("check")[1].count("\n") == 2
    status, out, _ = trainer.run("publish")
    assert (status, out.startswith(f"{trainer.folder / PUBLIC}: 13 entries of ")) == (0, True)
    status, out, _ = trainer.run("check", "--json")
    assert (status, json.loads(out)["published"]) == (0, 13)
    trainer.enter(13, 15)
    status, out, _ = trainer.run("check")
    assert (status, "what is published agrees, as far as it goes: its checkpoint covers 13" in out) == (0, True)
    (trainer.folder / PUBLIC / "tile/0/000.p/13").write_bytes(bytes(13 * 32))
    status, _, err = trainer.run("check")
    assert (status, "is missing or was altered" in err) == (1, True)


def test_a_register_in_the_keys_own_place_is_not_begun_again_in_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two registers of one key contradict each other."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    trainer = Trainer(tmp_path, capsys)
    own = place_of([signer.public_key for signer in trainer.signers])
    Register.begin(own, trainer.signers).close()
    status, _, err = trainer.run("begin", "--yes")
    assert (status, f"there is a register in {own} already" in err) == (2, True), err
    assert not trainer.folder.exists()


@pytest.mark.parametrize("name", [f"{DATABASE}.damaged-1", "forked-12.note", f"fork-{'0' * 64}"])
def test_what_is_left_of_a_register_says_that_there_was_one(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = Trainer(tmp_path, capsys)
    trainer.folder.mkdir(mode=0o700)
    (trainer.folder / name).write_bytes(b"left")
    status, _, err = trainer.run("begin", "--yes")
    assert (status, "would contradict what the old one signed" in err) == (2, True), err
    assert not (trainer.folder / DATABASE).exists()


@pytest.mark.parametrize(
    "change",
    [
        "update entries set leaf = x'00' where position = 3",
        "update nodes set hash = zeroblob(32) where level = 1 and position = 2",
        "insert into nodes values (9, 0, zeroblob(32))",
        "update entries set run = zeroblob(16) where position = 3",
    ],
)
def test_check_finds_what_opening_doesn_t(trainer: Trainer, change: str) -> None:
    with sqlite3.connect(trainer.folder / DATABASE) as connection:
        connection.execute(change)
    connection.close()
    status, _, err = trainer.run("check")
    assert status == 1
    assert "was altered or damaged" in err


def test_an_older_copy_is_refused_and_brought_back(trainer: Trainer) -> None:
    """A home folder restored from last night's copy, without the anchor file, which has more."""
    shutil.copy(trainer.folder / DATABASE, trainer.folder / "copy")
    trainer.enter(13, 20)
    trainer.anchor()
    (trainer.folder / "copy").rename(trainer.folder / DATABASE)
    for command in ("show", "list", "check", "publish"):
        status, _, err = trainer.run(command)
        assert status == 1
        assert f"zk-register recover --from file:{trainer.folder / ANCHORS}" in err
    status, out, err = trainer.run("recover", "--from", f"file:{trainer.folder / ANCHORS}")
    assert (status, "has 20 entries again; it had 13 entries" in out) == (0, True)
    assert "ask every anchor and witness" in err
    assert trainer.run("check")[0] == 0


@pytest.mark.parametrize("source", ["file", "tiles", "server", "copy"])
def test_a_lost_register_is_recovered(trainer: Trainer, source: str, tmp_path: Path) -> None:
    trainer.anchor()
    trainer.run("publish", "--out", str(tmp_path / "web"))
    trainer.folder.rename(tmp_path / "old")
    status, _, err = trainer.run("show")
    assert (status, "bring it back from a copy or with `zk-register recover`" in err) == (2, True)
    with served(tmp_path / "web") as held:
        where = {
            "file": f"file:{tmp_path / 'old' / ANCHORS}",
            "tiles": str(tmp_path / "web"),
            "server": f"{held.url}/",
            "copy": str(tmp_path / "old"),
        }[source]
        status, out, _ = trainer.run("recover", "--from", where, "--json")
    assert (status, json.loads(out)["size"]) == (0, 13)
    assert trainer.run("check")[0] == 0
    trainer.enter(13, 15)


def test_runs_complete_what_anchors_lack(trainer: Trainer, tmp_path: Path) -> None:
    """The anchor file was written up to entry 12; the run that entered the last one shows it. A
    line that a crash tore is left out, and one that was altered is told."""
    run = tmp_path / "run"
    (run / "register").mkdir(parents=True)
    (run / "log").mkdir()
    (run / "log/records.jsonl").touch()
    with Register(trainer.folder, trainer.signers) as register:
        line = register.view(entries(13)[12].run).encode() + b"\n"
    (run / "register/views.jsonl").write_bytes(line + line[:100])
    (trainer.folder / ANCHORS).rename(tmp_path / ANCHORS)
    kept = f"file:{tmp_path / ANCHORS}"
    (trainer.folder / DATABASE).unlink()
    assert trainer.run("recover", "--from", kept, "--json")[0] == 0
    with Register(trainer.folder, trainer.signers) as register:
        assert register.checkpoint.head.size == 12
    (trainer.folder / DATABASE).unlink()
    status, _, err = trainer.run("recover", "--from", str(run))
    assert (status, "no source holds the entries 0-11" in err) == (1, True)
    status, out, _ = trainer.run("recover", "--from", kept, "--from", str(run), "--json")
    assert (status, json.loads(out)["size"]) == (0, 13)
    (run / "register/views.jsonl").write_bytes(b"x" + line)
    status, _, err = trainer.run("recover", "--from", kept, "--from", str(run))
    assert (status, "line 1 of" in err) == (1, True)


def test_what_lies_beside_is_not_forgotten(trainer: Trainer, tmp_path: Path) -> None:
    """Somebody recovers from an old copy of the anchor file, and the published register is newer.
    They would have signed entry 12 again, as something else."""
    shutil.copy(trainer.folder / ANCHORS, tmp_path / "old.jsonl")
    trainer.run("publish")
    (trainer.folder / DATABASE).unlink()
    status, out, _ = trainer.run("recover", "--from", f"file:{tmp_path / 'old.jsonl'}", "--json")
    assert (status, json.loads(out)["size"]) == (0, 13)
    (trainer.folder / DATABASE).unlink()
    (trainer.folder / PUBLIC / "tile/entries/000.p/13").unlink()
    status, _, err = trainer.run("recover", "--from", f"file:{tmp_path / 'old.jsonl'}")
    assert (status, "has no tile/entries/000" in err) == (1, True)
    assert not (trainer.folder / DATABASE).exists()


def test_what_is_left_of_a_lost_register_stops_a_new_one(trainer: Trainer) -> None:
    (trainer.folder / DATABASE).unlink()
    status, _, err = trainer.run("begin", "--yes")
    assert (status, f"zk-register recover --from file:{trainer.folder / ANCHORS}" in err) == (2, True)


def test_missing_entries_are_named_and_nothing_is_made(trainer: Trainer, tmp_path: Path) -> None:
    """The newest checkpoint is known from the published folder, whose entries are gone."""
    trainer.run("publish", "--out", str(tmp_path / "web"))
    trainer.folder.rename(tmp_path / "old")
    (tmp_path / "web/tile/entries/000.p/13").unlink()
    status, _, err = trainer.run("recover", "--from", str(tmp_path / "web"))
    assert (status, "has no tile/entries/000" in err) == (1, True)
    assert not trainer.folder.exists()


def test_two_branches_are_refused_with_evidence(trainer: Trainer, tmp_path: Path) -> None:
    """A trainer who begins a second register under one key: each alone looks whole. They would
    have gained that the runs of the first one were never seen."""
    trainer.anchor()
    trainer.folder.rename(tmp_path / "old")
    assert trainer.run("begin", "--yes")[0] == 0
    trainer.enter(0, 15, branch=6)
    trainer.anchor()
    other = f"file:{tmp_path / 'old' / ANCHORS}"
    status, _, err = trainer.run("recover", "--from", other)
    assert status == 1
    assert "your key signed two registers" in err
    assert "zk-key rotate" in err
    (evidence,) = trainer.folder.glob("fork-*")
    assert f"the evidence is {evidence}" in err
    assert verify_main([str(evidence), "--key", f"{trainer.key}.pub"]) == 1
    (trainer.folder / ANCHORS).write_bytes((tmp_path / "old" / ANCHORS).read_bytes())
    status, _, err = trainer.run("show")
    assert status == 1
    told = err.strip().rpartition("the evidence is ")[2]
    assert verify_main([told, "--key", f"{trainer.key}.pub"]) == 1


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("nothing:x", "names no kind of anchor"),
        ("file:", "needs a path"),
        ("file:/nowhere/x", "can't be opened"),
        ("https://", "is not a host"),
        ("/nowhere", "names no kind of anchor"),
    ],
)
def test_sources_that_are_none(trainer: Trainer, source: str, why: str) -> None:
    status, _, err = trainer.run("recover", "--from", source)
    assert status in (1, 2)
    assert why in err
    assert not Path("/nowhere").exists()


def test_an_empty_folder_holds_none(trainer: Trainer, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    status, _, err = trainer.run("recover", "--from", str(tmp_path / "empty"))
    assert (status, "there is no register at" in err) == (2, True)


# ---- keys and their registers ------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


def test_a_new_key_has_a_register(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = home / "log.key"
    assert key_main(["new", "--key-file", str(path)]) == 0
    keys = [signer.public_key for signer in keyfile.load(path)]
    folder = home / "state" / "zk-autograd" / key_id(keys)
    assert place_of(keys) == folder
    assert f"is begun in {folder}" in capsys.readouterr().err
    assert main(["show", "--key-file", str(path)]) == 0
    assert f"folder      {folder}\n" in capsys.readouterr().out


def test_a_rotated_key_has_a_new_one_and_the_old_one_stays(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = home / "log.key"
    key_main(["new", "--key-file", str(path)])
    old = place_of([signer.public_key for signer in keyfile.load(path)])
    capsys.readouterr()
    assert key_main(["rotate", "--key-file", str(path)]) == 0
    told = capsys.readouterr().err
    new = place_of([signer.public_key for signer in keyfile.load(path)])
    assert old != new
    assert f"is begun in {new}" in told
    assert f"zk-register show --key-file {path}.1" in told
    assert main(["show", "--key-file", f"{path}.1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["folder"] == str(old)


def test_an_upgraded_key_keeps_its_register(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = home / "log.key"
    shutil.copy(Path(__file__).parents[1] / "data/runs/test.key", path)
    path.chmod(0o600)
    assert main(["begin", "--yes", "--key-file", str(path)]) == 0
    capsys.readouterr()
    assert key_main(["rotate", "--key-file", str(path)]) == 0
    assert "is begun in" not in capsys.readouterr().err
    assert len(keyfile.load(path)) == 2
    assert main(["show", "--key-file", str(path)]) == 0


def test_a_state_folder_that_can_t_be_had_stops_no_key(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "state").write_bytes(b"a file")
    path = home / "log.key"
    assert key_main(["new", "--key-file", str(path)]) == 0
    told = capsys.readouterr()
    assert told.out == f"{path}.pub\n"
    assert "the key's register was not begun" in told.err
    assert f"zk-register begin --key-file {path} --register DIR" in told.err
