"""What a receipt of the anchor `tpm` shows: a TPM signed this tree head when the register's counter
in it stood at a value, and that counter never goes back.

Its body:

    {"statement": <TPMS_ATTEST of TPM2_NV_Certify, base64>, "signature": <ECDSA in DER, base64>,
     "key": <the attestation key's TPMT_PUBLIC, hexadecimal>, "certificates": [<DER, base64>, ...]}

The statement's extra data is the SHA-256 of the checkpoint's text, so counter and root stand under
one signature. What this is worth:

* The counter can't be set back. One that is deleted and made anew goes on above the highest value
  that any counter of the TPM ever had (TPM 2.0 Library, part 3, TPM2_NV_Increment).
* A fork it doesn't exclude. The TPM knows the counter and no root: it signs two roots at one value,
  or those of two branches at values in turn. But nobody can make the older of two tree heads look
  like the newer, and two heads at one value, or a smaller tree at a higher value, show misuse to
  whoever sees both: `AnchorClaim.position`, core.anchors.require_order.
* All of it rests on the TPM being one. A software TPM (swtpm, the TPM of a virtual machine) has its
  state in a file, which its host can copy, restore and read the key from.

The auditor's table [anchors.tpm], of which one field is enough:

    names = ["000b..."]     names of attestation keys, each of a TPM whose owner showed the auditor
                            by credential activation (TPM2_MakeCredential for the endorsement key
                            and this name, TPM2_ActivateCredential in the TPM) that the key is in it
    ak = ["ak.pem", ...]    their public keys; a PEM says nothing of what a key may do, so the name
                            is better
    roots = ["ca.pem", ...] certificate authorities that activate credentials themselves and then
                            issue certificates of attestation keys (tcg-kp-AIKCertificate): the
                            receipt brings the certificate along

An endorsement key's certificate alone is no field: an endorsement key signs nothing, and that an
attestation key is in the same TPM is shown by credential activation, which needs the TPM's answer
to a secret of the auditor's. From a receipt nobody can tell.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from zk_autograd.anchor.tpm.structures import (
    COUNTER_BYTES,
    KEY_TEMPLATE,
    MAX_STATEMENT,
    NAME_BYTES,
    Statement,
    counter_public,
    key_of,
    name_of,
    place_of,
)
from zk_autograd.core.anchors import AnchorClaim, Receipt, SignedCheckpoint, Standing
from zk_autograd.core.certificates import MAX_PATH, fingerprint, is_root, parse_der, parse_pem, path, require_purpose
from zk_autograd.core.checkpoint import Checkpoint, checkpoint_text
from zk_autograd.core.ec_keys import EcPublicKey
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.text import decode_base64, printable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.x509 import Certificate

KIND = "tpm"
RESTS_ON = "on a TPM whose counter never goes back; that there is no other branch it doesn't show"
KEY_BYTES = len(KEY_TEMPLATE) + 68
PURPOSE = "2.23.133.8.3"
"""What an attestation key's certificate is for: tcg-kp-AIKCertificate."""

MAX_SIGNATURE = 72
MAX_CERTIFICATE = 2**14
MAX_KEYS = 64


@dataclass(frozen=True, slots=True)
class Trust:
    """Attestation keys that the auditor knows to be TPMs', by `names` or public `keys`; `roots`
    that issue certificates of such keys, and `others` that help to find a path."""

    names: frozenset[bytes] = frozenset()
    keys: frozenset[bytes] = frozenset()
    roots: "tuple[Certificate, ...]" = ()
    others: "tuple[Certificate, ...]" = ()


def read_trust(fields: Fields, read: Callable[[str], bytes]) -> Trust:
    """See core.anchors.AnchorVerifier."""
    names = [value.hex(NAME_BYTES) for value in fields.array("names", MAX_KEYS)] if "names" in fields else []
    files = fields.texts("ak", MAX_KEYS, 200) if "ak" in fields else []
    keys = [EcPublicKey.parse(read(file)).pem for file in files]
    certificates: list[Certificate] = []
    for file in fields.texts("roots", MAX_KEYS, 200) if "roots" in fields else []:
        certificates += parse_pem(read(file), printable(file))
    roots = tuple(one for one in certificates if is_root(one))
    if not (names or keys or roots):
        raise VerificationError("[anchors.tpm] names no key and no root certificate: give names, ak or roots")
    others = tuple(one for one in certificates if one not in roots)
    return Trust(frozenset(names), frozenset(keys), roots, others)


