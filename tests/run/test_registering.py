"""A run in its trainer's register: when it is entered, what a crash leaves, and what contradicts
the register."""

import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from tests.run.registered import STEPS, begun, complete, create, entries, look, receipts, resume, views
from tests.run.trainer import SIGNER, FailingFiles, FaultyProver, TracedFiles, audit, first_weights, make_header, train
from zk_autograd.core.errors import RunError, StorageError, UsageError
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.core.progress import silent
from zk_autograd.core.register import Entry, Kind, origin_of
from zk_autograd.register.database import DATABASE
from zk_autograd.register.register import Register
from zk_autograd.run import anchoring, registering
from zk_autograd.run.anchoring import FILE
from zk_autograd.run.files import Files
from zk_autograd.run.packing import pack
from zk_autograd.run.registering import Registration
from zk_autograd.run.writer import RunWriter

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("every", "sizes"), [(1, [1, 2, 3, 4, 5]), (2, [1, 3, 5]), (3, [1, 4, 5]), (64, [1, 5])])
def test_a_run_is_entered_with_its_header_every_k_records_and_its_close(
    tmp_path: Path, every: int, sizes: list[int]
) -> None:
    registration = begun(tmp_path / "register", every=every)
    complete(create(tmp_path / "run", registration))
    own = look(tmp_path / "run", registration.folder)
    assert [entry.size for entry in own] == sizes
    assert own == entries(registration.folder)


@pytest.mark.slow
@pytest.mark.parametrize("most", ["MAX_VIEW_LINES", "MAX_RECEIPT_LINES"])
def test_a_run_of_any_length_ends_with_its_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: str) -> None:
    """Readers take so many lines and no more: entries become rarer before that."""
    monkeypatch.setattr(registering if most == "MAX_VIEW_LINES" else anchoring, most, 16)
    for module in (registering, anchoring):
        monkeypatch.setattr(module, "NEARLY_FULL", 0.9)
    registration = begun(tmp_path / "register")
    complete(create(tmp_path / "run", registration), 100)
    sizes = [entry.size for entry in look(tmp_path / "run", registration.folder)]
    gaps = [later - size for size, later in pairwise(sizes)]
    assert len(sizes) <= 16
    assert gaps[:2] == [1, 1]
    assert {2, 4, 8} <= set(gaps)
    assert sizes[-1] == 53
    refused(tmp_path / "run", registration, "is complete: it has a close record")


def test_the_header_is_entered_and_filed_before_there_is_a_genesis(tmp_path: Path) -> None:
    run, registration = tmp_path / "run", begun(tmp_path / "register")
    files = TracedFiles(run)
    create(run, registration, files=files).abandon()
    order = [
        "append log/records.jsonl #0",
        "write log/checkpoint #0",
        "append register/views.jsonl #0",
        "append anchors/receipts.jsonl #0",
        "append log/records.jsonl #1",
    ]
    assert [write for write in files.done if write in order] == order
    assert receipts(run)[0].size == 1


def test_a_run_that_nobody_registers_says_so_and_has_neither_file(tmp_path: Path) -> None:
    run = tmp_path / "run"
    backend = FaultyProver()
    complete(RunWriter.create(run, make_header(backend), backend, [SIGNER], first_weights()))
    assert audit(run, backend).header.register == ""
    assert not (run / "register").exists()
    assert not (run / "anchors").exists()


def test_header_and_registration_must_agree(tmp_path: Path) -> None:
    registration = begun(tmp_path / "register")
    with pytest.raises(UsageError, match=r"is in its trainer's register, .*, and can't go on without it"):
        create(tmp_path / "run", None)
    backend = FaultyProver()
    with pytest.raises(UsageError, match="was begun without a register, and can't be entered afterwards"):
        RunWriter.create(
            tmp_path / "run", make_header(backend), backend, [SIGNER], first_weights(), registration=registration
        )
    assert not (tmp_path / "run").exists()
    assert entries(registration.folder) == []


def test_a_missing_register_or_another_keys_stops_the_run_before_it_is_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no register in .*begin it with `zk-register begin`"):
        create(tmp_path / "run", Registration(tmp_path / "none"))
    Register.begin(tmp_path / "other", [Ed25519Signer("other", bytes(32))]).close()
    with pytest.raises(UsageError, match="is another key's"):
        create(tmp_path / "run", Registration(tmp_path / "other"))
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "none").exists()


