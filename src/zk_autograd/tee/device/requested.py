"""What a Nitro device is asked to sign, within the bounds of its documents."""

from zk_autograd.core.attestation import DIGEST_BYTES
from zk_autograd.core.errors import RunError
from zk_autograd.tee.nitro.abi import MAX_FIELD


def requested(data: bytes, nonce: bytes, public_key: bytes) -> dict[str, bytes | None]:
    """The fields `user_data`, `nonce` and `public_key` of a request; None for an empty one.
    RunError for what no document can hold."""
    if len(data) != DIGEST_BYTES:
        raise RunError(f"a device signs {DIGEST_BYTES} bytes of data, and not {len(data)}")
    for name, value in (("nonce", nonce), ("public key", public_key)):
        if len(value) > MAX_FIELD:
            raise RunError(f"a Nitro document has no room for a {name} of {len(value)} bytes: at most {MAX_FIELD}")
    return {"user_data": data, "nonce": nonce or None, "public_key": public_key or None}
