"""The published model of a finished run, compared with its records: what statements are about."""

from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from zk_autograd.core.errors import RunError, UnreadableError, VerificationError
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.note import open_note
from zk_autograd.core.record_bytes import to_bytes
from zk_autograd.core.records import Close, Log
from zk_autograd.core.text import listed, quoted
from zk_autograd.evidence.layout import MODEL, PUBLISHED
from zk_autograd.evidence.model_files import max_bytes
from zk_autograd.evidence.opening import open_run
from zk_autograd.evidence.run import Evidence, digests
from zk_autograd.verify.artefacts import check_digests
from zk_autograd.verify.log import LogView, check_log, parse
from zk_autograd.verify.model import require_digest
from zk_autograd.verify.policy import TreeHead


@dataclass(frozen=True, slots=True)
class Published:
    """A run's records, its head, and the model's files, each with its SHA-256, by name.
    `signers` are the keys that signed it, of those that the header names; `genesis_digest` is the
    SHA-256 of the record of the first state."""

    log: Log
    close: Close
    head: TreeHead
    signers: tuple[str, ...]
    genesis_digest: bytes

    @property
    def model(self) -> tuple[tuple[str, bytes], ...]:
        return tuple(sorted(self.close.model))


def published(run: Path) -> Published:
    """That of the run at `run`, a folder or a bundle. Files are compared with the close record, and
    the records with the checkpoint's root, and its signatures are verified under the keys that the
    header names; nothing else is judged, which is zk-verify's part.

    RunError for a run that is unfinished or publishes no model, and for names in model/ that no
    record names. VerificationError for records or files that are not those that were recorded, or
    that no named key signed; UsageError for what is no run, UnreadableError for what can't be read
    here.
    """
    with open_run(run) as files:
        view, _ = parse(files, None)
        check_log(view, None)
        signers = _signers(view)
        close = view.log.close
        if close is None:
            raise RunError(
                f"{run} is unfinished: its log has no close record, so no model is its result; finish it first"
            )
        if not close.model:
            raise RunError(
                f"{run} publishes no model: its close record names none, so there is nothing to make a statement of"
            )
        _check_files(run, view.log, close, files)
        assert view.log.genesis is not None  # a close record follows it
        return Published(view.log, close, view.head, signers, sha256(to_bytes(view.log.genesis)).digest())


def _signers(view: LogView) -> tuple[str, ...]:
    """The texts of the header's keys that signed the checkpoint. VerificationError if none did."""
    found = []
    why = "it names none that is known here"
    for text in view.log.header.keys:
        try:
            open_note(view.note, [PublicKey.parse(text)])
        except UnreadableError:
            raise
        except VerificationError as error:
            why = str(error)
        else:
            found.append(text)
    if not found:
        raise VerificationError(f"the checkpoint is signed by no key that the header names: {why}")
    return tuple(found)


def _check_files(run: Path, log: Log, close: Close, files: Evidence) -> None:
    named = dict(close.model)
    if named.keys() != set(PUBLISHED):
        raise RunError(
            f"the close record of {run} does not name exactly {', '.join(PUBLISHED)}; no verifier accepts it"
        )
    limits = max_bytes(log.header)
    for path, found in digests(files, {f"{MODEL}/{name}": limits[name] for name in PUBLISHED}):
        name = path.removeprefix(f"{MODEL}/")
        require_digest(name, named[name], found)
    check_digests(log, files)
    with closing(files.entries(MODEL)) as entries:
        others = sorted(quoted(entry.name) for entry in entries if entry.name not in named)
    if others:
        raise RunError(
            f"{run / MODEL} holds what no record names: {listed(others, 5)}. Whoever loads the model would take it for signed; move it away"
        )
