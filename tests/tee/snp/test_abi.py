"""Reports byte by byte: where each field is, and what has no place."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tee.snp.platforms import PLACES, compose, platform, rebuilt, signature
from zk_autograd.core.errors import AttestationError
from zk_autograd.tee.snp.abi import HOST, PLATFORM_BITS, POLICY_BITS, REPORT_BYTES, Report, Tcb, product_of

GENOA = platform()


def report(**changed: Any) -> Report:
    return Report.parse(compose({**GENOA.fields, **changed}) + signature(5, 7))


def test_each_field_stands_in_its_place() -> None:
    values = {
        name: bytes([index]) * PLACES[name][1]
        for index, name in enumerate(PLACES, 1)
        if name not in ("version", "policy", "vmpl", "algorithm", "key_info", "processor")
    }
    found = report(**values, key_info=1, processor=bytes([0x1A, 0x11, 3]), vmpl=3)
    numbers = {"guest_svn", "platform_info", "launch_mitigations", "current_mitigations"}
    for name, value in values.items():
        if name.endswith("_version"):
            assert getattr(found, name) == tuple(reversed(value))
        else:
            assert getattr(found, name) == (int.from_bytes(value, "little") if name in numbers else value), name
    assert (found.processor, found.product, found.vmpl, found.r, found.s) == ((0x1A, 0x11, 3), "turin", 3, 5, 7)
    assert (found.signer, found.author_key_en, found.mask_chip_key) == ("vcek", True, False)
    assert found.current_version[0] != 0


def test_versions_read_major_first() -> None:
    assert report(current_version=bytes([29, 55, 1])).current_version == (1, 55, 29)


def test_its_length_is_exact() -> None:
    """Gain: bytes after it, which one reader takes for a part of it and another doesn't."""
    for data in (GENOA.report() + b"\0", GENOA.report()[:-1], GENOA.report() * 2, b""):
        with pytest.raises(AttestationError, match="another length"):
            Report.parse(data)


RESERVED = {
    2: [0x4C, 0x4F, 0x188, 0x18A, 0x19F, 0x1EB, 0x1EF, 0x1F8, 0x200, 0x208, 0x29F],
    3: [0x4C, 0x4F, 0x18B, 0x19F, 0x1EB, 0x1EF, 0x1F8, 0x200, 0x29F],
    4: [0x4C, 0x4F, 0x18B, 0x19F, 0x1EB, 0x1EF, 0x1F8, 0x200, 0x29F],
    5: [0x4C, 0x4F, 0x18B, 0x19F, 0x1EB, 0x1EF, 0x208, 0x29F],
}


@pytest.mark.parametrize(("version", "at"), [(version, at) for version, places in RESERVED.items() for at in places])
def test_reserved_bytes_are_zero(version: int, at: int) -> None:
    """Gain: a field that another reader sees there, and this one doesn't."""
    body = bytearray(compose({**GENOA.fields, "version": version, **({"processor": bytes(3)} if version == 2 else {})}))
    assert Report.parse(bytes(body) + signature(1, 1)).version == version
    body[at] = 1
    with pytest.raises(AttestationError, match="reserved bytes"):
        Report.parse(bytes(body) + signature(1, 1))


@pytest.mark.parametrize("at", [48, 71, 72 + 48, 72 + 71, 144, 511])
def test_the_signatures_spare_bytes_are_zero(at: int) -> None:
    made = bytearray(signature(1, 1))
    made[at] = 1
    with pytest.raises(AttestationError, match=r"none of P-384|reserved bytes"):
        Report.parse(compose(GENOA.fields) + bytes(made))


@pytest.mark.parametrize("version", [0, 1, 6, 2**24 + 5, 2**32 - 1])
def test_another_version_is_refused(version: int) -> None:
    with pytest.raises(AttestationError, match="unknown version"):
        report(version=version)


@pytest.mark.parametrize("algorithm", [0, 2, 2**31 + 1])
def test_another_algorithm_is_refused(algorithm: int) -> None:
    """Gain: a report that says it isn't signed, and bytes where the signature was."""
    with pytest.raises(AttestationError, match="unknown algorithm"):
        report(algorithm=algorithm)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (7 << 2, "nobody signed it"),
        (7 << 2 | 1, "nobody signed it"),
        (2 << 2, "unknown signer"),
        (6 << 2, "unknown signer"),
        (1 << 5, "unknown signer"),
        (1 << 31, "unknown signer"),
        (2, "this key is masked"),
        (3, "this key is masked"),
    ],
)
def test_the_signers_field_makes_sense(field: int, message: str) -> None:
    with pytest.raises(AttestationError, match=message):
        report(key_info=field)


