"""However a run reaches the verifier, the same fault is refused, in the same step, with the same
words, and with exit status 1.

cosign compared a log's entry with the artefact on one of its code paths only (CVE-2026-22703): so
each way in is tried.
"""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path

import pytest

from tests.evidence.bundles import packed
from tests.evidence.servers import served
from zk_autograd.cli.verify import main
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.evidence.layout import is_public

GOLDEN = Path(__file__).parents[1] / "data/runs/native-finished"
KEY = (GOLDEN.parent / "test.key.pub").read_text().strip()

WAYS = ("folder", "bundle", "folder URL", "bundle URL, ranges", "bundle URL, whole")
"""How the run is given; each is tried as the target, and as the source of a ROOT@SIZE."""

_SEGMENT = 2


def swapped_record(run: Path) -> None:
    """Another loss in the first segment's record: the log is not the one that was signed."""
    edit(run, lambda line: line.replace(b'"loss":["', b'"loss":["1', 1))


def record_of_another_run(run: Path) -> None:
    """A valid record of the same shape, but about other states and gradients."""
    edit(run, lambda line: re.sub(rb"[0-9a-f]{64}", lambda found: sha256(found[0]).hexdigest().encode(), line))


def exchanged_records(run: Path) -> None:
    """The segment's record in the place of the first state's."""
    lines = (run / "log/records.jsonl").read_bytes().splitlines(keepends=True)
    lines[_SEGMENT - 1 : _SEGMENT + 1] = lines[_SEGMENT], lines[_SEGMENT - 1]
    (run / "log/records.jsonl").write_bytes(b"".join(lines))


def changed_proof(run: Path) -> None:
    data = bytearray((run / "proofs/0-0").read_bytes())
    data[1000] ^= 1
    (run / "proofs/0-0").write_bytes(data)


def no_proof(run: Path) -> None:
    (run / "proofs/0-0").unlink()


def other_weights(run: Path) -> None:
    shutil.copy(run / "model/weights.i64.safetensors", run / "model/weights.f32.safetensors")


def other_configuration(run: Path) -> None:
    (run / "config.toml").write_bytes((run / "config.toml").read_bytes() + b"\n")


def edit(run: Path, change: Callable[[bytes], bytes]) -> None:
    """Changes the segment's record, and leaves the checkpoint as it was."""
    lines = (run / "log/records.jsonl").read_bytes().splitlines()
    changed = change(lines[_SEGMENT])
    assert changed != lines[_SEGMENT]
    lines[_SEGMENT] = changed
    (run / "log/records.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))


FAULTS: dict[Callable[[Path], None] | None, tuple[int, str]] = {
    None: (0, ""),
    swapped_record: (3, "root"),
    record_of_another_run: (3, "root"),
    exchanged_records: (1, "record"),
    changed_proof: (7, "does not match the record's hash"),
    no_proof: (7, "0-0 can't be read"),
    other_weights: (10, "does not match the close record"),
    other_configuration: (10, "does not match the close record"),
}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as entered:
        yield entered


def given(folder: Path, way: str, stack: ExitStack) -> str:
    """What stands on the command line for the run `folder`/run, or its bundle."""
    if way == "folder":
        return str(folder / "run")
    if way != "folder URL":
        names = sorted(path.relative_to(folder / "run").as_posix() for path in (folder / "run").rglob("*"))
        files = {name: (folder / "run" / name).read_bytes() for name in names if is_public(name)}
        (folder / "run.bundle").write_bytes(packed(files))
    if way == "bundle":
        return str(folder / "run.bundle")
    server = stack.enter_context(served(folder, ranges=way != "bundle URL, whole"))
    return f"{server.url}/run/" if way == "folder URL" else f"{server.url}/run.bundle"


def head() -> str:
    leaves = (GOLDEN / "log/records.jsonl").read_bytes().splitlines()
    return f"{root([leaf_hash(leaf) for leaf in leaves]).hex()}@{len(leaves)}"


@pytest.mark.parametrize("with_root", [False, True], ids=["as it is", "ROOT@SIZE --from"])
@pytest.mark.parametrize("way", WAYS)
def test_every_way_in_refuses_the_same_faults(
    way: str, with_root: bool, tmp_path: Path, stack: ExitStack, capsys: pytest.CaptureFixture[str]
) -> None:
    for fault, (step, said) in FAULTS.items():
        folder = tmp_path / (fault.__name__ if fault else "honest")
        shutil.copytree(GOLDEN, folder / "run")
        if fault is not None:
            fault(folder / "run")
        target = given(folder, way, stack)
        status = main([*([head(), "--from", target] if with_root else [target]), "--key", KEY, "--json"])
        report = json.loads(capsys.readouterr().out)
        if fault is None:
            assert (status, report["verdict"], report["failure"]) == (0, "L0, L1", None)
            continue
        assert (status, report["exit_status"], report["verdict"], report["levels"]) == (1, 1, "FAILED", []), fault
        assert report["failure"]["step"] == step, (fault, report["failure"])
        assert said in report["failure"]["message"]


@pytest.mark.parametrize("way", WAYS)
def test_every_way_in_refuses_a_run_signed_by_another(
    way: str, tmp_path: Path, stack: ExitStack, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(GOLDEN, tmp_path / "run")
    target = given(tmp_path, way, stack)
    other = Ed25519Signer("zk-autograd-test", bytes(32)).public_key.encode()
    assert main([target, "--key", other, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["failure"]["step"] == 2
