"""The integer state of a training from step to step, and the model that mirrors it."""

import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from zk_autograd.core.decimals import decimal_text
from zk_autograd.core.errors import GradientError, RangeError, RunError, UsageError
from zk_autograd.core.first_weights import order_of
from zk_autograd.core.formats import IntArray, dequantize_weight
from zk_autograd.core.note import Checkpoint
from zk_autograd.core.records import BEACON, Header
from zk_autograd.core.register import View
from zk_autograd.core.rules import State, initial_state
from zk_autograd.core.schedules import parse
from zk_autograd.kernels.protocol import Kernel, WeightsChangedError
from zk_autograd.kernels.reference import REFERENCE
from zk_autograd.local.interrupts import held
from zk_autograd.optim import distributed, gradients, recording, resuming
from zk_autograd.optim.claims import loss_text
from zk_autograd.optim.exact.gradient import ExactGradient
from zk_autograd.optim.exact.steps import ExactSteps
from zk_autograd.optim.floats import Floats
from zk_autograd.optim.following import Follower, handed
from zk_autograd.optim.header import HeaderParts, require_format, shifts_of
from zk_autograd.optim.options import Exact, GroupOptions, place
from zk_autograd.optim.param_groups import encoded
from zk_autograd.optim.parameters import Manifest
from zk_autograd.optim.registering import DEFAULT, Registering, register_of
from zk_autograd.optim.saved_state import SavedState, deviation
from zk_autograd.optim.schedule import largest_lr, rates, require_count, scheduled_lr, settled
from zk_autograd.optim.unproved import UnprovedValues
from zk_autograd.prove.protocol import Backend
from zk_autograd.run.anchoring import AnchorState
from zk_autograd.run.artefacts import Artefacts
from zk_autograd.run.claims import Claims
from zk_autograd.run.ownership import Owned, Unique
from zk_autograd.workers.choice import Proving

ParamGroups = Sequence[Mapping[str, object]]
"""torch's `param_groups`, whose lr a scheduler changes."""


class CoarseEps(UserWarning):
    """The formats make eps at least ten times what was asked for; a larger grad_scale helps."""


class CoarseLr(UserWarning):
    """The formats leave SGD's lr fewer than 8 bits; a smaller grad_scale helps."""


class ClampedGradients(UserWarning):
    """Gradient elements are beyond what grad_scale can hold and are clamped, so the step isn't
    torch's; a smaller grad_scale helps.

    Issued for the first step that clamps one element in `CLAMPED_SHARE` or more, and for the tenth,
    hundredth, thousandth ... that clamps any.
    """


CLAMPED_SHARE = 1000


