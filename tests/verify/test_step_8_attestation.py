"""Step 8: what an enclave's document shows of a run, what makes it false, and what makes it less.

A hostile host wants one thing: a verdict that says of a run that measured code computed its
gradients, where that code did not. Each attack says what it would have gained.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rfc3161_client", reason="the package rfc3161-client is not installed: [rfc3161]")
pytest.importorskip("cbor2", reason="the package cbor2 is not installed: [tee]")

from tests.evidence.servers import served
from tests.tee.nitro import documents as nitro
from tests.tee.snp import real as snp
from tests.verify.attested_runs import (
    BEGUN,
    EMULATED,
    NO_COLLATERAL,
    NONCE,
    PCRS,
    PRODUCTION,
    STAMPED,
    EnclaveRun,
    device,
    documented,
    enclave_run,
    judged,
    policy,
)
from tests.verify.register_builder import enter, write
from tests.verify.run_builder import KEY, QUANTUM, SECOND, SIGNER, SRS, honest, refused, stand_ins
from tests.verify.test_report_schema import STRICT
from zk_autograd.anchor.kinds import verifiers as anchor_verifiers
from zk_autograd.cli.verify import main
from zk_autograd.core.anchors import AnchorClaim, Receipt, Standing
from zk_autograd.core.attestation import MAX_DOCUMENT, Attested, Binding, Collateral, Document, release_digest
from zk_autograd.core.errors import AttestationShort, UnreadableError, UsageError
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.core.records import OUTSIDE, Data
from zk_autograd.core.register import Kind
from zk_autograd.evidence.bundle import Bundle
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.evidence.remote import open_url
from zk_autograd.run.files import Files
from zk_autograd.run.packing import pack
from zk_autograd.tee.kinds import verifiers as attestation_verifiers
from zk_autograd.verify.anchoring import Anchored, Anchoring
from zk_autograd.verify.attested import earliest
from zk_autograd.verify.brief import brief
from zk_autograd.verify.outcome import Level, Source, Status, Step
from zk_autograd.verify.page.document import page
from zk_autograd.verify.policy import Flags, Policy, TreeHead
from zk_autograd.verify.report import Report
from zk_autograd.verify.svr import properties, statement
from zk_autograd.verify.verifier import Verifier

MARK = " (the enclave is emulated, and shows nothing)"
L2 = frozenset({Level.L0, Level.L1, Level.L2})
HOST = Ed25519Signer("host", bytes(range(100, 132)))
"""A key that never was in the enclave."""


@pytest.fixture
def asked(tmp_path: Path) -> Policy:
    """A demonstration's policy, with the log's key pinned."""
    return policy(tmp_path / "own")


@pytest.fixture
def unpinned(tmp_path: Path) -> Policy:
    """The same, which trusts the measurement alone."""
    return policy(tmp_path / "own", keys=False)


def report_on(made: EnclaveRun, tmp_path: Path, by: Policy) -> Report:
    return judged(made.write(tmp_path / "run"), by)


def short(report: Report, why: str, levels: frozenset[Level] = frozenset({Level.L0, Level.L1})) -> None:
    """Asserts that nothing is false, that L2 isn't reached, and that the report says why."""
    assert report.failure is None, str(report.failure)
    assert (report.exit_status, report.levels) == (3, levels), report.text()
    assert report.findings[Step.ATTESTATION].status is Status.NOT_SHOWN
    assert any(why in sentence for sentence in report.missing), report.missing
    assert not any(claim.source is Source.ATTESTED for claim in report.claims)


# ---- an honest run -------------------------------------------------------------------------------


def test_step8_measured_code_in_an_enclave_computed_the_gradients(tmp_path: Path, asked: Policy) -> None:
    report = report_on(enclave_run(), tmp_path, asked)
    assert (report.exit_status, report.levels) == (0, L2), report.text()
    assert report.findings[Step.ATTESTATION].status is Status.PASSED
    attested = [claim.what for claim in report.claims if claim.source is Source.ATTESTED]
    assert len(attested) == 2
    assert attested[0] == "that measured code in a nitro enclave computed the gradients (emulated)"
    assert "from the data that the header commits to (0303" in attested[1]
    assert "in an order that follows from the job's seed, which its owner chose" in attested[1]
    assert PCRS[0].hex() in attested[1]
    assert f"attested   {attested[0]}; and 1 more" in brief(report).splitlines()
    claimed = [claim.what for claim in report.claims if claim.source is Source.CLAIMED]
    assert "the gradients" not in claimed
    assert "what the committed data are, and the seed that their order follows from" in claimed
    assert not any("L1 does not say where a gradient came from" in limit for limit in report.limits)
    assert any("theirs is the choice of the seed" in limit for limit in report.limits)
    assert "initial weights and data order chosen by the trainer" in report.limits
    for what in ("memory on its bus", "Milan", "side channels", "start as many as it likes", "by its measurement"):
        assert any(what in limit for limit in report.limits), what


def test_step8_an_emulated_enclave_is_marked_wherever_levels_are_told(tmp_path: Path, asked: Policy) -> None:
    """Anybody can make its document: whoever reads a verdict alone must see that."""
    report = report_on(enclave_run(), tmp_path, asked)
    assert report.verdict_line == f"verdict: L0, L1, L2{MARK}"
    assert all("emulated" in claim.what for claim in report.claims if claim.source is Source.ATTESTED)
    assert any("shows nothing" in limit for limit in report.limits)
    assert brief(report).splitlines()[0] == report.verdict_line
    assert properties(report) == ["ZK_AUTOGRAD_L0", "ZK_AUTOGRAD_L1"]
    told = report.to_json()
    found = told["attestation"]
    assert (found["emulated"], found["counts"], found["bound"]) == (True, True, True)
    assert (told["verdict"], told["emulated"]) == ("L0, L1, L2 (emulated)", True)
    signed = statement(report, BEGUN)["predicate"]["zkAutograd"]
    assert (signed["verdict"], signed["emulated"]) == ("L0, L1, L2 (emulated)", True)
    assert "<title>L0, L1, L2 (emulated)" in page(report, BEGUN)


