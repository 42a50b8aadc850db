"""A torch optimizer whose step is core's exact integer rule, and whose steps are recorded and
proved in a run directory.

The class validates arguments and keeps torch's habits. The state is `trajectory`'s, the rule
`core.rules`', the records `run`'s.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, overload

import numpy as np
import torch

from zk_autograd.core.anchors import Anchor, BeaconAnchor
from zk_autograd.core.backends import DEFAULT_BACKEND
from zk_autograd.core.decimals import decimal_text
from zk_autograd.core.errors import UsageError
from zk_autograd.core.first_weights import order_seed
from zk_autograd.core.formats import IntArray
from zk_autograd.core.hyper import Rule
from zk_autograd.core.note import Checkpoint
from zk_autograd.core.records import BEACON, TRAINER, Data, Exact, Header
from zk_autograd.core.register import EVERY, View
from zk_autograd.core.rules import State
from zk_autograd.kernels.choice import AUTO, SlowKernel, kernel_called
from zk_autograd.optim import distributed, recording, saved_state
from zk_autograd.optim.claims import batch_digest, loss_text
from zk_autograd.optim.exact.gradient import ExactGradient
from zk_autograd.optim.exact.steps import ExactLossDiffers
from zk_autograd.optim.header import NO_DATA, HeaderParts
from zk_autograd.optim.options import Number, check_names, choose_rule, decays_of, exact, place, read_options
from zk_autograd.optim.param_groups import TENSORS, WatchedGroup
from zk_autograd.optim.parameters import Manifest, collect, unproved_tensors
from zk_autograd.optim.recording import NewLogKey
from zk_autograd.optim.registering import NO_REGISTER, Registering, beacon_of, registration_of
from zk_autograd.optim.resuming import ResumedLr, ResumedModel
from zk_autograd.optim.rounding import checked_scale
from zk_autograd.optim.schedule import canonical, require_count
from zk_autograd.optim.trajectory import ClampedGradients, CoarseEps, CoarseLr, Trajectory
from zk_autograd.optim.unproved import BUDGET, UnprovedValues
from zk_autograd.prove.choice import backend_for_new_run, require_provable
from zk_autograd.prove.hashed.backend import HashedBackend
from zk_autograd.prove.protocol import Backend
from zk_autograd.run.anchoring import AnchorState
from zk_autograd.run.artefacts import Artefacts, checked_config, require_own_names
from zk_autograd.run.claims import Claims
from zk_autograd.run.events import Listener, ignore
from zk_autograd.run.layout import Layout
from zk_autograd.run.ownership import Unique
from zk_autograd.run.unclosed import UnclosedRun
from zk_autograd.workers.choice import Proving
from zk_autograd.workers.names import DEFAULT as DEFAULT_WORKERS

__all__ = [
    "ClampedGradients",
    "CoarseEps",
    "CoarseLr",
    "ExactLossDiffers",
    "NewLogKey",
    "ResumedLr",
    "ResumedModel",
    "SlowKernel",
    "UnclosedRun",
    "ZKOptimizer",
]


_SCALERS = ("found_inf", "grad_scale")
"""What GradScaler.step puts here for the step, and takes away only if that returns."""
_KEPT_AT_ONCE = 16
"""With at most this many parameter groups each change is kept when it is made, except the first one
after a step at which lr had moved."""


def _require_exact(gradient: object) -> None:
    if not isinstance(gradient, ExactGradient):
        raise UsageError(f"gradient is a {type(gradient).__name__}; give an ExactGradient, of a graph and data")


class ZKOptimizer(Unique, torch.optim.Optimizer):
    """SGD, momentum SGD, Nesterov's, Adam, AdamW, Lion or RMSprop on integers, in place of a float
    optimizer.

    The integers are the model: weights are rounded to multiples of 2^-32 when the optimizer is
    made, and after each step the model's parameters are the float32 values of the integer weights.
    Nobody else may write to them in between. With `run`, each step is recorded and, by the provers
    "native" and "ezkl", proved; leave the `with` block, or call `close`, to prove what is left and
    close the run. If an exception leaves the block, the run stops where it is and can be resumed
    with `resume=True`. Dropping the optimizer stops it, too, with a warning `UnclosedRun`; and a
    script that ends with a run still open says so. The run belongs to the process that made the
    optimizer: forked children can't use it, and it can't be copied or pickled.

    Resuming restores the weights, and what `param_groups` held when the run was left: lr,
    initial_lr, max_lr, and any other number, text, boolean, None, or list or tuple of these. The
    restored lr overrides the `lr` given here; ResumedLr warns if that is neither the restored one
    nor the one that the run began with. Schedulers, buffers and frozen parameters are the caller's
    to restore. Making a scheduler may overwrite lr: take `state_dict()` before, pass it to
    `load_state_dict` afterwards, and then load the scheduler's own state. ResumedLr warns if the
    first step has another lr than was due, or it isn't known which was; ResumedModel names buffers
    and frozen parameters that aren't as the run had them, among those small enough to be hashed at
    each step: load them before making the optimizer.

    Arguments, besides torch's own (`lr`, `betas`, `eps`, `weight_decay`, `momentum`, `nesterov`,
    `alpha`, with torch's defaults, and Lion's authors'; `weight_decay` is always decoupled):

    * `params`: `model.named_parameters()`, or groups with such pairs under "params" and their own
      hyper-parameters; frozen tensors are left out;
    * `rule`: "sgd" (with a momentum "sgd-momentum", with nesterov "sgd-nesterov"), "adam",
      "adamw", "lion" or "rmsprop";
    * `grad_scale`: gradients are multiplied by 2^`grad_scale` before they are rounded to multiples
      of 2^-28, and saturate beyond +-4, with a warning `ClampedGradients`; "auto" chooses it at the
      first step from that step's gradients;
    * `schedule`: "recorded" lets a torch scheduler change lr and records each step's; "constant",
      "step:every=30,factor=0.1", "linear:steps=100,end=0" or "cosine:steps=100,end=0", each
      optionally with ",warm_up=10", are declared in the header, so that an auditor recomputes lr:
      `param_groups` then shows the lr of the next step, and a change of it is refused
      (`core.schedules` has the formulas);
    * `max_lr`: the largest lr that will be set, if no torch scheduler tells it; it determines SGD's
      number format;
    * `run`: the directory to create, or None to train without a record; `resume`: resume the run
      that is there. Where torch.distributed runs with several processes, all of them make the
      optimizer, with the same `run`, and rank 0 records (optim.distributed);
    * `prover`: "native" (the default), "ezkl", "none" (salted hashes, nothing proved), or a
      backend; `srs`: file or digest of EZKL's SRS (default: the cache's newest); `preset`:
      "standard" or "strict", what the native prover's soundness may assume (default: standard);
      `expected_steps` helps to choose a circuit, and to refuse early an lr that would leave its
      range;
    * `key`: the file of the log keys, or a signer or several (default: the file that `zk-key new`
      makes; if there is none, a new run makes it, and warns with NewLogKey);
    * `publish`: write the final weights into the run, with what opens their commitment;
    * `unproved`: the model, whose buffers and other parameters the header then lists as unproved,
      with the digests of their first values;
    * `data`, `model_code`: what the header says of the data, and the SHA-256 of the model's code;
    * `config`: a TOML text that says how the training was set up, for config.toml, without access
      tokens; a resumed run keeps its first;
    * `kernel`: what computes the steps, all of them to the same bits: "auto" (the default),
      "native" for the CPU, "triton" for a GPU, or "torch", which runs everywhere (kernels.choice);
      a resumed run may have another;
    * `sync_every`: each how many steps the run's journal is synced: 1 (the default) loses nothing
      that was taken; with K a killed process loses nothing either, and a power cut up to the last
      K - 1 steps, which are then taken again;
    * `workers`: who makes the proofs: "processes:N" (the default, with one: its native proofs use
      all cores), "inline" for this process, "dask:ADDRESS" or "ray:ADDRESS" with `worker_keys`, the
      public keys' files of those workers that may see what is private; a ready-made backend proves
      in this process;
    * `on_event`: called with the run's events, from several threads;
    * `register`: the folder of the register that the run is entered in before its first step
      (default: that of the key's file, which was begun with it; with signers, none), or False for
      none; `anchors`: who holds its checkpoints, as texts KIND:REST or anchors, beside its own
      file; `anchor_every`: how many records there are from one entry to the next. A resumed run
      needs its register again, and may have other anchors;
    * `start`: "beacon:KIND:REST", or an anchor that gives a beacon: the run is entered and
      anchored, and then the beacon gives the first weights (`core.first_weights`); call `start()`
      before the first forward pass. `order_by_beacon`: the header says that the data's order
      follows from it, too (`order_seed`);
    * `gradient`: an `ExactGradient` gives each step's gradient, an exact integer function of
      weights and data, in place of backward(): `step()` takes the next batch of its order and
      returns the loss, and an auditor with the data can recompute every step (docs/gradients.md).
      `params` are then all parameters of the graph's model. Nothing is clamped: a value that leaves
      its range is a UnitRangeError; `grad_scale="auto"` puts the first batch's largest element 16
      times below the bound. ExactLossDiffers warns if the float model has another loss on the first
      batch. To resume, give it again. One process trains; closures and GradScaler are refused.

    Raises UsageError, RunError, ProverError; at a step also GradientError or RangeError, after
    which nothing has changed.
    """

    INSTEAD = "make another optimizer, without run=, and load state_dict() into it"

    _sealed = False
    _unkept = False

    def __init__(
        self,
        params: object,
        rule: str | Rule = "adam",
        lr: Number | None = None,
        *,
        betas: tuple[Number, Number] | None = None,
        eps: Number | None = None,
        weight_decay: Number | None = None,
        momentum: Number | None = None,
        nesterov: bool | None = None,
        alpha: Number | None = None,
        max_lr: Number | None = None,
        grad_scale: int | Literal["auto"] = 0,
        schedule: str = "recorded",
        run: str | Path | None = None,
        resume: bool = False,
        prover: str | Backend = DEFAULT_BACKEND,
        srs: str | Path | None = None,
        preset: str | None = None,
        expected_steps: int | None = None,
        key: recording.Key = None,
        publish: bool = False,
        unproved: torch.nn.Module | None = None,
        data: Data = NO_DATA,
        model_code: bytes = b"",
        config: str | None = None,
        kernel: str = AUTO,
        sync_every: int = 1,
        workers: str = DEFAULT_WORKERS,
        worker_keys: Sequence[str | Path] = (),
        on_event: Listener = ignore,
        register: str | Path | Literal[False] | None = None,
        anchors: Sequence[str | Anchor] = (),
        anchor_every: int = EVERY,
        start: str | BeaconAnchor = "",
        order_by_beacon: bool = False,
        gradient: ExactGradient | None = None,
        **torch_options: object,
    ) -> None:
        check_names(torch_options)
        run = None if run is None else recording.place_called(run)
        common = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "alpha": alpha,
        }
        groups, frozen = collect(params)
        given = [
            {**common, **torch_options, **{n: v for n, v in group.options.items() if v is not None}} for group in groups
        ]
        chosen = choose_rule(rule, given)
        options = tuple(read_options(chosen, o, place(i)) for i, o in enumerate(given))
        super().__init__(
            [
                {**group.options, **o.for_torch(), "params": list(group.tensors)}
                for group, o in zip(groups, options, strict=True)
            ],
            options[0].for_torch(),
        )
        self._sealed = True
        self._note = Claims()
        self._publish = publish
        manifest = Manifest.of(groups)
        said: Exact | None = None
        if gradient is not None:
            _require_exact(gradient)
            if data != NO_DATA:
                raise UsageError(
                    "data= says what autograd's gradients are of: leave it out beside gradient=, which says it itself"
                )
            data, said = gradient.described()
            self._step_supports_amp_scaling = True  # GradScaler then asks step(), which refuses it
        parts = HeaderParts(
            rule=chosen,
            parameters=manifest.parameters,
            schedule=canonical(schedule),
            unproved=unproved_tensors(unproved, manifest.tensors, frozen),
            data=data,
            model_code=model_code,
            prover=HashedBackend(manifest.size).prover,
            keys=(),
            expected_steps=expected_steps,
            exact=said,
        )
        ranks = distributed.ranks()
        with ranks.together():
            if gradient is not None and ranks is not distributed.ALONE:
                raise UsageError(
                    "torch.distributed runs with several processes, and exact gradients are computed by one alone: take gradient= in one process, "
                    "or train on float gradients, for L1"
                )
            self._trajectory = Trajectory(
                manifest,
                options,
                self.param_groups,
                parts,
                frozen=frozen,
                grad_scale=checked_scale(grad_scale),
                announced_lr=None if max_lr is None else exact(max_lr, "max_lr"),
                unproved=UnprovedValues(unproved, frozen, parts.unproved, max(BUDGET, 4 * manifest.size)),
                kernel=kernel_called(kernel, manifest.device),
                ranks=ranks,
                exact=gradient,
            )
            proving = Proving(workers, tuple(map(Path, worker_keys))) if isinstance(prover, str) else Proving()
            if isinstance(prover, str):
                proving.require_fit(prover)
            registering = Registering(register, tuple(anchors), anchor_every)
            artefacts = Artefacts(on_event, config=None if config is None else checked_config(config))
            source = beacon_of(start) if isinstance(start, str) else start
            order = BEACON if order_by_beacon else TRAINER
            if order_by_beacon and source is None and not resume:
                raise UsageError("order_by_beacon=True goes with start=, which gives the beacon")
            if source is not None and (resume or run is None):
                raise UsageError("start= is for a new run: a resumed one has its first weights")
            if resume:
                if run is None:
                    raise UsageError("resume=True needs run=, the directory of the run to resume")
                asked = [
                    o.values["lr"] if g.get("lr") is not None else None for g, o in zip(given, options, strict=True)
                ]
                self._trajectory.resume(Path(run), prover, srs, key, artefacts, asked, registering, sync_every, proving)
                self._trajectory.restore_groups(self.param_groups)
            elif run is not None and not ranks.records:
                self._trajectory.follow(run, by_beacon=source is not None)
            elif run is not None:
                recording.check_place(Path(run))
                decays = decays_of(options)
                require_provable(prover, chosen, decays)
                new_key = recording.key_to_make(key)
                signers = recording.signers_of(key) if new_key is None else []
                registration = (
                    None if new_key else registration_of(registering, signers, from_file=recording.is_file(key))
                )
                if source is not None and new_key is None and registration is None:
                    raise UsageError(NO_REGISTER)
                sizes = [manifest.group_size(i) for i in range(len(groups))]
                backend = backend_for_new_run(
                    prover, chosen, sizes, srs, expected_steps, Layout(Path(run)).private, preset, decays=bool(decays)
                )
                self._trajectory.record(
                    recording.NewRun(
                        Path(run),
                        backend,
                        signers,
                        artefacts,
                        new_key,
                        registration,
                        registering,
                        source,
                        order,
                        sync_every=sync_every,
                        proving=proving,
                    )
                )
            self._trajectory.agree()
            self._show_lr()

    @property
    def steps(self) -> int:
        """How many steps were taken, those before a resumption included."""
        return self._trajectory.steps

    @property
    def integers(self) -> State:
        """Copies of the integer state, int64 (elements,) each, in the order of the manifest."""
        return {name: values.copy() for name, values in self._trajectory.state.items()}

    @property
    def header(self) -> Header | None:
        """The run's header, from the first step on; without `run`, what it would be."""
        return self._trajectory.header

    @property
    def head(self) -> Checkpoint | None:
        """The newest tree head of the run's log: after `close`, what to give to an auditor. None if
        nothing is recorded."""
        return self._trajectory.head

    @property
    def beacon(self) -> bytes:
        """The 32 bytes that gave the run's first weights; b"" if its trainer chose them, or it
        hasn't begun."""
        return self._trajectory.beacon

    @property
    def order_seed(self) -> int | None:
        """The seed of the data's order that the beacon gives; None if the header leaves it to the
        trainer."""
        header = self.header
        if header is None or header.order_by != BEACON or not self.beacon:
            return None
        return order_seed(self._trajectory.header_digest, self.beacon)

    def begin_with(self, weights: IntArray) -> None:
        """Begins a training that isn't recorded with these integer weights, int64 (elements,).
        UsageError once there was a step, or with `run`; RangeError."""
        if self.header is not None or self._trajectory.is_recorded:
            raise UsageError("a run, or a training that has begun, has its first weights")
        self._trajectory.begin_with(weights)

    @property
    def view(self) -> View | None:
        """The run's newest entry in its trainer's register, and the register's checkpoint over it;
        None if it is in none."""
        return self._trajectory.view

    @property
    def anchors(self) -> list[AnchorState]:
        """How the run's anchors stand: after `close`, what is missing."""
        return self._trajectory.anchors

    @property
    def loop_state(self) -> bytes:
        """What `note` gave with the last step; in a resumed run, with the last one recorded."""
        return self._trajectory.loop_state

    @property
    def saturated(self) -> int:
        """How many gradient elements were too large and saturated, in this process."""
        return self._trajectory.saturated

    def effective(self) -> list[dict[str, str]]:
        """The betas and eps, or the momentum, that each group's integers stand for, as decimals.
        Empty before the first step."""
        header = self.header
        groups = () if header is None else [header.sequence(i) for i in range(len(header.groups))]
        return [{name: decimal_text(value) for name, value in s.effective().items()} for s in groups]

    def note(
        self,
        *,
        loss: object = None,
        batch: bytes | Sequence[int] | np.ndarray | torch.Tensor | None = None,
        loop_state: bytes | None = None,
    ) -> None:
        """Records something about the next step: its loss (a number), the rows its gradient was
        computed from (their indices, or bytes that name them), and what the loop needs to resume
        after it. Raises UsageError for what can't be recorded."""
        self._keep()
        if loss is not None:
            self._note = replace(self._note, loss=loss_text(loss))
        if batch is not None:
            self._note = replace(self._note, batch=batch_digest(batch))
        if loop_state is not None:
            self._note = replace(self._note, loop_state=loop_state)

    def start(self) -> None:
        """Fixes the hyper-parameters and, from the present gradients, an automatic grad_scale;
        creates the run directory.

        The first `step` does this; to have the directory earlier, call it after the first
        backward(). Raises as `step`.
        """
        with self._trajectory.ranks.together():
            self._trajectory.start(self.param_groups)
            self._trajectory.ranks.agree(distributed.BEGUN)

    @overload
    def step(self, closure: None = None) -> Any: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One exact step from the parameters' gradients, recorded before it returns. `closure`
        computes them and returns the loss. With `gradient`, from those of the next batch, whose
        loss it returns, a float, and records unless `note` gave one.

        Raises GradientError for a gradient that is missing, sparse, not float32 or not finite,
        RangeError for a result that leaves its range, UsageError for a hyper-parameter or a tensor
        that was changed, and for one that was given frozen and has a gradient: then nothing has
        changed, and nothing was recorded. RunError in a forked child, RunError and ProverError if
        the run can't be written, or an earlier step can't be proved.
        """
        with self._trajectory.ranks.together():
            self._keep()
            self._trajectory.require_ours()
            if self._trajectory.is_exact:
                self._require_plain(closure)
            loss = None
            if closure is not None:
                with torch.enable_grad():
                    loss = closure()
            note, self._note = self._note, Claims()
            if loss is not None and not note.loss:
                note = replace(note, loss=loss_text(loss))
            self._trajectory.advance(self.param_groups, note)
        self._show_lr()
        return self._trajectory.loss if loss is None else loss

    def _require_plain(self, closure: object) -> None:
        """UsageError for a step from exact gradients that others would have a part in."""
        if any(name in vars(self) for name in _SCALERS):
            for name in _SCALERS:
                vars(self).pop(name, None)
            raise UsageError(
                "GradScaler scales autograd's gradients, and exact ones are integers: call optimizer.step(), without a scaler"
            )
        if closure is not None:
            raise UsageError(
                "step(closure) is for autograd's gradients, which a closure computes: with gradient= call step() alone, which computes them, and "
                "returns the loss"
            )

    def state_dict(self) -> dict[str, Any]:
        """As torch's, with integers under "state" and one more entry: `load_state_dict` continues
        from it bit for bit.

        Raises UsageError if the groups or their tensors were changed."""
        self._keep()
        self._trajectory.require_groups(self.param_groups)
        now = self._trajectory.saved_state()
        self.state.update(saved_state.tensors_of(now.state, self._trajectory.manifest))
        try:
            state_dict: dict[str, Any] = super().state_dict()
        finally:
            self.state.clear()
        return {**state_dict, saved_state.KEY: saved_state.described(now, self._trajectory.manifest)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes over the integers, the count of steps, the schedule and the hyper-parameters, and
        writes the weights to the model.

        Raises UsageError for the state of other parameters, another rule or another class. Where
        steps are recorded, it takes only the run's own state at this very step, and sets
        `param_groups` from it: a run begins with zero moments, so it can't begin in the middle of
        another. Resume that one with resume=True instead. Weights are not written then: UsageError
        if the model's have changed.
        """
        trajectory = self._trajectory
        loaded = saved_state.restored(state_dict, trajectory.saved_state().rule, trajectory.manifest)
        saved_groups = saved_state.groups_in(state_dict, len(loaded.groups))
        require_count(loaded.groups, self.param_groups)
        trajectory.restore(loaded)
        for group, saved in zip(self.param_groups, saved_groups, strict=True):
            group.update({name: value for name, value in saved.items() if name not in TENSORS})

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clears the gradients, or fills them with zeros in place."""
        self._keep()
        # Not the base class's, which loads torch's compiler, for seconds and to no purpose.
        frozen = [tensor for _, tensor in self._trajectory.frozen]  # torch's param_groups would have them, too
        for tensor in (*self._trajectory.manifest.tensors, *frozen):
            if set_to_none or tensor.grad is None:
                tensor.grad = None
            else:
                tensor.grad = tensor.grad.detach().zero_()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Raises UsageError: the header names all parameters before the first step."""
        if self._sealed:
            raise UsageError("parameter groups are fixed when ZKOptimizer is made: pass all of them then")
        # Not the base class's, as in zero_grad; what it would check was checked.
        names, tensors = zip(*param_group["params"], strict=True)
        group = {**param_group, "params": list(tensors), "param_names": list(names)}
        self.param_groups.append(WatchedGroup(group, self._group_written))

    def _group_written(self, group: Mapping[str, Any]) -> None:
        # A scheduler writes to one group after the other: with many of them, keeping every change
        # would take longer than a step. Nor is half of what it writes kept where it isn't known
        # what is due: after a kill between two groups it would be taken for the whole.
        self._unkept = True
        at_once = len(self.param_groups) <= _KEPT_AT_ONCE and not self._trajectory.is_open
        if at_once or group is self.param_groups[-1]:
            self._keep()

    def _keep(self) -> None:
        # What is written to a plain dictionary that was put in a group's place goes unnoticed.
        written = self._unkept
        if written or not all(isinstance(group, WatchedGroup) for group in self.param_groups):
            self._unkept = False
            self._trajectory.keep(self.param_groups, written=written)

    def _show_lr(self) -> None:
        for group, lr in zip(self.param_groups, self._trajectory.next_lr or (), strict=False):
            group["lr"] = lr

    def close(self, artefacts: Mapping[str, bytes] | None = None) -> None:
        """Proves what is left, publishes the weights if asked for, and closes the run; the record
        lists `artefacts`, SHA-256 by name, beside the run's own files. UsageError for a name of
        those.

        Does nothing the second time, or if no step was taken. If it fails, or is interrupted, the
        run can be resumed.
        """
        require_own_names(artefacts or {})
        self._trajectory.keep(self.param_groups)
        self._trajectory.close(artefacts or {}, publish=self._publish)

    def abandon(self) -> None:
        """Stops recording and proving at once. Every step that was taken is safe, and resume=True
        continues after it."""
        self._trajectory.abandon(self.param_groups)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        elif not self._trajectory.is_anothers:  # a forked child passes on what it failed with
            quiet = issubclass(kind, SystemExit | GeneratorExit)  # no traceback will tell that the block was left early
            self._trajectory.abandon(self.param_groups, tell=kind.__name__ if quiet else "")