def test_two_runs_at_once_share_a_register(tmp_path: Path) -> None:
    registration = begun(tmp_path / "register")
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            complete(create(tmp_path / str(number), registration, number))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    found = entries(registration.folder)
    assert len(found) == len(set(found)) == 4 * 5
    for number in range(4):
        views(tmp_path / str(number))
        assert [e.size for e in found if e.run == bytes([number] * 16)] == [1, 2, 3, 4, 5]


# ---- what a crash leaves -------------------------------------------------------------------------


def recovered(run: Path, registration: Registration) -> list[Entry]:
    try:
        writer = resume(run, registration)
    except RunError as error:
        assert "is complete" in str(error)
    else:
        complete(writer)
    return look(run, registration.folder)


def writes(path: Path) -> list[str]:
    files = TracedFiles(path / "run")
    complete(create(path / "run", begun(path / "register", every=2), files=files))
    return [write for write in files.done if "register/" in write or "anchors/" in write]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["lost", "kept", "torn"])
def test_whichever_write_fails_no_entry_is_lost_or_doubled(tmp_path: Path, way: str) -> None:
    names = writes(tmp_path / "undisturbed")
    assert len(names) == 2 * 3 + 2  # lines and receipts of three entries, and the two files
    for n, write in enumerate(names):
        if way == "torn" and not write.startswith("append"):
            continue
        run, registration = tmp_path / str(n) / "run", begun(tmp_path / str(n) / "register", every=2)
        files = FailingFiles(run, write, way)
        writer = None
        with pytest.raises(RunError, match=f"failed and was {way}"):
            writer = create(run, registration, files=files)
            complete(writer)
        if writer is None:  # nothing of it is left but what the register says
            assert not run.exists()
            assert [entry.kind for entry in entries(registration.folder)] in (
                [],
                [Kind.BEGIN],
            )
            complete(create(run, registration, 1))
            shutil.rmtree(run)
            continue
        writer.abandon()
        # Twice: another write fails when the run goes on.
        again = FailingFiles(run, "append register/views.jsonl #0", way)
        try:
            writer = resume(run, registration, files=again)
            with pytest.raises(RunError, match="failed and was"):
                complete(writer)
            writer.abandon()
        except RunError:
            pass
        assert [entry.size for entry in recovered(run, registration)] == [1, 3, 5], write


