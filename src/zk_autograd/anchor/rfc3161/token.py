"""Time-stamp tokens: what is asked for, and what of an authority's reply holds without trust in it.

Sources: RFC 3161 (2.4.1 request, 2.4.2 reply), RFC 5652 (5.3, 5.4 signed attributes), RFC 5816 (the
certificate that a token names). What is stamped is the SHA-256 of a checkpoint's *text*, three
lines, so that a token is for the tree head and not for one of the forms in which it was signed.

`rfc3161_client` reads the stamp itself (TSTInfo) and, in receipt.py, judges signature and path by
OpenSSL. What it doesn't look at is checked here: that the signer's certificate is the one that the
signed attributes name by its hash, that the hash of what is signed is none that collides, that the
attributes are a time stamp's. A token is given to it without the certificates that lie in it:
before 1.0.9 it trusted those, and it refuses a set of them that isn't sorted.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha1, sha256, sha384, sha512
from typing import TYPE_CHECKING, Any

from zk_autograd.core import der
from zk_autograd.core.certificates import MAX_CERTIFICATES, parse_der
from zk_autograd.core.checkpoint import Checkpoint, checkpoint_text
from zk_autograd.core.der import Element, encode
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.text import printable

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

MAX_TOKEN = 2**16
"""Bytes of a token, with the certificates in it."""

PURPOSE = "1.3.6.1.5.5.7.3.8"
"""What the signer's certificate must be for, and nothing else: id-kp-timeStamping."""

NONCE_BYTES = 16
MAX_ACCURACY = 86_400
"""Seconds: a stamp that may be off by more says nothing that is worth knowing."""

_SHA256_NAME = "2.16.840.1.101.3.4.2.1"
_SHA256 = bytes.fromhex("608648016503040201")
_HASHES = {_SHA256: sha256, bytes.fromhex("608648016503040202"): sha384, bytes.fromhex("608648016503040203"): sha512}
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
_STAMP = bytes.fromhex("2a864886f70d0109100104")
_CONTENT_TYPE, _MESSAGE_DIGEST = bytes.fromhex("2a864886f70d010903"), bytes.fromhex("2a864886f70d010904")
_NAMES_SHA1, _NAMES = bytes.fromhex("2a864886f70d010910020c"), bytes.fromhex("2a864886f70d010910022f")
_RSA, _ECDSA = bytes.fromhex("2a864886f70d0101"), bytes.fromhex("2a8648ce3d0403")
_CERTIFICATES, _LISTS, _UNSIGNED = 0xA0, 0xA1, 0xA1
_STAMP_EXTENSIONS, _TIME = 0xA1, 0x18


class UnknownSignerError(VerificationError):
    """The certificate that a token names isn't there, so that nothing can be said of the token."""


def imprint(head: Checkpoint) -> bytes:
    """What is stamped: the SHA-256 of the checkpoint's text."""
    return sha256(checkpoint_text(head.origin, head.size, head.root).encode("utf-8")).digest()


