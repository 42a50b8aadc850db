"""Signed notes: a text, and lines with the signatures of those who vouch for it. The text is a
checkpoint (core.checkpoint) wherever a log is signed.

Source: C2SP signed-note. Narrower than it where it leaves a choice:

* a note has at most `MAX_NOTE_BYTES` bytes and `MAX_SIGNATURES` signatures, of which no two are of
  one key (name and ID);
* all keys that the reader knows must have signed; lines of unknown keys are ignored, but must be
  well formed;
* base64 must be in the form that an encoder writes.

To read a note whose signers are pinned use `open_note`. `parse_unverified` is for when nothing is
pinned; its result has a different type, so that it can't pass for a verified note. The keys are in
`core.keys`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from zk_autograd.core.checkpoint import Checkpoint, checkpoint_text, parse_checkpoint
from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.core.keys import KEY_ID_BYTES, PublicKey, Signer, check_name
from zk_autograd.core.text import decode_base64, encode_base64, encode_utf8, quoted

__all__ = [
    "MAX_NOTE_BYTES",
    "MAX_SIGNATURES",
    "Checkpoint",
    "Note",
    "SignatureLine",
    "UnverifiedNote",
    "checkpoint_text",
    "open_note",
    "parse_checkpoint",
    "parse_signatures",
    "parse_unverified",
    "sign",
    "signature_line",
]

MAX_NOTE_BYTES = 64 * 1024  # room for the 16 signatures that a reader must accept, of ML-DSA-44's size
MAX_SIGNATURES = 32

_DASH = "\u2014 "
_CONTROL_BUT_NEWLINE = re.compile(r"[\x00-\x09\x0b-\x1f]")


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """A signature line of a note: the key's name, its 4-byte ID, and the signature's bytes."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class UnverifiedNote:
    """A well-formed note that vouches for nothing yet: no signature was checked."""

    text: str
    lines: tuple[SignatureLine, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """A note's text and the keys that were found to have signed it."""

    text: str
    keys: tuple[PublicKey, ...]


def sign(text: str, signers: Sequence[Signer]) -> bytes:
    """The note with one signature line of each signer, in this order. It opens with the signers'
    keys.

    Raises UsageError without signers or with one key twice, and VerificationError if the text can't
    be a note's (it ends in a newline and has no other control character) or a signer's signature
    doesn't verify.
    """
    keys = [signer.public_key for signer in signers]
    note = text + "\n"
    for key, signer in zip(keys, signers, strict=True):
        note += signature_line(key.name, key.key_id, signer.sign(text))
    data = encode_utf8(note, "note")
    if open_note(data, keys).text != text:
        raise VerificationError("note text does not end in a newline")
    return data


def open_note(data: bytes, keys: Sequence[PublicKey]) -> Note:
    """The note, if every one of `keys` signed it.

    Raises VerificationError if one did not or its signature is wrong, or if the note is malformed;
    UsageError if `keys` is empty or names one key twice.
    """
    _check_distinct(keys)
    note = parse_unverified(data)
    signatures = {(line.name, line.key_id): line.signature for line in note.lines}
    for key in keys:
        signature = signatures.get((key.name, key.key_id))
        if signature is None:
            raise VerificationError(f"note is not signed by the key {key.label}")
        key.verify(note.text, signature)
    return Note(note.text, tuple(keys))


def parse_unverified(data: bytes) -> UnverifiedNote:
    """The note's parts, with no signature checked. Raises VerificationError if it is malformed."""
    if len(data) > MAX_NOTE_BYTES:
        raise VerificationError("note is too long", expected=f"at most {MAX_NOTE_BYTES} bytes", found=str(len(data)))
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise VerificationError(f"note is not UTF-8: {error.reason} at byte {error.start}") from error
    if _CONTROL_BUT_NEWLINE.search(whole):
        raise VerificationError("note has a control character other than newline")
    text, blank_line, signatures = whole.rpartition("\n\n")
    if not blank_line or not signatures.endswith("\n"):
        raise VerificationError("note does not end in a blank line and signature lines")
    return UnverifiedNote(text + "\n", parse_signatures(signatures, MAX_SIGNATURES))


def parse_signatures(text: str, most: int) -> tuple[SignatureLine, ...]:
    """The signature lines of a text of 1 to `most` of them, each ended by a newline.
    VerificationError for anything else."""
    if not text.endswith("\n"):
        raise VerificationError("the last signature line of a note does not end in a newline")
    rows = text[:-1].split("\n")
    if len(rows) > most:
        raise VerificationError("note has too many signatures", expected=f"at most {most}", found=str(len(rows)))
    lines = tuple(_signature_line(row) for row in rows)
    if len({(line.name, line.key_id) for line in lines}) < len(lines):
        raise VerificationError("note has two signatures by the same key")
    return lines


def signature_line(name: str, key_id: bytes, signature: bytes) -> str:
    """A key's signature as a line of a note, with its newline."""
    return f"{_DASH}{name} {encode_base64(key_id + signature)}\n"


def _signature_line(row: str) -> SignatureLine:
    name, space, encoded = row.removeprefix(_DASH).partition(" ")
    if not row.startswith(_DASH) or not space:
        raise VerificationError(f"note has a malformed signature line, {quoted(row)}")
    check_name(name)
    value = decode_base64(encoded, f"signature of {quoted(name)}")
    if len(value) <= KEY_ID_BYTES:
        raise VerificationError(f"signature of {quoted(name)} is empty")
    return SignatureLine(name, value[:KEY_ID_BYTES], value[KEY_ID_BYTES:])


def _check_distinct(keys: Sequence[PublicKey]) -> None:
    if not keys:
        raise UsageError("a note needs at least one key")
    # One secret under two names is one signer; two keys with the same name and ID can't be told
    # apart in a note.
    secrets = {key.raw for key in keys}
    handles = {(key.name, key.key_id) for key in keys}
    if min(len(secrets), len(handles)) < len(keys):
        raise UsageError("the same key is given twice; name each signer's key once")
