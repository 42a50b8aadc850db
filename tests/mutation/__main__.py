"""Mutation testing: one thing of the code is changed or left out, and some test must fail.

    python -m tests.mutation python --room verify --seed 1 --count 300 --resume FILE
    python -m tests.mutation air --resume FILE

Each mutant is tried in a copy of the checkout, which nobody else sees. FILE keeps what was tried,
as JSON: started again with the same one, the command goes on where it ended. It ends with a table
and the diff of every survivor; the status is 1 if there is one.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from difflib import unified_diff
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from tests.mutation import relations, syntax
from tests.mutation.mutant import Mutant

OUTPUT = "output"
RESULTS = ("killed", "survived", "unbuilt")
ROOT = Path(__file__).parent.parent.parent
FACTOR, LEAST = 10, 60
"""A test command may take so many times what it takes without a mutant, and at least these
seconds; more counts as a failure."""


def main(argv: Sequence[str] | None = None) -> int:
    """Tries the mutants; 0 if none survived."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutation", description="Changes the code, and runs its tests."
    )
    parser.add_argument("kind", choices=("air", "python"))
    parser.add_argument("--room", choices=("core", "verify"), default="core", help="of the Python code")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, help="how many, drawn from the seed; all if left out")
    parser.add_argument(
        "--resume", type=Path, required=True, metavar="FILE", help="what was tried, outside the checkout"
    )
    arguments = parser.parse_args(argv)
    made = relations.mutants(ROOT) if arguments.kind == "air" else syntax.mutants(ROOT, arguments.room)
    drawn = Random(arguments.seed).sample(made, min(len(made), arguments.count or len(made)))
    state = _load(arguments.resume)
    with TemporaryDirectory(prefix="zk-mutation-") as scratch:
        copy = _copied(Path(scratch) / "checkout")
        limits: dict[tuple[str, ...], float] = {}
        for number, mutant in enumerate(drawn, start=1):
            if mutant.name not in state:
                state[mutant.name] = _tried(mutant, copy, limits)
                _save(arguments.resume, state)
            print(f"{number}/{len(drawn)} {state[mutant.name]['result']:8} {mutant.name}", flush=True)
    return _report(drawn, state)


def _tried(mutant: Mutant, copy: Path, limits: dict[tuple[str, ...], float]) -> dict[str, Any]:
    """What its tests say of the mutant, one command after the other until one fails."""
    path, began = copy / mutant.path, time.monotonic()
    original = path.read_text()
    killer, result = None, "survived"
    for command in (*([mutant.build] if mutant.build else []), *mutant.commands):
        limit = _limit(command, copy, limits)
        path.write_text(mutant.changed(original))
        try:
            failed = _fails(command, copy, limit)
        finally:
            path.write_text(original)
        if failed:
            killer, result = command, "unbuilt" if command == mutant.build else "killed"
            break
    return {
        "result": result,
        "by": None if killer is None else " ".join(killer),
        "seconds": round(time.monotonic() - began, 1),
        "diff": "".join(_diff(mutant, original)),
    }


def _limit(command: tuple[str, ...], copy: Path, limits: dict[tuple[str, ...], float]) -> float:
    """The seconds that the command may take. Without a mutant it must pass, or nothing would be
    learned from it."""
    if command not in limits:
        before = time.monotonic()
        if _fails(command, copy, None):
            said = (copy.parent / OUTPUT).read_text()[-2000:]
            sys.exit(f"without a mutant this fails: {' '.join(command)}\n{said}")
        limits[command] = max(LEAST, FACTOR * (time.monotonic() - before))
    return limits[command]


def _fails(command: Sequence[str], copy: Path, limit: float | None) -> bool:
    """Whether the command ends with another status than 0, or not in time."""
    environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    with (
        (copy.parent / OUTPUT).open("w") as output,
        subprocess.Popen(
            command,
            cwd=copy,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            return process.wait(limit) != 0
        except subprocess.TimeoutExpired:
            return True
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def _copied(copy: Path) -> Path:
    """The checkout's files as they are now, those that git knows and what was built."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    built = [str(path.relative_to(ROOT)) for path in (ROOT / "src/zk_autograd").glob("_native.*.so")]
    for name in (*filter(None, listed.split("\0")), *built):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    return copy


def _diff(mutant: Mutant, original: str) -> list[str]:
    lines, changed = original.splitlines(keepends=True), mutant.changed(original).splitlines(keepends=True)
    return list(unified_diff(lines, changed, mutant.path, mutant.path, n=1))


def _report(drawn: Sequence[Mutant], state: dict[str, Any]) -> int:
    tried = [(mutant, state[mutant.name]) for mutant in drawn]
    results = Counter(entry["result"] for _, entry in tried)
    kinds = Counter((mutant.kind, entry["result"]) for mutant, entry in tried)
    for kind in sorted({mutant.kind for mutant in drawn}):
        print(_row(kind, {result: kinds[kind, result] for result in RESULTS}))
    print(_row("in all", results))
    for _, entry in tried:
        if entry["result"] == "survived":
            print(f"\n{entry['diff']}", end="")
    return int(results["survived"] > 0)


def _row(name: str, counts: Mapping[str, int]) -> str:
    return f"{name:24}" + "".join(f"{counts[result]:6} {result}" for result in RESULTS)


def _load(path: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return state


def _save(path: Path, state: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(json.dumps(state, indent=1, sort_keys=True))
    fresh.replace(path)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the copy goes
    sys.exit(main())
