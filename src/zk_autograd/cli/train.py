"""`zk-train`: trains a small model, proves each step, and leaves a run that a stranger can check."""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from zk_autograd.cli.output import EXIT_STATUSES, Output, Parser, run_command
from zk_autograd.cli.train_watch import Watch
from zk_autograd.core.backends import DEFAULT_BACKEND, PROVERS
from zk_autograd.core.errors import (
    ExitStatus,
    GradientError,
    PlaceTakenError,
    RangeError,
    RunError,
    UsageError,
    ZkError,
)
from zk_autograd.core.hyper import Rule
from zk_autograd.core.text import counted
from zk_autograd.credentials import tokens
from zk_autograd.prove.native.preset import DEFAULT_PRESET, Preset
from zk_autograd.train.names import DataName, Factory, ModelName, code_called

if TYPE_CHECKING:
    from zk_autograd.optim import ZKOptimizer
    from zk_autograd.prove.protocol import Backend
    from zk_autograd.train.plan import Plan
    from zk_autograd.train.settings import Settings


def parser() -> argparse.ArgumentParser:
    """The command's flags."""
    flags = Parser(
        prog="zk-train",
        description="Trains a classifier on a table. Every optimizer step is an exact integer function that is proved, chained to the one "
        "before it, and logged. `zk-train reproduce RUN` checks a run by making it again.",
        epilog="Ctrl-C once finishes the step, proves what is left and closes the run; twice stops at once, to be resumed. "
        + EXIT_STATUSES,
    )
    add = flags.add_argument
    add("--config", type=Path, metavar="FILE", help="a TOML file with flags' long names as keys; flags win over it")
    add("--steps", type=int, metavar="N", help="optimizer steps (default: 100)")
    add(
        "--model", metavar="NAME", help=f"{', '.join(ModelName)}, or MODULE:FACTORY, a callable of yours (default: mlp)"
    )
    add("--data", metavar="NAME", help=f"{', '.join(DataName)}, or csv:PATH, a table of yours (default: digits)")
    add("--label", metavar="COLUMN", help="of a table: the column with the classes (default: the last)")
    add("--rule", choices=[r.value for r in Rule], help="default: adam")
    add("--lr", metavar="X", help="learning rate, an exact decimal (default: one that suits the rule)")
    add("--schedule", metavar="TEXT", help="of the learning rate, such as cosine:steps=100,end=0.0 (default: constant)")
    add("--momentum", metavar="X", help="for the sgd rules (default: 0.9, or 0 for sgd)")
    add("--betas", type=_pair, metavar="X,Y", help="for adam and adamw (default: 0.9,0.999)")
    add("--eps", metavar="X", help="for adam and adamw (default: 0.000001)")
    add("--weight-decay", metavar="X", help="decoupled weight decay (default: 0.01 for adamw, else 0)")
    add(
        "--grad-scale",
        type=_scale,
        metavar="K",
        help="gradients are scaled by 2^K before rounding; or auto (default: 0)",
    )
    add("--freeze", action="append", metavar="PATTERN", help="don't train parameters of such names; may be repeated")
    add("--batch-size", type=int, metavar="N", help="rows of a step (default: 64, or all if there are fewer)")
    add("--seed", type=int, metavar="N", help="of split, first weights and order of the rows (default: 0)")
    add(
        "--prover",
        choices=PROVERS,
        help="native needs no set-up; ezkl, for small models, needs an SRS, and an EVM can check its proofs; none logs hashes and proves "
        f"nothing (default: {DEFAULT_BACKEND})",
    )
    add(
        "--preset",
        choices=[p.value for p in Preset],
        help=f"of the native prover: strict assumes less, and its proofs are larger (default: {DEFAULT_PRESET})",
    )
    add("--publish", action=argparse.BooleanOptionalAction, help="put the final weights into the run (default: yes)")
    add("--out", metavar="RUN", help="where the run goes (default: a new folder in runs/)")
    add("--resume", type=Path, metavar="RUN", help="go on with a run that was stopped, as it was begun")
    add(
        "--srs",
        metavar="FILE",
        help="of the prover ezkl: the SRS that an auditor or a ceremony made (default: the cache's newest)",
    )
    add(
        "--key-file",
        metavar="FILE",
        help="your log key (default: the one that `zk-key new` makes; a new run makes it if there is none)",
    )
    add(
        "--allow-code",
        metavar="MODULE:FACTORY",
        help="with --resume: run this code of the run's, though your key didn't sign the run, or it is an installed package's",
    )
    add("--hf-token", metavar="TOKEN", help=tokens.HF_TOKEN_HELP)
    add("--dry-run", action="store_true", help="say how many proofs, how long and how much disk, and train nothing")
    add("--json", action="store_true", help="print one JSON object")
    return flags


