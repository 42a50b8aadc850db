"""`zk-train`: trains a small model, proves each step, and leaves a run that a stranger can check."""

import argparse
import os
import sys
import time
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zk_autograd.cli.output import INTERRUPTED, Output, run_command
from zk_autograd.cli.train_watch import Watch
from zk_autograd.core.errors import GradientError, RangeError, RunError, UsageError, ZkError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.text import counted
from zk_autograd.prove.names import DEFAULT_PRESET, DEFAULT_PROVER, PROVERS, Preset
from zk_autograd.workload.names import DataName, ModelName

if TYPE_CHECKING:
    from zk_autograd.optim import ZKOptimizer
    from zk_autograd.prove.protocol import Backend
    from zk_autograd.run.events import Listener
    from zk_autograd.workload.plan import Plan
    from zk_autograd.workload.training import Loop

_DEFAULTS = {
    "steps": 100,
    "model": ModelName.MLP,
    "data": DataName.DIGITS,
    "rule": Rule.ADAM,
    "momentum": "",
    "weight_decay": "",
    "grad_scale": 0,
    "batch_size": 64,
    "seed": 0,
    "prover": DEFAULT_PROVER,
    "preset": "",
}
"""Of the flags that a resumed run takes from its plan; lr depends on the rule."""


def parser() -> argparse.ArgumentParser:
    """The command's flags."""
    flags = argparse.ArgumentParser(
        prog="zk-train",
        description="Trains a model on data that ship with scikit-learn. Every optimizer step is an exact integer function that is proved, "
        "chained to the one before it, and logged.",
        epilog="Ctrl-C once finishes the step, proves what is left and closes the run; twice stops at once, to be resumed. "
        "Exit status: 0 done, 1 refused or failed, 2 wrong usage, 130 interrupted and resumable.",
    )
    add = flags.add_argument
    add("--steps", type=int, metavar="N", help="optimizer steps (default: 100)")
    add("--model", type=ModelName, choices=list(ModelName), help="default: mlp")
    add("--data", type=DataName, choices=list(DataName), help="default: digits")
    add("--rule", type=Rule, choices=list(Rule), metavar=f"{{{','.join(r.value for r in Rule)}}}", help="default: adam")
    add("--lr", metavar="X", help="learning rate, an exact decimal (default: one that suits the rule)")
    add("--momentum", metavar="X", help="for the sgd rules (default: 0.9, or 0 for sgd)")
    add("--weight-decay", metavar="X", help="decoupled weight decay (default: 0.01 for adamw, else 0)")
    add(
        "--grad-scale",
        type=_scale,
        metavar="K",
        help="gradients are scaled by 2^K before rounding; or auto (default: 0)",
    )
    add("--batch-size", type=int, metavar="N", help="rows of a step (default: 64)")
    add("--seed", type=int, metavar="N", help="of split, first weights and order of the rows (default: 0)")
    add(
        "--prover",
        choices=PROVERS,
        help="native needs no set-up; ezkl, for small models, needs an SRS, and an EVM can check its proofs; none logs hashes and proves "
        f"nothing (default: {DEFAULT_PROVER})",
    )
    add(
        "--preset",
        choices=[p.value for p in Preset],
        help=f"of the native prover: strict assumes less, and its proofs are larger (default: {DEFAULT_PRESET})",
    )
    add("--no-publish", action="store_true", default=None, help="keep the final weights out of the run")
    add("--out", type=Path, metavar="RUN", help="where the run goes (default: a new folder in runs/)")
    add("--resume", type=Path, metavar="RUN", help="go on with a run that was stopped, as it was begun")
    add(
        "--srs",
        type=Path,
        metavar="FILE",
        help="of the prover ezkl: the SRS that an auditor or a ceremony made (default: the cache's newest)",
    )
    add("--key-file", type=Path, metavar="FILE", help="your log key (default: the one that `zk-key new` makes)")
    add("--dry-run", action="store_true", help="say how many proofs, how long and how much disk, and train nothing")
    add("--json", action="store_true", help="print one JSON object")
    return flags


def _scale(text: str) -> int | str:
    return text if text == "auto" else int(text)


