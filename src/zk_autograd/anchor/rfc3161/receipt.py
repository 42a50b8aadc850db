"""What a receipt of the anchor `rfc3161` shows: that the tree head is not younger than a time, on
the word of a time-stamp authority whose root certificate the auditor has.

Its body is {"nonce": <32 hexadecimal digits>, "token": <the token in DER, base64>}. That nobody was
shown another branch it doesn't show: an authority stamps what it is given, and remembers nothing.

Certificates that have expired since are no fault: what counts is that they were valid when the
stamp was made. Whether one was revoked can't be known without a network; an authority whose key was
stolen can be made to say any time, so an auditor who hears of that takes its root away.

The auditor's table [anchors.rfc3161]:

    roots = ["file.pem", ...]   files beside the policy, with root certificates; whatever else is in
                                them, such as the rest of a chain, helps to find a path
    policies = ["1.2.3", ...]   only tokens under one of these policies count; none: any
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from zk_autograd.anchor.rfc3161.token import MAX_TOKEN, NONCE_BYTES, PURPOSE, Token, UnknownSignerError, imprint, parse
from zk_autograd.core.anchors import AnchorClaim, Receipt, SignedCheckpoint, Standing
from zk_autograd.core.certificates import fingerprint, is_root, parse_pem, path, require_purpose
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.text import decode_base64, listed, printable

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

KIND = "rfc3161"
RESTS_ON = (
    "on the clock and the key of a time-stamp authority: the tree head is not younger than its stamp; that there is no "
    "other branch it doesn't show"
)
MAX_FILES = 16
_EXTRA = "the package rfc3161-client is missing, which judges time stamps: pip install 'zk-autograd[rfc3161]'"


@dataclass(frozen=True, slots=True)
class Trust:
    """Root certificates of authorities, others that help to find a path to them, and the policies
    under which a token counts (none: any)."""

    roots: "tuple[Certificate, ...]"
    others: "tuple[Certificate, ...]" = ()
    policies: tuple[str, ...] = ()


def read_trust(fields: Fields, read: Callable[[str], bytes]) -> Trust:
    """See core.anchors.AnchorVerifier."""
    roots: list[Certificate] = []
    others: list[Certificate] = []
    for name in fields.texts("roots", MAX_FILES, 200, min_items=1):
        found = parse_pem(read(name), name)
        here = [certificate for certificate in found if is_root(certificate)]
        if not here:
            raise VerificationError(f"{printable(name)} holds no root certificate, one that is signed with its own key")
        roots += here
        others += [certificate for certificate in found if certificate not in here]
    policies = fields.texts("policies", MAX_FILES, 200, min_items=1) if "policies" in fields else []
    return Trust(tuple(roots), tuple(others), tuple(policies))


def verify(receipt: Receipt, checkpoint: SignedCheckpoint, trust: Trust | None) -> AnchorClaim:
    """See core.anchors.AnchorVerifier. What holds without trust is judged without it."""
    receipt.require_head(checkpoint.head)
    fields = receipt.fields()
    nonce = fields.hex("nonce", NONCE_BYTES)
    token_bytes = decode_base64(fields.text("token", MAX_TOKEN // 3 * 4 + 4), "the token")
    fields.end()
    try:
        token = parse(token_bytes, trust.others if trust else ())
    except ImportError:
        return _unjudged(_EXTRA)
    except UnknownSignerError as error:
        return _unjudged(error.message)
    token.require(imprint(checkpoint.head), nonce)
    if trust is None:
        require_purpose(token.signer, PURPOSE, token.time)
        return _unjudged("you gave no root certificate of a time-stamp authority: [anchors.rfc3161] roots")
    return judge(token, trust)


def judge(token: Token, trust: Trust) -> AnchorClaim:
    """What a token shows of what is stamped, under the auditor's trust. VerificationError."""
    from rfc3161_client import VerifierBuilder

    require_purpose(token.signer, PURPOSE, token.time)
    chain = path(token.signer, [*token.others, *trust.others], trust.roots, PURPOSE, token.time)
    if chain is None:
        return _unjudged(
            f"no path leads from the certificate {fingerprint(token.signer)} to a root that you gave, through "
            "certificates that were valid at the time of the stamp"
        )
    if trust.policies and token.policy not in trust.policies:
        return _unjudged(f"it was stamped under the policy {token.policy}, and you take {listed(trust.policies, 3)}")
    try:
        VerifierBuilder(tsa_certificate=chain[0], intermediates=chain[1:-1], roots=chain[-1:]).build().verify(
            token.response, token.digest
        )
    except Exception as error:  # its own VerificationError, and ValueError
        raise VerificationError(f"OpenSSL refuses the token: {printable(str(error))[:300]}") from error
    return AnchorClaim(
        KIND,
        Standing.SHOWN,
        f"{RESTS_ON}; stamped by {fingerprint(token.signer)}",
        time=math.ceil(token.latest.timestamp()),
        identity=(fingerprint(chain[-1]),),
        keys=tuple(_key(certificate) for certificate in chain),
    )


def _key(certificate: "Certificate") -> str:
    """Its public key's hash. Who shares one with another path, from the root to the signer, is no
    authority of their own, whatever certificates there are of it."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"key with SHA-256 {sha256(key).hexdigest()}"


def _unjudged(why: str) -> AnchorClaim:
    return AnchorClaim(KIND, Standing.UNJUDGED, why)
