"""Step 10, the model signature: an OpenSSF bundle says the same of the published files as the close
record.

Looked at only where the auditor pins the signer's key. Checked: the bundle's signature, that its
resources are the close record's files, no more and no fewer, each with its SHA-256, and that its
root digest is the one that follows from them (core.model_signing). What it can leave out
(`ignore_paths`, Git's names) are not the signed files. A bundle of another kind (shards, another
hash, a certificate, an older statement) can't be compared: nothing false, but not shown either.

Whether the files themselves are those of the close record is verify.model's part, and other names
in model/ are verify.uncovered's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from zk_autograd.core.canonical import decode_foreign
from zk_autograd.core.dsse import IN_TOTO, STATEMENT, Envelope
from zk_autograd.core.ec_keys import EcPublicKey
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.model_signing import BUNDLE, GIT_NAMES, PREDICATE, root_digest
from zk_autograd.core.records import Log
from zk_autograd.core.text import counted, listed, quoted
from zk_autograd.evidence.layout import MAX_MODEL_SIGNATURE, MODEL, MODEL_SIGNATURE
from zk_autograd.evidence.model_files import some_of
from zk_autograd.evidence.run import Evidence
from zk_autograd.verify.outcome import Finding, Outcome, Status
from zk_autograd.verify.policy import Policy

_FAMILY = "application/vnd.dev.sigstore.bundle"
_MAX_RESOURCES = 10_000
_MAX_TEXT = 4096
_SERIALIZATION = {"method", "hash_type", "allow_symlinks", "ignore_paths"}
_FIX = "ask the trainer for the signature that zk-run sign makes of this run, or judge the run without --model-key"
_LIMIT = "a model signature says who signed the published files, and nothing of how they came about"


class _CannotTell(Exception):
    """The bundle is of a kind that can't be compared with a close record; the text says which."""


@dataclass(frozen=True, slots=True)
class _Signed:
    """The files that a statement names, in its order, the root digest that it gives, and the paths
    that it says are left out."""

    files: dict[str, bytes]
    root: bytes
    ignored: tuple[PurePosixPath, ...]


def check_model_signature(log: Log, files: Evidence, policy: Policy, others: Sequence[str] = ()) -> Outcome:
    """Step 10's part for it, under a policy with a model key. `others` are names in model/ that no
    record names. VerificationError if the signature or what it says is false."""
    key, bundle = policy.model_key, policy.model_signature
    assert key is not None
    if bundle is None:
        if not files.has(MODEL_SIGNATURE):
            return _not_shown(
                f"a model key is pinned, but there is no {MODEL_SIGNATURE} in the run (--model-signature)"
            )
        bundle = files.read(MODEL_SIGNATURE, MAX_MODEL_SIGNATURE)
    named = {} if log.close is None else dict(log.close.model)
    try:
        statement = _opened(bundle, key)
        if not named:
            raise _CannotTell("the records of this view name no published model to compare it with")
        signed = _read(statement)
    except _CannotTell as why:
        return _not_shown(f"the model signature can't be compared with the close record: {why}")
    _compare(signed, named)
    sentences = [
        f"the model signature is by the pinned model key, fingerprint {key.fingerprint}: exactly the {counted(len(named), 'file')} of the "
        f"close record; the root digest that follows from them is the one signed: {root_digest(named.items()).hex()}"
    ]
    if others:
        sentences.append(f"not signed, though in {MODEL}/: {listed([quoted(name) for name in others], 5)}")
    return Outcome(Finding(Status.PASSED, tuple(sentences)), limits=(_LIMIT,))


def _not_shown(why: str) -> Outcome:
    return Outcome(Finding(Status.NOT_SHOWN, (why,)), withheld=(why,), fix=_FIX)


# ---- the bundle: who signed what -----------------------------------------------------------------


def _opened(data: bytes, key: EcPublicKey) -> Fields:
    """The statement of a bundle that `key` signed."""
    what = "the model signature"
    try:
        bundle = Fields(decode_foreign(data, max_bytes=MAX_MODEL_SIGNATURE), what)
    except VerificationError as error:
        raise VerificationError(f"{what} can't be read: {error}") from error
    media_type = bundle.text("mediaType", _MAX_TEXT)
    if media_type != BUNDLE and media_type.startswith(_FAMILY):
        raise _CannotTell(f"its bundle is of another version, {quoted(media_type, 100)}")
    if media_type != BUNDLE:
        raise VerificationError(f"{what} is no Sigstore bundle", expected=BUNDLE, found=quoted(media_type))
    material = bundle.object("verificationMaterial")
    if "publicKey" not in material:
        raise _CannotTell("it is signed with a certificate, not with a key")
    if "dsseEnvelope" not in bundle:
        raise _CannotTell("it is a signature over bytes, not over a statement")
    _check_hint(material.object("publicKey"), key)
    envelope = Envelope.read(bundle.object("dsseEnvelope"), MAX_MODEL_SIGNATURE)
    bundle.end()
    if len(envelope.signatures) != 1:  # a reader that takes the first, or any, may take another
        raise VerificationError(f"{what} has several signatures", expected="1", found=str(len(envelope.signatures)))
    try:
        key.verify(envelope.signed, envelope.signatures[0].sig)
    except VerificationError as error:
        raise VerificationError(f"{what} is not by the pinned model key: {error}") from error
    if envelope.payload_type != IN_TOTO:
        raise VerificationError(f"{what} is over no statement", expected=IN_TOTO, found=quoted(envelope.payload_type))
    try:
        return Fields(decode_foreign(envelope.payload, max_bytes=MAX_MODEL_SIGNATURE), "the signed statement")
    except VerificationError as error:
        raise VerificationError(f"the signed statement can't be read: {error}") from error


