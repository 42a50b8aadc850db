"""Reading images: what is not one is refused, and everything in one belongs to a section."""

import errno
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tee.eif.golden import LINE, golden, opened, packed, parts, patched, sealed
from zk_autograd.core.errors import UnreadableError, VerificationError
from zk_autograd.tee.eif import Kind, measure, read_image
from zk_autograd.tee.eif import image as image_module

OFFSETS, SIZES, SECTION = 28, 28 + 256, 548
"""Where the table's offsets and sizes begin, and the first section's header."""


def test_an_image_of_aws_s_crate_is_read() -> None:
    image = opened(golden("signed"))
    kinds = [section.kind for section in image.sections]
    assert kinds == [Kind.KERNEL, Kind.CMDLINE, Kind.METADATA, Kind.RAMDISK, Kind.RAMDISK, Kind.SIGNATURE]
    assert [section.size for section in image.sections[:5]] == [1000, len(LINE), 271, 700, 333]
    assert (image.cmdline, image.arm64, image.memory, image.cpus) == (LINE, False, 2**30, 2)
    assert image.in_order


def test_every_bit_of_an_image_is_covered_by_its_crc_or_by_its_form() -> None:
    data = golden("one")
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        with pytest.raises(VerificationError):
            opened(bytes(changed))


@pytest.mark.parametrize("kept", [0, 1, 547, 548, 560, -1])
def test_a_part_of_an_image_is_none(kept: int) -> None:
    data = golden("one")[:kept]
    with pytest.raises(VerificationError):
        opened(sealed(data) if len(data) > 548 else data)


def test_a_file_that_is_too_short_or_too_long_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(VerificationError, match="no length that an EIF has"):
        opened(golden("one")[:547])
    monkeypatch.setattr(image_module, "MAX_IMAGE", 2600)
    with pytest.raises(VerificationError, match="expected 548 to 2600 bytes, found 2601"):
        opened(golden("one"))


def test_what_follows_the_last_section_is_refused() -> None:
    with pytest.raises(VerificationError, match="5 bytes of the image belong to no section"):
        opened(sealed(golden("one") + b"tail!"))


@pytest.mark.parametrize("size", [2**64 - 1, 2**64 - 560, 2**63, 2**32, 2054])
def test_sizes_that_overflow_or_leave_the_file_are_refused(size: int) -> None:
    both = patched(patched(golden("one"), SIZES, size, 8), SECTION + 4, size, 8)
    with pytest.raises(VerificationError, match="section 1 of the image ends beyond the file"):
        opened(both)


@pytest.mark.parametrize("offset", [0, 547, 549, 2**64 - 1, 2**63])
def test_sections_that_overlap_or_leave_a_gap_are_refused(offset: int) -> None:
    with pytest.raises(VerificationError, match=r"section 1 of the image (overlaps|doesn't follow)"):
        opened(patched(golden("one"), OFFSETS, offset, 8))


def test_two_sections_of_the_same_bytes_are_refused() -> None:
    """A reader by the table would take the harmless ramdisk twice, one by the file both."""
    data = golden("unsigned")
    first = int.from_bytes(data[OFFSETS + 24 : OFFSETS + 32], "big")
    with pytest.raises(VerificationError, match="section 5 of the image overlaps what is before it"):
        opened(patched(data, OFFSETS + 32, first, 8))


def test_a_table_in_another_order_than_the_file_is_refused() -> None:
    """Which ramdisk is the first, and so in PCR1, would depend on who reads."""
    data = golden("unsigned")
    offsets = [int.from_bytes(data[OFFSETS + 8 * i : OFFSETS + 8 * i + 8], "big") for i in (3, 4)]
    sizes = [int.from_bytes(data[SIZES + 8 * i : SIZES + 8 * i + 8], "big") for i in (3, 4)]
    for place, values in ((OFFSETS, offsets), (SIZES, sizes)):
        data = patched(patched(data, place + 24, values[1], 8), place + 32, values[0], 8)
    with pytest.raises(VerificationError, match="section 4 of the image doesn't follow"):
        opened(data)


def test_a_section_s_two_sizes_are_the_same() -> None:
    with pytest.raises(VerificationError, match="section 1 of the image has two sizes"):
        opened(patched(golden("one"), SECTION + 4, 999, 8))


