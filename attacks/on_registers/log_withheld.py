"""Attack: cut off a log behind what the register already has of it, or have two views of one log in
one register.

Gain: the bad end of a training disappears, under a true checkpoint that the trainer signed before;
or each of two auditors gets the history that suits.

Why it fails: an entry of more records than are shown is refused, unless the auditor chose the root
themselves. Who leaves the entry out is told apart by nobody offline, and the report says so; an
auditor who asks an anchor for all entries sees it. Two roots for as many records of one run are
refused wherever they stand (step 4).
"""

from dataclasses import replace

from attacks.tools.forge import Forgery
from attacks.tools.outcome import Outcome
from attacks.tools.registered import PLACES, Attempt, Submission, Trainer, asked, held, outcome

GAIN = "the end of a training that nobody sees, or another one for each auditor"


def cut(trainer: Trainer) -> Forgery:
    """The run with its first segment alone, signed as it was then."""
    forgery = trainer.forgery()
    forgery.segments, forgery.close = forgery.segments[:1], None
    return forgery


def behind_an_entry(trainer: Trainer) -> Submission:
    """Records cut off; the register's entries are all shown."""
    return trainer.submit(trainer.tree().views(*PLACES), forgery=cut(trainer))


def with_the_entry_left_out(trainer: Trainer) -> Submission:
    """Records cut off and the entry over them left out, for an auditor who asks."""
    tree = trainer.tree()
    return trainer.submit(tree.views(*PLACES[:2]), forgery=cut(trainer), online=asked(held(tree, 2, 4, 5)))


def another_view(trainer: Trainer) -> Submission:
    """The entry is over another first segment than the one that is shown."""
    tree = trainer.tree()
    tree.entries[3] = replace(tree.entries[3], root=bytes(32))
    return trainer.submit(tree.views(*PLACES))


def another_view_kept_back(trainer: Trainer) -> Submission:
    """The register has entries of both views; each auditor is shown theirs, and this one asks."""
    tree = trainer.tree()
    tree.entries.append(replace(tree.entries[3], root=bytes(32)))
    return trainer.submit(tree.views(*PLACES), online=asked(held(tree, 2, 4, 7)))


ATTEMPTS = (
    Attempt("cut off behind an entry", "more of this run's records than are shown", behind_an_entry),
    Attempt("and the entry left out", "more of this run's records than are shown", with_the_entry_left_out),
    Attempt("another view in the register", "two views of one log", another_view),
    Attempt("another view kept back", "two views of one log", another_view_kept_back),
)


def run() -> Outcome:
    """All attempts."""
    return outcome("a log cut off behind its register", GAIN, ATTEMPTS)
