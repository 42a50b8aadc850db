"""The names and the root digest of an OpenSSF model signature, for whoever writes or checks one.

A model signature is a Sigstore bundle v0.3 (JSON) with a DSSE envelope over an in-toto Statement:

    subject      one: the folder's name, and the root digest
    predicate    serialization: {"method": "files", "hash_type": "sha256", "allow_symlinks": false}
                 resources: [{"name", "algorithm": "sha256", "digest"} ...], by name

The root digest is SHA-256 over the SHA-256s of the files, one after the other, in order of name: so
it follows from a close record alone. Source: the package model-signing 1.1.1
(https://github.com/sigstore/model-transparency), `_signing/signing.py`.
"""

from collections.abc import Iterable
from hashlib import sha256

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
"""The bundle's media type."""

PREDICATE = "https://model_signing/signature/v1.0"
GIT_NAMES = (".git", ".gitattributes", ".github", ".gitignore")
"""Names in a model's folder that model signing leaves out unless it is told otherwise."""


def root_digest(files: Iterable[tuple[str, bytes]]) -> bytes:
    """The root digest over files, each a name and its SHA-256."""
    return sha256(b"".join(digest for _, digest in sorted(files))).digest()
