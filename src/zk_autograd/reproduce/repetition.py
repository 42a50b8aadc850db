"""A repeated training, compared step by step with what the run's records have of it.

Compared in any case: the header's rule, scale, schedule, hyper-parameters, tensors (those that are
unproved with their first values), blocks, count of rows, sampler, batch size and, if the gradients
are exact, their graph; recorded learning rates; and each step's loss and count of saturated
elements. With the salts of the private folder also each segment's commitment to its batches, if it
has one, and those to the first state and to the states after each segment. The commitments to
gradients are not compared: a state follows from the one before it and its gradients, and the states
are compared.
"""

from collections.abc import Mapping
from dataclasses import replace

from zk_autograd.core.errors import ProverError, RunError, StorageError, UsageError, VerificationError
from zk_autograd.core.formats import IntArray
from zk_autograd.core.records import PUBLIC, Exact, Header, Log, Segment, StateCommitments
from zk_autograd.core.text import counted
from zk_autograd.evidence.layout import CONFIG
from zk_autograd.optim.header import blocks_of
from zk_autograd.prove.choice import choice_of
from zk_autograd.prove.protocol import Backend
from zk_autograd.run.journal import Journal, Salts
from zk_autograd.run.sealed import batch_commitment
from zk_autograd.train.plan import Plan
from zk_autograd.train.session import Made
from zk_autograd.train.settings import L1, L3

UNSALTED = "batches and states: their commitments need the trainer's salts, and were not recomputed"

_LOSS, _SATURATED, _STATES = "loss", "count of saturated elements", "states:"


def check_settings(plan: Plan, header: Header, *, published: bool) -> None:
    """VerificationError if the records and `plan` differ in settings that no training shows."""
    prover = header.prover
    preset = choice_of(prover.backend).preset_of(prover)
    pairs = {
        "prover": (prover.backend, plan.prover),
        "preset": (preset, plan.preset or next(iter(prover.form.presets), "")),
        "publish": (published, plan.publish),
        "level": (L1 if header.exact is None else L3, plan.level),
        "public-data": (header.exact is not None and header.exact.visibility == PUBLIC, plan.public_data),
        "order-seed": (None if header.exact is None else header.exact.seed, plan.order_seed),
    }
    for name, (there, planned) in pairs.items():
        if there != planned:
            raise VerificationError(
                f"{CONFIG} has another {name} than the records", expected=str(there), found=str(planned)
            )


