"""Which backend proves a run: by name or ready-made, for a new run or by an old run's header."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

from zk_autograd.core.backends import BACKENDS
from zk_autograd.core.errors import UsageError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import Prover
from zk_autograd.prove.protocol import Backend, Choice, Wanted


def choice_of(prover: str) -> Choice:
    """How a trainer gets the backend called `prover`. UsageError if there is none."""
    if prover not in BACKENDS:
        raise UsageError(
            f'there is no prover {prover[:40]!r}; choose "native" or "ezkl", which prove each step, or "none", which only logs hashes'
        )
    # By name, not by an import statement: a run of one backend loads nothing of another's.
    found: Choice = import_module(f"zk_autograd.prove.{BACKENDS[prover].package}.choice").CHOICE
    return found


def backend_for_new_run(
    prover: str | Backend,
    rule: Rule,
    group_sizes: Sequence[int],
    srs: str | Path | None,
    expected_steps: int | None,
    scratch: Path,
    preset: str | None = None,
    *,
    decays: bool = False,
) -> Backend:
    """The backend called `prover` (one of core.backends), or `prover` itself.

    `scratch` is the folder that holds a witness while it is proved: the run's private one. `srs` is
    the SRS for "ezkl": a file, which is copied to the cache, the hexadecimal digest of one in the
    cache, or None for the newest one there; "native" has none, but takes a `preset` (None:
    standard). `decays` is whether a group has weight decay. Raises UsageError for a missing SRS or
    extra, or another prover's SRS or preset; ProverError if keys can't be made.
    """
    require_fitting(prover, srs, preset)
    if not isinstance(prover, str):
        return prover
    wanted = Wanted(rule, group_sizes, expected_steps, preset, decays)
    return choice_of(prover).for_new_run(wanted, srs, scratch)


def require_fitting(prover: str | Backend, srs: str | Path | None, preset: str | None) -> None:
    """UsageError for a preset with a prover that has none, and for an SRS with the native one."""
    if isinstance(prover, str):
        choice_of(prover).require_fitting(srs, preset)
    elif preset is not None:
        raise UsageError("only the prover native has presets: leave it out, or choose that prover")


def require_provable(prover: str | Backend, rule: Rule, decays: Mapping[str, str]) -> None:
    """Raises UsageError for a ready-made backend whose circuit is another rule's, or has no line
    for a weight decay.

    `decays` has the weight decay of each parameter group that has one, keyed by the group's name in
    messages.
    """
    if not isinstance(prover, str):
        choice_of(prover.prover.backend).require_provable(prover.prover, rule, decays)


def backend_of_run(recorded: Prover, prover: str | Backend, srs: str | Path | None, scratch: Path) -> Backend:
    """The backend of a resumed run: `prover` if that is one, else what the run's header recorded.
    `srs` and `scratch` as in `backend_for_new_run`; None for the SRS means that it is in the cache.

    Raises RunError if this version has a different circuit of that name, UsageError and ProverError
    as `backend_for_new_run`.
    """
    if not isinstance(prover, str):
        return prover
    return choice_of(recorded.backend).of_run(recorded, srs, scratch)
