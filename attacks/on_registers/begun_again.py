"""Attack: begin one run again and again, until its beacon pleases.

Gain: first weights of one's own choice that an anchored beacon seems to have chosen. The header is
fixed and entered; then its begin is entered once more, each time anchored and with another beacon;
the run shows the last one alone.

Why it fails: the register has each begin, and who asks an anchor for all entries finds a run that
was begun more than once, even at an anchor that has no more than the first of them (step 4). Nobody
else does, and step 6 says so.
"""

from attacks.tools.outcome import Outcome
from attacks.tools.register_tree import Tree
from attacks.tools.registered import Attempt, Submission, Trainer, asked, held, outcome

GAIN = "first weights of one's own choice, and a beacon that seems to have chosen them"
TIMES = 5
VIEWS = ((TIMES - 1, TIMES), (TIMES, TIMES + 1))
"""The run's views: its last begin, and its close."""


def ground(trainer: Trainer) -> Tree:
    """The register in which the run was begun so often."""
    tree = trainer.tree()
    return Tree(tree.signers, [*[tree.entries[1]] * TIMES, tree.entries[4]])


def last_of_many(trainer: Trainer) -> Submission:
    """The anchor has all of it."""
    tree = ground(trainer)
    return trainer.submit(tree.views(*VIEWS), online=asked(held(tree, 1, TIMES, TIMES + 1)))


def before_the_shown(trainer: Trainer) -> Submission:
    """The anchor has the first begin, and was down since."""
    tree = ground(trainer)
    return trainer.submit(tree.views(*VIEWS), online=asked(held(tree, 1)))


def after_the_shown(trainer: Trainer) -> Submission:
    """The first beacon pleased after all."""
    tree = ground(trainer)
    views = tree.views((0, 1), VIEWS[1])
    return trainer.submit(views, online=asked(held(tree, 1, TIMES + 1)))


ATTEMPTS = (
    Attempt("the last begin is shown", "begins this run, which shows a later begin", last_of_many),
    Attempt("at an anchor with the first", "begins this run, which shows a later begin", before_the_shown),
    Attempt("the first begin is shown", "a second time", after_the_shown),
)


def run() -> Outcome:
    """All attempts."""
    return outcome("one run begun many times", GAIN, ATTEMPTS)
