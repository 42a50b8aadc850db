"""`zk-run sign` and `zk-run provenance`, `zk-key new-model-key`, and `zk-verify --model-key`, as
functions: what they print and leave, and their exit status."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.attest.signed_runs import OTHER, written
from tests.verify.run_builder import KEY, honest
from zk_autograd import verify_run
from zk_autograd.cli import key, run, verify
from zk_autograd.core.ec_keys import EcPublicKey
from zk_autograd.core.errors import UsageError

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def zk(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command; gives exit status, standard output and standard error."""

    def command(main: Any, *words: object) -> tuple[int, str, str]:
        status = main([str(word) for word in words])
        return status, *capsys.readouterr()

    return command


@pytest.fixture
def here(tmp_path: Path, zk: Command, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run and the user's model key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("ZK_AUTOGRAD_CACHE", str(tmp_path / "cache"))
    assert zk(key.main, "new-model-key", "--key-file", "model.key")[0] == 0
    written(tmp_path / "run")
    return tmp_path


def look(zk: Command, place: object, *words: object) -> tuple[int, str, str]:
    return zk(verify.main, place, "--key", KEY.encode(), "--require", "L0", *words)


def test_a_model_key_is_printed_in_public_alone(tmp_path: Path, zk: Command) -> None:
    status, out, err = zk(key.main, "new-model-key", "--key-file", tmp_path / "k")
    public = EcPublicKey.parse(out.encode())
    assert (status, public.pem) == (0, (tmp_path / "k.pub").read_bytes())
    assert "PRIVATE" in (tmp_path / "k").read_text()
    assert "PRIVATE" not in out + err
    assert zk(key.main, "new-model-key", "--key-file", tmp_path / "k")[0] == 2
    status, out, _ = zk(key.main, "new-model-key", "--key-file", tmp_path / "j", "--json")
    found = json.loads(out)
    assert found["fingerprint"] == EcPublicKey.parse(found["key"].encode()).fingerprint


def test_a_run_is_signed_and_verifies_with_and_without_the_key(here: Path, zk: Command) -> None:
    status, out, err = zk(run.main, "sign", "run", "--key-file", "model.key")
    assert (status, err) == (0, "")
    assert "model_signing verify key run/model --signature run/model.sig --public_key model.key.pub" in out
    assert look(zk, "run")[0] == 0
    status, out, _ = look(zk, "run", "--model-key", "model.key.pub")
    fingerprint = EcPublicKey.parse((here / "model.key.pub").read_bytes()).fingerprint
    assert (status, len(out.splitlines()) <= 12) == (0, True)
    assert f"; the model by {fingerprint[:16]}..." in out
    assert "; the model by" not in look(zk, "run")[1]
    status, out, _ = look(zk, "run", "--model-key", "model.key.pub", "--long")
    assert "the model signature is by the pinned model key" in out
    zk(run.main, "bundle", "run", "--out", "run.tar")
    assert look(zk, "run.tar", "--model-key", "model.key.pub")[0] == 0
    report = verify_run("run", [KEY], require=["L0"], model_key=(here / "model.key.pub").read_bytes())
    assert report.exit_status == 0
    assert verify_run("run", [KEY], require=["L0"], model_key=OTHER.public_key.pem).exit_status == 1


def test_the_root_digest_is_printed_and_the_default_key_is_taken(here: Path, zk: Command) -> None:
    assert zk(run.main, "sign", "run")[0] == 2
    assert zk(key.main, "new-model-key")[0] == 0
    found = json.loads(zk(run.main, "sign", "run", "--json", "--out", "a.sig")[1])
    public = here / "config/zk-autograd/model.key.pub"
    shown = look(zk, "run", "--model-key", public, "--model-signature", "a.sig", "--long")[1]
    assert found["root_digest"] in shown
    assert not (here / "run/model.sig").exists()


def test_nothing_is_overwritten_and_nothing_written_that_is_not_true(here: Path, zk: Command) -> None:
    sign = ("sign", "run", "--key-file", "model.key")
    (here / "run/model.sig").write_bytes(b"old")
    status, _, err = zk(run.main, *sign)
    assert (status, (here / "run/model.sig").read_bytes()) == (1, b"old")
    assert "already exists; choose another --out, or remove it" in err
    (here / "run/model.sig").unlink()
    (here / "run/model/weights.bin").write_bytes(b"x")
    status, _, err = zk(run.main, *sign)
    assert status == 1
    assert "holds what no record names: 'weights.bin'" in err
    (here / "run/model/weights.bin").unlink()
    (here / "run/model/opening.json").write_bytes(b"{}")
    assert zk(run.main, *sign)[0] == 1
    assert zk(run.main, "provenance", "run", "--out", "p.json")[0] == 1
    open_run = honest("none")
    open_run.close = None
    open_run.write(here / "open")
    status, _, err = zk(run.main, "sign", "open", "--key-file", "model.key")
    assert status == 1
    assert "is unfinished" in err
    assert not [p.name for p in here.rglob("*") if p.suffix in (".sig", ".tmp") or p.name == "p.json"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sign", "none", "--key-file", "model.key"], "is not the folder of a run"),
        (["sign", ".", "--key-file", "model.key"], "is not a run"),
        (["sign", "run", "--key-file", "model.key.pub"], "can be read by others"),
        (["sign", "run", "--key-file", "nokey"], "there is no model key at nokey"),
        (["provenance", "run", "--key-file", "nokey"], "there is no model key at nokey"),
    ],
)
def test_what_can_not_be_meant_exits_2(words: list[str], message: str, here: Path, zk: Command) -> None:
    status, _, err = zk(run.main, *words)
    assert (status, message in err) == (2, True), err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model-signature", "run/model.sig"], "give --model-key"),
        (["--model-key", "none"], "can't be read"),
        (["--model-key", "model.key"], "it is not one public key in PEM"),
        (["--model-key", "model.key.pub", "--model-signature", "none"], "can't be read"),
        (["--model-key", "model.key.pub", "--model-signature", "run"], "it is a folder"),
    ],
)
def test_flags_that_can_not_be_meant_exit_2(words: list[str], message: str, here: Path, zk: Command) -> None:
    zk(run.main, "sign", "run", "--key-file", "model.key")
    status, out, err = look(zk, "run", *words)
    assert (status, out) == (2, "")
    assert message in err
    assert (here / "model.key").read_text().splitlines()[1] not in err


