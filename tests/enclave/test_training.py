"""A job trained inside an enclave, in one process: what comes out, what doesn't, and what is
refused before anything is written."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load

from tests.enclave.instances import (
    NATIVE,
    NONE,
    RELEASE_KEY,
    RUN_ID,
    STEPS,
    Told,
    make_device,
    make_enclave_run,
    make_job,
    table,
)
from zk_autograd import verify_run
from zk_autograd.core.attestation import Binding, Collateral, Document
from zk_autograd.core.errors import RangeError, RunError, UsageError
from zk_autograd.core.formats import dequantize_weight, quantize_gradient
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.core.records import header_digest
from zk_autograd.core.register import Kind, View
from zk_autograd.core.rules import State, initial_state, step
from zk_autograd.enclave import models, training
from zk_autograd.enclave.job import Job
from zk_autograd.enclave.models import Network
from zk_autograd.enclave.session import Session
from zk_autograd.evidence.layout import PRIVATE
from zk_autograd.local import csv_file
from zk_autograd.local.csv_name import CsvFile
from zk_autograd.optim.claims import batch_digest
from zk_autograd.register.register import Register
from zk_autograd.run.events import StepLogged
from zk_autograd.run.files import Files
from zk_autograd.run.journal import Journal
from zk_autograd.run.layout import Layout
from zk_autograd.run.recovery import read_header
from zk_autograd.run.sealed import batch_commitment
from zk_autograd.tee.nitro.evidence import verify as verify_nitro
from zk_autograd.train import data
from zk_autograd.train.command import Interrupted
from zk_autograd.train.sampler import Sampler
from zk_autograd.verify.outcome import Status


def public_files(folder: Path) -> Iterator[Path]:
    """What a stranger is given: the run without its private folder."""
    for path in sorted((folder / "run").rglob("*")):
        if path.is_file() and PRIVATE not in path.relative_to(folder / "run").parts:
            yield path


def log_of(folder: Path) -> Any:
    return parse_log((folder / "run/log/records.jsonl").read_bytes().splitlines())


@pytest.fixture(name="kept")
def _kept(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The secrets of a training: its session, and what the system's randomness gave it."""
    kept: dict[str, Any] = {"drawn": []}

    class Watched(Session):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            kept["session"] = self

    def drawn(count: int) -> bytes:
        kept["drawn"].append(made := urandom(count))
        return made

    urandom = os.urandom
    monkeypatch.setattr(training, "Session", Watched)
    monkeypatch.setattr(os, "urandom", drawn)
    return kept


@pytest.mark.slow
@pytest.mark.usefixtures("native_prover")
def test_a_hundred_steps_with_proofs_are_what_the_verifier_accepts(tmp_path: Path, kept: dict[str, Any]) -> None:
    settings = {
        **NATIVE,
        "steps": 100,
        "rule": "sgd",
        "lr": "0.2",
        "model": "mlp:6",
        "publish": True,
        "seed": 0x5EED_5EED,
    }
    job = make_job(settings)
    told = Told()
    made = make_enclave_run(tmp_path, job=job, tell=told)
    assert made.steps == 100
    assert made.accuracy > 0.6  # of three classes
    assert sum(isinstance(event, StepLogged) for event in told.events) == 100
    report = verify_run(made.run, made.header.keys, root=made.root)
    assert report.failure is None
    statuses = {step.value: finding.status for step, finding in report.findings.items()}
    assert {statuses[number] for number in (1, 3, 4, 5, 6, 7, 10)} == {Status.PASSED}
    require_nothing_private(tmp_path, job, kept, published=True)


