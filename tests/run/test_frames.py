"""What a crash leaves of a journal, and what nobody may do to it: frames that were torn are cut
off, frames of elsewhere refused."""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from tests.run.test_journal import RUN, a_start, a_step, opened, written
from tests.run.trainer import SIZE
from zk_autograd.core.errors import RunError, StorageError
from zk_autograd.run import digests, frames, journal, narrow
from zk_autograd.run.frames import MAGIC, Place
from zk_autograd.run.narrow import CHUNK

SECTOR = 512


def path_of(folder: Path, segment: int = 0) -> Path:
    return folder / str(segment) / "journal"


def offsets(folder: Path, run: bytes = RUN, segment: int = 0) -> list[int]:
    """Where the frames begin, and where the last one ends."""
    path = path_of(folder, segment)
    with open(path, "rb") as file:
        found = frames.read(file.fileno(), path, Place(run, segment), 100, 2**40)
    return [*(frame.offset for frame in found.frames), found.end.size]


def goes_on(folder: Path, steps: list[int]) -> None:
    """A resumption finds these steps, and the next one follows them."""
    again = opened(folder)
    assert again.reopen(0) == steps
    before = path_of(folder).read_bytes()
    again.mend()
    assert path_of(folder).read_bytes() == before[: offsets(folder)[-1]]
    again.write_step(0, a_step(steps[-1] + 1 if steps else 1))
    read = opened(folder)
    for number in read.steps(0):
        np.testing.assert_array_equal(read.step(0, number).gradients, a_step(number).gradients)
    assert len(read.steps(0)) == len(steps) + 1


def test_an_append_that_is_cut_at_any_byte_is_cut_off(tmp_path: Path) -> None:
    """A killed process, or a full disk: the file ends in the middle of a frame."""
    written(opened(tmp_path), 2)
    path, good = path_of(tmp_path), path_of(tmp_path).read_bytes()
    first, end = offsets(tmp_path)[-2:]
    for size in (*range(first, end, 11), end - 1):
        path.write_bytes(good[:size])
        goes_on(tmp_path, [1])
    path.write_bytes(good)
    goes_on(tmp_path, [1, 2])


def zeros(path: Path, begin: int, end: int) -> None:
    """Sectors that were never written."""
    with open(path, "r+b") as file:
        file.seek(begin)
        file.write(bytes(end - begin))


def test_sectors_of_the_last_frame_that_were_never_written_are_a_power_cuts_work(tmp_path: Path) -> None:
    written(opened(tmp_path), 3)
    path, good = path_of(tmp_path), path_of(tmp_path).read_bytes()
    last, end = offsets(tmp_path)[-2:]
    sectors = [last, *range(last - last % SECTOR + SECTOR, end, SECTOR), end]
    assert len(sectors) > 2
    for i, begin in enumerate(sectors[:-1]):
        for behind in sectors[i + 1 :]:
            path.write_bytes(good)
            zeros(path, begin, behind)
            goes_on(tmp_path, [1, 2])


def test_a_power_cut_is_seen_wherever_the_border_of_a_sector_lies_in_the_frame(tmp_path: Path) -> None:
    """Also in the middle of its mark, of the name of its digests, and of a digest."""
    borders = 0
    for shift in range(0, SECTOR, 3):
        folder = tmp_path / str(shift)
        folder.mkdir()
        made = opened(folder)
        made.begin(a_start())
        made.write_step(0, replace(a_step(1), settings=bytes([1]) * shift))
        made.write_step(0, a_step(2))
        path, (begin, end) = path_of(folder), offsets(folder)[-2:]
        border, good = begin - begin % SECTOR + SECTOR, path.read_bytes()
        if border < end:
            for lost in ((begin, border), (border, min(border + SECTOR, end))):
                path.write_bytes(good)
                zeros(path, *lost)
                assert opened(folder).reopen(0) == [1]
                borders += 1
    assert borders > 100


