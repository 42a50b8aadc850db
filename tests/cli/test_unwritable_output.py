"""Output that can't be written is no verdict: real processes whose standard streams are closed,
full, or read by nobody."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUNS = ROOT / "tests" / "data" / "runs"

GOOD: dict[str, list[str]] = {
    "verify": ["verify", "run", "--key", "test.key.pub"],
    "run status": ["run", "status", "run"],
    "run list": ["run", "list", "."],
    "run cache": ["run", "cache"],
    "key show": ["key", "show", "--key-file", "test.key"],
    "circuit digest": ["circuit", "digest"],
    "circuit explain": ["circuit", "explain", "native/adam-standard"],
}
"""Commands that end with 0."""

COMMANDS = [*GOOD, "run bundle", "reproduce", "train"]

STDOUT = {"closed": ">&-", "full": ">/dev/full"}
STDERR = {"closed": "2>&-", "full": "2>/dev/full"}


@pytest.fixture
def here(tmp_path: Path, native_prover: None) -> Path:
    """A finished native run, a forged copy of it, and the key."""
    for name in ("run", "forged"):
        shutil.copytree(RUNS / "native-finished", tmp_path / name)
    (tmp_path / "forged" / "log" / "checkpoint").write_bytes(b"note")
    for name in ("test.key", "test.key.pub"):
        shutil.copy(RUNS / name, tmp_path / name)
    (tmp_path / "test.key").chmod(0o600)
    return tmp_path


def words(command: str, here: Path) -> list[str]:
    """The command's flags. One that makes something makes it anew each time."""
    if command in GOOD:
        return GOOD[command]
    if command == "run bundle":
        (here / "b.tar").unlink(missing_ok=True)
        return ["run", "bundle", "run", "--out", "b.tar"]
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    if command == "reproduce":
        return ["train", "reproduce", "run", "--verify-only"]
    shutil.rmtree(here / "new", ignore_errors=True)
    data = ("--model", "logistic", "--data", "breast-cancer", "--prover", "none", "--steps", "1", "--no-register")
    return ["train", *data, "--key-file", "test.key", "--out", "new"]