def require_nothing_private(folder: Path, job: Job, kept: dict[str, Any], *, published: bool = False) -> None:
    """No public file has rows, states, salts, the seed or a secret in it, in any of their forms."""
    session: Session = kept["session"]
    # What opens the published model, and the moments of step 0, which are zero, is public.
    public = {salt for salts in log_of(folder).genesis.zero_salts.values() for salt in salts}
    if published:
        public |= {bytes.fromhex(salt) for salt in _opening(folder / "run")}
    # The data's secret, the log key's seed, then salts.
    drawn = [one for one in kept["drawn"] if len(one) >= 32 and one not in public]
    secrets = {f"drawn {i}": one for i, one in enumerate(drawn)}
    secrets |= {f"drawn {i} as text": one.hex().encode() for i, one in enumerate(drawn)}
    assert len(drawn) > 2
    secrets["seed"] = str(job.settings["seed"]).encode()
    for i, line in enumerate(job.table.splitlines()[:20]):
        secrets |= {f"row {i}": line, f"cell {i}": line.split(b",")[0]}
        secrets[f"label {i}"] = line.split(b",")[-1]
    rows = session._rows.train.features
    secrets |= {f"scaled row {i}": row.tobytes() for i, row in enumerate(rows)}
    for name, values in session.state.items():
        if name != "W" or not published:
            secrets |= {
                f"{name} {i}": values[i : i + 2].tobytes()
                for i in range(0, len(values) - 1, 2)
                if values[i : i + 2].any()
            }
            secrets |= {f"{name} {i} as text": str(v).encode() for i, v in enumerate(values) if abs(v) > 10**8}
    for path in public_files(folder):
        content = path.read_bytes()
        for name, secret in secrets.items():
            assert secret not in content, f"{path.name} has {name}"
    key = drawn[1]
    for path in folder.rglob("*"):
        if path.is_file():
            assert key not in path.read_bytes(), f"the log key is in {path}"
    assert not list(folder.rglob("train.json"))


def test_nothing_private_is_public(tmp_path: Path, kept: dict[str, Any]) -> None:
    """Neither the owner's rows, nor the model that only they may have, nor a key."""
    job = make_job({**NONE, "seed": 0x5EED_5EED, "label": "diagnosis"})
    make_enclave_run(tmp_path, job=job)
    require_nothing_private(tmp_path, job, kept)
    assert {path.name for path in public_files(tmp_path)} >= {
        "records.jsonl",
        "document.json",
        "collateral.json",
        "environment.json",
    }
    assert not [path for path in public_files(tmp_path) if "weights" in path.name or path.name == "opening.json"]


def test_the_search_for_what_is_private_finds_it(tmp_path: Path, kept: dict[str, Any]) -> None:
    """The test above can fail."""
    job = make_job({**NONE, "publish": True, "seed": 0x5EED_5EED})
    make_enclave_run(tmp_path, job=job)
    with pytest.raises(AssertionError, match=r"opening\.json has drawn"):
        require_nothing_private(tmp_path, job, kept)
    for path in (tmp_path / "run/model").iterdir():
        path.rename(tmp_path / "run" / PRIVATE / path.name)
    for content, what in (
        (kept["session"].state["W"].tobytes(), "W 0"),
        (kept["session"].state["V"].tobytes(), "V 0"),
        (b"x" + kept["drawn"][0].hex().encode(), "drawn 0 as text"),
        (kept["drawn"][1], "drawn 1"),
        (job.table, "row 0"),
        (kept["session"]._rows.train.features.tobytes(), "scaled row 0"),
        (str(0x5EED_5EED).encode(), "seed"),
    ):
        (tmp_path / "run/config.toml").write_bytes(content)
        with pytest.raises(AssertionError, match=rf"config\.toml has {what}"):
            require_nothing_private(tmp_path, job, kept)