def qualifying(head: Checkpoint) -> bytes:
    """What the TPM signs along with the counter: the SHA-256 of the checkpoint's text."""
    return sha256(checkpoint_text(head.origin, head.size, head.root).encode("utf-8")).digest()


def verify(receipt: Receipt, checkpoint: SignedCheckpoint, trust: Trust | None) -> AnchorClaim:
    """See core.anchors.AnchorVerifier."""
    receipt.require_head(checkpoint.head)
    fields = receipt.fields()
    statement_bytes = _base64(fields, "statement", MAX_STATEMENT)
    signature = _base64(fields, "signature", MAX_SIGNATURE)
    public = fields.hex("key", KEY_BYTES)
    encoded = [value.text(MAX_CERTIFICATE // 3 * 4 + 4) for value in fields.array("certificates", MAX_PATH)]
    fields.end()
    certificates = [parse_der(decode_base64(text, "a certificate"), "a certificate in the receipt") for text in encoded]
    key = key_of(public)
    _require_signature(key, signature, statement_bytes)
    counter = _counter(Statement.parse(statement_bytes), checkpoint.head)
    name = name_of(public).hex()
    vouched = _vouched(public, key, certificates, trust)
    if not vouched:
        return AnchorClaim(
            KIND,
            Standing.UNJUDGED,
            f"whether the key {name} is a TPM's is not known: none of [anchors.tpm] names, ak and roots vouches for it",
        )
    place = place_of(checkpoint.head.origin)
    return AnchorClaim(
        KIND,
        Standing.SHOWN,
        f"{RESTS_ON}; signed when the counter stood at {counter}, {vouched}",
        identity=(f"TPM key {name}",),
        position=(f"counter {place:#x} of the TPM with the key {name}", counter),
    )


def _counter(statement: Statement, head: Checkpoint) -> int:
    """The counter's value. VerificationError unless the statement is about the register's counter,
    all of it, and this tree head."""
    if statement.extra != qualifying(head):
        raise VerificationError(
            "the TPM signed another checkpoint", expected=qualifying(head).hex(), found=statement.extra.hex()[:128]
        )
    if statement.index != name_of(counter_public(head.origin)):
        raise VerificationError(
            "the TPM's statement is not about this register's counter",
            expected=name_of(counter_public(head.origin)).hex(),
            found=statement.index.hex()[:80],
        )
    if statement.offset or len(statement.contents) != COUNTER_BYTES:
        raise VerificationError("the TPM's statement holds a part of its counter only")
    return int.from_bytes(statement.contents, "big")


def _require_signature(key: "EllipticCurvePublicKey", signature: bytes, statement: bytes) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        key.verify(signature, statement, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise VerificationError("the TPM's signature is not valid") from error


def _vouched(
    public: bytes, key: "EllipticCurvePublicKey", certificates: "list[Certificate]", trust: Trust | None
) -> str:
    """Why the key is a TPM's, in words; "" if that isn't known. VerificationError for certificates
    that are another key's, or for something else."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    form = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    pem = key.public_bytes(*form)
    if certificates and certificates[0].public_key() != key:
        raise VerificationError("the certificate in the receipt is another key's")
    if trust is None:
        return ""
    if name_of(public) in trust.names:
        return "under a key that you named"
    if pem in trust.keys:
        return "under a key that you gave, of which the receipt alone says that it is a TPM's attestation key"
    if not certificates or not trust.roots:
        return ""
    # Nothing tells when the TPM signed; the authority vouches for its key from this day on.
    at = certificates[0].not_valid_before_utc
    require_purpose(certificates[0], PURPOSE, at, critical=False)
    chain = path(certificates[0], [*certificates[1:], *trust.others], trust.roots, PURPOSE, at)
    return f"under a key that {fingerprint(chain[-1])} vouches for" if chain else ""


def _base64(fields: Fields, name: str, most: int) -> bytes:
    data = decode_base64(fields.text(name, most // 3 * 4 + 4), f"the receipt's {name}")
    if len(data) > most:
        raise VerificationError(f"the receipt's {name} is too large", expected=f"at most {most} bytes")
    return data
