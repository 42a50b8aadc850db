"""An enclave's image before it starts: who signed it, and the bill of materials that they signed
with it.

Beside IMAGE lie Sigstore bundles v0.3, made with one key and no transparency log (docs/enclave.md
has the commands):

    IMAGE.sig.json      `cosign sign-blob`: a signature over the image's bytes
    IMAGE.spdx.json     the bill of materials, SPDX JSON, as Syft writes it
    IMAGE.sbom.json     `cosign attest-blob --type spdxjson`: an in-toto statement whose subject is
                        the image, and whose predicate is that bill of materials

The image is copied first, and what is verified, measured and started is the copy: nobody can
exchange it in between.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from zk_autograd.core.canonical import Json, decode_foreign
from zk_autograd.core.dsse import IN_TOTO, Envelope
from zk_autograd.core.ec_keys import EcPublicKey
from zk_autograd.core.errors import StorageError, VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.model_signing import BUNDLE
from zk_autograd.core.text import decode_base64, quoted
from zk_autograd.local.named_files import open_named, read_named

MAX_IMAGE = 2**33
MAX_BUNDLE = 2**26
"""Bytes of a signature's or an SBOM's file."""

SPDX = "https://spdx.dev/Document"
"""The predicate's type, as cosign's `spdxjson` is called."""

STATEMENTS = ("https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1")
"""The statement's `_type`: cosign 3.1 writes the first one."""

SIGNATURE, BILL, SIGNED_BILL = ".sig.json", ".spdx.json", ".sbom.json"
_BESIDE = {SIGNATURE: "signature", BILL: "bill of materials", SIGNED_BILL: "signed bill of materials"}
_CHUNK = 2**20
_MAX_TEXT = 4096
_MAX_SUBJECTS = 16
_MAX_HINT = 1000


@dataclass(frozen=True, slots=True)
class SignedImage:
    """An image whose signature and bill of materials hold. `path` is the copy that was looked at,
    `digest` its SHA-256; `packages` is how many the bill names, `documents` its SPDX name."""

    path: Path
    digest: bytes
    packages: int
    document: str


@contextmanager
def verified_image(image: Path, key: EcPublicKey) -> Iterator[SignedImage]:
    """The image, if `key` signed it and its bill of materials: a copy that is removed at the end of
    the context.

    VerificationError names what is missing, altered, or by another key; UsageError for an image
    that isn't there, StorageError if it can't be read or copied.
    """
    for suffix, what in _BESIDE.items():  # before gigabytes are copied
        _require_beside(image, suffix, what)
    with _copies() as folder:
        copy = Path(folder) / image.name
        digest = _copied(image, copy)
        _check_signature(_bundle(image, SIGNATURE), key, digest, image)
        bill = _parsed(_beside(image, BILL), f"{image.name}{BILL}")
        signed = _attested(_bundle(image, SIGNED_BILL), key, digest, image)
        if not _same(bill, signed):
            raise VerificationError(f"{image.name}.spdx.json is not the bill of materials that was signed")
        packages, document = _read_bill(bill, image)
        yield SignedImage(copy, digest, packages, document)


@contextmanager
def _copies() -> Iterator[str]:
    """A new folder for copies, and no other error than StorageError if it can't be had."""
    try:
        folder = TemporaryDirectory(prefix="zk-enclave-")
    except OSError as error:
        raise _no_copy(error) from error
    with folder as name:
        yield name


def _no_copy(error: OSError) -> StorageError:
    return StorageError(
        f"the image can't be copied into {gettempdir()}: {error.strerror}; TMPDIR names another folder for copies"
    )


def _copied(image: Path, copy: Path) -> bytes:
    """The SHA-256 of the copy's bytes."""
    hashed, left = sha256(), MAX_IMAGE
    with open_named(image, "the image", MAX_IMAGE) as source:
        try:
            with open(copy, "xb") as target:
                while chunk := os.read(source, _CHUNK):
                    left -= len(chunk)
                    if left < 0:
                        raise VerificationError(f"{image.name} has more than {MAX_IMAGE} bytes")
                    hashed.update(chunk)
                    target.write(chunk)
            os.chmod(copy, 0o400)
        except OSError as error:
            raise _no_copy(error) from error
    return hashed.digest()


