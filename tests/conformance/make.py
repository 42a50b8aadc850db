"""Writes the suite's index: `python -m tests.conformance.make`; with --bases the runs that it
starts from, too."""

import json
import sys
from importlib import import_module
from typing import Any

from tests.conformance.case import INDEX
from tests.conformance.cases import CASES, SIGNERS, Case
from tests.conformance.draft import BASES, Draft

FORMAT = "zk-autograd/conformance/v1"


def index() -> dict[str, Any]:
    """The whole index."""
    for name in (
        "about_notes",
        "about_keys",
        "about_records",
        "about_register",
        "about_enclaves",
        "about_exact",
        "about_files",
        "about_bounds",
    ):
        import_module(f"tests.conformance.{name}")
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names), sorted(n for n in names if names.count(n) > 1)
    return {
        "format": FORMAT,
        "bases": BASES,
        "cases": [entry(case) for case in sorted(CASES, key=lambda case: case.name)],
    }


def entry(case: Case) -> dict[str, Any]:
    """A case as the index has it."""
    draft = Draft(case.base)
    case.change(draft)
    keys = [signer.public_key.encode() for signer in SIGNERS[case.base]]
    verdict = _verdict(case)
    return {
        "name": case.name,
        "about": case.about,
        "base": case.base,
        "patch": draft.patch(),
        "target": case.target,
        "auditor": {"keys": keys, "require": "L1", **case.auditor},
        "expect": {
            "exit_status": case.status,
            **({} if verdict is None else {"verdict": verdict, "levels": sorted(case.levels)}),
            **({} if case.step is None else {"step": case.step}),
        },
        "says": case.says,
    }


def _verdict(case: Case) -> str | None:
    """None where nothing is judged."""
    if case.status == 2:
        return None
    if case.status == 1:
        return "FAILED"
    return ", ".join(sorted(case.levels)) or "UNPINNED"


def text() -> str:
    """The index's text: a case on a line."""
    made = index()
    cases = ",\n".join(json.dumps(case, ensure_ascii=True) for case in made.pop("cases"))
    return json.dumps(made, indent=1)[:-2] + ',\n "cases": [\n' + cases + "\n]}\n"


def main() -> None:
    """Writes it."""
    if sys.argv[1:] == ["--bases"]:
        from tests.conformance.bases import write_bases

        write_bases()
    INDEX.write_text(text(), encoding="ascii")


if __name__ == "__main__":
    main()
