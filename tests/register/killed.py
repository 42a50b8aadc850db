"""A process that is killed at the n-th change of a file: `python -m tests.register.killed LIBRARY
FOLDER WHAT`, with LIBRARY (killer.c) preloaded.

For n = 0, 1 ... a forked child does WHAT and is killed; the parent looks at what it left, until one
comes to its end. It prints how many were killed, and the calls of the last one.
"""

import ctypes
import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path

from tests.register.registers import KEYS, ORIGIN, SIGNERS, entries, entry, filled
from zk_autograd.core.anchors import SignedCheckpoint
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.errors import UsageError
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.register import sign_head
from zk_autograd.evidence.tiles import open_tiles
from zk_autograd.register.checking import check, check_published
from zk_autograd.register.publishing import publish
from zk_autograd.register.recovery import Found, restore
from zk_autograd.register.register import Register

SIZE = 20


def begin(folder: Path) -> None:
    Register.begin(folder, SIGNERS).close()


def begun(folder: Path) -> None:
    """None, or an empty one; beginning goes on from there."""
    with suppress(UsageError):
        begin(folder)
    with Register(folder, SIGNERS) as register:
        assert check(register) == 0


def enter(folder: Path) -> None:
    with Register(folder, SIGNERS) as register:
        register.enter(entry(7, 1))


def entered(folder: Path) -> None:
    """With the entry or without, and it can be entered."""
    with Register(folder, SIGNERS) as register:
        assert check(register) in (SIZE, SIZE + 1)
        view = register.enter(entry(7, 1))
        assert view.verify(ORIGIN, None, KEYS).size == SIZE + 1
        assert check(register) == SIZE + 1


def recover(folder: Path) -> None:
    leaves = [one.encode() for one in entries(SIZE + 5)]
    head = Checkpoint(ORIGIN, SIZE + 5, root([leaf_hash(leaf) for leaf in leaves]))
    restore(folder, Found(SignedCheckpoint.parse(sign_head(head, SIGNERS)), tuple(leaves)), KEYS)


def recovered(folder: Path) -> None:
    """As before, or all of it; and recovering goes on."""
    with Register(folder, SIGNERS) as register:
        assert check(register) in (SIZE, SIZE + 5)
    recover(folder)
    with Register(folder, SIGNERS) as register:
        assert check(register) == SIZE + 5


def publish_all(folder: Path) -> None:
    with Register(folder, SIGNERS) as register:
        publish(register, folder / "public")


def published(folder: Path) -> None:
    """Nothing, or all of it."""
    if (folder / "public").exists() and (tiles := open_tiles(folder / "public")) is not None:
        with tiles:
            assert tiles.leaves(2**20) == [one.encode() for one in entries(SIZE)]
    publish_all(folder)
    with Register(folder, SIGNERS) as register:
        assert check_published(register) == SIZE


ACTS: dict[str, tuple[Callable[[Path], None], Callable[[Path], None]]] = {
    "begin": (begin, begun),
    "enter": (enter, entered),
    "recover": (recover, recovered),
    "publish": (publish_all, published),
}


def main() -> None:
    library = ctypes.CDLL(sys.argv[1])
    library.calls.restype = ctypes.c_char_p
    folder, (act, look) = Path(sys.argv[2]), ACTS[sys.argv[3]]
    for number in count():
        for left in folder.parent.iterdir():
            shutil.rmtree(left)
        if act is not begin:
            filled(folder, SIZE).close()
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            library.arm(number)
            act(folder)
            os.write(writing, library.calls())
            os._exit(0)
        os.close(writing)
        with open(reading, "rb") as pipe:
            calls = pipe.read().decode()
        _, status = os.waitpid(child, 0)
        look(folder)
        if status != signal.SIGKILL:
            assert status == 0
            print(number, calls)
            return


if __name__ == "__main__":
    main()
