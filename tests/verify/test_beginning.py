"""Step 6, the beginning: first weights that a beacon gave, and what a trainer would gain who chose
them after all. With first weights of their choice they start from a model that was trained, or
poisoned, elsewhere, or try starts until one leads where they want, and the report says that they
had no choice."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.verify.register_builder import OTHER as ANOTHERS
from tests.verify.register_builder import PLACES, Tree, entered, write
from tests.verify.run_builder import (
    LOG_POLICY,
    POLICY,
    TERMS,
    Run,
    StandInChecker,
    honest,
    judge,
    refused,
    stand_ins,
)
from zk_autograd.core.anchors import AnchorClaim, Receipt, SignedCheckpoint, Standing
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.first_weights import first_blocks, first_weights
from zk_autograd.core.hyper import Rule
from zk_autograd.core.keys import Ed25519Signer, PublicKey
from zk_autograd.core.progress import silent
from zk_autograd.core.record_bytes import parse_log, to_bytes
from zk_autograd.core.records import BEACON, ENCLAVE_FORMAT, INSIDE, TRAINER, Genesis, Header, header_digest
from zk_autograd.core.register import Entry, Kind
from zk_autograd.core.trust import Missing
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.prove.hashed.verify import HashedSystem
from zk_autograd.prove.verifiers import Systems
from zk_autograd.verify.beginning import check_beginning, ordered
from zk_autograd.verify.chain import check_chain
from zk_autograd.verify.outcome import Claim, Outcome, Source, Status, Step
from zk_autograd.verify.report import Report
from zk_autograd.verify.statement import Basis
from zk_autograd.verify.verifier import Verifier

BEACON_BYTES = sha256(b"beacon").digest()
OTHER = sha256(b"another beacon").digest()
WORD = "is the trainer's word"


def claim(beacon: bytes | None = BEACON_BYTES, **changes: Any) -> AnchorClaim:
    base = AnchorClaim("evm", Standing.SHOWN, "on a chain", 5, beacon=beacon, beacon_terms=dict(TERMS))
    return replace(base, **changes)


def beginning(run: Run, at_begin: Sequence[AnchorClaim] = (), checker: Any = None) -> Outcome:
    """What the whole of step 6 says."""
    basis = Basis(checker or (StandInChecker(("W", "M", "V")) if run.header.prover.form.setup else HashedSystem()))
    return check_chain(parse_log(run.leaves()), at_begin, basis, silent)


def source(outcome: Outcome) -> Source:
    (found,) = (c.source for c in outcome.claims if c.what == "the first weights")
    return found


def limit(outcome: Outcome, text: str) -> bool:
    return any(text in one for one in outcome.limits)


def genesis(run: Run) -> Genesis:
    assert run.genesis is not None
    return run.genesis


# ---- what is shown -------------------------------------------------------------------------------


@pytest.mark.parametrize(("backend", "rule"), [("none", Rule.ADAM), ("none", Rule.SGD), ("ezkl", Rule.ADAM)])
def test_a_beacon_that_an_anchor_gives_shows_that_the_weights_were_not_chosen(backend: str, rule: Rule) -> None:
    found = beginning(honest(backend, rule, beacon=BEACON_BYTES), [claim()])
    assert found.finding.status is Status.PASSED
    assert source(found) is Source.ANCHORED
    told = " ".join(found.finding.sentences)
    assert (
        BEACON_BYTES.hex() in told and "the beacon came after the header: evm gives it, which rests on a chain" in told
    )
    assert not limit(found, "initial weights")
    assert limit(found, "which of the runs in their register is shown was")
    assert limit(found, "that the data order follows from the beacon is the trainer's word")


def test_the_order_is_no_word_where_every_gradient_was_computed_again_in_it() -> None:
    found = beginning(honest("none", beacon=BEACON_BYTES), [claim()])
    words = "that the data order follows from the beacon"
    assert limit(ordered(found, whole=False), words)
    assert not limit(ordered(found, whole=True), words)
    assert len(ordered(found, whole=True).limits) == len(found.limits) - 1


def test_an_enclaves_own_register_does_not_show_that_the_weights_were_one_choice() -> None:
    """Gain: instances are started until one drew weights that suit, and no register counts them."""
    run = honest("none", beacon=BEACON_BYTES)
    run.edit_header(format=ENCLAVE_FORMAT, proving=INSIDE)
    basis, first = Basis(HashedSystem()), genesis(run)
    weights = first_blocks(run.header, header_digest(to_bytes(run.header)), first.beacon)
    commitments = tuple(HashedSystem().commitments(zip(weights, first.weight_salts, strict=True)))
    run.genesis = replace(first, attestation=bytes(32), state={**first.state, "W": commitments})
    found = check_beginning(parse_log(run.leaves()), [claim()], basis, silent)
    assert (found.finding.status, source(found)) == (Status.PASSED, Source.CLAIMED)
    assert any("shows no other instance" in sentence for sentence in found.finding.sentences)
    assert limit(found, "initial weights") and not limit(found, "which of the runs in their register is shown was")


def test_an_order_of_the_trainers_own_stays_theirs() -> None:
    run = honest("none", beacon=BEACON_BYTES, order_by=TRAINER)
    found = beginning(run, [claim()])
    assert source(found) is Source.ANCHORED
    assert limit(found, "data order chosen by the trainer") and not limit(found, "initial weights")


NOT_SHOWN: dict[str, tuple[Sequence[AnchorClaim], str]] = {
    "no receipt": ((), "there is no receipt of evm"),
    "a receipt of another kind": ((claim(kind="rfc3161", beacon=None, beacon_terms={}),), "there is no receipt of evm"),
    "a beacon of another kind": ((claim(kind="chain"),), "there is no receipt of evm"),
    "not judged": ((claim(standing=Standing.UNJUDGED),), "does not count"),
    "the trainer's word": ((claim(standing=Standing.WORD),), "does not count"),
    "no beacon": ((claim(None),), "gives no beacon under the header's terms"),
    "another chain": ((claim(beacon_terms={**dict(TERMS), "chain": "1"}),), "gives no beacon under the header's terms"),
    "one term more": ((claim(beacon_terms={**dict(TERMS), "delay": "1"}),), "gives no beacon under the header's terms"),
    "no terms": ((claim(beacon_terms={}),), "gives no beacon under the header's terms"),
    "another beacon that does not count": ((claim(OTHER, standing=Standing.WORD),), "does not count"),
    "another beacon of another chain": ((claim(OTHER, beacon_terms={"chain": "1"}),), "under the header's terms"),
}


@pytest.mark.parametrize("case", NOT_SHOWN)
def test_where_no_anchor_gives_the_beacon_it_is_the_trainers_word(case: str) -> None:
    """A trainer who made the beacon up has weights that follow from it."""
    at_begin, why = NOT_SHOWN[case]
    found = beginning(honest("none", beacon=BEACON_BYTES), at_begin)
    assert found.finding.status is Status.PASSED
    assert source(found) is Source.CLAIMED
    assert any(why in sentence for sentence in found.finding.sentences)
    assert "came after the header is not shown" in " ".join(found.finding.sentences)
    assert limit(found, "initial weights and data order chosen by the trainer, for all that is shown")
    assert not limit(found, "were not the trainer's choice")


def test_what_cannot_be_recomputed_is_the_trainers_word_whatever_the_anchor() -> None:
    found = beginning(honest("none", beacon=BEACON_BYTES), [claim()], Missing("no library"))
    assert (found.finding.status, source(found)) == (Status.NOT_SHOWN, Source.CLAIMED)
    assert limit(found, "for all that is shown")
    assert any("first weights are the beacon's was not checked" in s for s in found.finding.sentences)


def test_a_run_that_has_not_begun_has_no_first_weights() -> None:
    run = honest("none", beacon=BEACON_BYTES)
    run.genesis, run.segments, run.close = None, [], None
    found = beginning(run, [claim()])
    assert source(found) is Source.ABSENT
    assert not limit(found, "were not the trainer's choice")


def test_a_trainers_own_start_is_told_as_before(tmp_path: Path) -> None:
    report = judge(honest("none"), tmp_path, LOG_POLICY)
    assert "initial weights and data order chosen by the trainer" in report.limits
    assert Claim("the first weights", Source.CLAIMED) in report.claims
    assert "beacon" not in report.text()


def test_the_report_tells_of_a_beacon_that_nothing_shows(tmp_path: Path) -> None:
    report = begun(honest(beacon=BEACON_BYTES), tmp_path)
    assert report.failure is None
    assert Claim("the first weights", Source.CLAIMED) in report.claims
    assert any(f"that a beacon decided both {WORD}" in one for one in report.limits)


def begun(run: Run, folder: Path, *anchored: int, trust: bool = True) -> Report:
    """The report on the run in its register, with the lottery's receipts for trees of these
    sizes."""
    tree = entered(run)
    folder.mkdir(exist_ok=True)
    write(folder, tree.views(*PLACES), [Lottery.receipt(tree, size) for size in anchored])
    return judged(run, folder, trust=trust)


def judged(run: Run, folder: Path, *, trust: bool = True, after: int | None = None) -> Report:
    policy = replace(LOG_POLICY, srs=POLICY.srs, anchors={"lottery": LOTTERY.public_key} if trust else {})
    with RunFolder(run.write(folder)) as files:
        return Verifier(policy, stand_ins(), {"lottery": Lottery(after)}).verify(files)


# ---- attacks -------------------------------------------------------------------------------------


def chosen(change: Callable[[Any, Header], Any], **changes: Any) -> Run:
    """A run whose trainer began with other weights than the beacon's, with commitments and proofs
    to match."""
    header = honest("ezkl", beacon=BEACON_BYTES, **changes).header
    mine = first_weights(header, header_digest(to_bytes(header)), BEACON_BYTES)
    return honest("ezkl", beacon=BEACON_BYTES, weights=change(mine, header), **changes)


def one_unit(at: int, by: int) -> Callable[[Any, Header], Any]:
    def change(weights: Any, header: Header) -> Any:
        weights = weights.copy()
        weights[at] += by
        return weights

    return change


ATTACKS: dict[str, tuple[Callable[[Any, Header], Any], int]] = {
    "one unit more": (one_unit(0, 1), 0),
    "one unit less in the last element": (one_unit(5, -1), 1),
    "a bias that is not zero": (one_unit(4, 2**20), 1),
    "another header's weights": (lambda w, h: first_weights(h, sha256(b"another header").digest(), BEACON_BYTES), 0),
    "another beacon's weights": (lambda w, h: first_weights(h, header_digest(to_bytes(h)), OTHER), 0),
    "a trained model": (lambda w, h: np.arange(6, dtype=np.int64) * 2**30, 0),
    "reordered": (lambda w, h: w[::-1].copy(), 0),
    "negated": (lambda w, h: -w, 0),
    "all zero": (lambda w, h: w * 0, 0),
}


@pytest.mark.parametrize("at_begin", [(), (claim(),)])
@pytest.mark.parametrize("case", ATTACKS)
def test_step6_weights_that_the_beacon_does_not_give(case: str, at_begin: Sequence[AnchorClaim]) -> None:
    change, block = ATTACKS[case]
    with pytest.raises(VerificationError, match=f"W of block {block} is not what the beacon gives") as caught:
        beginning(chosen(change), at_begin)
    assert caught.value.record == 1


def test_step6_is_where_it_fails(tmp_path: Path) -> None:
    refused(begun(chosen(one_unit(3, 1)), tmp_path), 6, "W of block 0 is not what the beacon gives", record=1)
    assert begun(honest(beacon=BEACON_BYTES), tmp_path / "honest").findings[Step.CHAIN].status is Status.PASSED


def test_step6_a_beacon_that_was_ground() -> None:
    """The trainer tries beacons until the first weights suit them, and writes that one down."""
    run = honest("none", beacon=OTHER)
    assert source(beginning(run)) is Source.CLAIMED
    with pytest.raises(VerificationError, match="does not have the beacon that evm gives") as caught:
        beginning(run, [claim()])
    assert (caught.value.expected, caught.value.found) == (BEACON_BYTES.hex(), OTHER.hex())


def test_step6_a_ground_beacon_is_seen_even_where_nothing_can_be_recomputed() -> None:
    with pytest.raises(VerificationError, match="does not have the beacon that evm gives"):
        beginning(honest("none", beacon=OTHER), [claim()], Missing("no library"))


@pytest.mark.parametrize("first", [BEACON_BYTES, OTHER])
def test_step6_one_of_two_beacons_of_one_header_is_not_chosen(first: bytes) -> None:
    two = [claim(first), claim(OTHER if first == BEACON_BYTES else BEACON_BYTES)]
    for beacon in (BEACON_BYTES, OTHER):
        with pytest.raises(VerificationError, match="does not have the beacon that evm gives"):
            beginning(honest("none", beacon=beacon), two)


def test_step6_edited_terms_have_other_weights_and_no_anchor() -> None:
    """A header changed once the beacon is known: its digest, and so its weights, are others; and
    with those the beacon is no longer under its terms."""
    edited = tuple(sorted({**dict(TERMS), "delay": "0"}.items()))
    run = honest("none", beacon=BEACON_BYTES)
    run.edit_header(beacon=edited)
    with pytest.raises(VerificationError, match="is not what the beacon gives"):
        beginning(run, [claim()])
    rewritten = honest("none", beacon=BEACON_BYTES, terms=edited)
    assert not np.array_equal(rewritten.weights, run.weights)
    assert source(beginning(rewritten, [claim()])) is Source.CLAIMED


def test_step6_salts_of_w_are_distinct() -> None:
    run = honest("none", beacon=BEACON_BYTES)
    salts = genesis(run).weight_salts
    run.genesis = replace(genesis(run), weight_salts=(salts[0], salts[0]))
    with pytest.raises(VerificationError, match="W of block 1 has the salt of W of block 0"):
        beginning(run, [claim()])


@pytest.mark.parametrize(("name", "block"), [("M", 0), ("V", 1)])
def test_step6_a_salt_of_w_is_no_zero_states(name: str, block: int) -> None:
    run = honest("none", beacon=BEACON_BYTES)
    zeros = {state: list(salts) for state, salts in genesis(run).zero_salts.items()}
    zeros[name][block] = genesis(run).weight_salts[1]
    run.genesis = replace(genesis(run), zero_salts={state: tuple(salts) for state, salts in zeros.items()})
    with pytest.raises(VerificationError, match=f"{name} of block {block} has the salt of W of block 1"):
        beginning(run)


@pytest.mark.parametrize("at", [0, 1])
def test_step6_another_salt_opens_nothing(at: int) -> None:
    run = honest("none", beacon=BEACON_BYTES)
    salts = list(genesis(run).weight_salts)
    salts[at] = bytes(32)
    run.genesis = replace(genesis(run), weight_salts=tuple(salts))
    with pytest.raises(VerificationError, match=f"W of block {at} is not what the beacon gives"):
        beginning(run)


def test_step6_salts_of_two_blocks_exchanged() -> None:
    run = honest("none", beacon=BEACON_BYTES)
    run.genesis = replace(genesis(run), weight_salts=genesis(run).weight_salts[::-1])
    with pytest.raises(VerificationError, match="W of block 0 is not what the beacon gives"):
        beginning(run)


def test_the_checks_of_the_beginning_stand_by_themselves() -> None:
    """Not only within step 6, whose chain might have caught it."""
    run = chosen(one_unit(0, 1))
    log = parse_log(run.leaves())
    basis = Basis(StandInChecker(("W", "M", "V")))
    with pytest.raises(VerificationError, match="is not what the beacon gives"):
        check_beginning(log, (), basis, silent)


# ---- from the register to the report -------------------------------------------------------------

LOTTERY = Ed25519Signer("lottery", bytes(range(100, 132)))


@dataclass(frozen=True)
class Lottery:
    """A stand-in kind: a receipt is the signature of a key over the tree head, and its SHA-256 the
    beacon. The key signs what it is asked for, each head once; `after`: the size of the tree before
    that, if it says so."""

    after: int | None = None
    KIND = "lottery"

    @staticmethod
    def receipt(tree: Tree, size: int) -> Receipt:
        head = tree.head(size)
        return Receipt("lottery", head.size, head.root, {"signature": LOTTERY.sign(_said(head)).hex()})

    def read_trust(self, fields: Fields, read: Callable[[str], bytes]) -> PublicKey:
        return PublicKey.parse(fields.text("key", 200))

    def verify(self, receipt: Receipt, checkpoint: SignedCheckpoint, trust: PublicKey | None) -> AnchorClaim:
        receipt.require_head(checkpoint.head)
        if trust is None:
            return AnchorClaim("lottery", Standing.UNJUDGED, "you gave no key")
        signature = bytes.fromhex(str(receipt.body["signature"]))
        trust.verify(_said(checkpoint.head), signature)
        beacon = sha256(signature).digest()
        return AnchorClaim(
            "lottery",
            Standing.SHOWN,
            "on its key",
            beacon=beacon,
            beacon_terms={"draw": "1"},
            beacon_after=self.after,
        )


def _said(head: Checkpoint) -> str:
    return f"{head.origin}\n{head.size}\n{head.root.hex()}\n"


DRAWN = (("draw", "1"), ("kind", "lottery"))


def beacon_of(tree: Tree, size: int) -> bytes:
    return sha256(bytes.fromhex(str(Lottery.receipt(tree, size).body["signature"]))).digest()


def drawn() -> Run:
    """A run whose beacon is the lottery's for the register's tree that ends with its begin."""
    first = beacon_of(entered(honest("none", beacon=OTHER, terms=DRAWN)), 2)  # the header has no beacon
    return honest("none", beacon=first, terms=DRAWN)


def said(report: Report) -> Source:
    (found,) = (one.source for one in report.claims if one.what == "the first weights")
    return found


def test_a_run_that_a_beacon_began_is_told_as_such(tmp_path: Path) -> None:
    report = begun(drawn(), tmp_path, 2)
    assert report.failure is None, report.text()
    assert said(report) is Source.ANCHORED
    assert "initial weights" not in " ".join(report.limits)
    assert "so had each time that one run was begun again" in " ".join(report.limits)
    assert "anchored: the first weights" in " ".join(report.text().split())


def test_without_trust_in_the_anchor_it_is_the_trainers_word(tmp_path: Path) -> None:
    report = begun(drawn(), tmp_path, 2, trust=False)
    assert said(report) is Source.CLAIMED
    assert any(f"that a beacon decided both {WORD}" in one for one in report.limits)


def test_step6_a_ground_beacon_against_the_registers_receipt(tmp_path: Path) -> None:
    run = honest("none", beacon=BEACON_BYTES, terms=drawn().header.beacon)
    refused(begun(run, tmp_path, 2), 6, "does not have the beacon that lottery gives", record=1)


def of_the_third_tree(folder: Path, *shown: int, after: int | None = None) -> Report:
    """The report on a run that entry 1 begins and whose beacon is that of the register's first
    three entries."""
    header = drawn().header
    begin = Entry(Kind.BEGIN, header.run, 1, drawn().root(1))
    tree = Tree([ANOTHERS, begin, replace(ANOTHERS, run=bytes(16))])
    run = honest("none", beacon=beacon_of(tree, 3), terms=DRAWN)
    assert run.header == header
    run.segments, run.close, run.model = [], None, {}
    write(folder, tree.views((1, 2), (1, 3)), [Lottery.receipt(tree, size) for size in shown])
    return judged(run, folder, after=after)


@pytest.mark.parametrize("after", [None, 2])
def test_a_beacon_of_a_later_anchoring_shows_nothing(tmp_path: Path, after: int | None) -> None:
    """The trainer goes on entering what they like until an anchored tree gives a beacon that they
    like, and shows that receipt."""
    report = of_the_third_tree(tmp_path, 3, after=after)
    assert report.failure is None, report.text()
    assert said(report) is Source.CLAIMED
    told = " ".join(report.findings[Step.CHAIN].sentences)
    assert "there is no receipt of lottery for the register's tree that first held the header" in told


def test_step6_a_later_beacon_beside_the_first_one(tmp_path: Path) -> None:
    report = of_the_third_tree(tmp_path, 2, 3)
    refused(report, 6, "does not have the beacon that lottery gives", record=1)


@pytest.mark.parametrize("after", [0, 1])
def test_the_first_tree_that_an_anchor_took_may_have_later_entries(tmp_path: Path, after: int) -> None:
    """As when two runs are begun at once: the anchor says that it took none with the header
    before."""
    assert said(of_the_third_tree(tmp_path, 3, after=after)) is Source.ANCHORED


# ---- a real backend ------------------------------------------------------------------------------


@pytest.mark.usefixtures("native_prover")
def test_native_commitments_to_the_first_weights_are_recomputed() -> None:
    """Of both blocks of a header of the native backend, committed to by the prover's side."""
    from zk_autograd.prove.native.backend import NativeBackend
    from zk_autograd.prove.native.preset import Preset
    from zk_autograd.prove.native.shape import Shape

    shape = Shape(Rule.SGD, Preset.STANDARD, 13, 3)
    backend = NativeBackend(shape)
    base = honest("none", Rule.SGD, groups=2, beacon=BEACON_BYTES).header
    header = replace(base, prover=shape.prover)
    digest = header_digest(to_bytes(header))
    weights = first_weights(header, digest, BEACON_BYTES)
    salts = tuple(backend.draw_salt() for _ in header.blocks)

    def outcome(mine: Any) -> Outcome:
        made = tuple(backend.commit(header.padded(mine, i), salt) for i, salt in enumerate(salts))
        first = Genesis({"W": made}, {}, BEACON_BYTES, salts)
        log = parse_log([to_bytes(header), to_bytes(first)])
        checker = Systems()["native"].checker(header.prover)
        return check_chain(log, [claim()], Basis(checker), silent)

    assert source(outcome(weights)) is Source.ANCHORED
    weights[5] += 1
    with pytest.raises(VerificationError, match="W of block 1 is not what the beacon gives"):
        outcome(weights)
    assert header.weights_by == BEACON