class Repetition:
    """Sees the steps of `session.retrain`. VerificationError at the first thing that is not as
    recorded.

    With `lenient`, for an environment that is not the run's, unequal losses, counts and states go
    to `differences` instead: there floats may differ in their last bits where the weights do not.
    """

    def __init__(self, log: Log, journal: Journal | None, backend: Backend | None, *, lenient: bool) -> None:
        """`journal` has the salts, `backend` commits with them; None where there is none."""
        self.differences: list[str] = []
        if journal is None:
            self.differences.append(UNSALTED)
        self._log = log
        self._journal = journal
        self._backend = backend
        self._lenient = lenient
        self._index = 0
        self._batches: list[bytes] = []
        self._unequal: dict[str, list[str]] = {}

    @property
    def equal(self) -> str:
        """What was compared in all steps and found equal, for people."""
        found = ["header", *(f"{what} of each step" for what in (_LOSS, _SATURATED) if what not in self._unequal)]
        if self._journal is not None and self._log.header.exact is None:  # exact ones follow from the order
            found.append("batches")
        if self._backend is not None and _STATES not in self._unequal:
            found.append("state after each segment")
        return ", ".join(found)

    def begun(self, weights: IntArray) -> None:
        if len(weights) != self._log.header.size:  # before anything of that size is read
            raise VerificationError(
                "trained again, the model has another number of parameters than the header",
                expected=str(self._log.header.size),
                found=str(len(weights)),
            )
        self._states({"W": weights}, self._salts(0), self._log.segments[0].state_in, "before step 1", first=True)

    def made(self, step: Made) -> None:
        if step.number == 1:
            self._header(step.header)
        segment = self._log.segments[self._index]
        i = step.number - segment.first
        self._compare(_LOSS, step.number, segment.loss[i], step.loss)
        self._compare(_SATURATED, step.number, str(segment.saturated[i]), str(step.saturated))
        if segment.lr:
            rates = tuple(dict(group.hyper)["lr"] for group in step.header.groups)
            if segment.lr[i] != rates:
                raise VerificationError(
                    f"trained again, step {step.number} has another lr",
                    expected=", ".join(segment.lr[i]),
                    found=", ".join(rates),
                )
        self._batches.append(step.batch)
        if step.number == segment.last:
            salts = self._salts(segment.index)
            self._batch(segment, salts)
            after = self._salts(segment.index + 1) if self._backend is not None else None
            self._states(step.state(), after, segment.state_out, f"after step {step.number}", first=False)
            self._batches = []
            self._index += 1

    def end(self) -> None:
        """Adds to `differences` what was not equal in steps."""
        for what, places in self._unequal.items():
            more = f", and in {counted(len(places) - 1, 'more place')}" if len(places) > 1 else ""
            self.differences.append(f"{what} {places[0]}{more}")

    def _header(self, found: Header) -> None:
        recorded = self._log.header
        data, rows = recorded.data, found.data
        pairs: dict[str, tuple[object, object]] = {
            "rule": (recorded.rule.value, found.rule.value),
            "schedule": (recorded.schedule, found.schedule),
            "grad_scale": (recorded.grad_scale, found.grad_scale),
            "number of parameters": (recorded.size, found.size),
            "hyper-parameters": (recorded.groups, found.groups),
            "parameters": (recorded.parameters, found.parameters),
            "unproved tensors": (recorded.unproved, found.unproved),
            "blocks": (recorded.blocks, blocks_of(found.parameters, recorded.prover.block)),
            "count of rows": (data.count, rows.count),
            "sampler": (data.sampler, rows.sampler),
            "batch size": (data.batch_size, rows.batch_size),
            "exact gradients": (_uncommitted(recorded), _uncommitted(found)),
        }
        for what, (there, here) in pairs.items():
            if there != here:
                raise VerificationError(
                    f"trained again, the header has other {what}", expected=f"{there!r:.200}", found=f"{here!r:.200}"
                )
        if recorded.package != found.package:
            self.differences.append(f"package of the header: {recorded.package} there, {found.package} here")

    def _compare(self, what: str, step: int, recorded: str, found: str) -> None:
        if recorded == found:
            return
        if not self._lenient:
            raise VerificationError(f"trained again, step {step} has another {what}", expected=recorded, found=found)
        self._unequal.setdefault(what, []).append(f"at step {step}: {recorded} there, {found} here")

    def _salts(self, segment: int) -> Salts | None:
        if self._journal is None:
            return None
        try:
            return self._journal.start(segment).salts
        except StorageError:
            raise
        except RunError as error:
            raise VerificationError(str(error)) from error

    def _batch(self, segment: Segment, salts: Salts | None) -> None:
        if salts is None:
            equal = bool(segment.batches) == any(self._batches)
        else:
            equal = segment.batches == batch_commitment(salts.batches, self._batches)
        if not equal:
            raise VerificationError(
                f"trained again, steps {segment.first} to {segment.last} take other batches than were committed to"
            )

    def _states(
        self, state: Mapping[str, IntArray], salts: Salts | None, expected: StateCommitments, when: str, *, first: bool
    ) -> None:
        """Whether these were committed to; `salts` are those of the segment that begins here."""
        if salts is None or self._backend is None:
            return
        header = self._log.header
        messages, names = [], []
        for name, values in state.items():
            for block, salt in enumerate(salts.state_in[name]):
                messages.append((header.padded(values, block), salt))
                names.append(name)
        try:
            found = self._backend.commit_all(messages)
        except (RunError, UsageError, ProverError) as error:
            self.differences.append(f"states: their commitments can't be made here: {error}")
            self._backend = None
            return
        recorded = [commitment for name in state for commitment in expected[name]]
        for name, there, here in zip(names, recorded, found, strict=True):
            if there != here:
                text = f"the integers {name} {when} are not what was committed to"
                if not self._lenient or first:
                    raise VerificationError(f"trained again, {text}")
                self._unequal.setdefault(_STATES, []).append(text)
                return  # of one segment, the first


def _uncommitted(header: Header) -> Exact | None:
    """What a header says of exact gradients besides the data's commitment, and the order's seed,
    which is compared with the plan's."""
    return None if header.exact is None else replace(header.exact, shards=(), cells=b"", seed=None)
