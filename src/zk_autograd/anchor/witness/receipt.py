"""What the cosignatures of witnesses show of a register's tree head, under a policy of the
auditor's.

The receipt's body is {"signatures": <signature lines of a note>} (C2SP signed-note), which are
cosignatures (C2SP tlog-cosignature) over the checkpoint. The trust is a C2SP tlog-policy: which
witnesses there are, and which sets of them are a quorum. Anybody can be a witness to themselves, so
a cosignature by a key that the policy doesn't name says nothing.

A quorum says that each of its witnesses held this tree to continue every earlier one that it saw.
Another branch can have a quorum, too, unless any two quorums have a witness in common; only then do
honest witnesses exclude forks.
"""

from collections.abc import Callable, Mapping

from zk_autograd.core.anchors import AnchorClaim, Receipt, SignedCheckpoint, Standing
from zk_autograd.core.checkpoint import checkpoint_text
from zk_autograd.core.errors import UnreadableError, VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.note import SignatureLine, open_note, parse_signatures, parse_unverified
from zk_autograd.core.text import counted, listed, quoted
from zk_autograd.core.tlog_policy import MAX_LINES, NONE, TlogPolicy, parse

KIND = "witness"

MAX_SIGNATURES = MAX_LINES
"""Of one receipt: as many as a policy has witnesses."""

MAX_TEXT = 2**20
"""Characters of the signature lines."""

_MAX_NAME = 100
_SHOWN = 5
_GIVE = "give a tlog-policy with the witnesses that you trust, in [anchors.witness]"


def read_trust(fields: Fields, read: Callable[[str], bytes]) -> TlogPolicy:
    """The tlog-policy of a table [anchors.witness]: `policy` is its text, or `file` the name of a
    file beside the auditor's policy that holds it.

    VerificationError for anything else, and for a policy under which nothing can be shown: one of
    `quorum none`, or one in which a witness has a log's key.
    """
    if ("policy" in fields) == ("file" in fields):
        raise VerificationError("[anchors.witness] has either policy, a text, or file", expected="one of them")
    if "file" in fields:
        data = read(fields.text("file", _MAX_NAME))
    else:
        text = fields.raw("policy")
        if not isinstance(text, str):
            raise VerificationError("policy of [anchors.witness] is not a text")
        data = text.encode("utf-8", "surrogatepass")
    try:
        policy = parse(data)
    except UnreadableError:
        raise
    except VerificationError as error:
        raise VerificationError(f"the tlog-policy of [anchors.witness] is none: {error}") from error
    require_usable(policy)
    return policy


def verify(receipt: Receipt, checkpoint: SignedCheckpoint, trust: TlogPolicy | None) -> AnchorClaim:
    """See core.anchors.AnchorVerifier. Below the quorum nothing is shown, and nothing is false; a
    wrong cosignature in the name of a witness of the policy is."""
    receipt.require_head(checkpoint.head)
    lines = _lines(receipt)
    if trust is None:
        found = f"{counted(len(lines), 'cosignature')}, and nothing says whose count"
        return AnchorClaim(KIND, Standing.UNJUDGED, f"{found}: {_GIVE}")
    require_usable(trust)
    if trust.logs and not _is_listed(checkpoint, trust):
        why = "your tlog-policy lists logs, and none of them signed this checkpoint"
        return AnchorClaim(KIND, Standing.UNJUDGED, why)
    times = _times(lines, checkpoint, trust)
    if (time := _reached(times, trust)) is None:
        return _below(times, trust)
    return AnchorClaim(
        KIND,
        Standing.SHOWN,
        _rests_on(times, trust),
        time=time,
        excludes_forks=trust.excludes_two(),
        identity=tuple(sorted({trust.witnesses[name].key.name for name in times})),  # one with two keys is one
    )


def usable(lines: Mapping[tuple[str, bytes], SignatureLine], head_text: str, policy: TlogPolicy) -> dict[bytes, int]:
    """Of the lines, by name and ID of their keys, the cosignatures over the checkpoint's text by
    witnesses of the policy: by the witness's name there, each with its time. VerificationError for
    a wrong one."""
    times = {}
    for name, witness in policy.witnesses.items():
        line = lines.get((witness.key.name, witness.key.key_id))
        if line is not None:
            times[name] = witness.key.verify(head_text, line.signature)
    return times