def _check_hint(identifier: Fields, key: EcPublicKey) -> None:
    """A hint is not signed, and may be missing; model signing refuses one of another key."""
    hint = identifier.text("hint", _MAX_TEXT, 0) if "hint" in identifier else ""
    if hint and hint != key.fingerprint:
        raise VerificationError(
            "the model signature names another key than the pinned model key",
            expected=key.fingerprint,
            found=quoted(hint, 64),
        )


# ---- the statement: which files ------------------------------------------------------------------


def _read(statement: Fields) -> _Signed:
    """What a statement says. Fields that it may have beside are left alone, as its specification
    asks: nothing is concluded from them."""
    statement.choice("_type", (STATEMENT,))
    kind = statement.text("predicateType", _MAX_TEXT)
    if kind != PREDICATE:
        raise _CannotTell(f"its statement is of another type, {quoted(kind, 100)}")
    predicate = statement.object("predicate")
    ignored = _serialization(predicate)
    found: dict[str, bytes] = {}
    for item in predicate.objects("resources", _MAX_RESOURCES):
        name = item.text("name", _MAX_TEXT)
        item.choice("algorithm", ("sha256",))
        if name in found:
            raise VerificationError(f"the model signature names {quoted(name)} twice")
        found[name] = item.hex("digest", 32)
    subject = statement.objects("subject", 1, min_items=1)[0].object("digest")
    root = subject.hex("sha256", 32)
    subject.end()  # a digest that nobody recomputed could be taken for the model's
    return _Signed(found, root, ignored)


def _serialization(predicate: Fields) -> tuple[PurePosixPath, ...]:
    """The paths that a statement over whole files with SHA-256 leaves out."""
    serialization = predicate.object("serialization")
    method = serialization.text("method", _MAX_TEXT)
    if method != "files":
        raise _CannotTell(f"it is over {quoted(method)} of files, and the close record has the digests of whole ones")
    hashed = serialization.text("hash_type", _MAX_TEXT)
    if hashed != "sha256":
        raise _CannotTell(f"its digests are {quoted(hashed)}, and the close record's are SHA-256")
    serialization.boolean("allow_symlinks")  # no link is followed here, whatever it allows
    texts = serialization.texts("ignore_paths", _MAX_RESOURCES, _MAX_TEXT) if "ignore_paths" in serialization else []
    try:
        serialization.end()
    except VerificationError as error:
        raise _CannotTell(f"its files are listed in a way that is not known here: {error}") from error
    paths = tuple(PurePosixPath(text) for text in texts)
    for path in paths:
        if path.is_absolute() or ".." in path.parts:
            raise _CannotTell(f"it leaves out {quoted(str(path))}, and which files that is depends on the machine")
    return paths


def _compare(signed: _Signed, named: dict[str, bytes]) -> None:
    if signed.files.keys() != named.keys():
        raise VerificationError(
            "the model signature is not over exactly the files of the close record",
            expected=some_of(named.keys() - signed.files.keys()),
            found=some_of(signed.files.keys() - named.keys()),
        )
    for name, digest in sorted(named.items()):
        if signed.files[name] != digest:
            raise VerificationError(
                f"the model signature has another digest for {name} than the close record",
                expected=digest.hex(),
                found=signed.files[name].hex(),
            )
    if list(signed.files) != sorted(signed.files):  # model signing hashes them as they are listed
        raise VerificationError("the model signature does not list its files in order of name")
    if signed.root != (expected := root_digest(named.items())):
        raise VerificationError(
            "the root digest of the model signature is not that of its files",
            expected=expected.hex(),
            found=signed.root.hex(),
        )
    left_out = {*signed.ignored, *map(PurePosixPath, GIT_NAMES)}
    for name in sorted(named):
        if any(PurePosixPath(name).is_relative_to(path) for path in left_out):
            raise VerificationError(f"the model signature leaves out {name}, which it names")