@pytest.mark.parametrize("way", ["emulated", "real", "short", "unverified", "unpinned", "no enclave"])
def test_step8_every_report_fits_the_schema_and_makes_a_page(tmp_path: Path, asked: Policy, way: str) -> None:
    made = enclave_run()
    if way == "unverified":
        made.document = Document("sgx", b"\1")
        made.name()
    by = policy(tmp_path / "own", keys=way != "unpinned", attestation=PRODUCTION if way == "short" else EMULATED)
    run = made.write(tmp_path / "run") if way != "no enclave" else honest().write(tmp_path / "run")
    real = {"nitro": Without(genuine(made))} if way == "real" else None
    report = judged(run, by, real)
    value = json.loads(json.dumps(report.to_json()))
    STRICT.validate(value)
    html = page(report, BEGUN)
    reached = way in ("emulated", "real", "unpinned")
    assert (Level.L2 in report.levels) is reached
    assert ("computed by code that is known by its measurement" in html) is reached
    assert ("Nothing here says where a gradient came from" in html) is not reached
    assert ("under whose root anybody can sign: this shows nothing" in html) is (way in ("emulated", "unpinned"))
    assert ("vouched for by the enclave&#x27;s document; it signed" in html) is (way == "unpinned")
    assert ("for whom the enclave's document vouches" in brief(report)) is (way == "unpinned")
    assert ("shows nothing" in brief(report).splitlines()[0]) is (way in ("emulated", "unpinned"))
    if reached:
        for wrong in ({"attestation": None}, {"levels": ["L0", "L1"]}, {"verdict": "L0, L1"}):
            assert not STRICT.is_valid(value | wrong), wrong
    assert value["emulated"] is (way in ("emulated", "unpinned"))
    assert value["verdict"].endswith(" (emulated)") is value["emulated"]
    unmarked = value["verdict"].removesuffix(" (emulated)")
    for other in ({"emulated": not value["emulated"]}, {"verdict": unmarked + " (emulated)" * (not value["emulated"])}):
        assert not STRICT.is_valid(value | other), other


def test_step8_the_brief_report_says_first_what_an_attestation_rests_on(tmp_path: Path, asked: Policy) -> None:
    """It has room for one limit, and this one weighs more than a proof's."""
    made = enclave_run()
    report = judged(made.write(tmp_path / "run"), asked, {"nitro": Without(genuine(made))})
    assert "an attestation rests on the maker of the processor" in " ".join(brief(report).split())


def genuine(made: EnclaveRun) -> Attested:
    """What the run's document would show if a real device had signed it."""
    emulated = attestation_verifiers()["nitro"].verify(made.document.raw, Collateral(), int(STAMPED.timestamp()))
    return replace(emulated, root="aws-nitro", emulated=False, limits=())


def test_step8_the_report_has_the_attestation(tmp_path: Path, asked: Policy) -> None:
    made = enclave_run()
    found = report_on(made, tmp_path, asked).to_json()["attestation"]
    assert found["kind"] == "nitro"
    assert found["at"] == int(STAMPED.timestamp())
    assert found["time"] == int(BEGUN.timestamp())
    assert found["sha256"] == sha256(made.document.encode()).hexdigest()
    assert found["raw_sha256"] == sha256(made.document.raw).hexdigest()
    assert found["short"] == []
    assert any(PCRS[0].hex() in sentence for sentence in found["judged"])


def test_step8_a_bundle_brings_the_raw_evidence_along(tmp_path: Path, asked: Policy) -> None:
    made = replace(enclave_run(), collateral=NO_COLLATERAL)
    run = made.write(tmp_path / "run")
    pack(run, tmp_path / "run.tar", Files(), lambda *_: None)
    with Bundle(tmp_path / "run.tar") as files:
        report = Verifier(asked, stand_ins(), anchor_verifiers(), attestation_verifiers()).verify(files)
        assert (report.exit_status, report.levels) == (0, L2), report.text()
        assert files.attestation() == made.document.encode()
        assert files.collateral() == NO_COLLATERAL
    assert report.uncovered == ()


@pytest.mark.parametrize("answer", [404, 403])
def test_step8_a_server_that_has_no_collateral_or_refuses_to_say_so(tmp_path: Path, asked: Policy, answer: int) -> None:
    """Some answer 403 to what they don't have: a verified run isn't left unjudged, and what a
    server can keep back is said."""
    enclave_run().write(tmp_path / "held/run")
    lies = {"/run/attestation/collateral.json": lambda handler, data: handler.answer(answer, b"")}
    with served(tmp_path / "held", lies=lies) as held, open_url(f"{held.url}/run/") as files:
        report = Verifier(asked, stand_ins(), anchor_verifiers(), attestation_verifiers()).verify(files)
    assert report.levels == L2, report.text()
    assert any("the server chose to give" in limit for limit in report.limits)


def test_step8_a_server_gives_collateral_that_is_none(tmp_path: Path, asked: Policy) -> None:
    replace(enclave_run(), collateral=b"garbage").write(tmp_path / "held/run")
    with served(tmp_path / "held") as held, open_url(f"{held.url}/run/") as files:
        report = Verifier(asked, stand_ins(), anchor_verifiers(), attestation_verifiers()).verify(files)
    refused(report, 8, "attestation/collateral.json: not canonical JSON")


