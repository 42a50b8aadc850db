"""The command that takes hours goes on where it ended, and says what it found."""

from pathlib import Path

import pytest

from tests.assurance import __main__ as assurance
from tests.assurance.__main__ import Part, go_on, parts


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(assurance, "STATE", tmp_path / "state")
    return tmp_path / "state"


def test_it_goes_on_where_it_ended(capsys: pytest.CaptureFixture[str]) -> None:
    done: list[int] = []

    def work(unit: int) -> str:
        if unit == 1 and len(done) < 2:
            done.append(-1)
            raise KeyboardInterrupt
        done.append(unit)
        return "a fault" if unit == 2 else ""

    part = Part("one", 3, work)
    with pytest.raises(KeyboardInterrupt):
        go_on([part], None, "abc")
    assert go_on([part], 0, "abc") == 0
    assert "(not finished)" in capsys.readouterr().out
    assert go_on([part], None, "abc") == 1
    assert done == [0, -1, 1, 2]
    assert "1 found\n\none:\na fault" in capsys.readouterr().out
    assert go_on([part], None, "abc") == 1  # what was found is not forgotten


def test_what_is_kept_of_another_commit_is_not_gone_on_with() -> None:
    go_on([Part("one", 1, lambda _: "")], None, "abc")
    with pytest.raises(SystemExit, match="move it away"):
        go_on([Part("one", 1, lambda _: "")], None, "abd")


def test_every_part_can_be_begun() -> None:
    names = [part.name for part in parts()]
    assert len(set(names)) == len(names) == 8
    assert all(part.units > 0 for part in parts())


def test_a_command_that_fails_is_a_finding() -> None:
    assert assurance._run("python3", "-c", "print('broken'); raise SystemExit(3)") == "broken\n"
    assert assurance._run("python3", "-c", "print('fine')") == ""


@pytest.mark.slow
@pytest.mark.usefixtures("native_prover")
def test_bits_and_attacks_are_really_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assurance, "BITS_AT_ONCE", 20)
    monkeypatch.setattr(assurance, "AT_ONCE", 2)
    assert assurance._bits("log/checkpoint", 35)(1) == ""
    assert assurance._attacks(0) == ""
