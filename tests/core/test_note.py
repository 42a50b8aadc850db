"""Signed notes and checkpoints: vectors of C2SP and of Go, and notes that were tampered with."""

import base64
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_autograd.core import note
from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.core.keys import Algorithm, Ed25519Signer, PublicKey

# C2SP signed-note, "Verifier keys", example.
C2SP_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
C2SP_NOTE = """This is an example message.

\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
"""

# golang.org/x/mod, sumdb/note/note_test.go.
PETER_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
ENOCH_KEY = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
GO_TEXT = """If you think cryptography is the answer to your problem,
then you don't know what your problem is.
"""
PETER_LINE = (
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
ENOCH_LINE = (
    "\u2014 EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
)

# C2SP tlog-checkpoint, first example.
C2SP_CHECKPOINT = """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
"""

ALICE = Ed25519Signer("zk-autograd/key", bytes(range(32)))
BOB = Ed25519Signer("bob.example/key", bytes(range(32, 64)))
CAROL = Ed25519Signer("carol.example/key", bytes(range(64, 96)))
ORIGIN = "zk-autograd/5f3c"
TEXT = note.checkpoint_text(ORIGIN, 3, bytes(range(32)))

ROOT = base64.b64encode(bytes(32)).decode()


def line(name: str, payload: bytes) -> str:
    return f"\u2014 {name} {base64.b64encode(payload).decode()}\n"


def line_of(signer: Ed25519Signer, text: str = TEXT) -> str:
    return note.sign(text, [signer]).decode().split("\n\n")[-1]


def refused(data: bytes, match: str, *signers: Ed25519Signer) -> None:
    with pytest.raises(VerificationError, match=match):
        note.open_note(data, [signer.public_key for signer in signers or (ALICE,)])


SIGNED = note.sign(TEXT, [ALICE])
DASH = "\u2014".encode()


# Vectors


def test_example_of_the_specification_verifies() -> None:
    key = PublicKey.parse(C2SP_KEY)
    opened = note.open_note(C2SP_NOTE.encode(), [key])
    assert opened == note.Note("This is an example message.\n", (key,))


def test_notes_of_go_verify_and_are_made_again_byte_by_byte() -> None:
    peter, enoch = PublicKey.parse(PETER_KEY), PublicKey.parse(ENOCH_KEY)
    both = f"{GO_TEXT}\n{PETER_LINE}{ENOCH_LINE}".encode()
    for keys in ([peter], [enoch], [peter, enoch], [enoch, peter]):
        assert note.open_note(both, keys) == note.Note(GO_TEXT, tuple(keys))
    signer = Ed25519Signer("PeterNeumann", PETER_SEED)
    assert signer.public_key == peter
    assert note.sign(GO_TEXT, [signer]) == f"{GO_TEXT}\n{PETER_LINE}".encode()


def test_checkpoint_of_the_specification_is_read() -> None:
    parsed = note.parse_unverified(C2SP_CHECKPOINT.encode())
    checkpoint = note.parse_checkpoint(parsed.text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.root.hex() == "0ac5186a91863e8e1d90c808014aa89bf5da8e3ee1d9f07630f0378f68f1ab62"
    assert [signature.name for signature in parsed.lines] == ["example.com/behind-the-sofa"]
    assert [len(signature.signature) for signature in parsed.lines] == [64]


# Signing and opening


def test_note_of_two_signers_opens_with_both_and_with_each() -> None:
    data = note.sign(TEXT, [ALICE, BOB])
    keys = (ALICE.public_key, BOB.public_key)
    assert note.open_note(data, keys) == note.Note(TEXT, keys)
    assert note.open_note(data, keys[1:]) == note.Note(TEXT, keys[1:])


def test_text_may_have_empty_lines() -> None:
    for text in ("\n", "a\n\n", "\n\na\n\n\n", "a\n\n\u2014 b QUJDREVGRw==\n"):
        assert note.open_note(note.sign(text, [ALICE]), [ALICE.public_key]).text == text


def test_every_pinned_key_must_have_signed() -> None:
    refused(note.sign(TEXT, [ALICE]), "not signed by the key bob", ALICE, BOB)
    refused(note.sign(TEXT, [BOB]), "not signed by the key zk-autograd/key", ALICE, BOB)
    refused(note.sign(TEXT, [CAROL]), "not signed by the key")


def test_stripped_signature_is_missed() -> None:
    data = note.sign(TEXT, [ALICE, BOB]).decode()
    for signer in (ALICE, BOB):
        refused(data.replace(line_of(signer), "").encode(), f"not signed by the key {signer.name}", ALICE, BOB)
    refused(f"{TEXT}\n".encode(), "blank line and signature lines")


def test_lines_of_unknown_keys_are_ignored() -> None:
    garbage = line("stranger.example/key", b"\x00" * 4 + b"no signature")
    namesake = line(ALICE.name, b"\x00" * 4 + bytes(64))  # the known name with another ID
    other_name = line("mallory.example/key", ALICE.public_key.key_id + bytes(64))  # the known ID with another name
    data = note.sign(TEXT, [ALICE]).decode() + garbage + namesake + other_name
    assert note.open_note(data.encode(), [ALICE.public_key]).text == TEXT


def test_wrong_signature_of_a_known_key_is_an_error() -> None:
    good = ALICE.sign(TEXT)
    key_id = ALICE.public_key.key_id
    for bad in (
        bytes(64),
        good[:-1],
        good + b"\x00",
        b"\x00" + good,
        bytes([good[0] ^ 1]) + good[1:],
        b"\x00",
    ):
        refused(f"{TEXT}\n{line(ALICE.name, key_id + bad)}".encode(), "wrong signature by the key zk-autograd/key")


def test_signature_of_another_key_does_not_pass_under_the_name_and_id() -> None:
    forged = line(ALICE.name, ALICE.public_key.key_id + BOB.sign(TEXT))
    refused(f"{TEXT}\n{forged}".encode(), "wrong signature")


def test_one_wrong_signature_among_good_ones_is_an_error() -> None:
    forged = line(BOB.name, BOB.public_key.key_id + ALICE.sign(TEXT))
    refused(f"{TEXT}\n{line_of(ALICE)}{forged}".encode(), "wrong signature by the key bob", ALICE, BOB)


def test_signature_of_another_text_is_wrong() -> None:
    other = note.checkpoint_text(ORIGIN, 4, bytes(range(32)))
    refused(f"{other}\n{line_of(ALICE)}".encode(), "wrong signature")
    refused(f"\n{TEXT}\n{line_of(ALICE)}".encode(), "wrong signature")
    refused(f"{TEXT}\n\n{line_of(ALICE)}".encode(), "wrong signature")


def test_two_signatures_by_one_key_are_refused() -> None:
    once, signature = line_of(ALICE), ALICE.sign(TEXT)
    other = line(ALICE.name, ALICE.public_key.key_id + bytes(64))
    stranger = line("stranger.example/key", b"\x00" * 4 + signature)
    for lines in (once + once, once + other, other + once, once + stranger + stranger):
        refused(f"{TEXT}\n{lines}".encode(), "two signatures by the same key")


def test_every_flipped_bit_is_refused() -> None:
    data = note.sign(TEXT, [ALICE])
    keys = [ALICE.public_key]
    for index in range(len(data)):
        changed = bytearray(data)
        changed[index] ^= 1 << (index % 8)
        with pytest.raises(VerificationError):
            note.open_note(bytes(changed), keys)


def test_two_keys_that_a_note_can_not_tell_apart_are_wrong_usage() -> None:
    keys = [PublicKey("k", Algorithm.ED25519, sha256(data).digest()) for data in (b"61126", b"72702")]
    assert keys[0] != keys[1]
    assert keys[0].key_id == keys[1].key_id  # found by trying 70,000 keys
    with pytest.raises(UsageError, match="given twice"):
        note.open_note(SIGNED, keys)


@pytest.mark.parametrize("keys", [[], [ALICE, ALICE], [ALICE, Ed25519Signer("alias", ALICE.seed)]])
def test_no_key_or_one_key_twice_is_wrong_usage(keys: list[Ed25519Signer]) -> None:
    with pytest.raises(UsageError):
        note.open_note(note.sign(TEXT, [ALICE]), [signer.public_key for signer in keys])
    with pytest.raises(UsageError):
        note.sign(TEXT, keys)


@pytest.mark.parametrize(
    "text", ["", "a", "a\nb", "a\r\n", "a\t\n", "\x00\n", "\ud800\n", "a" * note.MAX_NOTE_BYTES + "\n"]
)
def test_text_that_no_note_can_have_is_not_signed(text: str) -> None:
    with pytest.raises(VerificationError):
        note.sign(text, [ALICE])


def test_signer_that_errs_is_noticed() -> None:
    @dataclass
    class Broken:
        public_key: PublicKey

        def sign(self, text: str) -> bytes:
            return ALICE.sign(text + "x")

    with pytest.raises(VerificationError, match="wrong signature"):
        note.sign(TEXT, [Broken(ALICE.public_key)])


# The format


MALFORMED = {
    "nothing": (b"", "blank line"),
    "no last newline": (SIGNED[:-1], "blank line"),
    "one newline too many": (SIGNED + b"\n", "blank line"),
    "no blank line": (SIGNED.replace(b"\n\n", b"\n"), "blank line"),
    "no text": (b"\n" + SIGNED.partition(b"\n\n")[2], "blank line"),
    "another line": (SIGNED + b"trailing\n", "malformed signature line"),
    "space in the last line": (SIGNED + b" \n", "malformed signature line"),
    "hyphen": (SIGNED.replace(DASH, b"-"), "malformed signature line"),
    "en dash": (SIGNED.replace(DASH, b"\xe2\x80\x93"), "malformed signature line"),
    "no space after dash": (SIGNED.replace(DASH + b" ", DASH), "malformed signature line"),
    "two spaces after dash": (SIGNED.replace(DASH, DASH + b" "), "key name is empty"),
    "no-break space after dash": (
        SIGNED.replace(DASH + b" ", DASH + b"\xc2\xa0"),
        "malformed signature line",
    ),
    "no space after name": (SIGNED.replace(b"/key ", b"/key"), "malformed signature line"),
    "two spaces after name": (SIGNED.replace(b"/key ", b"/key  "), "not base64"),
    "plus in name": (SIGNED.replace(b"grad/key ", b"grad+key "), "key name .* plus sign"),
    "wide space in name": (SIGNED.replace(b"grad/", b"grad\xe3\x80\x80"), "key name .* white space"),
    "C1 control in name": (SIGNED.replace(b"grad/key", b"grad\xc2\x9b"), "key name .* control character"),
    "long name": (SIGNED.replace(b"zk-autograd/key", b"k" * 256), "key name is empty or too long"),
    "carriage returns": (SIGNED.replace(b"\n", b"\r\n"), "control character"),
    "NUL": (SIGNED.replace(b"zk", b"z\x00k"), "control character"),
    "tab": (SIGNED.replace(b"zk", b"z\tk"), "control character"),
    "last control": (SIGNED.replace(b"zk", b"z\x1fk", 1), "control character"),
    "no UTF-8": (SIGNED.replace(b"zk", b"z\xffk"), "not UTF-8"),
    "surrogate": (SIGNED.replace(b"zk", b"z\xed\xa0\x80k"), "not UTF-8"),
    "no padding": (SIGNED.replace(b"=\n", b"\n"), "not base64"),
    "more padding": (SIGNED[:-1] + b"=\n", "not (canonical )?base64"),
    "no ASCII in base64": (SIGNED[:-1] + b"\xc3\xa9\n", "not base64"),
    "no signature": (SIGNED + line("x", b"").encode(), "'x' is empty"),
    "half a key ID": (SIGNED + line("x", b"12").encode(), "'x' is empty"),
    "a key ID only": (SIGNED + line("x", b"1234").encode(), "'x' is empty"),
}


@pytest.mark.parametrize(("data", "reason"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_note_is_refused(data: bytes, reason: str) -> None:
    refused(data, reason)
    with pytest.raises(VerificationError, match=reason):
        note.parse_unverified(data)


def test_base64_has_one_spelling() -> None:
    # 68 bytes end in "XY=": the lowest two bits of Y are not the signature's, and a decoder ignores
    # them.
    data = note.sign(TEXT, [ALICE]).decode()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = alphabet.index(data[-3])
    for spare in (1, 2, 3):
        other = f"{data[:-3]}{alphabet[last ^ spare]}=\n"
        assert base64.b64decode(other[-93:]) == base64.b64decode(data[-93:])
        refused(other.encode(), "not canonical base64")
    refused(data.replace("/key ", "/key \u2028").encode(), "not base64")


def test_number_of_signatures_is_bounded() -> None:
    strangers = [line(f"s{index}.example", b"\x00" * 4 + bytes(64)) for index in range(note.MAX_SIGNATURES)]
    data = note.sign(TEXT, [ALICE]).decode()
    assert note.open_note((data + "".join(strangers[1:])).encode(), [ALICE.public_key]).text == TEXT
    refused((data + "".join(strangers)).encode(), "too many signatures")


def test_sixteen_signatures_of_ml_dsa_44_have_room() -> None:
    # C2SP signed-note: verifiers must accept at least 16 signatures. tlog-cosignature: type 0x06
    # has 8 + 2420 bytes.
    strangers = [line(f"witness{index}.example/w", b"\x00" * 4 + bytes(2428)) for index in range(16)]
    data = (note.sign(TEXT, [ALICE]).decode() + "".join(strangers)).encode()
    assert note.open_note(data, [ALICE.public_key]).text == TEXT


def test_size_is_bounded() -> None:
    text = "a" * (note.MAX_NOTE_BYTES - len(note.sign("\n", [ALICE]))) + "\n"
    data = note.sign(text, [ALICE])
    assert len(data) == note.MAX_NOTE_BYTES
    refused(b"a" + data, "note is too long")


def test_unverified_note_is_not_a_note() -> None:
    parsed = note.parse_unverified(note.sign(TEXT, [ALICE, BOB]))
    assert not issubclass(type(parsed), note.Note)
    assert parsed.text == TEXT
    assert [(entry.name, entry.key_id) for entry in parsed.lines] == [
        (signer.name, signer.public_key.key_id) for signer in (ALICE, BOB)
    ]
    assert parsed.lines[0].signature == ALICE.sign(TEXT)


def note_like(text: str) -> bytes:
    return f"{text}\n\n\u2014 {text}\n".encode(errors="replace")


@given(st.binary(max_size=200) | st.text(max_size=99).map(note_like))
def test_any_bytes_are_parsed_or_refused(data: bytes) -> None:
    try:
        parsed = note.parse_unverified(data)
    except VerificationError:
        return
    lines = "".join(line(entry.name, entry.key_id + entry.signature) for entry in parsed.lines)
    assert f"{parsed.text}\n{lines}".encode() == data


SIZES = st.sampled_from(
    ["01", "-1", "+1", " 1", "1e3", "0x1", str(2**63), str(2**64), "\u0661", "", "1" * 400, "1", "0"]
)
BASE64 = st.binary(max_size=80).map(lambda b: base64.b64encode(b).decode()) | st.sampled_from(
    ["", "=", "====", "A", "AAA=", "\u00e9", "AA AA", "-_-_"]
)
NAMES = st.sampled_from(["trainer", "", "a+b", "a b", "\u2014", "\x7f", "x" * 300]) | st.text(max_size=20)


@given(
    origin=NAMES,
    size=SIZES,
    root=BASE64,
    dash=st.sampled_from(["\u2014 ", "-- ", ""]),
    name=NAMES,
    signature=BASE64,
    end=st.sampled_from(["", "\n", "\n\n"]),
)
def test_a_malformed_checkpoint_raises_nothing_else(
    origin: str, size: str, root: str, dash: str, name: str, signature: str, end: str
) -> None:
    """Nothing of the parsers of numbers, base64 and keys underneath comes through."""
    text = f"{origin}\n{size}\n{root}\n"
    data = f"{text}\n{dash}{name} {signature}{end}".encode(errors="surrogatepass")
    for read in (
        lambda: note.parse_checkpoint(text),
        lambda: note.open_note(data, [ALICE.public_key]),
        lambda: note.parse_checkpoint(note.parse_unverified(data).text),
        lambda: PublicKey.parse(f"{name}+{signature}"),
        lambda: PublicKey.parse(f"{name}+00000000+{signature}"),
    ):
        with suppress(VerificationError):
            read()


def test_import_does_not_load_cryptography() -> None:
    program = "import sys, zk_autograd.core.note; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
