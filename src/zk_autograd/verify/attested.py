"""Step 8 of a run of an enclave: that the document is the one that the genesis names, genuine, and
about this run; and that the auditor's policy trusts what it says.

False, so failed: a document that is missing, malformed, wrongly signed, or about another run,
header or key; and a checkpoint, of the log or the register, that a key of the header did not sign:
an enclave that vouches for a key vouches for nothing that the key left unsigned. Less than L2, and
nothing false: what was signed by a device, and the policy, the anchors' time or this version don't
reach.

The time of the verification is the earliest that an anchor shows which the auditor trusts, over at
least two records: the header, and the genesis, which names the document. It is never the document's
own, since whoever holds an old device's key writes that as they please.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256

from zk_autograd.core.attestation import (
    AttestationVerifier,
    Attested,
    Binding,
    Collateral,
    Document,
)
from zk_autograd.core.errors import AttestationShort, UnreadableError, VerificationError
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.note import open_note
from zk_autograd.core.records import OUTSIDE, Header
from zk_autograd.core.register import renamed
from zk_autograd.core.text import counted, quoted
from zk_autograd.evidence.layout import ATTESTATION, COLLATERAL, DOCUMENT
from zk_autograd.evidence.run import Evidence
from zk_autograd.verify.anchoring import Anchored, Anchoring, time_text
from zk_autograd.verify.attestation import CODE, Attestation
from zk_autograd.verify.log import LogView
from zk_autograd.verify.outcome import Claim, Finding, Level, Outcome, Source, Status, Step
from zk_autograd.verify.policy import Policy

PLACE = f"{ATTESTATION}/{DOCUMENT}"
BESIDE = f"{ATTESTATION}/{COLLATERAL}"
COVERED = 2
"""Records that an anchor must cover for its time to count: header and genesis."""

_NO_TIME = (
    "no anchor that you trust says when header and document existed: a time is needed over the run's first two records, since a device's "
    "certificates end, and its keys may have been stolen since"
)
_NO_DATA = "the header commits to no data, so nothing says what the gradients were computed from"
_LIMITS = (
    "an attestation rests on the maker of the processor, and holds off nobody who reads or changes memory on its bus, forges its reports "
    "(for AMD's Milan an attack is published), or watches it through side channels",
    "the code is known by its measurement alone: what it does is for whoever built that image from its source, or read it",
    "the host can stop an enclave at any time, and start as many as it likes and show one run: the register is this enclave's own, and how "
    "many others were started is not shown",
)
_OUTSIDE = (
    "the proofs were made outside of the enclave: whoever made them was shown data, gradients and weights in the clear"
)
_OCI = "no cloud's service was tried here: that a confidential VM of OCI hands its guest such a report is not known"
_ANY_JOB = (
    "whose it is, the run's id doesn't say, since a host can have another job trained under it; its owner knows the hash of the file that "
    "they sealed ([attestation] job, in a policy)"
)
_SERVED = "revocation lists are those that the server chose to give: one that it keeps back revokes nothing here"
_EMULATED = " (emulated: anybody could have signed this)"


def check_document(
    files: Evidence,
    view: LogView,
    policy: Policy,
    verifiers: Mapping[str, AttestationVerifier],
    anchoring: Anchoring,
) -> tuple[Attestation | None, Outcome]:
    """Step 8 of a run whose header says that it is an enclave's."""
    genesis = view.log.genesis
    if genesis is None:
        why = "this view of the log ends before the genesis, which names the attestation"
        return None, _less((why,), fix="take a later root of this run")
    data = _named(files, genesis.attestation)
    document, collateral = _parsed(data), _collateral(files)
    keys = _require_signed(view, anchoring)
    anchor = earliest(anchoring)
    found = Attestation(
        document.kind,
        genesis.attestation,
        sha256(document.raw).digest(),
        document.job,
        at=anchor.claim.time if anchor else None,
    )
    verifier = verifiers.get(document.kind)
    if verifier is None:
        found = replace(found, short=(f"this version knows no attestation of the kind {quoted(document.kind)}",))
        return found, _less(found.short, fix="take a version of zk-verify that knows it")
    attested, short = _verified(verifier, document, collateral, found.at)
    if attested is not None:
        _require_bound(attested, document, view)
        found = replace(
            found,
            root=attested.root,
            emulated=attested.emulated,
            measurement=attested.measurement,
            time=attested.time,
        )
    if anchor is None:
        short.append(_NO_TIME)
    short += _asked(document, policy)
    judged, opinion = _judged(verifier, attested, policy.attestations.get(document.kind), document.kind)
    short += opinion
    if not _data(view.log.header):
        short.append(_NO_DATA)
    found = replace(found, judged=judged, short=tuple(dict.fromkeys(short)))
    if attested is not None and found.counts:  # else they are the file's word, which anybody can write
        found = replace(found, judged=(*found.judged, *_answers(policy)))
    sentences = tuple(_sentences(found, attested, keys, anchoring, anchor))
    if attested is None or not found.counts:
        return found, _less(found.short, sentences, fix=_fix(found, policy, anchor))
    if not view.log.segments:  # the keys are vouched for, and that is all
        return found, Outcome(
            Finding(Status.PASSED, (*sentences, "this view has no step, so no gradient that the code computed")),
            missing={Level.L2: "L2 was not reached: this view of the log has no step, so no gradient"},
            fix="take a later root of this run",
            limits=tuple(_limits(attested, view.log.header, found, policy, served=files.served)),
        )
    return found, Outcome(
        Finding(Status.PASSED, sentences),
        shown=frozenset({Level.L2}),
        claims=tuple(_claims(found, view.log.header)),
        limits=tuple(_limits(attested, view.log.header, found, policy, served=files.served)),
    )


