"""An OpenSSF model signature over a run's published model (`model.sig`).

Names and digests come from the close record, so that whoever has the log computes the root digest
that was signed. `model_signing verify key` accepts it over the folder model/.
"""

from zk_autograd.attest.envelope import StatementSigner, signed
from zk_autograd.attest.published import Published
from zk_autograd.core.canonical import Json, encode
from zk_autograd.core.dsse import STATEMENT
from zk_autograd.core.model_signing import BUNDLE, PREDICATE, root_digest
from zk_autograd.evidence.layout import MODEL


def model_signature(model: Published, signer: StatementSigner) -> bytes:
    """The bundle's bytes."""
    envelope = signed(statement(model), signer)
    return encode(
        {
            "mediaType": BUNDLE,
            "verificationMaterial": {"publicKey": {"hint": signer.public_key.fingerprint}, "tlogEntries": []},
            "dsseEnvelope": envelope.to_json(),
        }
    )


def statement(model: Published) -> Json:
    """What is signed: the files by name, and the root digest over them."""
    return {
        "_type": STATEMENT,
        "subject": [{"name": MODEL, "digest": {"sha256": root_digest(model.model).hex()}}],
        "predicateType": PREDICATE,
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False},
            "resources": [
                {"name": name, "algorithm": "sha256", "digest": digest.hex()} for name, digest in model.model
            ],
        },
    }
