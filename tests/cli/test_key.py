"""`zk-key` as a function: output and exit status. What the file holds is
tests/optim/test_keyfile.py's."""

import json
from pathlib import Path

import pytest

from zk_autograd.cli.key import main
from zk_autograd.core.keys import PublicKey
from zk_autograd.credentials.keyfile import load


def test_new_prints_the_public_half_and_nothing_else_and_show_prints_it_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "keys" / "log.key"
    assert main(["new", "--key-file", str(path), "--name", "example.org/me"]) == 0
    shown = capsys.readouterr()
    assert shown.out.count("\n") == 1
    key = PublicKey.parse(shown.out.strip())
    assert key == load(path).public_key
    assert key.name == "example.org/me"
    assert "log.key.pub" in shown.err
    assert main(["show", "--key-file", str(path)]) == 0
    assert capsys.readouterr().out == shown.out


def test_json_names_key_id_and_file_and_no_secret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "log.key"
    assert main(["new", "--key-file", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    key = PublicKey.parse(found["key"])
    assert found == {
        "key": key.encode(), "name": "zk-autograd-trainer", "id": key.key_id.hex(), "key_file": str(path)
    }  # fmt: skip


def test_default_place_is_the_users_configuration_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert main(["show"]) == 2
    assert "make one with `zk-key new`" in capsys.readouterr().err
    assert main(["new"]) == 0
    assert load(tmp_path / "zk-autograd" / "log.key").public_key.encode() in capsys.readouterr().out


def test_key_that_exists_is_kept_and_exits_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "log.key"
    main(["new", "--key-file", str(path)])
    before = path.read_bytes()
    assert main(["new", "--key-file", str(path)]) == 2
    assert "never overwritten" in capsys.readouterr().err
    assert path.read_bytes() == before


@pytest.mark.parametrize("flags", [[], ["rotate"], ["show", "--name", "x"]])
def test_wrong_flags_exit_2(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(flags)
    assert caught.value.code == 2
    assert "usage: zk-key" in capsys.readouterr().err
