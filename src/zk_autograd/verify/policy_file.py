"""A policy file: what an auditor demands of a run, written down before it is looked at
(docs/policy.md).

Rules: strict TOML within core.bounded_toml. Every field is known and typed, numbers with a point
are texts (exact decimals, never floats), and an empty list or table is an error, since it could be
read as "nothing is allowed" and as "anything is". A field for something that this version can't
check is refused by name: silence would look like a check. What a policy doesn't mention is not
checked. A file in the run's folder is refused: whoever made the run wrote it.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from zk_autograd.core import bounded_toml, tlog_policy
from zk_autograd.core.anchors import AnchorVerifier
from zk_autograd.core.attestation import AttestationVerifier
from zk_autograd.core.backends import BACKENDS
from zk_autograd.core.decimals import parse_decimal
from zk_autograd.core.errors import UnreadableError, UsageError, VerificationError
from zk_autograd.core.fields import Fields, Value
from zk_autograd.core.hyper import Rule
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.records import MAX_STEP, hyper_names
from zk_autograd.core.text import SHOWN, quoted
from zk_autograd.evidence.files import read_bounded
from zk_autograd.evidence.layout import PLAIN_NAME
from zk_autograd.verify import demands
from zk_autograd.verify.anchor_policy import MAX_BESIDE, read_anchors, read_trust
from zk_autograd.verify.demand import Demand
from zk_autograd.verify.outcome import SAMPLES, Level
from zk_autograd.verify.policy import Policy

FORMAT = "zk-autograd/policy/v1"

_ATTESTATION = "attestation"
_ANCHORS = ("register", "anchors", "freshness")
_MAX_TEXT = 5_000
_MAX_ITEMS = 1_000
_MAX_BITS = 1_024
_MAX_PROOFS = 2**31

Verifiers: TypeAlias = Mapping[str, AnchorVerifier]
Attestations: TypeAlias = Mapping[str, AttestationVerifier]
_NO_ANCHORS: Verifiers = MappingProxyType({})
_NO_ATTESTATIONS: Attestations = MappingProxyType({})


def load(
    path: Path,
    run: Path | str | None = None,
    anchors: Verifiers = _NO_ANCHORS,
    attestations: Attestations = _NO_ATTESTATIONS,
) -> Policy:
    """The policy in the file at `path`, for the run at `run`, a path or a URL: a regular file of at
    most bounded_toml.MAX_BYTES, behind links or not. `anchors` and `attestations` are the known
    kinds of them.

    UsageError if it isn't one, isn't a policy of this version, or lies in the run's folder;
    UnreadableError if this machine can't read it.
    """
    what = f"the policy {str(path)[:200]}"
    data, folder = _own(path, run, what)
    return parse(data, what, folder, anchors, attestations)


def load_trust(path: Path, run: Path | str | None, anchors: Verifiers) -> dict[str, Any]:
    """The trust in kinds of anchor, by kind, in a file with tables [anchors.KIND] and nothing else.
    Errors as `load`."""
    what = f"--trust-anchors {str(path)[:200]}"
    data, folder = _own(path, run, what)
    with _refused(what):
        values = _values(data, what)
        _refuse_ambiguous(values, "file")
        return read_trust(values, anchors, lambda name: _beside(folder, name))


def parse(
    data: bytes,
    what: str,
    folder: Path | None = None,
    anchors: Verifiers = _NO_ANCHORS,
    attestations: Attestations = _NO_ATTESTATIONS,
) -> Policy:
    """The policy of a file's bytes, called `what` in messages. `folder` holds the files that it may
    name; `anchors` and `attestations` are the known kinds of them. UsageError."""
    with _refused(what):
        policy = _policy(_values(data, what), folder, anchors, attestations)
    return replace(policy, digest=sha256(data).digest())


def _values(data: bytes, what: str) -> dict[str, Any]:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{what} is not UTF-8: {error.reason} at byte {error.start}") from error
    return bounded_toml.parse(text, what)


@contextmanager
def _refused(what: str) -> Iterator[None]:
    """Makes one error of all that say that the file is none."""
    try:
        yield
    except UnreadableError:
        raise
    except (VerificationError, UsageError) as error:
        raise UsageError(str(error) if str(error).startswith(what) else f"{what}: {error}") from error


def _policy(values: dict[str, Any], folder: Path | None, anchors: Verifiers, attestations: Attestations) -> Policy:
    if values.get("format") != FORMAT:
        raise VerificationError(
            "its format is not one that this version knows", expected=f'format = "{FORMAT}"', found=_format(values)
        )
    _refuse_ambiguous(values)
    fields = Fields(values, "policy")
    fields.text("format", _MAX_TEXT)
    keys = _keys(fields)
    asked: list[Demand] = [demands.SignedBy(keys)] if keys else []
    srs = frozenset[bytes]()
    for demand in _demands(fields):
        asked.append(demand)
        if isinstance(demand, demands.SrsListed):
            srs |= demand.digests
    if "tlog_policy" in fields:
        _check_tlog(fields.object("tlog_policy"), folder)
    about = {name: fields.raw(name) for name in _ANCHORS if name in fields}
    trust, demanded = read_anchors(about, anchors, lambda name: _beside(folder, name))
    asked += demanded
    attested, nonce, job = _attestations(fields, folder, attestations)
    sample = fields.object("sample") if "sample" in fields else None
    levels = _levels(fields)
    _check_attested(levels, attested)
    segments, alone = _segments(sample, levels)
    policy = Policy(
        keys=keys,
        srs=srs,
        require=levels,
        sample=None if sample is None or alone else sample.integer("proofs", 2, _MAX_PROOFS),
        segments=segments,
        allow_beacon=sample is not None and _true(sample, "beacon"),
        accept_sample=sample is not None and _true(sample, "accept"),
        accept_uncovered=frozenset(_distinct(fields, "accept_uncovered")),
        demands=tuple(asked),
        anchors=trust,
        attestations=attested,
        nonce=nonce,
        job=job,
    )
    if sample is not None:
        sample.end()
        if Level.L2 in levels:
            raise VerificationError(
                "policy.sample contradicts policy.require: L2 rests on L1, which no sample reaches",
                expected='all proofs; or require = ["L0"]',
            )
        if Level.L3 in levels and not policy.accept_sample:
            raise VerificationError(
                "policy.sample contradicts policy.require: L3 rests on L1, which no sample reaches",
                expected='accept = true under [sample], which takes L3-sampled for L3; or require = ["L0"]',
            )
        if Level.L1 in levels and not policy.accept_sample and policy.sample is not None:
            raise VerificationError(
                "policy.sample contradicts policy.require: a sample reaches L1-sampled, never L1",
                expected='accept = true under [sample], which takes it for L1; or require = ["L0"]',
            )
    fields.end()
    return policy


def _segments(sample: Fields | None, levels: frozenset[Level]) -> tuple[int | None, bool]:
    """How many segments a challenge must draw, and whether that is the only sample: then all proofs
    are verified. A policy that takes a challenge's segments for all says how many: any two would do
    otherwise."""
    if sample is None:
        return None, False
    if Level.L3 not in levels:
        if "segments" in sample:
            raise VerificationError(
                "policy.sample.segments is about L3, which policy.require doesn't name", expected='require = ["L3"]'
            )
        return None, False
    if "accept" in sample and "segments" not in sample:
        raise VerificationError(
            "policy.sample takes L3-sampled for L3, and doesn't say how many segments a challenge must draw",
            expected="segments = 20, or another number of at least 2, under [sample]",
        )
    if "segments" in sample and "accept" not in sample:
        raise VerificationError(
            "policy.sample.segments without accept: L3 rests on all segments, unless a sample is taken for them",
            expected="accept = true under [sample]",
        )
    segments = sample.integer("segments", 2, _MAX_PROOFS) if "segments" in sample else None
    return segments, segments is not None and "proofs" not in sample


def _demands(fields: Fields) -> Iterator[Demand]:
    if "provers" in fields:
        yield from _provers(fields.value("provers"))
    if "rules" in fields:
        yield from _rules(fields.value("rules"))
    if "run" in fields:
        yield from _run(fields.object("run"))
    if "claims" in fields:
        yield from _claims(fields.object("claims"))


def _provers(value: Value) -> Iterator[Demand]:
    named = _table(value, BACKENDS)
    yield demands.ProverAllowed(tuple(named))
    for name, fields in named.items():
        if "min_bits" in fields:
            yield demands.ProvenBits(name, fields.integer("min_bits", 1, _MAX_BITS))
        if BACKENDS[name].setup and "srs" in fields:
            digests = fields.array("srs", _MAX_ITEMS, 1)
            yield demands.SrsListed(name, frozenset(digest.hex(32) for digest in digests))
        fields.end()


def _rules(value: Value) -> Iterator[Demand]:
    named = _table(value, [rule.value for rule in Rule])
    yield demands.RuleAllowed(tuple(Rule(name) for name in named))
    for rule, fields in ((Rule(name), fields) for name, fields in named.items()):
        for name in hyper_names(rule):
            if name in fields:
                low, high = _range(fields.value(name))
                yield demands.HyperInRange(rule, name, low, high)
        fields.end()


def _run(fields: Fields) -> Iterator[Demand]:
    if "min_steps" in fields:
        yield demands.LeastSteps(fields.integer("min_steps", 1, MAX_STEP))
    if _true(fields, "finished"):
        yield demands.Finished()
    if _true(fields, "model"):
        yield demands.ModelPublished()
    fields.end()


def _claims(fields: Fields) -> Iterator[Demand]:
    if "max_last_loss" in fields:
        text = fields.text("max_last_loss", _MAX_TEXT)
        loss = demands.signed_decimal(text)
        if loss is None:
            raise VerificationError(
                "policy.claims.max_last_loss is not a decimal", expected='such as "0.5"', found=quoted(text, SHOWN)
            )
        yield demands.LastLoss(loss)
    if "max_saturated_share" in fields:
        share = _decimal(fields.value("max_saturated_share"))
        if share > 1:
            raise VerificationError("policy.claims.max_saturated_share is a share", expected="at most 1")
        yield demands.SaturatedShare(share)
    fields.end()


def _keys(fields: Fields) -> tuple[PublicKey, ...]:
    keys = []
    for index, text in enumerate(_distinct(fields, "keys")):
        try:
            keys.append(PublicKey.parse(text))
        except VerificationError as error:
            raise VerificationError(f"policy.keys[{index}] is not a public key: {error}") from error
    return tuple(keys)


def _levels(fields: Fields) -> frozenset[Level]:
    """Those required, L1 unless the policy names others: as without a policy."""
    if "require" not in fields:
        return Policy().require
    samples = {sampled.value: level.value for level, sampled in SAMPLES.items()}
    known = [level.value for level in Level if level.value not in samples]
    names = _distinct(fields, "require")
    for name in names:
        if name in samples:
            raise VerificationError(
                f"policy.require can't name {name}: [sample] with accept = true takes it for {samples[name]}"
            )
        if name not in known:
            raise VerificationError(
                f"this version can't show the level {quoted(name, SHOWN)}, and so refuses a policy that requires it",
                expected=" or ".join(known),
            )
    return frozenset(map(Level, names))


def _attestations(fields: Fields, folder: Path | None, known: Attestations) -> tuple[dict[str, Any], bytes, bytes]:
    """The trust in attestations by kind, the nonce and the job; nothing of a policy that says
    nothing of them."""
    if _ATTESTATION not in fields:
        return {}, b"", b""
    from zk_autograd.verify.attestation_policy import read_attestations  # a policy without them takes none of it

    raw = fields.raw(_ATTESTATION)
    kinds = list(raw) if isinstance(raw, dict) else []
    return read_attestations(fields.object(_ATTESTATION), kinds, known, lambda name: _beside(folder, name))


def _check_attested(levels: frozenset[Level], attested: Mapping[str, Any]) -> None:
    """Trust in a measurement without the level that rests on it would look like a demand; the
    level without it can't be reached."""
    if bool(attested) != (Level.L2 in levels):
        raise VerificationError(
            "policy.attestation says which measurements are trusted, and L2 rests on them: a policy has both, or neither",
            expected='require = ["L2"], and a table [attestation.KIND]',
        )


