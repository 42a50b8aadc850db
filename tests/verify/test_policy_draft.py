"""A policy drafted from a run: it accepts that run, pins nothing, and holds no text of the run that
could be taken for more."""

import tomllib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.verify.register_builder import PLACES, registered, write
from tests.verify.run_builder import KEY, SECOND, SRS, Run, honest, judge, stand_ins
from zk_autograd.anchor.kinds import verifiers
from zk_autograd.core.hyper import Rule
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.verify.anchor_demands import AnchoredBy, InRegister
from zk_autograd.verify.demands import HyperInRange, ProvenBits
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.policy_draft import draft, probe, quote
from zk_autograd.verify.policy_file import parse
from zk_autograd.verify.verifier import Verifier


def drafted(run: Run, folder: Path, srs: frozenset[bytes] = frozenset({SRS})) -> str:
    return draft(judge(run, folder, replace(probe(), srs=srs)))


def read(text: str) -> Policy:
    return parse(text.encode(), "the draft")


def uncommented(text: str) -> str:
    """The draft once somebody has compared the keys."""
    head, _, rest = text.partition("# keys = [\n")
    keys, _, tail = rest.partition("# ]\n")
    return f"{head}keys = [\n{keys.replace('#  ', ' ')}]\n{tail}"


def of(policy: Policy, name: str) -> HyperInRange:
    return next(d for d in policy.demands if isinstance(d, HyperInRange) and d.name == name)


def test_a_draft_pins_nothing(tmp_path: Path) -> None:
    run = honest()
    text = drafted(run, tmp_path)
    assert read(text).keys == ()
    report = judge(run, tmp_path / "again", read(text))
    assert (report.verdict, report.exit_status) == ("UNPINNED", 3)
    assert read(uncommented(text)).keys == (KEY, SECOND.public_key)


RUNS = [
    *(("none", rule, "constant", 1) for rule in Rule),
    *(("ezkl", Rule.ADAM, schedule, 1) for schedule in (
        "recorded", "constant,warm_up=3", "step:every=2,factor=0.3", "linear:steps=7,end=0", "cosine:steps=9,end=0.1,warm_up=2")),
    ("ezkl", Rule.ADAM, "cosine:steps=9,end=0.1", 2),
]  # fmt: skip


@pytest.mark.parametrize(("backend", "rule", "schedule", "groups"), RUNS)
def test_a_draft_accepts_its_run_once_keys_are_pinned(
    backend: str, rule: Rule, schedule: str, groups: int, tmp_path: Path
) -> None:
    run = honest(backend, rule, schedule=schedule, groups=groups)
    run.signers = (*run.signers, SECOND)
    policy = read(uncommented(drafted(run, tmp_path)))
    report = judge(run, tmp_path / "again", policy)
    assert report.exit_status == 0, report.text()
    assert report.policy is not None
    assert all(checked.met for checked in report.policy.demands)


def test_ranges_are_the_runs_own_values(tmp_path: Path) -> None:
    run = honest("none", groups=2)
    hyper = dict(run.header.groups[1].hyper) | {"lr": "0.002", "eps": "0.0001"}
    run.edit_header(groups=(run.header.groups[0], replace(run.header.groups[1], hyper=tuple(hyper.items()))))
    policy = read(drafted(run, tmp_path))
    assert (of(policy, "lr").low, of(policy, "lr").high) == (Fraction("0.002"), Fraction("0.01"))
    assert (of(policy, "eps").low, of(policy, "eps").high) == (Fraction("1e-8"), Fraction("0.0001"))
    assert (of(policy, "beta1").low, of(policy, "beta1").high) == (Fraction("0.9"), Fraction("0.9"))


def test_the_least_rate_of_a_schedule_is_rounded_down(tmp_path: Path) -> None:
    """A third of 0.01 has no decimal."""
    low = of(read(drafted(honest(schedule="constant,warm_up=2"), tmp_path)), "lr").low
    assert low <= Fraction(1, 300) < low + Fraction(1, 10**18)