def test_step8_collateral_that_this_machine_can_not_look_for_leaves_the_run_unjudged(
    tmp_path: Path, asked: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = enclave_run().write(tmp_path / "run")

    def has(self: RunFolder, path: str) -> bool:
        if path.endswith("collateral.json"):
            raise UnreadableError("a failing disk")
        return True

    monkeypatch.setattr(RunFolder, "has", has)
    report = judged(run, asked)
    assert (report.exit_status, report.verdict) == (4, "NOT JUDGED")


def test_step8_where_proofs_were_made_outside_the_report_says_who_saw_the_witness(
    tmp_path: Path, asked: Policy
) -> None:
    for proving in ("inside", OUTSIDE):
        report = judged(enclave_run(proving=proving).write(tmp_path / proving), asked)
        assert report.levels == L2
        told = any("outside of the enclave: whoever made them was shown" in limit for limit in report.limits)
        assert told is (proving == OUTSIDE)


def test_step8_before_the_first_step_no_gradient_is_attested(tmp_path: Path, asked: Policy, unpinned: Policy) -> None:
    """The root of header and genesis alone: the document is genuine, and nothing was computed."""
    made = enclave_run()
    run = made.write(tmp_path / "run")
    for by in (asked, unpinned):
        report = judged(run, replace(by, head=TreeHead(made.run.root(2), 2)))
        assert (report.exit_status, report.levels) == (3, frozenset({Level.L0})), report.text()
        assert report.attestation is not None and report.attestation.counts
        assert report.signers == (KEY,)
        assert not any(claim.source is Source.ATTESTED for claim in report.claims)
        assert any("this view of the log has no step" in why for why in report.missing)
        assert not any(line.startswith("attested ") for line in brief(report).splitlines())
        assert "measured code" not in brief(report) + report.text() + page(report, BEGUN)
        assert "computed by code that is known by its measurement" not in page(report, BEGUN)


def test_step8_gradients_of_unproved_steps_are_attested_and_marked(tmp_path: Path) -> None:
    """Without proofs L2 is not reached; what the document shows of the gradients is said all the
    same, with the mark of an emulated device, which no level bears here."""
    report = report_on(enclave_run("none"), tmp_path, policy(tmp_path / "own", provers=""))
    assert (report.verdict_line, report.exit_status) == ("verdict: L0", 3)
    attested = [claim.what for claim in report.claims if claim.source is Source.ATTESTED]
    assert attested and all("(emulated" in what for what in attested)
    html = page(report, BEGUN)
    assert "Level L2, which needs all steps proved as well, was not reached." in html
    assert "The device is an emulated one, under whose root anybody can sign: this shows nothing." in html


def test_step8_a_run_of_no_enclave_has_no_l2(tmp_path: Path, asked: Policy) -> None:
    run = honest().write(tmp_path / "run")
    report = judged(run, asked)
    assert (report.exit_status, report.levels) == (3, frozenset({Level.L0, Level.L1}))
    assert "L2 was not reached: the run is no enclave's: its header names no attestation" in report.missing
    assert report.findings[Step.ATTESTATION].status is Status.ABSENT
    assert report.attestation is None


# ---- L2 rests on L0 and L1 -----------------------------------------------------------------------


def test_step8_without_proofs_there_is_no_l2(tmp_path: Path) -> None:
    """L2 says L1, and more: that code computed gradients doesn't say that the steps follow them."""
    asked = policy(tmp_path / "own", provers="")
    report = report_on(enclave_run("none"), tmp_path, asked)
    assert report.findings[Step.ATTESTATION].status is Status.PASSED
    assert (report.exit_status, report.levels) == (3, frozenset({Level.L0}))
    assert any("L1 was not reached" in why for why in report.missing)


def test_step8_a_sample_never_reaches_l2(tmp_path: Path, asked: Policy) -> None:
    sampled = replace(asked, sample=2, accept_sample=True, beacon="noon")
    report = report_on(enclave_run(), tmp_path, sampled)
    assert (report.exit_status, report.levels) == (3, frozenset({Level.L0, Level.L1_SAMPLED}))
    assert any("L1 was not reached" in why for why in report.missing)


def test_step8_a_run_without_steps_has_no_l2(tmp_path: Path, asked: Policy) -> None:
    made = enclave_run()
    made.run.segments.clear()
    made.run.proofs.clear()
    assert made.run.close is not None and made.run.genesis is not None
    made.run.close = replace(made.run.close, last_step=0, segments=0, state=made.run.genesis.state, model=())
    made.run.model.clear()
    made.enter()
    report = report_on(made, tmp_path, asked)
    assert Level.L2 not in report.levels and report.exit_status == 3, report.text()


def test_step8_gradients_of_no_committed_data_are_no_l2(tmp_path: Path, asked: Policy) -> None:
    made = enclave_run(data=Data(b"", 100, "sequential", 10, b""))
    short(report_on(made, tmp_path, asked), "the header commits to no data")


# ---- attacks: false ------------------------------------------------------------------------------


def test_step8_attack_the_document_of_another_run(tmp_path: Path, asked: Policy) -> None:
    """The host has an honest enclave's document, and shows it with a run that it computed itself:
    any gradients would have been an enclave's."""
    other = enclave_run(run=bytes(range(16, 32)))
    made = enclave_run()
    made.document = other.document
    made.name()
    refused(report_on(made, tmp_path, asked), 8, "attestation/document.json is of another run")


JOB = bytes(range(32, 64))

CHANGES: Sequence[tuple[str, Callable[[Binding], Binding]]] = (
    ("another run's id", lambda b: replace(b, run=bytes(16))),
    ("another header", lambda b: replace(b, header=bytes(32))),
    ("a key more", lambda b: replace(b, keys=(*b.keys, HOST.public_key.encode()))),
    ("no key", lambda b: replace(b, keys=())),
    ("another key", lambda b: replace(b, keys=(HOST.public_key.encode(),))),
    ("another release key", lambda b: replace(b, release_key=b"")),
    ("another nonce", lambda b: replace(b, nonce=NONCE)),
    ("another job", lambda b: replace(b, job=bytes(32))),
    ("a byte from the release key to the nonce", lambda b: replace(b, release_key=b"releas", nonce=b"e")),
)


@pytest.mark.parametrize(("what", "bind"), CHANGES, ids=[what for what, _ in CHANGES])
def test_step8_attack_a_document_about_something_else(
    tmp_path: Path, asked: Policy, what: str, bind: Callable[[Binding], Binding]
) -> None:
    """The device is asked to sign a statement that differs in one part: what it didn't vouch for
    would pass for what it did."""
    refused(report_on(enclave_run(bind=bind), tmp_path, asked), 8, "is of another run")


def test_step8_attack_a_release_passes_for_a_run(tmp_path: Path, asked: Policy) -> None:
    """The enclave showed a document to get its secrets; the host keeps it, and makes it a run's."""
    made = enclave_run()
    asked_for = release_digest(made.run.header.run, made.document.release_key, b"")
    made.document = replace(made.document, raw=device().attest(asked_for))
    made.name()
    refused(report_on(made, tmp_path, asked), 8, "is of another run")


def test_step8_attack_a_document_about_nothing(tmp_path: Path, asked: Policy) -> None:
    """A document that some program in an enclave got for other ends, over too few bytes."""
    made = enclave_run()
    made.document = replace(made.document, raw=device().attest(bytes(64)))
    made.name()
    refused(report_on(made, tmp_path, asked), 8, "is of another run")


def test_step8_attack_a_key_that_the_host_holds_signs_alone(tmp_path: Path) -> None:
    """The header names the enclave's key and one of the host's, which the auditor was given and
    pins; the document is genuine and about both. The host signs what it likes with its own key
    alone: the enclave's never signed these records."""
    asked = policy(tmp_path / "own")
    both = (SIGNER, QUANTUM)
    made = enclave_run(signers=both)
    assert judged(made.write(tmp_path / "honest"), asked).levels == L2
    made.run.signers = (SIGNER,)
    refused(report_on(made, tmp_path, asked), 8, "a key that the enclave's document is about did not sign")


def test_step8_attack_a_register_that_the_enclaves_key_did_not_sign(tmp_path: Path, asked: Policy) -> None:
    """As before, with the register's checkpoints: one that the host signed alone would be stamped
    with an early time."""
    made = enclave_run(signers=(SIGNER, QUANTUM))
    made.tree.signers = (SIGNER,)
    refused(report_on(made, tmp_path, asked), 8, "a key that the enclave's document is about did not sign")


@pytest.mark.parametrize("place", range(3))
def test_step8_attack_one_of_the_registers_checkpoints_lacks_an_attested_key(tmp_path: Path, place: int) -> None:
    """The auditor pinned one of the header's two keys, and whoever holds that one alone made up
    one checkpoint of the register, which a stamp then covers."""
    made = enclave_run(signers=(SIGNER, QUANTUM))
    by = policy(tmp_path / "own")
    run = made.write(tmp_path / "run")
    assert judged(run, by).levels == L2
    views = made.tree.views(*made.views)
    made.tree.signers = (SIGNER,)
    views[place] = made.tree.views(*made.views)[place]
    write(run, views, [made.receipt(size, at) for size, at in made.stamps.items()])
    refused(judged(run, by), 8, "a key that the enclave's document is about did not sign")


@pytest.mark.parametrize("pinned", [True, False])
def test_step8_attack_an_enclaves_own_register_passes_for_the_trainers(tmp_path: Path, pinned: bool) -> None:
    """Whoever starts instances until one pleases them has a register for each: under a key that
    nobody pinned it shows no other run, which is what a policy asks for with `register`."""
    by = policy(tmp_path / "own", keys=pinned, provers=f'register = true\n[provers.ezkl]\nsrs = ["{SRS.hex()}"]\n')
    report = report_on(enclave_run(), tmp_path, by)
    assert report.levels == L2 and report.exit_status == (0 if pinned else 3), report.text()
    own = "the enclave's own register, which shows no other instance"
    assert any(own in why for why in report.missing) is not pinned
    assert any("register is the enclave's own: other instances" in limit for limit in report.limits) is not pinned
    assert any("the trainer's register" in limit for limit in report.limits) is pinned


def test_step8_a_pinned_key_that_is_not_attested_is_refused_where_the_header_lacks_it(tmp_path: Path) -> None:
    """What is attested are the header's keys, so step 2 knows."""
    asked = replace(policy(tmp_path / "own"), keys=(SECOND.public_key,))
    made = enclave_run()
    made.run.signers = (SIGNER, SECOND)
    refused(report_on(made, tmp_path, asked), 2, "the header does not name a pinned key", 0)


@pytest.mark.parametrize("name", nitro.real("accept-at-timestamp"))
@pytest.mark.parametrize("timed", [True, False])
def test_step8_attack_a_real_document_of_somebody_elses_enclave(
    tmp_path: Path, asked: Policy, name: str, timed: bool
) -> None:
    """Documents of AWS are published by the dozen, and genuine: none is about a run of ours, at
    whatever time."""
    made = enclave_run()
    made.document = Document("nitro", nitro.read(name))
    made.name()
    made.stamps = made.stamps if timed else {}
    refused(report_on(made, tmp_path, asked), 8, "is of another run")


@pytest.mark.parametrize("one", snp.signed_reports(), ids=lambda one: one.name)
def test_step8_attack_a_real_report_of_somebody_elses_guest(tmp_path: Path, asked: Policy, one: snp.Real) -> None:
    made = enclave_run()
    made.document = Document("snp", one.data)
    made.name()
    run = made.write(tmp_path / "run")
    short(judged(run, asked), "the collateral has no certificate of the")
    certificates = (snp.certificate(one.signers[0]), *snp.chain())
    (run / "attestation/collateral.json").write_bytes(Collateral(certificates).encode())
    refused(judged(run, asked), 8, "is of another run")


@pytest.mark.parametrize("name", nitro.real("reject"))
def test_step8_a_document_that_no_device_signed_is_false(tmp_path: Path, asked: Policy, name: str) -> None:
    made = enclave_run()
    made.document = Document("nitro", nitro.read(name))
    made.name()
    report = report_on(made, tmp_path, asked)
    assert report.failure is not None and report.failure.step == 8, report.text()


def test_step8_attack_another_document_than_the_genesis_names(tmp_path: Path, asked: Policy) -> None:
    """A genuine document for the same run, made later by another instance: the anchor's time would
    have been the first one's."""
    made = enclave_run()
    made.document = documented(made.run, device(at=BEGUN + timedelta(hours=9)))
    refused(report_on(made, tmp_path, asked), 8, "is not the attestation that the genesis names")


def test_step8_a_missing_document_is_a_failure(tmp_path: Path, asked: Policy) -> None:
    run = enclave_run().write(tmp_path / "run")
    (run / "attestation/document.json").unlink()
    refused(judged(run, asked), 8, "attestation/document.json is missing: the genesis names it")
    (run / "attestation/document.json").symlink_to(run / "log/checkpoint")
    refused(judged(run, asked), 8, "links are not followed")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not canonical JSON"),
        (b"{}", "document.format is missing"),
        (b"[]", "document is invalid"),
        (Document("nitro", b"\1").encode() + b" ", "not canonical JSON"),
        (bytes(MAX_DOCUMENT + 1), "is too large"),
    ],
)
def test_step8_what_is_no_document_is_a_failure(tmp_path: Path, asked: Policy, data: bytes, message: str) -> None:
    made = enclave_run()
    assert made.run.genesis is not None
    made.run.genesis = replace(made.run.genesis, attestation=sha256(data).digest())
    made.run.reprove()
    made.enter()
    made.data = data
    refused(report_on(made, tmp_path, asked), 8, message)


