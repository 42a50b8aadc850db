"""Attack: remove a run that was begun from the register.

Gain: the runs that went wrong never were: the one that is shown looks like the first.

Why it fails: a register without an entry that it once had is another branch. Whoever holds a
checkpoint of the older one, or asks an anchor that does, sees two roots (step 4). Nobody else does,
and the report says that nothing shows how many runs were begun.
"""

from attacks.tools.outcome import Outcome
from attacks.tools.register_tree import Tree
from attacks.tools.registered import Attempt, Submission, Trainer, asked, held, outcome

GAIN = "runs that went wrong never were"
LEFT = ((0, 1), (1, 2), (2, 3))
"""The run's views in a register of its own."""


def cleaned(trainer: Trainer) -> Tree:
    """The register with this run's entries alone."""
    tree = trainer.tree()
    return Tree(tree.signers, [tree.entries[1], tree.entries[3], tree.entries[4]])


def rewritten(trainer: Trainer) -> Submission:
    """The anchor holds what was published while the failed run was in it."""
    return trainer.submit(cleaned(trainer).views(*LEFT), online=asked(held(trainer.tree(), 1, 2, 5)))


def published_beside(trainer: Trainer) -> Submission:
    """The new register was published, too."""
    clean = cleaned(trainer)
    kept = [*held(trainer.tree(), 1, 4), *held(clean, 2, 3)]
    return trainer.submit(clean.views(*LEFT), online=asked(kept))


ATTEMPTS = (
    Attempt("the register rewritten", "two branches", rewritten),
    Attempt("and published beside the old one", "two branches", published_beside),
)


def run() -> Outcome:
    """All attempts."""
    return outcome("a run removed from the register", GAIN, ATTEMPTS)
