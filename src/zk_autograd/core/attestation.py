"""Attestations, as both sides know them: what an enclave's device is asked to sign, the files that
a run keeps of it, and what a verified document shows.

A run of an enclave has two files. attestation/document.json is named by the genesis record, so that
whoever time-stamps that record time-stamps the document:

    {"format": "zk-autograd/attestation/v0", "kind": "nitro" (or "snp"), "document": <hexadecimal>,
     "release_key": <hexadecimal>, "nonce": <hexadecimal>, "job": <hexadecimal>}

attestation/collateral.json holds certificates and revocation lists of the time. No record names it:
each of them is signed by itself.

    {"format": "zk-autograd/collateral/v0", "certificates": [<DER, hexadecimal>], "crls": [...]}

What the device signs is `Binding.digest`, 64 bytes: the fields of its data that a caller may choose
(user_data of a Nitro document, REPORT_DATA of an SEV-SNP report).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha512
from typing import Any, Protocol

from zk_autograd.core import canonical
from zk_autograd.core.canonical import Json
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields

DOCUMENT_FORMAT = "zk-autograd/attestation/v0"
COLLATERAL_FORMAT = "zk-autograd/collateral/v0"

MAX_RAW = 2**15
"""Bytes of a device's document. The largest real one that is known has 7,538."""

MAX_DOCUMENT = 2**18
"""Bytes of attestation/document.json."""

MAX_COLLATERAL = 2**22
"""Bytes of attestation/collateral.json. AMD's revocation lists have a few hundred bytes."""

MAX_CERTIFICATES = 16
MAX_CERTIFICATE = 2**14
MAX_CRLS = 16
MAX_CRL = 2**20
MAX_RELEASE_KEY = 4096
MAX_KIND = 20
LEAST_NONCE = 16
"""Bytes: an auditor's nonce of fewer than 128 bits can be met by chance, or by many tries."""

MAX_NONCE = 64
JOB_BYTES = 32
DIGEST_BYTES = 64

_RUN = b"zk-autograd/attested-run/v0"
_RELEASE = b"zk-autograd/attested-release/v0"


def bound(domain: bytes, *parts: bytes) -> bytes:
    """SHA-512 over `domain` and `parts`, each after its length (8 bytes, big-endian), and their
    number: 64 bytes. No two different lists have the same encoding."""
    hashed = sha512()
    for part in (domain, len(parts).to_bytes(8, "big"), *parts):
        hashed.update(len(part).to_bytes(8, "big"))
        hashed.update(part)
    return hashed.digest()


@dataclass(frozen=True, slots=True)
class Binding:
    """What a run's document is about: the run's id (16 bytes), `core.records.header_digest` of its
    header, the texts of the log's keys in the header's order, the public key under which secrets
    were released to the enclave (b"" for none), the auditor's nonce (b"" for none), and the SHA-256
    of the sealed job that it trains (b"" for none): a run's id is no secret, and whoever knows it
    may have another job of that id trained."""

    run: bytes
    header: bytes
    keys: tuple[str, ...]
    release_key: bytes = b""
    nonce: bytes = b""
    job: bytes = b""

    def digest(self) -> bytes:
        """64 bytes for the device to sign."""
        keys = bound(b"keys", *(key.encode("utf-8") for key in self.keys))
        return bound(_RUN, self.run, self.header, keys, self.release_key, self.nonce, self.job)


def release_digest(run: bytes, release_key: bytes, nonce: bytes) -> bytes:
    """64 bytes for the device to sign when an enclave asks for the secrets of the run with this id:
    to be wrapped for `release_key`, under the nonce of whoever releases them."""
    return bound(_RELEASE, run, release_key, nonce)


@dataclass(frozen=True, slots=True)
class Document:
    """attestation/document.json. `raw` is the device's own document; nothing of it is checked."""

    kind: str
    raw: bytes
    release_key: bytes = b""
    nonce: bytes = b""
    job: bytes = b""

    def encode(self) -> bytes:
        """The file's bytes."""
        value: dict[str, Json] = {
            "format": DOCUMENT_FORMAT,
            "kind": self.kind,
            "document": self.raw.hex(),
            "release_key": self.release_key.hex(),
            "nonce": self.nonce.hex(),
            "job": self.job.hex(),
        }
        return canonical.encode(value)

    @classmethod
    def parse(cls, data: bytes) -> "Document":
        """The document of a file. VerificationError unless `encode` gives the same bytes."""
        fields = Fields(canonical.decode(data, max_bytes=MAX_DOCUMENT), "document")
        fields.choice("format", (DOCUMENT_FORMAT,))
        document = cls(
            fields.text("kind", MAX_KIND),
            _bytes(fields, "document", 1, MAX_RAW),
            _bytes(fields, "release_key", 0, MAX_RELEASE_KEY),
            _bytes(fields, "nonce", 0, MAX_NONCE),
            _job(fields),
        )
        fields.end()
        return document


