"""`zk-train` on a table, a model and settings of the user's own."""

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import trainer_key
from tests.cli.training import TRAINER, Broken, Train, published
from zk_autograd.cli import train as command
from zk_autograd.cli import verify
from zk_autograd.cli.output import run_command
from zk_autograd.core import canonical
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.core.records import header_digest
from zk_autograd.credentials import keyfile
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.run import private_file

pytestmark = TRAINER

TABLE = "age,height,sold\n" + "".join(
    f"{20 + i % 7},{1.5 + (i % 3) / 10},{'yes' if i % 3 else 'no'}\n" for i in range(40)
)
NET = """\
from torch import nn
def net(columns, classes):
    return nn.Sequential(nn.Linear(columns, 4), nn.BatchNorm1d(4), nn.Dropout(0.1), nn.Linear(4, classes))
def none(columns, classes):
    return None
"""
CONFIG = """\
steps = 20
data = "csv:table.csv"
model = "net_of_a_user:net"
batch-size = 8
prover = "none"
schedule = "cosine:steps=20,end=0.1"
lr = 0.05

[[groups]]
parameters = ["1.*"]
lr = "0.001"
"""


@pytest.fixture
def own(trainer_home: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table, a model and a config in the current folder."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "net_of_a_user", raising=False)
    Path("table.csv").write_text(TABLE)
    Path("net_of_a_user.py").write_text(NET)
    Path("train.toml").write_text(CONFIG)


@pytest.mark.usefixtures("own")
def test_own_table_and_model_are_trained_as_a_config_says(zk_train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = zk_train("--config", "train.toml", "--out", "run")
    assert status == 0, err
    assert "trained   net_of_a_user:net on csv:table.csv: 30 parameters, 20 steps, seed 0" in out
    assert "classes   0 = 'no', 1 = 'yes'" in out
    words = shlex.split(out.splitlines()[-1])
    assert verify.main(words[1:]) == 0
    capsys.readouterr()
    with RunFolder(Path("run")) as reader:
        header = parse_log(reader.leaves()).header
    assert [dict(group.hyper)["lr"] for group in header.groups] == ["0.05", "0.001"]
    assert [(p.name, p.group) for p in header.parameters][-2:] == [("1.weight", 1), ("1.bias", 1)]
    assert {u.name for u in header.unproved} == {"1.running_mean", "1.running_var", "1.num_batches_tracked"}
    assert str(header.schedule).startswith("cosine:steps=20,end=0.1")
    # What the run publishes of its settings leads to the same weights, and says nothing of the
    # folder.
    published_config = Path("run/config.toml").read_text()
    assert 'data = "csv:table.csv"\n' in published_config
    assert str(Path.cwd()) not in published_config
    assert zk_train("--config", "run/config.toml", "--out", "again")[0] == 0
    assert published("run") == published("again")
    # A flag wins over the file.
    found = json.loads(
        zk_train("--config", "train.toml", "--steps", "3", "--no-publish", "--out", "short", "--json")[1]
    )
    assert (found["steps"], found["classes"], found["data"]) == (3, ["no", "yes"], "csv:table.csv")
    assert not list(Path("short/model").iterdir())


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda: Path("table.csv").write_text(TABLE.replace("22,", "23,", 1)),
            "table.csv has changed since; restore what",
        ),
        (lambda: Path("table.csv").unlink(), "table.csv can't be read: No such file"),
        (
            lambda: Path("net_of_a_user.py").write_text(NET + "# new"),
            "net_of_a_user.py is not the code of the run (expected",
        ),
    ],
    ids=["data", "no data", "code"],
)
def test_run_is_resumed_with_the_data_and_code_of_its_beginning_alone(
    change: Callable[[], object], message: str, zk_train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = command.parser().parse_args(["--config", "train.toml", "--out", "run"])
    assert run_command(lambda output: command.train(arguments, output, Broken(31, 16)), json_output=False) == 1
    capsys.readouterr()
    before = {name: Path(name).read_bytes() for name in ("table.csv", "net_of_a_user.py")}
    change()
    status, out, err = zk_train("--resume", "run")
    assert (status, out) in [(1, ""), (2, "")]
    assert message in err.splitlines()[-1]
    for name, content in before.items():
        Path(name).write_bytes(content)
    assert zk_train("--resume", "run")[0] == 0
    assert zk_train("--config", "train.toml", "--out", "whole")[0] == 0
    assert published("run") == published("whole")


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("flags", "files", "status", "message"),
    [
        (["--data", "csv:table.csv"], {"table.csv": TABLE.replace("23,", "abc,", 1)}, 2, "table.csv: row 5, column 'age': 'abc' is not a number"),
        (["--data", "csv:nowhere.csv"], {}, 2, "the table nowhere.csv can't be read: No such file or directory"),
        (["--data", "csv:table.csv", "--label", "sld"], {}, 2, "has no column 'sld'; did you mean sold?"),
        (["--data", "csv:table.csv", "--batch-size", "33"], {}, 2, "--batch-size 33 is more than the 32 training rows of csv:table.csv"),
        (["--config", "train.toml"], {"train.toml": "stepz = 3"}, 2, "train.toml: stepz is not a setting; did you mean steps?"),
        (["--config", "train.toml"], {"train.toml": "steps = 0"}, 2, "train.toml: steps is 0; it must be at least 1"),
        (["--config", "nowhere.toml"], {}, 2, "the config nowhere.toml can't be read"),
        (["--model", "net_of_a_user:none"], {}, 2, "net_of_a_user:none returned a NoneType; it must take (columns, classes)"),
        (["--model", "net_of_a_user:nothing"], {}, 2, "net_of_a_user has no nothing; it has net, none"),
        (["--model", "no_such_module:net"], {}, 2, "there is no module no_such_module in the current folder or on PYTHONPATH"),
        (["--config", "train.toml", "--batch-size", "31"], {}, 2, "the model failed at step 2, on 1 rows: ValueError: Expected more than 1 value"),
        (["--freeze", "*.bias"], {}, 0, ""),
        (["--freeze", "hiden.*"], {}, 2, "--freeze hiden.* matches no parameter"),
        (["--schedule", "cosin"], {}, 2, "--schedule: there is no such schedule"),
        (["--betas", "0.9"], {}, 2, "--betas is a list; it must be a pair of numbers"),
        (["--label", "hf_abcdefghijklmnopqrstuvwxyz", "--data", "csv:table.csv"], {}, 2, "--label looks like an access token"),
        (["--config", "train.toml", "--resume", "run"], {}, 2, "leave out --config, or begin a new run"),
        (["--resume", "run", "--freeze", "a"], {}, 2, "leave out --freeze, or begin a new run"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)  # fmt: skip
def test_settings_that_cant_be_followed_are_refused_in_a_sentence(
    flags: list[str], files: dict[str, str], status: int, message: str, zk_train: Train
) -> None:
    for name, content in files.items():
        Path(name).write_text(content)
    before = sorted(p.name for p in Path().iterdir())
    prover = [] if "--resume" in flags else ["--prover", "none"]
    found, out, err = zk_train(*flags, *prover, *([] if "--resume" in flags else ["--out", "run", "--steps", "2"]))
    assert found == status, err
    assert message in err.splitlines()[-1]
    assert "abcdefghijkl" not in err
    if status and "failed at step 2" not in message:
        assert out == ""
        assert err.splitlines()[-1].startswith("error: ")
        assert sorted(p.name for p in Path().iterdir()) == before


@pytest.fixture
def stopped(own: None, zk_train: Train, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """An open run of the user's model, whose module is forgotten, and says so when it is imported
    again."""
    return _stopped(capsys, monkeypatch)


@pytest.fixture
def stopped_unregistered(
    own: None, zk_train: Train, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """One that is in no register."""
    return _stopped(capsys, monkeypatch, "--no-register")


def _stopped(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *flags: str) -> Path:
    arguments = command.parser().parse_args(["--config", "train.toml", "--out", "run", *flags])
    assert run_command(lambda output: command.train(arguments, output, Broken(31, 16)), json_output=False) == 1
    capsys.readouterr()
    monkeypatch.delitem(sys.modules, "net_of_a_user")
    return Path("run")


def rewritten(run: Path, **change: object) -> None:
    """The private plan with other entries, as a stranger may write it."""
    path = run / "private" / "train.json"
    path.write_bytes(canonical.encode({**json.loads(path.read_bytes()), **change}))  # type: ignore[dict-item]


def unsigned(run: Path) -> None:
    """The run without anything that its trainer's key signed, as anybody can make it who knows the
    public half."""
    path = run / "private" / "header"
    _, parts = private_file.read(path, "header", None)
    path.write_bytes(private_file.encode("header", header_digest(parts["leaf"]), {}, {"leaf": parts["leaf"]}))
    (run / "log" / "checkpoint").unlink()


def test_a_run_of_ones_own_is_resumed_with_its_code_without_more_ado(stopped: Path, zk_train: Train) -> None:
    assert zk_train("--resume", str(stopped))[0] == 0


@pytest.mark.parametrize(
    ("forge", "flags", "status", "words"),
    [
        pytest.param(
            unsigned,
            [],
            1,
            "look at it, and pass --allow-code net_of_a_user:net",
            id="signed by nobody",
        ),
        pytest.param(
            lambda run: trainer_key.create(Path("another.key"), "another"),
            ["--key-file", "another.key"],
            1,
            "look at it, and pass --allow-code net_of_a_user:net",
            id="signed by another key",
        ),
        pytest.param(
            lambda run: rewritten(run, key_file=str(Path("another.key").absolute())),
            [],
            2,
            "names code, net_of_a_user:net, and a key file of its own",
            id="with a key file of its own",
        ),
        pytest.param(
            lambda run: rewritten(run, rule="sgd"), [], 1, "its rule is adam, the plan's sgd", id="another rule"
        ),
        pytest.param(
            lambda run: rewritten(run, secret="00" * 32), [], 1, "the data are not those", id="another secret"
        ),
        pytest.param(
            lambda run: rewritten(run, model="webbrowser:open"),
            [],
            1,
            "webbrowser.py is not the code of the run",
            id="another module",
        ),
        pytest.param(
            lambda run: rewritten(run, model="sys:exit"),
            [],
            1,
            "sys has no file that can be read",
            id="a module without a file",
        ),
    ],
)
def test_no_code_of_a_run_that_may_be_a_strangers_is_imported(
    stopped: Path, zk_train: Train, forge: Callable[[Path], object], flags: list[str], status: int, words: str
) -> None:
    forge(stopped)
    loaded = set(sys.modules)
    found, out, err = zk_train("--resume", str(stopped), *flags)
    assert (found, out) == (status, ""), err
    assert words in err.splitlines()[-1]
    assert "net_of_a_user" not in sys.modules
    assert "webbrowser" in loaded or "webbrowser" not in sys.modules


def test_a_run_without_a_checkpoint_is_ones_own_if_its_header_is_signed(
    stopped_unregistered: Path, zk_train: Train
) -> None:
    run = stopped_unregistered
    (run / "log" / "checkpoint").unlink()
    (run / "log" / "records.jsonl").unlink()
    (run / "private" / "head").unlink()  # a crash before the first one
    assert zk_train("--resume", str(run))[0] == 0


def test_a_key_that_lies_in_the_run_vouches_for_nothing(stopped: Path, zk_train: Train) -> None:
    key = stopped / "private" / "mine.key"
    key.write_bytes(keyfile.default_path().read_bytes())
    key.chmod(0o600)
    status, out, err = zk_train("--resume", str(stopped), "--key-file", str(key))
    assert (status, out) == (1, "")
    assert "private/mine.key lies in run, and may be a stranger's, as the run may be" in err
    assert "net_of_a_user" not in sys.modules


@pytest.mark.parametrize("flags", [(), ("--allow-code", "net_of_a_user:net")])
def test_nothing_is_signed_of_a_run_that_nobody_signed(stopped: Path, zk_train: Train, flags: tuple[str, ...]) -> None:
    """Whoever gets one signature out of a resumption has a run that is the trainer's own from then
    on."""
    unsigned(stopped)
    for model in ("softmax", "net_of_a_user:net"):  # for the first one no code is needed
        rewritten(stopped, model=model, groups=[])
        status, out, err = zk_train("--resume", str(stopped), *flags)
        assert (status, out) == (1, ""), err
        assert not (stopped / "log" / "checkpoint").exists()
    if flags:
        assert "nothing says that run is yours: its header in the folder `private` is not signed" in err


@pytest.mark.usefixtures("own")
def test_allow_code_is_for_a_resumption(zk_train: Train) -> None:
    status, _, err = zk_train("--steps", "1", "--allow-code", "net_of_a_user:net")
    assert (status, err) == (2, "error: --allow-code is for --resume: a new run's code is what --model names\n")


@pytest.mark.usefixtures("own")
def test_own_model_finds_the_token_and_the_run_does_not(zk_train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "")  # so that it is put back afterwards
    monkeypatch.setenv("HF_HOME", str(Path.cwd()))
    token = "hf_ThisIsNoTokenOfAnybody42"
    Path("net_of_a_user.py").write_text(
        f"import os, sys\nfrom torch import nn\ndef net(columns, classes):\n    print(os.environ['HF_TOKEN'], file=sys.stderr)\n"
        f"    assert os.environ['HF_TOKEN'] == 'hf_' + {token[3:]!r}\n    return nn.Linear(columns, classes)\n"
    )
    flags = ("--model", "net_of_a_user:net", "--prover", "none", "--steps", "3", "--out", "run")
    status, out, err = zk_train(*flags)
    assert status == 2
    assert "net_of_a_user:net failed" in err
    status, out, err = zk_train(*flags, "--hf-token", token)
    assert status == 0, err
    assert token not in out + err
    monkeypatch.setenv("HF_TOKEN", "")
    Path("token").write_text(token + "\n")
    Path("token").chmod(0o600)
    assert zk_train(*flags[:-1], "from-the-cache")[0] == 0
    for path in Path("run").rglob("*"):
        assert not path.is_file() or token.encode() not in path.read_bytes()


def test_reproduce_is_a_command_of_its_own(zk_train: Train) -> None:
    assert zk_train("--prover", "none", "--steps", "3", "--out", "run")[0] == 0
    status, out, _ = zk_train("reproduce", "run", "--json")
    assert status == 0
    assert json.loads(out)["verdict"] == "FULL"