def require_no_log_key(checkpoint: SignedCheckpoint, policy: TlogPolicy) -> None:
    """VerificationError if a key of the checkpoint's own log is a witness's in the policy: who
    signs a log can't vouch for it."""
    head = checkpoint.head
    signed = {(line.name, line.key_id) for line in parse_unverified(checkpoint.note).lines}
    for witness in policy.witnesses.values():
        key = witness.key
        if (head.origin, PublicKey(head.origin, key.scheme.algorithm, key.raw).key_id) in signed:
            raise VerificationError(f"the witness {key.label} of the tlog-policy has a key of the log itself")


def _lines(receipt: Receipt) -> tuple[SignatureLine, ...]:
    fields = receipt.fields()
    text = fields.raw("signatures")
    fields.end()
    if not isinstance(text, str) or not 0 < len(text) <= MAX_TEXT:
        raise VerificationError(
            f"the receipt of {KIND} has no signature lines", expected=f"a text of 1 to {MAX_TEXT} characters"
        )
    return parse_signatures(text, MAX_SIGNATURES)


def require_usable(policy: TlogPolicy) -> None:
    """VerificationError for a policy under which nothing can be shown: see `read_trust`."""
    if policy.required == NONE or not policy.witnesses:
        raise VerificationError(
            "the tlog-policy asks for no cosignature, so nothing would be shown under it",
            expected="a quorum of witnesses",
            found="quorum none",
        )
    logs = {log.key.raw for log in policy.logs}
    for witness in policy.witnesses.values():
        if witness.key.raw in logs:
            raise VerificationError(f"the witness {witness.key.label} of the tlog-policy has a key of a log")


def _is_listed(checkpoint: SignedCheckpoint, policy: TlogPolicy) -> bool:
    """Whether one of the policy's logs signed the checkpoint. VerificationError for a wrong
    signature in its name."""
    signed = {(line.name, line.key_id) for line in parse_unverified(checkpoint.note).lines}
    keys = [log.key for log in policy.logs if log.key.name == checkpoint.head.origin]
    found = [key for key in keys if (key.name, key.key_id) in signed]
    if found:
        open_note(checkpoint.note, found)
    return bool(found)


def _times(lines: tuple[SignatureLine, ...], checkpoint: SignedCheckpoint, policy: TlogPolicy) -> dict[bytes, int]:
    require_no_log_key(checkpoint, policy)
    head = checkpoint.head
    text = checkpoint_text(head.origin, head.size, head.root)
    return usable({(line.name, line.key_id): line for line in lines}, text, policy)


def _reached(times: Mapping[bytes, int], policy: TlogPolicy) -> int | None:
    """The first time by which those who had cosigned were a quorum; None if they aren't. One
    witness whose clock is slow can't make it earlier alone."""
    for time in sorted(set(times.values())):
        if policy.quorum([name for name, one in times.items() if one <= time]):
            return time
    return None


def _below(times: Mapping[bytes, int], policy: TlogPolicy) -> AnchorClaim:
    if not times:
        why = "on cosignatures by none of the witnesses of your tlog-policy: the trainer can have made them all"
        return AnchorClaim(KIND, Standing.WORD, why)
    why = f"{_share(times, policy)} cosigned, which is no quorum ({_name(policy)})"
    return AnchorClaim(KIND, Standing.UNJUDGED, why)


def _rests_on(times: Mapping[bytes, int], policy: TlogPolicy) -> str:
    labels = sorted(policy.witnesses[name].key.label for name in times)
    what = f"on {_share(times, policy)} (quorum {_name(policy)}), each of which keeps to one branch of a log: {listed(labels, _SHOWN)}"
    if policy.excludes_two():
        return what
    return f"{what}; your policy lets two quorums have no witness in common, so that another branch may have one, too"


def _share(times: Mapping[bytes, int], policy: TlogPolicy) -> str:
    number = len(policy.witnesses)
    return f"{len(times)} of {number} witness{'es' if number > 1 else ''}"


def _name(policy: TlogPolicy) -> str:
    group = policy.groups.get(policy.required)
    name = quoted(policy.required.decode("latin-1"))
    return name if group is None else f"{name}, {group.k} of its {len(group.members)}"
