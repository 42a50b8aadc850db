"""The verifier: numbered steps over one run's evidence, under one policy.

     1  Parse                 log          the files are well formed, within their bounds
     2  Signatures            log          all pinned keys signed the checkpoint
     3  Log                   log          these are the records that were signed
     4  Register and anchors  anchors      the run's place in its trainer's register, and receipts
     5  Statement             statement    what the proofs must show, by the verifier's own circuits
     6  Chain                 chain        the records fit together, from first state to last
                              beginning    who chose the first weights
     7  Proofs                proofs       each step follows the rule
     8  Attestation           attestation  which code computed the gradients, in what enclave
     9  Data                  data         the gradients are those of the committed data
    10  Model                 model        the published weights are the proved ones
                              given        the files that the auditor has are published ones
                              artefacts    the trainer's own files match the close record
                              uncovered    anything else, which no record names
                              model_signature  a signature over the model says the same
    11  Verdict               verdict      what was shown, against what was asked for

Each row has the step's number and name, its module, and what it shows. The numbers are those of the
code below, of the report, of VerificationError.step, of docs/verification.md and of the tests'
names. Each step gives an `outcome.Outcome`, or raises VerificationError, which ends the
verification. Left to the caller: getting the keys, the SRS digests and the root from somewhere
other than the run.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING

from zk_autograd.core.anchors import AnchorVerifier
from zk_autograd.core.attestation import AttestationVerifier
from zk_autograd.core.errors import UnreadableError, VerificationError
from zk_autograd.core.progress import Progress, silent
from zk_autograd.evidence.finding import Found
from zk_autograd.evidence.layout import MODEL, MODEL_SIGNATURE
from zk_autograd.evidence.run import Evidence
from zk_autograd.verify.anchors import check_anchors
from zk_autograd.verify.artefacts import check_artefacts, check_digests
from zk_autograd.verify.attestation import check_attestation, vouched_keys
from zk_autograd.verify.beginning import ordered
from zk_autograd.verify.chain import check_chain
from zk_autograd.verify.data import check_data
from zk_autograd.verify.demand import Facts, PolicyChecked, answered, levels_checked, unchecked
from zk_autograd.verify.given import check_given
from zk_autograd.verify.log import LogView, check_log, check_signatures, parse
from zk_autograd.verify.model import check_model
from zk_autograd.verify.outcome import Finding, Level, Outcome, Status, Step, at, combined
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.proof_system import ProofSystem
from zk_autograd.verify.proofs import attested, check_proofs
from zk_autograd.verify.report import Report, Summary
from zk_autograd.verify.statement import Basis, check_statement
from zk_autograd.verify.uncovered import Uncovered, check_uncovered
from zk_autograd.verify.verdict import decide

if TYPE_CHECKING:
    from zk_autograd.verify.replay import Replay


class Verifier:
    """Judges runs under one policy. `systems` are the known backends, by name (prove.verifiers),
    `anchors` the known kinds of anchor (anchor.kinds); receipts of others are not judged.
    `attestations` are the known kinds of attestation (tee.kinds), likewise."""

    def __init__(
        self,
        policy: Policy,
        systems: Mapping[str, ProofSystem],
        anchors: Mapping[str, AnchorVerifier] = MappingProxyType({}),
        attestations: Mapping[str, AttestationVerifier] = MappingProxyType({}),
    ) -> None:
        self._policy = policy
        self._systems = systems
        self._anchors = anchors
        self._attestations = attestations

    def verify(
        self,
        files: Evidence,
        progress: Progress = silent,
        found: Found | None = None,
        replay: "Replay | None" = None,
    ) -> Report:
        """The report on a run; `found` says what the auditor named, for which `files` are the
        evidence; `replay` is what they have to compute its gradients again. What is false,
        malformed or missing is in `report.failure`, what this machine could not read or compute in
        `report.unreadable`; nothing is raised for either. UsageError for a `replay` that is not of
        this run or view. MemoryError is let through."""
        policy, outcomes = self._policy, dict[Step, Outcome]()
        view: LogView | None = None
        try:
            # (1) Parse: bounded reading, canonical records, known format.
            with at(Step.PARSE):
                view, outcomes[Step.PARSE] = parse(files, policy.head)

            # (2) Signatures: every pinned key signed the checkpoint and is named in the header.
            # None pinned: skipped, unless the policy trusts an enclave to vouch for the header's.
            with at(Step.SIGNATURES):
                vouched = vouched_keys(view.log.header, policy)
                outcomes[Step.SIGNATURES] = check_signatures(view, policy.keys, vouched)

            # (3) Log: the recomputed root is the checkpoint's, and the policy's where it has one;
            # the origin is the run's.
            with at(Step.LOG):
                outcomes[Step.LOG] = check_log(view, policy.head)

            begun = None
            if replay is not None:
                from zk_autograd.verify.replay import begin  # a verdict without openings takes none of it

                begun = begin(view, replay, allow_beacon=policy.allow_beacon)

            # (4) Register and anchors: the run's entries in its trainer's register, and what each
            # receipt shows.
            with at(Step.ANCHORS):
                anchoring, outcomes[Step.ANCHORS] = check_anchors(files, view, policy, self._anchors, vouched)

            # (5) Statement: own circuit, allowed SRS where there is one, constants recomputed.
            with at(Step.STATEMENT):
                basis, outcomes[Step.STATEMENT] = check_statement(view.log, self._systems, policy.srs, progress)

            # (6) Chain: steps 1..T, genesis, state to state, close record.
            with at(Step.CHAIN):
                at_begin = [one.claim for one in anchoring.at_begin()]
                outcomes[Step.CHAIN] = check_chain(view.log, at_begin, basis, progress)

            # (7) Proofs: all, or a sample.
            with at(Step.PROOFS):
                sample, outcomes[Step.PROOFS] = check_proofs(view.log, files, basis, policy, view.head, progress)

            # (8) Attestation: the document that the genesis names is genuine, about this run, and
            # one that the policy trusts. Of no enclave: absent.
            with at(Step.ATTESTATION):
                attestation, outcomes[Step.ATTESTATION] = check_attestation(
                    files, view, policy, self._attestations, anchoring
                )
            counts = attestation is not None and attestation.counts
            computed = Level.L2 in outcomes[Step.ATTESTATION].shown
            if computed:
                outcomes[Step.PROOFS] = attested(outcomes[Step.PROOFS])
            if vouched and not counts:
                from zk_autograd.verify.attested import not_vouched  # as in step 8, a run of no enclave takes none

                outcomes |= not_vouched(outcomes)
            keys = policy.keys or (vouched if counts else ())

            # (9) Data: the graph and the data are the header's; the gradients that were opened are
            # the graph's on them.
            with at(Step.DATA):
                replayed, outcomes[Step.DATA] = check_data(
                    files, view, basis, outcomes[Step.PROOFS].shown, begun, progress, attested=computed
                )
            if replayed is not None:
                from zk_autograd.verify.replayed import without_gradients  # as above

                outcomes[Step.PROOFS] = without_gradients(outcomes[Step.PROOFS], replayed)
                outcomes[Step.CHAIN] = ordered(outcomes[Step.CHAIN], whole=replayed.whole)

            # (10) Model: the published weights open the final commitment, the trainer's own files
            # are the recorded ones.
            with at(Step.MODEL):
                uncovered, model, outcomes[Step.MODEL], model_signer = _check_model(
                    view, files, basis, policy, found, progress
                )
        except VerificationError as error:
            return replace(_ended(outcomes, policy, view, found, error), checkpoint=_checkpoint(files, view))

        # What a policy file demands, each by the step that knows it; not met is not shown.
        facts = Facts(
            view.log,
            keys,
            basis.trust,
            outcomes[Step.PROOFS].shown,
            model,
            anchoring,
            view.head.size,
            bool(policy.keys),
        )
        outcomes, demands = answered(policy.demands, facts, outcomes)

        # (11) Verdict: the levels reached, against the levels required.
        verdict = decide(outcomes, policy, replayed)
        outcomes[Step.VERDICT] = verdict.outcome
        required = levels_checked(policy.require, verdict.levels, verdict.reached)
        return Report(
            outcomes,
            policy.require,
            bool(keys),
            levels=verdict.levels,
            missing=verdict.missing,
            advice=verdict.fix,
            security=None if basis.trust is None else basis.trust.security,
            summary=_summary(view),
            sample=sample,
            replayed=replayed,
            uncovered=uncovered.files,
            uncovered_more=uncovered.more,
            log=view.log,
            signers=keys,
            model_signer=model_signer,
            found=found,
            policy=None if policy.digest is None else PolicyChecked(policy.digest, (required, *demands)),
            checkpoint=_checkpoint(files, view),
            anchoring=anchoring,
            attestation=attestation,
            vouched=bool(vouched) and counts,
        )


def _checkpoint(files: Evidence, view: LogView | None) -> bytes | None:
    """The SHA-256 of the checkpoint's file; of one that led to no view, if it can be read."""
    try:
        return sha256(view.note if view is not None else files.checkpoint()).digest()
    except VerificationError:
        return None


