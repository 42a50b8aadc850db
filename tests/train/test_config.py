"""Settings from flags and files, and plans as TOML."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.train.test_plan import PLAN
from zk_autograd.cli import train as cli
from zk_autograd.cli.train import parser
from zk_autograd.core.backends import PROVERS
from zk_autograd.core.errors import UsageError
from zk_autograd.core.hyper import Rule
from zk_autograd.local.csv_name import CsvFile
from zk_autograd.train import settings
from zk_autograd.train.config import from_toml, read, to_toml
from zk_autograd.train.names import DataName, Factory, ModelName
from zk_autograd.train.plan import Plan
from zk_autograd.train.settings import GROUPS, READERS, SETTINGS, ParameterGroup, Setting, Settings

FULL = replace(
    PLAN,
    model=Factory("my.models", "net"),
    data=CsvFile("houses.csv", 'the "sold"\\column'),
    rule=Rule.ADAMW,
    momentum="",
    weight_decay="0.02",
    betas=("0.8", "0.99"),
    eps="0.00001",
    schedule="cosine:steps=100,end=0,warm_up=10",
    grad_scale="auto",
    freeze=("embedding.*", "*.[0-3].bias"),
    groups=(
        ParameterGroup(("a.*", "b"), lr="0.5"),
        ParameterGroup(("c",), weight_decay="0", betas=("0", "0.5"), eps="1"),
    ),
    prover="native",
    preset="strict",
    publish=False,
)
TEXT = """\
steps = 100
model = "my.models:net"
data = "csv:houses.csv"
label = "the \\"sold\\"\\\\column"
rule = "adamw"
lr = "0.01"
weight-decay = "0.02"
betas = ["0.8", "0.99"]
eps = "0.00001"
schedule = "cosine:steps=100,end=0,warm_up=10"
grad-scale = "auto"
freeze = ["embedding.*", "*.[0-3].bias"]
batch-size = 64
seed = 18446744073709551615
prover = "native"
preset = "strict"
publish = false

[[groups]]
parameters = ["a.*", "b"]
lr = "0.5"

