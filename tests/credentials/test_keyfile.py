import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from zk_autograd.core.errors import UsageError
from zk_autograd.core.keys import Ed25519Signer, MlDsa44Signer, parse_keys
from zk_autograd.credentials.keyfile import (
    create,
    default_path,
    is_public_half,
    load,
    load_or_make,
    public_path,
    public_text,
    secret_text,
)
from zk_autograd.optim.recording import key_to_make

SEED = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
SECOND = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="
OLD = f"zk-autograd/log-key/v0\nname: me\ned25519: {SEED}\n"
TEXT = f"zk-autograd/log-key/v1\nname: me\ned25519: {SEED}\nmldsa44: {SECOND}\n"
BOTH = [Ed25519Signer("me", bytes(range(32))), MlDsa44Signer("me", bytes(range(32, 64)))]


def written(path: Path, text: str | bytes, mode: int = 0o600) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def test_new_key_is_read_back_and_only_its_owner_can(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "log.key"
    before = os.umask(0o777)
    try:
        os.umask(0o022)
        signers = create(path, "me")
    finally:
        os.umask(before)
    assert load(path) == signers
    assert [type(signer) for signer in signers] == [Ed25519Signer, MlDsa44Signer]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert parse_keys(public_path(path).read_text()) == tuple(signer.public_key for signer in signers)
    assert public_path(path).read_text() == public_text(signers)
    seeds = {signer.seed for signer in (*signers, *create(tmp_path / "other", "me"))}
    assert len(seeds) == 4


def test_file_holds_version_name_and_seeds(tmp_path: Path) -> None:
    assert load(written(tmp_path / "key", TEXT)) == BOTH
    assert secret_text(load(tmp_path / "key")) == TEXT


def test_a_file_of_v0_holds_an_ed25519_key_alone(tmp_path: Path) -> None:
    assert load(written(tmp_path / "key", OLD)) == BOTH[:1]


def test_the_public_half_is_told_from_another(tmp_path: Path) -> None:
    path = tmp_path / "key"
    keys = [signer.public_key.encode() for signer in create(path, "me")]
    assert is_public_half(path, keys)
    for others in (keys[:1], keys[::-1], [*keys, keys[0]], []):
        assert not is_public_half(path, others)
    public_path(path).write_text(public_path(path).read_text() + "x")
    assert not is_public_half(path, keys)
    public_path(path).unlink()
    assert not is_public_half(path, keys)


@pytest.mark.parametrize("taken", ["key", "key.pub"])
def test_key_is_never_overwritten(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).symlink_to("nowhere")
    with pytest.raises(UsageError, match=rf"{taken} exists, and a key is never overwritten; choose another"):
        create(tmp_path / "key", "me")
    assert [path.name for path in tmp_path.iterdir()] == [taken]


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "x" * 256])
def test_name_that_no_note_can_bear_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="--name: key name"):
        create(tmp_path / "key", name)
    assert list(tmp_path.iterdir()) == []


def test_place_that_can_not_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"can't write the key to .*file/key: .*choose another --key-file"):
        create(tmp_path / "file" / "key", "me")


def test_key_without_its_public_half_is_not_left_behind(tmp_path: Path) -> None:
    name = "k" * 252  # with ".pub" too long for a file's name
    with pytest.raises(UsageError, match="can't write the key"):
        create(tmp_path / name, "me")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_key_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(UsageError, match=rf"can be read by others \(mode {mode:04o}\): `chmod 600 "):
        load(written(tmp_path / "key", TEXT, mode))


