"""Every attack on a run is refused by the step that is meant to refuse it, and passes without that
step's check."""

import json
import tracemalloc
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from attacks.__main__ import ON_CIRCUITS, ON_RUNS, backends_of, program
from attacks.__main__ import main as attack
from attacks.on_runs import (
    bad_proof_in_sample,
    beacon_known,
    code_in_the_run,
    foreign_srs,
    key_in_the_cache,
    length_bombs,
    merkle_forgeries,
    nan_gradient,
    other_circuit,
    planted_beside,
    proof_replayed,
    temporary_files_exchanged,
)
from attacks.on_runs.bad_proof_in_sample import BAD, PROOFS, SAMPLE
from attacks.on_runs.path_traversal import NAMES
from attacks.tools.attempt import BACKENDS, Attempt, Scene, Submission, refusal, refusing_step
from tests.attacks import taken_out
from tests.attacks.taken_out import TakenOut, both, statements
from tests.verify.agreement import agree
from zk_autograd.cli.verify import main
from zk_autograd.core import canonical, formats, merkle
from zk_autograd.core.errors import GradientError, UsageError, VerificationError
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.core.records import MAX_RECORD
from zk_autograd.evidence import folder
from zk_autograd.evidence import run as evidence_run
from zk_autograd.evidence.bundle import Bundle
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.evidence.layout import LOG, MAX_LOG, RECORDS
from zk_autograd.prove.ezkl import keys
from zk_autograd.prove.ezkl.keys import Keys
from zk_autograd.verify import proofs
from zk_autograd.verify.outcome import Status, Step
from zk_autograd.verify.sampling import draw
from zk_autograd.verify.verifier import Verifier

pytestmark = pytest.mark.slow
on_ezkl = pytest.mark.ezkl
on_each_backend = pytest.mark.parametrize("scene", [pytest.param("ezkl", marks=on_ezkl), "native"], indirect=True)

MIB = 2**20

SECOND_FIRST = {(0, 0): (1, 0), (0, 1): (1, 1), (1, 0): (0, 0), (1, 1): (0, 1)}