@pytest.mark.parametrize("at", [0, 10, -1])
@pytest.mark.parametrize("timed", [True, False])
def test_step8_a_document_with_a_wrong_signature_is_a_failure(
    tmp_path: Path, asked: Policy, at: int, timed: bool
) -> None:
    """With an anchor's time, and without one, where it could show no L2 anyway."""
    made = enclave_run()
    raw = bytearray(made.document.raw)
    raw[at] ^= 1
    made.document = replace(made.document, raw=bytes(raw))
    made.name()
    made.stamps = made.stamps if timed else {}
    report = report_on(made, tmp_path, asked)
    assert report.failure is not None and report.failure.step == 8, report.text()
    assert report.failure.message.startswith("attestation/document.json: ")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"garbage", "attestation/collateral.json: not canonical JSON"),
        (b"{}", "attestation/collateral.json: collateral.format is missing"),
        (Document("nitro", b"\1").encode(), "attestation/collateral.json: "),
        (bytes(2**22 + 1), "is too large"),
    ],
)
def test_step8_collateral_that_is_none_is_a_failure(tmp_path: Path, asked: Policy, data: bytes, message: str) -> None:
    refused(report_on(replace(enclave_run(), collateral=data), tmp_path, asked), 8, message)


# ---- attacks: less -------------------------------------------------------------------------------


