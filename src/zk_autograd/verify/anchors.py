"""Step 4, Register and anchors: that the run is in its trainer's register, and who else holds on to
that register's checkpoints.

The register (verify.registered) and the receipts (verify.receipts) are the run's own files; a
register that its header doesn't name is nobody's. Nothing is added to what an anchor shows: that
there is one register is not that a run has one view, since a register can hold two of one run. Only
who reads all its entries knows (verify.online).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from zk_autograd.core.anchors import AnchorVerifier, Standing
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.records import V0, V1
from zk_autograd.core.text import counted
from zk_autograd.evidence.layout import ANCHORS, RECEIPTS, REGISTER, VIEWS
from zk_autograd.evidence.run import Evidence
from zk_autograd.verify.anchoring import Anchored, Anchoring, Registered, time_text
from zk_autograd.verify.log import LogView
from zk_autograd.verify.outcome import Claim, Finding, Outcome, Source, Status, combined
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.receipts import read_receipts
from zk_autograd.verify.registered import read_register

NO_OTHER_VIEW = "that there is no other view of this log"
WHEN = "when it was written"
ABSENT = Claim(f"{NO_OTHER_VIEW}, and {WHEN}", Source.ABSENT)
_NO_ANCHOR = "no anchor: nothing shows that there is no other view of this log, nor when it was written"


def check_anchors(
    files: Evidence,
    view: LogView,
    policy: Policy,
    verifiers: Mapping[str, AnchorVerifier],
    vouched: tuple[PublicKey, ...] = (),
) -> tuple[Anchoring, Outcome]:
    """Step 4. `vouched` are as in step 2: they take the pinned keys' place."""
    if not view.log.header.register:
        return Anchoring(), _in_none(view)
    for place in (f"{REGISTER}/{VIEWS}", f"{ANCHORS}/{RECEIPTS}"):
        if files.listable and not files.has(place):  # a server says so itself
            raise VerificationError(f"{place} is missing: the header names a register, so the run has one")
    keys = policy.keys or vouched
    signed = "all pinned keys" if policy.keys else "all keys of the header, if step 8 vouches for them"
    registered = read_register(files, view, keys, chosen=policy.head is not None)
    anchored = read_receipts(files, registered, verifiers, policy.anchors)
    found = Anchoring(registered, anchored)
    if not policy.online:
        return found, _outcome(found, view, signed if keys else "", own=bool(vouched))
    from zk_autograd.verify import online  # who asks nobody takes none of it

    held = online.judge_services(policy.online, registered, view, keys, chosen=policy.head is not None)
    found = Anchoring(registered, online.confirmed(anchored, held, verifiers), held)
    outcome = _outcome(found, view, signed if keys else "", own=bool(vouched))
    absent = tuple(online.absent(anchored, held, verifiers))
    if absent:
        outcome = replace(outcome, fix=online.ABSENT_FIX)
    services = Outcome(
        Finding(outcome.finding.status, (*online.sentences(held, registered), *absent)),
        withheld=absent,
        claims=tuple(online.claims(held, registered, found.anchored)),
        limits=tuple(online.limits(held)),
    )
    whole = all(one.whole for one in held) and not absent
    return found, combined(outcome.finding.status if whole else Status.NOT_SHOWN, outcome, services)


def _in_none(view: LogView) -> Outcome:
    if view.log.header.format not in (V0, V1):
        why = "in no register: its trainer kept it out of theirs"
        limit = "its trainer kept it out of their register: nothing shows how many runs were begun, and not shown"
    else:
        why = f"in no register: a run of the format {view.log.header.format} is in none"
        limit = "no register: nothing shows how many runs were begun, and not shown"
    return Outcome(Finding(Status.ABSENT, (why, "no anchor")), claims=(ABSENT,), limits=(_NO_ANCHOR, limit))


def _outcome(found: Anchoring, view: LogView, signed: str, *, own: bool) -> Outcome:
    """`signed`: by whom all checkpoints are, "" if no signature was checked; `own`: by keys that an
    enclave made for itself, so the register is that enclave's alone."""
    assert found.registered is not None
    whole = found.covering == view.head.size
    unjudged = any(one.claim.standing is Standing.UNJUDGED for one in found.anchored)
    sentences = (*_register_sentences(found.registered, view, signed), *_anchor_sentences(found.anchored, view))
    shown = whole and bool(signed) and found.registered.named and not unjudged
    status = Status.PASSED if shown else Status.NOT_SHOWN
    return Outcome(
        Finding(status, sentences),
        fix=_fix(found.anchored),
        claims=tuple(_claims(found, view)),
        limits=tuple(_limits(found, view, own=own)),
    )


