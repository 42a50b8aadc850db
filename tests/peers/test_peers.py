"""Faults of others (docs/assurance.md): those that no other test here looks for, and the table."""

import io
import json
import re
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conformance.draft import Draft
from tests.core.test_records import header as some_header
from tests.evidence.bundles import packed
from tests.verify.ideal import golden_signer
from zk_autograd.cli.verify import main
from zk_autograd.core.merkle import leaf_hash, node_hash
from zk_autograd.core.records import Header
from zk_autograd.core.statement import Statement
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.evidence.hashes import Hashes
from zk_autograd.prove.hashed.commitment import commit
from zk_autograd.prove.native.verify import NativeSystem
from zk_autograd.prove.verifiers import Systems
from zk_autograd.verify.policy import Policy, TreeHead
from zk_autograd.verify.report import Report
from zk_autograd.verify.sampling import draw
from zk_autograd.verify.verifier import Verifier

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/assurance.md").read_text(encoding="utf-8")
ROWS = [row.strip("|").split(" | ") for row in re.findall(r"^\| [0-9]+ \|.*\|$", PAGE, re.MULTILINE)]
KEY = golden_signer().public_key
HEX = re.compile(r"\b[0-9a-f]{64}\b")


def put(draft: Draft, folder: Path) -> Path:
    """The draft's files in a new folder."""
    for name, data in draft.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def judged(folder: Path, head: TreeHead | None = None) -> Report:
    with RunFolder(folder) as files:
        return Verifier(Policy(keys=(KEY,), head=head), Systems()).verify(files)


def said(*words: str) -> tuple[int, dict[str, Any]]:
    """zk-verify's exit status and JSON, with the golden run's key."""
    output = io.StringIO()
    with redirect_stdout(output), redirect_stderr(io.StringIO()):
        status = main([*words, "--key", KEY.encode(), "--json"])
    value: dict[str, Any] = json.loads(output.getvalue())
    return status, value


# ---- the table -----------------------------------------------------------------------------------


def test_the_table_has_all_of_them_and_every_test_that_it_names_exists() -> None:
    assert [int(row[0]) for row in ROWS] == list(range(1, 34))
    named = set()
    for number, fault, where in ROWS:
        tests = re.findall(r"`([\w./-]+)::(\w+)`", where)
        assert tests or where.strip().startswith("waits for"), number
        assert "https://github.com/" in fault or number.strip() in ("1", "10"), number
        for path, name in tests:
            text = (ROOT / path).read_text(encoding="utf-8")
            assert re.search(rf"\b(?:def|fn) {name}\(", text), f"{path}::{name}"
        named |= {name for path, name in tests if path == "tests/peers/test_peers.py"}
    own = set(re.findall(r"^def (test_peer_\w+)\(", Path(__file__).read_text(encoding="utf-8"), re.MULTILINE))
    assert named == own


# ---- those that no other test looks for ----------------------------------------------------------


def test_peer_03_the_hostile_suite_is_run_as_debug_and_as_release() -> None:
    profiles = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["profile"]
    release = profiles["test-release"]
    assert release["inherits"] == "release"
    assert not {"debug-assertions", "overflow-checks"} & (release.keys() | profiles["release"].keys())
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = re.search(r"^test-rust-release:.*\n\t(.*)$", makefile, re.MULTILINE)
    assert recipe is not None
    assert recipe[1] == "cargo test --locked --workspace --profile test-release"
    assert re.search(r"^test-all:.*\btest-rust-release\b", makefile, re.MULTILINE)
    assert re.search(r"^test:.*\btest-rust\b", makefile, re.MULTILINE)


HEADER_CHANGES: dict[str, Any] = {
    "run": "ab" * 16,
    "package": "0.1.1",
    "rule": "adamw",
    "grad_scale": 1,
    "schedule": "step:every=30,factor=0.1",
    "groups": [{"beta1": "0.9", "beta2": "0.999", "eps": "0.000001", "lr": "0.02", "s": 0}],
    "parameters": [
        {"group": 0, "name": "linear.weight", "offset": 0, "shape": [30], "size": 30},
        {"group": 0, "name": "linear.bias", "offset": 30, "shape": [1], "size": 1},
    ],
    "unproved": [{"name": "x", "kind": "buffer", "shape": [1], "dtype": "float32", "sha256": "00" * 32}],
    "size": 32,
    "blocks": [[0, 0, 16], [0, 16, 15]],
    "data": {"batch_size": 64, "count": 457, "root": "", "sampler": "philox-permutation/v0", "seed": ""},
    "model_code": "",
    "prover": {"backend": "native", "block": 8192, "circuit": "native/adam-strict", "steps": 8, "version": "1"},
    "keys": [KEY.encode(), Draft("none").record(0)["keys"][0]],
    "format": "zk-autograd/run/v1",
    "chosen_by": {"data_order": "beacon", "initial_weights": "trainer"},
    "type": "genesis",
}
"""Another value for each member of the golden run's header."""