def test_step8_attack_an_emulated_device_passes_for_a_real_one(tmp_path: Path) -> None:
    """Anybody can sign under its root, so any run would have been an enclave's."""
    report = report_on(enclave_run(), tmp_path, policy(tmp_path / "own", attestation=PRODUCTION))
    short(report, "emulated")
    assert properties(report) == ["ZK_AUTOGRAD_L0", "ZK_AUTOGRAD_L1"]


def test_step8_attack_an_image_that_nobody_measured(tmp_path: Path, asked: Policy) -> None:
    """The host runs an image of its own in a real enclave, which signs whatever gradients."""
    made = enclave_run(by=device({**PCRS, 2: bytes([9]) * 48}))
    report = report_on(made, tmp_path, asked)
    short(report, "none that the policy allows")
    assert report.attestation is not None and report.attestation.measurement


def test_step8_attack_a_debug_enclave(tmp_path: Path, asked: Policy) -> None:
    """Its host can look into it, and change what it computes."""
    short(report_on(enclave_run(by=device({})), tmp_path, asked), "PCR0 is zero")


@pytest.mark.parametrize("asked_for", [b"", bytes(16), NONCE[::-1], NONCE + b"\0"])
def test_step8_attack_an_old_document_for_a_new_question(tmp_path: Path, asked_for: bytes) -> None:
    """The auditor drew a nonce before the run; the host shows a run from before, of an image with a
    fault that is mended since."""
    asked = policy(tmp_path / "own", attestation=f'[attestation]\nnonce = "{NONCE.hex()}"\n{EMULATED}')
    short(report_on(enclave_run(nonce=asked_for), tmp_path, asked), "does not have the policy's nonce")


def test_step8_a_document_with_the_auditors_nonce(tmp_path: Path) -> None:
    asked = policy(tmp_path / "own", attestation=f'[attestation]\nnonce = "{NONCE.hex()}"\n{EMULATED}')
    assert report_on(enclave_run(nonce=NONCE), tmp_path, asked).levels == L2


@pytest.mark.parametrize("trained", [b"", bytes(32), JOB[::-1]])
def test_step8_attack_a_job_of_the_hosts_own(tmp_path: Path, trained: bytes) -> None:
    """A host seals its own table under the owner's run id, which is no secret, and has that trained
    by the owner's image: all but the job's hash is as it would be of the owner's."""
    asked = policy(tmp_path / "own", attestation=f'[attestation]\njob = "{JOB.hex()}"\n{EMULATED}')
    short(report_on(enclave_run(job=trained), tmp_path, asked), f"and not the policy's, {JOB.hex()}")


