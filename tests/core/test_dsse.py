"""DSSE: the vector of the specification, what is read back, and what is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_autograd.core.canonical import decode_foreign
from zk_autograd.core.dsse import Envelope, Signature, pae
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields

TYPES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


def read(value: Any, most: int = 100) -> Envelope:
    return Envelope.read(Fields(decode_foreign(json.dumps(value).encode(), max_bytes=10_000), "envelope"), most)


def written(**changes: Any) -> dict[str, Any]:
    whole = json.loads(json.dumps(Envelope("t", b"payload", (Signature(b"sig", "k"),)).to_json()))
    return {**whole, **changes}


def test_the_encoding_of_the_specification() -> None:
    # protocol.md, "Test Vectors"
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae("http://example.com/HelloWorld", b"hello world") == expected
    assert pae("\u00e9", b"") == b"DSSEv1 2 \xc3\xa9 0 "


@given(TYPES, st.binary(max_size=30), TYPES, st.binary(max_size=30))
def test_no_two_payloads_have_one_encoding(type_1: str, one: bytes, type_2: str, two: bytes) -> None:
    assert (pae(type_1, one) == pae(type_2, two)) == ((type_1, one) == (type_2, two))


def test_bytes_can_not_move_between_the_parts() -> None:
    assert pae("a", b"bc") != pae("ab", b"c")
    assert pae("a 1 b", b"c") != pae("a", b"b 1 c")


@given(
    TYPES,
    st.binary(max_size=100),
    st.lists(st.builds(Signature, st.binary(max_size=80), TYPES), min_size=1, max_size=3),
)
def test_what_is_written_is_read_back(kind: str, payload: bytes, signatures: list[Signature]) -> None:
    envelope = Envelope(kind, payload, tuple(signatures))
    assert read(envelope.to_json()) == envelope


def test_a_key_id_may_be_missing() -> None:
    assert read(written(signatures=[{"sig": "c2ln"}])).signatures == (Signature(b"sig"),)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"payload": "cGF5bG9hZB=="}, "envelope.payload is not"),
        ({"payload": "cGF5bG9hZA"}, "envelope.payload is not base64"),
        ({"payload": "-_-_"}, "envelope.payload is not base64"),
        ({"payload": "AAAA" * 34}, "envelope.payload is too long"),
        ({"payload": "AAAA" * 35}, "envelope.payload is invalid"),
        ({"payload": 1}, "envelope.payload is invalid"),
        ({"payloadType": ""}, "envelope.payloadType is invalid"),
        ({"signatures": []}, "envelope.signatures is invalid"),
        ({"signatures": [{"sig": "c2ln"}] * 33}, "envelope.signatures is invalid"),
        ({"signatures": [{"keyid": "k"}]}, r"envelope.signatures\[0\].sig is missing"),
        ({"signatures": [{"sig": "c2ln", "cert": "x"}]}, "unknown fields"),
        ({"payload_type": "t"}, "unknown fields"),
    ],
)
def test_what_is_malformed_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(VerificationError, match=message):
        read(written(**changes))
