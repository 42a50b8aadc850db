"""The files that a confined Python process (local.confinement) reads to do anything at all: the
system's libraries, the interpreter, installed packages, and what they look at of the machine."""

import site
import sys
import sysconfig
from pathlib import Path

SYSTEM = ("/lib", "/lib64", "/usr", "/sys")

OF_PROC = ("self", "cpuinfo", "loadavg", "meminfo", "stat", "sys", "uptime", "vmstat")
"""Not all of it: other processes' environments may hold tokens."""

OF_DEV = ("full", "random", "urandom", "zero")
"""Not all of it: root owns the disks."""

_OF_PREFIX = ("bin", "etc/dask", "lib", "lib64", "pyvenv.cfg", "ssl")
"""Of its prefixes, and not all: a virtual environment may lie in a project's own folder."""


def system_files() -> list[Path]:
    """The system's libraries, and what tells of the machine."""
    public = (("/proc", OF_PROC), ("/dev", OF_DEV))
    return [*map(Path, SYSTEM), *(Path(folder, name) for folder, names in public for name in names)]


def python_files() -> list[Path]:
    """The interpreter's files, installed packages and this one: not sys.path, in which a script's
    folder may be, with all that lies beside it."""
    prefixes = {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix}
    installed = {*sysconfig.get_paths().values(), *site.getsitepackages()}
    if site.ENABLE_USER_SITE:
        installed.add(site.getusersitepackages())
    installed -= {sysconfig.get_path("data")}  # a prefix
    package = Path(__file__).resolve().parents[1]
    return [package, *map(Path, sorted(installed)), *(Path(p, name) for p in sorted(prefixes) for name in _OF_PREFIX)]