def _check_tlog(fields: Fields, folder: Path | None) -> None:
    """A tlog-policy that asks for nothing passes. The others are refused, since nothing here checks
    a cosignature yet."""
    if ("text" in fields) == ("file" in fields):
        raise VerificationError("policy.tlog_policy has either text or file", expected="one of them")
    if "file" in fields:
        data = _beside(folder, fields.text("file", _MAX_TEXT), tlog_policy.MAX_BYTES)
    else:
        text = fields.raw("text")
        if not isinstance(text, str):
            raise VerificationError("policy.tlog_policy.text is not a text")
        data = text.encode("utf-8")
    fields.end()
    try:
        asked = tlog_policy.parse(data)
    except VerificationError as error:
        raise VerificationError(f"policy.tlog_policy: {error}") from error
    if asked.logs or asked.required != tlog_policy.NONE:
        raise VerificationError(
            "policy.tlog_policy asks for logs or cosignatures, which are the anchor witness: give it in [anchors.witness], and "
            'require = ["witness"] in [anchors]; here only `quorum none`, without a log, is taken, which asks for nothing'
        )


# ---- values --------------------------------------------------------------------------------------


def _refuse_ambiguous(values: dict[str, Any], root: str = "policy") -> None:
    """VerificationError for an empty list or table, but for a prover's or a rule's own, and for a
    value that TOML has and a policy doesn't: a float, a date."""
    left: list[tuple[str, Any]] = [(root, values)]
    while left:
        where, value = left.pop()
        if isinstance(value, dict):
            own = where.startswith(("policy.provers.", "policy.rules.")) and where.count(".") == 2
            if not value and not own:
                raise VerificationError(
                    f"{where} is empty: an empty table allows nothing; leave it out, or name what it allows"
                )
            left += [(f"{where}.{_name(name)}", inner) for name, inner in value.items()]
        elif isinstance(value, list):
            if not value:
                raise VerificationError(
                    f"{where} is empty: an empty list allows nothing; leave the field out, or name what it allows"
                )
            left += [(f"{where}[{index}]", inner) for index, inner in enumerate(value)]
        elif not isinstance(value, str | int):
            raise VerificationError(
                f"{where} is a float or a date, and a policy has none", expected='decimals as texts, such as "0.001"'
            )


