"""The JSON Schema that comes with the package: every report fits it, and it has every field."""

import copy
import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.verify.kinds import KINDS
from zk_autograd.cli.verify import main
from zk_autograd.verify.report import FORMAT, Report

SCHEMA: dict[str, Any] = json.loads(files("zk_autograd.verify").joinpath("report.schema.json").read_text("ascii"))


def strict(schema: Any) -> Any:
    """The schema with no room for a field that it doesn't name. What is shipped has it: fields may
    be added under this format."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: value if name == "const" else strict(value) for name, value in schema.items()}
    if "properties" in schema and "required" in schema:
        found["additionalProperties"] = False
    return found


STRICT = Draft202012Validator(strict(SCHEMA))


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$defs"]["report"]["properties"]["format"]["const"] == FORMAT


@pytest.mark.parametrize("kind", KINDS)
def test_every_report_fits(kind: str, report_of: Callable[[str], Report]) -> None:
    value = json.loads(json.dumps(report_of(kind).to_json()))
    STRICT.validate(value)
    for name in value:  # and none of its fields could be missing, or have another name
        changed = copy.deepcopy(value)
        changed[f"{name}_"] = changed.pop(name)
        assert not STRICT.is_valid(changed)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("failed, proof", {"verdict": "L0, L1"}),
        ("failed, proof", {"exit_status": 0}),
        ("failed, proof", {"levels": ["L0"]}),
        ("failed, proof", {"failure": None}),
        ("unreadable", {"exit_status": 1}),
        ("unreadable", {"unreadable": None}),
        ("unpinned", {"exit_status": 0}),
        ("unpinned", {"levels": ["L0"]}),
        ("passed", {"verdict": "UNPINNED"}),
        ("passed", {"levels": ["L0"]}),
        ("passed", {"missing": ["why"]}),
        ("passed", {"run": None}),
        ("passed", {"steps": []}),
        ("passed", {"required": []}),
        ("sample", {"levels": ["L0", "L1"]}),
    ],
)
def test_a_report_that_contradicts_itself_does_not_fit(
    kind: str, changes: dict[str, Any], report_of: Callable[[str], Report]
) -> None:
    value = report_of(kind).to_json()
    assert not Draft202012Validator(SCHEMA).is_valid({**value, **changes})


def test_the_printed_forms_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    golden = "tests/data/runs/native-finished"
    for flags, status in (
        ([golden], 3),
        ([golden, "--annex-xi"], 3),
        ([str(tmp_path / "none")], 2),
        ([golden, "--sample", "1"], 2),
    ):
        assert main([*flags, "--json"]) == status
        STRICT.validate(json.loads(capsys.readouterr().out))