@dataclass(frozen=True, slots=True)
class Collateral:
    """attestation/collateral.json: certificates and certificate revocation lists, DER. Nothing of
    them is checked."""

    certificates: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()

    def encode(self) -> bytes:
        """The file's bytes."""
        value: dict[str, Json] = {
            "format": COLLATERAL_FORMAT,
            "certificates": [certificate.hex() for certificate in self.certificates],
            "crls": [crl.hex() for crl in self.crls],
        }
        return canonical.encode(value)

    @classmethod
    def parse(cls, data: bytes) -> "Collateral":
        """The collateral of a file. VerificationError unless `encode` gives the same bytes."""
        fields = Fields(canonical.decode(data, max_bytes=MAX_COLLATERAL), "collateral")
        fields.choice("format", (COLLATERAL_FORMAT,))
        found = cls(
            tuple(
                _octets(v.text(2 * MAX_CERTIFICATE), v.where) for v in fields.array("certificates", MAX_CERTIFICATES)
            ),
            tuple(_octets(v.text(2 * MAX_CRL), v.where) for v in fields.array("crls", MAX_CRLS)),
        )
        fields.end()
        return found


def _bytes(fields: Fields, name: str, least: int, most: int) -> bytes:
    value = fields.value(name)
    found = _octets(value.text(2 * most, min_len=2 * least), value.where)
    return found


def _job(fields: Fields) -> bytes:
    job = _bytes(fields, "job", 0, JOB_BYTES)
    if len(job) not in (0, JOB_BYTES):
        raise VerificationError("document.job is invalid", expected=f"no bytes, or {JOB_BYTES}", found=str(len(job)))
    return job


def _octets(text: str, where: str) -> bytes:
    if len(text) % 2 or set(text) - set("0123456789abcdef"):
        raise VerificationError(f"{where} is invalid", expected="an even number of lower-case hexadecimal digits")
    return bytes.fromhex(text)


@dataclass(frozen=True, slots=True)
class Attested:
    """What a genuine document says, in the words that step 8 needs.

    `root`: the name of the root that its chain ends in ("aws-nitro", "amd-milan", ..., or
    "emulated"); `emulated`: that root shows nothing; `bound`: the 64 bytes that the device signed
    for the caller (b"" if there are none, or other than 64); `time`: POSIX seconds of the
    document's own clock, None where it has none; `measurement`: what is told of the code, short;
    `claim`: the kind's own, for its `judge`. `limits`: sentences on what it does not show.
    """

    kind: str
    root: str
    emulated: bool
    bound: bytes
    time: int | None
    measurement: str
    claim: Any
    limits: tuple[str, ...] = ()


class AttestationVerifier(Protocol):
    """A device's side of a verification: the module tee/<kind>/evidence.py has these names."""

    KIND: str

    def read_trust(self, fields: Fields, read: Callable[[str], bytes]) -> Any:
        """The auditor's trust in this kind from a table of theirs, [attestation.<kind>] of a
        policy; the caller ends the fields. `read` gives the bytes of a file that lies beside the
        policy, by its plain name. VerificationError for a table that makes no sense, and for one
        that allows no measurement."""
        ...

    def verify(self, document: bytes, collateral: Collateral, at: int | None) -> Attested:
        """What a document shows, with no opinion. Every certificate has to be valid at `at` (POSIX
        seconds), and none revoked by a list of that time; None: at the time that the document
        itself says, which shows nothing of time. No network, no clock.

        AttestationError for what is malformed or wrongly signed; AttestationShort for what is
        genuine but can't be relied upon at `at` (a certificate ended or was revoked), and where a
        package is missing that it takes.
        """
        ...

    def judge(self, attested: Attested, trust: Any) -> Sequence[str]:
        """The auditor's opinion, by `trust` (what `read_trust` gave): sentences, what was asked for
        and found. AttestationShort names what the document falls short of: its measurement, a debug
        bit, a version, an emulated root."""
        ...