def request(digest: bytes, nonce: bytes) -> bytes:
    """A TimeStampReq for a SHA-256, which asks for the signer's certificate. `nonce`: 16 bytes."""
    hashed = encode(der.SEQUENCE, _algorithm(_SHA256), encode(der.OCTETS, digest))
    return encode(
        der.SEQUENCE,
        der.encode_integer(1),
        hashed,
        der.encode_integer(int.from_bytes(nonce, "big")),
        encode(der.BOOLEAN, b"\xff"),
    )


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was signed with the key of `signer`, of which more must be known. `response`:
    without its certificates, as rfc3161_client reads it; `stamp`: what was signed, a TSTInfo;
    `time`: what it says; `latest`: that and its accuracy; `policy`: the identifier that the
    authority states; `others`: the certificates in it.
    """

    response: Any
    stamp: bytes
    time: datetime
    latest: datetime
    policy: str
    signer: "Certificate"
    others: "tuple[Certificate, ...]"

    @property
    def digest(self) -> bytes:
        """What is stamped."""
        return bytes(self.response.tst_info.message_imprint.message)

    def require(self, digest: bytes, nonce: bytes) -> None:
        """VerificationError unless the stamp is for this SHA-256 and repeats this nonce."""
        info = self.response.tst_info
        if info.message_imprint.hash_algorithm.dotted_string != _SHA256_NAME or self.digest != digest:
            raise VerificationError(
                "the time stamp is for another checkpoint, or by another hash than SHA-256",
                expected=digest.hex(),
                found=self.digest.hex()[:128],
            )
        if info.nonce is None:
            raise VerificationError("the time stamp doesn't repeat the nonce that it was asked with")
        if info.nonce != int.from_bytes(nonce, "big"):
            raise VerificationError(
                "the time stamp has another nonce: it is an answer to another request",
                expected=nonce.hex(),
                found=f"{info.nonce:x}"[:80],
            )


def parse(token: bytes, known: "tuple[Certificate, ...]" = ()) -> Token:
    """The token, if it is signed with the key of the certificate that it names; `known`: where else
    than in the token that one may be. VerificationError otherwise. ImportError without
    rfc3161_client."""
    if len(token) > MAX_TOKEN:
        raise VerificationError(
            "the token is too large", expected=f"at most {MAX_TOKEN} bytes", found=f"{len(token)} bytes"
        )
    kind, wrapped = der.element(token, der.SEQUENCE).items(der.OBJECT, 0xA0)[:2]
    if kind.content != _SIGNED_DATA:
        raise VerificationError("the token is no signed data (RFC 5652, section 5)")
    data = der.element(wrapped.content, der.SEQUENCE).items(der.INTEGER, der.SET, der.SEQUENCE)
    signers = data[-1].items(der.SEQUENCE)
    if data[-1].tag != der.SET or len(signers) != 1:
        raise VerificationError("the token has not one signature", expected="1", found=str(len(signers)))
    stamp = _stamp(data[2])
    response = _response(data[:3], signers[0])
    _require_known(response.tst_info, stamp)
    inside = _certificates(data[3:-1])
    signer = _signed(signers[0], stamp, (*inside, *known))
    info = response.tst_info
    time = info.gen_time.replace(tzinfo=UTC)
    try:
        latest = time + _accuracy(info.accuracy, stamp)
    except OverflowError as error:
        raise VerificationError("the time stamp is of a time after the year 9999, its accuracy counted") from error
    return Token(response, stamp, time, latest, info.policy.dotted_string, signer, inside)


def _stamp(content: Element) -> bytes:
    """The TSTInfo's bytes."""
    kind, wrapped = content.items(der.OBJECT, 0xA0)[:2]
    if kind.content != _STAMP:
        raise VerificationError("the token's content is no time stamp")
    return der.element(wrapped.content, der.OCTETS).content


def _certificates(rest: list[Element]) -> "tuple[Certificate, ...]":
    """Those that lie in the token, in whatever order; revocation lists are passed over."""
    if any(element.tag not in (_CERTIFICATES, _LISTS) for element in rest):
        raise VerificationError("the token has parts that no signed data has")
    inside = [item for element in rest if element.tag == _CERTIFICATES for item in element.items()]
    if len(inside) > MAX_CERTIFICATES:
        raise VerificationError(f"the token has more than {MAX_CERTIFICATES} certificates")
    return tuple(parse_der(item.whole, "a certificate in the token") for item in inside)


def _response(data: list[Element], signer: Element) -> Any:
    """A granted reply with this token and nothing that isn't signed, as rfc3161_client reads it."""
    from rfc3161_client import decode_timestamp_response

    parts = [item for item in signer.items() if item.tag != _UNSIGNED]
    bare = encode(
        der.SEQUENCE,
        *(element.whole for element in data),
        encode(der.SET, encode(der.SEQUENCE, *(part.whole for part in parts))),
    )
    token = encode(der.SEQUENCE, encode(der.OBJECT, _SIGNED_DATA), encode(0xA0, bare))
    granted = encode(der.SEQUENCE, der.encode_integer(0))
    try:
        response = decode_timestamp_response(encode(der.SEQUENCE, granted, token))
        for part in ("version", "policy", "message_imprint", "gen_time", "accuracy", "nonce"):
            getattr(response.tst_info, part)  # each is read when it is asked for
    except Exception as error:
        raise VerificationError(f"the time stamp can't be read: {printable(str(error))[:200]}") from error
    return response


def _signed(signer: Element, stamp: bytes, candidates: "tuple[Certificate, ...]") -> "Certificate":
    """The certificate that signed the stamp, found by its hash in the signed attributes."""
    items = signer.items(der.INTEGER, der.SEQUENCE, der.SEQUENCE, 0xA0, der.SEQUENCE, der.OCTETS)
    hashed = _HASHES.get(_first_object(items[2]))
    if hashed is None:
        raise VerificationError("the token's signature is over a hash that isn't taken", expected="SHA-256, 384 or 512")
    attributes = _attributes(items[3])
    if attributes.get(_CONTENT_TYPE) != encode(der.OBJECT, _STAMP):
        raise VerificationError("the signed attributes are not a time stamp's (content type)")
    if attributes.get(_MESSAGE_DIGEST) != encode(der.OCTETS, hashed(stamp).digest()):
        raise VerificationError("the token was altered: its signature is over another time stamp")
    certificate = _named(attributes, candidates)
    sid = items[1].items(der.SEQUENCE, der.INTEGER)
    if (sid[0].whole, int.from_bytes(sid[1].content, "big", signed=True)) != (
        certificate.issuer.public_bytes(),
        certificate.serial_number,
    ):
        raise VerificationError("the token names two certificates as its signer's")
    _require_signature(certificate, items[4], items[5].content, encode(der.SET, items[3].content), hashed().name)
    return certificate


