"""Several processes at once, and processes that are killed at any moment: no entry is lost or
doubled, and what a view showed stays."""

import fcntl
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from tests.forks import forking
from tests.register.registers import KEYS, SIGNERS, entry, filled, run_id
from zk_autograd.core.errors import StorageError
from zk_autograd.core.register import Entry
from zk_autograd.register import publishing
from zk_autograd.register.checking import check
from zk_autograd.register.register import Register


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "register"


@pytest.fixture
def started() -> Iterator[list["subprocess.Popen[str]"]]:
    """What still runs at the end is killed."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def start(folder: Path, first: int, count: int) -> "subprocess.Popen[str]":
    words = [sys.executable, "-m", "tests.register.entering", str(folder), str(first), str(count)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


def all_at_once(folder: Path, started: list["subprocess.Popen[str]"], processes: int, runs: int) -> dict[int, Entry]:
    """So many processes enter so many runs each; the entries by the index that was shown."""
    started += [start(folder, number * runs, runs) for number in range(processes)]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    shown: dict[int, Entry] = {}
    for process in started:
        out, _ = process.communicate()
        assert process.returncode == 0
        for line in out.splitlines():
            run, size, index = map(int, line.split())
            assert index not in shown, "shown twice"
            shown[index] = entry(run, size, close=size > 1)
    return shown


def require_exactly(folder: Path, shown: dict[int, Entry]) -> None:
    with Register(folder, SIGNERS) as register:
        assert check(register) == len(shown)
        assert register.entries(0, len(shown)) == [shown[index].encode() for index in range(len(shown))]


@pytest.mark.slow
def test_two_processes_at_once(folder: Path, started: list["subprocess.Popen[str]"]) -> None:
    Register.begin(folder, SIGNERS).close()
    shown = all_at_once(folder, started, 2, 10)
    assert len(shown) == 40
    require_exactly(folder, shown)


@pytest.mark.long
def test_sixteen_processes_and_ten_thousand_entries(folder: Path, started: list["subprocess.Popen[str]"]) -> None:
    Register.begin(folder, SIGNERS).close()
    shown = all_at_once(folder, started, 16, 313)
    assert len(shown) == 2 * 16 * 313 > 10_000
    require_exactly(folder, shown)


def test_a_writer_that_hangs_is_waited_for_no_longer_than_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopped process has its turn for ever; the register is right without turns."""
    monkeypatch.setattr("zk_autograd.register.database.BUSY_SECONDS", 0.1)
    with filled(folder, 1) as register:
        fd = os.open(folder, os.O_RDONLY)
        fcntl.flock(fd, fcntl.LOCK_EX)
        start = time.monotonic()
        register.enter(entry(1, 1))
        assert time.monotonic() - start >= 0.1
        os.close(fd)
        register.enter(entry(2, 1))
        assert check(register) == 3


