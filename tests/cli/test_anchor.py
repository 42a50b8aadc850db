"""`zk-train` with a register and anchors, and `zk-anchor` and `zk-run` over what it leaves, as
functions. The anchors themselves are tests/anchor's."""

import json
import re
import shlex
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests import trainer_key
from tests.witness.witnesses import Signers, policy
from zk_autograd.cli import anchor, run, train, verify
from zk_autograd.core.anchors import Receipt
from zk_autograd.core.register import Entry, Kind
from zk_autograd.credentials import keyfile
from zk_autograd.register.place import place_of
from zk_autograd.register.register import Register
from zk_autograd.run import anchoring

pytestmark = pytest.mark.torch

TRAIN = ["--steps", "2", "--prover", "none", "--data", "breast-cancer", "--model", "logistic"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(anchoring, "LAST_WAIT", 0.3)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], status: int, found: int) -> tuple[str, str]:
    out, err = capsys.readouterr()
    assert found == status, err
    return out, err


def asked(capsys: pytest.CaptureFixture[str], main: Any, *words: object, status: int = 0) -> Any:
    out, err = said(capsys, status, main([*map(str, words), "--json"]))
    return json.loads(out), err


def register() -> Path:
    return place_of([signer.public_key for signer in keyfile.load(keyfile.default_path())])


def entries(folder: Path) -> list[Entry]:
    with Register.read(folder) as found:
        return [Entry.parse(leaf) for leaf in found.entries(0, found.checkpoint.head.size)]


def kinds(path: str) -> list[str]:
    return [Receipt.parse(line).kind for line in Path(path, "anchors/receipts.jsonl").read_bytes().splitlines()]


def down(port: int) -> str:
    """An anchor that nothing answers for: the file is a folder."""
    Path(f"down{port}").mkdir()
    return f"file:down{port}"


def test_without_a_word_a_run_is_in_its_keys_register_and_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = said(capsys, 0, train.main([*TRAIN, "--out", "run"]))
    assert "register  zk-autograd/register/" in out
    assert "it protects against accidents only" in out
    assert "a log key was made" in err
    assert [entry.kind for entry in entries(register())] == [Kind.BEGIN, Kind.CLOSE]
    assert kinds("run") == ["file", "file"]
    out, _ = said(
        capsys, 0, verify.main(["run", "--key", "config/zk-autograd/log.key.pub", "--require", "L0", "--long"])
    )
    assert "4  Register and anchors passed" in out


@pytest.mark.slow
def test_the_last_wait_says_for_whom_and_the_first_ctrl_c_ends_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anchoring, "LAST_WAIT", 60)
    monkeypatch.setattr(anchoring, "FIRST_WAIT", 5.0)
    Path("p").write_bytes(policy([(Signers(1).keys[0].encode(), "http://127.0.0.1:9/")], 1))
    views, pressed = Path("run/register/views.jsonl"), threading.Event()

    def press() -> None:
        end = time.monotonic() + 60
        while not (views.exists() and b'"close"' in views.read_bytes()) and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.6)
        pressed.set()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    began = time.monotonic()
    status = train.main([*TRAIN, "--out", "run", "--anchor", "witness:p"])
    assert time.monotonic() - began < 50
    thread.join()
    out, err = said(capsys, status, status)
    assert pressed.is_set()
    assert err.count("the run is complete; waiting for anchors: witness:") == 1
    assert "its anchors aren't waited for: `zk-anchor publish` completes that" in err
    assert "register  zk-autograd/register/" in out  # the run's summary


