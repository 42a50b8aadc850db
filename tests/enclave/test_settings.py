"""What the owner of a job may set, and the one clear sentence for what they may not."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zk_autograd.core.errors import UsageError
from zk_autograd.core.hyper import Rule
from zk_autograd.enclave.models import Network
from zk_autograd.enclave.settings import NAMES, PRIVATE, network_of, plan_of, said_outside
from zk_autograd.local.csv_name import CsvFile
from zk_autograd.optim.registering import DEFAULT
from zk_autograd.train import config
from zk_autograd.train.plan import Plan
from zk_autograd.train.settings import SETTINGS

SECRET = bytes(32)


def plan(**values: Any) -> Plan:
    return plan_of({name.replace("_", "-"): value for name, value in values.items()}, SECRET, DEFAULT)


def test_every_setting_is_one_of_zk_train() -> None:
    assert set(NAMES) <= {setting.name for setting in SETTINGS}
    assert set(PRIVATE) <= set(NAMES)


def test_a_plan_has_what_was_set_and_zk_trains_defaults() -> None:
    made = plan(
        rule="adamw",
        lr="0.02",
        betas=["0.8", "0.99"],
        weight_decay="0.1",
        steps=7,
        seed=3,
        schedule="linear:steps=7,end=0",
    )
    assert (made.rule, made.lr, made.betas, made.weight_decay) == (Rule.ADAMW, "0.02", ("0.8", "0.99"), "0.1")
    assert (made.steps, made.seed, made.batch_size, made.prover) == (7, 3, 64, "native")
    assert not made.publish  # unlike zk-train's: the model is its owner's, who gets it sealed
    assert plan(publish=True).publish


@pytest.mark.parametrize("rule", [rule.value for rule in Rule])
def test_all_rules(rule: str) -> None:
    assert plan(rule=rule).rule.value == rule


@pytest.mark.parametrize(
    ("model", "widths"),
    [
        ("softmax", (4, 2)),
        ("logistic", (4, 1)),
        ("mlp", (4, 64, 2)),
        ("mlp:5", (4, 5, 2)),
        ("mlp:5,6", (4, 5, 6, 2)),
    ],
)
def test_models(model: str, widths: tuple[int, ...]) -> None:
    made = plan(model=model)
    assert str(made.model) == model
    assert network_of(made, 4, 2) == Network(widths)


def test_logistic_tells_two_classes_apart() -> None:
    with pytest.raises(UsageError, match="two classes apart, but the table has 3: set softmax or mlp"):
        network_of(plan(model="logistic"), 4, 3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"model": "mymodels:small_net"},
            r"the job: model is mymodels:small_net; in an enclave it is logistic, softmax",
        ),
        ({"model": "os:system"}, "the job: model is os:system"),
        ({"model": "mlp:0"}, "the job: model is mlp:0"),
        ({"model": "mlp:1,2,3"}, "the job: model is mlp:1,2,3"),
        ({"model": "mlp:64,"}, "the job: model is mlp:64,"),
        ({"model": "mlp:99999"}, "1 to 16384 units"),
        ({"model": "mlp:\N{ARABIC-INDIC DIGIT FIVE}"}, "the job: model is"),
        ({"model": "mlp:5\n"}, "the job: model is"),
        ({"model": 5}, "the job: model is a int"),
        ({"data": "csv:/etc/passwd"}, "the job: data can't be set for an enclave; those of a job are steps, model"),
        ({"key-file": "/root/key"}, "the job: key-file can't be set for an enclave"),
        ({"out": "/tmp"}, "the job: out can't be set for an enclave"),
        ({"start": "beacon:evm:http://host"}, "the job: start can't be set for an enclave"),
        ({"level": "L3"}, "the job: level can't be set for an enclave"),
        ({"public-data": True}, "the job: public-data can't be set for an enclave"),
        ({"anchor": ["rfc3161:http://host"]}, "the job: anchor can't be set for an enclave"),
        ({"no-register": True}, "the job: no-register can't be set for an enclave"),
        ({"srs": "file"}, "the job: srs can't be set for an enclave"),
        ({"groups": []}, "the job: groups can't be set for an enclave"),
        ({"freeze": ["*"]}, "the job: freeze can't be set for an enclave"),
        ({"stepz": 1}, r"the job: stepz is not a setting; did you mean steps\?; those of a job are"),
        ({"": 1}, "is not a setting"),
        ({"prover": "ezkl"}, "the job: prover is ezkl; in an enclave it is native or none"),
        ({"schedule": "recorded"}, "the job: schedule is recorded, which is for a loop that sets lr itself"),
        ({"steps": 0}, "the job: steps is 0; it must be at least 1"),
        ({"steps": 2**41}, "the job: steps is"),
        ({"steps": "5"}, "the job: steps is 5; it must be an integer"),
        ({"steps": True}, "the job: steps is true; it must be an integer"),
        ({"lr": "-1"}, "the job: lr is -1"),
        ({"lr": "nan"}, "the job: lr is nan"),
        ({"lr": None}, "the job: lr is a NoneType"),
        ({"lr": {"a": 1}}, "the job: lr is a table"),
        ({"betas": ["0.9"]}, "the job: betas is a list"),
        ({"rule": "adagrad"}, "the job: rule is adagrad"),
        ({"seed": -1}, "the job: seed is -1"),
        ({"label": "hf_" + "a" * 34}, "looks like an access token"),
        ({"publish": "yes"}, "the job: publish is yes; it must be true or false"),
    ],
)
def test_what_can_not_be_set(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        plan_of(values, SECRET, DEFAULT)
    assert "\n" not in str(raised.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=12), JSON, max_size=3))
@settings(max_examples=300)
def test_whatever_is_set_is_a_plan_or_one_sentence(values: dict[str, Any]) -> None:
    try:
        made = plan_of(values, SECRET, DEFAULT)
    except UsageError as error:
        text = str(error)
        assert len(text) < 1000
        assert text.isprintable() or all(ord(c) > 126 for c in text if not c.isprintable()), text
    else:
        assert made.data == CsvFile("the job's table", str(values.get("label", "")))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"label": 5}, "label"),
        ({"label": "sesame" * 300}, "label"),
        ({"seed": "sesame"}, "seed"),
        ({"seed": -5}, "seed"),
        ({"model": "mlp:sesame"}, "model"),
        ({"lr": "sesame"}, "lr"),
        ({"schedule": "sesame"}, "schedule"),
        ({"sesame": 1}, ""),
        ({"prover": "sesame"}, "prover"),
    ],
)
def test_outside_a_setting_is_named_and_its_value_is_not(changes: dict[str, Any], named: str) -> None:
    """The host reads it, and the settings are sealed from the host."""
    with pytest.raises(UsageError) as caught:
        plan_of(changes, SECRET, DEFAULT)
    said = str(said_outside(caught.value))
    assert said.startswith(
        "the job can't be trained: " + (f"its setting {named} can't" if named else "a setting can't")
    )
    assert not any(text in said for text in ("sesame", "-5", " 5"))


def test_outside_nothing_is_said_of_rows_and_classes() -> None:
    with pytest.raises(UsageError) as caught:
        network_of(plan(model="logistic"), 4, 37)
    assert "37" in str(caught.value) and "37" not in str(said_outside(caught.value))
    with pytest.raises(UsageError) as caught:
        plan(batch_size=999).fitted(37)
    said = str(said_outside(caught.value))
    assert "its setting batch-size" in said and "37" not in said and "999" not in said


def test_a_published_plan_has_neither_seed_nor_label() -> None:
    text = config.to_toml(plan(seed=123456789, label="diagnosis", steps=5, model="mlp:5"), PRIVATE)
    assert 'model = "mlp:5"' in text
    assert "123456789" not in text
    assert "diagnosis" not in text
    assert "123456789" in config.to_toml(plan(seed=123456789))
