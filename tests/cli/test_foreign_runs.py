"""A stranger's run names anchors and a register in its private folder, as one's own does: none of
them is used. Whoever looked at it would write where the stranger says, send access keys to them, or
have SQLite delete a file of theirs."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests import trainer_key
from tests.register.registers import set_trap
from zk_autograd.cli import anchor, run, train
from zk_autograd.core.records import header_digest
from zk_autograd.credentials import keyfile
from zk_autograd.register.place import place_of
from zk_autograd.run import anchoring, header_signature
from zk_autograd.run.layout import Layout
from zk_autograd.run.private_file import encode, read

pytestmark = pytest.mark.torch

TRAIN = ["--steps", "2", "--prover", "none", "--data", "breast-cancer", "--model", "logistic"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(anchoring, "LAST_WAIT", 0.3)
    at_home(monkeypatch, "own")
    return tmp_path


def at_home(monkeypatch: pytest.MonkeyPatch, whose: str) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(Path(f"{whose}-config").absolute()))
    monkeypatch.setenv("XDG_STATE_HOME", str(Path(f"{whose}-state").absolute()))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a stranger has: a run, its key and its register."""
    place = tmp_path_factory.mktemp("stranger")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        at_home(patch, "other")
        assert train.main([*TRAIN, "--out", "foreign"]) == 0
        shutil.copytree(
            place_of([signer.public_key for signer in keyfile.load(keyfile.default_path())]), "foreign/private/register"
        )
    return place


@pytest.fixture
def foreign(home: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A stranger's run, whose plan names an anchor, and a register in its folder."""
    shutil.copytree(trained, home, dirs_exist_ok=True)
    plan(Path("foreign"), anchors=["file:written"], register=str(Path("foreign/private/register").absolute()))
    at_home(monkeypatch, "own")
    trainer_key.create(keyfile.default_path(), "own")
    capsys.readouterr()
    return Path("foreign")


def plan(run: Path, **changes: Any) -> None:
    path = Layout(run).plan
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}, sort_keys=True, separators=(",", ":")))


def trapped(run: Path) -> Path:
    """A file that is deleted if the run's register is opened."""
    victim = Path("thesis.txt").absolute()
    victim.write_text("years of work")
    set_trap(run / "private/register", victim)
    return victim


def test_a_foreign_runs_anchors_and_register_are_not_published_to(
    foreign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = trapped(foreign)
    shutil.copy("other-config/zk-autograd/log.key.pub", "foreign/private/log.key.pub")
    for words, message in (
        ([], "name an anchor with --anchor"),
        (["--key-file", "foreign/private/log.key"], "name an anchor with --anchor"),
        (["--register", "foreign/private/other"], "name an anchor with --anchor"),
        (["--anchor", "file:own-anchor"], "there is no register in .*own-state"),
    ):
        assert anchor.main(["publish", "foreign", *words]) == 2
        assert re.search(message, capsys.readouterr().err)
    assert victim.exists()
    assert not Path("written").exists()
    assert not Path("own-anchor").exists()


def test_with_anchor_and_register_named_nothing_of_the_plan_is_used(
    foreign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree("foreign/private/register", "named")
    assert anchor.main(["publish", "foreign", "--register", "named", "--anchor", "file:own-anchor"]) == 0
    assert Path("own-anchor").exists()
    assert not Path("written").exists()


@pytest.mark.parametrize("key", ["own", "of the plan", "in the run", "default, by the plan"])
def test_a_foreign_run_is_resumed_with_nothing_of_its_plan(
    key: str, foreign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = trapped(foreign)
    words = ["--resume", "foreign"]
    if key == "own":
        words += ["--key-file", str(keyfile.default_path())]
    elif key == "in the run":
        shutil.copy("other-config/zk-autograd/log.key", "foreign/private/log.key")
        os.chmod("foreign/private/log.key", 0o600)
        words += ["--key-file", "foreign/private/log.key"]
    elif key == "default, by the plan":
        plan(foreign, key_file=str(keyfile.default_path().absolute()))
    assert train.main(words) in (1, 2)
    assert victim.exists(), capsys.readouterr().err
    assert not Path("written").exists()


def test_a_published_log_in_a_foreign_run_is_no_signature(foreign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The trainer signed its checkpoint, which everybody has; a private header without a signature,
    as runs of earlier versions have it, says nothing of who wrote the plan."""
    assert train.main([*TRAIN, "--out", "mine"]) == 0
    path = Layout(Path("mine")).header
    _, parts = read(path, "header", None)
    assert parts.pop(header_signature.PART)
    path.write_bytes(encode("header", header_digest(parts["leaf"]), {}, parts))
    shutil.copytree("foreign/private/register", "mine/private/register")
    plan(Path("mine"), anchors=["file:written"], register=str(Path("mine/private/register").absolute()))
    victim = trapped(Path("mine"))
    assert train.main(["--resume", "mine"]) in (1, 2)
    assert anchor.main(["publish", "mine"]) in (1, 2)
    assert victim.exists(), capsys.readouterr().err
    assert not Path("written").exists()


@pytest.mark.parametrize("words", [["status", "foreign"], ["list", "."]])
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_of_a_foreign_run_its_public_files_are_shown(
    words: list[str], form: list[str], foreign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = trapped(foreign)
    plan(foreign, anchors=["evm:http://never.example/,key=k", "file:written"])
    assert run.main([*words, *form]) == 0
    out, err = capsys.readouterr()
    assert victim.exists(), out
    assert "never.example" not in out + err
    assert "evm" not in out
    assert str(foreign / "private/register") not in out


def test_whose_anchors_lack_a_run_is_said_without_their_secrets(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The address of a node has its owner's token in its path, or before the host."""
    trainer_key.create(keyfile.default_path(), "own")
    Path("folder").mkdir()
    assert train.main([*TRAIN, "--out", "mine", "--anchor", "file:folder"]) == 3
    capsys.readouterr()
    plan(
        Path("mine"),
        anchors=[
            "file:folder",
            "evm:https://user:hush@node.example:8545/v3/hush,key=hush",
            "rfc3161:https://one.example/hush,https://two.example/?token=hush",
            "s3:bucket/hush@https://hush@store.example/hush",
            "dynamodb:table@[hush",
        ],
    )
    for form in ([], ["--json"]):
        assert run.main(["status", "mine", *form]) == 0
        out, err = capsys.readouterr()
        assert "hush" not in out + err
        shown = ["file:folder", "evm:node.example:8545", "rfc3161:one.example,two.example", "s3:bucket@store.example"]
        for word in (*shown, "dynamodb:table"):
            assert word in out, out
    Path("folder").rmdir()
    assert anchor.main(["publish", "mine", "--anchor", "file:folder"]) == 0
    capsys.readouterr()
    assert run.main(["status", "mine"]) == 0
    assert "file:folder" not in capsys.readouterr().out
