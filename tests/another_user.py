"""Commands as another user runs them: one who owns nothing here, has no name and no home. It takes
root to become one."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
UID = 12345

_SCRIPT = """
import codecs, importlib, importlib.readers, importlib.resources, os, pkgutil, shlex, sys, tempfile, traceback
import zk_autograd
for name in ("ascii", "latin-1", "utf-8-sig", "utf-16-be", "idna"):
    codecs.lookup(name)
# First everything that the command may load: Python itself may lie where the other user can't read.
for part in sys.argv[1].split(","):
    package = importlib.import_module(f"zk_autograd.{part}")
    for module in pkgutil.walk_packages(getattr(package, "__path__", ()), f"zk_autograd.{part}."):
        if not module.name.endswith("ezkl.build"):
            try:
                importlib.import_module(module.name)
            except ImportError:
                pass
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[2]))
sys.argv[0] = sys.argv[3]
sys.exit(importlib.import_module(f"zk_autograd.cli.{sys.argv[3]}").main(sys.argv[4:]))
"""

JUDGING = "core,local,evidence,prove,credentials,verify,auditing,monitoring,run,cli"
"""The parts that need no torch."""
TRAINING = f"{JUDGING},optim,train,reproduce"
"""Those of a training."""


@contextmanager
def public_folder() -> Iterator[Path]:
    """A folder that everybody may look into; a test's own is closed."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def as_another(
    command: str, *flags: str, cwd: Path, env: Mapping[str, str] | None = None, parts: str = JUDGING
) -> "subprocess.CompletedProcess[str]":
    """What `command` (a module of cli) does for the other user; of this process's environment it
    gets what Python needs, and no home."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", _SCRIPT, parts, str(UID), command, *flags],
        cwd=cwd,
        env={**kept, "PYTHONPATH": f"{ROOT}/src", **(env or {})},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