TAKEN_OUT: dict[str, dict[str, TakenOut]] = {
    "one_unit_weight": {"in the published files": taken_out.model, "in the records too": taken_out.spoken},
    "gradient_swapped": {"between blocks": taken_out.spoken, "between segments": taken_out.spoken},
    "proof_replayed": {
        "at another step": both(taken_out.states, statements({(1, 0): (0, 0), (1, 1): (0, 1)})),
        "in another block": both(taken_out.salts, statements({(0, 1): (0, 0), (1, 1): (1, 0)})),
        "in another run": taken_out.context,
        "under another key": taken_out.signatures,
    },
    "segments_rearranged": {
        "swapped": taken_out.order,
        "swapped and renumbered": both(taken_out.order, statements(SECOND_FIRST)),
        "the first left out": both(taken_out.order, statements(SECOND_FIRST)),
        "the first left out, genesis moved": both(taken_out.zeros, statements(SECOND_FIRST)),
        "the last left out": taken_out.end,
        "the last repeated": taken_out.order,
        "repeated with another proof": taken_out.place,
        "repeated with another native proof": taken_out.place,
    },
    "hyper_parameter_edited": {
        "lr in the header": taken_out.context,
        "beta2 in the header": statements(),
        "gradient scale": statements(),
        "recorded lr of one step": statements(),
        "schedule": statements(),
        "schedule declared afterwards": taken_out.context,
        "rates beside a declared schedule": both(taken_out.rates_read, taken_out.context),
    },
    "log_resigned": {
        "with another key of the same name": taken_out.signatures,
        "with one of the trainer's two keys": taken_out.signatures,
        "with one of two keys, and the other's old line": taken_out.signatures,
        "with the trainer's key ID on it": taken_out.signatures,
        "old signature kept": taken_out.log,
        "checkpoint of another run": both(taken_out.log, taken_out.context),
    },
    "log_cut": {
        "under the newest checkpoint": taken_out.log,
        "under an old checkpoint": taken_out.log,
        "prefix with the end of the whole": both(taken_out.end, taken_out.uncovered),
        "last step edited": taken_out.end,
        "number of segments edited": taken_out.end,
        "final state edited": taken_out.end,
    },
    "no_op_padding": {"counted as steps": statements()},
    "published_weights_exchanged": {
        "files replaced": taken_out.model,
        "other weights": taken_out.model,
        "other floats": taken_out.model,
        "two tensors exchanged": taken_out.model,
        "an extra tensor": taken_out.model,
        "a tensor twice": taken_out.model,
        "a buffer in a file of its own": taken_out.model,
        "a file that no record names": taken_out.uncovered,
        "a buffer's digest": taken_out.context,
        "another type": taken_out.model,
        "a file missing": taken_out.model,
    },
    "weights_passed_off": {
        "named by the trainer": taken_out.given,
        "beside the real ones": taken_out.given,
        "beside a run": taken_out.given,
    },
    "model_planted": {
        "beside a close record": taken_out.uncovered,
        "beside an unfinished run": taken_out.uncovered,
        "beside a prefix": taken_out.uncovered,
    },
    "planted_beside": {attempt.name: taken_out.uncovered for attempt in planted_beside.ATTEMPTS},
    "artefact_exchanged": {
        "another seed": taken_out.artefacts,
        "another machine": taken_out.artefacts,
        "no resumption": taken_out.artefacts,
        "other hashes": taken_out.artefacts,
        "the hash of other weights": taken_out.artefacts,
        "the hash of other data": taken_out.artefacts,
        "the hash of another configuration": taken_out.artefacts,
        "a log left out": taken_out.artefacts,
        "files planted": taken_out.uncovered,
        "a configuration planted": taken_out.uncovered,
        "a link": taken_out.links,
    },
    "proof_bytes": {
        "a byte more": taken_out.proof_length,
        "a byte less": taken_out.one_proof,
        "nothing": taken_out.one_proof,
        "nothing at all": taken_out.one_proof,
        "a number above the order": taken_out.one_proof,
        "a scalar plus its order": taken_out.one_proof,
        "a coordinate plus its order": taken_out.one_proof,
        "another than the record's": taken_out.one_proof,
        "missing": taken_out.one_proof,
    },
    "bad_proof_in_sample": {
        "in the sample": taken_out.one_proof,
        "not in the sample": taken_out.sample(None),
    },
    "beacon_known": {"root ground for it": taken_out.sample(None)},
    "huge_numbers": {"step 10^12": both(taken_out.order, statements())},
    "links_and_pipes": {
        "link for the records": taken_out.links,
        "link for the checkpoint": taken_out.links,
        "link for the folder log": taken_out.links,
        "link for a proof": taken_out.links,
        "link for the folder proofs": taken_out.links,
        "link for the weights": taken_out.links,
        "link for the folder model": taken_out.links,
        "pipe for the records": taken_out.records_pipe,
        "pipe for a proof": taken_out.proof_pipe,
    },
    "file_exchanged": {
        "a proof between two reads": taken_out.read_once,
        "the folder for a link": taken_out.links,
    },
    "other_circuit": {
        "the circuit brought along": taken_out.own_circuit,
        "its verifying key brought along": both(taken_out.own_key, taken_out.uncovered),
        "another rule's": taken_out.adamw,
        "another rule's digest": taken_out.own_digest,
    },
    "first_state_not_zero": {
        "first moment": taken_out.zeros,
        "second moment": both(taken_out.zeros, taken_out.spoken),
        "first weights": taken_out.not_first,
    },
    "chain_broken": {
        "told by the records": taken_out.states,
        "denied by the records": taken_out.spoken,
        "salted afresh": taken_out.states,
    },
    "seal_forged": {
        "another root": taken_out.one_proof,
        "another proof of work": taken_out.one_proof,
        "another value": taken_out.one_proof,
        "a value above the order": taken_out.one_proof,
    },
    "preset_weaker": {"standard for strict": taken_out.standard},
    "weight_decay_claimed": {
        "claimed and not proved": taken_out.undecayed,
        "proved and not claimed": taken_out.decayed,
    },
    "foreign_srs": {"moments and weights exchanged": taken_out.srs},
    "code_in_the_run": {
        "the package, in the run": both(taken_out.own_place, taken_out.uncovered),
        "a module, in the run": both(taken_out.own_place, taken_out.uncovered),
        "the package, beside the run": taken_out.own_place,
    },
    "temporary_files_exchanged": {"in an open folder": taken_out.closed_temporary},
}
"""Without these checks an attempt is accepted, exit status 0. Where there are two, both stand in
its way (the program says so)."""