def _plan(arguments: argparse.Namespace) -> "tuple[Plan, Path]":
    """What to train, and where: from the flags, or from the run that is resumed."""
    from zk_autograd.optim import keyfile
    from zk_autograd.workload.data import SECRET_BYTES
    from zk_autograd.workload.plan import Plan, default_lr

    for module in ("torch", "sklearn"):
        if find_spec(module) is None:
            raise UsageError(f"zk-train needs {module}: pip install 'zk-autograd[train]'")
    given = vars(arguments)
    if arguments.resume is not None:
        for name in (*_DEFAULTS, "lr", "no_publish", "out"):
            if given[name] is not None:
                flag = name.replace("_", "-")
                raise UsageError(
                    f"--resume goes on with the run as it was begun; leave out --{flag}, or begin a new run"
                )
        return Plan.read(arguments.resume), arguments.resume
    chosen: dict[str, Any] = {
        name: default if given[name] is None else given[name] for name, default in _DEFAULTS.items()
    }
    plan = Plan(
        **chosen,
        lr=arguments.lr or default_lr(chosen["rule"]),
        publish=not arguments.no_publish,
        key_file=str((arguments.key_file or keyfile.default_path()).absolute()),
        secret=os.urandom(SECRET_BYTES),
    )
    return plan, arguments.out or Path("runs") / time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())


def _loop(plan: "Plan") -> "Loop":
    """The model with its data. UsageError for a batch larger than the data, or a model that they don't fit."""
    from zk_autograd.workload import data, models
    from zk_autograd.workload.sampler import Sampler
    from zk_autograd.workload.training import Loop

    rows = data.load(plan.data, plan.seed)
    if plan.batch_size > len(rows.train):
        raise UsageError(
            f"--batch-size {plan.batch_size} is more than the {len(rows.train)} training rows of {plan.data}"
        )
    model = models.build(plan.model, rows.columns, rows.classes, plan.seed)
    return Loop(model, rows, Sampler(len(rows.train), plan.batch_size, plan.seed))


def _optimizer(
    plan: "Plan", loop: "Loop", run: Path, arguments: argparse.Namespace, prover: "str | Backend", listener: "Listener"
) -> "ZKOptimizer":
    from zk_autograd.optim import ZKOptimizer
    from zk_autograd.workload import data, models
    from zk_autograd.workload.plan import EPS

    committed = data.commitment(loop.data.train, plan.secret, seed=plan.seed, batch_size=plan.batch_size)
    optimizer = ZKOptimizer(
        loop.model.named_parameters(),
        plan.rule,
        plan.lr,
        eps=EPS if plan.rule in (Rule.ADAM, Rule.ADAMW) else None,
        momentum=plan.momentum or None,
        weight_decay=plan.weight_decay or None,
        grad_scale=plan.grad_scale,
        schedule="constant",
        run=run,
        resume=arguments.resume is not None,
        prover=prover,
        srs=arguments.srs,
        preset=plan.preset or None,
        expected_steps=plan.steps,
        key=arguments.key_file or plan.key_file,
        publish=plan.publish,
        unproved=loop.model,
        data=committed,
        model_code=models.code_digest(),
        on_event=listener,
    )
    if optimizer.header is not None and optimizer.header.data != committed:
        optimizer.abandon()
        raise RunError(
            f"the data are not those that {run} was begun with: install the scikit-learn that it was begun with"
        )
    return optimizer


