"""Whether a run is the caller's own, and what its private plan says, checked before any code that
it names is imported, any anchor opened and any register read."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from zk_autograd.core.cells import Cells
from zk_autograd.core.errors import RunError, StorageError, UnreadableError, UsageError, VerificationError
from zk_autograd.core.keys import PublicKey, parse_keys
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.note import open_note, parse_checkpoint
from zk_autograd.core.records import Data, Header, header_digest
from zk_autograd.credentials import keyfile
from zk_autograd.credentials.rotation import earlier_keys
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.evidence.layout import LOG, MAX_LOG, RECORDS
from zk_autograd.optim.registering import Registering
from zk_autograd.optim.schedule import canonical
from zk_autograd.run.exact_files import ExactFiles
from zk_autograd.run.files import exists
from zk_autograd.run.layout import Layout
from zk_autograd.run.log import whole_leaves
from zk_autograd.run.recovery import is_own, read_header
from zk_autograd.train.names import Factory
from zk_autograd.train.own_code import Consent, refusal
from zk_autograd.train.plan import Plan
from zk_autograd.train.settings import L1, L3, Settings


def require_plan(plan: Plan, run: Path, data: Data | Cells | None, advice: str) -> Header:
    """The header of the run at `run`, if it is of this plan on these data: what its header says of
    them, or for exact gradients the cells, int32 (rows, stride). RunError, which gives `advice` if
    the data are others."""
    header, leaf = read_header(Layout(run))
    pairs: dict[str, tuple[object, object]] = {
        "rule": (header.rule.value, plan.rule.value),
        "schedule": (header.schedule, _in_full(plan.schedule)),
        "prover": (header.prover.backend, plan.prover),
        "level": (L1 if header.exact is None else L3, plan.level),
        "grad_scale": (header.grad_scale, header.grad_scale if plan.grad_scale == "auto" else plan.grad_scale),
    }
    for what, (of_run, planned) in pairs.items():
        if of_run != planned:
            raise RunError(
                f"{run} is not the run of its private plan: its {what} is {of_run}, the plan's {planned}; restore it from a copy"
            )
    from zk_autograd.train import models  # torch, which zk-run and zk-anchor don't wait for

    if not isinstance(plan.model, Factory) and not models.is_code(plan.model, header.model_code):
        raise RunError(
            f"the code of the model {plan.model} is not the one that {run} was begun with: restore that, or begin a new run"
        )
    if isinstance(data, np.ndarray):
        same = np.array_equal(ExactFiles.read(Layout(run), header, header_digest(leaf)).cells, data)
    else:
        same = header.data == data
    if not same:
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
    if key is not None and _lies_in(key, run):
        raise RunError(
            f"the key file {key} lies in {run}, and may be a stranger's, as the run may be: name your own with --key-file, from where you keep it"
        )
    keys = [signer.public_key for signer in keyfile.load(key or keyfile.default_path())]
    named = [key for key in keys if key.encode() in header.keys]
    own = Consent.OWN_RUN if named and _signed_by(run, named) else Consent.NOBODY
    why = refusal(plan.model, run, header.model_code, Consent.NAMED if allowed == plan.model else own)
    if why is not None:
        raise RunError(f"the code of the model {plan.model}, with which {run} was begun, is not run: {why}")


def require_registering(plan: Plan, settings: Settings, run: Path, key: Path | None) -> None:
    """RunError if what the plan of the run at `run` says of register and anchors would be used, as
    the settings don't say it, and nothing says that the run is the caller's. `key` as in
    `is_callers`."""
    if plan.says_where(settings) and not is_callers(run, key):
        raise RunError(
            f"{run} names a register or anchors, and may be a stranger's, as its private header isn't signed by your key: name the key "
            "that it was begun with, with --key-file, from where you keep it; or say yourself, with --register and --anchor"
        )


def own_registering(run: Path, key: Path | None = None) -> Registering | None:
    """What the private plan of the caller's own run says of its register and anchors; None if there
    is no plan, or nothing says that the run is theirs. `key` as in `is_callers`. RunError and
    StorageError for a plan that can't be read."""
    if not exists(Layout(run).plan) or not is_callers(run, key):
        return None
    return Plan.read(run).registering


def is_callers(run: Path, key: Path | None = None) -> bool:
    """Whether the private header of the run at `run` is signed by the caller's key: the one in the
    file `key`, which mayn't lie in the run, or (None) the default one, or one that was there
    before. Its public half is enough.

    A log that the key signed doesn't say it: everybody has that. UsageError for a file without a
    key, StorageError.
    """
    layout = Layout(run)
    if not exists(layout.header) or (key is not None and _lies_in(key, run)):
        return False
    try:
        header, leaf = read_header(layout)
        for keys in _of_default_place() if key is None else [_in_file(key)]:
            own = [one for one in keys if one.encode() in header.keys]
            if own and is_own(layout, leaf, own):
                return True
    except StorageError:
        raise
    except RunError:  # what isn't whole says nothing
        return False
    return False


def _of_default_place() -> Iterator[Sequence[PublicKey]]:
    """The keys at the default place, and those that were there before."""
    with suppress(UsageError, OSError):
        path = keyfile.default_path()
        for file in (path, *earlier_keys(path)):
            with suppress(UsageError):
                yield _in_file(file)


def _in_file(path: Path) -> Sequence[PublicKey]:
    """The keys of a key file: by its public half, if there is one. UsageError."""
    with suppress(VerificationError, UnicodeDecodeError):
        if text := keyfile.read_public_half(path):
            return parse_keys(text.decode())
    return [signer.public_key for signer in keyfile.load(path)]


def _lies_in(key: Path, run: Path) -> bool:
    return key.resolve().is_relative_to(run.resolve())


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
