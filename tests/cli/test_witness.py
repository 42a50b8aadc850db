"""`zk-witness` as a function: output and exit status."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.witness.witnesses import Register
from zk_autograd.cli.verify import main as verify
from zk_autograd.cli.witness import main
from zk_autograd.core.cosigner import CosignerKey
from zk_autograd.core.tlog_policy import parse
from zk_autograd.witness.folder import Folder

REGISTER, BRANCH = Register(), Register(branch="'")
NAME = "witness.example/w1"


def trainer(path: Path, register: Register = REGISTER) -> str:
    """The trainer's FILE.pub, whose keys have another name than in the register."""
    (path / "log.key.pub").write_text("".join(f"{signer.public_key.encode()}\n" for signer in register.signers))
    return str(path / "log.key.pub")


def run(*arguments: str, folder: Path) -> int:
    return main([*arguments, "--dir", str(folder)])


@pytest.fixture
def folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A witness that knows the register."""
    assert run("new-key", NAME, folder=tmp_path / "w") == 0
    assert run("add-log", REGISTER.origin, trainer(tmp_path), folder=tmp_path / "w") == 0
    capsys.readouterr()
    return tmp_path / "w"


def test_new_key_makes_a_witness_that_only_its_owner_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a" / "w"
    assert run("new-key", NAME, folder=path) == 0
    shown = capsys.readouterr()
    assert shown.out == (path / "witness.key.pub").read_text()
    assert (path / "witness.key").stat().st_mode & 0o777 == 0o600
    assert path.stat().st_mode & 0o777 == 0o700
    assert "Never restore either from an older copy" in shown.err
    lines = "".join(f"witness w{n} {key}\n" for n, key in enumerate(shown.out.split()))
    keys = [one.key for one in parse(f"{lines}group g all w0 w1\nquorum g\n".encode()).witnesses.values()]
    assert [(key.name, int(key.scheme)) for key in keys] == [(NAME, 4), (NAME, 6)]
    assert all(isinstance(key, CosignerKey) for key in keys)
    secret = (path / "witness.key").read_bytes()
    assert run("new-key", NAME, folder=path) == 2
    assert "there is a database" in capsys.readouterr().err
    assert (path / "witness.key").read_bytes() == secret


def test_a_witness_lies_in_the_state_folder_unless_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert main(["new-key", NAME, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["dir"] == str(tmp_path / "zk-autograd" / "witness")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert main(["list"]) == 2
    assert str(tmp_path / "home/.local/state/zk-autograd/witness") in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", "a b", "a+b", "x" * 256, "a\x1b[31m"])
def test_a_name_that_is_none_leaves_nothing_behind(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("new-key", name, folder=tmp_path / "w") == 2
    shown = capsys.readouterr()
    assert "a witness's name is best a URL without https://" in shown.err
    assert "\x1b" not in shown.err
    assert list((tmp_path / "w").iterdir()) == []


def test_a_folder_that_others_can_write_to_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w").chmod(0o777)
    assert run("new-key", NAME, folder=tmp_path / "w") == 2
    assert "can be exchanged by others" in capsys.readouterr().err
    assert list((tmp_path / "w").iterdir()) == []


def test_add_log_takes_a_trainer_s_keys_as_they_sign_the_register(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Folder(folder).store().transaction() as transaction:
        (log,) = transaction.logs()
    assert list(log.keys) == REGISTER.keys
    assert run("add-log", REGISTER.origin, trainer(tmp_path), folder=folder) == 2
    assert "is there already" in capsys.readouterr().err
    other = Register(seed=2)
    assert run("add-log", other.origin, trainer(tmp_path), folder=folder) == 2
    assert f"is not that of these keys, but {REGISTER.origin} is" in capsys.readouterr().err


def test_add_log_takes_other_logs_with_their_keys_as_they_are(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = REGISTER.signers[0].public_key
    assert run("add-log", "log.example/a", key.encode(), key.encode(), folder=folder) == 0
    assert capsys.readouterr().out == f"log.example/a\n  signed by {key.label}\n"
    for origin in ("", "a\nb", "x" * 256):
        assert run("add-log", origin, key.encode(), folder=folder) == 2
        assert "can't be a log's origin" in capsys.readouterr().err
    assert run("add-log", "log.example/b", "no such file", folder=folder) == 2


def test_list_show_and_evidence(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A fork, from the refusal to the verdict of whoever gets the file."""
    out = tmp_path / "fork"
    assert run("list", folder=folder) == 0
    assert capsys.readouterr().out == f"{REGISTER.origin}  nothing cosigned yet, 0 refused\n"
    assert run("evidence", REGISTER.origin, "--out", str(out), folder=folder) == 3
    assert "no two notes" in capsys.readouterr().err
    assert not out.exists()
    witness = Folder(folder).witness()
    assert witness.add_checkpoint(REGISTER.body(0, 5)).status == 200
    assert witness.add_checkpoint(BRANCH.body(5, 5)).status == 422
    assert witness.add_checkpoint(BRANCH.body(5, 7)).status == 422

    root = REGISTER.checkpoint(5).head.root.hex()
    assert run("list", folder=folder) == 0
    assert re.fullmatch(
        rf"{REGISTER.origin}  cosigned {root}@5 at \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ, 2 refused\n",
        capsys.readouterr().out,
    )
    assert run("show", REGISTER.origin, folder=folder) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == [f"  signed by {key.label}" for key in REGISTER.keys]
    assert f"a fork: {BRANCH.checkpoint(5).head.root.hex()}@5" in lines[4]
    assert f"inconsistent, unproved: {BRANCH.checkpoint(7).head.root.hex()}@7" in lines[5]
    assert run("show", REGISTER.origin, "--json", folder=folder) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(note["fork"], note["size"]) for note in found["notes"]] == [(True, 5), (False, 7)]

    assert run("evidence", REGISTER.origin, "--out", str(out), folder=folder) == 0
    assert "shows a fork at 5 entries" in capsys.readouterr().out
    assert run("evidence", REGISTER.origin, "--out", str(out), folder=folder) == 2
    capsys.readouterr()
    keys = tmp_path / "register.pub"
    keys.write_text("".join(f"{key.encode()}\n" for key in REGISTER.keys))
    assert verify([str(out), "--key", str(keys)]) == 1
    assert "FORK PROVED" in capsys.readouterr().out


