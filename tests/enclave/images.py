"""Images with what lies beside them: signature, bill of materials, and the signed statement of it,
as cosign writes them."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from zk_autograd.core.dsse import IN_TOTO, pae
from zk_autograd.core.ec_keys import EcPublicKey
from zk_autograd.core.text import encode_base64
from zk_autograd.enclave.image import SPDX, STATEMENTS

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
BILL = {"spdxVersion": "SPDX-2.3", "name": "test", "packages": [{"name": "python3.11"}]}


def image_key(number: int = 1) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(number, ec.SECP256R1())


def public(key: ec.EllipticCurvePrivateKey) -> EcPublicKey:
    return EcPublicKey.parse(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def _sign(key: ec.EllipticCurvePrivateKey, data: bytes) -> str:
    return encode_base64(key.sign(data, ec.ECDSA(hashes.SHA256())))


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))


def signature(image: bytes, key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    return {
        "mediaType": BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": "x"}},
        "messageSignature": {
            "messageDigest": {"algorithm": "SHA2_256", "digest": encode_base64(sha256(image).digest())},
            "signature": _sign(key, image),
        },
    }


def attested(
    image: bytes, bill: object, key: ec.EllipticCurvePrivateKey, kind: str = IN_TOTO, **changed: object
) -> dict[str, Any]:
    statement = {
        "_type": STATEMENTS[0],
        "subject": [{"name": "image.eif", "digest": {"sha256": sha256(image).hexdigest()}}],
        "predicateType": SPDX,
        "predicate": bill,
        **changed,
    }
    payload = json.dumps(statement).encode()
    return {
        "mediaType": BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": "x"}},
        "dsseEnvelope": {
            "payload": encode_base64(payload),
            "payloadType": kind,
            "signatures": [{"sig": _sign(key, pae(kind, payload))}],
        },
    }


def make(folder: Path, image: bytes = b"an image", key: ec.EllipticCurvePrivateKey | None = None) -> Path:
    """An image in `folder` with all that belongs beside it."""
    key, path = key or image_key(), folder / "image.eif"
    path.write_bytes(image)
    write_json(folder / "image.eif.sig.json", signature(image, key))
    write_json(folder / "image.eif.spdx.json", BILL)
    write_json(folder / "image.eif.sbom.json", attested(image, BILL, key))
    return path
