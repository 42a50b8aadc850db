"""Attack: come with the entries of another trainer, another run, or another header.

Gain: a place in a register that somebody else kept well, or the early begin of a run that was
prepared for it.

Why it fails: the checkpoints must be signed by all pinned keys, each entry must be this run's, and
the begin is over this very header (step 4). That the header names the register of its own keys is
seen when it is read (step 1).
"""

from dataclasses import replace
from hashlib import sha256

from attacks.tools.outcome import Outcome
from attacks.tools.registered import PLACES, Attempt, Submission, Trainer, outcome
from zk_autograd.core.keys import Ed25519Signer

GAIN = "a place in a register that the run doesn't have"
STRANGER = Ed25519Signer("trainer", sha256(b"another trainer's key").digest())


def anothers_views(trainer: Trainer) -> Submission:
    """The entries stand in another trainer's register, signed by them under this one's origin."""
    tree = trainer.tree()
    tree.signers = (STRANGER,)
    return trainer.submit(tree.views(*PLACES))


def one_key_broken(trainer: Trainer) -> Submission:
    """Signed with one of the trainer's two keys."""
    tree = trainer.tree()
    tree.signers = tree.signers[:1]
    return trainer.submit(tree.views(*PLACES))


def another_runs_entries(trainer: Trainer) -> Submission:
    """The failed run's begin in the place of this one's."""
    return trainer.submit(trainer.tree().views((0, 1), (3, 4), (4, 5)))


def another_header(trainer: Trainer) -> Submission:
    """The begin is over a header that was exchanged afterwards: with another learning rate."""
    tree = trainer.tree()
    forgery = trainer.forgery()
    forgery.header = replace(forgery.header, grad_scale=1)
    return trainer.submit(tree.views(*PLACES), forgery=forgery)


def not_in_it(trainer: Trainer) -> Submission:
    """The close was never entered: its entry stands in the file, with hashes made up."""
    tree = trainer.tree()
    close = tree.entries[4]
    tree.entries[4] = tree.entries[5]
    third = replace(tree.view(4, 5, 4), entry=close)
    return trainer.submit([*tree.views(*PLACES[:2]), third])


ATTEMPTS = (
    Attempt("another trainer's checkpoints", "is not signed by the key", anothers_views),
    Attempt("with one of the trainer's two keys", "is not signed by the key", one_key_broken),
    Attempt("another run's entries", "the entry is another run's", another_runs_entries),
    Attempt("the begin of another header", "another root for the run's first 1 record", another_header),
    Attempt("an entry that is not in it", "inclusion", not_in_it),
)


def run() -> Outcome:
    """All attempts."""
    return outcome("a borrowed place in a register", GAIN, ATTEMPTS)