@pytest.mark.parametrize(
    ("place", "value", "size", "said"),
    [
        (0, 0x2E656967, 4, "no enclave image"),
        (4, 3, 2, "another version"),
        (4, 5, 2, "another version"),
        (6, 2, 2, "flags that nothing defines"),
        (24, 1, 2, "where nothing belongs"),
        (26, 33, 2, "too many sections"),
        (26, 3, 2, "where nothing belongs"),
        (26, 5, 2, "overlaps"),
        (OFFSETS + 8 * 31, 1, 8, "where nothing belongs"),
        (SIZES + 8 * 31, 1, 8, "where nothing belongs"),
        (SIZES + 256, 1, 4, "where nothing belongs"),
        (SECTION, 0, 2, "no kind that EIF has"),
        (SECTION, 6, 2, "no kind that EIF has"),
        (SECTION + 2, 1, 2, "none are defined"),
    ],
)
def test_each_field_of_the_headers_is_checked(place: int, value: int, size: int, said: str) -> None:
    with pytest.raises(VerificationError, match=said):
        opened(patched(golden("one"), place, value, size))


def test_the_crc_is_checked() -> None:
    with pytest.raises(VerificationError, match="CRC is another"):
        opened(golden("one")[:-1] + b"\0")


KERNEL, CMDLINE, DISK = (Kind.KERNEL, b"k"), (Kind.CMDLINE, b"c"), (Kind.RAMDISK, b"r")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([KERNEL, KERNEL, CMDLINE, DISK], "one kernel"),
        ([CMDLINE, DISK], "one kernel"),
        ([KERNEL, CMDLINE, CMDLINE, DISK], "one command line"),
        ([KERNEL, DISK], "one command line"),
        ([KERNEL, CMDLINE], "at least one ramdisk"),
        ([KERNEL, CMDLINE, DISK, (Kind.METADATA, b"{}"), (Kind.METADATA, b"{}")], "at most one metadata"),
        ([KERNEL, CMDLINE, DISK, (Kind.SIGNATURE, b"x"), (Kind.SIGNATURE, b"x")], "at most one signature"),
        ([(Kind.KERNEL, b""), CMDLINE, DISK], "kernel is empty"),
        ([KERNEL, CMDLINE, (Kind.RAMDISK, b"")], "ramdisk is empty"),
        ([KERNEL, (Kind.CMDLINE, b"a\0b"), DISK], "NUL"),
        ([KERNEL, (Kind.CMDLINE, b"c" * 4097), DISK], "command line is too long"),
        ([KERNEL, CMDLINE, DISK, (Kind.METADATA, b" " * (2**20 + 1))], "metadata section is too long"),
        ([KERNEL, CMDLINE, DISK, (Kind.SIGNATURE, b" " * (2**18 + 1))], "signature is too long"),
        ([], "one kernel"),
    ],
)
def test_the_sections_are_those_of_an_image(found: list[tuple[Kind, bytes]], said: str) -> None:
    with pytest.raises(VerificationError, match=said):
        opened(packed(found))


def test_a_command_line_that_is_no_text_is_shown_escaped() -> None:
    assert opened(packed([KERNEL, (Kind.CMDLINE, b"a\xffb"), DISK])).cmdline == "a\\xffb"


@given(st.data())
def test_whatever_the_bytes_are_they_are_an_image_or_refused(data: st.DataObject) -> None:
    whole = bytearray(golden(data.draw(st.sampled_from(["one", "signed"]))))
    header = st.integers(0, 600) | st.integers(0, len(whole) - 1)
    for place, value in data.draw(st.lists(st.tuples(header, st.integers(0, 255)), max_size=8)):
        whole[place] = value
    cut = data.draw(st.none() | st.integers(548, len(whole)))
    changed = sealed(bytes(whole[:cut]))
    try:
        image = opened(changed)
        found = measure(image)
    except VerificationError:
        return
    assert packed([(s.kind, b"".join(image.chunks(s))) for s in image.sections])[26:544] == changed[26:544]
    assert len(found.pcr0) == 48


class Held(io.BytesIO):
    """A file that tells the largest piece that was asked of it."""

    most = 0

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None and size >= 0
        self.most = max(self.most, size)
        return super().read(size)


def test_an_image_is_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_module, "_CHUNK", 100)
    file = Held(golden("signed"))
    pcrs = measure(read_image(file))
    assert pcrs == measure(opened(golden("signed"))) and file.most == 100


class Failing(io.BytesIO):
    """A file on a disk that fails."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > 600:
            raise OSError(errno.EIO, "Input/output error")
        return super().read(size)


def test_a_failing_disk_says_nothing_against_an_image() -> None:
    with pytest.raises(UnreadableError, match="Input/output error"):
        read_image(Failing(golden("one")))


def test_a_file_that_shrinks_is_no_image() -> None:
    file = io.BytesIO(golden("one"))
    image = read_image(file)
    file.truncate(700)
    with pytest.raises(VerificationError, match="became shorter"):
        measure(image)


def test_sections_are_told_apart_by_kind() -> None:
    assert [content for kind, content in parts("unsigned") if kind is Kind.RAMDISK] == [
        content for kind, content in parts("signed") if kind is Kind.RAMDISK
    ]
