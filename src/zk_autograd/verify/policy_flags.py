"""What flags add to a policy file. They never loosen it: whatever the merged policy accepts, the
file alone accepts, too, once it pins a key. (Without one it accepts nothing, and --key says whose
run it is.)

Each field of `Policy` has its rule here; one without a rule can't be added unnoticed (the last
line). A flag that would loosen the file is a UsageError that names both.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from typing import Any

from zk_autograd.core.errors import UsageError
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.text import listed, quoted
from zk_autograd.verify.anchor_policy import names
from zk_autograd.verify.outcome import RESTS_ON, Level
from zk_autograd.verify.policy import Flags, Policy
from zk_autograd.verify.sampling import Detection

_SHOWN = 3
_ALL = "without [sample], all proofs are to be verified"


def merged(file: Policy, flags: Flags) -> Policy:
    """The file's policy with what the flags add. UsageError if one would loosen it."""
    return Policy(**{name: rule(file, flags) for name, rule in _RULES.items()})


def _keys(file: Policy, flags: Flags) -> tuple[PublicKey, ...]:
    return file.keys + tuple(key for key in flags.keys if key not in file.keys)


def _srs(file: Policy, flags: Flags) -> frozenset[bytes]:
    _require_known("--srs-digest", "provers.ezkl.srs", [d.hex() for d in flags.srs - file.srs])
    return file.srs


def _require(file: Policy, flags: Flags) -> frozenset[Level]:
    if flags.require is None:
        return file.require
    covered = flags.require.union(*(RESTS_ON[level] for level in flags.require))
    if left := file.require - covered:
        raise _loosens("--require", "require", f"{_and(left)} would no longer be required")
    return file.require | flags.require


def _sample(file: Policy, flags: Flags) -> int | None:
    if flags.sample is None:
        return file.sample
    if file.sample is None:
        raise _loosens("--sample", "sample", _ALL)
    if flags.sample < file.sample:
        raise _loosens("--sample", "sample.proofs", f"at least {file.sample} proofs are to be verified")
    return flags.sample


def _detection(file: Policy, flags: Flags) -> Detection | None:
    """It counts beside the file's number: of two samples the larger is drawn."""
    if flags.detection is not None and file.sample is None:
        raise _loosens("--target-detection", "sample", _ALL)
    return flags.detection


def _earlier(file: Policy, flags: Flags) -> None:
    if flags.earlier is not None:
        why = "what the earlier report verified would be its word, and not be verified now"
        raise _loosens("--continue", "sample", why)


def _beacon(file: Policy, flags: Flags) -> str | None:
    if flags.beacon is not None and not file.allow_beacon:
        why = "the sample is to be drawn from the verifier's own randomness, which no trainer can know"
        raise _loosens("--beacon", "sample.beacon", why)
    return flags.beacon


def _accept_sample(file: Policy, flags: Flags) -> bool:
    if flags.accept_sample and not file.accept_sample:
        raise _loosens("--accept-sample", "sample.accept", "a sample is not to be taken for all proofs")
    return file.accept_sample


def _accept_uncovered(file: Policy, flags: Flags) -> frozenset[str]:
    new = flags.accept_uncovered - file.accept_uncovered
    _require_known("--accept-uncovered", "accept_uncovered", [quoted(name) for name in new])
    return file.accept_uncovered


def _anchors(file: Policy, flags: Flags) -> Mapping[str, Any]:
    if flags.anchors and (asked := list(names(file.demands))):
        why = "what it demands of anchors would be met by whom it doesn't trust"
        raise _loosens("--trust-anchors", asked[0], why)
    if twice := sorted(flags.anchors.keys() & file.anchors.keys()):
        raise _loosens("--trust-anchors", f"anchors.{twice[0]}", "it names whom it trusts")
    return {**file.anchors, **flags.anchors}


_RULES: Mapping[str, Callable[[Policy, Flags], Any]] = {
    "keys": _keys,
    "srs": _srs,
    "require": _require,
    "head": lambda file, flags: flags.head,  # which records are judged, not what is demanded of them
    "sample": _sample,
    "beacon": _beacon,
    "segments": lambda file, flags: file.segments,  # flags have none
    "allow_beacon": lambda file, flags: file.allow_beacon,
    "accept_sample": _accept_sample,
    "accept_uncovered": _accept_uncovered,
    "detection": _detection,
    "earlier": _earlier,
    "keep_going": lambda file, flags: flags.keep_going,  # what is looked at once a proof is false
    # A file has neither: they demand something more, and take nothing back.
    "model_key": lambda file, flags: flags.model_key,
    "model_signature": lambda file, flags: flags.model_signature,
    "demands": lambda file, flags: file.demands + flags.demands,
    "digest": lambda file, flags: file.digest,
    "anchors": _anchors,
    "online": lambda file, flags: flags.online,  # evidence, not trust: what the service itself holds
    # A file alone has them. It requires L2 then, so keys that flags add take nothing back.
    "attestations": lambda file, flags: file.attestations,
    "nonce": lambda file, flags: file.nonce,
    "job": lambda file, flags: file.job,
}


def _require_known(flag: str, field: str, new: Collection[str]) -> None:
    if new:
        raise _loosens(flag, field, f"it does not name {listed(sorted(new), _SHOWN)}")


def _loosens(flag: str, field: str, why: str) -> UsageError:
    return UsageError(f"{flag} would loosen the policy's {field}: {why}. Change the policy file, or leave the flag out")


def _and(levels: Collection[Level]) -> str:
    return " and ".join(sorted(level.value for level in levels))


assert _RULES.keys() == {field.name for field in fields(Policy)}
