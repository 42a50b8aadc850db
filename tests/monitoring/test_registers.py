"""What a monitor sees of a register: new runs, what they came to, and a trainer who cheats."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from tests.evidence.servers import served
from tests.register.registers import KEYS, ORIGIN, OTHERS, SIGNERS, entries, entry, filled, run_id
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.errors import UsageError
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.register import Entry, sign_head
from zk_autograd.core.tiles import encode_bundle
from zk_autograd.evidence.fork_evidence import ForkEvidence
from zk_autograd.monitoring.entries import MOST, told
from zk_autograd.monitoring.opening import open_log
from zk_autograd.monitoring.state import State
from zk_autograd.monitoring.watching import Event, Kind, Watcher, watch
from zk_autograd.register.publishing import publish
from zk_autograd.verify.consistency import Verdict, decide


class Trainer:
    """Publishes whatever they like in one folder."""

    def __init__(self, folder: Path) -> None:
        self.public = folder / "public"
        self.state = folder / "state"
        self._folder = folder
        self._number = 0

    def show(self, count: int, branch: int | None = None) -> None:
        """The register of so many entries."""
        self._number += 1
        with filled(self._folder / f"register-{self._number}", count, branch) as register:
            fresh = self._folder / f"public-{self._number}"
            publish(register, fresh)
        if self.public.exists():
            self.public.rename(self._folder / f"old-{self._number}")
        fresh.rename(self.public)

    def look(self, keys: Sequence[PublicKey] = KEYS, where: str = "") -> Event:
        with State(self.state) as state:
            (event,) = watch(Watcher(state, keys), lambda: open_log(where or str(self.public)), None)
        return event


@pytest.fixture
def trainer(tmp_path: Path) -> Trainer:
    return Trainer(tmp_path)


def test_each_new_root_is_told_with_its_runs_and_kept_whole(trainer: Trainer) -> None:
    notes = []
    for count, kind in ((0, Kind.FIRST), (2, Kind.NEW), (2, Kind.SAME), (15, Kind.NEW), (300, Kind.NEW)):
        trainer.show(count)
        event = trainer.look()
        assert (event.kind, int(event.kind.exit_status)) == (kind, 0)
        assert event.head is not None
        assert (event.head.checkpoint.origin, event.head.checkpoint.size) == (ORIGIN, count)
        notes += [event.head.note] if kind is not Kind.SAME else []
        if count == 15:
            assert f"run {run_id(2).hex()} was begun (entry 2)" in event.sentences
            assert f"run {run_id(0).hex()} has 2 records (entry 3)" in event.sentences
            assert f"run {run_id(0).hex()} was closed with 5 records (entry 12)" in event.sentences
            assert event.sentences[-1] == "the register has 3 runs, of which 0 not closed"
            assert not any(f"run {run_id(0).hex()} was begun" in sentence for sentence in event.sentences)
    assert f"further new entries: {285 - MOST}" in event.sentences
    assert event.sentences[-1] == "the register has 60 runs, of which 0 not closed"
    assert [path.read_bytes() for path in sorted((trainer.state / "heads").iterdir())] == notes


def test_over_http(trainer: Trainer) -> None:
    trainer.show(300)
    with served(trainer.public) as held:
        assert trainer.look(where=f"{held.url}/").kind is Kind.FIRST
        asked = len(held.asked)
        assert trainer.look(where=f"{held.url}/").kind is Kind.SAME
        assert held.paths[asked:] == ["/log/checkpoint", "/log/records.jsonl", "/checkpoint"]


@pytest.mark.parametrize(("count", "branch"), [(5, 2), (5, 4), (8, 0), (8, 4), (3, 1), (300, 4)])
def test_another_past_is_a_fork_that_anybody_can_check(trainer: Trainer, count: int, branch: int) -> None:
    """A trainer who restored an old copy, or means to show two pasts. They would have gained that
    nobody sees the runs of the other one."""
    trainer.show(5)
    assert trainer.look().kind is Kind.FIRST
    trainer.show(count, branch)
    event = trainer.look()
    assert event.kind is Kind.FORK
    assert event.evidence is not None
    evidence = ForkEvidence.parse(event.evidence.read_bytes())
    assert decide(evidence, KEYS).verdict is Verdict.FORK
    assert decide(evidence, [signer.public_key for signer in OTHERS]).verdict is Verdict.UNTOLD
    trainer.show(9)
    assert trainer.look().kind is Kind.FORK


def test_an_older_checkpoint_is_no_fork(trainer: Trainer) -> None:
    trainer.show(9)
    trainer.look()
    trainer.show(4)
    assert trainer.look().kind is Kind.OLDER


def test_entries_that_are_withheld_or_altered_are_not_accepted(trainer: Trainer) -> None:
    trainer.show(3)
    trainer.look()
    trainer.show(7)
    tile = trainer.public / "tile/entries/000.p/7"
    tile.write_bytes(encode_bundle([one.encode() for one in entries(7, 6)]))
    assert trainer.look().sentences == ("its records are not those of its checkpoint",)
    tile.unlink()
    event = trainer.look()
    assert event.kind is Kind.UNTOLD
    assert "has no tile/entries/000" in event.sentences[0]
    trainer.show(8, 6)
    assert trainer.look().kind is Kind.FORK


def test_a_register_of_other_keys_is_set_aside(trainer: Trainer) -> None:
    """Also one that the pinned key signed under another origin: it could be one of several."""
    trainer.show(3)
    others = [signer.public_key for signer in OTHERS]
    event = trainer.look(others)
    assert (event.kind, event.sentences) == (Kind.UNTOLD, ("no pinned key signed its checkpoint",))
    for origin in ("zk-autograd/register/" + sha256(b"").hexdigest(), "example.org/log"):
        head = Checkpoint(origin, 3, root([leaf_hash(one.encode()) for one in entries(3)]))
        (trainer.public / "checkpoint").write_bytes(sign_head(head, SIGNERS))
        event = trainer.look()
        assert event.kind is Kind.UNTOLD
        assert (
            "signed its checkpoint" in event.sentences[0] or "not the register of the pinned key" in event.sentences[0]
        )
    assert not list((trainer.state / "heads").iterdir())


def test_one_of_two_keys(trainer: Trainer) -> None:
    trainer.show(3)
    (trainer.public / "checkpoint").write_bytes(
        sign_head(Checkpoint(ORIGIN, 3, root([leaf_hash(one.encode()) for one in entries(3)])), SIGNERS[:1])
    )
    event = trainer.look()
    assert event.kind is Kind.UNTOLD
    assert "is not signed by the key" in event.sentences[0]
    assert trainer.look(KEYS[:1]).kind is Kind.FIRST


def test_neither_a_run_nor_a_register(trainer: Trainer, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for where in (tmp_path / "empty", tmp_path / "none"):
        with pytest.raises(UsageError, match="A register has a file checkpoint, and there is none either"):
            open_log(str(where))


def told_of(*leaves: bytes, since: int = 0) -> list[str]:
    *said, last = told(leaves, since)
    assert last.startswith("the register has")
    return said


CHEATS: dict[str, tuple[list[Entry], str]] = {
    "begun again": ([entry(0, 1), entry(0, 1, branch=1)], "a second time: entry 0 has 1 records of it"),
    "never begun": ([entry(0, 3)], "it was never begun"),
    "fell back": ([entry(0, 1), entry(0, 5), entry(0, 3)], "it fell back: entry 1 has 5 records of it"),
    "another branch": ([entry(0, 1), entry(0, 5), entry(0, 5, branch=1)], "with other records: entry 1"),
    "went on": ([entry(0, 1), entry(0, 5, close=True), entry(0, 6)], "after its close: entry 1"),
}


@pytest.mark.parametrize("name", CHEATS)
def test_what_no_honest_trainer_enters_is_told(name: str) -> None:
    made, why = CHEATS[name]
    leaves = [one.encode() for one in made]
    assert why in told_of(*leaves)[-1]
    assert why in told_of(*leaves, since=len(leaves) - 1)[0]
    assert not any(": " in sentence for sentence in told_of(*leaves[:-1]))


def test_an_entry_of_a_later_version_is_told() -> None:
    assert (
        "entry 0 is none of a run, as far as this version knows" in told_of(b'{"format":"zk-autograd/register/v9"}')[0]
    )
