"""Whether a run is the caller's own, and what its private plan says, checked before any code that
it names is imported."""

from collections.abc import Sequence
from pathlib import Path

from zk_autograd.core.errors import RunError, UnreadableError, UsageError, VerificationError
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.note import open_note, parse_checkpoint
from zk_autograd.core.records import Data, Header
from zk_autograd.credentials import keyfile
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.evidence.layout import LOG, MAX_LOG, RECORDS
from zk_autograd.optim.schedule import canonical
from zk_autograd.run.layout import Layout
from zk_autograd.run.log import whole_leaves
from zk_autograd.run.recovery import is_own, read_header
from zk_autograd.train import models
from zk_autograd.train.names import Factory
from zk_autograd.train.own_code import Consent, refusal
from zk_autograd.train.plan import Plan


def require_plan(plan: Plan, run: Path, data: Data, advice: str) -> Header:
    """The header of the run at `run`, if it is of this plan on these data. RunError, which gives
    `advice` if the data are others."""
    header, _ = read_header(Layout(run))
    pairs: dict[str, tuple[object, object]] = {
        "rule": (header.rule.value, plan.rule.value),
        "schedule": (header.schedule, _in_full(plan.schedule)),
        "prover": (header.prover.backend, plan.prover),
        "grad_scale": (header.grad_scale, header.grad_scale if plan.grad_scale == "auto" else plan.grad_scale),
    }
    for what, (of_run, planned) in pairs.items():
        if of_run != planned:
            raise RunError(
                f"{run} is not the run of its private plan: its {what} is {of_run}, the plan's {planned}; restore it from a copy"
            )
    if not isinstance(plan.model, Factory) and not models.is_code(plan.model, header.model_code):
        raise RunError(
            f"the code of the model {plan.model} is not the one that {run} was begun with: restore that, or begin a new run"
        )
    if header.data != data:
        raise RunError(f"the data are not those that {run} was begun with: {advice}")
    return header


def _in_full(schedule: str) -> str:
    """The schedule in a header's full form; as it is, if it isn't a schedule."""
    try:
        return canonical(schedule)
    except UsageError:
        return schedule


def require_code(plan: Plan, run: Path, header: Header, key: Path | None, allowed: Factory | None) -> None:
    """RunError if the model of the plan is code that may not be run to resume the run at `run`.

    `key` is the file of the caller's own key (None: the default one), `allowed` the code that the
    caller named.
    """
    if not isinstance(plan.model, Factory):
        return
    if key is not None and key.resolve().is_relative_to(run.resolve()):
        raise RunError(
            f"the key file {key} lies in {run}, and may be a stranger's, as the run may be: name your own with --key-file, from where you keep it"
        )
    keys = [signer.public_key for signer in keyfile.load(key or keyfile.default_path())]
    named = [key for key in keys if key.encode() in header.keys]
    own = Consent.OWN_RUN if named and _signed_by(run, named) else Consent.NOBODY
    why = refusal(plan.model, run, header.model_code, Consent.NAMED if allowed == plan.model else own)
    if why is not None:
        raise RunError(f"the code of the model {plan.model}, with which {run} was begun, is not run: {why}")


def _signed_by(run: Path, keys: Sequence[PublicKey]) -> bool:
    """Whether the run's private header is signed by these keys; for an earlier version's run, which
    has no such signature, whether its checkpoint is, and covers its records, the first of which is
    that header."""
    layout = Layout(run)
    _, leaf = read_header(layout)
    if (own := is_own(layout, leaf, keys)) is not None:
        return own
    try:
        with RunFolder(run) as reader:
            head = parse_checkpoint(open_note(reader.checkpoint(), keys).text)
            with reader.opened(f"{LOG}/{RECORDS}", MAX_LOG) as file:
                leaves = whole_leaves(file)[0][: head.size]  # a torn last one is no fault here
        return len(leaves) == head.size > 0 and leaves[0] == leaf and root([leaf_hash(x) for x in leaves]) == head.root
    except UnreadableError:
        raise
    except VerificationError:
        return False