@forking
def test_a_child_that_was_forked_meanwhile_keeps_no_lock(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training loads its data in such children, and they live as long as it does."""
    monkeypatch.setattr("zk_autograd.register.database.BUSY_SECONDS", 3)
    child = 0
    try:
        with filled(folder, 1) as register:
            with register.database.writing(), publishing._alone(folder.parent):
                child = os.fork()
                if child == 0:
                    time.sleep(60)
                    os._exit(0)
            start = time.monotonic()
            register.enter(entry(1, 1))
            with publishing._alone(folder.parent):
                pass
            assert time.monotonic() - start < 2
    finally:
        if child:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def test_threads_of_one_process(folder: Path) -> None:
    """The proving thread enters, and the anchoring thread reads."""
    with Register.begin(folder, SIGNERS) as register:

        def enter(run: int) -> None:
            register.enter(entry(run, 1))
            register.consistency(1, register.checkpoint.head.size)
            register.enter(entry(run, 5, close=True))

        threads = [Thread(target=enter, args=(run,)) for run in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert check(register) == 16


def killed(folder: Path, run: int, after: float, started: list["subprocess.Popen[str]"]) -> list[tuple[int, int, int]]:
    """What a process showed until it was killed, `after` seconds into its work."""
    process = start(folder, run, 1000)
    started.append(process)
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    out, _ = process.communicate()
    return [
        (run, size, index)
        for line in out.splitlines(True)
        if line.endswith("\n")
        for run, size, index in [map(int, line.split())]
    ]


@pytest.mark.parametrize("rounds", [pytest.param(6, marks=pytest.mark.slow), pytest.param(150, marks=pytest.mark.long)])
def test_killed_at_any_moment(folder: Path, started: list["subprocess.Popen[str]"], rounds: int) -> None:
    """Every view that was shown holds afterwards, and the register goes on."""
    chance = random.Random(13)
    Register.begin(folder, SIGNERS).close()
    seen, size = 0, 0
    for number in range(rounds):
        shown = killed(folder, 1000 * number, chance.uniform(0, 0.06), started)
        with Register(folder, SIGNERS) as register:
            newest = register.checkpoint.head.size
            assert newest >= size + len(shown)
            assert newest <= size + len(shown) + 1, "one may be entered and not yet shown"
            for run, records, index in shown:
                assert register.entries(index, index + 1) == [entry(run, records, close=records > 1).encode()]
            assert check(register) == newest
            register.enter(entry(10**9 + number, 1))
            size = newest + 1
        seen += len(shown)
    assert seen


# ---- killed at every write ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def killer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that kills."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler, which builds what kills a process at a chosen write")
    library = tmp_path_factory.mktemp("killer") / "killer.so"
    source = Path(__file__).with_name("killer.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    return library


@pytest.mark.parametrize(
    "act",
    [
        pytest.param("enter", marks=pytest.mark.slow),
        pytest.param("begin", marks=pytest.mark.long),
        pytest.param("publish", marks=pytest.mark.long),
        pytest.param("recover", marks=pytest.mark.long),
    ],
)
def test_killed_between_any_two_writes(killer: Path, tmp_path: Path, act: str) -> None:
    """Whatever a kill leaves goes on; tests.register.killed says for each what that is."""
    place = tmp_path / "place"
    place.mkdir()
    words = [sys.executable, "-m", "tests.register.killed", str(killer), str(place / "register"), act]
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, env={**os.environ, "LD_PRELOAD": str(killer)}
    )
    assert done.returncode == 0, done.stderr
    number, calls = done.stdout.split()
    assert int(number) == len(calls) >= 8
    if act == "enter":  # after the journal is gone, its folder is synced: a power cut brings it not back
        assert calls.endswith("us")


# ---- a disk that is full -----------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB under a name, since SQLite opens files by name."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.parametrize("free", [0, 4096, 12_288, 20_480, 36_864])
def test_a_full_disk_loses_nothing(disk: Path, free: int) -> None:
    with filled(disk / "register", 40) as register:
        filler = disk / "filler"
        filler.write_bytes(bytes(max(0, os.statvfs(disk).f_bavail * 4096 - free)))
        entered = 40
        try:
            for run in range(100, 140):
                register.enter(entry(run, 1))
                entered += 1
        except StorageError as error:
            assert "free some space" in str(error)
        assert entered < 80
        assert register.checkpoint.head.size == entered
        filler.unlink()
        view = register.enter(entry(100 + entered - 40, 1))
        assert view.verify(register.origin, None, KEYS).size == entered + 1
        assert check(register) == entered + 1


def test_a_full_disk_begins_nothing(disk: Path) -> None:
    (disk / "filler").write_bytes(bytes(os.statvfs(disk).f_bavail * 4096 - 8192))
    with pytest.raises(StorageError, match="free some space"):
        Register.begin(disk / "register", SIGNERS)
    assert list((disk / "register").iterdir()) == []
    (disk / "filler").unlink()
    Register.begin(disk / "register", SIGNERS).close()


def test_a_file_system_that_takes_no_writes(folder: Path) -> None:
    filled(folder, 3).close()
    mounted = subprocess.run(
        ["mount", "--bind", "-o", "ro", str(folder), str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        with Register.read(folder, KEYS) as register:
            assert register.view(run_id(0)).head.size == 3
        with Register(folder, SIGNERS) as register, pytest.raises(StorageError, match="can't be used"):
            register.enter(entry(9, 1))
    finally:
        subprocess.run(["umount", str(folder)], check=True)
