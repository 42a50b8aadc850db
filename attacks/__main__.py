"""All attacks, one after the other, and what became of each.

    python -m attacks [--json] [--backend native|ezkl] [NAME ...]

NAME is the name of a program in on_runs/, on_circuits/, on_registers/, on_enclaves/ or on_replays/;
none means all. Those on runs have a victim of each backend, or of one. The exit status is 1 if one
was tried and not refused. Keys and real proofs are made: some minutes on two cores for EZKL, and a
gigabyte of disk while it runs; less than one minute for the native prover. Needs the extras [ezkl]
and [dev].
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType

from attacks.tools import victim
from attacks.tools.attempt import BACKENDS, EzklWorkshop, Scene
from attacks.tools.outcome import Outcome
from zk_autograd.prove.ezkl.child import Child
from zk_autograd.prove.ezkl.keys import Cache, make_srs
from zk_autograd.prove.ezkl.verify import EzklSystem, installed_ezkl
from zk_autograd.prove.hashed.verify import HashedSystem
from zk_autograd.prove.native.verify import NativeSystem

_HERE = Path(__file__).parent


def _programs(folder: str) -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in (_HERE / folder).glob("*.py")))


ON_CIRCUITS = _programs("on_circuits")
"""Programs whose `run` takes nothing: attacks on the relations and their circuits."""

ON_RUNS = _programs("on_runs")
"""Programs whose `run` takes a `Scene`: attacks on a run and whoever judges it."""


ON_REGISTERS = _programs("on_registers")
"""Programs whose `run` takes nothing: attacks on where a run's root went."""

ON_ENCLAVES = _programs("on_enclaves")
"""Programs whose `run` takes nothing: what a host tries with an enclave that it starts."""

ON_REPLAYS = _programs("on_replays")
"""Programs whose `run` takes nothing: a trainer who cheats, before an auditor who computes the
gradients again."""


def program(name: str) -> ModuleType:
    """The program of this name, in whichever folder it lies."""
    folders = {
        "on_circuits": ON_CIRCUITS,
        "on_runs": ON_RUNS,
        "on_registers": ON_REGISTERS,
        "on_enclaves": ON_ENCLAVES,
        "on_replays": ON_REPLAYS,
    }
    return import_module(f"attacks.{next(folder for folder, names in folders.items() if name in names)}.{name}")


def backends_of(name: str) -> frozenset[str]:
    """The backends on whose runs a program of ON_RUNS has an attempt. A program without attempts is
    not about a run: any victim will do, unless it says which (`BACKENDS`)."""
    module = program(name)
    attempts = getattr(module, "ATTEMPTS", None)
    if attempts is None:
        return frozenset(getattr(module, "BACKENDS", {"native"}))
    return frozenset().union(*(a.backends for a in attempts))


def scene_of(backend: str, folder: Path) -> Scene:
    """A victim of this backend and whoever judges it, in the new folder `folder`."""
    if backend == "native":
        return Scene(
            victim.build(folder / "victim", victim.native), {"none": HashedSystem(), "native": NativeSystem()}, folder
        )
    cache = Cache(folder / "auditor")
    make_srs(folder / "auditor.srs", Child())
    made = victim.build(folder / "victim", partial(victim.ezkl, cache, cache.add_srs(folder / "auditor.srs")))
    workshop = EzklWorkshop(cache, folder / "attacker", folder)
    return Scene(made, {"none": HashedSystem(), "ezkl": EzklSystem(cache, installed_ezkl())}, folder, workshop)


def outcomes(names: Sequence[str], backends: Sequence[str]) -> Iterator[Outcome]:
    """What became of each of these attacks on runs of these backends, as it happens. Those on
    circuits are on EZKL's, those on registers on runs without proofs; those on enclaves bring their
    own."""
    for name in names:
        if name in (*ON_REGISTERS, *ON_ENCLAVES, *ON_REPLAYS) or (name in ON_CIRCUITS and "ezkl" in backends):
            yield program(name).run()
    for backend in backends:
        chosen = [name for name in names if name in ON_RUNS and backend in backends_of(name)]
        if not chosen:
            continue
        with tempfile.TemporaryDirectory(prefix="zk-attacks-") as folder:
            scene = scene_of(backend, Path(folder))
            for name in chosen:
                yield program(name).run(scene)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs them and prints a line for each."""
    parser = argparse.ArgumentParser(
        prog="python -m attacks", description="Attacks zk-autograd's circuits, runs and verifier."
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="programs in on_runs/, on_circuits/, on_registers/, on_enclaves/ and on_replays/ (default: all)",
    )
    parser.add_argument("--backend", choices=sorted(BACKENDS), help="on runs of this backend alone")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    arguments = parser.parse_args(argv)
    known = (*ON_CIRCUITS, *ON_RUNS, *ON_REGISTERS, *ON_ENCLAVES, *ON_REPLAYS)
    if unknown := [name for name in arguments.names if name not in known]:
        parser.error(f"no attack {', '.join(unknown)}: there are {', '.join(known)}")
    failed = False
    backends = [arguments.backend] if arguments.backend else ["native", "ezkl"]
    for found in outcomes(arguments.names or known, backends):
        failed |= not (found.refused or found.skipped)
        print(json.dumps(asdict(found)) if arguments.json else found, flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