def test_zeros_of_one_part_make_no_power_cut_of_another_part_s_damage(tmp_path: Path) -> None:
    """A loop state that is all zeros: without it each of these flips would be cut off with its
    step, which was acknowledged."""
    made = opened(tmp_path)
    written(made, 1)
    made.write_step(0, replace(a_step(2), claims=replace(a_step(2).claims, loop_state=bytes(3 * SECTOR))))
    path, good = path_of(tmp_path), path_of(tmp_path).read_bytes()
    begin, end = offsets(tmp_path)[-2:]
    flipped = 0
    for at in range(begin, end):
        if good[at]:
            path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
            with pytest.raises(RunError, match="0/journal is missing, torn or altered"):
                opened(tmp_path).reopen(0)
            flipped += 1
    assert flipped > 100


def test_sectors_of_a_frame_that_was_durable_are_damage(tmp_path: Path) -> None:
    """With a sync for each step no power cut takes what is before the last one."""
    written(opened(tmp_path), 4)
    path, good = path_of(tmp_path), path_of(tmp_path).read_bytes()
    places = offsets(tmp_path)
    for frame in range(1, 4):
        for begin, end in ((places[frame], places[frame + 1]), (places[frame], places[-2])):
            path.write_bytes(good)
            zeros(path, begin, end)
            with pytest.raises(RunError, match="0/journal is missing, torn or altered"):
                opened(tmp_path).reopen(0)
            assert path.stat().st_size == len(good)  # nothing was cut off


@pytest.mark.parametrize("every", [1, 2, 4])
def test_of_frames_that_were_not_synced_any_may_be_missing(tmp_path: Path, every: int) -> None:
    """A power cut after step 7 of steps that are synced each time, every second and every fourth:
    it may have taken all of the steps that no sync followed, or one before a later one."""
    for lost in range(1, 8):
        folder = tmp_path / f"{every}-{lost}"
        folder.mkdir()
        made = journal.Journal(folder, opened(folder)._header, RUN, opened(folder)._files, every)
        written(made, 7)
        path, places = path_of(folder), offsets(folder)
        zeros(path, places[lost], places[lost + 1])
        if lost > 6 // every * every:  # step 7 knows which were durable before it, and nobody that it was itself
            goes_on(folder, list(range(1, lost)))
        else:
            with pytest.raises(RunError, match="0/journal is missing, torn or altered"):
                opened(folder).reopen(0)


def another_run(folder: Path) -> bytes:
    other = sha256(b"another run").digest()
    made = opened(folder, other)
    made.begin(a_start())
    made.write_step(0, a_step(1))
    places = offsets(folder, other)
    return path_of(folder).read_bytes()[places[-2] :]


def another_segment(folder: Path) -> bytes:
    written(opened(folder), 1, 5, 2)
    places = offsets(folder, segment=5)
    return path_of(folder, 5).read_bytes()[places[-2] :]


def another_branch(folder: Path) -> bytes:
    """The same step, of a copy of the run that went another way."""
    made = opened(folder)
    made.begin(a_start())
    made.write_step(0, a_step(1))
    made.write_step(0, a_step(2))
    places = offsets(folder)
    return path_of(folder).read_bytes()[places[-2] :]


@pytest.mark.parametrize("elsewhere", [another_run, another_segment, another_branch])
def test_a_frame_of_elsewhere_is_refused(tmp_path: Path, elsewhere: Callable[[Path], bytes]) -> None:
    """Gradients that were never this run's would be proved, or steps be taken that it left."""
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    written(opened(tmp_path / "here"), 1)
    frame = elsewhere(tmp_path / "there")
    with open(path_of(tmp_path / "here"), "ab") as file:
        file.write(frame)
    for reading in (opened(tmp_path / "here").reopen, opened(tmp_path / "here").told):
        with pytest.raises(RunError, match="0/journal is missing, torn or altered"):
            reading(0)


def test_frames_that_change_places_are_refused(tmp_path: Path) -> None:
    written(opened(tmp_path), 3)
    path, good = path_of(tmp_path), path_of(tmp_path).read_bytes()
    places = offsets(tmp_path)
    parts = [good[begin:end] for begin, end in zip([0, *places[1:]], [*places[1:], len(good)], strict=False)]
    head, one, two, three = parts[0], *parts[1:4]
    for order in ((two, one, three), (one, one, two), (one, three), (one, two, three, three), (one, two, two)):
        path.write_bytes(head + b"".join(order))
        with pytest.raises(RunError, match=r"0/journal is missing, torn or altered \(a frame of it was"):
            opened(tmp_path).reopen(0)