KILLS = [
    ("append register/views.jsonl #0", "before"),
    ("append register/views.jsonl #2", "before"),
    ("append register/views.jsonl #2", "torn"),
    ("append register/views.jsonl #2", "after"),
    ("append anchors/receipts.jsonl #2", "before"),
    ("append anchors/receipts.jsonl #2", "torn"),
    ("append anchors/receipts.jsonl #2", "after"),
    ("append register/views.jsonl #4", "before"),
    ("append anchors/receipts.jsonl #4", "before"),
    ("append anchors/receipts.jsonl #4", "after"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("write", "moment"), KILLS)
def test_a_trainer_killed_between_two_writes_goes_on_as_if_nothing_had_happened(
    tmp_path: Path, write: str, moment: str
) -> None:
    run, registration = tmp_path / "run", begun(tmp_path / "register")
    killed = subprocess.run(
        [sys.executable, "-m", "tests.run.killed", str(run), write, moment, str(registration.folder)],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}/src:{ROOT}", "PATH": ""},
        check=False,
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    if write.endswith("views.jsonl #0"):  # after its entry, before its genesis: it goes on with the same header
        assert [entry.size for entry in entries(registration.folder)] == [1]
    assert [entry.size for entry in recovered(run, registration)] == [1, 2, 3, 4, 5]


def test_a_run_killed_at_its_close_is_completed(tmp_path: Path) -> None:
    run, registration = tmp_path / "run", begun(tmp_path / "register")
    files = FailingFiles(run, "append register/views.jsonl #4", "lost")
    writer = create(run, registration, files=files)
    with pytest.raises(RunError, match="failed and was lost"):
        complete(writer)
    writer.abandon()
    with pytest.raises(
        RunError, match="is complete; what should follow its last record was missing, and has been added"
    ):
        resume(run, registration)
    look(run, registration.folder)
    with pytest.raises(RunError, match="is complete: it has a close record"):
        resume(run, registration)


@pytest.mark.parametrize("name", ["register/views.jsonl", "anchors/receipts.jsonl"])
def test_a_line_that_is_torn_after_the_close_is_cut_off(tmp_path: Path, name: str) -> None:
    """As a kill in the middle of an anchor's last write leaves it: nothing else is to be done, and
    no reader takes half a line."""
    run, registration = tmp_path / "run", begun(tmp_path / "register")
    complete(create(run, registration))
    whole = (run / name).read_bytes()
    (run / name).write_bytes(whole + b'{"checkpoint":"zk-au')
    with pytest.raises(RunError, match=rf"a crash tore the last line of {name}; resume the run"):
        pack(run, tmp_path / "run.tar", Files(), silent)
    with pytest.raises(RunError, match="is complete: it has a close record"):
        resume(run, registration)
    assert (run / name).read_bytes() == whole
    assert pack(run, tmp_path / "run.tar", Files(), silent).finished


def test_a_lost_line_is_written_again_however_seldom_entries_are_asked_for(tmp_path: Path) -> None:
    run, registration = tmp_path / "run", begun(tmp_path / "register", every=2)
    writer = create(run, registration, files=FailingFiles(run, "append register/views.jsonl #1", "lost"))
    with pytest.raises(RunError, match="failed and was lost"):
        complete(writer)
    writer.abandon()
    complete(resume(run, replace(registration, every=64)))
    assert [entry.size for entry in look(run, registration.folder)] == [1, 3, 5]


@pytest.mark.slow
def test_a_full_disk_stops_the_run_and_it_goes_on_when_there_is_space(tmp_path: Path, small_disk: Path) -> None:
    run, registration = small_disk / "run", begun(tmp_path / "register")
    stopped = set()
    for free in range(1, 40, 6):
        writer = create(run, registration, free, files=Files())
        ballast = small_disk / "ballast"
        ballast.write_bytes(bytes(4096 * max(os.statvfs(small_disk).f_bavail - free, 0)))
        with pytest.raises(RunError, match="No space left on device; free some space"):
            complete(writer, 4)
            raise RunError("No space left on device; free some space")  # it was enough
        stopped.add(len(entries(registration.folder)))
        writer.abandon()
        ballast.unlink()
        recovered(run, registration)
        shutil.rmtree(run)
    assert len(stopped) > 3


def test_a_register_that_can_grow_no_more_stops_the_run(tmp_path: Path) -> None:
    run, registration = tmp_path / "run", begun(tmp_path / "register")
    writer = create(run, registration, files=Files())
    most = (registration.folder / DATABASE).stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most - 4096, limits[1]))
    try:
        with pytest.raises(StorageError, match="register"):
            complete(writer)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    writer.abandon()
    recovered(run, registration)


# ---- what contradicts the register ---------------------------------------------------------------


@pytest.fixture
def unfinished(tmp_path: Path) -> tuple[Path, Registration]:
    """A run abandoned after its second step, entered with three records."""
    run, registration = tmp_path / "run", begun(tmp_path / "register")
    writer = create(run, registration)
    train(writer, 2)
    writer.drain()
    writer.abandon()
    assert len(entries(registration.folder)) == 3
    return run, registration


def refused(run: Path, registration: Registration, message: str) -> None:
    """Resuming says this, and changes neither the run nor the register."""

    def files() -> dict[Path, bytes]:
        both = [*run.rglob("*"), *registration.folder.rglob("*")]
        return {path: path.read_bytes() for path in both if path.is_file() and path.name != "lock"}

    before = files()
    with pytest.raises((RunError, UsageError), match=message):
        resume(run, registration)
    assert files() == before


def test_the_fixture_itself_goes_on(unfinished: tuple[Path, Registration]) -> None:
    recovered(*unfinished)


def test_a_register_may_move(unfinished: tuple[Path, Registration], tmp_path: Path) -> None:
    run, registration = unfinished
    registration.folder.rename(tmp_path / "elsewhere")
    refused(run, registration, "there is no register in")
    recovered(run, Registration(tmp_path / "elsewhere", every=1))