[[groups]]
parameters = ["c"]
weight-decay = "0"
betas = ["0", "0.5"]
eps = "1"
"""


def again(plan: Plan) -> Plan:
    return Plan.of(from_toml(to_toml(plan)), key_file=plan.key_file, secret=plan.secret)


def test_plan_has_one_text_and_is_read_back_from_it() -> None:
    assert to_toml(FULL) == TEXT
    assert again(FULL) == FULL
    assert again(PLAN) == PLAN
    assert "grad-scale = -3\n" in to_toml(PLAN)


def test_text_says_the_level_where_it_is_not_L1() -> None:
    plan = replace(FULL, level="L3", order_seed=0, freeze=())
    assert 'level = "L3"\norder-seed = 0\nschedule = ' in to_toml(plan)
    assert again(plan) == plan
    assert again(replace(plan, public_data=True)) == replace(plan, public_data=True)
    assert "public-data = true\n" in to_toml(replace(plan, public_data=True))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('level = "L2"', r"level is L2, which an enclave attests .* \(zk-enclave\); zk-train has L1 and L3"),
        ('level = "L4"', "level is L4, a proof of the gradients, which no prover makes yet; zk-train has L1 and L3"),
        ('level = "l3"', "level is l3; it must be one of L1, L3"),
        ("level = 3", "level is 3; it must be one of L1, L3"),
        ("public-data = 1", "public-data is 1; it must be true or false"),
        ("order-seed = -1", "order-seed is -1; it must be at least 0 and below 18446744073709551616"),
    ],
)
def test_level_that_there_is_not_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"the config: {message}"):
        from_toml(text)


decimals = st.decimals(0, 1, places=6).map(lambda d: format(d, "f").rstrip("0").rstrip(".") or "0")
texts = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=9)
groups = st.builds(
    ParameterGroup,
    parameters=st.lists(texts, min_size=1, max_size=3).map(tuple),
    lr=decimals | st.just(""),
    weight_decay=decimals | st.just(""),
    betas=st.just(()) | st.tuples(decimals, decimals),
)


@given(
    st.builds(
        replace,
        st.just(PLAN),
        data=st.sampled_from(DataName) | st.builds(lambda label: CsvFile("t.csv", label), texts | st.just("")),
        model=st.sampled_from(ModelName),
        lr=decimals,
        grad_scale=st.integers(-20, 20) | st.just("auto"),
        freeze=st.lists(texts, max_size=3).map(tuple),
        groups=st.lists(groups, max_size=3).map(tuple),
        prover=st.sampled_from(PROVERS),
        publish=st.booleans(),
        steps=st.integers(1, 2**40 - 1),
    )
)
def test_every_plan_is_read_back(plan: Plan) -> None:
    tomllib.loads(to_toml(plan))
    assert again(plan) == plan


def test_text_holds_nothing_private() -> None:
    plan = replace(FULL, data=CsvFile("/home/me/secret project/houses.csv"), key_file="/home/me/log.key")
    for word in ("/", "home", "secret", "log.key", plan.secret.hex()):
        assert word not in to_toml(plan)


def test_numbers_of_a_file_are_exact() -> None:
    found = from_toml('lr = 0.1\nweight-decay = 1e-30\nmomentum = "0.9"\neps = 0.10\nbetas = [0.9, 0]\n')
    assert found.values == {
        "lr": "0.1",
        "weight-decay": "0.000000000000000000000000000001",
        "momentum": "0.9",
        "eps": "0.1",
        "betas": ("0.9", "0"),
    }


def test_what_is_set_wins_over_what_is_beneath_and_defaults_fill_the_rest() -> None:
    flags = Settings.of({"steps": 5, "publish": True}, str)
    file = from_toml('steps = 9\nseed = 3\npublish = false\nout = "there"\nlabel = "x"\ndata = "csv:a.csv"\n')
    both = flags.over(file)
    assert {name: both.values[name] for name in ("steps", "seed", "publish")} == {
        "steps": 5,
        "seed": 3,
        "publish": True,
    }
    assert both.out == Path("there")
    plan = Plan.of(both, key_file="k", secret=bytes(32))
    assert (plan.steps, plan.rule, plan.lr, plan.model, plan.batch_size) == (5, Rule.ADAM, "0.01", ModelName.MLP, 64)
    assert plan.data == CsvFile("a.csv", "x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stepz = 3", "train.toml: stepz is not a setting; did you mean steps?"),
        ("weight_decay = 0", "train.toml: weight_decay is not a setting; did you mean weight-decay?"),
        ("[zzz]\nx = 1", "train.toml: zzz is not a setting; the settings are steps, model,"),
        ("secret = 'x'", "secret is not a setting"),
        ('steps = "3"', "train.toml: steps is 3; it must be an integer"),
        ("steps = true", "train.toml: steps is true; it must be an integer"),
        ("steps = 3.0", "train.toml: steps is 3.0; it must be an integer"),
        ("steps = 0", "train.toml: steps is 0; it must be at least 1 and below 1099511627776"),
        ("seed = -1", "train.toml: seed is -1; it must be at least 0"),
        ("batch-size = 1099511627776", "batch-size is 1099511627776"),
        ("lr = -0.1", "train.toml: lr is -0.1; it must be a finite number that isn't negative"),
        ("lr = nan", "lr is NaN; it must be a finite number"),
        ("lr = inf", "lr is Infinity"),
        ("lr = true", "lr is true"),
        ("lr = 1e500", "lr is 1E+500"),
        ("lr = [1]", "lr is a list"),
        ("lr = 2020-01-01", "lr is a date"),
        ("betas = 0.9", "betas is 0.9; it must be a pair of numbers"),
        ("betas = [0.9]", "betas is a list; it must be a pair"),
        ('betas = ["x", 0.9]', "betas is x; it must be a finite number"),
        ("grad-scale = 1.5", "grad-scale is 1.5; it must be an integer or auto"),
        ("publish = 1", "publish is 1; it must be true or false"),
        ('rule = "adamn"', "rule is adamn; it must be one of sgd, sgd-momentum, sgd-nesterov, adam, adamw, lion, rmsprop; did you mean adam"),
        ('prover = "snark"', "prover is snark; it must be one of native, ezkl, none"),
        ('preset = ""', "preset is ''; it must be one of standard, strict"),
        ('model = "gpt"', "train.toml: model is gpt; it must be one of"),
        ('data = "csv:"', "train.toml: data is csv:; after csv: it needs the path"),
        ('data = ""', "train.toml: data is ''; it must be a text"),
        ('schedule = "cosin:steps=3"', "train.toml: schedule: there is no such schedule"),
        ('freeze = "a"', "freeze is a; it must be a list of 1 to 1000 texts"),
        ("freeze = []", "freeze is a list; it must be a list of 1"),
        ('freeze = ["a", 3]', "freeze is 3; it must be a text"),
        ('label = "a\\u0007"', "label is 'a\\x07'; it must be a text of 1 to 1000 printable characters"),
        ("[groups]\nlr = 1", "groups is a table; it must be 1 to 100 tables [[groups]]"),
        ("groups = [1]", "groups[0] is 1; it must be a table [[groups]]"),
        ("[[groups]]\nlr = 1", "train.toml: groups[0] has no parameters; name them by patterns"),
        ('[[groups]]\nparameters = ["a"]\n[[groups]]\nparameters = ["b"]\nlearning = 1', "train.toml: groups[1].learning is not a setting"),
        ('[[groups]]\nparameters = ["a"]\nlr = "x"', "groups[0].lr is x"),
        ('[[groups]]\nparameters = []', "groups[0].parameters is a list; it must be a list of 1"),
        ("steps = 3\nsteps = 4", "train.toml is not TOML: Cannot overwrite a value (at "),
        ("steps =", "train.toml is not TOML: Invalid value (at"),
        ("steps = " + "9" * 5000, "train.toml has a number that is too long"),
        *((f"{key} = {value}", "train.toml has a number that is too long") for key in ("steps", "lr", "rule", "model", "grad-scale")
          for value in ("0x" + "f" * 5000, "18446744073709551616", "-18446744073709551616", "[{x = [18446744073709551616]}]")),
        ("betas = [0.9, 0x" + "f" * 5000 + "]", "train.toml has a number that is too long"),
        ("lr = 1e99999999999999999999", "train.toml has a number that is too long: 1e99999999999999999999 has an exponent"),
        ("lr = -1e99999999999999999999", "train.toml has a number that is too long: -1e999"),
        ("lr = 1e-99999999999999999999", "train.toml has a number that is too long: 1e-999"),
        ("\nlr.a.b.c.d = 1", "train.toml has a key of more than 4 parts in line 2"),
        ("lr.a.b.c = 1", "train.toml: lr is a table"),
        ("x" * 5000 + " = 1", f"train.toml: {'x' * 80} is not a setting"),
        ('"\\u0007" = 1', "train.toml: '\\x07' is not a setting"),
        ('label = "hf_abcdefghijklmnopqrstuvwx"', "train.toml: label looks like an access token, and would be recorded: pass tokens in --hf-token"),
        ('data = "csv:hf_abcdefghijklmnopqrstuvwx.csv"', "data looks like an access token"),
        ('freeze = ["hf_abcdefghijklmnopqrstuvwx"]', "freeze looks like an access token"),
        ('[[groups]]\nparameters = ["hf_abcdefghijklmnopqrstuvwx"]', "groups[0].parameters looks like an access token"),
    ],
)  # fmt: skip
def test_config_that_cant_be_followed_is_refused_by_file_and_key(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        from_toml(text, "train.toml")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "abcdefgh" not in str(caught.value)
    (tmp_path / "train.toml").write_text(text)
    with pytest.raises(UsageError, match=r"train\.toml"):
        read(tmp_path / "train.toml")


@pytest.mark.parametrize(
    "text",
    [
        'anchor = ["s3:bucket@http://a.stranger.example"]',
        "anchor = []",
        'start = "beacon:evm:http://a.stranger.example,key=k"',
        'register = "downloads/register"',
    ],
)
def test_a_file_says_nothing_of_register_and_anchors(text: str) -> None:
    """A stranger's file would have the trainer's access keys sent to the stranger."""
    with pytest.raises(UsageError, match="is set by its flag alone, --"):
        from_toml(text, "train.toml")
    assert from_toml("anchor-every = 5\nno-register = true\n").registering == {"anchor-every": 5, "no-register": True}


def test_file_that_cant_be_read_is_refused(tmp_path: Path) -> None:
    for name, content, message in (
        ("latin.toml", b'label = "\xe9"', "is not UTF-8 text"),
        ("long.toml", b"#" * (2**16 + 1), "has more than 65536 bytes"),
        ("cut.toml", b"#" * 2**16 + "\u00e9".encode(), "has more than 65536 bytes"),
        ("deep.toml", b"a = " + b"[" * 60_000, "is not TOML"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError, match=f"{name} {message}"):
            read(tmp_path / name)
    with pytest.raises(UsageError, match=r"nothing\.toml can't be read: No such file"):
        read(tmp_path / "nothing.toml")


def test_every_setting_of_a_training_has_a_field_and_a_default_that_can_be_set() -> None:
    parts = {setting.attribute: setting for setting in SETTINGS if setting.part}
    assert set(parts) - {"label"} == set(Plan.__dataclass_fields__) - {
        "key_file",
        "secret",
        "batch_size_set",
        "registering",
    }
    assert Plan.of(Settings({}), key_file="k", secret=bytes(32)).settings().keys() == {s.name for s in parts.values()}
    for setting in parts.values():
        if setting.default not in (None, "", ()):
            assert setting.read(setting.default, setting.name) == setting.default


def test_a_group_may_set_what_the_table_says() -> None:
    assert {s.attribute for s in SETTINGS if s.own} | {"parameters"} == set(ParameterGroup.__slots__)


def test_flags_and_their_help_are_those_of_the_table() -> None:
    words = parser().format_help()
    for setting in SETTINGS:
        assert (f"--{setting.name} " in words.replace(",", " ")) is bool(setting.help), setting.name
    assert [s.name for s in SETTINGS if not s.help] == [GROUPS]


def test_a_setting_more_is_a_row_and_a_field(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flag, help, file, private plan and config.toml have it; what uses it is up to whoever adds
    it."""
    row = Setting("warm-start", READERS["publish"], False, "begin warm", {"action": "store_true"})
    monkeypatch.setattr(settings, "SETTINGS", (*SETTINGS, row))
    monkeypatch.setattr(cli, "SETTINGS", (*SETTINGS, row))
    monkeypatch.setitem(READERS, row.name, row.read)
    flags = cli.parser().parse_args(["--warm-start"])
    assert flags.warm_start is True
    assert "begin warm" in cli.parser().format_help()
    assert from_toml("warm-start = true\n").values == {"warm-start": True}


@pytest.mark.parametrize("value", [16**5000, -(16**5000)], ids=["above", "below"])
@pytest.mark.parametrize("name", sorted(READERS))
def test_a_number_too_long_to_be_written_is_refused_by_every_setting(name: str, value: int) -> None:
    for given_value in (value, [value], [value, value]):
        with pytest.raises(UsageError, match=name):
            Settings.of({name: given_value}, str)


def test_a_byte_order_mark_is_let_through_and_a_home_folder_expanded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "train.toml").write_bytes(b'\xef\xbb\xbfsteps = 3\nout = "~/runs/x"\nkey-file = "a/~/b"\n')
    found = read(tmp_path / "train.toml")
    assert (found.values["steps"], found.out, found.key_file) == (3, tmp_path / "runs" / "x", Path("a/~/b"))
