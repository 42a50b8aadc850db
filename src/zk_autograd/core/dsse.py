"""DSSE: a payload, what kind of payload it is, and signatures over both (Dead Simple Signing
Envelope 1.0.2, https://github.com/secure-systems-lab/dsse).

What is signed is `pae(type, payload)`, never the envelope's JSON, so the envelope may be written in
any form. Narrower than the specification in what is read: base64 is standard and canonical, and an
envelope has at most `MAX_SIGNATURES` signatures. A key ID is a hint and vouches for nothing.

Nothing here signs or verifies: whoever has the key does, over `Envelope.signed`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from zk_autograd.core.canonical import Json
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields, Value
from zk_autograd.core.text import decode_base64, encode_base64, encode_utf8

IN_TOTO = "application/vnd.in-toto+json"
"""The payload's type where it is an in-toto Statement."""

STATEMENT = "https://in-toto.io/Statement/v1"
"""The `_type` of an in-toto Statement (https://github.com/in-toto/attestation, spec v1)."""

MAX_PAYLOAD = 64 * 2**20
"""Bytes of a payload."""

MAX_SIGNATURES = 32
_MAX_SIGNATURE = 64 * 2**10
_MAX_KEY_ID = 1000
_MAX_TYPE = 200


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature's bytes, and the hint to its key ("" for none)."""

    sig: bytes
    keyid: str = ""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload of type `payload_type` and its signatures, not yet verified."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]

    @property
    def signed(self) -> bytes:
        """The bytes that each signature is over."""
        return pae(self.payload_type, self.payload)

    def to_json(self) -> dict[str, Json]:
        """The envelope's JSON form."""
        signatures: Sequence[Json] = [{"keyid": s.keyid, "sig": encode_base64(s.sig)} for s in self.signatures]
        return {
            "payload": encode_base64(self.payload),
            "payloadType": self.payload_type,
            "signatures": signatures,
        }

    @classmethod
    def read(cls, fields: Fields, max_payload: int = MAX_PAYLOAD) -> "Envelope":
        """The envelope that an object holds, with a payload of at most `max_payload` bytes.
        VerificationError if it is malformed or has other fields. No signature was checked."""
        payload = _bytes(fields.value("payload"), max_payload)
        payload_type = fields.text("payloadType", _MAX_TYPE)
        signatures = []
        for item in fields.objects("signatures", MAX_SIGNATURES, min_items=1):
            sig = _bytes(item.value("sig"), _MAX_SIGNATURE)
            signatures.append(Signature(sig, item.text("keyid", _MAX_KEY_ID, 0) if "keyid" in item else ""))
            item.end()
        fields.end()
        return cls(payload_type, payload, tuple(signatures))


def pae(payload_type: str, payload: bytes) -> bytes:
    """The pre-authentication encoding (protocol.md, "Signature Definition"): unambiguous, since
    each part has its length in bytes before it.

    >>> pae("http://example.com/HelloWorld", b"hello world")
    b'DSSEv1 29 http://example.com/HelloWorld 11 hello world'
    """
    kind = encode_utf8(payload_type, "payload type")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _bytes(value: Value, most: int) -> bytes:
    text = value.text(4 * -(-most // 3), min_len=0)
    data = decode_base64(text, value.where)
    if len(data) > most:
        raise VerificationError(f"{value.where} is too long", expected=f"at most {most} bytes", found=str(len(data)))
    return data
