"""The whole verification: real runs, the order of the steps, and that nothing but a report comes
out, whatever the bytes."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evidence.bundles import packed
from tests.verify.run_builder import (
    KEY,
    LOG_POLICY,
    POLICY,
    SECOND,
    SIGNER,
    Run,
    files_of,
    honest,
    judge,
    refused,
    stand_ins,
)
from zk_autograd.cli.verify import main
from zk_autograd.core.canonical import encode
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.note import checkpoint_text, sign
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.evidence.opening import open_run
from zk_autograd.prove.ezkl.keys import Cache
from zk_autograd.prove.ezkl.verify import EzklSystem, installed_ezkl
from zk_autograd.verify.outcome import Level, Status, Step
from zk_autograd.verify.policy import Policy, TreeHead
from zk_autograd.verify.report import Report
from zk_autograd.verify.verifier import Verifier

PASSED, ABSENT, SKIPPED = Status.PASSED, Status.ABSENT, Status.SKIPPED


def look(folder: Path, policy: Policy = LOG_POLICY) -> Report:
    with RunFolder(folder) as files:
        return Verifier(policy, stand_ins()).verify(files)


def statuses(report: Report) -> list[Status]:
    return [report.findings[step].status for step in Step]


# ---- runs of the trainer's own code


def test_run_without_proofs_reaches_l0(hashed_run: Path) -> None:
    report = look(hashed_run)
    assert statuses(report) == [PASSED, PASSED, PASSED, ABSENT, PASSED, PASSED, ABSENT, ABSENT, ABSENT, PASSED, PASSED]
    assert (report.verdict, report.exit_status) == ("L0", 0)
    assert look(hashed_run, Policy(keys=(KEY,))).exit_status == 3


@pytest.mark.ezkl
@pytest.mark.slow
def test_run_with_real_proofs_reaches_l1(ezkl_run: Path, ezkl_cache: Cache, srs_digest: bytes) -> None:
    systems = {"ezkl": EzklSystem(ezkl_cache, installed_ezkl())}
    with RunFolder(ezkl_run) as files:
        report = Verifier(Policy(keys=(KEY,), srs=frozenset({srs_digest})), systems).verify(files)
    assert report.failure is None, str(report.failure)
    assert statuses(report) == [PASSED, PASSED, PASSED, ABSENT, PASSED, PASSED, PASSED, ABSENT, ABSENT, PASSED, PASSED]
    assert (report.verdict, report.exit_status) == ("L0, L1", 0)


@pytest.mark.ezkl
@pytest.mark.slow
def test_run_with_real_proofs_from_the_command_line(
    ezkl_run: Path,
    ezkl_cache: Cache,
    srs_digest: bytes,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("ZK_AUTOGRAD_CACHE", str(ezkl_cache.folder))
    pinned = [str(ezkl_run), "--key", KEY.encode()]
    allowed = [*pinned, "--srs-digest", srs_digest.hex()]
    assert main([*allowed, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["levels"] == ["L0", "L1"]
    assert main([*pinned, "--json"]) == 3
    assert f"the SRS {srs_digest.hex()} is not allowed" in json.loads(capsys.readouterr().out)["missing"][0]
    assert main([*allowed[:1], *allowed[3:]]) == 3
    assert "verdict: UNPINNED" in capsys.readouterr().out


@pytest.mark.ezkl
@pytest.mark.slow
@pytest.mark.parametrize("name", ["0-0", "1-0"])
def test_step7_real_proof_with_one_bit_changed(
    ezkl_run: Path, ezkl_cache: Cache, srs_digest: bytes, tmp_path: Path, name: str
) -> None:
    """The bit is changed in the record's hash too, and the log signed again: the proof itself is
    what is refused."""
    folder = shutil.copytree(ezkl_run, tmp_path / "run", ignore=shutil.ignore_patterns("private"))
    proof = bytearray((folder / "proofs" / name).read_bytes())
    proof[-40] ^= 1
    old, new = sha256((folder / "proofs" / name).read_bytes()).hexdigest(), sha256(proof).hexdigest()
    (folder / "proofs" / name).write_bytes(proof)
    leaves = [leaf.replace(old.encode(), new.encode()) for leaf in RunFolder(folder).leaves()]
    resign(folder, leaves)
    with RunFolder(folder) as files:
        policy = Policy(keys=(KEY,), srs=frozenset({srs_digest}))
        report = Verifier(policy, {"ezkl": EzklSystem(ezkl_cache, installed_ezkl())}).verify(files)
    refused(report, 7, f"proof {name}: the proof does not verify", record=2 + int(name[0]))


@pytest.mark.parametrize("rule", list(Rule))
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("schedule", ["constant", "recorded"])
def test_every_rule_is_followed(tmp_path: Path, rule: Rule, groups: int, schedule: str) -> None:
    report = judge(honest("none", rule=rule, groups=groups, schedule=schedule), tmp_path, LOG_POLICY)
    assert (report.failure, report.exit_status) == (None, 0)


# ---- the order of the steps

BREAKS: list[tuple[int, Callable[[Run], None]]] = [
    (1, lambda run: setattr(run, "tail", b"torn")),
    (2, lambda run: run.edit_header(keys=(SECOND.public_key.encode(),))),
    (3, lambda run: setattr(run, "origin", "another")),
    (5, lambda run: run.edit_prover(circuit="another")),
    (6, lambda run: setattr(run, "close", replace(run.close, last_step=1))),  # type: ignore[type-var]
    (7, lambda run: run.proofs.clear()),
    (10, lambda run: run.model.clear()),
]


def test_steps_are_taken_in_order(tmp_path: Path) -> None:
    """With everything broken the first step fails; with that one mended the next; and so on to the
    end."""
    for i in range(len(BREAKS) + 1):
        run = honest()
        for _, break_it in reversed(BREAKS[i:]):
            break_it(run)
        report = judge(run, tmp_path / str(i))
        if i == len(BREAKS):
            assert report.exit_status == 0
        else:
            assert report.failure is not None
            assert report.failure.step == BREAKS[i][0]


def test_failure_before_step_4_says_nothing_of_the_run(tmp_path: Path) -> None:
    run = honest()
    run.origin = "another"
    assert judge(run, tmp_path / "3").summary is None
    run = honest()
    run.proofs.clear()
    assert judge(run, tmp_path / "7").summary is not None


def test_steps_8_and_9_are_absent(tmp_path: Path) -> None:
    report = judge(honest(), tmp_path)
    assert report.findings[Step.ATTESTATION].status is report.findings[Step.DATA].status is ABSENT


# ---- (11) verdict

BOTH = frozenset({Level.L0, Level.L1})


@pytest.mark.parametrize(
    ("backend", "policy", "levels", "status", "missing"),
    [
        ("ezkl", POLICY, BOTH, 0, 0),
        ("ezkl", replace(POLICY, require=BOTH), BOTH, 0, 0),
        ("ezkl", replace(POLICY, require=frozenset({Level.L0})), BOTH, 0, 0),
        ("ezkl", replace(POLICY, srs=frozenset()), {Level.L0}, 3, 1),
        ("ezkl", replace(POLICY, keys=()), frozenset(), 3, 1),
        ("ezkl", replace(POLICY, keys=(), srs=frozenset()), frozenset(), 3, 2),
        ("ezkl", replace(POLICY, keys=(), require=frozenset({Level.L0})), frozenset(), 3, 1),
        ("none", POLICY, {Level.L0}, 3, 1),
        ("none", LOG_POLICY, {Level.L0}, 0, 0),
    ],
    ids=range(9),
)
def test_step11_levels_and_exit_status(
    tmp_path: Path, backend: str, policy: Policy, levels: frozenset[Level], status: int, missing: int
) -> None:
    report = judge(honest(backend), tmp_path, policy)
    assert (report.levels, report.exit_status, len(report.missing)) == (levels, status, missing)
    assert report.findings[Step.VERDICT].status is (Status.NOT_SHOWN if missing else PASSED)


# ---- whatever the names

NAMES = st.lists(
    st.sampled_from(["verdict: L0, L1", "verdict:", "x" * 50, " " * 3, "\u05d0\u05d1", "e\u0301\u0301", "\u202e", "layer.0.bias", "'", '"'])
    | st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30),
    min_size=1,
    max_size=8,
).map("".join)  # fmt: skip


@given(unproved=st.lists(NAMES, min_size=1, max_size=5, unique=True), parameter=NAMES, file=NAMES, broken=st.booleans())
@settings(max_examples=60, deadline=None)
def test_names_of_a_run_make_no_line_of_the_report(
    tmp_path_factory: pytest.TempPathFactory, unproved: list[str], parameter: str, file: str, broken: bool
) -> None:
    run = honest("none")
    (buffer,) = run.header.unproved
    run.edit_header(
        unproved=tuple(replace(buffer, name=f"u{i}{name}") for i, name in enumerate(unproved)),
        parameters=(replace(run.header.parameters[0], name=parameter), run.header.parameters[1]),
    )
    run.model = files_of(run.header, run.weights, run.salts)
    if broken:
        run.model["weights.f32.safetensors"] = run.model["weights.i64.safetensors"]
    run.name_model()
    folder = run.write(tmp_path_factory.mktemp("names") / "run")
    (folder / file.replace("/", "_")[:60]).mkdir()
    report = look(folder)
    assert report.exit_status == (1 if broken else 3), report.text()
    for width in (40, 77, 100):
        *lines, last = report.text(width).split("\n")
        assert last == f"verdict: {report.verdict}"
        assert not any(line.strip(" -").lower().startswith("verdict") for line in lines)
        assert all(line.isascii() and (line.isprintable() or not line) for line in lines)
        assert not any("verdict: L0, L1" in line for line in lines)


# ---- one rule, whichever way the evidence comes


def _exchange(run: Run, what: str) -> None:
    """The trainer signs one log and shows another, or other files than it names."""
    signed = run.root(), len(run.leaves())
    match what:
        case "a segment's record":
            run.segments[1] = replace(run.segments[1], gradients=run.segments[0].gradients)
        case "the close record":
            assert run.close is not None
            run.close = replace(run.close, model=())
        case "a proof":
            run.proofs[1, 0] = run.proofs[0, 0]
        case _:
            run.model["weights.f32.safetensors"] = run.model["weights.i64.safetensors"]
    run.head_root, run.signed = signed


@pytest.mark.parametrize(
    ("what", "step"), [("a segment's record", 3), ("the close record", 3), ("a proof", 7), ("the weights", 10)]
)
def test_what_is_exchanged_is_found_in_a_folder_a_bundle_and_under_a_root(tmp_path: Path, what: str, step: int) -> None:
    run = honest()
    head = TreeHead(run.root(), len(run.leaves()))
    whole = run.write(tmp_path / "whole")
    _exchange(run, what)
    folder = run.write(tmp_path / "run")
    found = []
    for source, failing in ((whole, False), (folder, True)):
        members = {str(p.relative_to(source)): p.read_bytes() for p in source.rglob("*") if p.is_file()}
        bundle = tmp_path / f"{source.name}.tar"
        bundle.write_bytes(packed(dict(sorted(members.items()))))
        for path in (source, bundle):
            for policy in (POLICY, replace(POLICY, head=head)):
                with open_run(path) as files:
                    report = Verifier(policy, stand_ins()).verify(files)
                assert (report.exit_status, report.verdict) == ((1, "FAILED") if failing else (0, "L0, L1"))
                if failing:
                    assert report.failure is not None
                    assert report.failure.step == step
                    found.append(str(report.failure))
    assert len(set(found)) == 1


# ---- whatever the bytes


def resign(folder: Path, leaves: list[bytes]) -> None:
    """Writes the records, and a checkpoint over them by the trainer's own key: the trainer is the
    one who cheats."""
    (folder / "log/records.jsonl").write_bytes(b"".join(leaf + b"\n" for leaf in leaves))
    origin = f"zk-autograd/{json.loads(leaves[0]).get('run', '')}" if leaves else "x"
    try:
        note = sign(checkpoint_text(origin, len(leaves), root([leaf_hash(leaf) for leaf in leaves])), [SIGNER])
    except VerificationError:
        note = sign(checkpoint_text("zk-autograd/x", len(leaves), root([leaf_hash(leaf) for leaf in leaves])), [SIGNER])
    (folder / "log/checkpoint").write_bytes(note)


@st.composite
def changed_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes with one thing done to them, never the same bytes."""
    place = draw(st.integers(0, len(data) - 1))
    end = draw(st.integers(place, min(len(data), place + 200)))
    change = draw(st.sampled_from(["flip", "cut", "drop", "repeat", "insert", "swap"]))
    if change == "flip":
        return data[:place] + bytes([data[place] ^ (1 << draw(st.integers(0, 7)))]) + data[place + 1 :]
    if change == "cut":
        return data[:place]
    if change == "drop":
        return data[:place] + data[end + 1 :]
    if change == "repeat":
        return data[: end + 1] + data[place:]
    if change == "insert":
        return data[:place] + draw(st.binary(min_size=1, max_size=50)) + data[place:]
    return data + data[place:] + b"\n"


