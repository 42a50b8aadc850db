"""How much code a verdict rests on: what is loaded of this package to judge a native run, counted
in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / "tests/data/runs/native-finished"
KEY = (ROOT / "tests/data/runs/test.key.pub").read_text().strip()

MODULES = 92
"""Packages' faces that hold nothing but a docstring are counted, too. Before a backend brought its
own verifier they were 74; a published file to begin with, and what to do, took four, the form of a
policy file's demands one, a second signature two, a run at a URL one, packed
segments and the short way to read them two; register and anchors nine, of which a run in no
register uses one; attestations three, of which a run of no enclave uses their names and bounds;
what a header says of exact gradients ten, of which a run of floats uses none (their pass, what is
refused of a graph, and the replay are loaded for such runs alone)."""

LINES = 8_000
"""Of code, without blanks, comments and docstrings. The same count gave 6,312 before: 70 % of it
are 4,418, to which the beginning with a published file added some 200, a policy file's demands 130,
a second signature 160, a run at a URL 110, reading a million records one by one 290, and a run's
place in its trainer's register, with what receipts show and whom the auditor trusts, 960. What an
enclave's device signs, the format of its run, that step 8 may vouch for keys, and the mark of what
rests on an emulated one, are 280; the judgement itself is loaded for a run of an enclave alone.
Exact gradients are the last 800: half of them is what their header means (shards, order, the form
of graph and cells), a fifth what their reports say, the rest files that an auditor may give."""

_COUNT = """
import ast, io, json, sys, tokenize
from zk_autograd import verify_run

assert verify_run(sys.argv[1], keys=[sys.argv[2]]).verdict == "L0, L1"
found = {}
for name, module in sorted(sys.modules.items()):
    path = getattr(module, "__file__", None) or ""
    if not name.startswith("zk_autograd") or not path.endswith(".py"):
        continue
    source = open(path, encoding="utf-8").read()
    texts = set()
    for node in ast.walk(ast.parse(source)):
        for inner in getattr(node, "body", None) if isinstance(getattr(node, "body", None), list) else ():
            if isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Constant) and isinstance(inner.value.value, str):
                texts.update(range(inner.lineno, inner.end_lineno + 1))
    blank = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in blank:
            lines.update(range(token.start[0], token.end[0] + 1))
    found[name] = len(lines - texts)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def loaded(native_prover: None) -> dict[str, int]:
    """Lines of code by module."""
    words = [sys.executable, "-c", _COUNT, str(RUN), KEY]
    found: dict[str, int] = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    return found


def test_a_verdict_rests_on_few_modules_and_lines(loaded: dict[str, int]) -> None:
    """A later part that a verdict needs raises these bounds, with a reason."""
    assert len(loaded) <= MODULES, sorted(loaded)
    assert sum(loaded.values()) <= LINES, sum(loaded.values())


def test_to_judge_a_native_run_loads_nothing_of_another_backend_or_of_the_trainer(loaded: dict[str, int]) -> None:
    ours = {name.removeprefix("zk_autograd.") for name in loaded}
    rooms = {name.partition(".")[0] for name in ours} - {"zk_autograd", "auditing", "version"}
    assert rooms == {"anchor", "core", "evidence", "prove", "tee", "verify"}
    assert {name for name in ours if name.startswith("anchor.")} == {"anchor.kinds"}
    assert {name for name in ours if name.startswith("tee.")} == {"tee.kinds"}
    provers = {name for name in ours if name.startswith("prove.")}
    assert provers == {
        "prove.commitments",
        "prove.native",
        "prove.native.extension",
        "prove.native.preset",
        "prove.native.shape",
        "prove.native.verify",
        "prove.verifiers",
    }
    assert not ours & {
        "core.graph.acceptance",
        "core.graph.exponential",
        "core.graph.passes",
        "evidence.openings",
        "verify.challenge",
        "verify.exact_data",
        "verify.opened",
        "verify.replay",
        "verify.replayed",
    }
