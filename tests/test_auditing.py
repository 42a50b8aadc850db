"""The auditor's door in Python."""

import json
from pathlib import Path
from typing import Any

import pytest

from zk_autograd import verify_run
from zk_autograd.core.errors import UsageError

RUNS = Path(__file__).parent / "data" / "runs"
RUN, KEY = RUNS / "native-finished", (RUNS / "test.key.pub").read_text().strip()


@pytest.mark.usefixtures("native_prover")
def test_a_run_is_judged_as_by_the_command() -> None:
    report = verify_run(RUN, [KEY])
    assert (report.verdict, report.exit_status) == ("L0, L1", 0)
    assert verify_run(str(RUN)).verdict == "UNPINNED"
    assert verify_run(RUN, [KEY], require=["L0"]).exit_status == 0
    assert report.summary is not None
    head = f"{report.summary.root.hex()}@{report.summary.size}"
    assert verify_run(RUN, [KEY], root=head).exit_status == 0
    assert verify_run(RUN, [KEY], root=f"{'0' * 64}@4").exit_status == 1


@pytest.mark.parametrize(
    "arguments",
    [
        {"keys": KEY},
        {"keys": ["no key"]},
        {"require": "L1"},
        {"require": ["L7"]},
        {"srs": "00" * 32},
        {"srs": ["00"]},
        {"srs": ["zz"]},
        {"accept_uncovered": "extra"},
        {"root": "no root"},
        {"sample": 1},
        {"beacon": "noon"},
    ],
    ids=str,
)
def test_what_no_auditor_can_mean_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        verify_run(RUN, **arguments)


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a run"):
        verify_run(tmp_path)


@pytest.mark.usefixtures("native_prover")
def test_a_policy_file_decides_and_is_never_loosened(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(f'format = "zk-autograd/policy/v1"\nkeys = ["{KEY}"]\n[run]\nmin_steps = 6\n')
    report = verify_run(RUN, policy=policy)
    assert (report.verdict, report.exit_status) == ("L0, L1", 0)
    assert verify_run(RUN, policy=str(policy), require=["L1"]).exit_status == 0
    with pytest.raises(UsageError, match="--require would loosen the policy's require"):
        verify_run(RUN, policy=policy, require=["L0"])
    with pytest.raises(UsageError, match="can't be read"):
        verify_run(RUN, policy=tmp_path / "none")
    policy.write_text(policy.read_text().replace("min_steps = 6", "min_steps = 7"))
    assert verify_run(RUN, policy=policy).exit_status == 3


@pytest.mark.usefixtures("native_prover")
def test_a_sample_by_what_it_finds_is_drawn_and_continued() -> None:
    first = verify_run(RUN, [KEY], target_detection=("0.9", "1"), accept_sample=True)
    assert first.verdict == "L0, L1"  # of the one proof there is
    with pytest.raises(UsageError, match="not a report of a sample"):
        verify_run(RUN, [KEY], earlier=json.dumps(first.to_json()).encode())
    with pytest.raises(UsageError, match="--target-detection"):
        verify_run(RUN, [KEY], target_detection=("1", "1%"))