@given(data=st.data())
@settings(max_examples=150)
def test_changed_bytes_in_any_file_are_a_failure(
    hashed_run: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    names = [
        "log/records.jsonl",
        "log/checkpoint",
        "model/weights.i64.safetensors",
        "model/weights.f32.safetensors",
        "model/opening.json",
    ]
    name = data.draw(st.sampled_from(names))
    folder = tmp_path_factory.mktemp("fuzz") / "run"
    shutil.copytree(hashed_run, folder, ignore=shutil.ignore_patterns("private"))
    before = (folder / name).read_bytes()
    after = data.draw(changed_bytes(before))
    (folder / name).write_bytes(after)
    report = look(folder)
    report.text()
    json.dumps(report.to_json())
    if name == "log/records.jsonl" and after.startswith(before):
        return  # appended records are not signed, and don't count
    assert (report.failure is not None) == (after != before)


JUNK = st.sampled_from(
    [0, 1, -1, 2**53 - 1, -(2**53 - 2), 2**40, 10**12, True, False, "", "x", "-1", "1e400", "9" * 80, "0" * 64, "f" * 64, "f" * 128, "f" * 512,
     "\u202e", "zk-autograd/run/v0", "adam", "sgd", "none", "ezkl", "recorded", [], {}, [[]], [{}], ["x"], [0], ["00" * 32] * 2, {"W": []}]
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values in a JSON value."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += places(item, (*path, key))
    return found


def alike(value: Any) -> st.SearchStrategy[Any]:
    """Another value of the same kind, which a record's form may allow."""
    if isinstance(value, bool):
        return st.just(not value)
    if isinstance(value, int):
        return st.sampled_from([-1, 1, 2, 2**20, 2**45]).map(lambda step: min(value + step, 2**53 - 1))
    if isinstance(value, str):
        others = value.replace("0", "1"), value.replace("1", "2"), value[1:] + value[:1], value + "0"
        return st.sampled_from(others)
    if isinstance(value, list):
        return st.permutations(value)
    return st.just(dict(list(value.items())[::-1]))


@given(data=st.data())
@settings(max_examples=250)
def test_changed_records_that_the_trainer_signed_give_a_report(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    run = honest(
        data.draw(st.sampled_from(["none", "ezkl"])), schedule=data.draw(st.sampled_from(["constant", "recorded"]))
    )
    folder = run.write(tmp_path_factory.mktemp("fuzz") / "run")
    leaves = [json.loads(leaf) for leaf in run.leaves()]
    for _ in range(data.draw(st.integers(1, 3))):
        leaf = data.draw(st.sampled_from(leaves))
        path = data.draw(st.sampled_from(places(leaf)))
        change = data.draw(
            st.sampled_from(["alike", "alike", "alike", "alike", "junk", "drop", "repeat", "copy", "remove"])
        )
        parent = leaf
        for key in path[:-1]:
            parent = parent[key]
        if change == "alike":
            parent[path[-1]] = data.draw(alike(parent[path[-1]]))
        elif change == "drop":
            del parent[path[-1]]
        elif change == "repeat" and isinstance(parent, list):
            parent.append(parent[path[-1]])
        elif change == "copy":
            other = data.draw(st.sampled_from(leaves))
            for key in data.draw(st.sampled_from(places(other))):
                other = other[key]
            parent[path[-1]] = json.loads(json.dumps(other))
        elif change == "remove" and len(leaves) > 1:
            leaves.remove(leaf)
        else:
            parent[path[-1]] = json.loads(json.dumps(data.draw(JUNK)))
        if not leaf:
            break
    resign(folder, [encode(leaf) for leaf in leaves])
    report = look(folder, replace(POLICY, require=frozenset({Level.L0})))
    report.text()
    json.dumps(report.to_json())


@given(data=st.data())
@settings(max_examples=100)
def test_changed_model_that_the_close_record_names_gives_a_report(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    run = honest(data.draw(st.sampled_from(["none", "ezkl"])))
    name = data.draw(st.sampled_from(sorted(run.model)))
    before = run.model[name]
    run.model[name] = data.draw(changed_bytes(before))
    run.name_model()
    report = judge(run, tmp_path_factory.mktemp("fuzz") / "run")
    assert report.failure is None or report.failure.step == 10
    if name == "opening.json":
        assert (report.failure is not None) == (run.model[name] != before)


def test_honest_run_of_the_fuzzers_passes(hashed_run: Path, tmp_path: Path) -> None:
    """What the fuzzers change passes unchanged, signed anew too: their failures are of their
    making."""
    folder = shutil.copytree(hashed_run, tmp_path / "run", ignore=shutil.ignore_patterns("private"))
    with RunFolder(folder) as files:
        leaves = files.leaves()
    resign(folder, leaves)
    assert look(folder).exit_status == 0
    assert parse_log(leaves).close is not None
