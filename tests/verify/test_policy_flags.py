"""Flags beside a policy file: they add to it, and never loosen it."""

from dataclasses import dataclass, fields, replace
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verify.run_builder import KEY, SECOND, SIGNER, SRS, honest, stand_ins
from zk_autograd.core.errors import UsageError
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.verify.anchor_demands import AnchoredBefore, AnchoredBy, Authorities, InRegister
from zk_autograd.verify.demand import Demand
from zk_autograd.verify.demands import LeastSteps, SignedBy, SrsListed
from zk_autograd.verify.earlier import Earlier
from zk_autograd.verify.outcome import RESTS_ON, Level
from zk_autograd.verify.policy import Flags, Policy, TreeHead
from zk_autograd.verify.policy_flags import _RULES, merged
from zk_autograd.verify.sampling import Detection, miss_probability
from zk_autograd.verify.verifier import Verifier

OTHER_SRS = sha256(b"another SRS").digest()
THIRD = Ed25519Signer("third", bytes(range(64, 96)))
L0, L1 = frozenset({Level.L0}), frozenset({Level.L1})
FILE = Policy(
    keys=(KEY,),
    srs=frozenset({SRS}),
    require=L1,
    sample=4,
    allow_beacon=False,
    accept_sample=True,
    accept_uncovered=frozenset({"model/extra.bin"}),
    demands=(LeastSteps(3),),
    digest=bytes(32),
)
EARLIER = Earlier(bytes(32), TreeHead(bytes(32), 6), 6, frozenset({0, 5}), bytes(32))
WITHOUT_A_SAMPLE = replace(FILE, sample=None, accept_sample=False)


def test_without_flags_the_file_decides() -> None:
    assert Flags().policy(FILE) == FILE


def test_without_a_file_the_flags_decide() -> None:
    assert Flags().policy() == Policy()
    given = Flags(keys=(KEY,), require=L0, sample=3, beacon="noon", accept_sample=True)
    assert given.policy() == Policy(keys=(KEY,), require=L0, sample=3, beacon="noon", accept_sample=True)


def test_flags_add() -> None:
    head = TreeHead(bytes(32), 3)
    flags = Flags(
        keys=(SECOND.public_key,),
        require=frozenset({Level.L0, Level.L1}),
        head=head,
        sample=5,
        beacon="noon",
        detection=Detection.parse("0.99", "1"),
        keep_going=True,
        accept_uncovered=frozenset({"model/extra.bin"}),
        accept_sample=True,
        srs=frozenset({SRS}),
    )
    assert flags.policy(replace(FILE, allow_beacon=True)) == replace(
        FILE,
        keys=(KEY, SECOND.public_key),
        require=frozenset({Level.L0, Level.L1}),
        head=head,
        sample=5,
        beacon="noon",
        allow_beacon=True,
        detection=Detection.parse("0.99", "1"),
        keep_going=True,
    )


def test_a_key_of_the_file_may_be_given_again() -> None:
    assert Flags(keys=(KEY,)).policy(FILE) == FILE


def test_a_level_that_rests_on_those_required_is_enough() -> None:
    assert Flags(require=L1).policy(replace(FILE, require=L0)).require == {Level.L0, Level.L1}


LOOSER: dict[str, tuple[Policy, Flags, str]] = {
    "another SRS": (FILE, Flags(srs=frozenset({OTHER_SRS})), "--srs-digest would loosen the policy's provers.ezkl.srs"),
    "an SRS where none is named": (
        replace(FILE, srs=frozenset()), Flags(srs=frozenset({SRS})), "--srs-digest would loosen the policy's provers"),
    "L0 for L1": (FILE, Flags(require=L0), "--require would loosen the policy's require: L1 would no longer"),
    "a sample for all": (WITHOUT_A_SAMPLE, Flags(sample=1_000), "--sample would loosen the policy's sample: "),
    "a smaller sample": (FILE, Flags(sample=3), "--sample would loosen the policy's sample.proofs: at least 4"),
    "a beacon": (FILE, Flags(beacon="noon"), "--beacon would loosen the policy's sample.beacon"),
    "what a sample finds, for all": (
        WITHOUT_A_SAMPLE, Flags(detection=Detection.parse("0.99", "1")), "--target-detection would loosen the policy's sample: "),
    "an earlier report": (
        WITHOUT_A_SAMPLE, Flags(earlier=EARLIER), "--continue would loosen the policy's sample: what the earlier report"),
    "a sample accepted": (
        replace(FILE, accept_sample=False), Flags(accept_sample=True), "--accept-sample would loosen the policy's sample.accept"),
    "another file accepted": (
        FILE, Flags(accept_uncovered=frozenset({"model/other.bin"})),
        "--accept-uncovered would loosen the policy's accept_uncovered: it does not name 'model/other.bin'"),
}  # fmt: skip