def test_the_document_is_over_run_header_key_and_nonce(tmp_path: Path) -> None:
    nonce = bytes(range(100, 132))
    sealed = sha256(b"a sealed job").digest()
    made = make_enclave_run(tmp_path, job=make_job(NONE), nonce=nonce, sealed=sealed)
    log = log_of(tmp_path)
    data = (tmp_path / "run/attestation/document.json").read_bytes()
    assert log.genesis.attestation == sha256(data).digest()
    document = Document.parse(data)
    assert document == Document("nitro", document.raw, RELEASE_KEY, nonce, sealed)
    leaf = (tmp_path / "run/log/records.jsonl").read_bytes().splitlines()[0]
    bound = Binding(RUN_ID, header_digest(leaf), made.header.keys, RELEASE_KEY, nonce, sealed)
    found = verify_nitro(document.raw, Collateral(), None)
    assert found.bound == bound.digest()
    assert found.emulated
    assert (made.header.run, made.header.proving) == (RUN_ID, "inside")
    assert made.header.model_code == sha256(Path(models.__file__).read_bytes()).digest()
    assert Collateral.parse((tmp_path / "run/attestation/collateral.json").read_bytes()) == make_device().collateral()


def test_the_genesis_is_entered_before_a_step_is_signed(tmp_path: Path) -> None:
    """A time-stamp of that entry covers header and attestation, whatever becomes of the run."""
    make_enclave_run(tmp_path, job=make_job(NONE))
    views = [View.parse(line) for line in (tmp_path / "run/register/views.jsonl").read_bytes().splitlines()]
    assert [(view.entry.kind, view.entry.size) for view in views] == [
        (Kind.BEGIN, 1),
        (Kind.CHECKPOINT, 2),
        (Kind.CLOSE, 4),
    ]
    with Register.read(tmp_path / "register") as register:
        assert register.checkpoint.head.size == 3


def test_the_same_job_gives_the_same_weights(tmp_path: Path, kept: dict[str, Any]) -> None:
    """And nothing else that is the same: keys, salts and the data's secret are each instance's."""
    states: list[State] = []
    logs = []
    for name in ("one", "two"):
        make_enclave_run(tmp_path / name, job=make_job({**NONE, "model": "mlp:7,5", "steps": 12}))
        states.append(kept["session"].state)
        logs.append(log_of(tmp_path / name))
    for name, values in states[0].items():
        np.testing.assert_array_equal(values, states[1][name])
    assert states[0]["W"].any()
    one, two = logs
    assert one.header.keys != two.header.keys
    assert one.header.data.root != two.header.data.root
    assert one.header.data.seed != two.header.data.seed
    assert not set(one.genesis.state["W"]) & set(two.genesis.state["W"])
    assert [s.saturated for s in one.segments] == [s.saturated for s in two.segments]


@pytest.mark.parametrize("published", [False, True])
def test_losses_leave_with_published_weights_alone(tmp_path: Path, published: bool) -> None:
    """Attack: whoever knows the table but for a cell trains each guess, and compares the losses,
    which are exact to the last bit. Of an unpublished model there is none to compare."""
    made = make_enclave_run(tmp_path, job=make_job({**NONE, "publish": published}))
    recorded = [loss for segment in log_of(tmp_path).segments for loss in segment.loss]
    lines = [json.loads(line) for line in (made.run / "train_log.jsonl").read_text().splitlines()]
    told = [line["loss"] for line in lines if line["event"] == "step"]
    assert len(recorded) == made.steps and told == recorded
    assert [bool(loss) for loss in recorded] == [published] * made.steps


@pytest.mark.parametrize("rule", ["sgd", "sgd-momentum", "sgd-nesterov", "adam", "adamw", "lion", "rmsprop"])
def test_every_rule_trains(tmp_path: Path, rule: str) -> None:
    made = make_enclave_run(
        tmp_path, job=make_job({**NONE, "rule": rule, "steps": 30, "lr": "0.05", "grad-scale": "auto"})
    )
    assert made.accuracy > 0.5, rule
    assert made.header.rule.value == rule


