"""The auditor's door: one call that judges a run as `zk-verify` does. It needs neither torch nor
anything of the trainer's side."""

from collections.abc import Iterable
from pathlib import Path

from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.progress import Progress, silent
from zk_autograd.evidence.opening import open_run
from zk_autograd.prove.systems import Systems
from zk_autograd.verify.outcome import Level
from zk_autograd.verify.policy import Policy, TreeHead
from zk_autograd.verify.report import Report
from zk_autograd.verify.verifier import Verifier


def verify_run(
    run: str | Path,
    keys: Iterable[str | PublicKey] = (),
    *,
    require: Iterable[str] = ("L1",),
    root: str | None = None,
    srs: Iterable[str] = (),
    sample: int | None = None,
    beacon: str | None = None,
    accept_sample: bool = False,
    accept_uncovered: Iterable[str] = (),
) -> Report:
    """The report on the run at `run`, a folder or a bundle.

    `keys` are public keys of the trainer that you have from elsewhere than the run, as `zk-key
    show` prints them: all of them must have signed it, and without any the verdict is UNPINNED.
    `root` is a ROOT@SIZE that you have from elsewhere. `srs` are digests, 64 hexadecimal digits, of
    SRS files that the trainer can't have made, besides those of public ceremonies. The others are
    zk-verify's flags.

    What is false or missing is told in the report (`failure`, `missing`, `exit_status`). Raises
    UsageError for what is not a run, or arguments that no auditor can mean; UnreadableError if this
    machine doesn't let the run be opened.

    >>> from zk_autograd import verify_run
    >>> key = "zk-autograd-test+e90c78e4+AZ0r+vfOrGTnJ6hdbCr0uu0cJlDlp8do5ACZHUDmqt2t"
    >>> report = verify_run("tests/data/runs/native-finished", keys=[key])
    >>> report.verdict
    'L0, L1'
    >>> [claim.what for claim in report.claims if claim.source.value == "proved"]
    ['each optimizer step, 1..6', 'that the published weights are those of the last record']
    """
    try:
        levels = frozenset(Level(level) for level in require)
        digests = frozenset(bytes.fromhex(digest) for digest in srs)
        pinned = tuple(key if isinstance(key, PublicKey) else PublicKey.parse(key) for key in keys)
    except (ValueError, VerificationError) as error:
        raise UsageError(f"not a key, a level or a digest: {error}") from error
    policy = Policy(
        keys=pinned,
        srs=digests,
        require=levels,
        head=None if root is None else TreeHead.parse(root),
        sample=sample,
        beacon=beacon,
        accept_sample=accept_sample,
        accept_uncovered=frozenset(accept_uncovered),
    )
    return judge(Path(run), policy)


def judge(run: Path, policy: Policy, progress: Progress = silent) -> Report:
    """The report on the run at `run` under `policy`, with every backend that this package has. As
    `verify_run`."""
    with open_run(run) as files:
        return Verifier(policy, Systems()).verify(files, progress)