def shell(flags: list[str], redirection: str, here: Path) -> "subprocess.CompletedProcess[str]":
    """What a shell's redirection makes of the command."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-m", f"zk_autograd.cli.{flags[0]}", *flags[1:]],
        cwd=here,
        env={**os.environ, "PYTHONPATH": f"{ROOT}/src", "ZK_AUTOGRAD_CACHE": str(here / "cache")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def slow(command: str) -> object:
    return pytest.param(command, marks=[pytest.mark.slow, pytest.mark.torch]) if command in COMMANDS[-2:] else command


ALL = [slow(command) for command in COMMANDS]


@pytest.mark.parametrize("json_output", [False, True], ids=["text", "json"])
@pytest.mark.parametrize("stdout", STDOUT)
@pytest.mark.parametrize("command", ALL)
def test_a_result_that_cannot_be_written_is_status_4(command: str, stdout: str, json_output: bool, here: Path) -> None:
    done = shell([*words(command, here), *(["--json"] if json_output else [])], STDOUT[stdout], here)
    assert done.returncode == 4, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: the result can't be written")


@pytest.mark.parametrize("stdout", STDOUT)
def test_a_false_run_is_not_told_from_a_good_one_by_the_status_alone_if_nothing_can_be_said(
    stdout: str, here: Path
) -> None:
    assert shell(["verify", "forged", "--key", "test.key.pub"], "", here).returncode == 1
    assert shell(["verify", "forged", "--key", "test.key.pub"], STDOUT[stdout], here).returncode == 4


@pytest.mark.parametrize("command", ALL)
def test_whoever_stops_reading_is_left_in_peace(command: str, here: Path) -> None:
    flags = words(command, here)
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", f"zk_autograd.cli.{flags[0]}", *flags[1:]],
            cwd=here,
            env={**os.environ, "PYTHONPATH": f"{ROOT}/src", "ZK_AUTOGRAD_CACHE": str(here / "cache")},
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
            timeout=300,
            check=False,
        )
    finally:
        os.close(write)
    assert done.returncode == 4, done.stderr
    assert "error" not in done.stderr
    assert "Exception ignored" not in done.stderr
    if command not in ("train", "run bundle"):  # which have notes
        assert done.stderr == ""


@pytest.mark.parametrize("stderr", STDERR)
@pytest.mark.parametrize("command", ALL)
def test_a_word_that_cannot_be_written_to_standard_error_changes_no_status(
    command: str, stderr: str, here: Path
) -> None:
    done = shell(words(command, here), STDERR[stderr], here)
    assert done.returncode == 0, done.stdout
    assert done.stdout != ""


@pytest.mark.parametrize("stderr", STDERR)
@pytest.mark.parametrize(
    ("flags", "status"),
    [
        (["verify", "forged", "--key", "test.key.pub"], 1),
        (["verify", "run", "--no-such-flag"], 2),
        (["verify", "nowhere"], 2),
        (["verify", "run"], 3),
        (["key", "show", "--key-file", "nowhere"], 2),
        (["run"], 2),
        (["train", "--steps", "many"], 2),
        (["train", "reproduce"], 2),
    ],
)
def test_nor_does_it_change_that_of_an_error(flags: list[str], status: int, stderr: str, here: Path) -> None:
    done = shell(flags, STDERR[stderr], here)
    assert done.returncode == status
    if status == 2:
        assert done.stdout == ""
    for text in ("", *STDERR.values()):
        assert shell([*flags, "--json"], text, here).returncode == status


@pytest.mark.parametrize("command", ["verify", "run", "key", "circuit", "train", "reproduce"])
def test_help_that_cannot_be_written_is_status_4(command: str, here: Path) -> None:
    flags = ["train", "reproduce", "--help"] if command == "reproduce" else [command, "--help"]
    for text in STDOUT.values():
        done = shell(flags, text, here)
        assert done.returncode == 4, done.stderr
        assert "Traceback" not in done.stderr
    for text in STDERR.values():
        done = shell(flags, text, here)
        assert (done.returncode, done.stdout[:6]) == (0, "usage:")


@pytest.mark.parametrize("command", GOOD)
def test_a_closed_standard_input_is_no_matter(command: str, here: Path) -> None:
    done = shell(GOOD[command], "<&-", here)
    assert done.returncode == 0, done.stderr


def test_forgetting_without_anybody_to_ask_wants_a_yes(here: Path) -> None:
    shutil.copytree(RUNS / "none-open", here / "open")
    done = shell(["run", "forget", "open"], "<&-", here)
    assert (done.returncode, "confirm it with --yes" in done.stderr) == (2, True)


@pytest.mark.parametrize("redirection", ["<&-", "2>&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_no_file_of_a_run_takes_the_place_of_a_closed_stream(redirection: str, here: Path) -> None:
    """What native code says to standard error would be written into it."""
    script = (
        "import os, sys\nfrom zk_autograd.cli.output import run_command\n"
        "def command(output):\n"
        "    file = os.open('it', os.O_WRONLY | os.O_CREAT)\n"
        "    os.write(2, b'of native code')\n"
        "    os.read(0, 1)\n"
        "    return 0 if file > 2 else 1\n"
        "sys.exit(run_command(command, json_output=False))\n"
    )
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-c", script],
        cwd=here,
        env={**os.environ, "PYTHONPATH": f"{ROOT}/src"},
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    assert done.returncode == (4 if ">&-" in redirection.replace("2>&-", "") else 0)
    assert not (here / "it").exists() or (here / "it").read_bytes() == b""


def test_json_goes_with_the_status(here: Path) -> None:
    done = shell(["verify", "run", "--key", "test.key.pub", "--json"], "2>&-", here)
    assert json.loads(done.stdout)["exit_status"] == done.returncode == 0
