"""The fuzzers themselves: what they once found stays found, and they find what is put before
them."""

import json
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.fuzz import __main__ as fuzz
from tests.fuzz.parsers import PARSERS, Parser
from zk_autograd.core import canonical
from zk_autograd.core.errors import VerificationError

REGRESSIONS = sorted((Path(__file__).parent / "regressions").glob("*/*"))


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where inputs are kept."""
    monkeypatch.setattr(fuzz, "ROOT", tmp_path)
    monkeypatch.setattr(fuzz, "KEPT", tmp_path / "kept")
    return tmp_path / "kept"


@pytest.mark.parametrize("path", REGRESSIONS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_is_refused_or_taken_as_it_should_be(path: Path) -> None:
    parser = PARSERS[path.parent.name]
    assert fuzz.judged(path.parent.name, parser, path.read_bytes()) is path.name.startswith("taken-")


@pytest.mark.parametrize("name", PARSERS)
def test_each_parser_takes_what_is_right_and_stands_what_is_nearly_right(name: str) -> None:
    """So a fuzzer has where to begin, and its changes are no noise that is refused at once."""
    parser, random = PARSERS[name], Random(1)
    inputs = parser.corpus()
    assert all(parser.accepts(data) for data in inputs)
    through = name.startswith("weights-") or name in (
        "opening",
        "records",
        "model-signatures",
        "views-files",
        "receipts-files",
    )  # slow ones
    changed = [fuzz.mutated(parser, inputs, random) for _ in range(12 if through else 100)]
    taken = [fuzz.judged(name, parser, data) for data in changed]
    assert not all(taken)


def _surprised(data: bytes) -> None:
    if data[:1] == b"{" and b'"b"' not in data:
        raise KeyError("b")
    raise VerificationError("no")


def _lenient(data: bytes) -> None:
    value = json.loads(data) if data.isascii() and data[:1] in (b"{", b"[") and b"\n" in data else None
    assert value is None or canonical.encode(value) == data


@pytest.mark.parametrize(("take", "error"), [(_surprised, "KeyError"), (_lenient, "AssertionError")])
def test_a_fuzzer_finds_a_fault_and_keeps_its_input(
    take: object, error: str, kept: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = PARSERS["canonical-json"]
    faulty = Parser(own.corpus, own.mutate, take)  # type: ignore[arg-type]
    monkeypatch.setattr(fuzz, "_limit_memory", lambda: None)  # this process goes on
    assert fuzz._seeded("faulty", faulty, 10, 1) == 1
    (path,) = (kept / "faulty").iterdir()
    said = capsys.readouterr().out
    assert error in said and path.name in said


def test_an_input_that_takes_too_long_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "SECONDS_EACH", 1)

    def hang(_: bytes) -> None:
        while True:
            pass

    with pytest.raises(fuzz.TooSlow):
        fuzz.judged("slow", Parser(lambda: [], PARSERS["notes"].mutate, hang), b"x")


def test_an_unknown_parser_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        fuzz.main(["nothing", "--without-atheris"])
    assert "there is no parser nothing" in capsys.readouterr().err


@pytest.mark.long
@pytest.mark.parametrize("name", PARSERS)
def test_twenty_seconds(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", name, "--seconds", "20"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
