"""A training inside an enclave (`train.command.Training`): the rows and their order, gradients in
NumPy, their rounding, and a run that records them. The process loads no torch.

All that a record says of a step is computed here, from the job: nobody outside chooses a batch,
gives a gradient, or draws a salt.
"""

import inspect
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from hashlib import sha256
from types import TracebackType
from typing import Self, cast

import numpy as np

from zk_autograd.core.attestation import Document
from zk_autograd.core.errors import UsageError
from zk_autograd.core.formats import FloatArray, IntArray, dequantize_weight, quantize_weight
from zk_autograd.core.keys import Signer
from zk_autograd.core.note import Checkpoint
from zk_autograd.core.records import Header, Parameter, Prover
from zk_autograd.core.register import View
from zk_autograd.core.rules import State, initial_state
from zk_autograd.enclave import models, settings
from zk_autograd.enclave.attesting import Attesting
from zk_autograd.enclave.checked_proofs import CheckedProofs
from zk_autograd.enclave.job import Job
from zk_autograd.enclave.models import Network, first_weights
from zk_autograd.enclave.sealing import Sealing
from zk_autograd.local import csv_file
from zk_autograd.local.csv_name import CsvFile
from zk_autograd.optim.claims import batch_digest, loss_text
from zk_autograd.optim.header import HeaderParts, shifts_of
from zk_autograd.optim.options import decays_of, place, read_options
from zk_autograd.optim.recording import InMemory, NewRun, Recorder
from zk_autograd.optim.registering import register_of, registration_of
from zk_autograd.optim.rounding import checked_scale, quantized, suitable_scale
from zk_autograd.optim.schedule import canonical
from zk_autograd.prove.choice import backend_for_new_run
from zk_autograd.prove.protocol import Backend, Committing
from zk_autograd.run.anchoring import AnchorState
from zk_autograd.run.artefacts import Artefacts
from zk_autograd.run.claims import Claims
from zk_autograd.run.files import Files
from zk_autograd.run.layout import Layout
from zk_autograd.train import config, data
from zk_autograd.train.command import Recording
from zk_autograd.train.data import DataSet
from zk_autograd.train.plan import Plan
from zk_autograd.train.sampler import Sampler
from zk_autograd.train.seeded import Purpose, uniform

Outside = Backend | Callable[[Prover], Backend]
"""What proves outside: a backend, or what makes one for the run's core.records.Prover."""


def rows_of(job: Job, plan: Plan) -> DataSet:
    """The job's table, split and scaled. UsageError if it can't be trained on, which says nothing
    of what is in it: the message leaves the enclave."""
    assert isinstance(plan.data, CsvFile)
    try:
        table = csv_file.parsed(job.table, plan.data)
        return data.divided(table, plan.data, plan.seed)
    except UsageError:
        raise UsageError(
            f"{settings.TABLE} can't be trained on; what is wrong with it is said by `zk-train --dry-run --data csv:FILE` where its "
            "owner has it"
        ) from None


