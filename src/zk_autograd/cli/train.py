"""`zk-train`: trains a small model, proves each step, and leaves a run anybody can check."""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from zk_autograd.cli.output import EXIT_STATUSES, Output, Parser, run_command
from zk_autograd.cli.train_watch import Watch
from zk_autograd.core.errors import (
    ExitStatus,
    PlaceTakenError,
    RunError,
    UsageError,
)
from zk_autograd.core.text import counted
from zk_autograd.credentials import tokens
from zk_autograd.train.names import Factory, code_called
from zk_autograd.train.settings import MACHINE, REGISTERING, SETTINGS, Settings

if TYPE_CHECKING:
    from zk_autograd.prove.protocol import Backend
    from zk_autograd.train.command import Order
    from zk_autograd.train.plan import Plan
    from zk_autograd.train.timeline import Timeline


def parser() -> argparse.ArgumentParser:
    """The command's flags."""
    flags = Parser(
        prog="zk-train",
        description="Trains a classifier on a table. Every optimizer step is an exact integer function that is proved, chained to the one "
        "before it, and logged. `zk-train reproduce RUN` checks a run by repeating it.",
        epilog="Ctrl-C once finishes the step, proves what is left and closes the run; twice stops at once, and the run can be resumed. "
        + EXIT_STATUSES,
    )
    add = flags.add_argument
    add("--config", type=Path, metavar="FILE", help="a TOML file with flags' long names as keys; flags override it")
    for setting in SETTINGS:
        if setting.help:
            add(f"--{setting.name}", help=setting.help, **setting.flag)
    add("--resume", type=Path, metavar="RUN", help="resume a run that was stopped, with the settings it was begun with")
    add(
        "--allow-code",
        metavar="MODULE:FACTORY",
        help="with --resume: run this code of the run, even if your key didn't sign the run, or it belongs to an installed package",
    )
    add("--hf-token", metavar="TOKEN", help=tokens.HELP)
    add(
        "--dry-run",
        action="store_true",
        help="take a few steps and proofs to see how fast they are here, print how many there would be, how long and how much disk, and keep nothing",
    )
    add("--json", action="store_true", help="print one JSON object")
    return flags


def _settings(arguments: argparse.Namespace) -> Settings:
    """What was set: by flags, else by the file of --config."""
    from zk_autograd.train import config

    given = {s.name: value for s in SETTINGS if (value := getattr(arguments, s.attribute, None)) is not None}
    if arguments.resume is not None and (
        wrong := {*given} - _WITH_RESUME | ({"config"} if arguments.config else set())
    ):
        raise UsageError(
            f"--resume keeps the settings that the run was begun with; leave out --{min(wrong)}, or begin a new run"
        )
    by_flag = Settings.of(given, lambda name: f"--{name}")
    return by_flag if arguments.config is None else by_flag.over(config.read(arguments.config))


_WITH_RESUME = {"srs", "key-file", *MACHINE, *REGISTERING}
"""The settings that are not part of a training."""


def train(arguments: argparse.Namespace, output: Output, backend: "Backend | None" = None) -> int:
    """What `main` does with parsed flags. `backend` proves in place of --prover's."""
    for module in ("torch", "sklearn"):
        if find_spec(module) is None:
            raise UsageError(f"zk-train needs {module}: pip install 'zk-autograd[train]'")
    from zk_autograd.credentials import keyfile
    from zk_autograd.train.command import Order
    from zk_autograd.train.plan import SECRET_BYTES, Plan

    if arguments.hf_token is not None:
        # Before the settings, which may not hold it.
        tokens.provide(tokens.resolve(arguments.hf_token))
    settings, resumed = _settings(arguments), arguments.resume is not None
    allowed = None if arguments.allow_code is None else code_called(arguments.allow_code, "--allow-code")
    if allowed is not None and not resumed:
        raise UsageError("--allow-code is for --resume: a new run's code is what --model names")
    run: Path | None
    if resumed:
        kept, run = Plan.read(arguments.resume), arguments.resume
        from zk_autograd.train.own_run import require_registering

        require_registering(kept, settings, run, settings.key_file)
        plan = kept.registered(settings)
        key = settings.key_file or Path(plan.key_file)
        if settings.key_file is None and key != keyfile.default_path().absolute():
            _require_code_without_key(plan, run, key, allowed)
    else:
        # A dry run needs no key, and no home folder for one.
        key = settings.key_file or (Path() if arguments.dry_run else keyfile.default_path())
        plan = Plan.of(settings, key_file=str(key.absolute()), secret=os.urandom(SECRET_BYTES))
        plan = plan.drawn(settings.start)
        run = settings.out
    if isinstance(plan.model, Factory):
        tokens.provide(tokens.resolve())
    if arguments.dry_run:
        if resumed:
            raise UsageError("--dry-run is for a new run; leave out --resume")
        return _dry_run(plan, settings, output)
    for place in _default_places() if run is None else (run,):
        try:
            named = settings.key_file is not None
            order = Order(
                plan=plan,
                run=place,
                key=key,
                key_named=named,
                srs=settings.srs,
                resume=resumed,
                allowed=allowed,
                backend=backend,
                start=settings.start,
                machine=settings.machine,
            )
            return _recorded(order, output)
        except PlaceTakenError:  # by a training begun in the same second: nothing was created here
            if run is not None:
                raise
    raise RunError("runs/ already has a thousand runs of this second: name another place with --out")


