"""The source that this package's part of an image is built from: what is committed, and nothing
else that lies in the checkout."""

import os
import sys
import tarfile
from pathlib import Path

from enclave.commands import BuildError, run

ROOT = Path(__file__).parents[1]
PARTS = (
    "src",
    "crates",
    "enclave",
    "requirements",
    "Cargo.toml",
    "Cargo.lock",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    ".cargo",
)
"""What goes into an image, or says how it is made."""

_PASSED = ("PATH", "HOME")
"""Of the environment, for git: none of its own variables, which could lead it elsewhere."""

_GIT = ("git", "-c", "core.autocrlf=false", "-c", f"core.attributesFile={os.devnull}", "-c", "core.quotePath=false")


def committed(folder: Path, root: Path = ROOT) -> Path:
    """The commit that is checked out, in `folder`, a new one. BuildError if `PARTS` have something
    that isn't committed: it would be left out without a word, or measured where nobody can look.

    Source that is no checkout of git, as of an archive, is taken as it lies there, and that is
    said on standard error."""
    if not (root / ".git").exists():
        print(
            f"note: {root} is no checkout of git: the image is made of whatever lies in its folders src, crates and enclave",
            file=sys.stderr,
        )
        return root
    why = "git doesn't tell what is committed"
    status = run([*_GIT, "status", "--porcelain", "--untracked-files=all", "--", *PARTS], why, cwd=root, passed=_PASSED)
    if lines := status.splitlines():
        names = ", ".join(line.strip().split(maxsplit=1)[-1] for line in lines[:5])
        more = f" and {len(lines) - 5} more" if len(lines) > 5 else ""
        raise BuildError(f"an image is built of what is committed: commit, or put aside, {names}{more}")
    folder.mkdir()
    archive = folder / "source.tar"
    words = ["archive", "--format=tar", "--output", str(archive.absolute()), "HEAD"]
    run([*_GIT, *words], "git can't write the source", cwd=root, passed=_PASSED)
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    archive.unlink()
    return folder