def _attributes(signed: Element) -> dict[bytes, bytes]:
    """The signed attributes, each with its one value. VerificationError for one that is there
    twice: which of them counts?"""
    found: dict[bytes, bytes] = {}
    for attribute in signed.items():
        kind, values = attribute.items(der.OBJECT, der.SET)[:2]
        value = values.items()
        if kind.content in found or len(value) != 1:
            raise VerificationError("a signed attribute of the token has not one value")
        found[kind.content] = value[0].whole
    return found


def _named(attributes: dict[bytes, bytes], candidates: "tuple[Certificate, ...]") -> "Certificate":
    """The certificate of `candidates` that the attributes name as the signer's (ESSCertID,
    ESSCertIDv2: the first of their list)."""
    from cryptography.hazmat.primitives.serialization import Encoding

    names = []
    if (value := attributes.get(_NAMES)) is not None:
        items = _first(value).items()
        algorithm = _first_object(items.pop(0)) if items and items[0].tag == der.SEQUENCE else _SHA256
        names.append((_HASHES.get(algorithm), items[0].content if items and items[0].tag == der.OCTETS else b""))
    if (value := attributes.get(_NAMES_SHA1)) is not None:
        names.append((sha1, _first(value).items(der.OCTETS)[0].content))
    if not names:
        raise VerificationError("the token doesn't say which certificate signed it (RFC 3161, section 2.4.2)")
    for certificate in candidates:
        whole = certificate.public_bytes(Encoding.DER)
        if all(hashed is not None and hashed(whole).digest() == name for hashed, name in names):
            return certificate
    raise UnknownSignerError("the certificate that signed the token is neither in it nor among those that you gave")


def _first(value: bytes) -> Element:
    return der.element(value, der.SEQUENCE).items(der.SEQUENCE)[0].items(der.SEQUENCE)[0]


def _first_object(algorithm: Element) -> bytes:
    """The identifier of an AlgorithmIdentifier."""
    return algorithm.items(der.OBJECT)[0].content


def _require_signature(
    certificate: "Certificate", algorithm: Element, signature: bytes, signed: bytes, name: str
) -> None:
    """VerificationError unless the signature is the certificate's key's. RSA (PKCS #1 v1.5) and
    ECDSA, with the hash `name`."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

    kind, key = _first_object(algorithm), certificate.public_key()
    hashed = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}[name]
    rsa_kinds = {b"\x01": name, b"\x0b": "sha256", b"\x0c": "sha384", b"\x0d": "sha512"}
    ecdsa_kinds = {b"\x02": "sha256", b"\x03": "sha384", b"\x04": "sha512"}
    try:
        if isinstance(key, rsa.RSAPublicKey) and rsa_kinds.get(kind.removeprefix(_RSA)) == name:
            key.verify(signature, signed, padding.PKCS1v15(), hashed)
            return
        if isinstance(key, ec.EllipticCurvePublicKey) and ecdsa_kinds.get(kind.removeprefix(_ECDSA)) == name:
            key.verify(signature, signed, ec.ECDSA(hashed))
            return
    except Exception as error:  # InvalidSignature, and what a malformed one gives
        raise VerificationError("the token's signature is not valid") from error
    raise VerificationError("the token's signature is of a kind that isn't taken: RSA (PKCS #1 v1.5) and ECDSA are")


def _require_known(info: Any, stamp: bytes) -> None:
    """VerificationError for a stamp of another version, or with a critical extension: it says
    something that isn't known here."""
    if info.version != 1 or info.policy is None:
        raise VerificationError("the time stamp is not one of version 1 with a policy")
    last = der.element(stamp, der.SEQUENCE).items()[-1]
    if last.tag == _STAMP_EXTENSIONS and any(
        item.tag == der.BOOLEAN for extension in last.items() for item in extension.items()
    ):
        raise VerificationError("the time stamp has a critical extension that isn't known here")


def _accuracy(found: Any, stamp: bytes) -> timedelta:
    """How much later than its whole second a stamp may have been made."""
    written = next((item.content for item in der.element(stamp, der.SEQUENCE).items() if item.tag == _TIME), b"")
    fraction = timedelta(seconds=1 if b"." in written else 0)
    if found is None:
        return fraction
    seconds = found.seconds or 0
    if seconds > MAX_ACCURACY:
        raise VerificationError(
            "the time stamp is too vague", expected=f"within {MAX_ACCURACY} seconds", found=str(seconds)[:40]
        )
    return fraction + timedelta(seconds=seconds, milliseconds=found.millis or 0, microseconds=found.micros or 0)


def _algorithm(identifier: bytes) -> bytes:
    return encode(der.SEQUENCE, encode(der.OBJECT, identifier), encode(0x05))
