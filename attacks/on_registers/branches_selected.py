"""Attack: keep two branches of the register, and show each auditor receipts of the one that suits.

Gain: two histories under one key: in the one a run was begun and failed, in the other it never was;
each with true receipts of true anchors.

Why it fails: each checkpoint that the run shows continues the one before, and each receipt is for
one of them, so receipts of two branches never pass together. A receipt alone can't show that there
is no other branch, and the report says so; who asks the anchor for all that it holds sees both
(step 4).
"""

from dataclasses import replace

from attacks.tools.outcome import Outcome
from attacks.tools.register_tree import Tree
from attacks.tools.registered import PLACES, Attempt, Submission, Trainer, asked, held, outcome
from zk_autograd.core.register import Kind

GAIN = "two histories under one key, each with true receipts"


def branch(trainer: Trainer) -> Tree:
    """The same register without the failed run's second entry; another run's stands there."""
    tree = trainer.tree()
    tree.entries[2] = replace(tree.entries[5], kind=Kind.BEGIN)
    return tree


def receipt_of_the_other(trainer: Trainer) -> Submission:
    """The run's views are of one branch, the newest receipt of the other."""
    tree, other = trainer.tree(), branch(trainer)
    receipts = [tree.receipt(4, "file", line=0), other.receipt(5, "file", line=1)]
    return trainer.submit(tree.views(*PLACES), receipts)


def views_of_both(trainer: Trainer) -> Submission:
    """The run's views change the branch where it suits, and so do its receipts."""
    tree, other = trainer.tree(), branch(trainer)
    views = [*tree.views(*PLACES[:2]), other.view(4, 5, 4)]
    return trainer.submit(views, [tree.receipt(4, "file", line=0), other.receipt(5, "file", line=1)])


def two_roots_for_one_size(trainer: Trainer) -> Submission:
    """Both checkpoints of one size stand in the run's file."""
    tree, other = trainer.tree(), branch(trainer)
    return trainer.submit([*tree.views(*PLACES), other.view(4, 5, 5)])


def for_one_who_asks(trainer: Trainer) -> Submission:
    """The run is of one branch throughout; the anchor holds both."""
    tree, other = trainer.tree(), branch(trainer)
    kept = [*held(tree, 2, 4, 5), *held(other, 3, 6)]
    return trainer.submit(tree.views(*PLACES), online=asked(kept))


def for_one_who_asks_two(trainer: Trainer) -> Submission:
    """Each anchor holds one branch: they part behind all that the run shows."""
    tree = trainer.tree()
    other = replace(tree, entries=[*tree.entries[:5], replace(tree.entries[5], root=bytes(32))])
    services = (*asked(held(tree, 2, 5, 6)), *asked(held(other, 2, 5, 6), place="another"))
    return trainer.submit(tree.views(*PLACES), online=services)


def signed_by_one_key(trainer: Trainer) -> Submission:
    """The other branch lies beside the one that is shown, and only one of the keys signed it."""
    tree = trainer.tree()
    other = replace(branch(trainer), signers=tree.signers[:1], origin=tree.origin)
    return trainer.submit(tree.views(*PLACES), online=asked([*held(tree, 2, 4, 5), *held(other, 3, 5)]))


ATTEMPTS = (
    Attempt("a receipt of the other branch", "is for another tree head", receipt_of_the_other),
    Attempt("views of both branches", "consistency", views_of_both),
    Attempt("two roots for one size", "two branches: two roots for its first 5 entries", two_roots_for_one_size),
    Attempt("for an auditor who asks", "two branches: two roots for its first", for_one_who_asks),
    Attempt("for one who asks two anchors", "two branches: two roots for its first", for_one_who_asks_two),
    Attempt("the other signed by one key", "signed both", signed_by_one_key),
)


def run() -> Outcome:
    """All attempts."""
    return outcome("receipts of two branches", GAIN, ATTEMPTS)