def test_an_unknown_log_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (("show",), ("evidence", "--out", str(folder / "x"))):
        assert run(*command, "log.example", folder=folder) == 2
        assert "doesn't know the log 'log.example'" in capsys.readouterr().err


@pytest.mark.parametrize("command", [("list",), ("show", "x"), ("serve",), ("add-log", "x", "y")])
def test_without_a_witness_one_sentence_says_what_to_do(
    command: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if command[0] == "add-log":
        command = ("add-log", "x", REGISTER.keys[0].encode())
    assert run(*command, folder=tmp_path / "none") == 2
    shown = capsys.readouterr().err
    assert "zk-witness new-key" in shown
    assert "--key-file" not in shown  # it has none
    if command[0] in ("serve", "add-log"):
        assert shown.endswith(f"`zk-witness new-key NAME --dir {tmp_path / 'none'}`\n")
    assert not (tmp_path / "none").exists()


def test_a_key_that_others_can_read_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "witness.key").chmod(0o644)
    assert run("add-log", "log.example", REGISTER.keys[0].encode(), folder=folder) == 2
    assert "can be read by others" in capsys.readouterr().err


DAMAGED: dict[str, Callable[[str], str]] = {
    "a log key": lambda text: text.replace("witness-key", "log-key"),
    "v2": lambda text: text.replace("/v1", "/v2"),
    "a line less": lambda text: text[: text.rindex("mldsa44")],
    "a line more": lambda text: text + "x: y\n",
    "a short seed": lambda text: re.sub(r"ed25519: .*", "ed25519: AAAA", text),
    "no base64": lambda text: re.sub(r"ed25519: .*", "ed25519: !", text),
    "a name that is none": lambda text: text.replace(NAME, "a b"),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_another_key_file_is_refused_without_its_content(
    what: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "witness.key"
    text = path.read_text()
    path.write_text(DAMAGED[what](text))
    assert run("add-log", "log.example", REGISTER.keys[0].encode(), folder=folder) == 2
    shown = capsys.readouterr().err
    assert f"{path} is no witness's key of this version" in shown
    for line in text.splitlines()[2:]:
        assert line.split(": ")[1] not in shown