def _require_beside(image: Path, suffix: str, what: str) -> Path:
    path = image.with_name(image.name + suffix)
    if os.path.exists(image) and not os.path.lexists(path):
        raise VerificationError(f"{path.name} is missing: {image.name} has no {what}, and is not started")
    return path


def _beside(image: Path, suffix: str) -> bytes:
    what = _BESIDE[suffix]
    return read_named(_require_beside(image, suffix, what), f"the {what}", MAX_BUNDLE)


def _parsed(data: bytes, what: str) -> Json:
    try:
        return decode_foreign(data, max_bytes=MAX_BUNDLE)
    except VerificationError as error:
        raise VerificationError(f"{what} can't be read: {error}") from error


def _bundle(image: Path, suffix: str) -> Fields:
    """The bundle of that name, up to what it holds."""
    name = image.name + suffix
    fields = Fields(_parsed(_beside(image, suffix), name), name)
    fields.choice("mediaType", (BUNDLE,))
    material = fields.object("verificationMaterial")
    if "publicKey" not in material:
        raise VerificationError(f"{name} is signed with a certificate; sign the image with a key (cosign --key)")
    key = material.object("publicKey")
    if "hint" in key:
        key.text("hint", _MAX_HINT, 0)  # nobody signed it
    key.end()
    material.end()
    return fields


def _check_signature(bundle: Fields, key: EcPublicKey, digest: bytes, image: Path) -> None:
    signature = bundle.object("messageSignature")
    message = signature.object("messageDigest")
    message.choice("algorithm", ("SHA2_256",))
    said = decode_base64(message.text("digest", _MAX_TEXT), "messageDigest.digest")
    message.end()
    sig = decode_base64(signature.text("signature", _MAX_TEXT), "messageSignature.signature")
    signature.end()
    bundle.end()
    if said != digest:
        raise VerificationError(
            f"{image.name} is not the image that was signed", expected=said.hex(), found=digest.hex()
        )
    try:
        key.verify_digest(digest, sig)
    except VerificationError as error:
        raise VerificationError(f"{image.name} is not signed by the pinned key: {error}") from error


def _attested(bundle: Fields, key: EcPublicKey, digest: bytes, image: Path) -> Json:
    """The bill of materials in a signed statement about this image."""
    name = f"{image.name}.sbom.json"
    envelope = Envelope.read(bundle.object("dsseEnvelope"), MAX_BUNDLE)
    bundle.end()
    if len(envelope.signatures) != 1 or envelope.payload_type != IN_TOTO:
        raise VerificationError(f"{name} is not one signature over one in-toto statement")
    try:
        key.verify(envelope.signed, envelope.signatures[0].sig)
    except VerificationError as error:
        raise VerificationError(f"{name} is not signed by the pinned key: {error}") from error
    statement = Fields(_parsed(envelope.payload, f"the statement of {name}"), "statement")
    statement.choice("_type", STATEMENTS)
    statement.choice("predicateType", (SPDX,))
    found = []
    for subject in statement.objects("subject", _MAX_SUBJECTS, min_items=1):
        subject.text("name", _MAX_TEXT, 0)
        found.append(subject.object("digest").hex("sha256", 32))
    if found != [digest]:
        raise VerificationError(
            f"{name} is about another image", expected=digest.hex(), found=", ".join(each.hex() for each in found)
        )
    return statement.raw("predicate")


def _same(one: Json, other: Json) -> bool:
    """Whether both are one value of JSON: to Python, `true` equals 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_same(*pair) for pair in zip(one, other, strict=True))
    return type(one) is type(other) and one == other


def _read_bill(bill: Json, image: Path) -> tuple[int, str]:
    """How many packages it names, and its name."""
    if not isinstance(bill, dict) or not isinstance(packages := bill.get("packages"), list) or not packages:
        raise VerificationError(f"{image.name}.spdx.json names no packages")
    version = bill.get("spdxVersion")
    if not isinstance(version, str) or not version.startswith("SPDX-2."):
        raise VerificationError(
            f"{image.name}.spdx.json is not SPDX 2", expected="SPDX-2.x", found=quoted(str(version), 40)
        )
    name = bill.get("name")
    return len(packages), name if isinstance(name, str) else ""
