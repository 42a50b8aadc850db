"""Programs that the build of an image runs, and the one error that it ends in."""

import os
import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path


class BuildError(Exception):
    """The image can't be built; the message says why, and what to do."""


def run(
    command: Sequence[str],
    what: str,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    passed: Collection[str] | None = None,
) -> str:
    """What a program prints, without the last line's end; `environment` is put over this process's,
    of which only the names in `passed` remain (None: all). BuildError, which says `what` can't be
    done and the program's last words."""
    kept = {name: value for name, value in os.environ.items() if passed is None or name in passed}
    own = {**kept, "SOURCE_DATE_EPOCH": "0", **(environment or {})}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=own, cwd=cwd)
    except OSError as error:
        raise BuildError(f"{what}: {command[0]} can't be started: {error.strerror}") from error
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise BuildError(f"{what}: {' / '.join(lines[-3:]) or f'{command[0]} gave status {done.returncode}'}")
    return done.stdout.strip()
