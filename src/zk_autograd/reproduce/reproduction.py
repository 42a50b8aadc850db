"""Whether a run's configuration, data and environment reproduce its weights: hashes first, then the
training itself.

A run names its own keys and SRS here, so this says nothing of who made it: that is zk-verify's job.
Code that a run names is only run if the caller names it, too, and only the code whose digest the
header has, from outside the run's folder.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from shlex import quote

import numpy as np

from zk_autograd.core import cells as cells_format
from zk_autograd.core.errors import (
    GradientError,
    ProverError,
    RangeError,
    RunError,
    StorageError,
    UnreadableError,
    UsageError,
    VerificationError,
)
from zk_autograd.core.first_weights import first_weights, order_seed
from zk_autograd.core.formats import IntArray
from zk_autograd.core.progress import Progress
from zk_autograd.core.records import BEACON, PUBLIC, Log
from zk_autograd.core.text import counted
from zk_autograd.evidence.hashes import Hashes, weights_hash
from zk_autograd.evidence.layout import CONFIG, ENVIRONMENT, HASHES, TRAIN_LOG
from zk_autograd.evidence.opening import open_run
from zk_autograd.evidence.run import Evidence
from zk_autograd.local.csv_name import CsvFile
from zk_autograd.prove.choice import backend_of_run
from zk_autograd.prove.protocol import Backend
from zk_autograd.reproduce import judgement
from zk_autograd.reproduce.repetition import Repetition, check_settings
from zk_autograd.reproduce.verdict import Reproduction, Verdict
from zk_autograd.run import environment, train_log
from zk_autograd.run.exact_files import ExactFiles
from zk_autograd.run.files import Files, exists
from zk_autograd.run.journal import Journal
from zk_autograd.run.layout import Layout
from zk_autograd.run.marker import forgotten_on
from zk_autograd.run.opening import are_committed
from zk_autograd.train import config, models, own_code, session
from zk_autograd.train.names import Factory, data_called
from zk_autograd.train.own_code import Consent
from zk_autograd.train.plan import FILE, Plan
from zk_autograd.verify.artefacts import LIMITS
from zk_autograd.verify.outcome import Step
from zk_autograd.verify.proof_system import ProofSystem


def reproduce(
    path: Path,
    systems: Mapping[str, ProofSystem],
    progress: Progress,
    *,
    hashes_alone: bool = False,
    data: str | None = None,
    allowed: Factory | None = None,
) -> Reproduction:
    """Judges the finished run, or bundle, at `path`. `systems` are the provers that the verifier
    knows; `data` is csv:PATH, where the run's table is now; `allowed` is the code that the caller
    named, and no other is run. UsageError if there is no run, RunError for one that is unfinished
    or has no hashes."""
    with open_run(path) as files:
        inquiry = _Inquiry(path, files, systems, progress, data, allowed)
        try:
            verdict = inquiry.verdict(hashes_alone=hashes_alone)
        except UnreadableError:
            raise
        except VerificationError as error:
            inquiry.found("mismatch", str(error))
            verdict = Verdict.MISMATCH
    return Reproduction(verdict, tuple(inquiry.checks), tuple(inquiry.differences), hashes_alone)


class _Untrainable(Exception):
    """Why the training can't be repeated here."""


