"""Cases of the conformance suite, put together from the index: what any verifier's runner does.

It uses nothing of this project, only the index and the bases (docs/conformance.md).

    python tests/conformance/case.py NAME FOLDER

puts one together and prints what the auditor asks and what must come of it.
"""

import json
import os
import sys
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
INDEX = HERE / "index.json"


def put_together(case: Mapping[str, Any], bases: Mapping[str, str], folder: Path) -> Path:
    """Writes the case's files into `folder`, which is new, and says what is to be judged."""
    files, special = _files_of(bases[case["base"]]), []
    before = dict(files)
    for edit in case["patch"]:
        name = edit["file"]
        if "remove" in edit:
            del files[name]
        elif "copy" in edit:
            source = _files_of(bases[edit["base"]]) if "base" in edit else before
            files[name] = source[edit["copy"]]
        elif "put" in edit:
            files[name] = _bytes(edit["put"])
        elif "insert" in edit:
            old, at = files[name], edit["at"]
            files[name] = old[:at] + _bytes(edit["insert"]) + old[at + edit["delete"] :]
        else:
            special.append(edit)
    folder.mkdir()
    for name, data in files.items():
        _place(folder, name).write_bytes(data)
    for edit in special:
        place = _place(folder, edit["file"])
        if "link" in edit:
            place.symlink_to(edit["link"])
        else:
            place.touch()
            os.truncate(place, edit["zeros"])
    target: str = case["target"]
    return folder / target


def _files_of(base: str) -> dict[str, bytes]:
    if not base:
        return {}
    found = {path.relative_to(HERE / base).as_posix(): path for path in (HERE / base).rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not name.startswith("private/")}


def _bytes(told: Mapping[str, str]) -> bytes:
    return told["text"].encode("ascii") if "text" in told else b64decode(told["base64"])


def _place(folder: Path, name: str) -> Path:
    place = folder / name
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def main() -> None:
    """Puts one case together."""
    name, folder = sys.argv[1:]
    suite = json.loads(INDEX.read_text(encoding="ascii"))
    case = next(case for case in suite["cases"] if case["name"] == name)
    put_together(case, suite["bases"], Path(folder))
    print(json.dumps({member: case[member] for member in ("about", "target", "auditor", "expect", "says")}, indent=1))


if __name__ == "__main__":
    main()