def test_a_record_is_of_the_jobs_rows_and_of_their_gradients(tmp_path: Path, kept: dict[str, Any]) -> None:
    """Each step anew, from the job: the rows that the seed gives, their gradient, its rounding."""
    make_enclave_run(tmp_path, job=make_job({**NONE, "steps": 7, "model": "mlp:5", "publish": True}))
    layout, log, session = Layout(tmp_path / "run"), log_of(tmp_path), kept["session"]
    header, leaf = read_header(layout)
    journal = Journal(layout.segments, header, header_digest(leaf), Files())
    rows = data.divided(csv_file.parsed(table(), CsvFile("it")), CsvFile("it"), 7)
    network, state = Network((4, 5, 3)), initial_state(header.rule, session._first_weights())
    digests, sequence = [], header.sequence(0)
    for t in range(1, 8):
        batch = Sampler(48, 8, 7).batch(t)
        digests.append(batch_digest(batch))
        floats = dequantize_weight(state["W"])
        weights = [floats[p.offset : p.offset + p.size].reshape(p.shape) for p in header.parameters]
        loss, found = network.step(weights, rows.train.features[batch], rows.train.labels[batch])
        G = np.concatenate([quantize_gradient(g.reshape(-1), 0)[0] for g in found])
        recorded = journal.step(0, t)
        np.testing.assert_array_equal(recorded.gradients, G)
        assert recorded.claims.batch == digests[-1]
        assert log.segments[0].loss[t - 1] == repr(loss)
        state = step(header.rule, state, G, sequence.at(t))
    np.testing.assert_array_equal(session.state["W"], state["W"])
    assert log.segments[0].batches == batch_commitment(journal.start(0).salts.batches, digests)


@pytest.mark.torch
@pytest.mark.slow
def test_zk_train_makes_the_same_steps(tmp_path: Path, kept: dict[str, Any]) -> None:
    """Rows, order, first weights and rounding are zk-train's: only the float gradients differ, in
    their last bits, and so the integers by a few units of 2^-32."""
    from zk_autograd.train.plan import Plan
    from zk_autograd.train.session import retrain
    from zk_autograd.train.settings import Settings

    path = tmp_path / "table.csv"
    path.write_bytes(table())
    settings = {**NONE, "rule": "sgd", "steps": 3}
    make_enclave_run(tmp_path / "enclave", job=make_job(settings))
    plan = Plan.of(Settings.of({**settings, "data": f"csv:{path}"}, lambda name: name), key_file="", secret=bytes(32))
    theirs = retrain(plan, lambda step, steps: None)
    np.testing.assert_allclose(kept["session"].state["W"], theirs, rtol=0, atol=200)


TORCHLESS = """
import sys
from pathlib import Path
from tests.enclave.instances import NATIVE, NONE, make_enclave_run, make_job
make_enclave_run(Path(sys.argv[1]), job=make_job(NATIVE if sys.argv[2] == "native" else NONE))
print(sorted(name for name in ("torch", "sklearn", "scipy", "pandas", "onnx", "ezkl") if name in sys.modules))
"""


@pytest.mark.parametrize("prover", ["none", "native"])
def test_no_torch_is_loaded(tmp_path: Path, prover: str, native_prover: None) -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "error", "-c", TORCHLESS, str(tmp_path / "enclave"), prover]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


