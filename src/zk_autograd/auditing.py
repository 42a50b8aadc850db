"""The auditor's door: one call that judges a run as `zk-verify` does. It needs neither torch nor
any of the trainer's code."""

import os
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from zk_autograd.anchor.kinds import KINDS, open_anchor, verifiers
from zk_autograd.core.errors import AnchorError, UnreadableError, UsageError, VerificationError
from zk_autograd.core.keys import PublicKey, parse_keys
from zk_autograd.core.progress import Progress, silent
from zk_autograd.core.register import origin_of
from zk_autograd.core.text import quoted
from zk_autograd.evidence.files import read_bounded
from zk_autograd.evidence.finding import Found, find
from zk_autograd.evidence.opening import open_run
from zk_autograd.prove.verifiers import Systems
from zk_autograd.tee.kinds import verifiers as attestation_verifiers
from zk_autograd.verify.anchoring import Asked
from zk_autograd.verify.demand import Demand
from zk_autograd.verify.outcome import Level
from zk_autograd.verify.policy import Flags, Policy, TreeHead
from zk_autograd.verify.report import Report
from zk_autograd.verify.sampling import Detection
from zk_autograd.verify.verifier import Verifier

if TYPE_CHECKING:
    from zk_autograd.core.ec_keys import EcPublicKey
    from zk_autograd.replaying import Given
    from zk_autograd.verify.challenge import Challenge
    from zk_autograd.verify.earlier import Earlier

MAX_KEYS = 64 * 1024
"""Bytes of a file of public keys."""


def verify_run(
    run: str | Path,
    keys: Iterable[str | Path | PublicKey] = (),
    *,
    policy: str | Path | None = None,
    require: Iterable[str] | None = None,
    root: str | None = None,
    srs: Iterable[str] = (),
    sample: int | None = None,
    target_detection: tuple[str, str] | None = None,
    earlier: bytes | None = None,
    keep_going: bool = False,
    beacon: str | None = None,
    accept_sample: bool = False,
    accept_uncovered: Iterable[str] = (),
    model_key: bytes | None = None,
    model_signature: bytes | None = None,
    trust_anchors: str | Path | None = None,
    require_anchors: Iterable[str] = (),
    online: Iterable[str] = (),
    data: str | Path | None = None,
    openings: str | Path | None = None,
    recipient_key: str | Path | None = None,
    challenge: str | Path | None = None,
) -> Report:
    """The report on the run at `run`: a folder or a bundle, by its path or its URL; or on a file,
    or a folder of files, that a run published and beside which its evidence lies
    (evidence.finding).

    `keys` are the trainer's public keys, obtained from somewhere other than the run: texts of one
    or more lines, as `zk-key show` prints them, or the Path of a file with them, such as FILE.pub
    beside a log key. Each must have signed it, and without any the verdict is UNPINNED. `root` is a
    ROOT@SIZE, likewise obtained elsewhere. `srs` are digests, 64 hexadecimal digits each, of SRS
    files that the trainer can't have made, in addition to those of public ceremonies. `policy` is a
    policy file of the auditor's own (docs/policy.md), which the other arguments add to and never
    loosen. `require` is L1 if neither says otherwise. `model_key` is the PEM text of the key that
    must have signed the published model, `model_signature` the bytes of that signature (None: the
    run's model.sig). `target_detection` is the probability and the bad proofs of a sample chosen by
    what it must find, as ("0.99", "1%"); `earlier` the JSON text of the auditor's own report whose
    sample is continued. `trust_anchors` is a file of the auditor's own with tables [anchors.KIND],
    as in a policy file; `require_anchors` are kinds of anchor; `online` are anchors,
    as KIND:REST, that are asked for all that they hold. `openings` is what the trainer sealed for
    the auditor's `recipient_key`, both files, `data` the data that the run was trained on, and
    `challenge` the auditor's own file of the segments that they drew (docs/gradients.md): with
    these the gradients are computed again. The others are zk-verify's flags.

    The report says what is false or missing (`failure`, `missing`, `exit_status`). Raises
    UsageError for a path that is not a run and for arguments that make no sense; UnreadableError if
    this machine can't open the run.

    >>> from zk_autograd import verify_run
    >>> key = "zk-autograd-test+e90c78e4+AZ0r+vfOrGTnJ6hdbCr0uu0cJlDlp8do5ACZHUDmqt2t"
    >>> report = verify_run("tests/data/runs/native-finished", keys=[key])
    >>> report.verdict
    'L0, L1'
    >>> [claim.what for claim in report.claims if claim.source.value == "proved"]
    ['each optimizer step, 1..6', 'that the published weights are those of the last record']
    """
    lists = {"keys": keys, "require": require, "srs": srs, "accept_uncovered": accept_uncovered}
    for name, given in {**lists, "require_anchors": require_anchors, "online": online}.items():
        if isinstance(given, str):
            raise UsageError(f"{name} is a text; give a list of texts")
    try:
        levels = None if require is None else frozenset(Level(level) for level in require)
        digests = frozenset(bytes.fromhex(digest) for digest in srs)
        pinned = tuple(key for given in keys for key in _keys(given))
        model_signer = None if model_key is None else _ec_key(model_key)
    except UnreadableError:
        raise
    except (ValueError, VerificationError) as error:
        raise UsageError(f"not a key, a level or a digest: {error}") from error
    flags = Flags(
        keys=pinned,
        srs=digests,
        require=levels,
        head=None if root is None else TreeHead.parse(root),
        sample=sample,
        detection=None if target_detection is None else Detection.parse(*target_detection),
        earlier=None if earlier is None else _earlier(earlier),
        keep_going=keep_going,
        beacon=beacon,
        accept_sample=accept_sample,
        accept_uncovered=frozenset(accept_uncovered),
        model_key=model_signer,
        model_signature=model_signature,
        demands=anchored_by(require_anchors),
    )
    found = find(run)
    flags = trusting(flags, None if trust_anchors is None else Path(trust_anchors), found)
    asked = with_file(flags, None if policy is None else Path(policy), found)
    own: Given | None = None
    if any((data, openings, recipient_key, challenge)):
        from zk_autograd import replaying  # a verdict without openings takes none of it

        own = replaying.Given(
            *(None if one is None else Path(one) for one in (data, openings, recipient_key, challenge))
        )
    return judge(found, replace(asked, online=ask(online, asked.keys)), given=own)