def not_vouched(outcomes: Mapping[Step, Outcome]) -> dict[Step, Outcome]:
    """The outcomes of steps 2 and 4 where nothing vouches for the keys after all: as if none were
    pinned. Why, says step 8's."""
    signatures, anchors, attestation = (outcomes[step] for step in (Step.SIGNATURES, Step.ANCHORS, Step.ATTESTATION))
    why = f"no key is pinned, and the attestation does not vouch for those that the header names: {attestation.missing[Level.L2]}"
    whose = "no key is pinned, and step 8 does not vouch for those of the header: whose register this is, is not shown"
    return {
        Step.SIGNATURES: replace(
            signatures,
            finding=Finding(Status.NOT_SHOWN, (*signatures.finding.sentences, why)),
            missing={Level.L0: why},
            fix=f"{attestation.fix}; or pin the trainer's key, which you have from somewhere other than the run: --key FILE",
        ),
        Step.ANCHORS: replace(anchors, finding=Finding(Status.NOT_SHOWN, (*anchors.finding.sentences, whose))),
    }


# ---- what is false -------------------------------------------------------------------------------


def _named(files: Evidence, digest: bytes) -> bytes:
    """The file that the genesis names."""
    if files.listable and not files.has(PLACE):  # a server says so itself
        raise VerificationError(f"{PLACE} is missing: the genesis names it")
    data = files.attestation()
    found = sha256(data).digest()
    if found != digest:
        raise VerificationError(
            f"{PLACE} is not the attestation that the genesis names", expected=digest.hex(), found=found.hex()
        )
    return data


def _parsed(data: bytes) -> Document:
    try:
        return Document.parse(data)
    except VerificationError as error:
        raise _of(PLACE, error) from error


def _collateral(files: Evidence) -> Collateral:
    """None of it if the run has none, or its server doesn't say whether it has: some refuse (403)
    where they have no file, and one that hides a file can as well say that there is none."""
    try:
        there = files.has(BESIDE)
    except UnreadableError:
        if files.listable:
            raise
        there = False
    if not there:
        return Collateral()
    data = files.collateral()
    try:
        return Collateral.parse(data)
    except VerificationError as error:
        raise _of(BESIDE, error) from error


def _require_signed(view: LogView, anchoring: Anchoring) -> tuple[PublicKey, ...]:
    """All keys of the header, each of which signed the log's checkpoint and all of the register's.
    Pinned keys are among them (step 2), so no pinned key is one that isn't attested."""
    keys = tuple(map(PublicKey.parse, view.log.header.keys))
    try:
        open_note(view.note, keys)
        if anchoring.registered is not None:
            for checkpoint in anchoring.registered.heads.values():
                open_note(checkpoint.note, renamed(keys, anchoring.registered.origin))
    except VerificationError as error:
        raise VerificationError(
            f"a key that the enclave's document is about did not sign: {error.message}",
            expected=error.expected,
            found=error.found,
        ) from error
    return keys


def _verified(
    verifier: AttestationVerifier, document: Document, collateral: Collateral, at: int | None
) -> tuple[Attested | None, list[str]]:
    """What the device signed, and why it can't be relied upon at that time. Of a document that was
    genuine at another time it is known as well, so that one of another run is false at any time."""
    try:
        return verifier.verify(document.raw, collateral, at), []
    except AttestationShort as short:
        why = [str(short)]
    except VerificationError as error:
        raise _of(PLACE, error) from error
    if at is None:
        return None, why
    attested, _ = _verified(verifier, document, collateral, None)
    return attested, why


def _require_bound(attested: Attested, document: Document, view: LogView) -> None:
    header = view.log.header
    binding = Binding(
        header.run, view.log.header_digest, header.keys, document.release_key, document.nonce, document.job
    ).digest()
    if attested.bound != binding:
        raise VerificationError(
            f"{PLACE} is of another run: what the device signed is not this run's id, header, keys, release key, nonce and job",
            expected=binding.hex(),
            found=attested.bound.hex() or "nothing",
        )


def _of(place: str, error: VerificationError) -> VerificationError:
    """The same error, with the file that it is about."""
    if isinstance(error, UnreadableError):
        return error
    return type(error)(f"{place}: {error.message}", expected=error.expected, found=error.found)