def test_an_srs_is_a_comment_unless_it_is_a_public_ceremonys(tmp_path: Path) -> None:
    text = drafted(honest(), tmp_path, frozenset())
    assert f'# srs = ["{SRS.hex()}"]' in text
    policy = read(text)
    assert policy.srs == frozenset()
    assert 'require = ["L0"]' in text
    assert "No proof of this run was verified here" in text
    assert not any(isinstance(demand, ProvenBits) for demand in policy.demands)


def test_an_unfinished_run_is_not_drafted_as_finished(tmp_path: Path) -> None:
    run = honest()
    run.close, run.model = None, {}
    fields = tomllib.loads(drafted(run, tmp_path))["run"]
    assert fields == {"min_steps": 8}


def test_claims_are_comments(tmp_path: Path) -> None:
    text = drafted(honest(), tmp_path)
    assert '# [claims]\n# max_last_loss = "0.5"\n# max_saturated_share = "0"\n' in text
    assert "claims" not in tomllib.loads(text)


def test_the_share_of_saturated_elements_is_rounded_up(tmp_path: Path) -> None:
    """1 of 8 steps of 6 parameters: a limit below the claimed share would refuse its own run."""
    run = honest("none")
    run.segments[0] = replace(run.segments[0], saturated=(1, 0, 0))
    assert '\n# max_saturated_share = "0.020834"\n' in drafted(run, tmp_path)


@pytest.mark.parametrize("loss", ["nan", "inf", "", "0.5, 7", '0.5"', "] x", "\u202e1"])
def test_a_claim_that_is_no_decimal_is_not_drafted(loss: str, tmp_path: Path) -> None:
    run = honest()
    run.segments[-1] = replace(run.segments[-1], loss=("0.1", loss))
    run.reprove()
    assert "max_last_loss" not in drafted(run, tmp_path)


NAMES = [
    '"]',
    "#",
    "\\",
    '\\"',
    "'''",
    '"""',
    "\u202ekeys",
    "\u2066a\u2069",
    "\u00e4",
    "]",
    "[rules]",
    "\U0001f511",
    "\ufeff",
    "\u200b",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_the_name_of_a_key_ends_no_string_and_no_comment(name: str, tmp_path: Path) -> None:
    key = Ed25519Signer(f"{name}x", bytes(32))
    run = honest("none")
    run.edit_header(keys=(key.public_key.encode(), KEY.encode()))
    run.signers = (key,)
    text = drafted(run, tmp_path)
    assert text.isascii()
    assert all(line.isprintable() for line in text.split("\n"))
    plain = drafted(honest("none"), tmp_path / "plain")
    active = [line for line in text.splitlines() if not line.startswith("#")]
    assert active == [line for line in plain.splitlines() if not line.startswith("#")]
    assert read(uncommented(text)).keys == (key.public_key, KEY)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_quoted_text_is_one_line_and_the_same_text(text: str) -> None:
    quoted = quote(text)
    assert quoted.isascii()
    assert quoted.isprintable()
    assert tomllib.loads(f"x = {quoted} # {quoted}\ny = [{quoted}]") == {"x": text, "y": [text]}
    assert tomllib.loads(f"# {quoted}\nx = 1") == {"x": 1}


def test_a_run_in_its_register_is_asked_to_be_there_and_nobody_is_trusted_for_it(tmp_path: Path) -> None:
    run, tree = registered(backend="none")
    folder = run.write(tmp_path / "run")
    write(folder, tree.views(*PLACES), [tree.receipt(6), tree.receipt(6, 'x"[y]', z=1)])
    with RunFolder(folder) as files:
        text = draft(Verifier(probe(), stand_ins(), verifiers()).verify(files))
    policy = read(uncommented(text))
    assert [type(demand) for demand in policy.demands if demand.field == "register"] == [InRegister]
    assert (policy.anchors, [d for d in policy.demands if isinstance(d, AnchoredBy)]) == ({}, [])
    assert '# require = ["' in text
    with RunFolder(folder) as files:
        assert Verifier(policy, stand_ins(), verifiers()).verify(files).exit_status == 0
    write(folder, tree.views(*PLACES[:2]))
    with RunFolder(folder) as files:
        assert "register = true" not in draft(Verifier(probe(), stand_ins(), verifiers()).verify(files))