def test_missing_key_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"there is no log key at .*nokey: make one with `zk-key new` --key-file .*nokey"
    ):
        load(tmp_path / "nokey")


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / kind
    if kind == "pipe":
        os.mkfifo(path, 0o600)
    else:
        path.mkdir(0o700)
    with pytest.raises(UsageError, match=r"is no file|Is a directory"):
        load(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT.replace("v1", "v0"),
        TEXT.replace("v1", "v2"),
        OLD.replace("v0", "v1"),
        OLD.replace("ed25519", "mldsa44"),
        OLD + "\n",
        TEXT.replace(SECOND, SECOND[:-4]),
        "\n".join([*TEXT.split("\n")[:2], *TEXT.split("\n")[3:1:-1], ""]),
        TEXT.replace("mldsa44", "ed25519"),
        TEXT + "\n",
        TEXT[:-1],
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("name: ", "name:"),
        TEXT.replace("name: me", "name: m e"),
        TEXT.replace("ed25519", "ml-dsa"),
        TEXT.replace(SEED, SEED[:-4]),
        TEXT.replace(SEED, SEED[:-2] + "9="),
        TEXT.replace(SEED, "!" + SEED[1:]),
        TEXT + "comment: no\n",
        TEXT + "x",
        TEXT.encode() + b"\xff",
        TEXT + " " * 5000,
    ],
)
def test_file_of_another_form_is_refused_and_its_secret_not_told(tmp_path: Path, text: str | bytes) -> None:
    with pytest.raises(UsageError, match="is no log key of this version") as caught:
        load(written(tmp_path / "key", text))
    assert SEED[:8] not in str(caught.value)


def test_default_is_in_the_configuration_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert default_path() == tmp_path / "zk-autograd" / "log.key"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", "/somewhere")
    assert default_path() == Path("/somewhere/.config/zk-autograd/log.key")


TOGETHER = """
import sys
from pathlib import Path
from zk_autograd.credentials.keyfile import load_or_make, public_path, public_text
sys.stdin.readline()
signers = load_or_make(Path(sys.argv[1]))
assert public_path(Path(sys.argv[1])).read_text() == public_text(signers)
print(" ".join(signer.seed.hex() for signer in signers))
"""


def test_processes_that_make_a_key_at_once_get_the_same_one(tmp_path: Path) -> None:
    for attempt in range(3):
        path = tmp_path / str(attempt) / "config" / "log.key"
        words = [sys.executable, "-c", TOGETHER, str(path)]
        pipe = subprocess.PIPE
        makers = [subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) for _ in range(6)]
        try:
            for maker in makers:
                assert maker.stdin is not None
                maker.stdin.write("go\n")
                maker.stdin.flush()
            seeds = {maker.communicate(timeout=300)[0] for maker in makers}
            assert [maker.returncode for maker in makers] == [0] * 6
        finally:
            for maker in makers:
                maker.kill()
                maker.wait()
        assert seeds == {" ".join(signer.seed.hex() for signer in load(path)) + "\n"}
        assert sorted(os.listdir(path.parent)) == ["log.key", "log.key.pub"]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_key_that_is_there_is_taken_and_its_public_half_completed(tmp_path: Path) -> None:
    signers = create(tmp_path / "key", "me")
    public_path(tmp_path / "key").unlink()
    assert load_or_make(tmp_path / "key") == signers
    assert public_path(tmp_path / "key").read_text() == public_text(signers)
    (tmp_path / "key").unlink()
    with pytest.raises(UsageError, match=r"key\.pub is there without its key"):
        load_or_make(tmp_path / "key")
    assert os.listdir(tmp_path) == ["key.pub"]


def test_a_file_system_without_hard_links_gets_a_key_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    signers = load_or_make(tmp_path / "key")
    assert load_or_make(tmp_path / "key") == signers
    assert sorted(os.listdir(tmp_path)) == ["key", "key.pub"]


@pytest.mark.parametrize("there", [True, False])
def test_no_default_key_is_made_where_others_could_exchange_it(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told when the optimizer is made, before there is a folder or a step."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config").mkdir(mode=0o700)
    (tmp_path / "config").chmod(0o777)
    if there:
        (tmp_path / "config" / "zk-autograd").mkdir(mode=0o700)
    with pytest.raises(UsageError, match=r"can be exchanged by others .*--key-file, or key= of ZKOptimizer"):
        key_to_make(None)
    assert list(tmp_path.rglob("*.key")) == []
    assert (tmp_path / "config" / "zk-autograd").exists() == there
    (tmp_path / "config").chmod(0o700)
    assert key_to_make(None) == default_path()
