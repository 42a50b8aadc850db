"""A witness's folder: its keys and its database, which are made together.

    witness.key         the secret keys (witness.keyfile)
    witness.key.pub     their public halves
    witness.sqlite      what it cosigned (witness.store)

Whoever restores the folder from an older copy makes a witness that has forgotten, and that cosigns
a second branch of a log: then make a new witness instead, with new keys.
"""

import os
from pathlib import Path

from zk_autograd.evidence.fork_evidence import ForkEvidence, SignedHead
from zk_autograd.local.named_files import refusal
from zk_autograd.local.own_folders import home, make_own, require_own
from zk_autograd.witness import keyfile
from zk_autograd.witness.judging import Witness
from zk_autograd.witness.store import Store


def default_folder() -> Path:
    """witness/ in the user's state folder (XDG_STATE_HOME, if it is absolute). UsageError if there
    is neither that nor a home folder."""
    named = os.environ.get("XDG_STATE_HOME", "")
    state = Path(named) if os.path.isabs(named) else home("name the witness's folder, with --dir") / ".local/state"
    return state / "zk-autograd" / "witness"


class Folder:
    """The witness in a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.key_file = self.path / "witness.key"
        self._database = self.path / "witness.sqlite"

    def create(self, name: str) -> list[str]:
        """Makes a witness of this name, and the folder; gives its public keys' texts. UsageError if
        there is one, or others could exchange it; StorageError if the system refuses."""
        try:
            make_own(self.path)
        except OSError as error:
            raise refusal(error, f"the folder {self.path} can't be made", "name another, with --dir") from error
        require_own(self.path, "close it to them, or name another, with --dir")
        Store.create(self._database)
        try:
            cosigners = keyfile.create(self.key_file, name)
        except BaseException:
            self._database.unlink()
            raise
        return [cosigner.public_key.encode() for cosigner in cosigners]

    def store(self) -> Store:
        """The database. UsageError if there is none."""
        return Store(self._database)

    def witness(self) -> Witness:
        """The witness itself. UsageError if keys or database are missing, or aren't what they must
        be."""
        cosigners = keyfile.load(self.key_file)
        return Witness(self.store(), cosigners)

    def evidence(self, origin: str) -> ForkEvidence | None:
        """Two notes of the log that are kept, of one size and with two roots, each signed by all of
        the log's keys; None if there are none."""
        first: dict[int, SignedHead] = {}
        with self.store().transaction(writing=False) as transaction:
            notes = transaction.notes(origin)
        for head in map(SignedHead.parse, notes):
            other = first.setdefault(head.checkpoint.size, head)
            if other.checkpoint.root != head.checkpoint.root:
                return ForkEvidence.of(other, head)
        return None