@pytest.mark.parametrize(
    ("by", "trust"),
    [(device({}), EMULATED), (None, PRODUCTION)],
    ids=["debugged", "emulated"],
)
def test_step8_attack_the_owners_job_in_a_document_that_does_not_count(tmp_path: Path, by: Any, trust: str) -> None:
    """Whoever writes the file names whatever job and nonce they like: nothing is said of either."""
    asked = policy(
        tmp_path / "own", attestation=f'[attestation]\njob = "{JOB.hex()}"\nnonce = "{NONCE.hex()}"\n{trust}'
    )
    report = report_on(enclave_run(by=by, job=JOB, nonce=NONCE), tmp_path, asked)
    assert Level.L2 not in report.levels
    assert report.attestation is not None
    assert report.attestation.judged == ()
    text = report.text()
    assert "the enclave trained" not in text and "has the policy's nonce" not in text
    assert "it is signed under the root emulated, as anybody can" in " ".join(text.split())
    assert "genuine under the root" not in text


def test_step8_the_owners_job(tmp_path: Path) -> None:
    asked = policy(tmp_path / "own", attestation=f'[attestation]\njob = "{JOB.hex()}"\n{EMULATED}')
    report = report_on(enclave_run(job=JOB), tmp_path, asked)
    assert report.levels == L2
    assert report.attestation is not None
    assert report.attestation.judged[-1] == f"the enclave trained the policy's job, {JOB.hex()}"
    assert not any("whose it is" in limit for limit in report.limits)


def test_step8_says_that_a_job_is_anybodys_where_the_policy_names_none(tmp_path: Path, asked: Policy) -> None:
    report = report_on(enclave_run(job=JOB), tmp_path, asked)
    assert report.levels == L2
    assert any(f"the job is {JOB.hex()}: whose it is" in limit for limit in report.limits)


def test_step8_attack_no_time(tmp_path: Path, asked: Policy) -> None:
    """Without an anchor's time, a stolen key of a certificate that ended long ago would do."""
    made = enclave_run()
    made.stamps = {}
    short(report_on(made, tmp_path, asked), "no anchor that you trust says when header and document existed")


def test_step8_attack_a_stamp_of_the_header_alone(tmp_path: Path, asked: Policy) -> None:
    """The header was stamped while the certificate was valid; the document was made afterwards,
    with a key that had been stolen by then."""
    made = enclave_run()
    made.stamps = {1: STAMPED}
    short(report_on(made, tmp_path, asked), "no anchor that you trust says when header and document existed")
    made.stamps = {1: STAMPED, 2: BEGUN + timedelta(hours=4)}
    short(judged(made.write(tmp_path / "both"), asked), "the time for which it is judged")


@pytest.mark.parametrize("hours", [-1, 4, 10_000])
def test_step8_attack_a_certificate_that_had_ended_or_not_begun(tmp_path: Path, asked: Policy, hours: int) -> None:
    made = enclave_run()
    made.stamps = {2: BEGUN + timedelta(hours=hours)}
    short(report_on(made, tmp_path, asked), "the time for which it is judged")


def test_step8_attack_an_expired_document_of_another_run_is_false_all_the_same(tmp_path: Path, asked: Policy) -> None:
    made = enclave_run(bind=lambda binding: replace(binding, run=bytes(16)))
    made.stamps = {2: BEGUN + timedelta(hours=4)}
    refused(report_on(made, tmp_path, asked), 8, "is of another run")


def test_step8_the_earliest_time_counts(tmp_path: Path, asked: Policy) -> None:
    made = enclave_run()
    made.stamps = {3: BEGUN + timedelta(hours=9), 2: STAMPED}
    report = report_on(made, tmp_path, asked)
    assert report.levels == L2
    assert report.attestation is not None and report.attestation.at == int(STAMPED.timestamp())


def anchored(records: int, standing: Standing, time: int | None) -> Anchored:
    return Anchored(Receipt("x", 2, bytes(32), {}), records, AnchorClaim("x", standing, "on nothing", time))


@pytest.mark.parametrize(
    ("anchors", "time"),
    [
        ([(2, Standing.SHOWN, 9), (3, Standing.SHOWN, 7)], 7),
        ([(2, Standing.SHOWN, None), (2, Standing.SHOWN, 9)], 9),
        ([(2, Standing.WORD, 5), (2, Standing.UNJUDGED, 4), (2, Standing.SHOWN, 9)], 9),
        ([(1, Standing.SHOWN, 5), (2, Standing.SHOWN, 9)], 9),
        ([(1, Standing.SHOWN, 5), (2, Standing.WORD, 5), (2, Standing.SHOWN, None)], None),
        ([], None),
    ],
)
def test_step8_whose_time_counts(anchors: list[tuple[int, Standing, int | None]], time: int | None) -> None:
    """The trainer's word, what nobody judged, and what tells no time, are no time."""
    found = earliest(Anchoring(None, tuple(anchored(*one) for one in anchors)))
    assert (None if found is None else found.claim.time) == time


def test_step8_attack_a_stamp_that_the_auditor_does_not_trust(tmp_path: Path) -> None:
    """The host has an authority of its own, which stamps any time."""
    asked = policy(tmp_path / "own", anchors="")
    short(report_on(enclave_run(), tmp_path, asked), "no anchor that you trust")


def test_step8_without_trust_in_its_kind_the_report_says_what_was_measured(tmp_path: Path, asked: Policy) -> None:
    nobody = replace(asked, attestations={})
    report = report_on(enclave_run(), tmp_path, nobody)
    short(report, "your policy trusts no attestation of the kind nitro ([attestation.nitro])")
    assert PCRS[0].hex() in " ".join(report.findings[Step.ATTESTATION].sentences)
    assert report.attestation is not None and not report.attestation.judged


def test_step8_a_kind_that_this_version_does_not_know(tmp_path: Path, asked: Policy) -> None:
    made = enclave_run()
    made.document = Document("sgx", b"\1")
    made.name()
    short(report_on(made, tmp_path, asked), "this version knows no attestation of the kind 'sgx'")


