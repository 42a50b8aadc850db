"""What leaves: by the rows of public files and nothing else, in an order that holds while the
training goes on."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import cast

import pytest

from zk_autograd.core.errors import RunError
from zk_autograd.enclave.outbox import Outbox
from zk_autograd.enclave.relay.client import Outlet
from zk_autograd.enclave.relay.leaving import leaving
from zk_autograd.run.events import Entered, RecordWritten, StepLogged

RECORDS, CHECKPOINT = "log/records.jsonl", "log/checkpoint"


class Kept:
    """An outlet that keeps what it is given; `meanwhile` happens before each."""

    def __init__(self, meanwhile: Callable[[str], None] = lambda path: None) -> None:
        self.sent: list[tuple[str, str, int, bytes]] = []
        self._meanwhile = meanwhile

    def put(self, way: str, path: str, at: int, size: int, pieces: Iterable[bytes]) -> None:
        self._meanwhile(path)
        data = b"".join(pieces)
        assert len(data) == size
        self.sent.append((way, path, at, data))

    @property
    def paths(self) -> list[str]:
        return [path for _, path, _, _ in self.sent]


def outbox(folder: Path, kept: Kept) -> Outbox:
    return Outbox(folder / "run", folder / "sealed", cast(Outlet, kept))


def write(folder: Path, path: str, data: bytes) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(data)


def append(folder: Path, path: str, data: bytes) -> None:
    with (folder / path).open("ab") as file:
        file.write(data)


def line(kind: str, number: int) -> bytes:
    return f'{{"number":{number},"type":"{kind}"}}\n'.encode()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """One of a header, a genesis and a segment, with everything that an enclave has beside it."""
    write(tmp_path, f"run/{RECORDS}", line("header", 0) + line("genesis", 1) + line("segment", 2))
    write(tmp_path, f"run/{CHECKPOINT}", b"three")
    write(tmp_path, "run/attestation/document.json", b"document")
    write(tmp_path, "run/register/views.jsonl", b"view\n")
    write(tmp_path, "run/anchors/receipts.jsonl", b"receipt\n")
    write(tmp_path, "run/environment.json", b"{}")
    write(tmp_path, "run/train_log.jsonl", b"{}\n")
    for segment in (0, 1):
        write(tmp_path, f"run/proofs/{segment}-0", b"proof %d" % segment)
    write(tmp_path, "sealed/checkpoint-2.enc", b"sealed")
    write(tmp_path, "sealed/checkpoint-2.key.json", b"key file")
    for private in (
        "run/private/head", "run/private/segments/0/journal", "run/private/train.json", "run/log/.records.jsonl.tmp", "run/model/.hidden",
        "run/register/register.sqlite", "run/proofs/0-0.tmp", "run/notes.txt", "register/register.sqlite", "sealed/.checkpoint-4.enc.tmp",
        "sealed/other", "log.key",
    ):  # fmt: skip
        write(tmp_path, private, b"PRIVATE")
    return tmp_path


def test_files_leave_in_the_order_that_each_rests_on_the_one_before(run: Path) -> None:
    kept = Kept()
    outbox(run, kept).flush()
    assert kept.paths == [
        "attestation/document.json", "proofs/0-0", RECORDS, CHECKPOINT, "register/views.jsonl", "anchors/receipts.jsonl",
        "sealed/checkpoint-2.enc", "sealed/checkpoint-2.key.json",
    ]  # fmt: skip
    assert not any(b"PRIVATE" in data for _, _, _, data in kept.sent)


def test_nothing_is_sent_twice_and_what_is_new_is(run: Path) -> None:
    kept = Kept()
    box = outbox(run, kept)
    box.flush()
    kept.sent.clear()
    box.flush()
    assert kept.sent == []
    new = line("segment", 3)
    append(run, f"run/{RECORDS}", new)
    write(run, f"run/{CHECKPOINT}", b"four")
    box.flush()
    at = len(line("header", 0) + line("genesis", 1) + line("segment", 2))
    assert kept.sent == [
        ("once", "proofs/1-0", 0, b"proof 1"),
        ("append", RECORDS, at, new),
        ("replace", CHECKPOINT, 0, b"four"),
    ]


def test_what_the_close_record_names_leaves_before_it(run: Path) -> None:
    kept = Kept()
    append(run, f"run/{RECORDS}", line("close", 3))
    write(run, "run/model/weights.f32.safetensors", b"published")
    outbox(run, kept).flush()
    place = kept.paths.index
    assert place("model/weights.f32.safetensors") < place(RECORDS)
    assert place("environment.json") < place(RECORDS)
    assert place("train_log.jsonl") < place(RECORDS)
    assert "model/.hidden" not in kept.paths


def test_a_training_that_goes_on_meanwhile_sends_no_checkpoint_ahead_of_its_records(run: Path) -> None:
    """A host could otherwise be left with a checkpoint over records that it lacks."""

    def meanwhile(path: str) -> None:
        if path == "attestation/document.json":  # the first to be sent: all has been looked at
            append(run, f"run/{RECORDS}", line("segment", 3))
            write(run, f"run/{CHECKPOINT}", b"four")
            append(run, "run/register/views.jsonl", b"view of four\n")
            append(run, "run/anchors/receipts.jsonl", b"receipt of four\n")

    kept = Kept(meanwhile)
    box = outbox(run, kept)
    box.flush()
    found = {path: data for _, path, _, data in kept.sent}
    assert found[CHECKPOINT] == b"three"
    assert found["register/views.jsonl"] == b"view\n"
    assert found["anchors/receipts.jsonl"] == b"receipt\n"
    box.flush()
    assert kept.sent[-1] == ("append", "anchors/receipts.jsonl", 8, b"receipt of four\n")


def test_files_are_looked_at_in_the_opposite_order(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What grows between two looks must not make the later file lag behind the earlier one."""
    from zk_autograd.evidence.folder import RunFolder

    looked: list[str] = []
    opened = RunFolder.opened

    def recorded(self: RunFolder, path: str, limit: int):  # type: ignore[no-untyped-def]
        looked.append(path)
        return opened(self, path, limit)

    monkeypatch.setattr(RunFolder, "opened", recorded)
    outbox(run, Kept()).flush()
    assert looked[:4] == ["anchors/receipts.jsonl", "register/views.jsonl", CHECKPOINT, RECORDS]