def _fix(anchored: Sequence[Anchored]) -> str:
    """What to do if more is asked for than these show: "" if no more can be had of them."""
    more = (one for one in anchored if one.claim.standing is not Standing.SHOWN and one.claim.kind != "file")
    return "say whom you trust to anchor (--trust-anchors FILE), or ask the service (--online)" if any(more) else ""


def _register_sentences(registered: Registered, view: LogView, signed: str) -> Iterator[str]:
    head, size = registered.newest, view.head.size
    index, last = registered.last
    how = f"signed by {signed}" if signed else "whose signatures were not checked, since no key is pinned"
    yield f"in the register {registered.origin}, begun by its entry {registered.index}; its checkpoints ({len(registered.heads)}), {how}, continue each other up to {head.root.hex()}@{head.size}"
    if not registered.named:
        yield "it is called after an Ed25519 key that is not pinned: whether it is the trainer's one register is not known"
    if last.size == size:
        yield f"its entry {index} covers all of these {counted(size, 'record')}"
    else:
        yield f"its entry {index} covers the first {last.size} of these {size} records: the other {size - last.size} are in no entry that is shown"
    if registered.later:
        yield f"entries for later records, which were not compared with the log: {registered.later}"


def _anchor_sentences(anchored: Sequence[Anchored], view: LogView) -> Iterator[str]:
    """Those that say the same are one sentence, with the newest."""
    if not anchored:
        yield "no anchor"
    groups: dict[tuple[object, ...], list[Anchored]] = {}
    for one in anchored:
        claim = one.claim
        groups.setdefault((claim.kind, claim.standing, claim.rests_on, claim.identity), []).append(one)
    for group in groups.values():
        newest = max(group, key=lambda one: (one.records, one.size))
        yield _anchor_sentence(newest, len(group), view.head.size)


def _anchor_sentence(newest: Anchored, count: int, size: int) -> str:
    claim = newest.claim
    receipts = counted(count, "receipt") + (", the newest" if count > 1 else "")
    where = f"{claim.kind}: {receipts} for the register's first {counted(newest.size, 'entry', 'entries')}"
    where += f", with {_share(newest.records, size)}"
    if claim.standing is Standing.UNJUDGED:
        return f"{where}; not judged: {claim.rests_on}"
    if claim.standing is Standing.WORD:
        return f"{where}; the trainer's word: it rests {claim.rests_on}"
    time = "" if claim.time is None else f", which existed by {time_text(claim.time)}"
    return f"{where}{time}; it rests {claim.rests_on}"


def _share(records: int, size: int) -> str:
    if not records:
        return "none of this run's records"
    return f"all {size} records" if records == size else f"the first {records} of {size} records"


def _claims(found: Anchoring, view: LogView) -> Iterator[Claim]:
    size = view.head.size
    alone = max((one for one in found.shown(1) if one.claim.excludes_forks), key=lambda one: one.records, default=None)
    timed = [one for one in found.shown(1) if one.claim.time is not None]
    if alone is not None:
        yield Claim(
            f"that {alone.kind} took no other branch of the register with {_share(alone.records, size)}",
            Source.ANCHORED,
        )
    if timed:
        most = max(one.records for one in timed)
        first = min((one for one in timed if one.records == most), key=lambda one: one.claim.time or 0)
        assert first.claim.time is not None
        yield Claim(
            f"that {_share(most, size)} existed by {time_text(first.claim.time)} ({first.kind})", Source.ANCHORED
        )
        yield Claim(NO_OTHER_VIEW, Source.ABSENT)
        if most < size:
            yield Claim("when the other records were written", Source.ABSENT)
    else:
        yield ABSENT


def _limits(found: Anchoring, view: LogView, *, own: bool) -> Iterator[str]:
    size, whose = view.head.size, "enclave's" if own else "trainer's"
    if not any(found.shown(1)):
        yield (
            "no anchor that counts: nothing shows that there is no other view of this log, nor when it was written"
            if found.anchored
            else _NO_ANCHOR
        )
    elif not any(found.shown(size)):
        most = max(one.records for one in found.shown(1))
        yield f"the newest anchor that counts covers {_share(most, size)}: of the others nothing shows that there is no other view, nor when they were written"
    if found.registered is not None and not found.registered.named:
        yield "the register is called after an Ed25519 key that is not pinned: beside the pinned keys the trainer can have any number of registers"
    exclusive = dict.fromkeys(one.kind for one in found.shown(1) if one.claim.excludes_forks)
    if exclusive:
        yield f"nothing shows that the {whose} register has no other branch, which never went there: {' and '.join(exclusive)} took this one alone"
    else:
        yield f"nothing shows that the {whose} register has no other branch: a receipt that they hand over can't"
    yield "a register can hold two views of one run, and runs that were begun and not shown: only who reads all its entries knows (--online)"
    if own:
        yield "the register is the enclave's own: other instances that were started have others, and no register shows how many there were"
