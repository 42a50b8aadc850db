"""`zk-verify` with a register and anchors: whom the auditor trusts, what they require, and what
they ask a service."""

import json
from pathlib import Path

import pytest

from attacks.on_registers.quorum_made_up import WITNESSES, cosigned
from tests.verify.register_builder import PLACES, History, Tree, registered, write
from tests.verify.run_builder import KEY, QUANTUM, Run
from zk_autograd import auditing, verify_run
from zk_autograd.anchor.file.publish import FileAnchor
from zk_autograd.cli.anchor import main as anchor
from zk_autograd.cli.verify import main
from zk_autograd.core.anchors import SignedCheckpoint
from zk_autograd.core.errors import UsageError
from zk_autograd.core.keys import parse_keys
from zk_autograd.verify.outcome import Source
from zk_autograd.verify.policy_file import FORMAT

VKEY = KEY.encode()
NOON = 1_796_040_000
NAMES = ("one", "two", "three")
TLOG = "".join(f"witness {name} {by.public_key.encode()}\n" for name, by in zip(NAMES, WITNESSES, strict=True))
TRUST = f"[anchors.witness]\npolicy = '''\n{TLOG}group most 2 one two three\nquorum most\n'''\n"


@pytest.fixture
def made(tmp_path: Path) -> tuple[Run, Tree, Path]:
    """A run whose register two of three witnesses hold, and the trainer's own file."""
    run, tree = registered(backend="none")
    folder = run.write(tmp_path / "run")
    anchor = FileAnchor(tmp_path / "anchors.jsonl")
    receipts = [cosigned(tree, 6, WITNESSES[:2])]
    for size in (2, 4, 6):
        receipts += anchor.publish(SignedCheckpoint.parse(tree.note(size)), History(tree))
    write(folder, tree.views(*PLACES), receipts)
    (tmp_path / "trust.toml").write_text(TRUST)
    return run, tree, folder


@pytest.fixture
def words(made: tuple[Run, Tree, Path]) -> list[str]:
    return [str(made[2]), "--key", VKEY, "--require", "L0"]