class Trajectory(Owned, Unique):
    """Where the model stands: after `steps` steps, in `state` (int64 vectors of all elements, in
    the manifest's order), which `kernel` takes from one to the next.

    Before the first step hyper-parameters may still change; `start` fixes them, and chooses a
    `grad_scale` of None.
    """

    def __init__(
        self,
        manifest: Manifest,
        groups: tuple[GroupOptions, ...],
        param_groups: ParamGroups,
        parts: HeaderParts,
        *,
        frozen: Sequence[tuple[str, torch.Tensor]] = (),
        grad_scale: int | None,
        announced_lr: Exact | None,
        unproved: UnprovedValues,
        kernel: Kernel = REFERENCE,
        ranks: distributed.Ranks = distributed.ALONE,
        exact: ExactGradient | None = None,
    ) -> None:
        """Rounds the model's weights. `frozen` tensors were given with the others, but are not
        trained; `ranks` are the processes that train the same model with this one.
        `exact` gives the gradients in place of the tensors'.

        UsageError or RangeError for weights or hyper-parameters that no step can begin with.
        """
        super().__init__()
        self.manifest = manifest
        self.frozen = tuple(frozen)
        # Gradients left over from an earlier training: they are not this one's.
        self._old = {name: (t.grad, t.grad._version) for name, t in frozen if t.grad is not None}
        self._kernel = kernel
        self.ranks = ranks
        self._by_beacon = False
        self._first: State = initial_state(parts.rule, manifest.weights())
        self.steps = 0
        self.saturated = 0
        self._clamping_steps = 0
        self._told_of_clamping = False
        self._clamping = (0, 0)  # the last step that clamped, and how many elements
        self._groups = groups
        self._parts = parts
        self._schedule = parse(parts.schedule)
        self._grad_scale = grad_scale
        self._announced_lr = announced_lr
        self._keeper: recording.Keeper | None = None
        self._writer: recording.Recorder | None = None
        self._follows = False
        self._new_run: recording.NewRun | None = None
        self._run: Path | None = None
        self._closed = False
        self._unproved = unproved
        self._exact = None if exact is None else ExactSteps(exact, manifest, kernel)
        self.loss: float | None = None
        self._resumed: resuming.Resumed | None = None
        self._kept = _Kept()
        self._header(
            param_groups, (0 if exact is None else exact.nearest_scale(0)) if grad_scale is None else grad_scale
        )
        manifest.write(self._first["W"])
        pairs = list(zip(manifest.parameters, manifest.tensors, strict=True))
        self._tensor_ids = [[id(t) for p, t in pairs if p.group == index] for index in range(len(groups))]

    def record(self, new_run: recording.NewRun) -> None:
        """From the first step on, steps go to a new run directory."""
        self._new_run, self._run = new_run, new_run.path
        keys = tuple(s.public_key.encode() for s in new_run.signers)
        register = register_of(new_run.signers, new_run.registration)
        if self._exact is not None:
            by_beacon = new_run.order_by == BEACON
            data, exact, files = self._exact.gradient.committed(new_run.backend, by_beacon=by_beacon)
            self._parts = replace(self._parts, data=data, exact=exact)
            new_run = replace(new_run, exact=files)
        self._parts = replace(self._parts, prover=new_run.backend.prover, keys=keys, register=register)
        self._new_run = replace(new_run, kernel=self._kernel)
        self._by_beacon = new_run.beacon is not None

    def follow(self, path: Path, *, by_beacon: bool) -> None:
        """From the first step on, rank 0 records steps to a new run directory, and this process
        takes the same ones. `by_beacon`: rank 0 will have a beacon give the first weights."""
        self._run, self._follows, self._by_beacon = path, True, by_beacon

    def agree(self) -> None:
        """Has all ranks agree, once their optimizers are made; those of a training that isn't
        recorded then go each their own way. UsageError, RunError."""
        if self.ranks is distributed.ALONE:
            return
        said = (
            self.is_recorded,
            self._parts.rule.value,
            self._parts.schedule,
            self._grad_scale,
            self.steps,
            self._by_beacon,
        )
        options = [sorted(group.texts()) for group in self._groups]
        tensors = [(p.name, p.shape, p.group) for p in self.manifest.parameters]
        self.ranks.agree(distributed.MADE, repr((said, options, tensors)).encode(), *self.state.values())
        if not self.is_recorded:
            self.ranks = distributed.ALONE

    def resume(
        self,
        path: Path,
        prover: str | Backend,
        srs: str | Path | None,
        key: recording.Key,
        artefacts: Artefacts,
        asked: Sequence[Exact | None] = (),
        registering: Registering = DEFAULT,
        sync_every: int = 1,
        proving: Proving = recording.INLINE,
    ) -> None:
        """Resumes the run at `path`. UsageError if it is of another model or of other
        hyper-parameters. Warns of what can't be restored, and of a group's lr that the caller
        `asked` for but doesn't get."""
        writer = None
        if self.ranks.records:
            writer = recording.resume(path, prover, srs, key, artefacts, registering, self._kernel, sync_every, proving)
        try:
            keeper = self._handed_on(writer)
            difference = self._parts.difference(keeper.header, self._groups, self._grad_scale)
            if difference is not None:
                raise UsageError(
                    f"{path} is not a run of this optimizer: {difference}; make the optimizer as it was made for the run"
                )
            if self._exact is not None:
                assert writer is not None  # such a run has one rank
                self._exact.require_run(path, keeper.header, writer.header_digest)
            elif keeper.header.exact is not None:
                raise UsageError(
                    f"the gradients of {path} are exact: give the optimizer gradient=ExactGradient(...) of the same graph and data again"
                )
            fixed = [{*g.for_torch()} - ({"lr"} if self._schedule is None else set()) for g in self._groups]
            self._resumed = resuming.resumed(keeper, self._parts.unproved, fixed, recorded=self._schedule is None)
            self._groups = resuming.groups_of(keeper.header)
            resuming.warn_of_asked(asked, self._groups, self._resumed)
            self.manifest.write(keeper.state["W"])
        except BaseException:  # a warning may be turned into one
            if writer is not None:
                writer.abandon()
            raise
        self._writer, self._keeper, self._run, self._follows = writer, keeper, path, writer is None
        self._take_order()
        self.steps = keeper.step

    def _handed_on(self, writer: recording.Recorder | None) -> recording.Recorder | Follower:
        """What keeps this rank's state: rank 0's `writer`, or what that rank hands on of it."""
        if self.ranks is not distributed.ALONE:
            parts = self.ranks.from_first(None if writer is None else handed(writer))
            if writer is None:
                return Follower(parts, self._kernel)
        assert writer is not None
        return writer

    @property
    def state(self) -> State:
        """The integers now, int64 (elements,) each: copies."""
        if self._keeper is not None:
            return self._keeper.state
        return {name: values.copy() for name, values in self._first.items()}

    @property
    def header(self) -> Header | None:
        """The run's header, once started; of a run that isn't recorded, what it would be."""
        return None if self._keeper is None else self._keeper.header

    @property
    def head(self) -> Checkpoint | None:
        """The newest tree head of the run's log; None if no log has been begun."""
        return None if self._writer is None else self._writer.head

    @property
    def view(self) -> View | None:
        """The run's newest entry in its trainer's register; None if it is in none."""
        return None if self._writer is None else self._writer.view

    @property
    def anchors(self) -> list[AnchorState]:
        """How the run's anchors stand."""
        return [] if self._writer is None else self._writer.anchors

    @property
    def loop_state(self) -> bytes:
        """What the loop gave with the last step; in a resumed run, with the last one recorded."""
        return b"" if self._keeper is None else self._keeper.loop_state

    @property
    def next_lr(self) -> list[float] | None:
        """Each group's lr of the next step, for `param_groups`; None if the schedule is recorded,
        so that it is set there."""
        return None if self._schedule is None else scheduled_lr(self._groups, self._schedule, self.steps + 1)

    def restore_groups(self, param_groups: Sequence[dict[str, object]]) -> None:
        """Puts into each entry of `param_groups` what it held when the run was left, as far as that
        was kept; does nothing for a new run."""
        if self._resumed is not None:
            for group, kept in zip(param_groups, self._resumed.groups, strict=False):
                dict.update(group, kept)  # not a change to be kept
            self._kept = _Kept(self._resumed.of_step, encoded(param_groups, self._left_out))

    def require_ours(self) -> None:
        """Raises UsageError if the run is closed; RunError in a forked child."""
        if self._closed:
            raise UsageError("the run is closed: make another optimizer for further steps")
        self._require_own_run()

    def _require_weights(self) -> None:
        """UsageError if a weight isn't what the last step made it."""
        if changed := self.manifest.changed(dequantize_weight(self.state["W"])):
            raise _foreign(changed)

    def require_groups(self, param_groups: ParamGroups) -> None:
        """UsageError unless `param_groups` has the groups and tensors that it was made with."""
        require_count(self._groups, param_groups)
        for index, (group, wanted) in enumerate(zip(param_groups, self._tensor_ids, strict=True)):
            found = group.get("params") if _is_group(group) else None
            if not isinstance(found, list | tuple) or [id(tensor) for tensor in found] != wanted:
                raise UsageError(
                    f'"params" of {place(index)} was changed after the optimizer was made, but a run trains the same tensors from its first '
                    "step to its last: put back what was there, or make another optimizer with the tensors that you want"
                )

    def _require_given(self, param_groups: ParamGroups) -> None:
        """UsageError as `require_groups`, and if a tensor given frozen is now trained."""
        self.require_groups(param_groups)
        for name, tensor in self.frozen:
            if self._has_gradient(name, tensor):
                again = "freeze it again (requires_grad_(False)) before backward() and " if tensor.requires_grad else ""
                raise UsageError(
                    f"{name} was frozen when the optimizer was made, so no step trains it, but it has a new gradient: {again}clear its gradient "
                    "(zero_grad()), or unfreeze it before making the optimizer; a run trains the same tensors from first to last"
                )

    def _has_gradient(self, name: str, tensor: torch.Tensor) -> bool:
        """Whether a tensor given frozen has a gradient that torch's step would have used."""
        gradient, (old, version) = tensor.grad, self._old.get(name, (None, 0))
        if gradient is not old:
            self._old.pop(name, None)  # it may be as large as the tensor
        if gradient is None or tensor.requires_grad:
            return gradient is not None
        return (gradient is not old or gradient._version != version) and _moves(gradient)

    def start(self, param_groups: ParamGroups) -> recording.Keeper:
        """Fixes the hyper-parameters and the gradients' scale, and makes the run directory; only
        the first call does."""
        if self._keeper is not None:
            return self._keeper
        self.require_ours()
        self._require_weights()
        self._require_given(param_groups)
        self._groups = settled(self._groups, param_groups, self._schedule)
        if self._grad_scale is None and self._by_beacon:
            raise UsageError(
                "the header says grad_scale before a beacon gives the first weights, and so before there are gradients: give a number for it"
            )
        scale = self._suitable_scale() if self._grad_scale is None else self._grad_scale
        header = self._header(param_groups, scale)
        exact_first = None
        if self._exact is not None and not self._by_beacon:
            exact_first = self._exact.at(self._first["W"], 1, scale, _callers_level)
        keeper: recording.Keeper = (memory := recording.InMemory(header, self.state, self.steps, self._kernel))
        if self._run is not None:
            first = None
            # A first step that is out of range leaves no directory behind.
            if exact_first is not None:
                lr = rates(self._groups, param_groups, self._schedule, 1)
                memory.append(exact_first.G, lr=lr)
            elif self._exact is None and gradients.present(self.manifest) and not self._by_beacon:
                first = Floats.of(self.manifest, self._kernel, scale)
                lr = rates(self._groups, param_groups, self._schedule, 1)
                # Nor does one that a warning refuses.
                memory.append(first.model, lr=lr, accept=lambda count: self._tell_of_clamping(count, scale))
                G = memory.gradients
                memory.undo(first.model)
            if self.ranks is not distributed.ALONE:
                texts = repr((scale, [group.texts() for group in self._groups])).encode()
                self.ranks.agree(distributed.BEGINS, texts, b"" if first is None else G)
            if self._new_run is not None:
                self._writer = self._new_run.begin(header, self.state["W"])
            keeper = self._handed_on(self._writer)
        self._keeper = keeper
        self._take_order()
        if self._by_beacon:
            self.begin_with(keeper.state["W"])
        _warn(header)
        return keeper

    def _suitable_scale(self) -> int:
        if self._exact is not None:
            return self._exact.gradient.suitable_scale(self._first["W"])
        return gradients.suitable_scale(self.manifest)

    def _take_order(self) -> None:
        """The order of the data that the run's header, or its beacon, gives."""
        if self._exact is not None and self._keeper is not None:
            order = order_of(self._keeper.header, self.header_digest, self.beacon)
            assert order is not None
            self._exact.gradient.take_order(order)

    def begin_with(self, weights: IntArray) -> None:
        """Begins with these integer weights, int64 (elements,), and writes them to the model.
        RangeError."""
        self._first = initial_state(self._parts.rule, weights)
        self.manifest.write(self._first["W"])
        if self._exact is not None:
            self._exact.forget()

    @property
    def beacon(self) -> bytes:
        """What gave the run's first weights; b"" if the trainer chose them."""
        return self._of_run.beacon if self._of_run is not None else b""

    @property
    def header_digest(self) -> bytes:
        """The digest of the run's header; b"" before there is one."""
        return self._of_run.header_digest if self._of_run is not None else b""

    @property
    def _of_run(self) -> recording.Recorder | Follower | None:
        """What knows the run, whoever records it."""
        return self._keeper if isinstance(self._keeper, recording.Recorder | Follower) else None

    def advance(self, param_groups: ParamGroups, claims: Claims) -> None:
        """One step from the model's gradients; writes its weights. Raises as `ZKOptimizer.step`."""
        if self._exact is not None:
            self._exact.require_none_of_autograd()
        elif self._keeper is None and not gradients.present(self.manifest):
            list(gradients.present_ones(self.manifest))  # raises, before there is a run without a step
        if self._exact is None and self._keeper is None and self._by_beacon:
            raise UsageError(
                "a beacon gives the first weights, so these gradients are of others: call start() before the first forward pass"
            )
        keeper = self.start(param_groups)
        self.require_ours()
        self._require_given(param_groups)
        lr = rates(self._groups, param_groups, self._schedule, self.steps + 1)
        require_format(keeper.header, self.steps + 1, lr)
        if self._resumed is not None:
            self._resumed.warn(lr, self.steps + 1, stacklevel=5)
        if keeper.step != self.steps:  # an interrupt of the last one, while it waited for provers
            if self._writer is not None:
                self._writer.require_open()
            raise RunError(
                f"the last step was recorded as step {keeper.step}, but was interrupted before this optimizer had counted it: abandon the run, "
                "and resume it"
            )
        with held():  # from the first change to the last, so that an interrupt leaves a whole step or none
            if self._exact is not None:
                self._take_exact(self._exact, keeper, param_groups, claims, lr)
            else:
                self._take(keeper, param_groups, claims, lr)

    def _take_exact(
        self,
        exact: ExactSteps,
        keeper: recording.Keeper,
        param_groups: ParamGroups,
        claims: Claims,
        lr: tuple[str, ...],
    ) -> None:
        kept, settings = self._settings(param_groups)
        if changed := exact.changed(keeper):
            raise _foreign(changed)
        G, loss = exact.at(keeper.weights, self.steps + 1, keeper.header.grad_scale, _callers_level)
        keeper.append(G, replace(claims, loss=claims.loss or loss_text(loss)), lr=lr, settings=settings)
        exact.write(keeper)
        self._kept, self._resumed, self.loss = kept, None, loss
        self.steps += 1

    def _take(self, keeper: recording.Keeper, param_groups: ParamGroups, claims: Claims, lr: tuple[str, ...]) -> None:
        kept, settings = self._settings(param_groups)
        scale = keeper.header.grad_scale

        def accept(count: int) -> None:
            self._tell_of_clamping(count, scale)
            if self.ranks is not distributed.ALONE:
                self.ranks.agree(distributed.STEP, repr((self.steps, lr)).encode(), keeper.gradients)

        try:
            floats = Floats.of(self.manifest, self._kernel, scale)
            saturated = keeper.append(
                floats.model,
                claims,
                lr=lr,
                settings=settings,
                accept=accept,
            )
        except WeightsChangedError as error:
            raise _foreign(self.manifest.parameters[error.index].name) from None
        except GradientError:
            self._require_weights()  # whoever changed them is told that first
            raise
        except RangeError:  # of which clamping may be the reason
            self._tell_of_clamping(gradients.clamped(self.manifest, scale), scale)
            raise
        floats.written()
        before = self._kept, self._resumed, self.steps, self.saturated
        self._kept, self._resumed = kept, None
        self.steps += 1
        self.saturated += saturated
        try:
            self.ranks.agree(distributed.RECORDED)
        except RunError:
            if isinstance(keeper, Follower):  # of a step that rank 0 couldn't record
                keeper.undo(floats.model)
                floats.written()
                self._kept, self._resumed, self.steps, self.saturated = before
            raise

    def _tell_of_clamping(self, count: int, scale: int) -> None:
        """Warns if it is due, before anything is done: a warning turned into an error refuses the
        step. Once for the same step, which `start` looks at first."""
        if count == 0 or self._clamping == (self.steps, count):
            return
        steps = self._clamping_steps + 1
        severe = count * CLAMPED_SHARE >= self.manifest.size and not self._told_of_clamping
        if severe or _is_power_of_ten(steps):
            roomy = gradients.roomy_scale(self.manifest)
            advice = (
                "scale the loss or the targets down"
                if roomy is None
                else f"grad_scale={roomy} from the first step on holds those of this step"
                + ("" if self._grad_scale is None else ', grad_scale="auto" chooses one from the first gradients')
                + "; or scale the loss or the targets down"
            )
            text = (
                f"step {self.steps + 1}: {count} of {self.manifest.size} elements of the gradients are beyond +-{gradients.limit(scale):.4g}, "
                f"all that grad_scale={scale} can hold, and are clamped, so the step differs from torch's: {advice}"
            )
            warnings.warn(text, ClampedGradients, stacklevel=_callers_level())
            self._told_of_clamping = True
        self._clamping_steps, self._clamping = steps, (self.steps, count)

    def saved_state(self) -> SavedState:
        """What `restore` continues from."""
        header = self.header
        scale, shifts = (None, None) if header is None else (header.grad_scale, tuple(g.s for g in header.groups))
        return SavedState(self._parts.rule, self._parts.schedule, self.steps, self._groups, self.state, scale, shifts)

    def restore(self, loaded: SavedState) -> None:
        """Continues from a state over the same manifest, and writes its weights to the model.

        Where the steps are recorded nothing is written: UsageError if it isn't, to the last bit,
        the state that the run is in, or if the model now holds other weights.
        """
        if self._run is not None:
            if (found := deviation(loaded, self.saved_state())) is not None:
                raise UsageError(
                    f"this state_dict is not from the step that the run is at ({found}): an optimizer with run= proves its steps from the first "
                    "one on, and can't begin in the middle of another's; load the state into one without run=, or resume the run it is from with resume=True"
                )
            self._require_weights()  # whoever loaded others wants those, and they would be lost silently
            return
        self._parts = replace(self._parts, schedule=loaded.schedule)
        self._schedule = parse(loaded.schedule)
        keeper = None
        if loaded.grad_scale is not None and loaded.shifts is not None:
            header = self._parts.complete(loaded.groups, loaded.shifts, loaded.grad_scale)
            keeper = recording.InMemory(header, loaded.state, loaded.step, self._kernel)
        self.manifest.write(loaded.state["W"])
        self._groups, self._first, self.steps, self._keeper = loaded.groups, loaded.state, loaded.step, keeper
        if self._exact is not None:
            self._exact.forget()

    def keep(self, param_groups: ParamGroups, *, written: bool = False, durable: bool = False) -> None:
        """Keeps what `param_groups` holds now, where that is news, for a resumption. `durable`: so
        that it survives a power cut, too. `written`: somebody wrote there since the last step, even
        if only what was there: where the step left open what is due, that is news.

        Never raises for a file that can't be written: a write to `param_groups` must not fail.
        `durable` warns of it.
        """
        if self._writer is None or self._closed or len(param_groups) != len(self._groups):
            return  # another number of groups isn't this optimizer's, and is refused by the next step
        if not all(_is_group(group) for group in param_groups):
            return  # likewise
        groups = encoded(param_groups, self._left_out)
        news = groups != self._kept.groups or (written and self._kept.open)
        if news or (durable and not self._kept.durable):
            settings = resuming.Settings(groups, moved=False, unproved=b"")
            try:
                self._writer.keep_settings(settings.encode(), durable=durable)
            except RunError as error:
                if durable:
                    text = f"what param_groups holds after step {self.steps} can't be kept for a resumption: {error}"
                    warnings.warn(text, resuming.ResumedLr, stacklevel=4)
            else:
                self._kept = replace(self._kept, groups=groups, durable=durable, open=False)

    def close(self, artefacts: Mapping[str, bytes], *, publish: bool) -> None:
        """Proves what is left and closes the run, if there is one and it is open."""
        if not self._closed:
            self._require_own_run()
            self._closed = True
            if self._writer is not None:
                self._writer.finish(artefacts, publish=publish)

    def abandon(self, param_groups: ParamGroups, *, tell: str = "") -> None:
        """Stops recording and proving at once; the run can be resumed. `tell` names an exception
        that nothing else reports: a line on standard error then says how the run was left."""
        if not self._closed:
            self._require_own_run()
            try:
                self.keep(param_groups, durable=True)
            finally:
                self._closed = True
                if self._writer is not None:
                    self._writer.abandon()
                    if tell:
                        self._writer.tell(f"was left by {tell}")

    @property
    def is_open(self) -> bool:
        """Whether lr had moved at the last step and nothing of `param_groups` was kept since."""
        return self._kept.open

    @property
    def _left_out(self) -> tuple[str, ...]:
        """What `param_groups` shows and only this optimizer sets."""
        return () if self._schedule is None else ("lr",)

    def _settings(self, param_groups: ParamGroups) -> tuple["_Kept", bytes]:
        """What the next step keeps of `param_groups` and the model, and its form for the run;
        nothing without a run."""
        if self._writer is None:
            return self._kept, b""
        groups = encoded(param_groups, self._left_out)
        # Before the first step, the sign that lr will move is what a torch scheduler leaves in the
        # group.
        first = any("initial_lr" in group for group in param_groups)
        moved = groups != self._kept.of_step if self._kept.of_step else first
        settings = resuming.Settings(groups, moved, self._unproved.digests(self._writer.header.unproved))
        return _Kept(groups, groups, durable=not moved, open=moved and self._schedule is None), settings.encode()

    @property
    def is_exact(self) -> bool:
        """Whether the gradients are exact ones, not autograd's."""
        return self._exact is not None

    @property
    def is_recorded(self) -> bool:
        """Whether steps go to a run directory."""
        return self._run is not None

    @property
    def is_anothers(self) -> bool:
        """Whether the run belongs to the process that this one was forked from."""
        return self._run is not None and not self.in_own_process

    def _require_own_run(self) -> None:
        if self._run is not None:
            self.require_own_process(self._run)

    def _header(self, param_groups: ParamGroups, scale: int) -> Header:
        largest = largest_lr(self._groups, param_groups, self._announced_lr)
        return self._parts.complete(self._groups, shifts_of(self._parts.rule, largest, scale), scale)


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a resumption would find: `of_step` is what the last step kept of `param_groups`,
    `groups` the newest that was kept since.

    `durable` says whether that would survive a power cut: if the step's are what was due, or the
    newest was written to the disk. `open` says that lr had moved at the step and nothing was kept
    since, so that a resumption wouldn't know which lr is due.
    """

    of_step: str = ""
    groups: str = ""
    durable: bool = True
    open: bool = False


def _callers_level() -> int:
    """The stacklevel, for a warning of the function that calls this one, of the first line that is
    neither this package's nor torch's: steps are taken by way of several."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] in ("zk_autograd", "torch"):
        level, frame = level + 1, frame.f_back
    return level


def _foreign(name: str) -> UsageError:
    return UsageError(
        f"{name} was changed by something else since the last step, so the steps would not describe the model: load "
        "weights before making the optimizer, and clip gradients, not weights"
    )


def _is_group(group: object) -> bool:
    """False for what a user put in a group's place."""
    return isinstance(group, Mapping)


def _moves(gradient: torch.Tensor) -> bool:
    """Whether a gradient isn't zero everywhere, as far as that can be told."""
    try:
        return bool(gradient.any())
    except (RuntimeError, NotImplementedError):  # without dense values
        return True


def _is_power_of_ten(number: int) -> bool:
    """10, 100, 1000 ..."""
    return number > 1 and str(number).rstrip("0") == "1"


def _warn(header: Header) -> None:
    for group in range(len(header.groups)):
        coarse = header.sequence(group).coarse()
        if coarse is not None:
            found, asked = decimal_text(coarse.found), decimal_text(coarse.asked)
            text = f"{coarse.name} of {place(group)} is {found} in effect, not {asked}: {coarse.advice}"
            warnings.warn(text, CoarseEps if coarse.name == "eps" else CoarseLr, stacklevel=6)
