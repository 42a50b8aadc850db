"""The verifier: numbered steps over one run's evidence, under one policy.

    number  step                   module       what it shows
    1       Parse                  log          the files are well formed, within their bounds
    2       Signatures             log          all pinned keys signed the checkpoint
    3       Log                    log          these are the records that were signed
    4       Register and anchors   -            not built yet: "no anchor"
    5       Statement              statement    what the proofs must show, from the verifier's own code and circuits
    6       Chain                  chain        the records fit together, from the first state to the last
    7       Proofs                 proofs       each step is the rule's
    8       Attestation            -            not built yet: absent
    9       Data                   -            not built yet: absent
    10      Model                  model        the published weights are the proved ones
                                   artefacts    the trainer's own files are those of the close record
                                   uncovered    what lies beside all that, and that no record names
    11      Verdict                here         what was shown, against what was asked for

The numbers are those of the code below, of the report, of VerificationError.step, of docs/verification.md and of the tests' names.
Left to the caller: to have the keys, the SRS digests and the root from somewhere else than the run.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from zk_autograd.core.errors import UnreadableError, VerificationError
from zk_autograd.verify.artefacts import check_artefacts, check_digests
from zk_autograd.verify.chain import check_chain
from zk_autograd.verify.evidence import Missing, ProofSystem, RunFiles, Trust
from zk_autograd.verify.limits import limits
from zk_autograd.verify.log import LogView, check_log, check_signatures, parse
from zk_autograd.verify.model import check_model
from zk_autograd.verify.policy import Level, Policy
from zk_autograd.verify.proofs import Proved, check_proofs
from zk_autograd.verify.report import NOT_REACHED, Finding, Report, Status, Step, Summary
from zk_autograd.verify.statement import check_statement
from zk_autograd.verify.uncovered import Uncovered, check_uncovered


def _silent(what: str, done: int, total: int) -> None:
    return


class Verifier:
    """Judges runs under one policy. `systems` are the backends with proofs that it knows, by name (verify.systems)."""

    def __init__(self, policy: Policy, systems: Mapping[str, ProofSystem]) -> None:
        self._policy = policy
        self._systems = systems

    def verify(self, files: RunFiles, progress: Callable[[str, int, int], None] = _silent) -> Report:
        """The report on a run. What is false, malformed or missing in it is `report.failure`, what this machine could
        not read or compute is `report.unreadable`; nothing is raised for either. MemoryError passes."""
        policy, findings = self._policy, dict.fromkeys(Step, NOT_REACHED)
        view: LogView | None = None
        try:
            # (1) Parse: bounded reading, canonical records, known format.
            with _at(Step.PARSE):
                view, findings[Step.PARSE] = parse(files, policy.head)

            # (2) Signatures: every pinned key signed the checkpoint and is named in the header. None pinned: skipped.
            with _at(Step.SIGNATURES):
                findings[Step.SIGNATURES] = check_signatures(view, policy.keys)

            # (3) Log: the recomputed root is the checkpoint's, and the policy's where it has one; the origin is the run's.
            with _at(Step.LOG):
                findings[Step.LOG] = check_log(view, policy.head)

            # (4) Register and anchors.
            findings[Step.ANCHORS] = Finding(Status.SKIPPED, ("no anchor",))

            # (5) Statement: own circuit, allowed SRS where there is one, constants recomputed.
            with _at(Step.STATEMENT):
                basis, findings[Step.STATEMENT] = check_statement(view.log, self._systems, policy.srs, progress)

            # (6) Chain: steps 1..T, genesis, state to state, close record.
            with _at(Step.CHAIN):
                findings[Step.CHAIN] = check_chain(view.log, basis, progress)

            # (7) Proofs: all, or a sample.
            with _at(Step.PROOFS):
                proved, findings[Step.PROOFS] = check_proofs(view.log, files, basis, policy, view.head, progress)

            # (8) Attestation. (9) Data.
            findings[Step.ATTESTATION] = Finding(Status.ABSENT, ("no attestation: L2 was not looked for",))
            findings[Step.DATA] = Finding(Status.ABSENT, ("no opened data or batch order: L3 was not looked for",))

            # (10) Model: the published weights open the final commitment, the trainer's own files are the recorded ones.
            with _at(Step.MODEL):
                try:
                    found, weights = check_model(view.log, files, basis, progress)
                except UnreadableError:
                    check_digests(
                        view.log, files
                    )  # a false file of the trainer's own doesn't hide behind one that can't be read
                    raise
                own = check_artefacts(view.log, files, weights)
                uncovered = check_uncovered(view.log, files, policy.accept_uncovered)
                findings[Step.MODEL] = Finding(
                    Status.NOT_SHOWN if uncovered.weighs else found.status,
                    (*found.sentences, *own, *uncovered.sentences()),
                )
        except VerificationError as error:
            unreadable = error if isinstance(error, UnreadableError) else None
            status = Status.FAILED if unreadable is None else Status.UNREADABLE
            what = "failed" if unreadable is None else "could not be taken on this machine"
            findings[Step(error.step)] = Finding(status, (str(error),))
            findings[Step.VERDICT] = Finding(status, (f"step {error.step} {what}",))
            known = view is not None and findings[Step.LOG].status is Status.PASSED
            return Report(
                findings,
                policy.require,
                bool(policy.keys),
                failure=error if unreadable is None else None,
                unreadable=unreadable,
                summary=_summary(view) if view and known else None,
            )

        # (11) Verdict: the levels reached, against the levels required.
        return self._verdict(view, findings, proved, basis.trust, uncovered)

    def _verdict(
        self, view: LogView, findings: dict[Step, Finding], proved: Proved, trust: Trust | None, uncovered: Uncovered
    ) -> Report:
        policy = self._policy
        levels = frozenset[Level]()
        missing = []
        if policy.keys:
            levels = frozenset({Level.L0} if isinstance(proved.level, Missing) else {Level.L0, proved.level})
        else:
            missing.append("no key is pinned: give the trainer's key, from another source than the run, with --key")
        if Level.L1 in policy.require:
            if isinstance(proved.level, Missing):
                missing.append(f"L1 was not reached: {proved.level.reason}")
            elif proved.level is Level.L1_SAMPLED and not policy.accept_sample:
                missing.append(
                    "L1 was not reached: a sample reaches L1-sampled; verify all proofs, or give --accept-sample"
                )
        if uncovered.weighs:
            missing.append(
                "there are files that no record in this view names: don't take them for what was judged. Judge a copy without them, or name "
                "each one that you know with --accept-uncovered NAME"
            )
        asked = " and ".join(sorted(level.value for level in policy.require))
        findings[Step.VERDICT] = (
            Finding(Status.NOT_SHOWN, (f"asked for {asked}: not all of it was shown",))
            if missing
            else Finding(Status.PASSED, (f"asked for {asked}: shown",))
        )
        return Report(
            findings,
            policy.require,
            bool(policy.keys),
            levels=levels,
            missing=tuple(missing),
            limits=limits(view.log, proved, trust),
            security=None if trust is None else trust.security,
            summary=_summary(view),
            sample=proved.sample,
            uncovered=uncovered.files,
            uncovered_more=uncovered.more,
        )


@contextmanager
def _at(step: Step) -> Iterator[None]:
    """Failures in the block are the step's."""
    try:
        yield
    except VerificationError as error:
        raise error.at(step) from error


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
