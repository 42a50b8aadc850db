"""All that takes hours: `python -m tests.assurance`, or `make assurance`.

Every bit of a real run's log is flipped, every parser is fuzzed for ten minutes, the simulated
attacker makes ten thousand attacks, and the code is mutated: all relations of crates/air, 300
places of core/ and of verify/. What is done is kept in `.cache/assurance/`: started again, the
command goes on where it ended. It ends with a table; the status is 1 if anything was found.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parent.parent.parent
STATE = ROOT / ".cache" / "assurance"
FUZZ_SECONDS = 600
ATTACKS, STEPS, AT_ONCE = 10_000, 12, 100
MUTANTS = 300
BITS_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Part:
    """A part of `units`, each done on its own. `work` does one, by its number, and says what it
    found: "" if nothing."""

    name: str
    units: int
    work: Callable[[int], str]


def parts() -> list[Part]:
    """All of them, in order."""
    from tests.fuzz.parsers import PARSERS
    from tests.verify.altered import CHECKPOINT, RECORDS, RUNS

    fuzzed, found = list(PARSERS), []
    for name in (RECORDS, CHECKPOINT):
        bits = 8 * (RUNS / "native-v1" / name).stat().st_size
        found.append(Part(f"every bit of {name}", -(-bits // BITS_AT_ONCE), _bits(name, bits)))
    found.append(Part("parsers, 10 minutes each", len(fuzzed), lambda i: _fuzz(fuzzed[i])))
    found.append(Part("attacks of the simulator, in hundreds", ATTACKS // AT_ONCE, _attacks))
    found.append(Part("lies against each relation", 1, _lies))
    found.append(Part("mutants of the relations", 1, lambda _: _mutants("air", STATE / "mutants-air.json")))
    for room in ("core", "verify"):
        found.append(Part(f"{MUTANTS} mutants of {room}/", 1, _python(room)))
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Goes on with what is left; 0 if nothing was found in all of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.assurance", description="The checks that take hours.")
    parser.add_argument("--only", metavar="WORD", default="", help="the parts with this word in their name")
    parser.add_argument("--minutes", type=float, help="begin nothing new after so many; all that is left if left out")
    arguments = parser.parse_args(argv)
    return go_on([p for p in parts() if arguments.only in p.name], arguments.minutes, _commit())


def go_on(chosen: Sequence[Part], minutes: float | None, commit: str) -> int:
    """Does what is left of these parts, within the time, and prints the table."""
    state = _load(commit)
    end = time.monotonic() + 60 * minutes if minutes is not None else float("inf")
    for part in chosen:
        done = state["parts"].setdefault(part.name, {"done": 0, "of": part.units, "seconds": 0.0, "found": []})
        while done["done"] < part.units and time.monotonic() < end:
            before = time.monotonic()
            found = part.work(done["done"])
            done["seconds"] = round(done["seconds"] + time.monotonic() - before, 1)
            done["found"] += [found] if found else []
            done["done"] += 1
            _save(state)
            print(f"{part.name}: {done['done']} of {part.units}{', FOUND' if found else ''}", flush=True)
    return _table(state)


def _table(state: dict[str, Any]) -> int:
    print(f"\ncommit {state['commit']}")
    for name, part in state["parts"].items():
        rest = "" if part["done"] == part["of"] else "  (not finished)"
        print(
            f"{name:44} {part['done']:4} of {part['of']:<4} {part['seconds']:9.0f} s {len(part['found']):3} found{rest}"
        )
    found = [(name, text) for name, part in state["parts"].items() for text in part["found"]]
    for name, text in found:
        print(f"\n{name}:\n{text}")
    return int(bool(found))


# ---- the parts -----------------------------------------------------------------------------------


def _bits(name: str, bits: int) -> Callable[[int], str]:
    def work(unit: int) -> str:
        from tests.verify.altered import Altered, flipped, is_worse

        with TemporaryDirectory() as folder:
            run = Altered(Path(folder))
            assert not is_worse(run.judged({}))
            places = range(unit * BITS_AT_ONCE, min(bits, (unit + 1) * BITS_AT_ONCE))
            return " ".join(
                f"bit {bit} of {name}"
                for bit in places
                if not is_worse(run.judged({name: flipped(run.files[name], bit)}))
            )

    return work


def _fuzz(name: str) -> str:
    return _run(sys.executable, "-m", "tests.fuzz", name, "--seconds", str(FUZZ_SECONDS))


def _attacks(unit: int) -> str:
    """A hundred attacks on one of the simulator's runs, drawn from the unit's number."""
    from tests.verify.ideal import WORLDS

    code = (
        "from tests.verify.test_simulator import simulate;"
        f"simulate({AT_ONCE}, {STEPS}, ({WORLDS[unit % len(WORLDS)]!r},), seed={unit})"
    )
    return _run(sys.executable, "-c", code)


def _lies(_: int) -> str:
    return _run("make", "test-rust-mutants")


def _python(room: str) -> Callable[[int], str]:
    return lambda _: _mutants("python", STATE / f"mutants-{room}.json", "--room", room, "--count", str(MUTANTS))


def _mutants(kind: str, state: Path, *more: str) -> str:
    return _run(sys.executable, "-m", "tests.mutation", kind, "--resume", str(state), *more)


def _run(*command: str) -> str:
    """The end of what a failed command said; "" if it did not fail."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr)[-5000:] if done.returncode else ""


# ---- what is kept --------------------------------------------------------------------------------


def _commit() -> str:
    told = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    return subprocess.run(told, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def _load(commit: str) -> dict[str, Any]:
    path = STATE / "state.json"
    if not path.exists():
        return {"commit": commit, "parts": {}}
    state: dict[str, Any] = json.loads(path.read_text())
    if state["commit"] != commit:
        sys.exit(f"{STATE} is of commit {state['commit']}, and this is {commit}: move it away to begin anew")
    return state


def _save(state: dict[str, Any]) -> None:
    STATE.mkdir(parents=True, exist_ok=True)
    fresh = STATE / "state.json.new"
    fresh.write_text(json.dumps(state, indent=1))
    fresh.replace(STATE / "state.json")


if __name__ == "__main__":
    sys.exit(main())
