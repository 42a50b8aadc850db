"""What the auditor asks for and whom they trust, independent of any evidence.

A policy is set before a run is looked at; nothing in it may come from the run. Keys are *pinned*: a
key that the auditor first saw in the run pins nothing. SRS digests are *allowed*: whoever made an
SRS can forge proofs under it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from zk_autograd.core.errors import UsageError
from zk_autograd.core.keys import PublicKey
from zk_autograd.verify.anchoring import Asked
from zk_autograd.verify.demand import Demand
from zk_autograd.verify.outcome import SAMPLES, Level
from zk_autograd.verify.sampling import Detection

if TYPE_CHECKING:
    from zk_autograd.core.ec_keys import EcPublicKey
    from zk_autograd.verify.earlier import Earlier

_HEAD = re.compile(r"([0-9a-f]{64})@([1-9][0-9]{0,18})")
_LIKE_A_HEAD = re.compile(r"\s*[0-9A-Fa-f]{40,}@.*", re.DOTALL)
MAX_BEACON = 1000
"""Characters of a beacon."""


@dataclass(frozen=True, slots=True)
class TreeHead:
    """A root that the auditor has from elsewhere, and its size: records after it are ignored."""

    root: bytes
    size: int

    @classmethod
    def parse(cls, text: str) -> "TreeHead":
        """The head of a text ROOT@SIZE, 64 lower-case hexadecimal digits and a decimal number of at
        least 1. UsageError otherwise."""
        match = _HEAD.fullmatch(text)
        if match is None:
            raise UsageError(
                f"{text[:100]!r} is not a ROOT@SIZE: 64 lower-case hexadecimal digits, @, and the number of records"
            )
        return cls(bytes.fromhex(match[1]), int(match[2]))

    @staticmethod
    def is_meant(text: str) -> bool:
        """Whether a text can only be meant as a ROOT@SIZE, well-formed or not: whatever
        file of that name there is."""
        return _LIKE_A_HEAD.fullmatch(text) is not None

    def __str__(self) -> str:
        return f"{self.root.hex()}@{self.size}"


@dataclass(frozen=True, slots=True)
class Policy:
    """`keys` must all have signed; `srs` are SHA-256 digests of SRS files that are allowed in
    addition to those of public ceremonies; `require` the levels that decide the exit status.

    `head`: see `TreeHead`. `sample`: how many proofs are verified, None for all of them; `beacon`:
    the text that the sample is drawn from, None for fresh randomness; `allow_beacon`: whether flags
    may give one; `accept_sample`: whether a sample is enough where L1 is required, or a
    challenge's segments where L3 is; `segments`: how many of them at least, None for any number.
    `accept_uncovered`: paths in the run, with "/", that no record names but the auditor knows: they
    don't count against the run. `detection`: what a sample must find, instead of its size; the
    larger of the two counts. `earlier`: the report whose sample is continued, with all that it
    left. `keep_going`: whether proofs are verified beyond the first false one. `demands` and
    `digest`, a SHA-256, are those of a policy file (verify.policy_file), which flags can only make
    stricter (verify.policy_flags). `model_key`: who must have signed the published model, None not
    to look; `model_signature`: the bytes of that signature, None for the run's own model.sig.
    `anchors`: the trust in each kind of anchor, as its verifier read it (core.anchors); `online`:
    what services gave out that were asked. `attestations`: the trust in each kind of attestation,
    as its verifier read it (core.attestation); `nonce` and `job` (the SHA-256 of a sealed job):
    those that an attestation must have, b"" for any.
    UsageError for a policy that contradicts itself.
    """

    keys: tuple[PublicKey, ...] = ()
    srs: frozenset[bytes] = frozenset()
    require: frozenset[Level] = frozenset({Level.L1})
    head: TreeHead | None = None
    sample: int | None = None
    beacon: str | None = None
    segments: int | None = None
    allow_beacon: bool = True
    accept_sample: bool = False
    accept_uncovered: frozenset[str] = frozenset()
    detection: Detection | None = None
    earlier: "Earlier | None" = None
    keep_going: bool = False
    model_key: "EcPublicKey | None" = None
    model_signature: bytes | None = None
    demands: tuple[Demand, ...] = ()
    digest: bytes | None = None
    anchors: Mapping[str, Any] = field(default_factory=dict)
    online: tuple[Asked, ...] = ()
    attestations: Mapping[str, Any] = field(default_factory=dict)
    nonce: bytes = b""
    job: bytes = b""

    @property
    def samples(self) -> bool:
        """Whether a sample is drawn."""
        return self.sample is not None or self.detection is not None

    def sample_of(self, proofs: int) -> int:
        """How many of `proofs` proofs are verified: all, unless a sample was asked for."""
        sizes = [self.sample] if self.sample is not None else []
        sizes += [self.detection.sample(proofs)] if self.detection is not None else []
        return max(sizes, default=proofs)

    def __post_init__(self) -> None:
        if len({key.raw for key in self.keys}) < len(self.keys):
            raise UsageError("the same key is given twice; name each signer's key once")
        if any(len(digest) != 32 for digest in self.srs):
            raise UsageError("the digest of an SRS is a SHA-256: 64 hexadecimal digits")
        if not self.require or self.require & {*SAMPLES.values()}:
            raise UsageError(
                "the levels that can be required are L0, L1, L2 and L3; --accept-sample takes L1-sampled for L1, and L3-sampled for L3"
            )
        if self.earlier is not None and self.samples:
            raise UsageError(
                "--continue verifies all that an earlier sample left: it goes without --sample and --target-detection"
            )
        if not self.samples and (self.beacon is not None or (self.accept_sample and Level.L3 not in self.require)):
            raise UsageError(
                "a beacon, or accepting a sample, makes no sense where all proofs are verified: give --sample K"
            )
        if self.sample is not None and self.sample < 2:
            raise UsageError("a sample has at least 2 proofs: the first and the last are always in it")
        if self.beacon is not None:
            require_beacon(self.beacon)
        if self.model_signature is not None and self.model_key is None:
            raise UsageError(
                "a model signature shows nothing without the signer's key, from elsewhere than the model: give --model-key"
            )
        if self.segments is not None and (self.segments < 2 or not self.accept_sample or Level.L3 not in self.require):
            raise UsageError(
                "a number of segments, at least 2, is for a policy that requires L3 and takes a challenge's segments for all"
            )
        for path in self.accept_uncovered:
            if not path or {"", ".", ".."} & set(path.split("/")):
                raise UsageError(
                    f"{path[:100]!a} is not a path in a run: give it as the report prints it, relative to the run's folder, such as model/extra.bin"
                )


@dataclass(frozen=True, slots=True)
class Flags:
    """What the auditor asks for beside a policy file, as `Policy` has it. `require` is None if no
    level was named."""

    keys: tuple[PublicKey, ...] = ()
    srs: frozenset[bytes] = frozenset()
    require: frozenset[Level] | None = None
    head: TreeHead | None = None
    sample: int | None = None
    beacon: str | None = None
    accept_sample: bool = False
    accept_uncovered: frozenset[str] = frozenset()
    detection: Detection | None = None
    earlier: "Earlier | None" = None
    keep_going: bool = False
    model_key: "EcPublicKey | None" = None
    model_signature: bytes | None = None
    anchors: Mapping[str, Any] = field(default_factory=dict)
    demands: tuple[Demand, ...] = ()
    online: tuple[Asked, ...] = ()

    def policy(self, file: Policy | None = None) -> Policy:
        """The policy of these flags, and of the policy file if there is one. UsageError for flags
        that contradict each other, or that would loosen the file."""
        if file is not None:
            from zk_autograd.verify.policy_flags import merged  # judging without a file takes none of it

            return merged(file, self)
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return Policy(**{name: value for name, value in given.items() if value is not None})


def require_beacon(text: str) -> None:
    """UsageError for what is no beacon."""
    if not (0 < len(text) <= MAX_BEACON and text.isprintable()):
        raise UsageError(f"a beacon is a text of 1 to {MAX_BEACON} characters, all of them printable")