def _scale(text: str) -> int | str:
    return text if text == "auto" else int(text)


def _pair(text: str) -> list[str]:
    return text.split(",")


def _settings(arguments: argparse.Namespace) -> "Settings":
    """What was set: by flags, and beneath them by the file of --config."""
    from zk_autograd.train import config
    from zk_autograd.train.settings import READERS, Settings

    given = {name: value for name in READERS if (value := getattr(arguments, name.replace("-", "_"), None)) is not None}
    if arguments.resume is not None and (
        wrong := {*given} - _WITH_RESUME | ({"config"} if arguments.config else set())
    ):
        raise UsageError(f"--resume goes on with the run as it was begun; leave out --{min(wrong)}, or begin a new run")
    by_flag = Settings.of(given, lambda name: f"--{name}")
    return by_flag if arguments.config is None else by_flag.over(config.read(arguments.config))


_WITH_RESUME = {"srs", "key-file"}
"""The settings that are no part of a training."""


def train(arguments: argparse.Namespace, output: Output, backend: "Backend | None" = None) -> int:
    """What `main` does with parsed flags. `backend` proves in the place of the one that --prover names."""
    for module in ("torch", "sklearn"):
        if find_spec(module) is None:
            raise UsageError(f"zk-train needs {module}: pip install 'zk-autograd[train]'")
    from zk_autograd.credentials import keyfile
    from zk_autograd.train.data import SECRET_BYTES
    from zk_autograd.train.plan import Plan

    settings, resumed = _settings(arguments), arguments.resume is not None
    allowed = None if arguments.allow_code is None else code_called(arguments.allow_code, "--allow-code")
    if allowed is not None and not resumed:
        raise UsageError("--allow-code is for --resume: a new run's code is what --model names")
    run: Path | None
    if resumed:
        plan, run = Plan.read(arguments.resume), arguments.resume
        key = settings.key_file or Path(plan.key_file)
        if settings.key_file is None and key != keyfile.default_path().absolute():
            _require_code_without_key(plan, run, key, allowed)
    else:
        # Who only asks what a run would take needs no key, and no home for one.
        key = settings.key_file or (Path() if arguments.dry_run else keyfile.default_path())
        plan = settings.plan(key_file=str(key.absolute()), secret=os.urandom(SECRET_BYTES))
        run = settings.out
    if arguments.hf_token is not None or isinstance(plan.model, Factory):
        tokens.provide(tokens.HUGGING_FACE, tokens.resolve(tokens.HUGGING_FACE, arguments.hf_token))
    if arguments.dry_run:
        if resumed:
            raise UsageError("--dry-run is for a run that is still to be begun; leave out --resume")
        return _dry_run(plan, settings.srs, output)
    for place in _default_places() if run is None else (run,):
        try:
            return _record(plan, place, key, settings, output, backend, resumed=resumed, allowed=allowed)
        except PlaceTakenError:  # by a training that was begun in the same second: nothing was made here
            if run is not None:
                raise
    raise RunError("runs/ has a thousand runs of this second: name another place with --out")


def _default_places() -> Iterator[Path]:
    """Names for a run that nobody named, by the time in UTC: 20261130T120000Z, and if that is taken 20261130T120000Z-2 ..."""
    name = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    yield Path("runs") / name
    for number in range(2, 1000):
        yield Path("runs") / f"{name}-{number}"