def test_step8_a_view_that_ends_before_the_genesis(tmp_path: Path, asked: Policy) -> None:
    made = enclave_run()
    made.run.genesis, made.run.close = None, None
    made.run.segments.clear()
    made.run.proofs.clear()
    made.run.model.clear()
    made.tree.entries.clear()
    enter(made.run, made.tree, Kind.BEGIN, 1)
    made.views, made.stamps = ((0, 1),), {1: STAMPED}
    report = report_on(made, tmp_path, asked)
    short(report, "this view of the log ends before the genesis", frozenset({Level.L0}))


class Without:
    """The verifier of a kind where its package is missing, or which says what it is told."""

    KIND = "nitro"

    def __init__(self, says: Attested | None = None, judges: str = "") -> None:
        self._says, self._judges = says, judges

    def read_trust(self, fields: Any, read: Any) -> object:
        raise AssertionError

    def verify(self, document: bytes, collateral: Collateral, at: int | None) -> Attested:
        if self._says is None:
            raise AttestationShort("the package cbor2 is missing: pip install zk-autograd[tee]")
        return self._says

    def judge(self, attested: Attested, trust: object) -> Sequence[str]:
        return ("the image is one that the policy allows",)


def test_step8_without_the_package_nothing_is_false(tmp_path: Path, asked: Policy) -> None:
    run = enclave_run().write(tmp_path / "run")
    short(judged(run, asked, {"nitro": Without()}), "pip install zk-autograd[tee]")
    nobody: Mapping[str, Any] = {}
    short(judged(run, asked, nobody), "knows no attestation of the kind 'nitro'")


def test_step8_a_device_that_is_not_emulated_has_no_mark(tmp_path: Path, asked: Policy) -> None:
    """What a real device's document comes to; none is here that could be about a run of ours."""
    made = enclave_run()
    run = made.write(tmp_path / "run")
    real = genuine(made)
    report = judged(run, asked, {"nitro": Without(real)})
    assert (report.verdict_line, report.exit_status) == ("verdict: L0, L1, L2", 0)
    assert properties(report) == ["ZK_AUTOGRAD_L0", "ZK_AUTOGRAD_L1", "ZK_AUTOGRAD_L2"]
    assert "emulated" not in report.text()
    assert report.to_json()["emulated"] is statement(report, BEGUN)["predicate"]["zkAutograd"]["emulated"] is False
    nothing = replace(real, bound=b"")
    refused(judged(run, asked, {"nitro": Without(nothing)}), 8, "is of another run")


def test_step8_a_folder_of_that_name_beside_another_run_is_nobodys(tmp_path: Path, asked: Policy) -> None:
    """A run of no enclave, with an honest enclave's document beside it."""
    run = honest().write(tmp_path / "run")
    (run / "attestation").mkdir()
    (run / "attestation/document.json").write_bytes(enclave_run().document.encode())
    (run / "attestation/collateral.json").write_bytes(NO_COLLATERAL)
    report = judged(run, replace(asked, require=frozenset({Level.L1})))
    assert report.exit_status == 3 and Level.L2 not in report.levels
    assert [file.name for file in report.uncovered or ()] == [
        "attestation/collateral.json",
        "attestation/document.json",
    ]


# ---- who answers for the log ---------------------------------------------------------------------


def test_step8_the_attested_keys_stand_for_pinned_ones(tmp_path: Path, unpinned: Policy) -> None:
    report = report_on(enclave_run(signers=(SIGNER, QUANTUM)), tmp_path, unpinned)
    assert (report.exit_status, report.levels) == (0, L2), report.text()
    assert report.signers == (KEY, QUANTUM.public_key)
    assert "counts if step 8 vouches for it" in report.findings[Step.SIGNATURES].sentences[0]
    assert report.vouched
    assert report.verdict == "L0, L1, L2 (emulated)"
    assert properties(report) == [], "an emulated device vouches for nobody"


def test_step8_without_keys_and_without_trust_no_key_is_looked_at(tmp_path: Path, asked: Policy) -> None:
    """As of any other run: the header's keys are nobody's."""
    nobody = replace(asked, keys=(), demands=(), attestations={})
    report = report_on(enclave_run(), tmp_path, nobody)
    assert report.findings[Step.SIGNATURES].status is Status.SKIPPED
    nobodys(report)


def test_step8_l0_that_rests_on_an_emulated_enclave_is_marked_without_l2(tmp_path: Path) -> None:
    asked = policy(tmp_path / "own", keys=False, provers="")
    report = report_on(enclave_run("none"), tmp_path, asked)
    assert report.levels == {Level.L0}
    assert report.verdict_line == f"verdict: L0{MARK}"
    assert (report.verdict, report.to_json()["emulated"]) == ("L0 (emulated)", True)
    assert properties(report) == []


def test_step8_attack_a_register_of_another_key_under_a_policy_without_keys(tmp_path: Path, unpinned: Policy) -> None:
    """The register's checkpoints are what is stamped: one that anybody signed would bring any
    time along."""
    made = enclave_run()
    report = judged(made.write(tmp_path / "honest"), unpinned)
    assert report.findings[Step.ANCHORS].status is Status.PASSED
    assert "signed by all keys of the header, if step 8 vouches" in report.findings[Step.ANCHORS].sentences[0]
    made.tree.signers = (HOST,)
    report = report_on(made, tmp_path, unpinned)
    assert report.failure is not None and report.failure.step == 4


def nobodys(report: Report) -> None:
    """Asserts that nothing vouches for the log: as if no key were pinned."""
    assert report.failure is None, str(report.failure)
    assert (report.verdict, report.exit_status, report.levels) == ("UNPINNED", 3, frozenset()), report.text()
    assert (report.signers, report.claims, properties(report)) == ((), (), [])
    assert any("no key is pinned" in why for why in report.missing)
    assert report.findings[Step.SIGNATURES].status in (Status.SKIPPED, Status.NOT_SHOWN)
    assert report.findings[Step.ANCHORS].status in (Status.ABSENT, Status.NOT_SHOWN)