def test_trust_makes_a_quorum_count(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--require-anchor", "witness"]) == 3
    said = capsys.readouterr().out
    assert "policy, --require-anchor: asked for all records anchored by witness" in said
    assert "Fix: say whom you trust to anchor (--trust-anchors FILE), or ask the service (--online)" in said
    trusting = [*words, "--trust-anchors", str(tmp_path / "trust.toml")]
    assert main([*trusting, "--require-anchor", "witness"]) == 0
    said = capsys.readouterr().out
    assert "anchored   that witness took no other branch of the register with all 6 records" in said
    assert len(said.rstrip().split("\n")) <= 12
    assert main([*trusting, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [one["standing"] for one in report["anchors"]] == ["shown", *["the trainer's word"] * 3]
    assert report["anchors"][0]["excludes_forks"] is True


def test_what_was_not_judged_rests_on_nothing(made: tuple[Run, Tree, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """`zk-anchor list` says what is missing, and not that the receipt rests on it."""
    assert anchor(["list", str(made[2]), "--key", VKEY]) == 0
    told = capsys.readouterr().out.splitlines()
    at = told.index("witness   entries 6, records 6: not judged")
    assert told[at + 1].strip().startswith("2 cosignatures, and nothing says whose count: give")
    assert all("it rests on a file" in told[i + 1] for i, line in enumerate(told) if line.startswith("file "))


def test_a_service_that_is_asked_tells_of_all_runs(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--online", f"file:{tmp_path / 'anchors.jsonl'}", "--long"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "3 checkpoints of this register, on one branch with those that the run shows" in said
    assert "2 runs begun under this key, 1 of them never closed" in said
    assert "held no other branch" not in said  # the trainer's own file stays their word


WRONG: dict[str, tuple[list[str], int, str]] = {
    "no such kind": (["--require-anchor", "oracle"], 2, "'oracle' names no kind of anchor"),
    "no such service": (["--online", "oracle:x"], 2, "names no kind of anchor"),
    "a service without a path": (["--online", "file:"], 2, "needs a path"),
    "no such file of trust": (["--trust-anchors", "nowhere.toml"], 2, "--trust-anchors nowhere.toml can't be read"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_makes_no_sense_is_refused_in_a_sentence(
    name: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    flags, status, message = WRONG[name]
    assert main([*words, *flags]) == status
    shown = capsys.readouterr()
    assert message in shown.err
    assert "verdict" not in shown.out


def test_a_service_is_asked_under_a_key_alone(
    made: tuple[Run, Tree, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    online = ["--online", f"file:{tmp_path / 'anchors.jsonl'}"]
    assert main([str(made[2]), *online]) == 2
    assert "name it with --key" in capsys.readouterr().err
    assert main([str(made[2]), "--key", QUANTUM.public_key.encode(), *online]) == 2
    assert "a register belongs to one Ed25519 key" in capsys.readouterr().err


def test_a_service_that_does_not_answer_says_nothing_against_the_run(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "anchors.jsonl").write_bytes(b"altered\n")
    assert main([*words, "--online", f"file:{tmp_path / 'anchors.jsonl'}"]) == 4
    assert "--online" in capsys.readouterr().err


def test_a_file_of_trust_in_the_run_is_refused(
    words: list[str], made: tuple[Run, Tree, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (made[2] / "trust.toml").write_text(TRUST)
    assert main([*words, "--trust-anchors", str(made[2] / "trust.toml")]) == 2
    assert "whoever made the run wrote it" in capsys.readouterr().err


def test_a_policy_file_is_held_against_the_register(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "policy.toml"
    demands = 'register = true\n[anchors]\nrequire = ["witness"]\n'
    freshness = '[freshness]\nanchored_before = "2026-11-30T12:00:00Z"\n'
    policy.write_text(f'format = "{FORMAT}"\nrequire = ["L0"]\n{demands}{TRUST}authorities = 2\n{freshness}')
    assert main([*words, "--policy", str(policy)]) == 0
    capsys.readouterr()
    policy.write_text(policy.read_text().replace("12:00:00Z", "11:59:59Z"))
    assert main([*words, "--policy", str(policy), "--long"]) == 3
    said = " ".join(capsys.readouterr().out.split())
    assert "freshness.anchored_before: asked for all records anchored by 2026-11-30T11:59:59Z" in said
    assert main([*words, "--policy", str(policy), "--trust-anchors", str(tmp_path / "trust.toml")]) == 2
    assert "--trust-anchors would loosen the policy's anchors.require" in capsys.readouterr().err


def test_in_python_it_is_the_same(made: tuple[Run, Tree, Path], tmp_path: Path) -> None:
    asked = {"trust_anchors": tmp_path / "trust.toml", "require_anchors": ["witness"]}
    report = verify_run(made[2], keys=[VKEY], require=["L0"], online=[f"file:{tmp_path / 'anchors.jsonl'}"], **asked)  # type: ignore[arg-type]
    assert report.exit_status == 0
    assert any(claim.source is Source.ANCHORED for claim in report.claims)
    assert report.anchoring.held[0].begun == 2
    with pytest.raises(UsageError, match="online is a text"):
        verify_run(made[2], keys=[VKEY], online="file:x")


def test_what_a_service_held_is_as_of_a_time_after_its_answer(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A receipt that it confirms says that the records existed by then: what came while it answered
    must not count as older than it is."""
    now = [NOON + 0.25]
    read = FileAnchor.read

    def slowly(self: FileAnchor, origin: str) -> object:
        now[0] += 60
        return read(self, origin)

    monkeypatch.setattr(FileAnchor, "read", slowly)
    monkeypatch.setattr("time.time", lambda: now[0])
    (asked,) = auditing.ask([f"file:{tmp_path / 'anchors.jsonl'}"], parse_keys(words[2]))
    assert asked.time == NOON + 61