def draw(
    found: Found, policy: Policy, sample: int, beacon: str | None = None, progress: Progress = silent
) -> "Challenge":
    """A challenge of `sample` segments of the run that was found, from the beacon or from fresh
    randomness. Errors as verify.drawing."""
    from zk_autograd.verify.drawing import drawn

    with open_run(found.run, progress) as files:
        return drawn(files, policy, sample, beacon)


def with_file(flags: Flags, path: Path | None, found: Found) -> Policy:
    """The policy of the flags and of the policy file at `path`, if there is one, for what was
    found. UsageError for flags that would loosen it, and for a file that lies in the run's folder;
    UnreadableError if this machine can't read it."""
    if path is None:
        return flags.policy()
    from zk_autograd.verify.policy_file import load  # judging without one takes none of it

    return flags.policy(load(path, found.run, verifiers(), attestation_verifiers()))


def trusting(flags: Flags, path: Path | None, found: Found) -> Flags:
    """The flags with the trust in anchors of the file at `path`, if there is one. Errors as
    `with_file`."""
    if path is None:
        return flags
    from zk_autograd.verify.policy_file import load_trust  # as above

    return replace(flags, anchors=load_trust(path, found.run, verifiers()))


def ask(specs: Iterable[str], keys: Sequence[PublicKey]) -> tuple[Asked, ...]:
    """What each of these anchors holds, as KIND:REST, under the register's origin of these keys:
    asked now, over the network, and before the run is read: of a run that goes on meanwhile a
    service that was asked later would hold more than the run shows, as if it were withheld.
    UsageError for what is no such anchor, or without a key; UnreadableError for one that doesn't
    answer."""
    specs = tuple(specs)
    if not specs:
        return ()
    if not keys:
        raise UsageError("--online asks for what is kept under the trainer's key: name it with --key")
    origin = origin_of(keys)
    return tuple(_ask(spec, origin) for spec in specs)


def _ask(spec: str, origin: str) -> Asked:
    try:
        anchor = open_anchor(spec)
        read = getattr(anchor, "read", None)
        if read is None:
            raise UsageError(f"--online {quoted(spec)}: an anchor of this kind can't be asked for all that it holds")
        kept = tuple(read(origin))
        # What it confirms existed by this time, so it is none before the answer was there.
        return Asked(anchor.kind, anchor.spec, ceil(time.time()), kept)
    except AnchorError as error:  # it says nothing against the run
        raise UnreadableError(f"--online {quoted(spec, 200)}: {error}") from error


def anchored_by(kinds: Iterable[str]) -> tuple[Demand, ...]:
    """The demand that an anchor of each of these kinds counts; none for no kind. UsageError for one
    that isn't known."""
    asked = tuple(dict.fromkeys(kinds))
    if not asked:
        return ()
    from zk_autograd.verify.anchor_demands import AnchoredBy  # a verdict without one takes none of it

    for kind in asked:
        if kind not in KINDS:
            raise UsageError(f"{quoted(kind)} names no kind of anchor: they are {', '.join(KINDS)}")
    return (AnchoredBy(asked, "--require-anchor"),)


def _earlier(report: bytes) -> "Earlier":
    from zk_autograd.verify.earlier import Earlier  # judging without one takes none of it

    return Earlier.read(report)


def _ec_key(pem: bytes) -> "EcPublicKey":
    from zk_autograd.core.ec_keys import EcPublicKey  # a verdict without one takes none of it

    return EcPublicKey.parse(pem)


def _keys(given: str | Path | PublicKey) -> tuple[PublicKey, ...]:
    if isinstance(given, PublicKey):
        return (given,)
    if isinstance(given, str):
        return parse_keys(given)
    return parse_keys(read_bounded(os.path.realpath(given), MAX_KEYS).decode("utf-8"))  # a link of the auditor's own


def judge(found: Found, policy: Policy, progress: Progress = silent, given: "Given | None" = None) -> Report:
    """The report on what was found, under `policy`, with every backend and every kind of anchor and
    attestation of this package; `given` are the auditor's files to compute its gradients again. As
    `verify_run`."""
    with ExitStack() as stack:
        replay = None
        if given is not None:
            from zk_autograd.replaying import replay_of  # as above

            replay = replay_of(given, found, stack)
        run = stack.enter_context(open_run(found.run, progress))
        verifier = Verifier(policy, Systems(), verifiers(), attestation_verifiers())
        return verifier.verify(run, progress, found, replay)