def test_no_register_is_said_in_the_header_and_the_summary(capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = said(capsys, 0, train.main([*TRAIN, "--out", "run", "--no-register"]))
    assert "register  none: an auditor can't tell how many runs there were beside this one" in out
    assert not Path("state").exists()
    assert not Path("run/register").exists()
    found, _ = asked(capsys, run.main, "status", "run")
    assert found["register"] is None
    out, err = said(capsys, 2, anchor.main(["publish", "run", "--anchor", "file:a"]))
    assert "is in no register: its header says so" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--register", "none"], "there is no register in .*none: if your key never had one, begin it"),
        (["--anchor", "nobody:x"], "names no kind of anchor"),
        (["--anchor", "file:"], "needs a path"),
        (["--anchor-every", "0"], "--anchor-every is 0; it must be at least 1"),
        (["--no-register", "--anchor", "file:a"], "--anchor goes with a register: leave out --no-register"),
        (["--no-register", "--register", "d"], "--register goes with a register: leave out --no-register"),
    ],
)
def test_what_can_t_be_is_refused_before_anything_is_made(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    trainer_key.create(keyfile.default_path(), "trainer")
    _, err = said(capsys, 2, train.main([*TRAIN, "--out", "run", *words]))
    assert re.search(message, err), err
    assert not Path("run").exists()
    assert entries(register()) == []


def test_a_key_whose_register_is_missing_trains_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    keyfile.create(keyfile.default_path(), "trainer")
    _, err = said(capsys, 2, train.main([*TRAIN, "--out", "run"]))
    assert "begin it with `zk-register begin`" in err
    assert "--no-register" in err
    assert not Path("run").exists()


def test_a_register_that_can_t_be_written_to_stops_before_the_first_step(capsys: pytest.CaptureFixture[str]) -> None:
    trainer_key.create(keyfile.default_path(), "trainer")
    database = register() / "register.sqlite"
    database.write_bytes(b"no database" * 1000)
    _, err = said(capsys, 1, train.main([*TRAIN, "--out", "run"]))
    assert str(register()) in err
    assert not Path("run").exists()


def test_an_anchor_that_fails_leaves_a_run_that_publish_completes(capsys: pytest.CaptureFixture[str]) -> None:
    """What zk-train can't have anchored it says, with its status; zk-anchor makes up for it."""
    spec = down(1)
    out, err = said(capsys, 3, train.main([*TRAIN, "--out", "run", "--anchor", spec]))
    assert "has nothing of the run" in out
    assert "to complete it: zk-anchor publish run\n" in out
    assert "it is not tried again" in err
    assert entries(register())[-1].kind is Kind.CLOSE  # the run is whole all the same
    found, err = asked(capsys, anchor.main, "publish", "run", status=1)
    assert found["anchors"][0]["pending"]
    Path("down1").rmdir()
    keyfile.default_path().rename("away")  # no key is needed
    found, _ = asked(capsys, anchor.main, "publish", "run")
    assert found["anchors"][0]["records"] == 4
    assert len(kinds("run")) == 3
    again, _ = asked(capsys, anchor.main, "publish", "run", "--anchor", "file:other")
    assert again["anchors"][0]["size"] == found["register"]["size"]
    found, _ = asked(capsys, anchor.main, "list", "run")
    assert [one["records"] for one in found["receipts"]][-1] == 4
    assert {one["standing"] for one in found["receipts"]} == {"the trainer's word"}


@pytest.mark.parametrize("moved", [False, True])
def test_the_command_that_is_suggested_completes_the_run(capsys: pytest.CaptureFixture[str], moved: bool) -> None:
    """With the key that the run was begun with, wherever that lies."""
    key = Path("my keys/log.key")
    key.parent.mkdir(mode=0o700)
    trainer_key.create(key, "trainer")
    out, _ = said(capsys, 3, train.main([*TRAIN, "--out", "run", "--key-file", str(key), "--anchor", down(1)]))
    (line,) = (line for line in out.splitlines() if "to complete it: " in line)
    words = shlex.split(line.partition("to complete it: ")[2])
    assert words[:4] == ["zk-anchor", "publish", "run", "--key-file"]  # no --anchor, which would lack what is secret
    Path("down1").rmdir()
    if moved:
        key.rename("away")  # its public half is enough
    found, _ = asked(capsys, anchor.main, *words[1:])
    assert found["anchors"][0]["records"] == 4


def test_receipts_are_judged_and_false_ones_refused(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, 0, train.main([*TRAIN, "--out", "run"]))
    key = "config/zk-autograd/log.key.pub"
    found, _ = asked(
        capsys, anchor.main, "verify", "run", "--key", key, status=3
    )  # the trainer's word counts for nothing
    assert len(found["receipts"]) == 2
    path = Path("run/anchors/receipts.jsonl")
    path.write_bytes(path.read_bytes().replace(b'"line":0', b'"line":0.0'))
    said(capsys, 1, anchor.main(["verify", "run", "--key", key]))
    said(capsys, 1, anchor.main(["list", "run"]))


def test_a_resumed_run_knows_its_register_and_takes_other_anchors(capsys: pytest.CaptureFixture[str]) -> None:
    trainer_key.create(keyfile.default_path(), "trainer")
    register().rename("elsewhere")
    words = [*TRAIN, "--out", "run", "--register", "elsewhere", "--anchor", "file:a", "--anchor-every", "1"]
    said(capsys, 0, train.main(words))
    assert [entry.size for entry in entries(Path("elsewhere"))] == [1, 2, 3, 4]
    shutil.copytree("run", "copy")
    plan = json.loads(Path("run/private/train.json").read_text())
    assert (plan["register"], plan["anchors"], plan["anchor_every"]) == (
        str(Path("elsewhere").absolute()),
        ["file:a"],
        1,
    )
    _, err = said(capsys, 1, train.main(["--resume", "run", "--anchor", "file:b"]))
    assert "is complete" in err
    Path("elsewhere").rename("moved")
    _, err = said(capsys, 2, train.main(["--resume", "run"]))
    assert "there is no register in" in err
    _, err = said(capsys, 1, train.main(["--resume", "run", "--register", "moved"]))
    assert "is complete" in err


def test_runs_that_were_begun_and_are_not_here_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, 0, train.main([*TRAIN, "--out", "runs/kept"]))
    said(capsys, 0, train.main([*TRAIN, "--out", "runs/lost"]))
    shutil.rmtree("runs/lost")
    found, _ = asked(capsys, run.main, "list")
    assert [one["id"] for one in found["elsewhere"]] == [entries(register())[-1].run.hex()]
    assert found["runs"][0]["entry"]["kind"] == "close"
    out, _ = said(capsys, 0, run.main(["list"]))
    assert "not here" in out
    out, _ = said(capsys, 0, run.main(["status", "runs/kept"]))
    assert "closed, with 4 records at entry 1" in out
