"""Whether a run is the caller's own is told from its log, however that was made."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.run.test_old_runs import RUNS, copied
from zk_autograd.core.errors import UnreadableError
from zk_autograd.credentials import keyfile
from zk_autograd.train.own_run import _in_full, _signed_by

PUBLIC = [signer.public_key for signer in keyfile._parse((RUNS / "test.key").read_bytes())]
MORE = 2**30
"""Bytes of addresses that looking at a run may take beside what is imported."""


def test_a_run_is_the_callers_if_their_key_signed_its_records(tmp_path: Path) -> None:
    run = copied("none-open", tmp_path)
    assert _signed_by(run, PUBLIC)
    other = [signer.public_key for signer in keyfile.create(tmp_path / "other.key", "other")]
    assert not _signed_by(run, other)
    with (run / "log" / "records.jsonl").open("ab") as file:
        file.write(b"torn")  # as a crash leaves it
    assert _signed_by(run, PUBLIC)
    records = run / "log" / "records.jsonl"
    records.write_bytes(records.read_bytes().replace(b'"last":16', b'"last":15'))
    assert not _signed_by(run, PUBLIC)


def test_another_runs_records_under_the_callers_signature_are_not_this_runs(tmp_path: Path) -> None:
    """The private header is what code is compared with."""
    run = copied("none-open", tmp_path)
    mine = copied("train-open", tmp_path)
    for name in ("records.jsonl", "checkpoint"):
        (run / "log" / name).write_bytes((mine / "log" / name).read_bytes())
    assert not _signed_by(run, PUBLIC)


def test_a_log_that_takes_no_space_takes_no_memory(tmp_path: Path) -> None:
    run = copied("none-open", tmp_path)
    with (run / "log" / "records.jsonl").open("ab") as file:
        file.truncate(4 * 2**30)
    ended = subprocess.run(
        [sys.executable, "-m", "tests.train.test_own_run", str(run)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "False\n"), ended.stderr


def test_what_can_not_be_read_is_not_said_to_be_anothers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from zk_autograd.train import own_run

    def failing(fd: int) -> None:
        raise UnreadableError("the disk fails")

    run = copied("none-open", tmp_path)
    monkeypatch.setattr(own_run, "whole_leaves", failing)
    with pytest.raises(UnreadableError):
        _signed_by(run, PUBLIC)


@pytest.mark.parametrize(
    ("planned", "in_header"),
    [
        ("cosine:steps=4,warm_up=2", "cosine:steps=4,end=0,warm_up=2"),
        ("linear:steps=9,end=0.10", "linear:steps=9,end=0.1"),
        ("constant", "constant"),
        ("recorded", "recorded"),
        ("no schedule", "no schedule"),
    ],
)
def test_a_plans_schedule_is_compared_as_a_header_holds_it(planned: str, in_header: str) -> None:
    assert _in_full(planned) == in_header


def main(run: Path) -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MORE, used + MORE))
    print(_signed_by(run, PUBLIC))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