def forged(folder: Path, **lengths: int) -> None:
    """A frame after one step that is chained as the writer chains it, and says these lengths."""
    written(opened(folder), 1)
    path, place = path_of(folder), Place(RUN, 0)
    with open(path, "rb") as file:
        end = frames.read(file.fileno(), path, place, 100, 2**40).end
    prefix = frames._PREFIX.pack(
        place.origin[:16], digests.SHA256.encode(), 1, lengths.get("head", 10), lengths.get("body", 10)
    )
    with open(path, "ab") as file:
        file.write(prefix + digests.digest(digests.SHA256, end.check, prefix))
        file.truncate(2**40)


@pytest.mark.parametrize("lengths", [{"head": 2**20 + 1}, {"head": 2**64 - 1}, {"body": 2**63}, {"body": 2**64 - 1}])
def test_lengths_that_no_writer_writes_are_refused_before_anything_is_read(
    tmp_path: Path, lengths: dict[str, int]
) -> None:
    forged(tmp_path, **lengths)
    with pytest.raises(RunError, match="a frame of it is larger than any that the writer writes"):
        opened(tmp_path).reopen(0)


Change = Callable[[bytes], bytes]


def as_it_is(data: bytes) -> bytes:
    return data


def nothing(_: bytes) -> bytes:
    return b""


def width(number: int) -> Change:
    return lambda table: bytes([number]) + table[1:]


