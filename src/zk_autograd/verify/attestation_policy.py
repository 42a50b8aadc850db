"""What a policy file says of attestations: which code the auditor trusts, in which enclaves.

[attestation]
nonce = "00112233445566778899aabbccddeeff"    that the document must have: 16 to 64 bytes
job = "<SHA-256 of a sealed job>"             that the enclave must have trained
[attestation.KIND]                            the trust in a kind, in fields of its own
"""

from collections.abc import Callable, Mapping
from typing import Any

from zk_autograd.core.attestation import JOB_BYTES, LEAST_NONCE, MAX_NONCE, AttestationVerifier
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields, Value
from zk_autograd.core.text import SHOWN, listed, quoted

_NONCE, _JOB = "nonce", "job"


def read_attestations(
    table: Fields, kinds: list[str], verifiers: Mapping[str, AttestationVerifier], read: Callable[[str], bytes]
) -> tuple[dict[str, Any], bytes, bytes]:
    """The trust by kind, the nonce and the job (b"" for none), of the table [attestation], whose
    members are `kinds`, among them perhaps `nonce` and `job`. `read` gives a file beside the
    policy. VerificationError."""
    trust = dict[str, Any]()
    nonce = _nonce(table.value(_NONCE)) if _NONCE in table else b""
    job = table.hex(_JOB, JOB_BYTES) if _JOB in table else b""
    for kind in kinds:
        if kind in (_NONCE, _JOB):
            continue
        if kind not in verifiers:
            raise VerificationError(
                f"this version knows no attestation {quoted(kind, SHOWN)}, and can't check one",
                expected=listed(list(verifiers), 20) or "none",
            )
        own = table.object(kind)
        trust[kind] = verifiers[kind].read_trust(own, read)
        own.end()
    table.end()
    if not trust:
        raise VerificationError(
            "policy.attestation has a nonce or a job, and no [attestation.KIND] that says what is trusted"
        )
    return trust, nonce, job


def _nonce(value: Value) -> bytes:
    text = value.raw
    hexadecimal = isinstance(text, str) and len(text) % 2 == 0 and not set(text) - set("0123456789abcdef")
    if isinstance(text, str) and hexadecimal and LEAST_NONCE <= len(text) // 2 <= MAX_NONCE:
        return bytes.fromhex(text)
    raise VerificationError(
        f"{value.where} is no nonce", expected=f"{LEAST_NONCE} to {MAX_NONCE} bytes in lower-case hexadecimal"
    )
