"""Strict reading of CBOR: one value, without tags, repeated keys or depth, in bounded memory."""

import resource
import sys
from datetime import timedelta
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("cbor2", reason="the package cbor2 is not installed: [tee]")

import cbor2

from tests.tee.nitro.documents import honest, read, real, time_of
from zk_autograd.core.errors import AttestationError, AttestationShort
from zk_autograd.tee import cbor
from zk_autograd.tee.nitro import verify

BOMBS = {
    "arrays in arrays": b"\x81" * 30_000,
    "maps in maps": b"\xa1\x00" * 15_000,
    "arrays without end": b"\x9f" * 30_000,
    "bytes without end": b"\x5f" * 30_000,
    "tags on tags": b"\xc1" * 30_000,
    "an array of 2^64 - 1": b"\x9b" + b"\xff" * 8,
    "an array of 2^40": b"\x9b" + (2**40).to_bytes(8, "big"),
    "a map of 2^40": b"\xbb" + (2**40).to_bytes(8, "big"),
    "bytes of 2^40": b"\x5b" + (2**40).to_bytes(8, "big") + b"x",
    "a text of 2^40": b"\x7b" + (2**40).to_bytes(8, "big") + b"x",
    "bytes of 2^63": b"\x5b\x80" + bytes(7) + b"x",
    "arrays of 2^40 in each other": (b"\x9b" + (2**40).to_bytes(8, "big")) * 4,
    "a decimal fraction": bytes.fromhex("c4821b7fffffffffffffff01"),
    "a big float": bytes.fromhex("c5821b7fffffffffffffff01"),
    "a big number": b"\xc2\x59\x70\x00" + b"\xff" * 0x7000,
    "a reference to itself": bytes.fromhex("d81c81d81d00"),
    "a set": bytes.fromhex("d9010281" + "00"),
    "references to texts": bytes.fromhex("d901008263616263d81900"),
    "a date": bytes.fromhex("c11afe000000"),
    "a regular expression": bytes.fromhex("d82364") + b"(a+)",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_input_takes_little(name: str) -> None:
    """A host hands an auditor a few bytes that take the memory, the stack or the time."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(AttestationError):
        cbor.decode(BOMBS[name], "the input")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**15  # KiB


@pytest.mark.parametrize("name", BOMBS)
def test_so_does_one_inside_a_signed_document(name: str) -> None:
    chain = honest()
    payload = cbor2.dumps("nonce") + BOMBS[name]
    with pytest.raises(AttestationError):
        chain.verify(chain.sign((b"\xa1" + payload)[:16_000]))


def test_an_empty_one_a_long_one_and_another_one_are_refused() -> None:
    assert cbor.decode(b"\x00", "the input") == 0
    for data in (b"", b"\x00\x00", b"\xff", b"\x1c"):
        with pytest.raises(AttestationError, match="the input"):
            cbor.decode(data, "the input")


def test_depth_is_bounded_where_documents_end() -> None:
    assert cbor.decode(b"\x81" * cbor.MAX_DEPTH + b"\x00", "the input") == [[[[0]]]]
    with pytest.raises(AttestationError, match="depth"):
        cbor.decode(b"\x81" * (cbor.MAX_DEPTH + 1) + b"\x00", "the input")


def test_a_missing_package_is_named_and_is_no_fault_of_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cbor2", None)
    name = real("accept-at-timestamp")[0]
    with pytest.raises(AttestationShort, match=r"cbor2 is missing.*pip install 'zk-autograd\[tee\]'") as short:
        verify(read(name), at=time_of(name))
    assert short.value.exit_status == 3
    with pytest.raises(AttestationShort, match="cbor2 is missing"):
        cbor.encode({})


def test_one_that_reads_less_strictly_is_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """cbor2 before 6.2.1 takes no `allow_duplicate_keys`: it must not be used without."""
    old = ModuleType("cbor2")
    old.CBORDecoder = lambda stream, *, tag_hook: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cbor2", old)
    with pytest.raises(AttestationShort, match=r"older than 6\.2\.1"):
        cbor.decode(b"\x00", "the input")


_DOCUMENT = read("54ae0f973da0c740.cose")
_AT = time_of("54ae0f973da0c740.cose")


@settings(max_examples=120)
@given(st.binary(max_size=200))
def test_whatever_the_bytes_are_only_our_errors_leave(data: bytes) -> None:
    for document in (data, _DOCUMENT[: len(_DOCUMENT) - len(data)] + data, b"\xd2" + data):
        try:
            verify(document, at=_AT)
        except AttestationError as error:
            assert str(error)


@settings(max_examples=150)
@given(
    st.lists(
        st.tuples(st.integers(0, len(_DOCUMENT)), st.integers(0, 40), st.binary(max_size=40)), min_size=1, max_size=4
    ),
    st.integers(-(10**9), 10**9),
)
def test_a_changed_document_says_the_same_or_nothing(changes: list[tuple[int, int, bytes]], later: int) -> None:
    changed = _DOCUMENT
    for place, length, put in changes:
        changed = changed[:place] + put + changed[place + length :]
    at = _AT + timedelta(seconds=later % 10_000)
    try:
        claim = verify(changed, at=at)
    except AttestationError:
        return
    assert claim == verify(_DOCUMENT, at=at)


_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.binary(max_size=60)
    | st.text(max_size=20)
    | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.integers(-3, 40) | st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=120)
@given(
    st.sampled_from(["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle", "public_key", "nonce"]),
    _values,
)
def test_a_field_of_any_value_under_a_right_signature(name: str, value: object) -> None:
    """What a hostile device could sign: nothing but a document's own values is taken."""
    chain = honest()
    try:
        claim = chain.verify(chain.document(**{name: value}))
    except AttestationError as error:
        assert str(error)
        return
    assert name not in ("digest", "certificate", "cabundle") or value == chain.payload()[name]
    assert type(claim.module) is str and all(len(pcr) == 48 for pcr in claim.pcrs.values())
