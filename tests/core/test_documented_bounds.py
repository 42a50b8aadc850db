"""Bounds as docs/formats.md and docs/verification.md give them, in numbers of their own: the last
value that is taken, and the first that isn't."""

from dataclasses import replace

import pytest

from tests.verify.run_builder import SIGNER, honest
from zk_autograd.core import records
from zk_autograd.core.constants import AdamConstants, SgdConstants
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.note import parse_unverified, sign
from zk_autograd.core.record_bytes import parse, to_bytes


def test_a_note_has_at_most_64_kib() -> None:
    note = sign("x\n", [SIGNER])
    for size, taken in ((65536, True), (65537, False)):
        longer = b"y" * (size - len(note)) + note
        if taken:
            assert len(parse_unverified(longer).text) == size - len(note) + 2
        else:
            with pytest.raises(VerificationError, match=r"too long.*65536"):
                parse_unverified(longer)


def test_a_record_has_at_most_64_mib() -> None:
    assert records.MAX_RECORD == 67108864


@pytest.mark.parametrize(("size", "taken"), [(0, True), (2**40, True), (-1, False), (2**40 + 1, False)])
def test_a_batch_may_be_unknown_and_has_at_most_2_to_the_40_rows(size: int, taken: bool) -> None:
    header = honest("none").header
    header = replace(header, data=replace(header.data, batch_size=size))
    leaf = to_bytes(header)
    if taken:
        assert parse(leaf, None) == header
    else:
        with pytest.raises(VerificationError, match="batch_size"):
            parse(leaf, None)


def test_the_decay_has_28_bits() -> None:
    top = 2**28 - 1
    assert AdamConstants(1, 1, 0, 1, top).D == SgdConstants(0, 2**15, 0, 30, top).D == top
    for make in (lambda D: AdamConstants(1, 1, 0, 1, D), lambda D: SgdConstants(0, 2**15, 0, 30, D)):
        for D in (-1, top + 1):
            with pytest.raises(VerificationError, match=r"^D\b") as caught:
                make(D)
            assert str(top) in str(caught.value)
