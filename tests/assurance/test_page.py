"""docs/assurance.md names what is there: tests, commits, and the commands."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/assurance.md").read_text(encoding="utf-8").split("## Faults of others")[0]
FINDINGS = re.findall(r"^\| ([A-Z][0-9]+) \| ([0-9-]+) \| .* \| (.*) \| (.*) \| (.*) \|$", PAGE, re.MULTILINE)


def test_each_finding_has_its_commit_and_a_test_that_is_there() -> None:
    assert len(FINDINGS) == PAGE.count("| 2026-")
    assert len({finding[0] for finding in FINDINGS}) == len(FINDINGS) > 15
    for number, _, severity, commits, tests in FINDINGS:
        assert severity.split(",")[0] in ("critical", "medium", "low"), number
        assert re.findall(r"`[0-9a-f]{7}`", commits) or commits == "with this page", number
        named = re.findall(r"`([\w./-]+\.(?:py|rs))(?:::(\w+))?`", tests)
        assert named, number
        for path, name in named:
            text = (ROOT / path).read_text(encoding="utf-8")
            assert not name or re.search(rf"\b(?:def|fn) {name}\(", text), f"{number}: {path}::{name}"


def test_the_commits_are_the_repositorys() -> None:
    if (
        subprocess.run(
            ["git", "rev-parse", "--is-shallow-repository"], cwd=ROOT, capture_output=True, text=True, check=False
        ).stdout
        != "false\n"
    ):
        pytest.skip("there is no history here")
    for commit in set(re.findall(r"`([0-9a-f]{7})`", PAGE)):
        subprocess.run(["git", "cat-file", "-e", f"{commit}^{{commit}}"], cwd=ROOT, check=True)


def test_the_targets_are_the_makefiles() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`make ([a-z-]+)`", PAGE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