ELSEWHERE = {
    ("log_resigned", "for an auditor who pins no key"): "there is no check: that is what the verdict says",
    ("bad_proof_in_sample", "all proofs verified"): "the other attempts verify fewer",
    ("huge_numbers", "a segment up to step 10^12"): "a bound on work: without it the verifier works for hours",
    ("huge_numbers", "a block of 2^40 parameters"): "a bound on memory",
    ("huge_numbers", "a native block of 2^40 parameters"): "a bound on memory",
    ("huge_numbers", "the same without a circuit"): "a bound on memory",
    ("huge_numbers", "8193 large blocks without a circuit"): "a bound on work",
    ("links_and_pipes", "folder for the checkpoint"): "there are no bytes to accept",
    ("links_and_pipes", "socket for a proof"): "there are no bytes to accept",
    **{("length_bombs", a.name): "see the tests of bounds below" for a in length_bombs.ATTEMPTS},
    **{("path_traversal", name): "see test_the_reader_takes_plain_names_alone" for name in NAMES},
}
"""Attempts that win nothing when the check is gone, and why, or where that is tested."""


def attempts_of(name: str) -> tuple[Attempt, ...]:
    return getattr(program(name), "ATTEMPTS", ())


CASES = [
    (backend, n, a) for backend in sorted(BACKENDS) for n in ON_RUNS for a in attempts_of(n) if backend in a.backends
]


def cases(chosen: list[tuple[str, str, Attempt]]) -> pytest.MarkDecorator:
    """Parametrises a test with attempts and the scene of their backend."""
    params = [
        pytest.param(backend, n, a, id=f"{backend}: {n}: {a.name}", marks=[on_ezkl] if backend == "ezkl" else [])
        for backend, n, a in chosen
    ]
    return pytest.mark.parametrize(("scene", "name", "attempt"), params, indirect=["scene"])


@cases(CASES)
def test_an_attack_is_refused_by_the_step_that_is_meant_to(
    scene: Scene, name: str, attempt: Attempt, capsys: pytest.CaptureFixture[str]
) -> None:
    submission = attempt.forge(scene)
    report = submission.judged(scene.systems)
    assert refusing_step(report) is attempt.step, refusal(report)
    assert attempt.words in refusal(report)
    assert report.exit_status != 0
    agree(report)
    policy = submission.policy
    if scene.backend == "native" and submission.reader in (RunFolder, Bundle) and submission.systems is None:
        if submission.subjects or (policy.sample is not None and policy.beacon is None):
            return  # no files here that have these digests; another sample each time
        (status, told), *forms = commanded(submission, capsys)
        value = json.loads(told)
        assert (status, value["exit_status"], value["verdict"]) == (report.exit_status,) * 2 + (report.verdict,)
        assert (value["failure"] or {}).get("step") == (report.failure.step if report.failure else None)
        for found, text in forms:
            assert found == status
            assert report.verdict_line in text.split("\n")


def commanded(submission: Submission, capsys: pytest.CaptureFixture[str]) -> list[tuple[int, str]]:
    """The exit statuses and outputs of zk-verify, for each of its forms, under the auditor's
    policy."""
    policy = submission.policy
    words = ["--require", ",".join(sorted(level.value for level in policy.require))]
    for flag, values in (
        ("--key", [key.encode() for key in policy.keys]),
        ("--srs-digest", [digest.hex() for digest in policy.srs]),
        ("--sample", [] if policy.sample is None else [str(policy.sample)]),
        ("--beacon", [] if policy.beacon is None else [policy.beacon]),
        ("--accept-uncovered", sorted(policy.accept_uncovered)),
    ):
        words += [word for value in values for word in (flag, value)]
    words += ["--accept-sample"] if policy.accept_sample else []
    where = [str(submission.path)]
    if policy.head is not None:
        where = [str(policy.head), "--from", str(submission.path)]
    said = []
    for form in ("--json", "--long", None):
        capsys.readouterr()
        status = main([*where, *words, *([form] if form else [])])
        output, errors = capsys.readouterr()
        assert "Traceback" not in errors
        said.append((status, output))
    return said


