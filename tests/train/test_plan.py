import json
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from zk_autograd.core.canonical import encode
from zk_autograd.core.errors import RunError, UsageError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.rules.families import FAMILIES
from zk_autograd.credentials import redaction
from zk_autograd.local.csv_name import CsvFile
from zk_autograd.train.names import DataName, Factory, ModelName
from zk_autograd.train.plan import Plan
from zk_autograd.train.settings import ParameterGroup, Settings

PLAN = Plan(
    model=ModelName.MLP,
    data=DataName.DIGITS,
    rule=Rule.NESTEROV,
    lr="0.01",
    momentum="0.9",
    weight_decay="",
    grad_scale=-3,
    batch_size=64,
    steps=100,
    seed=2**64 - 1,
    prover="ezkl",
    preset="",
    publish=True,
    key_file="/keys/log.key",
    secret=bytes(range(32)),
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "run" / "private").mkdir(parents=True)
    return tmp_path / "run"


@pytest.mark.parametrize(
    "plan", [PLAN, replace(PLAN, grad_scale="auto", momentum="", publish=False, prover="native", preset="strict")]
)
def test_plan_is_read_back_and_only_its_owner_can(plan: Plan, run: Path) -> None:
    plan.write(run)
    assert Plan.read(run) == plan
    assert stat.S_IMODE((run / "private" / "train.json").stat().st_mode) == 0o600


def test_alpha_is_kept_where_it_is_set_and_a_plan_from_before_it_is_read(run: Path) -> None:
    PLAN.write(run)
    file = run / "private" / "train.json"
    assert "alpha" not in json.loads(file.read_bytes())
    assert Plan.read(run) == PLAN
    groups = (ParameterGroup(("a*",), alpha="0.95"), ParameterGroup(("b",), lr="0.1"))
    plan = replace(PLAN, rule=Rule.RMSPROP, momentum="", alpha="0.9", groups=groups)
    plan.write(run)
    kept = json.loads(file.read_bytes())
    assert (kept["alpha"], ["alpha" in group for group in kept["groups"]]) == ("0.9", [True, False])
    assert Plan.read(run) == plan
    kept["groups"][1]["beta"] = "0.9"
    file.write_bytes(encode(kept))
    with pytest.raises(RunError, match="is not of this version"):
        Plan.read(run)


def test_level_is_kept_where_it_is_set_and_a_plan_from_before_it_is_read(run: Path) -> None:
    PLAN.write(run)
    file = run / "private" / "train.json"
    assert not {"level", "public_data", "order_seed"} & json.loads(file.read_bytes()).keys()
    for seed in (None, 0, 2**64 - 1):
        plan = replace(PLAN, level="L3", public_data=seed == 0, order_seed=seed)
        plan.write(run)
        assert Plan.read(run) == plan
    kept = json.loads(file.read_bytes())
    assert (kept["level"], kept["order_seed"]) == ("L3", str(2**64 - 1))
    for name, value in (("level", "L4"), ("public_data", "yes"), ("order_seed", "-1"), ("order_seed", 7)):
        file.write_bytes(encode(kept | {name: value}))
        with pytest.raises(RunError, match="is not of this version"):
            Plan.read(run)


def test_seed_of_the_order_is_drawn_from_the_system_for_exact_gradients_alone() -> None:
    assert PLAN.drawn("") is PLAN
    plan = replace(PLAN, level="L3")
    seeds = {plan.drawn("").order_seed for _ in range(20)}
    assert len(seeds) == 20
    assert None not in seeds
    assert max(seed or 0 for seed in seeds) > 2**59
    assert replace(plan, order_seed=0).drawn("").order_seed == 0
    assert plan.drawn("beacon:evm:x").order_seed is None
    with pytest.raises(UsageError, match="--order-seed: the beacon of --start gives the order of the rows"):
        replace(plan, order_seed=0).drawn("beacon:evm:x")


@pytest.mark.parametrize(
    ("given", "scale"),
    [
        ({}, 0),
        ({"level": "L3"}, "auto"),
        ({"level": "L3", "grad-scale": 2}, 2),
        ({"level": "L3", "start": "beacon:evm:x"}, 0),
        ({"level": "L3", "start": "beacon:evm:x", "batch-size": 4097}, 1),
    ],
)
def test_scale_of_exact_gradients_is_chosen_from_the_first_batch_unless_a_beacon_is_waited_for(
    given: dict[str, object], scale: int | str
) -> None:
    settings = Settings.of(given, lambda name: name)
    assert Plan.of(settings, key_file="", secret=b"").grad_scale == scale