TABLES: dict[str, tuple[Change, Change]] = {
    "wider than an int32": (width(8), as_it_is),
    "narrower": (width(1), as_it_is),
    "zeros, which take no bytes": (width(0), nothing),
    "twice": (lambda table: table + table, as_it_is),
    "less than there is": (as_it_is, lambda data: data + b"\0"),
    "none": (nothing, nothing),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_table_says_no_more_than_the_header_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    """All digests of the frame are right but those that the table has."""
    table, data = TABLES[case]
    made = opened(tmp_path)
    made.begin(a_start())
    good = narrow.pack(a_step().gradients, digests.fastest())
    monkeypatch.setattr(
        journal, "pack", lambda *_: narrow.Packed(table(good.table), data(good.data), good.low, good.high)
    )
    made.write_step(0, a_step())
    readings: list[Callable[[], object]] = [
        lambda: opened(tmp_path).step(0, 1),
        lambda: opened(tmp_path).block(0, 0, 1, 1, 1),
        lambda: opened(tmp_path).reopen(0),
    ]
    for reading in readings:
        with pytest.raises(RunError, match=r"0/journal is missing, torn or altered \((a table|its part G|the digest)"):
            reading()


def test_gradients_that_are_wider_than_theirs_are_refused_and_not_cut_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 2^40 + 1 an int32 keeps the 1; all digests are right, and the lengths add up."""
    made = opened(tmp_path)
    made.begin(a_start())
    wide = narrow.pack(np.full(SIZE, 2**40 + 1), digests.fastest())
    monkeypatch.setattr(journal, "pack", lambda *_: narrow.Packed(wide.table, wide.data, 1, 1))
    made.write_step(0, a_step())
    refusal = "a table of its integers is not what the writer writes"
    with pytest.raises(RunError, match=refusal):
        opened(tmp_path).step(0, 1)
    with pytest.raises(RunError, match=refusal):
        opened(tmp_path).block(0, 0, 1, 1, 1)


def test_only_the_chunks_of_a_block_are_read_and_damage_in_them_is_noticed(tmp_path: Path) -> None:
    """A witness needs a block of a large model; all of it would not fit into memory."""
    values = np.random.default_rng(1).integers(-(2**28), 2**28, 5 * CHUNK + 7).astype(np.int32)
    packed = narrow.pack(values, digests.fastest())
    table = narrow.Table.of(packed.table, len(values), digests.fastest(), 4)
    seen: list[tuple[int, int]] = []

    def read(offset: int, size: int) -> bytes:
        seen.append((offset, size))
        return data[offset : offset + size]

    data = packed.data
    np.testing.assert_array_equal(table.read(2 * CHUNK - 1, 3, read), values[2 * CHUNK - 1 : 2 * CHUNK + 2])
    assert seen == [(4 * CHUNK, 8 * CHUNK)]
    np.testing.assert_array_equal(table.read(5 * CHUNK, 7, read), values[5 * CHUNK :])
    data = data[: 9 * CHUNK] + bytes([data[9 * CHUNK] ^ 1]) + data[9 * CHUNK + 1 :]
    table.read(CHUNK, 5, read)
    with pytest.raises(Exception, match="the digest of some of its integers doesn't match"):
        table.read(2 * CHUNK, 5, read)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_nothing_is_written_to_what_takes_the_files_place(tmp_path: Path, kind: str) -> None:
    made = opened(tmp_path)
    written(made, 1)
    path, kept = path_of(tmp_path), tmp_path / "kept"
    before = path.read_bytes()
    path.rename(kept)
    if kind == "link":
        path.symlink_to(kept)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(RunError, match=r"0/journal (was written to by somebody else|could not be appended to)"):
        made.write_step(0, a_step(2))
    with pytest.raises(RunError, match="0/journal is missing, torn or altered"):
        opened(tmp_path).reopen(0)
    assert kept.read_bytes() == before


def test_another_writer_is_noticed(tmp_path: Path) -> None:
    made = opened(tmp_path)
    written(made, 1)
    opened(tmp_path).write_step(0, a_step(2))
    with pytest.raises(RunError, match="0/journal was written to by somebody else, or exchanged, since the last step"):
        made.write_step(0, a_step(2))


def test_an_installation_without_the_compiled_module_says_so_and_reads_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    native = digests.compiled()
    monkeypatch.setattr(digests, "compiled", lambda: None)
    (tmp_path / "plain").mkdir()
    written(opened(tmp_path / "plain"), 2)
    monkeypatch.setattr(digests, "compiled", lambda: native)
    goes_on(tmp_path / "plain", [1, 2])  # a frame of each
    if native is None:
        pytest.skip("the compiled module is not built: run `make install`")
    (tmp_path / "native").mkdir()
    written(opened(tmp_path / "native"), 2)
    monkeypatch.setattr(digests, "compiled", lambda: None)
    for folder in ("plain", "native"):
        with pytest.raises(StorageError, match=r"BLAKE3 digests, which only the compiled module .* computes"):
            opened(tmp_path / folder).reopen(0)


def _slice(data: bytes, at: int, count: int) -> bytes:
    return data[at : at + count]


def test_both_forms_of_packing_are_one() -> None:
    native = digests.compiled()
    if native is None:
        pytest.skip("the compiled module is not built: run `make install`")
    rng = np.random.default_rng(3)
    for bits in (31, 63):
        for size in (0, 1, SIZE, CHUNK - 1, CHUNK, 3 * CHUNK + 5):
            drawn = rng.integers(-(2**bits), 2**bits - 1, size) >> rng.integers(0, bits + 1, size)
            drawn[:CHUNK] >>= int(rng.integers(0, bits + 1))
            values: narrow.Integers = drawn.astype(np.int32) if bits == 31 else drawn
            low, high, table, data = native.pack_integers(values)
            plain = narrow.pack(values, digests.SHA256)
            chunks = narrow.chunks_of(size)
            assert (low, high, table[:chunks], data) == (plain.low, plain.high, plain.table[:chunks], plain.data)
            found = narrow.Table.of(table, size, digests.BLAKE3, values.dtype.itemsize)
            np.testing.assert_array_equal(found.read(0, size, partial(_slice, data)), values)


def test_a_file_without_a_whole_start_has_none(tmp_path: Path) -> None:
    written(opened(tmp_path), 1)
    path_of(tmp_path).write_bytes(MAGIC)
    with pytest.raises(RunError, match="its first frame is not whole"):
        opened(tmp_path).steps(0)
