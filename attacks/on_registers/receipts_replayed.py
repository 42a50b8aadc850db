"""Attack: take a true receipt for something that it is not for.

Gain: a run that looks anchored by others, at a time of the trainer's choice, and isn't.

Why it fails: a receipt counts for the register's tree head that it is for, and only if the run
shows that checkpoint, signed by all pinned keys; how many of the run's records that head covers is
computed, not told (step 4).
"""

from dataclasses import replace

from attacks.tools.outcome import Outcome
from attacks.tools.register_tree import Tree
from attacks.tools.registered import FAILED_RUN, PLACES, Attempt, Submission, Trainer, outcome

GAIN = "a run that looks anchored, and isn't"


def of_another_runs_checkpoint(trainer: Trainer) -> Submission:
    """The register was anchored for the failed run, at a size that this run doesn't show."""
    tree = trainer.tree()
    return trainer.submit(tree.views(*PLACES), [tree.receipt(3, "file", line=0)])


def of_a_later_append(trainer: Trainer) -> Submission:
    """What was anchored is the register after another run was begun."""
    tree = trainer.tree()
    return trainer.submit(tree.views(*PLACES), [tree.receipt(6, "file", line=0)])


def of_another_register(trainer: Trainer) -> Submission:
    """The same size, of another trainer's register."""
    tree = trainer.tree()
    other = Tree(tree.signers, [FAILED_RUN] * 5)
    return trainer.submit(tree.views(*PLACES), [other.receipt(5, "file", line=0)])


def as_another_kind(trainer: Trainer) -> Submission:
    """The trainer's own file's receipt, called a witness's."""
    tree = trainer.tree()
    return trainer.submit(tree.views(*PLACES), [replace(tree.receipt(5, "file", line=0), kind="witness")])


def truncated(trainer: Trainer) -> Submission:
    """A receipt cut off in its middle."""
    tree = trainer.tree()
    return trainer.submit(tree.views(*PLACES), [tree.receipt(5, "file", line=0).encode()[:-20]])


ATTEMPTS = (
    Attempt("of another run's checkpoint", "that the run does not show", of_another_runs_checkpoint),
    Attempt("of a later append", "that the run does not show", of_a_later_append),
    Attempt("of another register", "is for another tree head", of_another_register),
    Attempt("as another kind", "anchors/receipts.jsonl, line 1", as_another_kind),
    Attempt("truncated", "anchors/receipts.jsonl, line 1", truncated),
)


def run() -> Outcome:
    """All attempts."""
    return outcome("a receipt for something else", GAIN, ATTEMPTS)