def test_step8_attack_a_run_of_no_enclave_under_a_policy_without_keys(tmp_path: Path, unpinned: Policy) -> None:
    """It names a key of the host's own: L0 would have been said of a log that nobody vouches
    for."""
    nobodys(judged(honest().write(tmp_path / "run"), unpinned))


ATTACKS: Mapping[str, Callable[[], EnclaveRun]] = {
    "another image": lambda: enclave_run(by=device({**PCRS, 0: bytes([9]) * 48})),
    "debug": lambda: enclave_run(by=device({})),
    "no stamp": lambda: replace(enclave_run(), stamps={}),
    "a stamp of the header alone": lambda: replace(enclave_run(), stamps={1: STAMPED}),
    "a late stamp": lambda: replace(enclave_run(), stamps={2: BEGUN + timedelta(days=1)}),
    "no data": lambda: enclave_run(data=Data(b"", 1, "x", 1, b"")),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_step8_attack_keys_that_no_attestation_that_counts_vouches_for(
    tmp_path: Path, unpinned: Policy, attack: str
) -> None:
    """The host makes a log of its own, with a document that isn't worth its measurement: L0, and L1
    with it, would have been said of a log that the auditor knows nobody of."""
    nobodys(report_on(ATTACKS[attack](), tmp_path, unpinned))


def test_step8_attack_the_emulated_root_vouches_for_no_keys(tmp_path: Path) -> None:
    report = report_on(enclave_run(), tmp_path, policy(tmp_path / "own", keys=False, attestation=PRODUCTION))
    nobodys(report)
    assert "the document comes from the emulated device" in " ".join(brief(report).split()), "by name, and at once"
    assert "--key FILE" in report.fix


def test_step8_attack_another_runs_document_under_a_policy_without_keys(tmp_path: Path, unpinned: Policy) -> None:
    made = enclave_run(bind=lambda binding: replace(binding, keys=(HOST.public_key.encode(),)))
    report = report_on(made, tmp_path, unpinned)
    refused(report, 8, "is of another run")
    assert report.signers == ()


def test_step8_attack_an_extra_key_in_the_header(tmp_path: Path, unpinned: Policy) -> None:
    """The enclave attested its own key; the host adds one to the header, and signs with both names
    what only its own key has seen. The document isn't about that header; and a key of the header
    that did not sign is missed before."""
    honest_one = enclave_run()
    made = enclave_run(signers=(SIGNER, QUANTUM))
    made.document = honest_one.document
    made.name()
    refused(report_on(made, tmp_path, unpinned), 8, "is of another run")
    made.run.signers = (QUANTUM,)
    report = judged(made.write(tmp_path / "unsigned"), unpinned)
    assert report.failure is not None and report.failure.step == 2


def test_step8_a_pinned_key_needs_no_vouching(tmp_path: Path, asked: Policy) -> None:
    """With a key pinned, L0 and L1 rest on it, whatever becomes of the attestation."""
    report = report_on(replace(enclave_run(), stamps={}), tmp_path, asked)
    assert (report.levels, report.vouched) == (frozenset({Level.L0, Level.L1}), False)
    assert report.signers == (KEY,)


def test_step8_a_key_beside_the_policy_loosens_nothing(tmp_path: Path, unpinned: Policy) -> None:
    """--key K with a policy that pins none: L2, and with it the attestation, is required as
    before."""
    merged = Flags(keys=(KEY,)).policy(unpinned)
    assert merged.require == unpinned.require and merged.attestations == unpinned.attestations
    run = honest()
    run.edit_header(keys=(KEY.encode(),))
    run.reprove()
    assert judged(run.write(tmp_path / "run"), merged).exit_status == 3
    with pytest.raises(UsageError, match="L2 would no longer be required"):
        Flags(keys=(KEY,), require=frozenset({Level.L1})).policy(unpinned)


def test_step8_a_root_from_elsewhere_still_needs_the_attestation(tmp_path: Path, unpinned: Policy) -> None:
    made = enclave_run()
    size = len(made.run.leaves()) - 1
    head = TreeHead(made.run.root(size), size)
    report = report_on(made, tmp_path, replace(unpinned, head=head))
    assert Level.L2 in report.levels, report.text()
    early = TreeHead(made.run.root(1), 1)
    nobodys(judged(tmp_path / "run", replace(unpinned, head=early)))


def test_step8_a_failure_before_it_names_no_signers(tmp_path: Path, unpinned: Policy) -> None:
    """The header's keys were never pinned."""
    made = enclave_run()
    made.run.proofs[0, 0] = b"false"
    report = report_on(made, tmp_path, unpinned)
    assert report.failure is not None and report.failure.step == 7
    assert report.signers == ()


# ---- through the command -------------------------------------------------------------------------


def test_step8_the_command_says_it_and_the_draft_pins_no_measurement(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = enclave_run("none").write(tmp_path / "run")
    policy(tmp_path / "own", provers="")
    asked = ["--policy", str(tmp_path / "own/policy.toml")]
    assert main([str(run), *asked, "--json"]) == 3
    report = json.loads(capsys.readouterr().out)
    assert report["attestation"]["counts"] is True
    assert report["levels"] == ["L0"]
    assert main([str(run), "--key", KEY.encode(), "--require", "L2", "--json"]) == 3
    report = json.loads(capsys.readouterr().out)
    assert report["attestation"]["counts"] is False
    assert any("[attestation.nitro]" in why for why in report["missing"])
    assert main(["init-policy", "--from", str(run), "--out", str(tmp_path / "draft.toml")]) == 0
    draft = (tmp_path / "draft.toml").read_text(encoding="ascii")
    line = next(line for line in draft.splitlines() if PCRS[0].hex() in line)
    assert line.startswith("# ")
    assert "# Its device is emulated" in draft
