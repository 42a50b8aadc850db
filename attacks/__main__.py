"""All attacks, one after the other, and what became of each.

    python -m attacks [--json] [NAME ...]

NAME is the name of a program in this folder; none means all. The exit status is 1 if one was not refused. Keys and real proofs are made:
some minutes on two cores, and a gigabyte of disk while it runs. Needs the extras [ezkl] and [dev].
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from attacks.attempt import Scene
from attacks.outcome import Outcome
from attacks.victim import build
from zk_autograd.prove.ezkl.child import Child
from zk_autograd.prove.ezkl.keys import Cache, make_srs
from zk_autograd.verify.systems import EzklSystem, installed_ezkl

ON_CIRCUITS = (
    "rounding_off_by_one",
    "quotient_and_remainder_shifted",
    "fraction_for_each_variable",
    "wrapped_value_for_each_variable",
    "pruned_lookups",
    "cancelling_penalties",
    "no_op_gradient",
    "weight_decay_dropped",
    "unconstrained_cells",
)
"""Programs whose `run` takes nothing: attacks on the relations and their circuits."""

ON_RUNS = (
    "one_unit_weight",
    "gradient_swapped",
    "proof_replayed",
    "segments_rearranged",
    "hyper_parameter_edited",
    "log_resigned",
    "log_cut",
    "no_op_padding",
    "published_weights_exchanged",
    "model_planted",
    "proof_bytes",
    "bad_proof_in_sample",
    "beacon_known",
    "huge_numbers",
    "length_bombs",
    "links_and_pipes",
    "path_traversal",
    "file_exchanged",
    "merkle_forgeries",
    "nan_gradient",
    "other_circuit",
    "first_state_not_zero",
    "foreign_srs",
)
"""Programs whose `run` takes a `Scene`: attacks on a run and whoever judges it."""


def outcomes(names: Sequence[str]) -> Iterator[Outcome]:
    """What became of each of these attacks, as it happens."""
    for name in names:
        if name in ON_CIRCUITS:
            yield import_module(f"attacks.{name}").run()
    chosen = [name for name in names if name in ON_RUNS]
    if not chosen:
        return
    with tempfile.TemporaryDirectory(prefix="zk-attacks-") as folder:
        here = Path(folder)
        cache = Cache(here / "auditor")
        make_srs(here / "auditor.srs", Child())
        srs = cache.add_srs(here / "auditor.srs")
        victim = build(here / "victim", cache, srs)
        scene = Scene(victim, cache, {"ezkl": EzklSystem(cache, installed_ezkl())}, here, here / "attacker")
        for name in chosen:
            yield import_module(f"attacks.{name}").run(scene)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs them and prints a line for each."""
    parser = argparse.ArgumentParser(
        prog="python -m attacks", description="Attacks zk-autograd's circuits, runs and verifier."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="programs in attacks/ (default: all)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    arguments = parser.parse_args(argv)
    known = (*ON_CIRCUITS, *ON_RUNS)
    if unknown := [name for name in arguments.names if name not in known]:
        parser.error(f"no attack {', '.join(unknown)}: there are {', '.join(known)}")
    failed = False
    for found in outcomes(arguments.names or known):
        failed |= not found.refused
        print(json.dumps(asdict(found)) if arguments.json else found, flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
