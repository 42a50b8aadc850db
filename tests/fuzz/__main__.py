"""Fuzzing one parser: `python -m tests.fuzz PARSER --seconds N`.

Inputs begin as valid ones, and `mutators` changes them in their own form. atheris chooses by the
code that they reach; where it isn't installed, a generator with a fixed seed does, and the
properties are the same. An input that breaks one is kept in `.cache/fuzz/PARSER/`, and the
status is not 0: it belongs into `tests/fuzz/regressions/PARSER/`, which the tests replay.
"""

import argparse
import resource
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stderr
from hashlib import sha256
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from random import Random
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.fuzz.parsers import Parser

ROOT = Path(__file__).parent.parent.parent
KEPT = ROOT / ".cache" / "fuzz"
SECONDS_EACH = 10
"""What one input may take, with tenfold room on a busy machine."""

MEMORY = 2 * 2**30
"""Bytes of address space that an input may add."""


class TooSlow(Exception):
    """An input took too long."""


def main(argv: Sequence[str] | None = None) -> int:
    """Fuzzes a parser; 0 if every property held."""
    command = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzzes one parser.")
    command.add_argument("parser", help="its name, or list")
    command.add_argument("--seconds", type=float, default=20)
    command.add_argument("--seed", type=int, default=1)
    command.add_argument("--without-atheris", action="store_true", help="the generator with a fixed seed")
    arguments = command.parse_args(argv)
    guided = not arguments.without_atheris and find_spec("atheris") is not None
    if guided:
        import atheris

        # It names every module on standard error.
        with redirect_stderr(StringIO()), atheris.instrument_imports(include=["zk_autograd"]):
            from tests.fuzz.parsers import PARSERS
    else:
        from tests.fuzz.parsers import PARSERS
    if arguments.parser == "list":
        print("\n".join(PARSERS))
        return 0
    if arguments.parser not in PARSERS:
        command.error(f"there is no parser {arguments.parser}: {', '.join(PARSERS)}")
    parser = PARSERS[arguments.parser]
    if guided:
        _guided(arguments.parser, parser, arguments.seconds, arguments.seed)
        return 0
    if not arguments.without_atheris:
        print("atheris is not installed: inputs come from a generator with a fixed seed")
    return _seeded(arguments.parser, parser, arguments.seconds, arguments.seed)


def judged(name: str, parser: "Parser", data: bytes) -> bool:
    """Whether the parser takes the input, which is kept if it breaks a property."""
    before = signal.signal(signal.SIGALRM, _late)
    signal.alarm(SECONDS_EACH)
    try:
        return parser.accepts(data)
    except BaseException as error:
        folder = KEPT / name
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / sha256(data).hexdigest()[:16]
        path.write_bytes(data)
        print(f"{type(error).__name__}: {str(error)[:300]}\nthe input is kept: {path.relative_to(ROOT)}")
        raise
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _late(_signal: int, _frame: FrameType | None) -> None:
    raise TooSlow(f"more than {SECONDS_EACH} seconds")


def mutated(parser: "Parser", inputs: Sequence[bytes], random: Random) -> bytes:
    """An input with one change, or several."""
    from tests.fuzz.mutators import as_bytes
    from tests.fuzz.parsers import MAX_INPUT

    data = random.choice(inputs)
    for _ in range(random.choice((1, 1, 1, 2, 5))):
        change = as_bytes if random.randrange(5) == 0 else parser.mutate
        data = change(random, data, random.choice(inputs))[:MAX_INPUT]
    return data


def _seeded(name: str, parser: "Parser", seconds: float, seed: int) -> int:
    random, inputs = Random(seed), parser.corpus()
    _limit_memory()
    end, tried, taken = time.monotonic() + seconds, 0, 0
    while time.monotonic() < end:
        try:
            taken += judged(name, parser, mutated(parser, inputs, random))
        except Exception:
            return 1
        tried += 1
    print(f"{name}: {tried} inputs, {taken} taken, in {seconds:.0f} s; every property held")
    return 0


def _guided(name: str, parser: "Parser", seconds: float, seed: int) -> None:
    """Ends the process."""
    import atheris

    inputs = parser.corpus()

    def changed(data: bytes, size: int, own: int) -> bytes:
        random = Random(own)
        if random.randrange(8) == 0:
            return bytes(atheris.Mutate(data, size))
        return mutated(parser, [data or random.choice(inputs), *inputs], random)[:size]

    folder = KEPT / "corpus" / name
    folder.mkdir(parents=True, exist_ok=True)
    for data in inputs:
        (folder / sha256(data).hexdigest()[:16]).write_bytes(data)
    from tests.fuzz.parsers import MAX_INPUT

    options = [
        f"-max_total_time={max(1, round(seconds))}",
        f"-seed={seed}",
        f"-max_len={MAX_INPUT}",
        f"-timeout={2 * SECONDS_EACH}",
        f"-rss_limit_mb={MEMORY >> 20}",
        f"-artifact_prefix={KEPT / name}-",
        "-verbosity=0",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(folder)], lambda data: judged(name, parser, data), custom_mutator=changed)
    atheris.Fuzz()


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))


if __name__ == "__main__":
    sys.exit(main())