def train(arguments: argparse.Namespace, output: Output, backend: "Backend | None" = None) -> int:
    """What `main` does with parsed flags. `backend` proves in the place of the one that --prover names."""
    plan, run = _plan(arguments)
    if arguments.dry_run:
        return _dry_run(plan, arguments, output)
    from zk_autograd.optim import recording
    from zk_autograd.optim.trajectory import CoarseEps
    from zk_autograd.workload import models
    from zk_autograd.workload.interruption import Interruption
    from zk_autograd.workload.summary import Summary

    if arguments.resume is None:
        recording.check_place(run)  # and the key, before the seconds that torch and keys take
    recording.signers_of(arguments.key_file or plan.key_file)
    began = time.monotonic()
    warnings.simplefilter("ignore", CoarseEps)  # the summary says what eps is in effect
    with models.one_thread(), output.progress() as progress:
        loop = _loop(plan)
        output.note(f"{run}: {plan.model} on {plan.data}, {plan.rule.value}, {plan.steps} steps, prover {plan.prover}")
        watch = Watch(plan.steps, progress, output)
        optimizer = _optimizer(plan, loop, run, arguments, backend or plan.prover, watch)
        watch.header = optimizer.header
        try:
            with Interruption(watch.interrupted) as ctrl_c, optimizer:
                first = optimizer.steps + 1
                if optimizer.header is None:
                    loop.gradients(first, optimizer)
                    optimizer.start()
                    plan.write(run)
                    watch.header = optimizer.header
                last = loop.run(optimizer, first, plan.steps, lambda step, loss: not ctrl_c.asked)
                trained = time.monotonic()
                optimizer.close()
        except (KeyboardInterrupt, ZkError) as error:
            return _stopped(error, optimizer, run, output)
    ended = time.monotonic()
    head, header = optimizer.head, optimizer.header
    assert head is not None
    assert header is not None
    summary = Summary(
        plan,
        run,
        header,
        head,
        last,
        loop.accuracy(),
        len(loop.data.test),
        optimizer.saturated,
        ended - began,
        ended - trained,
    )
    for line in summary.lines():
        output.line(line)
    output.result(summary.to_json())
    return 0


def _stopped(error: BaseException, optimizer: "ZKOptimizer", run: Path, output: Output) -> int:
    """Says what is left of a run that was broken off, and gives the exit status of an interrupt; raises any other error."""
    done, begun = optimizer.steps, optimizer.header is not None
    if isinstance(error, GradientError | RangeError) and begun:
        output.note(
            f"{run} holds {done} steps and stays unfinished: no run can go on past this one; train again in another folder"
        )
    elif begun:
        output.note(f"stopped after step {done}; nothing is lost: `zk-train --resume {run}` goes on")
    if not isinstance(error, KeyboardInterrupt):
        raise error
    output.result({"interrupted": True, "run": str(run) if begun else None, "steps": done, "resumable": begun})
    return INTERRUPTED


def _dry_run(plan: "Plan", arguments: argparse.Namespace, output: Output) -> int:
    from zk_autograd.optim.options import choose_rule
    from zk_autograd.optim.proving import HASHED_BLOCK, preset_called, require_fitting
    from zk_autograd.workload import estimate

    if arguments.resume is not None:
        raise UsageError("--dry-run is for a run that is still to be begun; leave out --resume")
    require_fitting(plan.prover, arguments.srs, plan.preset or None)
    parameters = sum(p.numel() for p in _loop(plan).model.parameters())
    rule = choose_rule(plan.rule, [{"momentum": plan.momentum}])
    if plan.prover == "native":
        from zk_autograd.prove.native import shape

        chosen = shape.choose(rule, [parameters], plan.steps, preset_called(plan.preset or None))
        found = estimate.native_run(rule, [parameters], plan.steps, block=chosen.block, segment_steps=chosen.steps)
        what = f"{counted(found.proofs, 'proof')} of up to {chosen.steps} steps with the circuit {chosen.name}"
    elif plan.prover == "ezkl":
        from zk_autograd.prove.ezkl import catalogue

        circuit = catalogue.choose(rule.value, [parameters], plan.steps)
        found = estimate.proved_run(
            rule,
            [parameters],
            plan.steps,
            block=circuit.block,
            segment_steps=circuit.steps,
            proof_bytes=circuit.proof_bytes,
        )
        what = f"{counted(found.proofs, 'proof')} with the circuit {circuit.name}"
    else:
        from zk_autograd.prove.hashed.backend import HashedBackend

        capacity = HashedBackend(min(HASHED_BLOCK, parameters)).prover
        found = estimate.hashed_run(rule, [parameters], plan.steps, block=capacity.block, segment_steps=capacity.steps)
        what = "no proofs: the prover none logs hashes only"
    output.line(
        f"{plan.model} on {plan.data}: {parameters} parameters, {counted(plan.steps, 'step')} of {rule.value}; {what}"
    )
    for line in found.lines():
        output.line(line)
    output.result({"dry_run": True, "parameters": parameters, "steps": plan.steps, **found.to_json()})
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The command's exit status."""
    arguments = parser().parse_args(argv)
    return run_command(lambda output: train(arguments, output), json_output=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
