"""Checks of the writer's arguments, before anything is written: UsageError says what is wrong."""

from collections.abc import Mapping, Sequence

from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.core.keys import Signer, label_of, text_signers
from zk_autograd.core.records import MAX_SEGMENT_STEPS, Header
from zk_autograd.core.text import has_control
from zk_autograd.evidence.run import check_plain_name
from zk_autograd.run.claims import Claims
from zk_autograd.run.journal import MAX_LOOP_STATE

_MAX_LOSS = 60
_MAX_DIGESTS = 100


def signers_in_order(signers: Sequence[Signer], header: Header) -> list[Signer]:
    """The signers of a new run, in the order of the header's keys. UsageError unless there is one
    for each key, and no other, and one of them can sign the private header."""
    for signer in signers:
        if signer.public_key.encode() not in header.keys:
            named = ", ".join(map(label_of, header.keys))
            raise UsageError(f"the key {signer.public_key.label} is not one of this run's: sign with {named}")
    ordered = signers_of_run(signers, header)
    if not text_signers(ordered):
        raise UsageError(
            "a run needs an Ed25519 key beside its ML-DSA-44 key, which can sign nothing but checkpoints: give both"
        )
    return ordered


def signers_of_run(signers: Sequence[Signer], header: Header) -> list[Signer]:
    """Of `signers` those whose keys the header names, in its order: a key file may have been given
    another key since. UsageError if one of the header's is missing."""
    by_key = {signer.public_key.encode(): signer for signer in signers}
    for text in header.keys:
        if text not in by_key:
            raise UsageError(
                f"the run's key {label_of(text)} is missing: every checkpoint is signed with all of its keys; name the key file that the run "
                "was begun with (`zk-key rotate` keeps the earlier ones)"
            )
    return [by_key[text] for text in header.keys]


def require_loop_state(loop_state: bytes) -> None:
    """What a caller keeps with a step, as the journal can hold it."""
    if len(loop_state) > MAX_LOOP_STATE:
        raise UsageError(
            f"the loop's state has {len(loop_state)} bytes, and at most {MAX_LOOP_STATE} are kept with a step: keep what is large elsewhere, "
            "and only a reference to it here"
        )


def require_sync_every(steps: int) -> None:
    """How many steps are written for each sync of the journal."""
    if type(steps) is not int or not 1 <= steps <= MAX_SEGMENT_STEPS:
        raise UsageError(f"sync_every is {steps!r}; it must be an integer from 1 to {MAX_SEGMENT_STEPS}")


def require_claims(claims: Claims) -> None:
    """A step's claims as the segment record, and the journal, can hold them."""
    if len(claims.loss) > _MAX_LOSS or has_control(claims.loss):
        raise UsageError(f"loss is {claims.loss[:80]!r}; it must be a decimal text of at most {_MAX_LOSS} characters")
    if claims.saturated < 0:
        raise UsageError(f"saturated is {claims.saturated}; it must be a count")
    if len(claims.batch) not in (0, 32):
        raise UsageError(f"the batch's digest has {len(claims.batch)} bytes; it must have 32, or be empty")
    require_loop_state(claims.loop_state)


def require_digests(model: Mapping[str, bytes], artefacts: Mapping[str, bytes]) -> None:
    """Files of the model by name (contents), and artefacts by name (SHA-256), as the close record
    can hold them."""
    for name in (*model, *artefacts):
        try:
            check_plain_name(name)
        except VerificationError as error:
            raise UsageError(str(error)) from error
    if max(len(model), len(artefacts)) > _MAX_DIGESTS:
        raise UsageError(f"more than {_MAX_DIGESTS} files can't be recorded; publish them as one archive")
    for name, digest in artefacts.items():
        if len(digest) != 32:
            raise UsageError(f"the digest of {name} has {len(digest)} bytes; it must be a SHA-256")
