"""ZKOptimizer with a run directory: what it records, how it ends, and how it goes on."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from tests import trainer_key
from tests.optim.models import RULES, backward, network, train, vector, weights
from zk_autograd.core.errors import GradientError, ProverError, RangeError, RunError, UsageError
from zk_autograd.core.formats import dequantize_weight
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.core.records import Log
from zk_autograd.credentials import keyfile
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.optim import ZKOptimizer
from zk_autograd.optim.optimizer import NewLogKey, ResumedLr
from zk_autograd.optim.trajectory import ClampedGradients
from zk_autograd.prove.hashed.backend import HashedBackend
from zk_autograd.prove.hashed.commitment import commit
from zk_autograd.prove.verifiers import Systems
from zk_autograd.verify.outcome import Level
from zk_autograd.verify.policy import Policy, TreeHead
from zk_autograd.verify.report import Report
from zk_autograd.verify.verifier import Verifier

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore::zk_autograd.optim.trajectory.CoarseEps"),
    # these go on with a model as it was made (test_resumed_model.py)
    pytest.mark.filterwarnings("ignore::zk_autograd.optim.resuming.ResumedModel"),
]

Make = Callable[..., ZKOptimizer]


@pytest.fixture
def make(tmp_path: Path, signer: Ed25519Signer) -> Make:
    """Makes the optimizer of a model for the run in tmp_path / "run", in segments of 3 steps and
    blocks of 20 parameters."""

    def made(model: torch.nn.Module, **options: Any) -> ZKOptimizer:
        settings = {
            "prover": HashedBackend(20, 3),
            "key": signer,
            "run": tmp_path / "run",
            "unproved": model,
            **options,
        }
        return ZKOptimizer(model.named_parameters(), settings.pop("rule", "adam"), settings.pop("lr", 0.01), **settings)

    return made


def log_of(run: Path) -> Log:
    with RunFolder(run) as reader:
        return parse_log(reader.leaves())


def report_of(run: Path, optimizer: ZKOptimizer, signer: Ed25519Signer) -> Report:
    """The verifier's, with the key pinned and the tree head from the trainer's hand."""
    head = optimizer.head
    assert head is not None
    level = frozenset({Level.L0})
    policy = Policy(
        keys=(signer.public_key,),
        srs=frozenset(),
        require=level,
        head=TreeHead.parse(f"{head.root.hex()}@{head.size}"),
        sample=None,
        beacon=None,
        accept_sample=False,
    )
    with RunFolder(run) as files:
        return Verifier(policy, Systems()).verify(files)


@pytest.mark.parametrize("rule", RULES)
def test_run_is_judged_L0_with_its_model(rule: str, tmp_path: Path, make: Make, signer: Ed25519Signer) -> None:
    model = network()
    with make(model, rule=rule, publish=True) as optimizer:
        train(model, optimizer, range(7))
    report = report_of(tmp_path / "run", optimizer, signer)
    assert report.exit_status == 0, report.text(100)


def test_records_say_what_the_loop_noted(tmp_path: Path, make: Make, signer: Ed25519Signer) -> None:
    model = network()
    digest = bytes(range(32))
    with make(model, model_code=digest) as optimizer:
        train(model, optimizer, range(4))
        backward(model, 4)
        optimizer.step()
    log = log_of(tmp_path / "run")
    losses = [float(text) for s in log.segments for text in s.loss if text]
    again = network()
    repeated = make(again, run=None)
    assert losses[0] == backward(again, 0)
    assert repeated.head is None
    assert [len(s.loss) for s in log.segments] == [3, 2]
    assert log.segments[1].loss[1] == ""
    assert [s.lr for s in log.segments] == [(("0.01",),) * 3, (("0.01",),) * 2]
    assert all(len(s.batches) == 32 for s in log.segments)
    assert log.header.model_code == digest
    assert log.header.keys == (signer.public_key.encode(),)
    assert log.close is not None
    assert log.close.last_step == 5


def test_unproved_tensors_are_listed_with_their_first_values(tmp_path: Path, make: Make) -> None:
    model = network()
    model.get_parameter("0.bias").requires_grad_(False)
    with make(model) as optimizer:
        train(model, optimizer, range(1))
    header = log_of(tmp_path / "run").header
    assert [(u.name, u.kind, u.dtype, u.shape) for u in header.unproved] == [
        ("1.running_mean", "buffer", "float32", (6,)),
        ("1.running_var", "buffer", "float32", (6,)),
        ("1.num_batches_tracked", "buffer", "int64", ()),
        ("0.bias", "frozen", "float32", (6,)),
    ]
    assert [p.name for p in header.parameters] == ["0.weight", "1.weight", "1.bias", "2.weight", "2.bias"]
    assert len({u.digest for u in header.unproved}) == 4


def test_published_model_opens_the_last_commitment(tmp_path: Path, make: Make) -> None:
    model = network()
    with make(model, publish=True) as optimizer:
        train(model, optimizer, range(4))
    folder, log = tmp_path / "run" / "model", log_of(tmp_path / "run")
    integers, floats = (load_file(folder / f"weights.{kind}.safetensors") for kind in ("i64", "f32"))
    assert list(integers) == sorted(p.name for p in log.header.parameters)
    flat = np.concatenate([integers[p.name].reshape(-1) for p in log.header.parameters])
    np.testing.assert_array_equal(flat, optimizer.integers["W"])
    np.testing.assert_array_equal(floats["2.weight"], model.get_parameter("2.weight").detach().numpy())
    opening = json.loads((folder / "opening.json").read_bytes())
    assert set(opening) == {"format", "W"}
    assert log.close is not None
    for block, salt, wanted in zip(log.header.blocks, opening["W"], log.close.state["W"], strict=True):
        padded = np.zeros(20, np.int64)
        padded[: block.size] = flat[block.offset : block.offset + block.size]
        assert commit(padded, bytes.fromhex(salt)) == wanted


def test_without_publish_no_weights_are_written(tmp_path: Path, make: Make) -> None:
    model = network()
    with make(model) as optimizer:
        train(model, optimizer, range(1))
    assert list((tmp_path / "run" / "model").iterdir()) == []


@pytest.mark.parametrize("stop", [1, 3, 5])
@pytest.mark.parametrize("rule", ["sgd-momentum", "adam"])
def test_resumed_run_ends_as_if_it_had_not_been_stopped(stop: int, rule: str, tmp_path: Path, make: Make) -> None:
    whole = network()
    uninterrupted = make(whole, rule=rule, run=None)
    train(whole, uninterrupted, range(8))

    model = network()
    with pytest.raises(KeyboardInterrupt), make(model, rule=rule) as optimizer:
        train(model, optimizer, range(stop))
        raise KeyboardInterrupt
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    model = network()
    model.load_state_dict(buffers, strict=False)
    with make(model, rule=rule, resume=True, publish=True) as resumed:
        assert resumed.steps == stop
        assert resumed.loop_state == str(stop - 1).encode()
        np.testing.assert_array_equal(weights(model), dequantize_weight(resumed.integers["W"]))
        train(model, resumed, range(stop, 8))
    for name, values in uninterrupted.integers.items():
        np.testing.assert_array_equal(resumed.integers[name], values)
    assert log_of(tmp_path / "run").close is not None


def test_resuming_takes_the_scale_and_the_schedule_of_the_run(tmp_path: Path, make: Make) -> None:
    model = network()
    optimizer = make(model)
    train(model, optimizer, range(1))
    optimizer.abandon()
    assert optimizer.header is not None
    with pytest.warns(ResumedLr, match=r"is 0\.01, where the run was left, and lr=0\.005 .* is ignored"):
        resumed = make(network(), resume=True, lr=0.005)
    assert resumed.header == optimizer.header
    resumed.abandon()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "adamw"}, "rule: the run has 'adam', the optimizer has 'adamw'"),
        ({"betas": (0.5, 0.9)}, "hyper-parameters: "),
        ({"schedule": "constant"}, "schedule: the run has 'recorded'"),
        ({"grad_scale": 9}, "grad_scale: the run has 0, the optimizer has 9"),
    ],
)
def test_resuming_with_another_optimizer_is_refused(options: dict[str, Any], message: str, make: Make) -> None:
    model = network()
    optimizer = make(model, grad_scale=0)
    train(model, optimizer, range(1))
    optimizer.abandon()
    with pytest.raises(UsageError, match=f"not a run of this optimizer: {message}"):
        make(network(), resume=True, **options)
    make(network(), resume=True).abandon()  # the lock was given back


def test_resuming_with_another_model_is_refused(tmp_path: Path, make: Make) -> None:
    model = network()
    optimizer = make(model)
    train(model, optimizer, range(1))
    optimizer.abandon()
    for other in (torch.nn.Linear(2, 2), torch.nn.Sequential(*network(), torch.nn.Linear(3, 1))):
        with pytest.raises(UsageError, match="names of parameters: the run has"):
            make(other, resume=True)
    wide = network()
    wide[2] = torch.nn.Linear(6, 4)
    with pytest.raises(UsageError, match="shapes and groups of parameters: the run has"):
        make(wide, resume=True)


def test_resuming_with_another_key_is_refused(make: Make) -> None:
    model = network()
    optimizer = make(model)
    train(model, optimizer, range(1))
    optimizer.abandon()
    with pytest.raises(UsageError, match="is missing: every checkpoint is signed with all of its keys"):
        make(network(), resume=True, key=Ed25519Signer("trainer", bytes(32)))


def test_complete_run_can_not_be_resumed(make: Make) -> None:
    model = network()
    with make(model) as optimizer:
        train(model, optimizer, range(1))
    with pytest.raises(RunError, match="complete"):
        make(network(), resume=True)


def test_place_that_can_not_take_a_run_is_refused_before_anything(tmp_path: Path, make: Make) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(RunError, match=r"run already exists; choose another place"):
        make(network())
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="is not a folder that you can write to"):
        make(network(), run=tmp_path / "file" / "run")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(RunError, match="already exists"):
        make(network(), run=tmp_path / "link")


def test_directory_is_made_by_the_first_step_or_by_start(tmp_path: Path, make: Make) -> None:
    model = network()
    with make(model, grad_scale=0) as optimizer:
        assert not (tmp_path / "run").exists()
        optimizer.start()
        assert (tmp_path / "run" / "log").is_dir()
    log = log_of(tmp_path / "run")
    assert log.close is not None
    assert log.close.last_step == 0


def test_run_without_a_step_leaves_nothing(tmp_path: Path, make: Make) -> None:
    with make(network()):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("gradient", [float("nan"), 1e3])
def test_first_step_that_is_refused_leaves_no_directory(gradient: float, tmp_path: Path, make: Make) -> None:
    parameter = torch.nn.Linear(1, 1, bias=False)
    optimizer = make(parameter, rule="sgd", lr=8, grad_scale=0)
    parameter.weight.grad = torch.full((1, 1), gradient)
    with pytest.raises((GradientError, RangeError)):
        optimizer.step()
    assert list(tmp_path.iterdir()) == []
    parameter.weight.grad = torch.full((1, 1), 0.01)
    optimizer.step()
    assert optimizer.steps == 1
    optimizer.close()


def test_later_step_that_is_refused_records_nothing_and_the_run_goes_on(tmp_path: Path, make: Make) -> None:
    parameter = torch.nn.Linear(1, 1, bias=False)
    with make(parameter, rule="sgd", lr=8, grad_scale=0) as optimizer:
        for gradient in (0.01, 1e3, 0.01):
            parameter.weight.grad = torch.full((1, 1), gradient)
            optimizer.note(loss=gradient)
            if gradient > 1:
                with pytest.raises(RangeError, match=r"update of weight\[0\]"), pytest.warns(ClampedGradients):
                    optimizer.step()
            else:
                optimizer.step()
    (segment,) = log_of(tmp_path / "run").segments
    assert (segment.last, segment.loss) == (2, ("0.01", "0.01"))


def test_state_of_another_training_can_not_be_loaded_into_a_run(make: Make) -> None:
    model, other = network(), network()
    with torch.no_grad():
        other.get_parameter("2.bias").add_(1)
    state = make(other, run=None).state_dict()
    with make(model) as optimizer:
        with pytest.raises(UsageError, match="can't begin in the middle of another's"):
            optimizer.load_state_dict(state)
        train(model, optimizer, range(1))
        with pytest.raises(UsageError, match="can't begin in the middle of another's"):
            optimizer.load_state_dict(state)
        assert optimizer.state_dict()["zk_autograd"]["step"] == 1


class Broken(HashedBackend):
    """Proves nothing."""

    def prove(self, *arguments: Any) -> Any:
        raise ProverError("no GPU")


def test_prover_that_fails_ends_the_training_with_its_reason_and_loses_nothing(make: Make) -> None:
    model = network()
    with pytest.raises(ProverError, match="no GPU"), make(model, prover=Broken(20, 1)) as optimizer:
        train(model, optimizer, range(1))
    with make(network(), prover=HashedBackend(20, 1), resume=True) as resumed:
        assert resumed.steps == 1


def test_failing_close_leaves_the_run_to_be_resumed(make: Make) -> None:
    model = network()
    optimizer = make(model, prover=Broken(20, 3))
    train(model, optimizer, range(1))
    with pytest.raises(ProverError, match="no GPU"):
        optimizer.close()
    optimizer.close()
    make(network(), prover=HashedBackend(20, 3), resume=True).close()


def test_artefacts_stand_in_the_close_record(tmp_path: Path, make: Make) -> None:
    model = network()
    optimizer = make(model)
    train(model, optimizer, range(1))
    with pytest.raises(UsageError, match=r"train_log\.jsonl is written by the run itself"):
        optimizer.close({"train_log.jsonl": bytes(range(32))})
    optimizer.close({"paper.pdf": bytes(range(32))})
    close = log_of(tmp_path / "run").close
    assert close is not None
    assert dict(close.artefacts)["paper.pdf"] == bytes(range(32))
    assert set(dict(close.artefacts)) == {"paper.pdf", "environment.json", "train_log.jsonl", "hashes.json"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("ZK_AUTOGRAD_CACHE", str(tmp_path / "cache"))
    yield tmp_path


def test_key_is_the_users_own_unless_one_is_named(home: Path) -> None:
    parameter = vector([1.0])
    signers = trainer_key.create(keyfile.default_path(), "me")
    with ZKOptimizer([parameter], rule="sgd", run=home / "run", prover="none") as optimizer:
        parameter.grad = torch.zeros(1)
        optimizer.step()
    assert optimizer.header is not None
    assert optimizer.header.keys == tuple(signer.public_key.encode() for signer in signers)


def test_a_new_run_of_a_user_without_a_key_makes_one_and_says_so_once(home: Path) -> None:
    path, parameter = keyfile.default_path(), vector([1.0])
    optimizer = ZKOptimizer([parameter], rule="sgd", run=home / "run", prover="none")
    assert not path.parent.exists()  # nothing is made before there is a run
    parameter.grad = torch.zeros(1)
    with pytest.warns(
        NewLogKey, match=rf"a log key was made in {path}: .*back up this file, since another key"
    ) as told:
        optimizer.step()
    assert (len(told), told[0].filename) == (1, __file__)
    assert str(told[0].message).endswith(f"pins its public half, {path}.pub")
    public = tuple(keyfile.public_path(path).read_text().splitlines())
    assert public == tuple(signer.public_key.encode() for signer in keyfile.load(path))
    assert len(public) == 2
    optimizer.step()
    optimizer.close()
    assert optimizer.header is not None
    assert optimizer.header.keys == public
    with ZKOptimizer([parameter], rule="sgd", run=home / "second", prover="none") as optimizer:
        optimizer.step()
    assert optimizer.header is not None
    assert optimizer.header.keys == public


def test_the_word_of_a_new_key_refuses_one_step_at_most_where_warnings_are_errors(home: Path) -> None:
    parameter = vector([1.0])
    optimizer = ZKOptimizer([parameter], rule="sgd", run=home / "run", prover="none")
    parameter.grad = torch.zeros(1)
    with pytest.raises(NewLogKey):
        optimizer.step()
    assert not (home / "run").exists()
    optimizer.step()
    optimizer.close()
    assert optimizer.header is not None
    assert optimizer.header.keys == tuple(s.public_key.encode() for s in keyfile.load(keyfile.default_path()))


@pytest.mark.parametrize("refused", ["place", "option", "gradient", "explicit", "resumed"])
def test_no_key_is_made_for_a_run_that_is_refused(home: Path, refused: str) -> None:
    parameter = vector([1.0])
    options: dict[str, Any] = {"rule": "sgd", "run": home / "run", "prover": "none"}
    if refused == "place":
        (home / "run").mkdir()
    elif refused == "option":
        options["prover"] = "nobody"
    elif refused == "gradient":
        parameter.grad = torch.tensor([float("nan")])
    elif refused == "explicit":
        options["key"] = home / "my.key"
    elif refused == "resumed":
        options["resume"] = True
        signers = trainer_key.create(home / "another", "me")
        optimizer = ZKOptimizer([parameter], **{**options, "resume": False}, key=signers)
        optimizer.start()
        optimizer.abandon()
    with pytest.raises((UsageError, RunError, GradientError)):
        ZKOptimizer([parameter], **options).step()
    assert not keyfile.default_path().parent.exists()
    assert not (home / "my.key").exists()


def test_a_place_that_was_taken_meanwhile_makes_no_key(home: Path) -> None:
    parameter = vector([1.0])
    optimizer = ZKOptimizer([parameter], rule="sgd", run=home / "run", prover="none")
    (home / "run").mkdir()
    parameter.grad = torch.zeros(1)
    with pytest.raises(RunError, match="already exists"):
        optimizer.step()
    assert not keyfile.default_path().parent.exists()


def test_a_run_is_a_folder_of_this_machine_and_may_lie_at_home(
    home: Path, signer: Ed25519Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)
    parameter = vector([1.0])
    options: dict[str, Any] = {"rule": "sgd", "prover": "none", "key": signer}
    for address in ("s3://bucket/run", Path("gs://bucket/run"), "https://example.org/run"):
        for resume in (False, True):
            with pytest.raises(UsageError, match="is an address, but a run is a folder on this machine"):
                ZKOptimizer([parameter], run=address, resume=resume, **options)
    optimizer = ZKOptimizer([parameter], run="~/mine", **options)
    optimizer.start()
    optimizer.abandon()
    assert (home / "mine" / "log").is_dir()
    ZKOptimizer([parameter], run="~/mine", resume=True, **options).abandon()
    assert not (home / "~").exists()


def test_prover_none_commits_to_a_group_at_a_time(tmp_path: Path, signer: Ed25519Signer) -> None:
    groups = [{"params": [vector([1.0] * size)]} for size in (1, 3)]
    optimizer = ZKOptimizer(groups, "sgd", run=tmp_path / "run", prover="none", key=signer, grad_scale=0)
    optimizer.start()
    optimizer.abandon()
    assert optimizer.header is not None
    assert optimizer.header.prover.block == 3
    assert [b.size for b in optimizer.header.blocks] == [1, 3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prover": "groth16"}, 'no prover \'groth16\'; choose "native" or "ezkl"'),
        ({"prover": "ezkl", "preset": "strict"}, "only the prover native has presets"),
        ({"prover": "native", "preset": "lax"}, "no preset 'lax'; it is one of standard, strict"),
        ({"prover": "native", "srs": "00" * 32}, "the prover native needs no SRS: leave it out"),
        ({"prover": "ezkl"}, "no SRS in the cache: .*`zk-circuit srs --out FILE`"),
        ({"prover": "ezkl", "srs": "00" * 32}, "is not in .*srs: add it with --srs FILE"),
        ({"prover": "ezkl", "srs": "nowhere.srs"}, "SRS nowhere.srs can't be read"),
    ],
)
def test_prover_that_is_not_there_is_refused_with_what_to_do(
    options: dict[str, Any], message: str, home: Path, make: Make
) -> None:
    with pytest.raises(UsageError, match=message):
        make(network(), **options)
    assert not (home / "run").exists()