def _check_model(
    view: LogView, files: Evidence, basis: Basis, policy: Policy, found: Found | None, progress: Progress
) -> tuple[Uncovered, Status, Outcome, str | None]:
    """Step 10, of its five parts; how the model's own ended, and who signed it, if shown."""
    given = check_given(view.log, found.subjects if found else ())
    try:
        weights, model = check_model(view.log, files, basis, progress)
        own = check_artefacts(view.log, files, weights)
    except UnreadableError:
        # What is false elsewhere doesn't hide behind a file that can't be read.
        with suppress(UnreadableError):
            check_digests(view.log, files)
        _check_signature(view, files, policy)
        raise
    uncovered = check_uncovered(view.log, files, policy.accept_uncovered)
    others = [file.name for file in uncovered.files or () if file.name.startswith(f"{MODEL}/")]
    signature = _check_signature(view, files, policy, others)
    parts = (model, given, own, signature, uncovered.outcome())
    less = uncovered.files is None or any(part.withheld for part in parts)
    status = Status.NOT_SHOWN if less else model.finding.status
    key = policy.model_key
    signer = None if key is None or signature.withheld else key.fingerprint
    return uncovered, model.finding.status, combined(status, *parts), signer


def _check_signature(view: LogView, files: Evidence, policy: Policy, others: Sequence[str] = ()) -> Outcome:
    """The model signature, if a key for it is pinned; a verdict without one takes none of that
    code."""
    if policy.model_key is None:
        unseen = (f"{MODEL_SIGNATURE} is there, and was not looked at: no model key is pinned (--model-key)",)
        # A server isn't asked for what nobody wants: some refuse (403) where they have no file.
        there = files.listable and files.has(MODEL_SIGNATURE)
        return Outcome(Finding(Status.SKIPPED, unseen if there else ()))
    from zk_autograd.verify.model_signature import check_model_signature

    return check_model_signature(view.log, files, policy, others)


