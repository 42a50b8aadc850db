"""A Dask scheduler or worker of the tests, as a process: `scheduler`, or `worker ADDRESS LIE`."""

import asyncio
import os
import sys
from typing import Any

from distributed import Scheduler, Worker

from zk_autograd.prove.executors import task
from zk_autograd.workers import sealing


class Bomb:
    """Unpickling it opens a file that is none of a cluster's, and writes what it finds."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        victim, target = os.environ["VICTIM"], os.environ["TARGET"]
        return eval, (f"open({target!r}, 'w').write(open({victim!r}).read())",)


LIES: dict[str, Any] = {
    "pickle": lambda _: Bomb(),
    "garbage": lambda _: b"P" + bytes(400_000),
    "raise": lambda _: 1 // 0,
    "die": lambda _: os._exit(9),
}


async def main() -> None:
    options: dict[str, Any] = {"host": "127.0.0.1", "dashboard_address": None}
    if sys.argv[1] == "scheduler":
        async with Scheduler(port=0, **options) as scheduler:
            print(scheduler.address.removeprefix("tcp://"), flush=True)
            await scheduler.finished()
        return
    lie = sys.argv[3] if len(sys.argv) > 3 else ""
    if lie == "version":
        vars(task)["__version__"] = "9.9.9"
    elif lie:
        sealing.answer_sealed = LIES[lie]
    async with Worker(sys.argv[2], nthreads=1, **options) as worker:
        print(worker.address, flush=True)
        await worker.finished()


if __name__ == "__main__":
    asyncio.run(main())