def test_a_register_begun_again_is_refused(unfinished: tuple[Path, Registration]) -> None:
    """The cheat would have gained a register that shows fewer runs than there were."""
    run, registration = unfinished
    shutil.rmtree(registration.folder)
    begun(registration.folder)
    refused(run, registration, "doesn't continue the one that .*views.jsonl shows .*going on would fork it")


def test_a_register_from_an_older_copy_is_refused(unfinished: tuple[Path, Registration], tmp_path: Path) -> None:
    run, registration = unfinished
    shutil.copytree(registration.folder, tmp_path / "older")
    writer = resume(run, registration)
    train(writer, 4)
    writer.drain()
    writer.abandon()
    older = Registration(tmp_path / "older", every=1)
    refused(run, older, "doesn't continue the one that .*views.jsonl shows")
    # Nor where another run has been entered since: as long, and a branch.
    (tmp_path / "older" / FILE).unlink()
    create(tmp_path / "other", older, 7).abandon()
    refused(run, older, "doesn't continue the one that .*views.jsonl shows")


def test_a_register_older_than_its_own_file_begins_no_run(
    unfinished: tuple[Path, Registration], tmp_path: Path
) -> None:
    run, registration = unfinished
    older = registration.folder / "older"
    shutil.copy(registration.folder / DATABASE, older)
    complete(resume(run, registration))
    shutil.copy(older, registration.folder / DATABASE)
    with pytest.raises(RunError, match="older copy"):
        create(tmp_path / "next", registration, 9)
    assert not (tmp_path / "next").exists()


@pytest.mark.parametrize("other_steps", [2, 3, 4])
def test_a_copy_of_a_run_is_not_continued_beside_it(
    unfinished: tuple[Path, Registration], tmp_path: Path, other_steps: int
) -> None:
    """The cheat would have gained two trainings under one entry, and shown the better one."""
    run, registration = unfinished
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    writer = resume(run, registration)
    train(writer, 2 + other_steps)
    writer.drain()
    writer.abandon()
    refused(copy, registration, "does not hold the .* records that the trainer's register has of it")
    recovered(run, registration)


@pytest.mark.parametrize("every", [1, 2])
def test_of_two_trainers_of_one_run_one_stops(
    unfinished: tuple[Path, Registration], tmp_path: Path, every: int
) -> None:
    run, registration = unfinished
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    first, second = resume(run, registration), resume(copy, replace(registration, every=every))
    train(first, 4)
    first.drain()
    with pytest.raises(RunError, match=r"branch|elsewhere"):
        train(second, 8)
        second.drain()
    second.abandon()
    assert [entry.size for entry in entries(registration.folder)] == [1, 2, 3, 4]
    first.close()
    look(run, registration.folder)


def test_lost_views_are_not_made_up(unfinished: tuple[Path, Registration]) -> None:
    run, registration = unfinished
    (run / "register/views.jsonl").unlink()
    refused(run, registration, r"views\.jsonl lacks lines that were written: restore it from a copy")


def test_altered_views_are_refused(unfinished: tuple[Path, Registration]) -> None:
    run, registration = unfinished
    path = run / "register/views.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"since":2', b'"since": 2'))
    refused(run, registration, r"the last line of .*views\.jsonl was altered")


def test_older_views_are_refused(unfinished: tuple[Path, Registration]) -> None:
    """Not completed in silence: the entry between is in the register, and its line would be
    missing."""
    run, registration = unfinished
    path = run / "register/views.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:1]))
    recovered_entries = {entry.size for entry in entries(registration.folder)}
    assert recovered_entries == {1, 2, 3}
    refused(run, registration, r"views\.jsonl lacks")


def test_another_keys_register_is_refused(unfinished: tuple[Path, Registration], tmp_path: Path) -> None:
    run, _ = unfinished
    other = Ed25519Signer("other", bytes(32))
    assert origin_of([other.public_key]) != origin_of([SIGNER.public_key])
    Register.begin(tmp_path / "other", [other]).close()
    refused(run, Registration(tmp_path / "other"), "is another key's")


