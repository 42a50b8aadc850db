"""The file of fork evidence: one form, and nothing else is read."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verify.forks import KEY, OTHER, SIGNER, head, log, signed
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.note import MAX_NOTE_BYTES
from zk_autograd.core.text import encode_base64
from zk_autograd.evidence.fork_evidence import FORMAT, MAX_EVIDENCE, MAX_HASHES, ForkEvidence, SignedHead
from zk_autograd.verify.consistency import Verdict, connect, decide

FORKED = log(6, 2)
SMALLER, LARGER = head(log(3)), head(FORKED)


def made(one: SignedHead = SMALLER, other: SignedHead = LARGER) -> ForkEvidence:
    evidence = connect(one, other, [FORKED])
    assert evidence is not None
    return evidence


DATA = made().encode()
HONEST = made(head(log(2))).encode()


def test_the_form() -> None:
    prefix, *hashes = (encode_base64(node) for node in (made().prefix or b"", *made().proof))
    lines = [FORMAT, f"prefix {prefix}", *hashes, "", SMALLER.note.decode() + "\n" + LARGER.note.decode()]
    assert DATA.decode() == "\n".join(lines)
    assert ForkEvidence.parse(DATA) == made()


def test_the_order_of_one_root() -> None:
    for pair in (SAME, SAME[::-1]):
        evidence = ForkEvidence.of(SignedHead.parse(pair[0]), SignedHead.parse(pair[1]))
        assert ForkEvidence.parse(evidence.encode()) == evidence


def test_equal_sizes_have_no_hashes_and_one_order() -> None:
    other = head(log(6))
    data = made(LARGER, other).encode()
    assert data == made(other, LARGER).encode()
    assert data.startswith(f"{FORMAT}\n\n".encode())
    assert ForkEvidence.parse(data).encode() == data


HEAD, NOTES = DATA.split(b"\n\n", 1)
LINES = HEAD.split(b"\n")
FIRST, SECOND = SMALLER.note, LARGER.note
SAME = [head(log(6), signers=signers).note for signers in ((SIGNER,), (OTHER,))]


def _place(note: bytes) -> bytes:
    return SignedHead.parse(note).checkpoint.root


def join(lines: list[bytes], *notes: bytes) -> bytes:
    return b"\n".join((b"\n".join(lines) + b"\n", *notes))


WRONG = {
    "nothing": b"",
    "the format alone": LINES[0] + b"\n",
    "a blank before": b"\n" + DATA,
    "a line after": DATA + b"\n",
    "no last newline": DATA[:-1],
    "a third note": DATA + b"\n" + SECOND,
    "one note": join(LINES, FIRST),
    "swapped": join(LINES, SECOND, FIRST),
    "swapped, of one size": join([LINES[0]], *sorted((SECOND, head(log(6)).note), key=_place, reverse=True)),
    "swapped, of one root": join([LINES[0]], *sorted(SAME, reverse=True)),
    "no prefix": join([LINES[0], *LINES[2:]], FIRST, SECOND),
    "no hashes": join([LINES[0]], FIRST, SECOND),
    "two prefixes": join([*LINES[:2], *LINES[1:]], FIRST, SECOND),
    "an extra word": join([LINES[0], LINES[1] + b" x", *LINES[2:]], FIRST, SECOND),
    "a short hash": join([*LINES[:2], encode_base64(bytes(31)).encode()], FIRST, SECOND),
    "a short prefix": join([LINES[0], b"prefix " + encode_base64(bytes(31)).encode()], FIRST, SECOND),
    "not base64": join([*LINES[:2], b"?" * 44], FIRST, SECOND),
    "base64 with bits left over": join([*LINES[:2], encode_base64(bytes(32)).encode()[:-2] + b"B="], FIRST, SECOND),
    "CR": DATA.replace(b"\n", b"\r\n"),
    "a NUL": DATA.replace(b"prefix ", b"prefix\0", 1),
    "not ASCII": DATA.replace(b"prefix", "pr\u00e9fix".encode(), 1),
    "hashes where none belong": join(LINES, head(log(6)).note, SECOND),
    "an extension line": DATA.replace(b"\n\n\xe2\x80\x94", b"\nx\n\n\xe2\x80\x94", 1),
    "too many hashes": join([*LINES[:2], *[LINES[2]] * (MAX_HASHES + 1)], FIRST, SECOND),
}


@pytest.mark.parametrize("name", WRONG)
def test_another_form_is_refused(name: str) -> None:
    with pytest.raises(VerificationError):
        ForkEvidence.parse(WRONG[name])


@pytest.mark.parametrize("format", ["zk-autograd/fork-evidence/v2", FORMAT + " ", FORMAT.upper(), "x"])
def test_another_format_is_refused_by_its_name(format: str) -> None:
    with pytest.raises(VerificationError, match="of a format that is not known") as error:
        ForkEvidence.parse(DATA.replace(FORMAT.encode(), format.encode(), 1))
    assert error.value.expected == FORMAT


def test_a_long_file_is_not_even_taken_apart() -> None:
    with pytest.raises(VerificationError, match="too long"):
        ForkEvidence.parse(DATA + b"x" * MAX_EVIDENCE)


def padded(size: int) -> SignedHead:
    """A checkpoint in a note that is as long as a note may be."""
    note = signed(size, bytes(32)).note
    left = MAX_NOTE_BYTES - len(note) - len("\u2014 ".encode()) - len(" \n")
    name = "x" * (left % 4 + 4)
    note += f"\u2014 {name} {encode_base64(bytes((left - len(name)) // 4 * 3))}\n".encode()
    assert len(note) == MAX_NOTE_BYTES
    return SignedHead.parse(note)


def test_the_largest_evidence_fits() -> None:
    evidence = ForkEvidence.of(padded(2**62 + 1), padded(2**63 - 1), bytes(32), [bytes(32)] * MAX_HASHES)
    assert ForkEvidence.parse(evidence.encode()) == evidence


def every_change(data: bytes) -> Iterator[bytes]:
    for i in range(len(data)):
        yield data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :]
        yield data[:i] + data[i + 1 :]
        yield data[: i + 1] + data[i:]


@pytest.mark.parametrize(
    ("data", "never"), [(DATA, Verdict.CONSISTENT), (HONEST, Verdict.FORK)], ids=["fork", "honest"]
)
def test_no_byte_changed_turns_the_verdict(data: bytes, never: Verdict) -> None:
    """Nor does any change but of the other signatures' lines, of which there are none, keep it."""
    truly = decide(ForkEvidence.parse(data), (KEY,)).verdict
    assert truly is not never
    for changed in every_change(data):
        try:
            found = decide(ForkEvidence.parse(changed), (KEY,)).verdict
        except VerificationError:
            continue
        assert found is (truly if changed == data else Verdict.UNTOLD)


@given(st.binary(max_size=400), st.integers(0, len(DATA)), st.integers(0, len(DATA)))
@settings(max_examples=80, deadline=None)
def test_whatever_the_bytes_are_only_a_verification_error_leaves(middle: bytes, start: int, end: int) -> None:
    changed = DATA[: min(start, end)] + middle + DATA[max(start, end) :]
    try:
        evidence = ForkEvidence.parse(changed)
    except VerificationError:
        return
    assert evidence.encode() == changed