def _ended(
    outcomes: dict[Step, Outcome], policy: Policy, view: LogView | None, found: Found | None, error: VerificationError
) -> Report:
    """The report if a step failed, or could not be carried out on this machine."""
    unreadable = error if isinstance(error, UnreadableError) else None
    status = Status.FAILED if unreadable is None else Status.UNREADABLE
    what = "failed" if unreadable is None else "could not be carried out on this machine"
    outcomes[Step(error.step)] = Outcome(Finding(status, (str(error),)))
    outcomes[Step.VERDICT] = Outcome(Finding(status, (f"step {error.step} {what}",)))
    known = Step.LOG in outcomes and outcomes[Step.LOG].finding.status is Status.PASSED
    return Report(
        outcomes,
        policy.require,
        bool(policy.keys),
        failure=error if unreadable is None else None,
        unreadable=unreadable,
        summary=_summary(view) if view and known else None,
        log=view.log if view and known else None,
        signers=policy.keys if known else (),
        found=found,
        policy=None if policy.digest is None else PolicyChecked(policy.digest, unchecked(policy.demands)),
    )


def _summary(view: LogView) -> Summary:
    header = view.log.header
    return Summary(
        run=header.run.hex(),
        rule=header.rule.value,
        backend=header.prover.backend,
        parameters=header.size,
        root=view.head.root,
        size=view.head.size,
        steps=view.log.segments[-1].last if view.log.segments else 0,
        segments=len(view.log.segments),
        blocks=len(header.blocks),
        finished=view.log.close is not None,
    )
