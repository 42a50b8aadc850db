"""The auditor's own key, which signs verdicts: a file in PEM that only its owner can read.

It holds a private key of Ed25519 (RFC 8032) or of ECDSA over P-256 with SHA-256 (FIPS 186-5), as
`openssl genpkey` writes it and as the consumers of DSSE envelopes take its public half. It is
another key than a trainer's log key, on purpose: who trained must not be taken for who judged.
"""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from zk_autograd.core.dsse import Envelope, Signature
from zk_autograd.core.errors import UsageError
from zk_autograd.local.named_files import open_named, refusal

_MAX_BYTES = 16 * 1024
_MAKE = "make one with `openssl genpkey -algorithm ed25519 -out FILE`"


@dataclass(frozen=True, slots=True)
class AuditorKey:
    """`keyid` is the SHA-256 of the public key in DER (SubjectPublicKeyInfo), in hexadecimal."""

    keyid: str
    _sign: Callable[[bytes], bytes] = field(repr=False)

    def signed(self, envelope: Envelope) -> Envelope:
        """The envelope with this key's signature as its only one."""
        signature = Signature(self._sign(envelope.signed), self.keyid)
        return Envelope(envelope.payload_type, envelope.payload, (signature,))


def load(path: Path) -> AuditorKey:
    """The key in a file. UsageError if there is none, if others than its owner can read it, or if
    it isn't such a key; no message repeats what is in it. StorageError where the system refuses."""
    what = "--svr-key"
    with open_named(path, what, _MAX_BYTES) as descriptor:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        if mode & 0o077:
            raise UsageError(f"{what} {path} can be read by others (mode {mode:04o}): `chmod 600 {path}`")
        try:
            data = os.read(descriptor, _MAX_BYTES)
        except OSError as error:
            raise refusal(error, f"{what} {path} can't be read") from error
    return _parse(data, f"{what} {path}")


def _parse(data: bytes, what: str) -> AuditorKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    if data.startswith(b"zk-autograd/log-key/"):
        raise UsageError(f"{what} is a trainer's log key, which signs no verdicts: {_MAKE}")
    try:
        key = load_pem_private_key(data, password=None)
    except TypeError:
        raise UsageError(f"{what} is encrypted: give a file with the key in clear, or {_MAKE}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(f"{what} is no private key in PEM: {_MAKE}") from None
    sign: Callable[[bytes], bytes]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        sign = key.sign
    elif isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        ecdsa = key

        def sign(data: bytes) -> bytes:
            return ecdsa.sign(data, ec.ECDSA(SHA256()))
    else:
        raise UsageError(f"{what} is neither an Ed25519 nor a P-256 key: {_MAKE}")
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return AuditorKey(sha256(public).hexdigest(), sign)