def test_python_refuses_what_the_command_refuses() -> None:
    with pytest.raises(UsageError, match="not a key"):
        verify_run("run", [], model_key=b"x")


def test_status_line_and_json_agree_on_a_false_signature(here: Path, zk: Command) -> None:
    zk(run.main, "sign", "run", "--key-file", "model.key")
    zk(key.main, "new-model-key", "--key-file", "other")
    status, out, _ = look(zk, "run", "--model-key", "other.pub")
    assert (status, out.splitlines()[0]) == (1, "verdict: FAILED")
    assert "Fix: don't use these files" in out
    status, out, _ = look(zk, "run", "--model-key", "other.pub", "--json")
    found = json.loads(out)
    assert (status, found["exit_status"], found["verdict"]) == (1, 1, "FAILED")
    assert found["failure"]["step"] == 10
    shutil.rmtree(here / "run/model")
    assert look(zk, "run", "--model-key", "model.key.pub")[0] == 1


def test_provenance_is_printed_or_written_and_signed_if_asked(here: Path, zk: Command) -> None:
    status, out, _ = zk(run.main, "provenance", "run")
    statement = json.loads(out)
    assert (status, statement["predicateType"]) == (0, "https://slsa.dev/provenance/v1")
    assert json.loads(zk(run.main, "provenance", "run", "--json")[1]) == statement
    status, out, _ = zk(run.main, "provenance", "run", "--out", "p.json")
    assert out == "p.json: unsigned provenance; what it says is the trainer's word\n"
    assert json.loads((here / "p.json").read_bytes()) == statement
    assert zk(run.main, "provenance", "run", "--out", "p.json")[0] == 1
    status, out, _ = zk(run.main, "provenance", "run", "--key-file", "model.key")
    assert json.loads(out)["payloadType"] == "application/vnd.in-toto+json"