HOSTILE: dict[str, tuple[Any, str]] = {
    "own code": ({"settings": {**NONE, "model": "os:system"}}, "the job: model is os:system"),
    "a path": ({"settings": {**NONE, "data": "csv:/etc/passwd"}}, "the job: data can't be set"),
    "logistic of three": ({"settings": {**NONE, "model": "logistic"}}, "two classes apart, but the table has 3"),
    "preset of none": ({"settings": {**NONE, "preset": "strict"}}, "only the prover native has presets"),
    "large batch": ({"settings": {**NONE, "batch-size": 49}}, "--batch-size 49 is more than the 48 training rows"),
    "large lr": ({"settings": {**NONE, "rule": "sgd", "lr": "1e30"}}, "lr"),
    "scale": ({"settings": {**NONE, "grad-scale": 99}}, "grad_scale is 99"),
    "momentum of adam": ({"settings": {**NONE, "momentum": "0.9"}}, "the rule adam has no momentum"),
    "no table": ({"table": b""}, "the job's table can't be trained on"),
    "no text": ({"table": b"\xff\xfe\x00"}, "the job's table can't be trained on"),
    "archive": ({"table": b"PK\3\4" + bytes(99)}, "the job's table can't be trained on"),
    "few rows": ({"table": table(9)}, "the job's table can't be trained on"),
    "no such label": ({"settings": {**NONE, "label": "diagnose"}}, "the job's table can't be trained on"),
    "no recipient": ({"recipient": b"short"}, "the job's recipient can't be sealed for"),
    "weak recipient": ({"recipient": bytes(1216)}, "the job's recipient can't be sealed for"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_job_that_can_not_be_trained_leaves_nothing(tmp_path: Path, name: str) -> None:
    fields, message = HOSTILE[name]
    with pytest.raises(UsageError, match=message) as raised:
        make_enclave_run(tmp_path / "enclave", job=make_job(**({"settings": NONE} | fields)))
    assert "\n" not in str(raised.value)
    assert not list((tmp_path / "enclave").iterdir())


def test_what_is_said_of_a_table_has_nothing_of_it(tmp_path: Path) -> None:
    """The host reads errors: a cell in one of them would be a cell that it has."""
    secret = table() + b"1,2,patient 4711,4,finding 0\n"
    with pytest.raises(UsageError) as raised:
        make_enclave_run(tmp_path, job=make_job(NONE, table=secret))
    error: BaseException | None = raised.value
    while error is not None:
        assert "4711" not in str(error)
        assert "measured" not in str(error)
        error = error.__cause__
    assert raised.value.__suppress_context__


@pytest.mark.parametrize("how", ["refuses", "too large"])
def test_without_an_attestation_there_is_no_run(tmp_path: Path, how: str) -> None:
    """Nothing was signed, and no entry made, that a host could show beside another document."""

    class Broken:
        kind, name = "nitro", "broken"

        def attest(self, data: bytes, *, nonce: bytes = b"", public_key: bytes = b"") -> bytes:
            raise RunError("the device answers nothing")

        def collateral(self) -> Collateral:
            return Collateral()

    options: dict[str, Any] = {"device": Broken()} if how == "refuses" else {"nonce": bytes(2000)}
    with pytest.raises(RunError if how == "refuses" else (RunError, UsageError)):
        make_enclave_run(tmp_path / "enclave", job=make_job(NONE), **options)
    assert not list((tmp_path / "enclave").iterdir())


def test_a_first_step_out_of_range_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RangeError, match="update of linear"):
        make_enclave_run(tmp_path / "enclave", job=make_job({**NONE, "lr": "0.6"}))
    assert not list((tmp_path / "enclave").iterdir())


def test_a_later_step_out_of_range_ends_the_run_where_it_is(tmp_path: Path) -> None:
    settings = {**NONE, "rule": "sgd-momentum", "lr": "0.6", "momentum": "0.99", "steps": 100}
    told = Told()
    with pytest.raises(RangeError):
        make_enclave_run(tmp_path, job=make_job(settings), tell=told)
    assert any("stays unfinished" in note for note in told.notes)
    assert log_of(tmp_path).close is None


def test_an_interrupted_training_stays_unfinished(tmp_path: Path) -> None:
    """Its key is gone with the process: nobody can go on with it, or end it otherwise."""

    def stop(event: object) -> None:
        if isinstance(event, StepLogged) and event.step == 3:
            raise KeyboardInterrupt

    told = Told()
    made = training.train_inside(
        make_job(NONE), tmp_path / "enclave", device=make_device(), release_key=b"", tell=told, on_event=stop
    )
    assert isinstance(made, Interrupted)
    assert any("stays unfinished, as nobody else has its key" in note for note in told.notes)
    assert not any("resume" in note for note in told.notes)
    assert log_of(tmp_path / "enclave").close is None


@pytest.fixture(scope="module", name="sealed")
def _sealed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from zk_autograd.vault.holder.recipient import RecipientKey

    key = RecipientKey.generate()
    folder = tmp_path_factory.mktemp("sealed") / "enclave"
    job = make_job({**NONE, "publish": True}, recipient=key.public, checkpoint_every=2)
    return make_enclave_run(folder, job=job), folder, key


def opened(path: Path, key: Any) -> dict[str, Any]:
    from zk_autograd.vault.keys import RECIPIENT
    from zk_autograd.vault.pairs import read_key_file
    from zk_autograd.vault.seal import unsealed

    key_file = read_key_file(path)
    dek = key.unwrap(key_file.wrap(RECIPIENT).wrapped, key_file.context)
    return {
        "context": key_file.context,
        **load(unsealed(path.read_bytes(), key_file.context, dek, key_file.ciphertext)),
    }


def test_checkpoints_and_model_are_sealed_for_the_jobs_owner(sealed: Any) -> None:
    made, folder, key = sealed
    names = {path.name for path in (folder / "sealed").iterdir()}
    assert names == {
        f"{name}{end}" for name in ("checkpoint-2", "checkpoint-4", "model") for end in (".enc", ".key.json")
    }
    model = opened(folder / "sealed/model.enc", key)
    context = model.pop("context")
    assert (context.tenant, context.run, context.step, context.kind) == ("enclave", RUN_ID.hex(), STEPS, "model")
    published = load((made.run / "model/weights.i64.safetensors").read_bytes())
    floats = load((made.run / "model/weights.f32.safetensors").read_bytes())
    for name, values in published.items():
        np.testing.assert_array_equal(model[f"W/{name}"], values)
        np.testing.assert_array_equal(model[name], floats[name])
        assert {f"M/{name}", f"V/{name}"} <= model.keys()
    salts = [bytes(salt) for salt in model["opening/W"]]
    assert [salt.hex() for salt in salts] == _opening(made.run)
    checkpoint = opened(folder / "sealed/checkpoint-2.enc", key)
    assert (checkpoint["context"].step, checkpoint["context"].kind) == (2, "checkpoint")
    assert not any(name.startswith("opening") for name in checkpoint)
    assert not np.array_equal(checkpoint["W/linear.weight"], model["W/linear.weight"])


def _opening(run: Path) -> list[str]:
    import json

    found: list[str] = json.loads((run / "model/opening.json").read_bytes())["W"]
    return found


def test_nobody_else_opens_them(sealed: Any) -> None:
    from zk_autograd.vault.errors import VaultError
    from zk_autograd.vault.holder.recipient import RecipientKey
    from zk_autograd.vault.keys import RECIPIENT
    from zk_autograd.vault.pairs import read_key_file
    from zk_autograd.vault.seal import unsealed

    _, folder, key = sealed
    path = folder / "sealed/model.enc"
    with pytest.raises(VaultError):
        opened(path, RecipientKey.generate())
    key_file = read_key_file(path)
    dek = key.unwrap(key_file.wrap(RECIPIENT).wrapped, key_file.context)
    with pytest.raises(VaultError):  # a checkpoint of this run for its model
        unsealed((folder / "sealed/checkpoint-4.enc").read_bytes(), key_file.context, dek)
    with pytest.raises(VaultError):  # the same, of another run
        unsealed(path.read_bytes(), replace(key_file.context, run="0" * 32), dek)


def test_without_a_recipient_nothing_is_sealed(tmp_path: Path) -> None:
    make_enclave_run(tmp_path, job=make_job(NONE, checkpoint_every=1))
    assert not (tmp_path / "sealed").exists()
