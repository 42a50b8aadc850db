"""The bytes of an AWS Nitro attestation document: a COSE_Sign1 message and the map that it signs.
Nothing here is checked but the form.

Sources: RFC 9052, sections 3, 4.2 and 4.4; docs/attestation_process.md of
aws/aws-nitro-enclaves-nsm-api. Where real documents differ from the latter they decide: fields that
are null instead of absent, 1024 bytes of user data and nonce, a signature of 96 bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from zk_autograd.core.attestation import MAX_RAW
from zk_autograd.core.errors import AttestationError
from zk_autograd.core.text import SHOWN, has_control, quoted
from zk_autograd.tee import cbor

ES384 = -35
"""RFC 9053, table 1: ECDSA with SHA-384."""

SIGNATURE_BYTES = 96
PCR_BYTES = 48
MAX_PAYLOAD = 2**14
MAX_PCRS = 32
MAX_BUNDLE = 8
"""Certificates from the root on. Real documents have four."""

MAX_CERTIFICATE = 1024
MAX_FIELD = 1024
"""Bytes of user data, of a nonce and of a public key."""

MAX_MODULE = 256
MAX_TIME = 253_402_300_799_999
"""Milliseconds since 1970, at the end of the year 9999."""

_TAG = 0xD2  # COSE_Sign1, 18; it may be left out
_ALG = 1
_FIELDS = frozenset(
    ("module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle", "public_key", "user_data", "nonce")
)
_OPTIONAL = frozenset(("public_key", "user_data", "nonce"))


@dataclass(frozen=True, slots=True)
class Payload:
    """What is signed. `time`: milliseconds since 1970, by the clock of the Nitro hypervisor;
    `pcrs`: 1 to 32 registers of 48 bytes, by number; `certificate` and `bundle`: DER, the signer's
    and those from the root to its issuer; None for a field that is null or absent."""

    module: str
    time: int
    pcrs: Mapping[int, bytes]
    certificate: bytes
    bundle: tuple[bytes, ...]
    public_key: bytes | None
    user_data: bytes | None
    nonce: bytes | None


@dataclass(frozen=True, slots=True)
class Signed:
    """A document. `signed`: the bytes that `signature` (r and s, 48 bytes each) is over."""

    signed: bytes
    signature: bytes
    payload: Payload


def parse(document: bytes) -> Signed:
    """The document of these bytes, tagged or not. AttestationError for any other form."""
    if not 0 < len(document) <= MAX_RAW:
        raise _invalid("the document", f"1 to {MAX_RAW} bytes", f"{len(document)} bytes")
    parts = cbor.decode(document[1:] if document[0] == _TAG else document, "the document")
    if type(parts) is not list or len(parts) != 4:
        raise _invalid("the document", "the four parts of a COSE_Sign1 message", _kind(parts))
    protected = _bytes(parts[0], "the protected header", 1, MAX_FIELD)
    header = cbor.decode(protected, "the protected header")
    if not _is_es384(header):
        raise _invalid("the protected header", f"the algorithm ES384 ({ES384}) and nothing else", _shown(header))
    if type(parts[1]) is not dict or parts[1]:
        raise _invalid("the unprotected header", "an empty one, since nothing signs it", _shown(parts[1]))
    payload = _bytes(parts[2], "the payload", 1, MAX_PAYLOAD)
    signature = _bytes(parts[3], "the signature", SIGNATURE_BYTES, SIGNATURE_BYTES)
    return Signed(signed_bytes(protected, payload), signature, _payload(cbor.decode(payload, "the payload")))


def signed_bytes(protected: bytes, payload: bytes) -> bytes:
    """What a COSE_Sign1 signature is over (RFC 9052, 4.4), with nothing added from outside."""
    return cbor.encode(["Signature1", protected, b"", payload])


def protected_header() -> bytes:
    """The header of every document, as its bytes."""
    return cbor.encode({_ALG: ES384})


def _is_es384(header: object) -> bool:
    # type() as well: True and 1.0 equal 1 where keys are compared
    return type(header) is dict and [(type(key), key, type(value), value) for key, value in header.items()] == [
        (int, _ALG, int, ES384)
    ]


def _payload(value: object) -> Payload:
    if type(value) is not dict or any(type(name) is not str for name in value):
        raise _invalid("the payload", "a map with names for keys", _kind(value))
    if "nitrotpm_pcrs" in value:
        raise AttestationError(
            "it is a NitroTPM document (nitrotpm_pcrs), about an instance that was booted, and not about an enclave",
            expected="pcrs",
            found="nitrotpm_pcrs",
        )
    if unknown := sorted(value.keys() - _FIELDS):
        raise _invalid("the payload", "no other fields than a document has", quoted(unknown[0], SHOWN))
    if missing := sorted(_FIELDS - _OPTIONAL - value.keys()):
        raise AttestationError(f"the payload has no {missing[0]}")
    if type(value["digest"]) is not str or value["digest"] != "SHA384":
        raise _invalid("digest", "SHA384", _shown(value["digest"]))
    return Payload(
        _module(value["module_id"]),
        _time(value["timestamp"]),
        _pcrs(value["pcrs"]),
        _bytes(value["certificate"], "certificate", 1, MAX_CERTIFICATE),
        _bundle(value["cabundle"]),
        _optional(value, "public_key", 1),
        _optional(value, "user_data", 0),
        _optional(value, "nonce", 0),
    )


def _module(value: object) -> str:
    if type(value) is not str or not 0 < len(value) <= MAX_MODULE or has_control(value):
        raise _invalid("module_id", f"a text of 1 to {MAX_MODULE} characters", _shown(value))
    return value


def _time(value: object) -> int:
    if type(value) is not int or not 0 < value <= MAX_TIME:
        raise _invalid("timestamp", f"milliseconds from 1 to {MAX_TIME}", _shown(value))
    return value


def _pcrs(value: object) -> dict[int, bytes]:
    if type(value) is not dict or not 0 < len(value) <= MAX_PCRS:
        raise _invalid("pcrs", f"a map of 1 to {MAX_PCRS} registers", _kind(value))
    for number in value:
        if type(number) is not int or not 0 <= number < MAX_PCRS:
            raise _invalid("pcrs", f"numbers from 0 to {MAX_PCRS - 1} for keys", _shown(number))
    return {number: _bytes(pcr, f"pcrs[{number}]", PCR_BYTES, PCR_BYTES) for number, pcr in value.items()}


def _bundle(value: object) -> tuple[bytes, ...]:
    if type(value) is not list or not 0 < len(value) <= MAX_BUNDLE:
        raise _invalid("cabundle", f"an array of 1 to {MAX_BUNDLE} certificates", _kind(value))
    return tuple(_bytes(item, f"cabundle[{at}]", 1, MAX_CERTIFICATE) for at, item in enumerate(value))


def _optional(values: Mapping[str, object], name: str, least: int) -> bytes | None:
    value = values.get(name)
    return None if value is None else _bytes(value, name, least, MAX_FIELD)


def _bytes(value: object, what: str, least: int, most: int) -> bytes:
    if type(value) is not bytes or not least <= len(value) <= most:
        expected = f"{least} bytes" if least == most else f"{least} to {most} bytes"
        raise _invalid(what, expected, _kind(value))
    return value


def _invalid(what: str, expected: str, found: str) -> AttestationError:
    return AttestationError(f"{what} is invalid", expected=expected, found=found)


def _kind(value: object) -> str:
    """What a value is, without repeating it."""
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, list | dict):
        return f"{'an array' if isinstance(value, list) else 'a map'} of {len(value)}"
    return "null" if value is None else f"a value of the type {type(value).__name__}"


def _shown(value: object) -> str:
    return _kind(value) if isinstance(value, bytes | list) or value is None else quoted(repr(value), SHOWN)
