"""A process that enters: `python -m tests.register.entering FOLDER FIRST COUNT [pause]`.

It begins the runs FIRST .. FIRST + COUNT - 1 and closes each, and prints a line with each view's
index as soon as it has it.
"""

import sys
from pathlib import Path

from tests.register.registers import SIGNERS, entry
from zk_autograd.register.register import Register


def main() -> None:
    folder, first, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    with Register(folder, SIGNERS) as register:
        print("open", flush=True)
        sys.stdin.readline()
        for run in range(first, first + count):
            for one in (entry(run, 1), entry(run, 5, close=True)):
                print(run, one.size, register.enter(one).index, flush=True)


if __name__ == "__main__":
    main()