def _record(
    plan: "Plan",
    run: Path,
    key: Path,
    settings: "Settings",
    output: Output,
    backend: "Backend | None",
    *,
    resumed: bool,
    allowed: Factory | None,
) -> int:
    """Trains, and records it in `run`. PlaceTakenError if that was taken before the first step."""
    from zk_autograd.optim import recording
    from zk_autograd.train.interruption import Interruption
    from zk_autograd.train.session import Recording, Session, repeatable
    from zk_autograd.train.summary import Summary

    new_key = None
    if not resumed:
        recording.check_place(
            run := recording.place_called(run)
        )  # and the key, before the seconds that torch and keys take
        new_key = recording.key_to_make(settings.key_file)
        if new_key is None:
            recording.signers_of(key)
    began = time.monotonic()
    with repeatable(), output.progress() as progress:
        watch = Watch(plan.steps, progress, output)
        signer = key if new_key is None else None
        session = Session(plan, Recording(run, backend or plan.prover, signer, settings.srs, resumed, watch, allowed))
        optimizer, loop, asked, plan = session.optimizer, session.loop, plan.batch_size, session.plan
        output.note(f"{run}: {plan.model} on {plan.data}, {plan.rule.value}, {plan.steps} steps, prover {plan.prover}")
        if plan.batch_size != asked:
            output.note(f"each step takes all {plan.batch_size} training rows: there are fewer than {asked}")

        def begun() -> None:
            watch.header = optimizer.header
            if new_key is not None and optimizer.header is not None:
                output.note(recording.made_key(new_key, optimizer.header.keys[0]))

        watch.header = optimizer.header
        try:
            with Interruption(watch.interrupted) as ctrl_c, optimizer:
                last = session.train(lambda: not ctrl_c.asked, begun)
                trained = time.monotonic()
                optimizer.close()
        except (KeyboardInterrupt, ZkError) as error:
            named = "" if settings.key_file is None else f" --key-file {quote(str(key))}"
            return _stopped(error, optimizer, run, f"zk-train --resume {quote(str(run))}{named}", output)
        accuracy = loop.accuracy()
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
        accuracy,
        len(loop.data.test),
        optimizer.saturated,
        ended - began,
        ended - trained,
        loop.data.names,
    )
    for line in summary.lines():
        output.line(line)
    output.result(summary.to_json())
    return 0


def _require_code_without_key(plan: "Plan", run: Path, key: Path, allowed: Factory | None) -> None:
    """UsageError for a run whose private folder, which may be a stranger's, names both the code and the key that is to vouch for it."""
    if isinstance(plan.model, Factory) and plan.model != allowed:
        raise UsageError(
            f"{run} names code, {plan.model}, and a key file of its own, {quote(str(key))}: if that is a key of yours, name it with --key-file, "
            f"which lets the code of a run that it signed be run; or look at the code, and give --allow-code {plan.model}"
        )


def _stopped(error: BaseException, optimizer: "ZKOptimizer", run: Path, resume: str, output: Output) -> int:
    """Says what is left of a run that was broken off, and gives the exit status of an interrupt; raises any other error. `resume` is the
    command that goes on."""
    done, begun = optimizer.steps, optimizer.header is not None
    if isinstance(error, GradientError | RangeError | UsageError) and begun:
        output.note(
            f"{run} holds {done} steps and stays unfinished: no run can go on past this one; train again in another folder"
        )
    elif begun:
        output.note(f"stopped after step {done}; nothing is lost: `{resume}` goes on")
    if not isinstance(error, KeyboardInterrupt):
        raise error
    output.result({"interrupted": True, "run": str(run) if begun else None, "steps": done, "resumable": begun})
    return ExitStatus.INTERRUPTED


def _dry_run(plan: "Plan", srs: Path | None, output: Output) -> int:
    from zk_autograd.train.dry_run import forecast

    found = forecast(plan, srs)
    output.line(
        f"{plan.model} on {plan.data}: {found.parameters} parameters, {counted(plan.steps, 'step')} of {found.rule.value}; {found.proofs}"
    )
    for line in found.estimate.lines():
        output.line(line)
    output.result({"dry_run": True, "parameters": found.parameters, "steps": plan.steps, **found.estimate.to_json()})
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The command's exit status."""
    words = sys.argv[1:] if argv is None else list(argv)
    if words[:1] == ["reproduce"]:
        from zk_autograd.cli import reproduce

        return reproduce.main(words[1:])
    arguments = parser().parse_args(words)
    return run_command(lambda output: train(arguments, output), json_output=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