def _name(name: str) -> str:
    return name if PLAIN_NAME.fullmatch(name) and "." not in name else quoted(name, SHOWN)


def _table(value: Value, known: Collection[str]) -> dict[str, Fields]:
    """The tables of a table, by names that are known."""
    fields = value.object()
    found = {name: fields.object(name) for name in known if name in fields}
    try:
        fields.end()
    except VerificationError as error:
        raise VerificationError(error.message, expected=", ".join(known), found=error.found) from error
    return found


def _distinct(fields: Fields, name: str) -> list[str]:
    """The texts of a list, none if the field isn't there."""
    if name not in fields:
        return []
    texts = fields.texts(name, _MAX_ITEMS, _MAX_TEXT, 1)
    if len(set(texts)) < len(texts):
        raise VerificationError(f"policy.{name} names something twice")
    return texts


def _true(fields: Fields, name: str) -> bool:
    """Whether the field is there; it can only be true."""
    if name not in fields:
        return False
    value = fields.value(name)
    if not value.boolean():
        raise VerificationError(f"{value.where} can only be true: leave it out to ask for nothing")
    return True


def _range(value: Value) -> tuple[Fraction, Fraction]:
    low, high = map(_decimal, value.array(2, 2))
    if low > high:
        raise VerificationError(f"{value.where} allows nothing: its first decimal is above its second")
    return low, high


