"""What a confined process can still do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from zk_autograd.local.confinement import available

PROBE = """
import os, sys
from pathlib import Path
from zk_autograd.local.confinement import confine
secret, own = map(Path, sys.argv[1:3])
reason = confine([*map(Path, (sys.prefix, sys.base_prefix, "/usr", "/lib", "/lib64", "/etc", "/proc/self"))], [own])
def allowed(act):
    try:
        act()
    except PermissionError:
        return False
    return True
print([reason, *map(allowed, (
    lambda: secret.read_bytes(),
    lambda: (secret.parent / "new").write_bytes(b""),
    lambda: os.listdir(secret.parent),
    lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes(),
    lambda: (own / "new").write_bytes(b"x"),
    lambda: (own / "new").read_bytes(),
))])
"""


def test_a_confined_process_reads_and_writes_nothing_of_its_user(tmp_path: Path) -> None:
    if reason := available():
        pytest.skip(f"nothing can be confined here: {reason}")
    (tmp_path / "secret").write_text("x", encoding="ascii")
    (tmp_path / "own").mkdir()
    arguments = [str(tmp_path / "secret"), str(tmp_path / "own")]
    found = subprocess.run([sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, check=True)
    assert found.stdout == f"{['', False, False, False, False, True, True]}\n"
    assert os.listdir(tmp_path / "own") == ["new"]