@dataclass
class _Inquiry:
    path: Path
    files: Evidence
    systems: Mapping[str, ProofSystem]
    progress: Progress
    data: str | None
    allowed: Factory | None
    checks: list[tuple[str, str]] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    excuses: list[str] = field(default_factory=list)
    """Those differences that may change a float's last bit."""

    def found(self, name: str, text: str) -> None:
        self.checks.append((name, text))

    def verdict(self, *, hashes_alone: bool) -> Verdict:
        """VerificationError for anything that is not what the run says."""
        log, findings = judgement.judged(self.path, self.files, self.systems, self.progress)
        recorded = dict(log.close.artefacts) if log.close else {}
        proofs = findings[Step.PROOFS].status.value
        own = "keys and SRS, whose maker could forge proofs" if log.header.prover.srs_digest else "keys"
        self.found("evidence", f"steps 1 to 10 of zk-verify, with the run's own {own}: nothing false; proofs: {proofs}")
        self.differences += judgement.unseen(findings)
        # A file of such a name that the close record doesn't name is not the run's, whatever it
        # says.
        contents = {name: self.files.artefact(name, limit) for name, limit in LIMITS.items() if name in recorded}
        self._train_log(log, contents[TRAIN_LOG])
        self._environment(contents[ENVIRONMENT])
        hashes = Hashes.parse(contents[HASHES])
        self.found("hashes", f"as recorded: {', '.join(hashes.named())}")
        try:
            plan = self._plan(log, contents.get(CONFIG))
            plan = self._as_made(log, plan, hashes)
            self._data(log, plan)
            if hashes_alone:
                raise _Untrainable(
                    "hashes alone were asked for: that this configuration leads to these weights was not tested"
                )
            self._weights(log, plan, hashes)
        except _Untrainable as error:
            self.found("weights", f"not trained again: {error}")
            return Verdict.CONFIG_ONLY
        return Verdict.PARTIAL if self.differences else Verdict.FULL

    def _train_log(self, log: Log, content: bytes) -> None:
        """Checks it against the records. What changed when the run was resumed is a difference."""
        changes = [f"environment when it was resumed: {change}" for change in train_log.changes(content, log)]
        self.excuses += changes
        self.differences += changes
        steps = counted(sum(s.last - s.first + 1 for s in log.segments), "step")
        self.found("log", f"{TRAIN_LOG} has the {steps} of the records in order, and its segments")

    def _environment(self, recorded: bytes) -> None:
        with session.repeatable():
            differing = environment.differences(recorded, environment.current())
        self.excuses += differing
        self.differences += differing
        self.found("environment", f"differs in {counted(len(differing), 'place')}" if differing else "equal")

    def _plan(self, log: Log, text: bytes | None) -> Plan:
        """The training's plan: the private one, which config.toml must match, or config.toml's."""
        layout = Layout(self.path)
        if self._kept(layout.private / FILE):
            try:
                plan = Plan.read(self.path)
            except StorageError:
                raise
            except RunError as error:
                raise VerificationError(str(error)) from error
            try:
                published = None if text is None else _plan_of(text)
            except UsageError:
                published = None
            if published != _public(plan):
                raise VerificationError(f"{CONFIG} is not what private/{FILE} says")
            self.found("config", f"{CONFIG} is as recorded, and what private/{FILE} says")
        elif text is None:
            raise _Untrainable("the run has no configuration: it was not made by zk-train")
        else:
            try:
                plan = _plan_of(text)
            except UsageError as error:
                raise _Untrainable(f"{CONFIG} is not of zk-train: {error}") from error
            self.found("config", f"{CONFIG} is as recorded")
        if self.data is not None:
            if not isinstance(plan.data, CsvFile):
                raise UsageError(f"--data is for runs on your own table; this one is on {plan.data}")
            source = data_called(self.data, plan.data.label)
            if not isinstance(source, CsvFile):
                raise UsageError(f"--data is {source}; it must be csv:PATH, where the table of the run is now")
            plan = replace(plan, data=source)
        return plan

    def _kept(self, path: Path) -> bool:
        """Whether the trainer's private part is here, with `path`. One that is closed to the caller
        counts as absent."""
        try:
            return exists(path) and forgotten_on(Layout(self.path)) is None
        except StorageError as error:
            if (text := f"private/: left out, since it can't be read here: {error}") not in self.differences:
                self.differences.append(text)
            return False

    def _as_made(self, log: Log, plan: Plan, hashes: Hashes) -> Plan:
        """The plan with the run's steps, after checking its other settings against the records."""
        assert log.close is not None
        made = log.close.last_step
        check_settings(plan, log.header, published=hashes.weights is not None)
        if plan.steps < made:
            raise VerificationError(
                f"{CONFIG} has fewer steps than the records", expected=str(made), found=str(plan.steps)
            )
        if plan.steps > made:
            self.differences.append(f"steps: {plan.steps} in {CONFIG}, but the run was closed after {made}")
        if not made:
            raise _Untrainable("the run has no steps")
        return replace(plan, steps=made)

    def _data(self, log: Log, plan: Plan) -> None:
        """Recomputes the header's data from the rows."""
        exact = log.header.exact
        if not plan.secret:
            if isinstance(plan.data, CsvFile) and self.data is None:
                raise _Untrainable(
                    f"its data are the trainer's own table: if you have it, say where with --data {quote(str(plan.data))}"
                )
            if exact is None or exact.visibility != PUBLIC:
                self.differences.append("data: their salted root needs the trainer's secret, and was not recomputed")
                return
        if exact is not None:
            self._cells(log, plan)
            return
        try:
            found = session.data_commitment(plan)
        except UsageError as error:
            raise _Untrainable(f"its data can't be read: {error}") from error
        recorded = log.header.data
        if found != recorded:
            raise VerificationError(
                f"the data {plan.data} are not those of the run", expected=recorded.root.hex(), found=found.root.hex()
            )
        self.found("data", f"root over {counted(recorded.count, 'row')}, and commitment to the seed: recomputed, equal")

    def _cells(self, log: Log, plan: Plan) -> None:
        """Compares the cells that the rows make with those that are committed to."""
        header, layout = log.header, Layout(self.path)
        exact = header.exact
        assert exact is not None
        try:
            cells = session.exact_cells(plan)
        except UsageError as error:
            raise _Untrainable(f"its data can't be read: {error}") from error
        rows, other = counted(header.data.count, "row"), f"the data {plan.data} are not those of the run"
        if exact.visibility == PUBLIC:
            published, _ = cells_format.parsed(self.files.cells(cells_format.largest_file(len(cells), exact.stride)))
            if not np.array_equal(published, cells):
                raise VerificationError(other)
            self.found("data", f"the published cells of {rows}: made again, equal")
            return
        if not self._kept(layout.data):
            self.differences.append("data: their commitment needs the trainer's secrets, and was not recomputed")
            return
        backend = self._backend(log)
        try:
            files = ExactFiles.read(layout, header, log.header_digest)
            if backend is not None and not are_committed(files, header, backend):
                raise VerificationError(f"{layout.data} holds other data than the header commits to")
        except StorageError:
            raise
        except RunError as error:
            raise VerificationError(str(error)) from error
        finally:
            if backend is not None:
                backend.stop()
        if not np.array_equal(files.cells, cells):
            raise VerificationError(other)
        self.found("data", f"cells of {rows}, which the header commits to: made again, equal")

    def _weights(self, log: Log, plan: Plan, hashes: Hashes) -> None:
        """Trains again, and compares."""
        journal, backend = self._journal(log), None
        if hashes.weights is None and journal is None:
            raise _Untrainable(
                "the weights are not published, and the trainer's private folder, which has them, is not here"
            )
        if isinstance(plan.model, Factory):
            consent = Consent.NAMED if self.allowed == plan.model else Consent.NOBODY
            why = own_code.refusal(plan.model, self.path, log.header.model_code, consent)
            if why is not None:
                raise _Untrainable(f"the code of its model {plan.model} is not run: {why}")
        try:
            if not models.is_code(plan.model, log.header.model_code):
                self.excuses.append(f"the code of the model {plan.model}")
                self.differences.append(self.excuses[-1])
            if journal is not None:
                backend = self._backend(log)
            repetition = Repetition(log, journal, backend, lenient=bool(self.excuses))
            W = session.retrain(
                plan, lambda step, steps: self.progress("training", step, steps), repetition, _begun(log)
            )
        except UsageError as error:
            raise _Untrainable(str(error)) from error
        except (GradientError, RangeError) as error:
            raise VerificationError(f"trained again, it stopped: {error}{self._perhaps()}") from error
        except UnreadableError:
            raise
        except VerificationError as error:
            raise VerificationError(f"{error}{self._perhaps()}") from error
        finally:
            if backend is not None:
                backend.stop()
        repetition.end()
        self.differences += repetition.differences
        salts = None if hashes.weights is not None or journal is None else self._salts(log, journal)
        if salts is None:
            equal, what = weights_hash(W) == hashes.weights, "the published integers"
        else:
            equal, what = self._opens(log, W, salts), "what the last commitment was made to"
        if not equal:
            raise VerificationError(f"trained again, the weights are not {what}{self._perhaps()}")
        self.found("weights", f"{counted(plan.steps, 'step')} trained again: bit for bit {what}")
        self.found("records", f"as trained again: {repetition.equal}")

    def _perhaps(self) -> str:
        return f"; not as it was, which may be why: {'; '.join(self.excuses)}" if self.excuses else ""

    def _journal(self, log: Log) -> Journal | None:
        """The trainer's private journal, whose salts open the records; None if it is not here."""
        layout = Layout(self.path)
        if not self._kept(layout.header):
            return None
        return Journal(layout.segments, log.header, log.header_digest, Files())

    def _salts(self, log: Log, journal: Journal) -> tuple[bytes, ...]:
        """The salts of the last commitments to W, for unpublished weights. Called once the model
        has the header's size: what is read is as large."""
        try:
            return journal.start(len(log.segments)).salts.state_in["W"]
        except StorageError:
            raise
        except RunError as error:
            raise VerificationError(str(error)) from error

    def _backend(self, log: Log) -> Backend | None:
        """What commits as the run did; notes a difference if there is none."""
        prover = log.header.prover
        try:
            return backend_of_run(prover, prover.backend, None, Layout(self.path).private)
        except (RunError, UsageError, ProverError) as error:
            self.differences.append(f"states: their commitments can't be made here: {error}")
            return None

    def _opens(self, log: Log, W: IntArray, salts: tuple[bytes, ...]) -> bool:
        """Whether these weights are what the close record's commitments are to."""
        header, close = log.header, log.close
        assert close is not None
        try:
            backend = backend_of_run(header.prover, header.prover.backend, None, Layout(self.path).private)
            try:
                for block, (salt, expected) in enumerate(zip(salts, close.state["W"], strict=True)):
                    if backend.commit(header.padded(W, block), salt) != expected:
                        return False
            finally:
                backend.stop()
        except (RunError, UsageError, ProverError) as error:
            raise _Untrainable(f"the commitments can't be made here: {error}") from error
        return True


def _begun(log: Log) -> tuple[IntArray | None, int | None]:
    """The first weights, and the seed of the rows' order, that the run has from a beacon."""
    if log.header.weights_by != BEACON or log.genesis is None:
        return None, None
    digest, beacon = log.header_digest, log.genesis.beacon
    seed = order_seed(digest, beacon) if log.header.order_by == BEACON else None
    return first_weights(log.header, digest, beacon), seed


def _plan_of(text: bytes) -> Plan:
    """config.toml's plan, without what is private. UsageError if it is not zk-train's."""
    try:
        return Plan.of(config.from_toml(text.decode(), CONFIG), key_file="", secret=b"")
    except UnicodeDecodeError as error:
        raise UsageError(f"{CONFIG} is not UTF-8 text") from error


def _public(plan: Plan) -> Plan:
    """The plan as config.toml says it."""
    data = plan.data
    if isinstance(data, CsvFile):
        data = replace(data, path=PurePath(data.path).name)
    return replace(plan, key_file="", secret=b"", data=data)
