"""The files that an auditor has to compute a run's gradients again, as the verifier takes them."""

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from zk_autograd.core import cells as cells_format
from zk_autograd.core.cells import Cells
from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.core.graph import Graph
from zk_autograd.evidence.data_secrets import DataSecrets
from zk_autograd.evidence.finding import Found, require_outside_run
from zk_autograd.evidence.layout import MAX_CELLS
from zk_autograd.evidence.table_cells import cells_from_table
from zk_autograd.local import csv_file
from zk_autograd.local.csv_name import CSV, CsvFile
from zk_autograd.local.named_files import read_named
from zk_autograd.vault import recipient_files
from zk_autograd.vault.errors import VaultError
from zk_autograd.vault.holder.recipient import RecipientKey
from zk_autograd.vault.openings import opened
from zk_autograd.verify.challenge import MAX_CHALLENGE, Challenge
from zk_autograd.verify.replay import Replay


@dataclass(frozen=True, slots=True)
class Given:
    """The files that an auditor has to compute a run's gradients again: the data, the openings, the
    key that these are sealed for, and a challenge of their own. None: there is none."""

    data: Path | None = None
    openings: Path | None = None
    recipient_key: Path | None = None
    challenge: Path | None = None


def replay_of(given: Given, found: Found, stack: ExitStack) -> Replay:
    """What the files are, for the verifier; `stack` closes what is open. The data and the openings
    are read when the verifier asks for them. UsageError for files that don't go together, a key or
    a challenge that can't be read, and a challenge in the run's folder: whoever made the run could
    have drawn it."""
    if given.openings is None or given.recipient_key is None:
        raise UsageError(
            "to compute gradients again takes --openings, which the trainer made for you, and --recipient-key, the key that they are sealed "
            "for; --data and --challenge go with them"
        )
    path, key = given.openings, recipient_files.load(given.recipient_key)
    challenge = None
    if given.challenge is not None:
        require_outside_run(given.challenge, found.run, "--challenge")
        challenge = Challenge.parse(read_named(given.challenge, "--challenge", MAX_CHALLENGE))
    return Replay(
        lambda run: _opened(path, key, run, stack),
        None if given.data is None else partial(_cells, given.data),
        challenge,
    )


def _opened(path: Path, key: RecipientKey, run: bytes, stack: ExitStack) -> BinaryIO:
    try:
        return stack.enter_context(opened(path, key, run))
    except VaultError as error:  # the auditor's file is another, or was changed on its way
        raise UsageError(f"--openings {error}") from error


def _cells(path: Path, graph: Graph, secrets: DataSecrets | None) -> Cells:
    """The cells of a file of cells, or of a table, as the secrets say how."""
    path = Path(str(path).removeprefix(CSV))
    try:
        content = read_named(path, "--data", MAX_CELLS)
    except UsageError as error:  # such as the name of a built-in set
        raise UsageError(
            f"{error}; name the file that the trainer wrote with `zk-run open --cells`, or the table that the run was trained on"
        ) from error
    if not content.startswith(cells_format.FORMAT):
        return _cells_of_table(path, content, graph, secrets)
    try:
        cells, features = cells_format.parsed(content)
    except VerificationError as error:
        raise UsageError(f"--data {path}: {error}") from error
    if features != graph.features:
        raise VerificationError(
            "the data that were given have another number of features than the graph",
            expected=str(graph.features),
            found=str(features),
        )
    return cells


def _cells_of_table(path: Path, content: bytes, graph: Graph, secrets: DataSecrets | None) -> Cells:
    table = None if secrets is None else secrets.table
    if table is None:
        raise UsageError(
            f"--data {path} is no file of cells, and the openings don't say how cells are made from a table: give what the trainer wrote "
            "with `zk-run open --cells`"
        )
    found = csv_file.parsed(content, CsvFile(str(path), table.label))
    labels = [found.names[number] for number in found.classes]
    return cells_from_table(found.features, found.columns, labels, table, graph.targets)