# ---- what is less --------------------------------------------------------------------------------


def earliest(anchoring: Anchoring) -> Anchored | None:
    """The anchor whose time counts."""
    timed = (one for one in anchoring.shown(COVERED) if one.claim.time is not None)
    return min(timed, key=lambda one: one.claim.time or 0, default=None)


def _asked(document: Document, policy: Policy) -> Iterator[str]:
    if policy.nonce and document.nonce != policy.nonce:
        found = f"{len(document.nonce)} other bytes" if document.nonce else "none"
        yield f"the document does not have the policy's nonce (it has {found}): it may be older than your question"
    if policy.job and document.job != policy.job:
        found = f"the job {document.job.hex()}" if document.job else "no sealed job"
        yield f"the document names {found}, and not the policy's, {policy.job.hex()}"


def _answers(policy: Policy) -> Iterator[str]:
    """What was asked of a document that counts, and that it has."""
    if policy.job:
        yield f"the enclave trained the policy's job, {policy.job.hex()}"
    if policy.nonce:
        yield f"the document has the policy's nonce, {policy.nonce.hex()}"


def _judged(
    verifier: AttestationVerifier, attested: Attested | None, trust: object, kind: str
) -> tuple[tuple[str, ...], list[str]]:
    """What the policy asked and found; and what it is short of."""
    if trust is None:
        return (), [f"your policy trusts no attestation of the kind {kind} ([attestation.{kind}])"]
    if attested is None:
        return (), []
    try:
        return tuple(verifier.judge(attested, trust)), []
    except AttestationShort as short:
        return (), [str(short)]


def _less(short: Sequence[str], sentences: Sequence[str] = (), *, fix: str) -> Outcome:
    return Outcome(
        Finding(Status.NOT_SHOWN, (*sentences, *short)),
        missing={Level.L2: f"L2 was not reached: {'; '.join(short)}"},
        claims=(Claim(CODE, Source.CLAIMED),),
        fix=fix,
        limits=(
            "the attestation does not count: nothing shows which code computed the gradients, nor on what machine",
        ),
    )


def _fix(found: Attestation, policy: Policy, anchor: Anchored | None) -> str:
    if found.kind not in policy.attestations:
        return f"say which measurement you trust, in [attestation.{found.kind}] of a policy file: one of an image that you built yourself"
    if anchor is None:
        return "say whose time stamps you trust ([anchors.KIND]), or ask for a run that was time-stamped soon after it began"
    return "this run is not what your policy asks of its enclave: take another run"


# ---- what is said --------------------------------------------------------------------------------


def _sentences(
    found: Attestation,
    attested: Attested | None,
    keys: Sequence[PublicKey],
    anchoring: Anchoring,
    anchor: Anchored | None,
) -> Iterator[str]:
    yield f"{PLACE}, of the kind {found.kind}, is the attestation that the genesis names"
    registers = "" if anchoring.registered is None else f" and the register's ({len(anchoring.registered.heads)})"
    yield f"{'the header key' if len(keys) == 1 else f'all {len(keys)} keys of the header'} signed the log's checkpoint{registers}"
    if attested is not None:
        how = (
            f"signed under the root {attested.root}, as anybody can"
            if attested.emulated
            else f"genuine under the root {attested.root}"
        )
        yield f"it is {how}, and about this run, its header and keys: {attested.measurement}"
    if anchor is not None and found.at is not None:
        records = counted(anchor.records, "record")
        yield f"judged for {time_text(found.at)}, by which the first {records} existed ({anchor.kind})"
    yield from (f"policy, attestation.{found.kind}: {sentence}" for sentence in found.judged)


def _claims(found: Attestation, header: Header) -> Iterator[Claim]:
    """What the document shows, whether or not the steps are proved. The first one is short enough
    for the brief report."""
    yield Claim(
        f"that measured code in a {found.kind} enclave computed the gradients{' (emulated)' if found.emulated else ''}",
        Source.ATTESTED,
    )
    yield Claim(
        f"that it computed them from the data that the header commits to ({_data(header)}), in an order that follows from the "
        f"job's seed, which its owner chose; its measurement: {found.measurement}{_EMULATED if found.emulated else ''}",
        Source.ATTESTED,
    )


def _limits(attested: Attested, header: Header, found: Attestation, policy: Policy, *, served: bool) -> Iterator[str]:
    yield from attested.limits
    if served:
        yield _SERVED
    yield from _LIMITS
    if header.proving == OUTSIDE:
        yield _OUTSIDE
    if attested.kind == "snp":
        yield _OCI
    if not policy.job:
        yield f"the job is {found.job.hex() or 'one that nobody sealed'}: {_ANY_JOB}"


def _data(header: Header) -> str:
    """The header's commitment to the data, in hexadecimal; of several shards, the first one's; ""
    if there is none."""
    exact = header.exact
    if exact is None or header.data.root:
        return header.data.root.hex()
    return exact.cells.hex() or f"{exact.shards[0].hex()}{', and of the other shards' if exact.shards[1:] else ''}"