@pytest.mark.usefixtures("native_prover")
def test_peer_11_each_member_of_a_proved_header_is_bound(tmp_path: Path) -> None:
    assert Draft("native").record(0).keys() == HEADER_CHANGES.keys()
    for member, value in HEADER_CHANGES.items():
        draft = Draft("native").set(0, member, value)
        report = judged(put(draft.sign(golden_signer()), tmp_path / member))
        assert report.verdict == "FAILED", member


@pytest.mark.usefixtures("native_prover")
def test_peer_15_every_way_in_refuses_the_same_swapped_record(tmp_path: Path) -> None:
    draft = Draft("native")
    head = draft.head()
    assert said(str(put(draft, tmp_path / "true")))[0] == 0
    loss = draft.record(2)["claimed"]["loss"]
    draft.set(2, "claimed.loss", loss[::-1])  # what no proof is about
    folder = put(draft, tmp_path / "run")
    bundle = tmp_path / "run.tar"
    bundle.write_bytes(packed(dict(sorted(draft.files.items()))))
    weights = tmp_path / "weights.f32.safetensors"
    shutil.copy(folder / "model" / weights.name, weights)
    ways = {
        "a folder": (str(folder),),
        "a bundle": (str(bundle),),
        "a root, a folder": (head, "--from", str(folder)),
        "a root, a bundle": (head, "--from", str(bundle)),
        "a file of it": (str(folder / "model" / weights.name),),
        "a file, a folder": (str(weights), "--from", str(folder)),
        "a file, a bundle": (str(weights), "--from", str(bundle)),
        "a sample": (str(folder), "--sample", "2", "--accept-sample"),
    }
    for name, words in ways.items():
        status, value = said(*words)
        assert (status, value["verdict"], value["failure"]["step"]) == (1, "FAILED", 3), name