def _default_places() -> Iterator[Path]:
    """A run's default names, by the time in UTC: 20261130T120000Z, 20261130T120000Z-2 ..."""
    name = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    yield Path("runs") / name
    for number in range(2, 1000):
        yield Path("runs") / f"{name}-{number}"


def _recorded(order: "Order", output: Output) -> int:
    """Trains, and reports it. PlaceTakenError if the place was taken before the first step."""
    from zk_autograd.train.command import Interrupted, train
    from zk_autograd.train.interruption import Interruption
    from zk_autograd.train.session import Session, repeatable
    from zk_autograd.train.timeline import Timeline

    with repeatable(), output.progress() as progress:
        watch = Watch(order.plan.steps, progress, output)
        timeline = Timeline(watch)
        found = train(order, Session, timeline, Interruption(watch.interrupted))
    if isinstance(found, Interrupted):
        run = str(found.run) if found.resumable else None
        output.result({"interrupted": True, "run": run, "steps": found.steps, "resumable": found.resumable})
        return ExitStatus.INTERRUPTED
    found = replace(found, timeline=_drawn(timeline, found.run, output))
    for line in found.lines():
        output.line(line)
    output.result(found.to_json())
    return found.exit_status


def _drawn(timeline: "Timeline", run: Path, output: Output) -> Path | None:
    """The file of the session's picture. The run is whole without it: a note says if it can't be
    written."""
    from zk_autograd.run.files import PRIVATE_FILE, Files
    from zk_autograd.run.layout import Layout
    from zk_autograd.train.timeline_picture import draw

    path = Layout(run).timeline
    try:
        Files().write_atomic(path, draw(timeline.course()).encode(), PRIVATE_FILE)
    except RunError as error:
        output.note(f"there is no timeline of this training, which is complete without it: {error}")
        return None
    return path


def _require_code_without_key(plan: "Plan", run: Path, key: Path, allowed: Factory | None) -> None:
    """UsageError for a run whose private folder, which may be a stranger's, names both the code and
    the key that would vouch for it."""
    if isinstance(plan.model, Factory) and plan.model != allowed:
        raise UsageError(
            f"{run} names code, {plan.model}, and a key file of its own, {quote(str(key))}: if that key is yours, name it with --key-file, which "
            f"permits the code of a run that it signed; or look at the code, and pass --allow-code {plan.model}"
        )


def _dry_run(plan: "Plan", settings: Settings, output: Output) -> int:
    from zk_autograd.train.dry_run import forecast

    run = next(_default_places()) if settings.out is None else settings.out
    found = forecast(plan, settings.srs, run, settings.machine)
    gradients = f" by exact gradients, for {plan.level}" if plan.is_exact else ""
    output.line(
        f"{plan.model} on {plan.data}: {found.parameters} parameters, {counted(plan.steps, 'step')} of {found.rule.value}{gradients}; {found.proofs}"
    )
    for line in found.estimate.lines():
        output.line(line)
    output.result(
        {
            "dry_run": True,
            "parameters": found.parameters,
            "steps": plan.steps,
            "level": plan.level,
            **found.estimate.to_json(),
        }
    )
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The command's exit status."""
    words = sys.argv[1:] if argv is None else list(argv)
    if words[:1] == ["reproduce"]:
        from zk_autograd.cli import reproduce

        return reproduce.main(words[1:])
    tokens.hide()
    arguments = parser().parse_args(words)
    return run_command(lambda output: train(arguments, output), json_output=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
