"""What an entry in the register costs: the time from the call until entry and checkpoint are
signed and on the disk, and of what is done at the side.

    python -m benchmarks.bench_register [--json] [--folder DIR] [--sizes N ...]

Each figure is a median of 50 in a register that has so many entries already; the disk is the one of
the folder (a new one in the current folder). Its peer is one fsync of a few kilobytes in the same
folder.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from itertools import count
from pathlib import Path

from benchmarks.figures import Figure, conditions, emit
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.keys import Ed25519Signer, MlDsa44Signer, Signer
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.register import Entry, Kind, origin_of, sign_head
from zk_autograd.register.database import Database
from zk_autograd.register.publishing import publish
from zk_autograd.register.register import PUBLIC, Register

SIGNERS: tuple[Signer, ...] = (Ed25519Signer("benchmark", bytes(range(32))), MlDsa44Signer("benchmark", bytes(32)))
SIZES = (10, 1000, 100_000)
REPEATS = 50
RUN = bytes(16)


def entry(size: int) -> Entry:
    """Each a checkpoint of one long run."""
    return Entry(Kind.CHECKPOINT if size > 1 else Kind.BEGIN, RUN, size, sha256(b"%d" % size).digest())


def filled(folder: Path, size: int) -> Register:
    """A register of so many entries."""
    origin = origin_of([signer.public_key for signer in SIGNERS])
    leaves = [entry(number + 1).encode() for number in range(size)]
    note = sign_head(Checkpoint(origin, size, root([leaf_hash(leaf) for leaf in leaves])), SIGNERS)
    folder.mkdir(mode=0o700)
    Database.create(folder, origin, note, leaves)
    return Register(folder, SIGNERS)


def median(act: Callable[[], object]) -> float:
    """Milliseconds."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def measure(folder: Path, size: int, fsync: float) -> Iterator[Figure]:
    """The figures of one size."""
    where = folder / str(size)
    with filled(where, size) as register:
        sizes = count(size + 1)
        enter = median(lambda: register.enter(entry(next(sizes)), size))
        yield Figure(f"register.enter.{size}", enter, "ms", "one fsync", enter / fsync)
        yield Figure(f"register.view.{size}", median(lambda: register.view(RUN, size)), "ms")
        yield Figure(f"register.open.{size}", median(lambda: Register(where, SIGNERS).close()), "ms")
        start = time.perf_counter()
        publish(register, where / PUBLIC)
        yield Figure(f"register.publish_all.{size}", 1000 * (time.perf_counter() - start), "ms")

        def enter_and_publish() -> None:
            register.enter(entry(next(sizes)), size)
            publish(register, where / PUBLIC)

        both = median(enter_and_publish)
        yield Figure(f"register.enter_and_publish.{size}", both, "ms", "enter", both / enter)


def fsync_of(folder: Path) -> float:
    """One fsync of a file of 4 KiB, in milliseconds."""
    with open(folder / "synced", "wb", buffering=0) as file:

        def write() -> None:
            file.write(bytes(4096))
            os.fsync(file.fileno())

        return median(write)


def figures(folder: Path, sizes: Sequence[int]) -> Iterator[Figure]:
    """All figures."""
    yield conditions()
    fsync = fsync_of(folder)
    yield Figure("fsync", fsync, "ms")
    for size in sizes:
        yield from measure(folder, size, fsync)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix=".bench-register-", dir=arguments.folder) as folder:
        emit(figures(Path(folder), arguments.sizes), as_json=arguments.json)


if __name__ == "__main__":
    main()
