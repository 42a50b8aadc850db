"""The table of certificates that a host lays beside a report.

Source: AMD 56421 ("Guest-Hypervisor Communication Block"), SNP Extended Guest Request.
"""

from uuid import UUID

from zk_autograd.core.attestation import MAX_CERTIFICATES
from zk_autograd.core.certificates import parse_pem
from zk_autograd.core.errors import RunError, VerificationError
from zk_autograd.tee.snp.leaf import certificate

CERTIFICATES = {
    UUID("63da758d-e664-4564-adc5-f4b93be8accd"): "VCEK",
    UUID("a8074bc2-a25a-483e-aae6-39c045a0b8a1"): "VLEK",
    UUID("4ab7b379-bbac-4fe4-a02f-05aef327c782"): "ASK",
    UUID("c0b406a4-a803-4952-9743-3fb6014cd0ae"): "ARK",
}
"""What a table's entries are (an ASVK has the ASK's GUID); others are passed over."""

_ENTRY_BYTES = 24


def table_certificates(table: bytes) -> list[bytes]:
    """The certificates of a table, in DER: entries of a GUID (16 bytes), an offset and a length (4
    bytes each, little-endian), up to one of zeros; then what they point at, DER or PEM. The host
    writes it. RunError if it makes no sense."""
    found: list[bytes] = []
    for start in range(0, len(table), _ENTRY_BYTES):
        entry = table[start : start + _ENTRY_BYTES]
        if not any(entry):
            return found
        offset, length = int.from_bytes(entry[16:20], "little"), int.from_bytes(entry[20:24], "little")
        if len(entry) < _ENTRY_BYTES or length == 0 or offset + length > len(table):
            raise RunError("the host's table of certificates points outside of itself")
        name = CERTIFICATES.get(UUID(bytes=entry[:16]))
        if name is not None:
            found += _certificates(table[offset : offset + length], f"the host's {name}")
        if len(found) > MAX_CERTIFICATES:
            raise RunError(f"the host's table has more than {MAX_CERTIFICATES} certificates")
    if table:
        raise RunError("the host's table of certificates has no end")
    return found


def _certificates(data: bytes, what: str) -> list[bytes]:
    """DER, or the certificates of a PEM text."""
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        if data.lstrip().startswith(b"-----BEGIN "):
            return [one.public_bytes(Encoding.DER) for one in parse_pem(data, what)]
        certificate(data, what)
    except VerificationError as error:
        raise RunError(f"{error.message}: give the host other certificates, or none") from error
    return [data]