class Session(AbstractContextManager["Session"]):
    """A recorded training of a job. Use it in a `with`."""

    def __init__(
        self,
        plan: Plan,
        recording: Recording,
        job: Job,
        rows: DataSet,
        attesting: Attesting,
        outside: Outside | None = None,
        sealing: Sealing | None = None,
    ) -> None:
        """Nothing is written yet. UsageError for settings that no training of these rows can have,
        ProverError."""
        self.plan = plan = plan.fitted(len(rows.train))
        self._rows = rows
        self._job = job
        self._attesting = attesting
        self._sealing = sealing
        self._run = recording.run
        self._signers: Sequence[Signer] = recording.signers
        self._network = settings.network_of(plan, rows.columns, rows.classes)
        self._parameters = _parameters(self._network)
        self._sampler = Sampler(len(rows.train), plan.batch_size, plan.seed)
        self._options = read_options(plan.rule, plan.shared_options(), place(0))
        self._scale = checked_scale(plan.grad_scale)
        self._state = initial_state(plan.rule, self._first_weights())
        self._committed = data.commitment(rows.train, plan.secret, seed=plan.seed, batch_size=plan.batch_size)
        self._backend = self._checked(outside)
        self._artefacts = Artefacts(recording.listener, config=config.to_toml(plan, settings.PRIVATE))
        self._recorder: Recorder | None = None
        self._closed = False
        self.saturated = 0
        self._header(self._scale or 0)  # refused now, if ever

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and self._recorder is not None and not self._closed:
            self._recorder.abandon()

    @property
    def header(self) -> Header | None:
        return None if self._recorder is None else self._recorder.header

    @property
    def head(self) -> Checkpoint | None:
        return None if self._recorder is None else self._recorder.head

    @property
    def view(self) -> View | None:
        return None if self._recorder is None else self._recorder.view

    @property
    def anchors(self) -> Sequence[AnchorState]:
        return [] if self._recorder is None else self._recorder.anchors

    @property
    def steps(self) -> int:
        return 0 if self._recorder is None else self._recorder.step

    @property
    def test_rows(self) -> int:
        return len(self._rows.test)

    @property
    def classes(self) -> tuple[str, ...]:
        return self._rows.names

    @property
    def state(self) -> State:
        """The integers now, int64 (elements,) each."""
        return dict(self._state)

    def train(self, go_on: Callable[[], bool], begun: Callable[[], None] = lambda: None) -> int:
        """Takes the steps, as long as `go_on` says so, and returns the last one. `begun` is called
        once there is a run."""
        step = 0
        while step < self.plan.steps:
            rows = self._sampler.batch(step + 1)
            train = self._rows.train
            loss, found = self._network.step(self._weights(), train.features[rows], train.labels[rows])
            gradients = [(p.name, gradient) for p, gradient in zip(self._parameters, found, strict=True)]
            if self._recorder is None:
                self._recorder = self._begin(gradients)
                begun()
            G, saturated = quantized(gradients, self._recorder.header.grad_scale)
            # Exact to the last bit, a loss confirms a guess at the table. Where the weights are
            # published, whoever has a guess has that without it.
            claims = Claims(loss_text(loss) if self.plan.publish else "", saturated, batch_digest(rows))
            self._recorder.append(G, claims)
            self._state = self._recorder.state
            self.saturated += saturated
            step += 1
            if self._sealing is not None:
                self._sealing.after(step, self._recorder.header, self._state)
            if not go_on():
                break
        return step

    def close(self) -> None:
        """Proves what is left, seals the model for its owner, and ends the run."""
        assert self._recorder is not None
        self._recorder.drain()
        if self._sealing is not None:
            self._sealing.end(self.steps, self._recorder.header, self._state, self._recorder.final_salts("W"))
        self._recorder.finish({}, publish=self.plan.publish)
        self._closed = True

    def accuracy(self) -> float:
        """On rows that no step has seen."""
        test = self._rows.test
        return float(np.count_nonzero(self._network.predicted(self._weights(), test.features) == test.labels)) / len(
            test
        )

    def _begin(self, gradients: Sequence[tuple[str, FloatArray]]) -> Recorder:
        scale = suitable_scale(gradients) if self._scale is None else self._scale
        header = self._header(scale)
        G, _ = quantized(gradients, scale)
        InMemory(header, self._state, 0).append(G)  # a first step out of range leaves nothing behind
        collateral = b""

        def attested(digest: bytes) -> Document:
            nonlocal collateral
            document = self._attesting.document(self._job.run, digest, header.keys)
            collateral = self._attesting.collateral().encode()
            return document

        registration = registration_of(self.plan.registering, self._signers, from_file=False)
        new = NewRun(
            self._run,
            self._backend,
            self._signers,
            self._artefacts,
            registration=registration,
            attest=attested,
        )
        recorder = new.begin(header, self._state["W"])
        try:
            Files().write_atomic(Layout(self._run).collateral, collateral)
        except BaseException:
            recorder.abandon()
            raise
        return recorder

    def _header(self, scale: int) -> Header:
        plan, options = self.plan, (self._options,)
        shifts = shifts_of(plan.rule, [self._options.values["lr"].fraction], scale)
        return self._parts.complete(options, shifts, scale)

    @property
    def _parts(self) -> HeaderParts:
        plan = self.plan
        registration = registration_of(plan.registering, self._signers, from_file=False)
        return HeaderParts(
            rule=plan.rule,
            parameters=self._parameters,
            schedule=canonical(plan.schedule),
            unproved=(),
            data=self._committed,
            model_code=sha256(inspect.getsource(models).encode()).digest(),
            prover=self._backend.prover,
            keys=tuple(signer.public_key.encode() for signer in self._signers),
            expected_steps=plan.steps,
            register=register_of(self._signers, registration),
            run=self._job.run,
            proving=self._job.proving,
        )

    def _checked(self, outside: Outside | None) -> CheckedProofs:
        plan, options = self.plan, (self._options,)
        size = self._parameters[-1].offset + self._parameters[-1].size
        made = backend_for_new_run(
            plan.prover,
            plan.rule,
            [size],
            None,
            plan.steps,
            self._run / "private",
            plan.preset or None,
            decays=bool(decays_of(options)),
        )
        own = cast(Committing, made)  # as those of settings.PROVERS are
        if outside is None:
            return CheckedProofs(own, own)
        return CheckedProofs(own, outside(own.prover) if callable(outside) else outside)

    def _weights(self) -> list[FloatArray]:
        floats = dequantize_weight(self._state["W"])
        return [floats[p.offset : p.offset + p.size].reshape(p.shape) for p in self._parameters]

    def _first_weights(self) -> IntArray:
        """As zk-train draws them from the seed."""
        drawn = [
            uniform(self.plan.seed, Purpose.WEIGHTS, i, tensor.size, 1 / math.sqrt(tensor.inputs))
            for i, tensor in enumerate(self._network.tensors)
        ]
        weights = first_weights(self._network, drawn)
        return np.concatenate(
            [quantize_weight(w, p.name).reshape(-1) for w, p in zip(weights, self._parameters, strict=True)]
        )


def _parameters(network: Network) -> tuple[Parameter, ...]:
    found: list[Parameter] = []
    offset = 0
    for tensor in network.tensors:
        found.append(Parameter(tensor.name, tensor.shape, offset, tensor.size, 0))
        offset += tensor.size
    return tuple(found)