@pytest.mark.parametrize("name", LOOSER)
def test_a_flag_that_would_loosen_the_file_is_refused(name: str) -> None:
    file, flags, message = LOOSER[name]
    with pytest.raises(UsageError) as caught:
        flags.policy(file)
    assert message in str(caught.value)
    assert str(caught.value).endswith("Change the policy file, or leave the flag out")


@pytest.mark.parametrize("demand", [AnchoredBy(("notary",)), Authorities("notary", 2), AnchoredBefore(0)])
def test_a_file_that_demands_an_anchor_is_not_told_whom_to_trust(demand: Demand) -> None:
    with pytest.raises(UsageError, match=f"--trust-anchors would loosen the policy's {demand.field}"):
        Flags(anchors={"notary": 1}).policy(replace(FILE, demands=(demand,)))
    in_register = replace(FILE, demands=(InRegister(),))  # which no trust meets
    assert Flags(anchors={"notary": 1}).policy(in_register).anchors == {"notary": 1}


def test_a_file_that_names_whom_it_trusts_is_not_told_another() -> None:
    with pytest.raises(UsageError, match=r"--trust-anchors would loosen the policy's anchors\.notary"):
        Flags(anchors={"notary": 1}).policy(replace(FILE, anchors={"notary": 2}))


def test_every_field_of_a_policy_has_its_rule() -> None:
    assert list(_RULES) == [field.name for field in fields(Policy)]


# ---- for any file and flags ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Case:
    """What of a run a flag may loosen: who signed it, its SRS, its proofs (6; is the last bad, or
    one in between?), what lies beside it, by whose trust its anchor counts, and its steps."""

    signers: tuple[Ed25519Signer, ...] = (SIGNER, SECOND)
    srs: bytes = SRS
    bad_last: bool = False
    bad_inside: bool = False
    beside: frozenset[str] = frozenset()
    anchored: frozenset[str] = frozenset()
    lengths: tuple[int, ...] = (3, 3, 2)

    @property
    def proofs(self) -> int:
        return 2 * len(self.lengths)

    def write(self, folder: Path) -> Path:
        run = honest(lengths=self.lengths)
        run.signers = self.signers
        run.edit_prover(srs_digest=self.srs)
        run.reprove()
        if self.bad_inside:
            run.proofs[1, 0] = b"false"
        if self.bad_last:
            run.proofs[len(self.lengths) - 1, 1] = b"false"
        run.write(folder)
        for name in self.beside:
            (folder / name).write_bytes(b"x")
        return folder


PUBLIC = {signer.name: signer.public_key for signer in (SIGNER, SECOND)}


def chance(policy: Policy, case: Case) -> Fraction:
    """The probability that the policy accepts such a run, at most: a trainer who knows the beacon
    puts the bad proof where it is not looked at."""
    levels, missed = {Level.L0}, Fraction(1)
    signed = {PUBLIC[signer.name] for signer in case.signers}
    met = bool(policy.keys) and signed.issuperset(policy.keys) and case.beside <= policy.accept_uncovered
    for demand in policy.demands:
        met &= not isinstance(demand, LeastSteps) or sum(case.lengths) >= demand.least
        met &= not isinstance(demand, AnchoredBy) or policy.anchors.get("notary") in case.anchored
        met &= not isinstance(demand, SrsListed) or case.srs in demand.digests
    if case.srs in policy.srs:
        sampled = policy.sample is not None and policy.sample < case.proofs
        levels.add(Level.L1 if not sampled or policy.accept_sample else Level.L1_SAMPLED)
        if case.bad_last or (case.bad_inside and not sampled):
            missed = Fraction(0)
        elif case.bad_inside and policy.beacon is None and not policy.allow_beacon:
            missed = miss_probability(case.proofs, policy.sample or 0, 1)
    return missed if met and policy.require <= levels else Fraction(0)


CASES = [
    Case(),
    Case(signers=(SECOND,)),
    Case(srs=OTHER_SRS),
    Case(bad_last=True),
    Case(bad_inside=True),
    Case(beside=frozenset({"model/extra.bin"})),
    Case(beside=frozenset({"model/other.bin"})),
    Case(lengths=(2,)),
    Case(srs=OTHER_SRS, bad_inside=True),
    Case(anchored=frozenset({"whoever the flag names"})),
    Case(anchored=frozenset({"whoever the file names"})),
]
POLICIES = [
    FILE,
    WITHOUT_A_SAMPLE,
    replace(FILE, sample=5, require=L0, keys=(SECOND.public_key,)),
    replace(FILE, srs=frozenset(), require=L0),
    replace(FILE, srs=frozenset({OTHER_SRS}), demands=(), sample=None, accept_sample=False),
    replace(FILE, keys=()),
]


