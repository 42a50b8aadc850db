import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from tests.train.test_plan import PLAN
from zk_autograd.core.hyper import Rule
from zk_autograd.core.note import Checkpoint
from zk_autograd.core.records import PUBLIC, Block, Data, Exact, Group, Header, Parameter, Prover
from zk_autograd.train.summary import Summary

SRS = bytes(range(32))
HEADER = Header(
    run=bytes(16),
    package="0",
    rule=Rule.ADAM,
    grad_scale=0,
    schedule="constant",
    groups=(Group((("lr", "0.01"), ("beta1", "0.9"), ("beta2", "0.999"), ("eps", "0.00001")), 0),),
    parameters=(Parameter("w", (40,), 0, 40, 0),),
    unproved=(),
    size=40,
    blocks=(Block(0, 0, 32), Block(0, 32, 8)),
    data=Data(b"", 0, "none", 0, b""),
    model_code=b"",
    prover=Prover("ezkl", "23.0.5", 32, 64, "adam-n32-t64", bytes(32), SRS),
    keys=("one+1+x", "two words+2+y"),
)


@pytest.fixture
def summary(tmp_path: Path) -> Summary:
    for name, size in (("proofs/0-0", 100), ("proofs/0-1", 50), ("private/x", 7)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(bytes(size))
    return Summary(
        plan=PLAN,
        run=tmp_path,
        header=HEADER,
        head=Checkpoint("o", 5, bytes(32)),
        steps=100,
        accuracy=0.9876,
        test_rows=200,
        saturated=0,
        seconds=12.34,
        waited=5.6,
    )


def test_proofs_are_those_of_the_logs_segments(summary: Summary) -> None:
    found = summary.to_json()
    assert (found["proofs"], found["proof_bytes"], found["run_bytes"], found["steps_proved"]) == (4, 150, 157, 100)
    assert "proved    100 steps in 4 proofs of 150 bytes in all" in summary.lines()


def test_auditors_line_names_root_run_each_key_and_the_srs(summary: Summary) -> None:
    words = ["zk-verify", f"{'00' * 32}@5", "--from", str(summary.run), "--key", "one+1+x", "--key", "two words+2+y"]
    assert shlex.split(summary.verify) == [*words, "--srs-digest", SRS.hex()]
    assert any("the digest of an SRS that you can't have made" in line for line in summary.lines())


def test_the_auditors_line_names_the_file_of_the_public_keys_if_there_is_one(summary: Summary) -> None:
    words = shlex.split(replace(summary, public=Path("my keys/log.key.pub")).verify)
    assert words[4:6] == ["--key", "my keys/log.key.pub"]
    assert words.count("--key") == 1


def test_run_without_proofs_claims_none(summary: Summary) -> None:
    hashed = replace(summary, header=replace(HEADER, prover=Prover("none", "1", 32, 64)))
    assert (hashed.proofs, hashed.to_json()["steps_proved"]) == (0, 0)
    assert hashed.verify.endswith("--require L0")
    assert not any("SRS" in line for line in hashed.lines())


def test_auditor_of_native_proofs_needs_no_srs(summary: Summary) -> None:
    prover = Prover("native", "1", 2**13, 8, "native/adam-standard", bytes(32))
    native = replace(summary, header=replace(HEADER, prover=prover))
    assert (native.proofs, native.to_json()["steps_proved"], native.to_json()["srs_digest"]) == (4, 100, "")
    assert native.verify.endswith("--key 'two words+2+y'")
    assert any("100 steps in 4 proofs" in line for line in native.lines())
    assert not any("SRS" in line for line in native.lines())


def test_run_that_was_stopped_early_says_so_and_saturation_is_told(summary: Summary) -> None:
    assert not any("asked for" in line or "saturated" in line for line in summary.lines())
    early = replace(summary, steps=40, saturated=3)
    assert any("40 steps of 100 asked for" in line for line in early.lines())
    assert early.lines()[-1].startswith("3 elements of gradients were too large")
    assert all("\n" not in line for line in early.lines())


def test_classes_schedule_and_each_groups_rate_are_told(summary: Summary) -> None:
    groups = (HEADER.groups[0], Group((("lr", "0.5"), *HEADER.groups[0].hyper[1:]), 0), HEADER.groups[0])
    plan = replace(PLAN, schedule="cosine:steps=9")
    told = replace(summary, plan=plan, header=replace(HEADER, groups=groups), classes=("no", "yes\n"))
    assert any(
        line.startswith("rule      adam, lr 0.01, 0.5 by cosine:steps=9; in effect beta1") for line in told.lines()
    )
    assert r"classes   0 = 'no', 1 = 'yes\n'" in told.lines()
    assert told.to_json()["classes"] == ["no", "yes\n"]
    many = replace(summary, classes=tuple(map(str, range(12))))
    assert any(line.endswith("9 = '9' and 2 more") for line in many.lines())
    assert not any(line.startswith("classes") for line in summary.lines())


def test_the_picture_of_the_session_is_named_if_there_is_one(summary: Summary) -> None:
    assert summary.to_json()["timeline"] is None
    assert not any(line.startswith("timeline") for line in summary.lines())
    drawn = replace(summary, timeline=summary.run / "private" / "timeline.svg")
    assert drawn.to_json()["timeline"] == str(drawn.timeline)
    assert f"timeline  {drawn.timeline}" in drawn.lines()


def exact(summary: Summary, rule: Rule, batch_size: int, log_batch: int, visibility: str = "private") -> Summary:
    """Of a native run with exact gradients, whose groups have two rates."""
    plan = replace(PLAN, level="L3")
    data = Data(b"", 100, "order/v1", batch_size, b"")
    said = Exact(bytes(32), log_batch, 4, 13, visibility, (bytes(32),), seed=1)
    groups = (Group((("lr", "0.02"),), 0), Group((("lr", "0.01"),), 0), Group((("lr", "0.02"),), 0))
    prover = Prover("native", "1", 32, 64)
    header = replace(HEADER, rule=rule, groups=groups, data=data, exact=said, prover=prover)
    return replace(summary, plan=plan, header=header)


def test_padded_batch_says_which_rates_the_mean_would_have(summary: Summary) -> None:
    told = exact(summary, Rule.SGD, 12, 4)
    line = "gradients exact, for L3: private data, batches of 12, padded to 16: as lr 0.015, lr 0.0075 with the mean over 12"
    assert line in told._exact()
    assert told.as_mean() == [{"lr": "0.015"}, {"lr": "0.0075"}, {"lr": "0.015"}]


def test_batch_of_a_power_of_two_and_lion_need_no_other_rate(summary: Summary) -> None:
    assert exact(summary, Rule.SGD, 16, 4, "public")._exact() == ["gradients exact, for L3: public data, batches of 16"]
    assert exact(summary, Rule.SGD, 16, 4).as_mean() == []
    assert exact(summary, Rule.LION, 12, 4)._exact() == [
        "gradients exact, for L3: private data, batches of 12, padded to 16"
    ]


def test_exact_gradients_without_proofs_promise_no_l3(summary: Summary) -> None:
    told = exact(summary, Rule.SGD, 16, 4)
    hashed = replace(told, header=replace(told.header, prover=Prover("none", "1", 32, 64)))
    assert hashed._exact() == ["gradients exact, but L3 takes proofs, too: private data, batches of 16"]
    assert hashed._opening() == []
    assert told._opening()[1:] == [
        "For L3 the auditor is also given what opens the steps, and the data, by",
        "",
        f"  zk-run open {summary.run} --all --for AUDITOR.pub --out openings",
        f"  zk-run open {summary.run} --cells cells",
    ]
    assert told.header.exact is not None
    public = replace(told, header=replace(told.header, exact=replace(told.header.exact, visibility=PUBLIC)))
    assert public._opening()[1:] == [
        "For L3 the auditor is also given what opens the steps, by",
        "",
        f"  zk-run open {summary.run} --all --for AUDITOR.pub --out openings",
    ]
    assert summary._opening() == summary._exact() == []
    assert summary.to_json()["exact"] is None