@cases([case for case in CASES if (case[1], case[2].name) not in ELSEWHERE])
def test_it_passes_without_that_check(
    scene: Scene, name: str, attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_out = TAKEN_OUT[name][attempt.name]
    submission = attempt.forge(scene)
    with monkeypatch.context() as patch:
        report = take_out(patch, scene, submission).judged(scene.systems)
    assert (report.exit_status, refusal(report)) == (0, "")


def test_no_attempt_is_left_out_here() -> None:
    attempts = {(name, attempt.name) for name in ON_RUNS for attempt in attempts_of(name)}
    assert attempts == {(n, a) for n, cases in TAKEN_OUT.items() for a in cases} | set(ELSEWHERE)
    assert all(hasattr(program(name), "run") for name in (*ON_RUNS, *ON_CIRCUITS))
    assert not set(ON_RUNS) & set(ON_CIRCUITS)


def test_every_attack_is_on_both_backends_or_says_why_not() -> None:
    alone = {name: backends_of(name) for name in ON_RUNS if attempts_of(name) and backends_of(name) != BACKENDS}
    native = ("chain_broken", "seal_forged", "preset_weaker", "weight_decay_claimed")
    of_ezkl = {
        "foreign_srs": (foreign_srs, "has no SRS"),
        "code_in_the_run": (code_in_the_run, "has no child"),
        "temporary_files_exchanged": (temporary_files_exchanged, "no temporary files"),
    }
    assert alone == {**{name: {"ezkl"} for name in of_ezkl}, **{name: {"native"} for name in native}}
    for module, words in of_ezkl.values():
        assert module.__doc__ is not None
        assert words in " ".join(module.__doc__.split())


def test_the_program_says_what_became_of_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert attack(["no_op_gradient", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["name"], told["refused"]) == ("a hidden gradient in a no-op", True)
    assert attack(["preset_weaker", "foreign_srs", "--backend", "native", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)  # the attack on the SRS has nothing to attack there
    assert (told["name"], told["refused"]) == ("a weaker preset than the one claimed", True)
    assert (told["backend"], told["refused_by"]) == ("native", "step 7, Proofs")
    with pytest.raises(SystemExit):
        attack(["no_such_attack"])


@on_each_backend
def test_the_victim_itself_is_accepted(scene: Scene) -> None:
    with RunFolder(scene.victim.path) as files:
        report = Verifier(scene.policy, scene.systems).verify(files)
    assert (report.verdict, report.exit_status) == ("L0, L1", 0)
    assert report.findings[Step.MODEL].status is Status.PASSED
    again = scene.submit(scene.victim.forgery())
    for part in ("log/records.jsonl", "proofs/1-1"):  # the forger's tools change nothing by themselves
        assert (again.path / part).read_bytes() == (scene.victim.path / part).read_bytes()
    assert again.judged(scene.systems).exit_status == 0


@on_ezkl
@pytest.mark.parametrize("attempt", code_in_the_run.ATTEMPTS, ids=lambda attempt: attempt.name)
def test_the_code_of_a_run_is_not_executed(
    ezkl_scene: Scene, attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    submission = attempt.forge(ezkl_scene)
    submission.judged(ezkl_scene.systems)
    assert not list(submission.path.parent.rglob(code_in_the_run.NOTE))
    with monkeypatch.context() as patch:
        taken_out.own_place(patch, ezkl_scene, submission).judged(ezkl_scene.systems)
    assert list(submission.path.parent.rglob(code_in_the_run.NOTE))


@on_ezkl
@pytest.mark.parametrize("plant", ["exchanged", "in a folder that others write to"])
def test_a_key_in_the_cache_is_not_used(ezkl_scene: Scene, plant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (srs,) = ezkl_scene.victim.srs
    cache = key_in_the_cache.copied(ezkl_scene)
    key_in_the_cache.PLANTS[plant](cache)
    with monkeypatch.context() as patch:
        patch.setattr(Keys, "are_as_made", lambda keys, circuit, proving: keys.vk.exists())
        patch.setattr(keys, "require_own", lambda folder, advice: None)
        assert key_in_the_cache.key_used(cache, srs) == key_in_the_cache.PLANTED
    if plant == "exchanged":
        made = key_in_the_cache.key_used(cache, srs)
        assert made == key_in_the_cache.key_used(ezkl_scene.ezkl.cache, srs)
    else:
        with pytest.raises(UsageError, match=r"can be exchanged by others .* is open to everybody"):
            key_in_the_cache.key_used(cache, srs)


@on_ezkl
def test_a_key_brought_along_is_refused_by_two_steps(ezkl_scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    submission = other_circuit.key_brought_along(ezkl_scene)
    with monkeypatch.context() as patch:
        report = taken_out.zeros(patch, ezkl_scene, submission).judged(ezkl_scene.systems)
    assert refusing_step(report) is Step.PROOFS


@on_each_backend
def test_a_proof_in_another_block_is_refused_by_two_steps(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    submission = proof_replayed.another_block(scene)
    with monkeypatch.context() as patch:
        report = taken_out.salts(patch, scene, submission).judged(scene.systems)
    assert refusing_step(report) is Step.PROOFS
    assert "proof 0-1: the proof does not verify" in refusal(report)


@pytest.mark.parametrize("name", NAMES)
def test_the_reader_takes_plain_names_alone(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run" / "model" / "weights").mkdir(parents=True)
    for secret in (tmp_path / "secret", tmp_path / "run" / "secret", tmp_path / "run" / "model" / "..\\secret"):
        secret.write_bytes(b"secret")
    (tmp_path / "run" / "model" / ".hidden").write_bytes(b"secret")
    with RunFolder(tmp_path / "run") as files:
        with pytest.raises(VerificationError, match="is not the name of a published file"):
            files.model_file(name)
        with monkeypatch.context() as patch:
            patch.setattr(evidence_run, "check_plain_name", lambda name: None)
            with pytest.raises(VerificationError, match="is not the name of a public file"):
                files.model_file(name)  # behind it stands the list of what is public
            patch.setattr(folder, "is_public", lambda path: True)
            if name in ("..", "."):
                with pytest.raises(VerificationError, match="not a regular file"):
                    files.model_file(name)
            elif name.startswith("/"):  # whatever a path begins with, it is looked for in the run's folder
                with pytest.raises(VerificationError, match="No such file"):
                    files.model_file(name)
            else:
                assert files.model_file(name)


def _peak(submission: Submission, scene: Scene) -> int:
    """The most memory, in bytes, that judging the submission takes beyond what is there."""
    tracemalloc.start()
    try:
        submission.judged(scene.systems)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_record_is_not_read_further_than_its_bound(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    submission = scene.submit(scene.victim.forgery())
    length_bombs.sparse(submission.path / LOG / RECORDS, 300 * MIB)
    bounded = 3 * MAX_RECORD // MIB  # readline's own buffer grows by doubling
    assert _peak(submission, scene) < bounded * MIB
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder.lines, "__defaults__", (MAX_LOG, 2**40))
        assert _peak(submission, scene) >= 300 * MIB


def test_a_proof_is_not_read_beyond_its_bound(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    submission = scene.submit(scene.victim.forgery())
    length_bombs.sparse(submission.path / "proofs" / "0-0", 100 * MIB)
    assert _peak(submission, scene) < 10 * MIB
    with monkeypatch.context() as patch:
        patch.setattr(proofs, "MAX_PROOF", 2**40)
        assert _peak(submission, scene) >= 100 * MIB


def test_depth_is_measured_before_parsing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    submission = scene.submit(scene.victim.forgery())
    length_bombs.deep_header(submission.path)
    with monkeypatch.context() as patch:
        patch.setattr(canonical, "_check_depth", lambda text, limit: None)
        with pytest.raises(RecursionError):  # a traceback instead of a verdict
            submission.judged(scene.systems)


def test_records_are_counted_while_they_are_read(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    submission = scene.submit(scene.victim.forgery())
    (submission.path / LOG / RECORDS).write_bytes(b"\n" * 100_000)
    with RunFolder(submission.path) as files:
        assert len(files.leaves()) == 100_000  # eight times the file's size in memory, were there no end to it
        monkeypatch.setattr(evidence_run, "MAX_LEAVES", 99_999)
        with pytest.raises(VerificationError, match="has too many records"):
            files.leaves()


@pytest.mark.parametrize("name", merkle_forgeries.FORGERIES)
def test_a_forgery_in_the_tree_is_refused(scene: Scene, name: str) -> None:
    forge, words = merkle_forgeries.FORGERIES[name]
    with pytest.raises(VerificationError, match=words):
        forge(scene.victim.forgery().leaves())


def test_leaves_pass_for_nodes_without_their_prefix(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merkle, "leaf_hash", lambda data: sha256(data).digest())
    monkeypatch.setattr(merkle, "node_hash", lambda left, right: sha256(left + right).digest())
    merkle_forgeries.leaf_as_node(scene.victim.forgery().leaves())


def test_nodes_pass_for_leaves_where_a_proof_may_be_short(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merkle, "_check_hashes", lambda *_: None)
    merkle_forgeries.node_as_leaf_hash(scene.victim.forgery().leaves())


def test_a_sample_misses_one_bad_proof_as_often_as_the_report_says(scene: Scene) -> None:
    submission = bad_proof_in_sample.ATTEMPTS[-1].forge(scene)
    report = submission.judged(scene.systems)
    assert report.sample is not None
    assert report.sample.miss_one == "1/2"
    head = bad_proof_in_sample.unproved(scene).head()
    drawn = [draw(PROOFS, SAMPLE, seed.to_bytes(4, "big"), head.root, head.size) for seed in range(2000)]
    missed = sum(BAD not in sample for sample in drawn)
    assert abs(missed - 1000) < 100  # four and a half standard deviations


def test_a_beacon_known_early_is_worth_nothing_and_the_report_says_so(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    submission = beacon_known.ground(scene)
    fooled = taken_out.sample(None)(monkeypatch, scene, submission).judged(scene.systems)
    assert (fooled.verdict, fooled.exit_status) == ("L0, L1-sampled", 0)
    assert any("nothing shows that the trainer did not know the beacon" in limit for limit in fooled.limits)


@pytest.mark.parametrize("value", nan_gradient.VALUES)
def test_a_gradient_that_is_no_number_is_refused(value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    gradient = nan_gradient.gradient(value)
    with pytest.raises(GradientError, match="no exact step"):
        formats.quantize_gradient(gradient, 0)
    monkeypatch.setattr(formats, "_require_finite_gradient", lambda grad, name: None)
    with np.errstate(invalid="ignore"):
        integers, _ = formats.quantize_gradient(gradient, 0)
    assert integers.dtype == np.int64  # some integer, which goes on to be proved


def test_the_optimizer_takes_no_step_with_nan(scene: Scene, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from zk_autograd.optim import ZKOptimizer

    weight = torch.nn.Parameter(torch.tensor([0.5, -0.25, 1.0]))
    run, key = tmp_path / "run", scene.victim.signers
    with ZKOptimizer([("w", weight)], rule="sgd", lr=0.1, run=run, prover="none", key=key) as optimizer:
        weight.grad = torch.tensor([0.1, 0.2, 0.3])
        optimizer.step()
        before = weight.detach().clone()
        weight.grad = torch.tensor([0.1, float("nan"), 0.3])
        with pytest.raises(GradientError, match=r"w\[1\] is nan"):
            optimizer.step()
        assert torch.equal(weight, before)
    with RunFolder(run) as files:
        assert parse_log(files.leaves()).segments[-1].last == 1


@on_each_backend
def test_the_command_refuses_a_stolen_run(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    if scene.workshop is not None:
        monkeypatch.setenv("ZK_AUTOGRAD_CACHE", str(scene.ezkl.cache.folder))
    stolen = proof_replayed.another_run(scene)
    (thief,) = stolen.policy.keys
    digests = [word for digest in scene.victim.srs for word in ("--srs-digest", digest.hex())]
    assert main([str(stolen.path), "--key", thief.encode(), *digests]) == 1
    trainer = "\n".join(key.encode() for key in scene.victim.keys)
    assert main([str(scene.victim.path), "--key", trainer, *digests]) == 0


@on_ezkl
def test_the_command_refuses_an_srs_that_lies_in_the_cache(ezkl_scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    made = ezkl_scene.ezkl.trapdoor_run
    monkeypatch.setenv("ZK_AUTOGRAD_CACHE", str(made.cache.folder))
    forged = foreign_srs.equivocated(ezkl_scene)
    key = "\n".join(key.encode() for key in ezkl_scene.victim.keys)
    (digest,) = ezkl_scene.victim.srs
    assert main([str(forged.path), "--key", key, "--srs-digest", digest.hex()]) == 3
    assert main([str(forged.path), "--key", key, "--srs-digest", made.srs.hex()]) == 0
