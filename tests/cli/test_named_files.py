"""Files that a user names: what is no regular file is refused in a sentence, at once; a link is
followed."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.another_user import as_another, public_folder
from tests.prove.ezkl.test_keys import fake_srs
from zk_autograd.cli import circuit, key, train, verify
from zk_autograd.core.errors import UsageError
from zk_autograd.local import csv_file
from zk_autograd.local.csv_name import CsvFile
from zk_autograd.local.named_files import read_named
from zk_autograd.prove.ezkl import keys
from zk_autograd.prove.ezkl.keys import Cache, file_digest, srs_logrows


@contextmanager
def at_once() -> Iterator[None]:
    """What waits for a pipe would wait for ever."""

    def end(*_: object) -> None:
        raise TimeoutError("it waits")

    old = signal.signal(signal.SIGALRM, end)
    signal.alarm(60)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZK_AUTOGRAD_CACHE", str(tmp_path / "cache"))
    (tmp_path / "here" / "run" / "log").mkdir(parents=True)
    (tmp_path / "here" / "run" / "log" / "records.jsonl").touch()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def listening(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path)


KINDS: dict[str, tuple[Callable[[str], object], str]] = {
    "pipe": (os.mkfifo, "a pipe"),
    "folder": (os.mkdir, "a folder"),
    "socket": (listening, "a socket"),
    "device": (lambda path: os.symlink("/dev/zero", path), "a device"),
}

Main = Callable[[list[str]], int]
COMMANDS: dict[str, tuple[Main, list[str]]] = {
    "config": (train.main, ["--config", "it"]),
    "srs to add": (circuit.main, ["srs", "--add", "it"]),
    "srs to name": (circuit.main, ["srs", "--digest", "it"]),
    "witness": (circuit.main, ["explain", "native/adam-standard", "--witness", "it"]),
    "srs of a verifier": (verify.main, ["run", "--srs", "it"]),
    "key file": (key.main, ["show", "--key-file", "it"]),
    "public key": (verify.main, ["run", "--key", "it"]),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_no_regular_file_is_refused_at_once(
    command: str, kind: str, here: Path, native_prover: None, capsys: pytest.CaptureFixture[str]
) -> None:
    make, name = KINDS[kind]
    make("it")
    main, flags = COMMANDS[command]
    with at_once():
        assert main(flags) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("error: ")
    assert "it" in err
    if command not in ("key file", "public key"):  # which have sentences of their own
        assert f"it can't be read: it is {name}, and must be a regular file" in err


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_that_is_none_is_refused_at_once(kind: str) -> None:
    make, name = KINDS[kind]
    make("it")
    with at_once(), pytest.raises(UsageError, match=f"the table it can't be read: it is {name}"):
        csv_file.read(CsvFile("it"))


def test_what_is_not_there_is_named() -> None:
    os.symlink("nowhere", "dangling")
    os.symlink("loop", "loop")
    for name in ("missing", "dangling", "loop", "x" * 5000, "missing/file", "a\0b"):
        with pytest.raises(UsageError, match=r"the config .* can't be read: "):
            read_named(Path(name), "the config", 100)


def test_links_are_followed_and_sizes_are_bounded() -> None:
    Path("real.toml").write_bytes(b"steps = 1\n")
    os.symlink("real.toml", "link.toml")
    assert read_named(Path("link.toml"), "the config", 10) == b"steps = 1\n"
    with pytest.raises(UsageError, match=r"the config link\.toml has more than 9 bytes; give a smaller one"):
        read_named(Path("link.toml"), "the config", 9)
    with pytest.raises(UsageError, match="the file /proc/self/environ has more than 0 bytes"):
        read_named(Path("/proc/self/environ"), "the file", 0)  # a size of 0, and yet there are bytes


def test_an_srs_behind_a_link_is_added(tmp_path: Path) -> None:
    fake_srs(tmp_path / "srs", 16)
    os.symlink(tmp_path / "srs", "link")
    assert srs_logrows(Path("link")) == 16
    assert Cache().add_srs(Path("link")) == file_digest(tmp_path / "srs")


def test_a_witness_behind_a_link_is_read(here: Path, native_prover: None, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("real.npz", nothing=np.zeros(1, np.int64))
    os.symlink("real.npz", "link.npz")
    assert circuit.main(["explain", "native/adam-standard", "--witness", "link.npz"]) == 2
    assert "must hold the arrays" in capsys.readouterr().err


def test_what_another_user_may_not_read_is_status_4() -> None:
    with public_folder() as place:
        (place / "secret").write_text("steps = 1")
        (place / "secret").chmod(0o600)
        for flags in (
            ("circuit", "srs", "--digest", "secret"),
            ("circuit", "explain", "native/adam-standard", "--witness", "secret"),
            ("key", "show", "--key-file", "secret"),
            ("key", "new", "--key-file", "mine.key"),
            ("circuit", "srs", "--add", "secret"),
        ):
            done = as_another(*flags, cwd=place)
            assert (done.returncode, done.stdout) == (4, ""), (flags, done.stderr)
            assert "Permission denied" in done.stderr
            assert done.stderr.count("\n") == 1


def test_a_full_disk_is_no_wrong_usage(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    free = os.statvfs(small_disk).f_bavail
    (small_disk / "ballast").write_bytes(bytes(4096 * free))
    assert key.main(["new", "--key-file", str(small_disk / "log.key")]) == 4
    assert "No space left on device; choose another --key-file" in capsys.readouterr().err
    assert os.listdir(small_disk) == ["ballast"]
    monkeypatch.setenv("ZK_AUTOGRAD_CACHE", str(small_disk / "cache"))
    monkeypatch.setattr(keys, "require_own", lambda folder, advice: None)  # this disk has no path that leads there
    assert circuit.main(["srs", "--add", str(fake_srs(Path("srs"), 16))]) == 4
    assert "No space left on device" in capsys.readouterr().err


def test_a_place_that_is_not_there_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").touch()
    assert key.main(["new", "--key-file", "file/log.key"]) == 2
    assert circuit.main(["srs", "--out", "file/new.srs"]) == 2
    assert "can't be written" in capsys.readouterr().err