def hexes(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all digests and commitments in a record."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from hexes(item, (*path, key))
    if isinstance(value, str) and len(value) >= 32 and re.fullmatch("[0-9a-f]+", value):
        yield path


UNPROVED = {(2, ("batches",))}
"""A commitment that nothing opens, and that no report prints."""


@pytest.mark.usefixtures("native_prover")
def test_peer_18_every_digest_of_a_record_is_compared(tmp_path: Path) -> None:
    """The trainer signs a run of which one digest is another."""
    places = [(i, path) for i in range(4) for path in hexes(Draft("native").record(i))]
    assert len(places) > 25
    for number, (index, path) in enumerate(places):
        draft = Draft("native")

        def change(record: Any, path: tuple[Any, ...] = path) -> None:
            *parents, last = path
            for key in parents:
                record = record[key]
            record[last] = ("1" if record[last][0] == "0" else "0") + record[last][1:]

        report = judged(put(draft.edit(index, change).sign(golden_signer()), tmp_path / str(number)))
        assert (report.verdict == "FAILED") == ((index, path) not in UNPROVED), (index, path)


@pytest.mark.usefixtures("native_prover")
def test_peer_18_every_digest_that_is_printed_was_recomputed(tmp_path: Path) -> None:
    draft = Draft("native")
    text = judged(put(draft, tmp_path / "run")).text(10_000)
    nodes = [leaf_hash(leaf) for leaf in draft.leaves]
    root = node_hash(node_hash(nodes[0], nodes[1]), node_hash(nodes[2], nodes[3]))
    with RunFolder(tmp_path / "run") as files:
        log = Verifier(Policy(keys=(KEY,)), Systems()).verify(files).log
    assert log is not None
    own = NativeSystem().circuit(log.header.prover)
    assert set(HEX.findall(text)) == {root.hex(), own.digest.hex()}  # type: ignore[union-attr]


@pytest.mark.usefixtures("native_prover")
def test_peer_19_an_older_root_holds_after_later_records(tmp_path: Path) -> None:
    """Records were appended and the checkpoint renewed since the auditor learned the root."""
    folder, draft = put(Draft("native-blocks"), tmp_path / "run"), Draft("native-blocks")
    trainer = draft.record(0)["keys"][0]
    for size in range(2, len(draft.leaves) + 1):
        words = [draft.head(size), "--from", str(folder), "--key", trainer, "--require", "L0", "--json"]
        output = io.StringIO()
        with redirect_stdout(output), redirect_stderr(io.StringIO()):
            status = main(words)
        value = json.loads(output.getvalue())
        assert value["failure"] is None
        assert value["run"]["size"] == size
        assert "L0" in value["levels"]
        whole = size == len(draft.leaves)
        assert status == (0 if whole else 3)  # the model that lies there is of a later record


@pytest.mark.usefixtures("native_prover")
def test_peer_23_a_run_is_the_same_whatever_its_path_is_written_like(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = put(Draft("native"), tmp_path / "run")
    (tmp_path / "link").symlink_to(run)
    monkeypatch.chdir(run)
    for name in (".", "./", "../run", "../run/", "../run//.", str(run), f"{run}/", "../link", "../link/"):
        assert said(name)[0] == 0, name
    # What a tool of versions ignores is not ignored here.
    (run / "model" / ".git").mkdir()
    (run / "model" / ".git" / "weights.bin").write_bytes(b"x")
    status, value = said(".")
    assert (status, value["uncovered"][0]["name"]) == (3, "model/.git")
    shutil.rmtree(run / "model" / ".git")
    (run / ".gitignore").write_text("model/\n")
    (run / "model" / "ignored.bin").write_bytes(b"x")
    status, value = said(".")
    assert (status, [f["name"] for f in value["uncovered"] if not f["harmless"]]) == (3, ["model/ignored.bin"])


def test_peer_27_no_two_inputs_of_a_hash_run_together() -> None:
    """A byte moved from one input to the next gives another hash, or no hash."""

    def context(segment: int, first: int, block: int) -> bytes:
        return Statement(bytes(32), segment, first, block, 1, ()).context

    numbers = [(1, 23, 4), (12, 3, 4), (1, 2, 34), (123, 4, 0), (0, 1, 234), (256, 0, 0), (0, 256, 0), (0, 0, 256)]
    assert len({context(*place) for place in numbers}) == len(numbers)
    assert len({leaf_hash(b"ab"), leaf_hash(b"a"), leaf_hash(b""), node_hash(b"a" * 32, b"b" * 32)}) == 4
    assert leaf_hash(b"a" * 64) != node_hash(b"a" * 32, b"a" * 32)
    # Before a sample's seed stands its length.
    root = bytes(range(32))
    first = draw(10**6, 20, b"seed" + root[:8], root, 7)
    assert first != draw(10**6, 20, b"seed", root[:8] + root[:24], 7)
    assert draw(10**6, 20, b"a", b"b" + root[1:], 7) != draw(10**6, 20, b"ab", root, 7)
    header: Header = some_header()
    made = {
        Hashes.of(config, header.data, environment, None).reproducibility
        for config, environment in ((b"ab", b"c"), (b"a", b"bc"), (b"", b"abc"), (b"abc", b""), (None, b"abc"))
    }
    assert len(made) == 5
    values = np.arange(4, dtype=np.int64)
    salts = bytes(range(32))
    assert commit(values, salts) != commit(values[1:], salts[:24] + values[:1].tobytes())
    assert commit(values, salts) != commit(np.append(values, 0), salts)
    assert sha256(salts + values.tobytes()).digest() != commit(values, salts)


def test_peer_28_what_is_drawn_once_has_128_bits(tmp_path: Path) -> None:
    draft = Draft("none")
    assert len(bytes.fromhex(draft.record(0)["run"])) * 8 == 128
    for wrong in ("00" * 4, "00" * 15, "00" * 17, ""):
        folder = put(Draft("native").set(0, "run", wrong).sign(golden_signer()), tmp_path / f"run-{len(wrong)}")
        report = judged(folder)
        assert report.failure is not None
        assert (report.failure.step, "record.run is invalid" in report.failure.message) == (1, True)
