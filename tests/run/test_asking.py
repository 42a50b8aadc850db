"""What the anchors say before a run signs anything: the whole of a register's folder was brought
back from an older copy, and a fork would be for ever.

The anchor `file` at a place of its own stands for one that is elsewhere; witnesses are in
tests/anchor/witness.
"""

import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic

import pytest

from tests.run.beacons import HashBeacon
from tests.run.registered import ORIGIN, begun, complete, create, entries, look, resume
from tests.run.test_anchoring import raising
from tests.run.test_beacon import begin
from tests.run.trainer import SIGNER, train
from zk_autograd.anchor.file.publish import FileAnchor
from zk_autograd.core.anchors import History, Receipt, SignedCheckpoint
from zk_autograd.core.errors import AnchorDown, AnchorError, RunError
from zk_autograd.core.keys import PublicKey
from zk_autograd.run import asking
from zk_autograd.run.events import AnchorFailed, Event
from zk_autograd.run.registering import Registration


class Asked(FileAnchor):
    """Fails where it is asked, and takes what it is given."""

    def __init__(self, path: Path, fault: Callable[[], object]) -> None:
        super().__init__(path)
        self._fault = fault
        self.known: list[PublicKey] = []

    def know(self, keys: Sequence[PublicKey]) -> None:
        self.known = list(keys)

    def require_continued(self, checkpoint: SignedCheckpoint, history: History) -> None:
        self._fault()


class Unasked:
    """Publishes, and can't be asked."""

    kind = "file"

    def __init__(self, path: Path) -> None:
        self._file = FileAnchor(path)
        self.spec = self._file.spec

    def publish(self, checkpoint: SignedCheckpoint, history: History) -> Sequence[Receipt]:
        return self._file.publish(checkpoint, history)


def outside(tmp_path: Path) -> Registration:
    return begun(tmp_path / "register", anchors=(FileAnchor(tmp_path / "elsewhere"),))


def brought_back(registration: Registration, tmp_path: Path) -> None:
    shutil.rmtree(registration.folder)
    shutil.copytree(tmp_path / "copy", registration.folder, copy_function=shutil.copy2)
    registration.folder.chmod(0o700)


@pytest.mark.parametrize("when", ["new", "empty", "resumed"])
def test_a_register_that_is_older_than_an_anchor_elsewhere_signs_nothing(tmp_path: Path, when: str) -> None:
    registration = outside(tmp_path)
    resumed = create(tmp_path / "run", registration, 9)
    if when == "empty":
        resumed.abandon()
        registration = begun(tmp_path / "b", anchors=(FileAnchor(tmp_path / "empty"),))
    else:
        train(resumed, 1)
        resumed.abandon()
    shutil.copytree(registration.folder, tmp_path / "copy")
    complete(create(tmp_path / "lost", registration, 2), 1)
    brought_back(registration, tmp_path)
    before = entries(registration.folder)
    with pytest.raises(
        RunError, match=r"entries, ours has \d+. Nothing is signed: the register in .*going on would fork it"
    ):
        (resume(tmp_path / "run", registration) if when == "resumed" else create(tmp_path / "c", registration, 3))
    assert entries(registration.folder) == before
    assert not (tmp_path / "c").exists()


def test_a_second_branch_is_not_gone_on_with(tmp_path: Path) -> None:
    """It was signed where the anchor couldn't be asked; the evidence is kept."""
    registration = outside(tmp_path)
    shutil.copytree(registration.folder, tmp_path / "copy")
    complete(create(tmp_path / "a", registration, 1), 1)
    brought_back(registration, tmp_path)
    complete(create(tmp_path / "b", replace(registration, anchors=()), 2), 2)
    before = entries(registration.folder)
    with pytest.raises(RunError, match=r"another branch .* Its checkpoint is kept in .*Nothing is signed"):
        create(tmp_path / "c", registration, 3)
    assert entries(registration.folder) == before
    assert len([*registration.folder.glob("forked-*.note")]) == 1


def test_who_gives_the_beacon_is_asked_too(tmp_path: Path) -> None:
    registration = begun(tmp_path / "register")
    source = HashBeacon(tmp_path / "anchored")
    vars(source)["require_continued"] = FileAnchor(tmp_path / "anchored").require_continued
    shutil.copytree(registration.folder, tmp_path / "copy")
    begin(tmp_path / "a", registration, source).abandon()
    brought_back(registration, tmp_path)
    with pytest.raises(RunError, match="Nothing is signed"):
        begin(tmp_path / "b", registration, source)
    assert entries(registration.folder) == []


@pytest.mark.parametrize(
    "error", [AnchorDown("the store can't be reached"), AnchorError("it is refused"), ZeroDivisionError("division")]
)
def test_one_that_can_t_tell_holds_up_no_run(tmp_path: Path, error: Exception) -> None:
    anchor = Asked(tmp_path / "a", raising(error))
    events: list[Event] = []
    registration = begun(tmp_path / "register", anchors=(anchor, Unasked(tmp_path / "b")))
    complete(create(tmp_path / "run", registration, on_event=events.append))
    look(tmp_path / "run", registration.folder)
    (told,) = [event for event in events if isinstance(event, AnchorFailed)]
    assert str(error) in told.reason
    assert not told.final
    assert [key.raw for key in anchor.known] == [SIGNER.public_key.raw]
    assert {key.name for key in anchor.known} == {ORIGIN}


def test_one_that_says_nothing_is_waited_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "ASK_SECONDS", 0.3)
    released = threading.Event()
    anchors = [Asked(tmp_path / name, lambda: released.wait(20)) for name in "abc"]
    events: list[Event] = []
    began = monotonic()
    writer = create(tmp_path / "run", begun(tmp_path / "register", anchors=tuple(anchors)), on_event=events.append)
    assert 0.3 <= monotonic() - began < 5  # all three at once
    assert len([event for event in events if isinstance(event, AnchorFailed)]) == 3
    released.set()
    complete(writer)
