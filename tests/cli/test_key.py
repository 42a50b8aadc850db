"""`zk-key` as a function: output and exit status. What the file holds is
tests/optim/test_keyfile.py's."""

import json
from pathlib import Path

import pytest

from zk_autograd.cli.key import main
from zk_autograd.core.keys import Algorithm, parse_keys
from zk_autograd.core.text import encode_base64
from zk_autograd.credentials.keyfile import load, public_text
from zk_autograd.vault import recipient_files

RUNS = Path(__file__).resolve().parents[1] / "data" / "runs"


def test_new_prints_the_path_of_the_public_half_and_show_its_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "keys" / "log.key"
    assert main(["new", "--key-file", str(path), "--name", "example.org/me"]) == 0
    shown = capsys.readouterr()
    assert shown.out == f"{path}.pub\n"
    assert f"the secret key is {path}: keep it to yourself" in shown.err
    assert main(["show", "--key-file", str(path)]) == 0
    lines = capsys.readouterr().out
    assert lines == Path(f"{path}.pub").read_text()
    keys = parse_keys(lines)
    assert keys == tuple(signer.public_key for signer in load(path))
    assert [(key.name, key.algorithm) for key in keys] == [("example.org/me", kind) for kind in Algorithm]


def test_json_names_keys_and_files_and_no_secret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "log.key"
    assert main(["new", "--key-file", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    rows = [
        {"key": key.encode(), "algorithm": key.algorithm.title, "name": "zk-autograd-trainer", "id": key.key_id.hex()}
        for key in parse_keys(Path(f"{path}.pub").read_text())
    ]
    assert [row["algorithm"] for row in rows] == ["Ed25519", "ML-DSA-44"]
    assert found == {"keys": rows, "key_file": str(path), "public_file": f"{path}.pub", "kept": None}


def test_default_place_is_the_users_configuration_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert main(["show"]) == 2
    assert "make one with `zk-key new`" in capsys.readouterr().err
    assert main(["new"]) == 0
    path = tmp_path / "zk-autograd" / "log.key"
    assert capsys.readouterr().out == f"{path}.pub\n"
    assert main(["show"]) == 0
    assert capsys.readouterr().out == public_text(load(path))


def test_rotate_says_what_the_auditors_are_to_be_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "log.key"
    path.write_bytes((RUNS / "test.key").read_bytes())
    path.chmod(0o600)
    assert main(["rotate", "--key-file", str(path)]) == 0
    upgraded = capsys.readouterr()
    assert upgraded.out == f"{path}.pub\n"
    assert f"{path} keeps its Ed25519 key, and has an ML-DSA-44 key beside it" in upgraded.err
    assert f"verified with {path}.1.pub" in upgraded.err
    assert Path(f"{path}.1.pub").read_bytes() == (RUNS / "test.key.pub").read_bytes()
    assert main(["rotate", "--key-file", str(path), "--json"]) == 0
    told = capsys.readouterr()
    assert f"{path} has new keys; the file that was there is kept as {path}.2" in told.err
    assert f"resumed with --key-file {path}.2" in told.err
    assert json.loads(told.out)["kept"] == f"{path}.2"
    Path(f"{path}.pub").write_bytes(Path(f"{path}.2.pub").read_bytes())  # as a crash before the last write leaves it
    assert main(["rotate", "--key-file", str(path)]) == 0
    assert "was interrupted before its last write" in capsys.readouterr().err
    assert Path(f"{path}.pub").read_text() == public_text(load(path))
    secrets = [signer.seed for file in (path, Path(f"{path}.1"), Path(f"{path}.2")) for signer in load(file)]
    for seed in secrets:
        assert encode_base64(seed) not in upgraded.out + upgraded.err + told.out + told.err


def test_key_that_exists_is_kept_and_exits_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "log.key"
    main(["new", "--key-file", str(path)])
    before = path.read_bytes()
    assert main(["new", "--key-file", str(path)]) == 2
    assert "never overwritten" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert main(["rotate", "--key-file", str(tmp_path / "nowhere")]) == 2
    assert "there is no log key at" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [[], ["turn"], ["show", "--name", "x"], ["rotate", "--name", "x"]])
def test_wrong_flags_exit_2(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(flags)
    assert caught.value.code == 2
    assert "usage: zk-key" in capsys.readouterr().err


def test_a_workers_key_is_made_once_and_its_public_half_is_what_the_trainer_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from zk_autograd.workers.sealing import read_recipient, read_worker_key

    path = tmp_path / "worker.key"
    assert main(["new-worker-key", "--key-file", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}.pub\n"
    assert read_recipient(tmp_path / "worker.key.pub") == read_worker_key(path).recipient
    assert path.stat().st_mode & 0o777 == 0o600
    assert main(["new-worker-key", "--key-file", str(path)]) == 2
    assert "never overwritten" in capsys.readouterr().err


def test_a_recipient_s_key_is_made_shown_and_never_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = tmp_path / "zk-autograd" / "recipient.key"
    assert main(["show", "--for", "recipient"]) == 2
    assert "make one with `zk-key new --for recipient`" in capsys.readouterr().err
    assert main(["new", "--for", "recipient"]) == 0
    made = capsys.readouterr()
    assert made.out == f"{path}.pub\n"
    key = recipient_files.load(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert recipient_files.load_public(Path(f"{path}.pub"), "it") == key.recipient
    assert main(["show", "--for", "recipient", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["key"] == Path(f"{path}.pub").read_text()
    assert shown["fingerprint"] == key.recipient.fingerprint
    assert main(["show", "--for", "recipient"]) == 0
    assert capsys.readouterr().out == shown["key"]
    before = path.read_bytes()
    for flags in (["new", "--for", "recipient"], ["new", "--for", "recipient", "--name", "me"]):
        assert main(flags) == 2
    told = capsys.readouterr().err
    assert "a key is never overwritten" in told and "has no --name" in told
    assert path.read_bytes() == before
    secret = before.decode().splitlines()[1]
    assert secret not in made.err + told + json.dumps(shown)


def test_a_recipient_s_key_is_no_log_key_nor_the_other_way_round(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, recipient = tmp_path / "log.key", tmp_path / "recipient.key"
    assert main(["new", "--key-file", str(log), "--register", str(tmp_path / "register")]) == 0
    assert main(["new", "--for", "recipient", "--key-file", str(recipient)]) == 0
    capsys.readouterr()
    assert main(["show", "--for", "recipient", "--key-file", str(log)]) == 2
    assert "is no recipient's private key" in capsys.readouterr().err
    assert main(["show", "--key-file", str(recipient)]) == 2
    assert "is no log key" in capsys.readouterr().err
    Path(f"{recipient}.pub").chmod(0o600)
    assert main(["show", "--for", "recipient", "--key-file", f"{recipient}.pub"]) == 2
    assert "it is the public half" in capsys.readouterr().err
    recipient.chmod(0o644)
    assert main(["show", "--for", "recipient", "--key-file", str(recipient)]) == 2
    assert "can be read by others" in capsys.readouterr().err