def _decimal(value: Value) -> Fraction:
    return parse_decimal(value.text(_MAX_TEXT), value.where)


def _format(values: dict[str, Any]) -> str:
    found = values.get("format")
    return quoted(found, SHOWN) if isinstance(found, str) else "none"


# ---- the file ------------------------------------------------------------------------------------


def _read(path: Path, limit: int, what: str) -> bytes:
    try:
        return read_bounded(path, limit)
    except UnreadableError:
        raise
    except (VerificationError, ValueError) as error:
        raise UsageError(f"{what} can't be read: {error}") from error


def _own(path: Path, run: Path | str | None, what: str) -> tuple[bytes, Path]:
    """The bytes of a file of the auditor's own, and the folder that it lies in."""
    try:
        real = path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, or a NUL
        raise UsageError(f"{what} can't be read: {error}") from error
    if isinstance(run, Path) and _inside(run, (path.absolute(), real)):
        raise UsageError(
            f"{what} lies in the run's folder: whoever made the run wrote it. Use a file of your own, kept elsewhere"
        )
    return _read(real, bounded_toml.MAX_BYTES, what), real.parent


def _beside(folder: Path | None, name: str, limit: int = MAX_BESIDE) -> bytes:
    """The bytes of a file that lies beside the policy. VerificationError."""
    if folder is None or not PLAIN_NAME.fullmatch(name):
        raise VerificationError(
            "this is not the name of a file beside the policy",
            expected="letters, digits, _ - .",
            found=quoted(name, SHOWN),
        )
    return read_bounded(folder / name, limit)


def _inside(run: Path, paths: tuple[Path, ...]) -> bool:
    """Whether one of the paths lies in the run's folder, however the folder is called."""
    try:
        own = os.stat(run)
    except (OSError, ValueError):
        return False  # no run: said when it is opened
    for folder in {parent for path in paths for parent in path.parents}:
        with suppress(OSError):
            if os.path.samestat(own, os.stat(folder)):
                return True
    return False
