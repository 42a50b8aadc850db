"""What a device signs for a run, and the files that a run keeps of it."""

import json
from dataclasses import replace
from hashlib import sha512
from itertools import combinations
from typing import Any

import pytest

from zk_autograd.core.attestation import (
    COLLATERAL_FORMAT,
    DIGEST_BYTES,
    DOCUMENT_FORMAT,
    JOB_BYTES,
    LEAST_NONCE,
    MAX_CERTIFICATE,
    MAX_CERTIFICATES,
    MAX_COLLATERAL,
    MAX_CRL,
    MAX_CRLS,
    MAX_DOCUMENT,
    MAX_KIND,
    MAX_NONCE,
    MAX_RAW,
    MAX_RELEASE_KEY,
    Binding,
    Collateral,
    Document,
    bound,
    release_digest,
)
from zk_autograd.core.errors import VerificationError

BINDING = Binding(
    bytes(range(16)), b"\1" * 32, ("one+01020304+AA", "two+05060708+BB"), b"release", b"\2" * 16, b"\3" * 32
)
DOCUMENT = Document("nitro", b"\x84\x44", b"\1" * 32, b"\2" * 16, b"\3" * 32)
COLLATERAL = Collateral((b"\x30\x01", b"\x30\x02"), (b"\x30\x03",))


# ---- what is bound -------------------------------------------------------------------------------


def test_the_encoding_is_said_byte_for_byte() -> None:
    """Domain, number of parts, parts: each after its length, big-endian. Anybody can write it."""

    def after_length(part: bytes) -> bytes:
        return len(part).to_bytes(8, "big") + part

    keys = b"".join(map(after_length, (b"keys", (2).to_bytes(8, "big"), b"one+01020304+AA", b"two+05060708+BB")))
    parts = (bytes(range(16)), b"\1" * 32, sha512(keys).digest(), b"release", b"\2" * 16, b"\3" * 32)
    whole = b"".join(map(after_length, (b"zk-autograd/attested-run/v0", (6).to_bytes(8, "big"), *parts)))
    assert BINDING.digest() == sha512(whole).digest()
    assert len(BINDING.digest()) == DIGEST_BYTES
    release = b"".join(
        map(after_length, (b"zk-autograd/attested-release/v0", (3).to_bytes(8, "big"), b"run", b"key", b"nonce"))
    )
    assert release_digest(b"run", b"key", b"nonce") == sha512(release).digest()


def split(field: str, text: str) -> Any:
    return (text,) if field == "keys" else text.encode()


@pytest.mark.parametrize(("one", "other"), list(combinations(("run", "header", "keys", "release_key", "nonce"), 2)))
def test_no_byte_goes_over_from_one_field_to_another(one: str, other: str) -> None:
    """Without lengths, "a" and "bc" would be bound as "ab" and "c" are: a document would be of two
    runs, or of a key and a nonce that a host has cut anew."""
    pairs = (("a", "bc"), ("ab", "c"), ("abc", ""), ("", "abc"))
    found = {replace(BINDING, **{one: split(one, a), other: split(other, b)}).digest() for a, b in pairs}
    assert len(found) == len(pairs)


def test_no_byte_goes_over_from_one_key_to_another() -> None:
    lists = [("a", "bc"), ("ab", "c"), ("abc",), ("abc", ""), ("", "abc"), ("a", "b", "c"), ("bc", "a"), ()]
    assert len({replace(BINDING, keys=keys).digest() for keys in lists}) == len(lists)


@pytest.mark.parametrize(("a", "b"), [(b"a", b"bc"), (b"ab", b"c"), (b"abc", b""), (b"", b"abc")])
def test_no_byte_goes_over_in_a_release(a: bytes, b: bytes) -> None:
    others = {(b"a", b"bc"), (b"ab", b"c"), (b"abc", b""), (b"", b"abc")} - {(a, b)}
    for x, y in others:
        assert release_digest(a, b, b"n") != release_digest(x, y, b"n")
        assert release_digest(b"r", a, b) != release_digest(b"r", x, y)
        assert release_digest(a, b"k", b) != release_digest(x, b"k", y)


def test_each_field_is_bound() -> None:
    changed: tuple[dict[str, Any], ...] = (
        {"run": bytes(16)},
        {"header": b"\2" * 32},
        {"keys": BINDING.keys[::-1]},
        {"keys": BINDING.keys[:1]},
        {"release_key": b""},
        {"nonce": b""},
    )
    found = {replace(BINDING, **change).digest() for change in changed}
    assert len(found | {BINDING.digest()}) == len(changed) + 1


