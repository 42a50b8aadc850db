"""Measurements, held against those of AWS's reader; and what they do not cover."""

from hashlib import sha384

import pytest

from tests.tee.eif.golden import golden, opened, packed, parts, registers
from zk_autograd.tee.eif import Kind, measure

NAMES = ("unsigned", "signed", "one")


@pytest.mark.parametrize("name", NAMES)
def test_measurements_are_those_of_aws_s_reader(name: str) -> None:
    assert measure(opened(golden(name))).registers() == registers(name)


def test_with_one_ramdisk_pcr2_is_that_of_nothing_and_pcr1_is_pcr0() -> None:
    found = measure(opened(golden("one")))
    assert found.pcr1 == found.pcr0
    assert found.pcr2 == sha384(bytes(48) + sha384(b"").digest()).digest()


def test_further_ramdisks_are_measured_in_the_file_s_order() -> None:
    disks = [b"one", b"two", b"three"]
    found = measure(
        opened(packed([(Kind.KERNEL, b"k"), (Kind.CMDLINE, b"c"), *((Kind.RAMDISK, one) for one in disks)]))
    )
    contents = (b"kconetwothree", b"kcone", b"twothree")
    for register, content in zip((found.pcr0, found.pcr1, found.pcr2), contents, strict=True):
        assert register == sha384(bytes(48) + sha384(content).digest()).digest()


def test_metadata_is_not_measured() -> None:
    """So nothing may be believed because an image's metadata says it."""
    other = [(kind, b"{}" if kind is Kind.METADATA else content) for kind, content in parts("unsigned")]
    assert packed(other) != golden("unsigned")
    assert measure(opened(packed(other))).registers() == registers("unsigned")
    without = [(kind, content) for kind, content in other if kind is not Kind.METADATA]
    assert measure(opened(packed(without))).registers() == registers("unsigned")


def test_the_order_of_sections_is_not_measured_but_that_of_ramdisks_is() -> None:
    kernel, cmdline, metadata, first, second = parts("unsigned")
    for order in ([metadata, first, second, cmdline, kernel], [cmdline, first, kernel, second, metadata]):
        image = opened(packed(order))
        assert measure(image).registers() == registers("unsigned")
        assert not image.in_order
    exchanged = measure(opened(packed([kernel, cmdline, metadata, second, first])))
    assert set(exchanged.registers().values()).isdisjoint(registers("unsigned").values())


@pytest.mark.parametrize("index", [0, 1, 3, 4])
def test_each_byte_of_kernel_command_line_and_ramdisks_is_measured(index: int) -> None:
    found = parts("unsigned")
    kind, content = found[index]
    found[index] = (kind, content[:-1] + bytes([content[-1] ^ 1]))
    changed = measure(opened(packed(found))).registers()
    same = {name for name, value in registers("unsigned").items() if changed[name] == value}
    assert same == ({"pcr2"} if index < 4 else {"pcr1"})


def test_where_the_kernel_ends_and_its_command_line_begins_is_not_measured() -> None:
    """It is AWS's definition. The host gains an enclave of the same measurement whose kernel never
    sees the line's first options; so the image that is built here needs none of them."""
    (_, kernel), (_, line), *others = parts("unsigned")
    moved = [(Kind.KERNEL, kernel + line[:14]), (Kind.CMDLINE, line[14:]), *others]
    image = opened(packed(moved))
    assert image.cmdline == "panic=30 i8042.noaux"
    assert measure(image).registers() == registers("unsigned")


def test_where_one_ramdisk_ends_and_the_next_begins_is_measured() -> None:
    kernel, cmdline, (_, first), (_, second) = (part for part in parts("unsigned") if part[0] is not Kind.METADATA)
    moved = [kernel, cmdline, (Kind.RAMDISK, first + second[:9]), (Kind.RAMDISK, second[9:])]
    found = measure(opened(packed(moved))).registers()
    assert [name for name, value in registers("unsigned").items() if found[name] == value] == ["pcr0"]