def test_tables_path_is_kept_whole(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run)
    plan = replace(PLAN, data=CsvFile("houses.csv", "sold"), model=Factory("my.models", "net"), schedule="recorded")
    group = ParameterGroup(("a*", "b"), lr="0.1", momentum="0", weight_decay="0.5", betas=("0.8", "0.9"), eps="1")
    plan = replace(plan, groups=(group,), freeze=("c", "d"), betas=("0.7", "0.8"), eps="0.5")
    plan.write(run)
    assert Plan.read(run) == replace(plan, data=CsvFile(str(run / "houses.csv"), "sold"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "--steps is 0; it must be at least 1"),
        ({"batch_size": -1}, "--batch-size is -1"),
        ({"seed": -1}, "--seed is -1"),
        ({"seed": 2**64}, "--seed is 18446744073709551616; .* below 18446744073709551616"),
        ({"level": "L3", "batch_size": 8193}, "--batch-size is 8193; at L3 it is at most 8192: lower it, or use"),
        ({"level": "L3", "freeze": ("a*",)}, r"--freeze a\*: L3 recomputes passes through trained weights alone"),
        ({"public_data": True}, "--public-data is for exact gradients: add --level L3, or leave it out"),
        ({"order_seed": 0}, "--order-seed is for exact gradients: add --level L3, or leave it out"),
    ],
)
def test_number_that_no_training_can_have_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(PLAN, **changes)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format", "zk-autograd/train/v0"),
        ("model", "transformer"),
        ("grad_scale", "large"),
        ("prover", "groth16"),
        ("preset", "lax"),
        ("seed", "-1"),
        ("schedule", ""),
        ("data", "csv:"),
        ("label", "age"),
        ("betas", ["0.9", "0.9", "0.9"]),
        ("freeze", "a"),
        ("groups", [{"parameters": ["a"]}]),
        ("secret", None),
        ("more", 1),
    ],
)
def test_plan_of_another_form_is_refused(name: str, value: Any, run: Path) -> None:
    PLAN.write(run)
    path = run / "private" / "train.json"
    fields = json.loads(path.read_bytes()) | {name: value}
    path.write_bytes(encode({n: v for n, v in fields.items() if v is not None}))
    with pytest.raises(RunError, match="is not of this version"):
        Plan.read(run)


@pytest.mark.parametrize("cut", [-1, 0, 10])
def test_torn_plan_is_refused(cut: int, run: Path) -> None:
    PLAN.write(run)
    path = run / "private" / "train.json"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(RunError, match="is not of this version"):
        Plan.read(run)


def test_missing_run_and_missing_plan_are_told_apart(tmp_path: Path, run: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no run at .*nowhere"):
        Plan.read(tmp_path / "nowhere")
    with pytest.raises(RunError, match=r"has no private/train\.json"):
        Plan.read(run)


@pytest.mark.parametrize("rule", Rule)
def test_each_rule_has_a_learning_rate(rule: Rule) -> None:
    assert 0 < float(FAMILIES[rule].own_lr) < 1


@pytest.mark.parametrize("folder", ["hf_downloads2026", "sig;token=abcdefgh", "/".join(["d" * 200] * 6)])
def test_a_table_is_found_again_wherever_the_trainer_stood(
    folder: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its path was made absolute by the plan, and nobody chose it: no word of it is taken for a
    token, nor is it too long."""
    place = tmp_path / folder
    place.mkdir(parents=True)
    monkeypatch.chdir(place)
    replace(PLAN, data=CsvFile("t.csv", "sold")).write(run)
    assert Plan.read(run).data == CsvFile(str(place / "t.csv"), "sold")


def test_a_known_token_that_is_a_word_of_the_path_is_no_obstacle(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redaction, "PROCESS", redaction.Redactor([tmp_path.name]))
    monkeypatch.chdir(tmp_path)
    replace(PLAN, data=CsvFile("t.csv")).write(run)
    assert Plan.read(run).data == CsvFile(str(tmp_path / "t.csv"))
    with pytest.raises(UsageError, match="data looks like an access token"):
        Settings.of({"data": f"csv:{tmp_path}/t.csv"}, str)
