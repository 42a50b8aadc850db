"""One table of exit statuses, in the code, in every command's help and in docs/exit-statuses.md."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from zk_autograd.cli import circuit, compare, key, monitor, reproduce, run, train, verify, witness
from zk_autograd.cli.output import EXIT_STATUSES
from zk_autograd.core.errors import ExitStatus
from zk_autograd.reproduce.verdict import Verdict

PAGE = Path(__file__).resolve().parents[2] / "docs" / "exit-statuses.md"

Main = Callable[[list[str]], int]
HELP: list[tuple[Main, list[str]]] = [
    (verify.main, []),
    (compare.main, []),
    (monitor.main, []),
    (train.main, []),
    (reproduce.main, []),
    (key.main, []),
    *((key.main, [name]) for name in ("new", "new-model-key", "show")),
    (run.main, []),
    *((run.main, [name]) for name in ("list", "status", "bundle", "sign", "provenance", "forget", "cache")),
    (circuit.main, []),
    (witness.main, []),
    *((witness.main, [name]) for name in ("new-key", "add-log", "serve", "list", "show", "evidence")),
    *((circuit.main, [name]) for name in ("build", "digest", "explain", "srs")),
]


@pytest.mark.parametrize(
    ("main", "flags"), HELP, ids=[" ".join([main.__module__, *flags]).rpartition(".")[2] for main, flags in HELP]
)
def test_every_help_ends_in_the_table(main: Main, flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([*flags, "--help"])
    assert end.value.code == 0
    shown = "".join(capsys.readouterr().out.split())  # lines may break at hyphens
    assert shown.endswith("".join(EXIT_STATUSES.split()))


def test_the_table_has_every_status() -> None:
    numbers = [str(int(status)) for status in ExitStatus]
    assert re.findall(r"(?:: |; )([0-9]+) ", EXIT_STATUSES) == numbers
    assert re.findall(r"^\| ([0-9]+) \|", PAGE.read_text(), re.MULTILINE) == numbers


def test_a_verdict_of_a_reproduction_has_its_status() -> None:
    assert {verdict.value: verdict.exit_status for verdict in Verdict} == {
        "FULL": 0,
        "PARTIAL": 3,
        "CONFIG ONLY": 3,
        "MISMATCH": 1,
    }