def test_a_masked_chip_key_leaves_the_vlek() -> None:
    found = report(key_info=1 << 2 | 2)
    assert (found.signer, found.mask_chip_key) == ("vlek", True)


def test_an_authors_key_is_there_if_the_report_says_so() -> None:
    """Gain: a digest that the firmware never checked."""
    assert report(key_info=1, author_key_digest=b"\1" * 48).author_key_en
    with pytest.raises(AttestationError, match="author's key"):
        report(key_info=0, author_key_digest=b"\1" * 48)


def test_bit_17_of_the_policy_is_one() -> None:
    with pytest.raises(AttestationError, match="bit 17"):
        report(policy=0x10000)


@pytest.mark.parametrize("vmpl", [0, 3, HOST])
def test_who_asked(vmpl: int) -> None:
    assert report(vmpl=vmpl).vmpl == vmpl


@pytest.mark.parametrize("vmpl", [4, 2**31, HOST - 1])
def test_another_vmpl_is_refused(vmpl: int) -> None:
    with pytest.raises(AttestationError, match="no such VMPL"):
        report(vmpl=vmpl)


def test_each_bit_has_its_name() -> None:
    """By AMD 56860: the debug bit is 19 of the policy, ALIAS_CHECK 5 of the platform's."""
    assert (POLICY_BITS["debug"], PLATFORM_BITS["alias-check"], PLATFORM_BITS["ciphertext-hiding"]) == (19, 5, 4)
    for name, bit in POLICY_BITS.items():
        assert report(policy=1 << 17 | 1 << bit, platform_info=0).flags() == {name}
    for name, bit in PLATFORM_BITS.items():
        assert report(policy=1 << 17, platform_info=1 << bit).flags() == {name}
    for bit in (26, 40, 63):
        assert report(policy=1 << 17 | 0xFFFF | 1 << bit).unknown_bits() == (1 << bit, 0)
    for bit in (6, 8, 63):
        assert report(platform_info=1 << bit).unknown_bits() == (0, 1 << bit)


@pytest.mark.parametrize(
    ("family", "model", "product"),
    [
        (0x19, 0x00, "milan"),
        (0x19, 0x0F, "milan"),
        (0x19, 0x10, "genoa"),
        (0x19, 0x1F, "genoa"),
        (0x19, 0xA0, "genoa"),
        (0x19, 0xAF, "genoa"),
        (0x1A, 0x00, "turin"),
        (0x1A, 0x11, "turin"),
    ],
)
def test_the_product_of_a_processor(family: int, model: int, product: str) -> None:
    assert product_of(family, model, 0) == product


@pytest.mark.parametrize(
    ("family", "model"), [(0x17, 0x31), (0x19, 0x20), (0x19, 0x9F), (0x19, 0xB0), (0x1A, 0x12), (0, 0)]
)
def test_another_processor_is_refused(family: int, model: int) -> None:
    with pytest.raises(AttestationError, match="no known product line"):
        report(processor=bytes([family, model, 0]))


def test_turin_orders_the_tcb_in_its_own_way() -> None:
    raw = bytes([1, 2, 3, 4, 0, 0, 0, 8])
    assert Tcb.parse(raw, "turin").parts() == {"fmc": 1, "bootloader": 2, "tee": 3, "snp": 4, "microcode": 8}
    raw = bytes([1, 2, 0, 0, 0, 0, 7, 8])
    assert Tcb.parse(raw, "genoa").parts() == {"bootloader": 1, "tee": 2, "snp": 7, "microcode": 8}
    assert Tcb.parse(raw, "milan") == Tcb.parse(raw, "genoa")


@pytest.mark.parametrize(
    ("product", "at"), [("genoa", at) for at in (2, 3, 4, 5)] + [("turin", at) for at in (4, 5, 6)]
)
def test_a_tcbs_reserved_bytes_are_zero(product: str, at: int) -> None:
    raw = bytearray(8)
    raw[at] = 1
    with pytest.raises(AttestationError, match=f"isn't one of {product}"):
        Tcb.parse(bytes(raw), product)


@given(st.binary(max_size=REPORT_BYTES + 8) | st.binary(min_size=REPORT_BYTES, max_size=REPORT_BYTES))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        found = Report.parse(data)
    except AttestationError as error:
        assert str(error)
        return
    assert rebuilt(found) == data


@given(st.lists(st.tuples(st.integers(0, REPORT_BYTES - 1), st.integers(0, 255)), max_size=6))
def test_a_report_with_other_bytes_is_read_as_it_is_or_refused(changes: list[tuple[int, int]]) -> None:
    data = bytearray(GENOA.report())
    for at, value in changes:
        data[at] = value
    try:
        found = Report.parse(bytes(data))
    except AttestationError:
        return
    assert rebuilt(found) == data