def test_the_chances_are_the_verifiers(tmp_path: Path) -> None:
    """Where no randomness decides, the model of the next test accepts what the verifier accepts."""
    decided = []
    for index, case in enumerate(CASES):
        run = case.write(tmp_path / str(index))
        for policy in POLICIES:
            with RunFolder(run) as opened:
                accepted = Verifier(policy, stand_ins()).verify(opened).exit_status == 0
            if chance(policy, case) in (0, 1):
                assert accepted is (chance(policy, case) == 1), (case, policy)
                decided.append(accepted)
    assert {True, False} == set(decided)
    assert len(decided) > 50


# Likely values first: a policy that accepts nothing says nothing about flags.
KEYS = st.just((KEY,)) | st.sets(st.sampled_from([KEY, SECOND.public_key, THIRD.public_key]), max_size=2).map(tuple)
DIGESTS = st.just(frozenset({SRS})) | st.frozensets(st.sampled_from([SRS, OTHER_SRS]))
LEVELS = st.frozensets(st.sampled_from([Level.L0, Level.L1]), min_size=1)
NAMES = st.frozensets(st.sampled_from(["model/extra.bin", "model/other.bin"]))
SAMPLES = st.none() | st.integers(2, 7)


@st.composite
def files(draw: st.DrawFn) -> Policy:
    keys, srs, sample, require = draw(KEYS), draw(DIGESTS), draw(SAMPLES), draw(LEVELS)
    asked: list[Demand] = [*([SignedBy(keys)] if keys else []), *([SrsListed("ezkl", srs)] if srs else [])]
    more: tuple[Demand, ...] = draw(st.sampled_from([(), (LeastSteps(3),), (AnchoredBy(("notary",)),)]))
    return Policy(
        keys=keys,
        srs=srs,
        require=require,
        sample=sample,
        allow_beacon=sample is not None and draw(st.booleans()),
        accept_sample=sample is not None and (Level.L1 in require or draw(st.booleans())),  # as policy_file demands
        accept_uncovered=draw(NAMES),
        demands=(*asked, *more),
        digest=bytes(32),
        anchors=draw(st.sampled_from([{}, {"notary": "whoever the file names"}])),
    )


GIVEN = {
    "keys": KEYS,
    "srs": DIGESTS,
    "require": LEVELS,
    "sample": st.integers(2, 7),
    "beacon": st.just("noon"),
    "accept_sample": st.just(True),
    "accept_uncovered": NAMES,
    "anchors": st.just({"notary": "whoever the flag names"}),
    "demands": st.just((AnchoredBy(("notary",), "--require-anchor"),)),
}
FLAGS = st.builds(Flags, **{name: st.just(getattr(Flags(), name)) | values for name, values in GIVEN.items()})
FEW_FLAGS = st.one_of(*(st.builds(Flags, **{name: values}) for name, values in GIVEN.items()))


@settings(max_examples=300)
@given(file=files(), flags=FEW_FLAGS | FLAGS)
def test_whatever_the_merged_policy_accepts_the_file_accepts(file: Policy, flags: Flags) -> None:
    """A file without keys leaves it to the flags whose run it is: alone it accepts nothing, since
    nobody is pinned."""
    try:
        policy = merged(file, flags)
    except UsageError:
        return
    pinned = replace(file, keys=file.keys or flags.keys)
    for case in CASES:
        assert chance(policy, case) <= chance(pinned, case), case


@given(file=files(), flags=FLAGS)
def test_merged_is_stricter_field_by_field(file: Policy, flags: Flags) -> None:
    """What one run's verdict may not show, as a sample is drawn anew each time."""
    try:
        policy = merged(file, flags)
    except UsageError:
        return
    assert set(policy.keys) == {*file.keys, *flags.keys}
    assert policy.srs == file.srs
    reached = {*policy.require, *(below for level in policy.require for below in RESTS_ON[level])}
    assert file.require <= reached
    assert (policy.sample is None) == (file.sample is None)
    assert policy.sample is None or file.sample is None or policy.sample >= file.sample
    assert policy.beacon is None or file.allow_beacon
    assert policy.accept_sample == file.accept_sample
    assert policy.accept_uncovered == file.accept_uncovered
    assert (policy.demands, policy.digest) == (file.demands + flags.demands, file.digest)
    assert policy.anchors.items() >= file.anchors.items()