def test_a_release_is_never_a_run() -> None:
    """An enclave asks for secrets with a document that a host sees: it must not become a run's."""
    assert bound(b"zk-autograd/attested-release/v0", b"r", b"k", b"n") == release_digest(b"r", b"k", b"n")
    assert bound(b"zk-autograd/attested-run/v0", b"r", b"k", b"n") != release_digest(b"r", b"k", b"n")
    assert bound(b"a", b"b") != bound(b"ab") != bound(b"a", b"b", b"") != bound(b"a", b"b")


# ---- the files -----------------------------------------------------------------------------------


@pytest.mark.parametrize("document", [DOCUMENT, Document("snp", b"\0")])
def test_a_document_comes_back(document: Document) -> None:
    assert Document.parse(document.encode()) == document


@pytest.mark.parametrize("collateral", [COLLATERAL, Collateral()])
def test_collateral_comes_back(collateral: Collateral) -> None:
    assert Collateral.parse(collateral.encode()) == collateral


def edited(data: bytes, **changes: Any) -> bytes:
    value = json.loads(data)
    for name, new in changes.items():
        if new is ...:
            del value[name]
        else:
            value[name] = new
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "zk-autograd/attestation/v1"},
        {"format": COLLATERAL_FORMAT},
        *({name: ...} for name in ("format", "kind", "document", "release_key", "nonce", "job")),
        {"more": ""},
        {"kind": ""},
        {"kind": "k" * (MAX_KIND + 1)},
        {"kind": 1},
        {"kind": "nitro\n"},
        {"document": ""},
        {"document": "0"},
        {"document": "0G"},
        {"document": "0A"},
        {"document": "00 0"},
        {"document": ["00"]},
        {"document": "00" * (MAX_RAW + 1)},
        {"release_key": "00" * (MAX_RELEASE_KEY + 1)},
        {"release_key": "\u0660\u0660"},
        {"nonce": "00" * (MAX_NONCE + 1)},
        {"nonce": "000"},
        {"nonce": None},
        {"job": "00" * 31},
        {"job": "00" * 33},
        {"job": None},
    ],
)
def test_a_document_that_no_writer_writes_is_refused(changes: dict[str, Any]) -> None:
    assert edited(DOCUMENT.encode()) == DOCUMENT.encode()
    with pytest.raises(VerificationError):
        Document.parse(edited(DOCUMENT.encode(), **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"format": DOCUMENT_FORMAT},
        {"certificates": ...},
        {"crls": ...},
        {"more": []},
        {"certificates": "00"},
        {"certificates": [""]},
        {"certificates": [1]},
        {"certificates": ["00"] * (MAX_CERTIFICATES + 1)},
        {"certificates": ["00" * (MAX_CERTIFICATE + 1)]},
        {"certificates": ["AA"]},
        {"certificates": ["0"]},
        {"crls": ["00"] * (MAX_CRLS + 1)},
        {"crls": ["00" * (MAX_CRL + 1)]},
        {"crls": {}},
    ],
)
def test_collateral_that_no_writer_writes_is_refused(changes: dict[str, Any]) -> None:
    assert edited(COLLATERAL.encode()) == COLLATERAL.encode()
    with pytest.raises(VerificationError):
        Collateral.parse(edited(COLLATERAL.encode(), **changes))


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"\xff", b"{", DOCUMENT.encode() + b"\n"])
def test_what_is_no_such_file_is_refused(data: bytes) -> None:
    with pytest.raises(VerificationError):
        Document.parse(data)
    with pytest.raises(VerificationError):
        Collateral.parse(data)


def test_a_file_is_refused_by_its_length_before_it_is_read() -> None:
    with pytest.raises(VerificationError, match="bytes"):
        Document.parse(b" " * (MAX_DOCUMENT + 1))
    with pytest.raises(VerificationError, match="bytes"):
        Collateral.parse(b" " * (MAX_COLLATERAL + 1))


def test_the_largest_document_is_taken_and_fits_its_file() -> None:
    whole = Document("k" * MAX_KIND, bytes(MAX_RAW), bytes(MAX_RELEASE_KEY), bytes(MAX_NONCE), bytes(JOB_BYTES))
    assert len(whole.encode()) <= MAX_DOCUMENT
    assert Document.parse(whole.encode()) == whole
    assert LEAST_NONCE == 16