def test_half_a_line_stays_until_it_is_whole(run: Path) -> None:
    kept = Kept()
    append(run, f"run/{RECORDS}", b'{"number":3')
    outbox(run, kept).flush()
    [data] = [data for _, path, _, data in kept.sent if path == RECORDS]
    assert data.endswith(line("segment", 2))


def test_links_are_not_followed(run: Path) -> None:
    (run / "run/proofs/0-0").unlink()
    (run / "run/proofs/0-0").symlink_to(run / "run/private/head")
    kept = Kept()
    with pytest.raises(RunError):
        (run / f"run/{CHECKPOINT}").unlink()
        (run / f"run/{CHECKPOINT}").symlink_to(run / "run/private/head")
        outbox(run, kept).flush()
    assert not any(b"PRIVATE" in data for _, _, _, data in kept.sent)


def test_it_is_sent_after_each_checkpoint_and_entry(run: Path) -> None:
    for event, sends in ((StepLogged(1), False), (RecordWritten(0, 5, 3), True), (Entered(0, 1), True)):
        kept = Kept()
        outbox(run, kept).listener(event)
        assert bool(kept.sent) is sends


def test_before_there_is_a_run_nothing_is_sent(tmp_path: Path) -> None:
    kept = Kept()
    outbox(tmp_path, kept).flush()
    assert kept.sent == []
    assert leaving("private/head") is None