# ---- processes -----------------------------------------------------------------------------------


def _in_child(action: Callable[[], object], found: "multiprocessing.Queue[str]") -> None:
    try:
        action()
        found.put("done")
    except RunError as error:
        found.put(str(error))


def test_a_forked_child_leaves_register_and_anchors_alone(tmp_path: Path) -> None:
    run, registration = tmp_path / "run", begun(tmp_path / "register")
    writer = create(run, registration)
    train(writer, 2)
    writer.drain()
    context = multiprocessing.get_context("fork")
    found: multiprocessing.Queue[str] = context.Queue()
    for action in (writer.close, writer.drain, writer.abandon, lambda: train(writer, 4)):
        child = context.Process(target=_in_child, args=(action, found))
        child.start()
        assert "a forked child can't write to it" in found.get(timeout=20)
        child.join()
    complete(writer)
    look(run, registration.folder)


def test_a_run_without_its_last_step_is_seen_in_the_register(tmp_path: Path) -> None:
    """A run that was begun and never shown is seen by whoever is given the register."""
    registration = begun(tmp_path / "register")
    create(tmp_path / "bad", registration, 1).abandon()
    shutil.rmtree(tmp_path / "bad")
    complete(create(tmp_path / "good", registration, 2), STEPS)
    assert {entry.run for entry in entries(registration.folder)} == {bytes([1] * 16), bytes([2] * 16)}
    assert views(tmp_path / "good")[0].index == 2


def restored(folder: Path, data: bytes) -> list[Entry]:
    """The register's file is an older copy; its entries."""
    (folder / DATABASE).write_bytes(data)
    return entries(folder)


def test_an_older_copy_signs_nothing_for_a_new_run(tmp_path: Path) -> None:
    """The new run was shown nothing of the register, so its own file alone can tell: it is asked
    before anything is signed, and a fork would be for ever."""
    registration = begun(tmp_path / "register")
    complete(create(tmp_path / "a", registration, 1))
    old = (registration.folder / DATABASE).read_bytes()
    complete(create(tmp_path / "b", registration, 2))
    before = restored(registration.folder, old)
    with pytest.raises(
        RunError, match=r"10 entries, ours has 5: the register beside it was brought back from an older"
    ):
        create(tmp_path / "c", registration, 3)
    assert not (tmp_path / "c").exists()
    with pytest.raises(RunError, match="brought back from an older copy"):
        registration.require([SIGNER])
    assert entries(registration.folder) == before


def test_an_older_copy_that_has_grown_past_its_file_signs_nothing(tmp_path: Path) -> None:
    registration = begun(tmp_path / "register")
    empty = (registration.folder / DATABASE).read_bytes()
    complete(create(tmp_path / "a", registration, 1), 1)
    filed = (registration.folder / FILE).read_bytes()
    restored(registration.folder, empty)
    (registration.folder / FILE).unlink()
    complete(create(tmp_path / "b", registration, 2), 1)
    (registration.folder / FILE).write_bytes(filed)
    before = entries(registration.folder)
    with pytest.raises(RunError, match=r"another branch of this register.* going on would fork it"):
        create(tmp_path / "c", registration, 3)
    assert entries(registration.folder) == before


def test_a_copy_brought_back_in_the_middle_of_a_run_signs_nothing(tmp_path: Path) -> None:
    registration = begun(tmp_path / "register")
    writer = create(tmp_path / "run", registration)
    train(writer, 1)
    writer.drain()
    old = (registration.folder / DATABASE).read_bytes()
    complete(create(tmp_path / "other", registration, 1), 1)
    before = restored(registration.folder, old)
    with pytest.raises(RunError, match="going on would fork it"):
        complete(writer)
    writer.abandon()
    assert entries(registration.folder) == before


def test_a_register_whose_file_was_altered_signs_nothing(tmp_path: Path) -> None:
    registration = begun(tmp_path / "register")
    complete(create(tmp_path / "a", registration, 1), 1)
    with (registration.folder / FILE).open("ab") as file:
        file.write(b"{}\n")
    before = entries(registration.folder)
    with pytest.raises(RunError, match=r"line \d of .* was altered"):
        create(tmp_path / "b", registration, 2)
    assert entries(registration.folder) == before
