"""Attack: write by hand the receipt of a service that the trainer owns.

Gain: a run that seems to lie in a bucket under an object lock, or in a table, and lies nowhere: the
trainer stays free to exchange it.

Why it fails: whoever can write a text can write such a receipt. So it is the trainer's word, and no
demand is met by it; and the service that an auditor asks doesn't hold it, or holds something else:
the report says so, and the exit status is 3 (step 4).
"""

from hashlib import sha256

from attacks.tools.outcome import Outcome
from attacks.tools.register_tree import Tree
from attacks.tools.registered import NOON, PLACES, Attempt, Submission, Trainer, asked, outcome
from zk_autograd.core.anchors import Kept, Receipt
from zk_autograd.core.canonical import Json
from zk_autograd.verify.anchor_demands import AnchoredBy

GAIN = "a run that seems to lie where nobody can exchange it"
BUCKET, TABLE = "trainers-bucket", "trainers-table"
MADE_UP = sha256(b"nothing").hexdigest()


def s3(tree: Tree, size: int) -> Receipt:
    """Of an object that isn't there."""
    key = f"{tree.origin.rpartition('/')[2]}/{1:020d}"
    times: dict[str, Json] = {"modified": NOON, "retain_until": NOON + 10**8}
    return tree.receipt(
        size, "s3", bucket=BUCKET, key=key, version="1", etag='"1"', mode="COMPLIANCE", sha256=MADE_UP, **times
    )


def dynamodb(tree: Tree, size: int) -> Receipt:
    """Of an item that isn't there."""
    return tree.receipt(size, "dynamodb", table=TABLE, number=1, sha256=MADE_UP)


def s3_demanded(trainer: Trainer) -> Submission:
    """For an auditor who demands it, and asks nobody."""
    tree = trainer.tree()
    return trainer.submit(tree.views(*PLACES), [s3(tree, 5)], demands=(AnchoredBy(("s3",)),))


def dynamodb_demanded(trainer: Trainer) -> Submission:
    """The same of a table."""
    tree = trainer.tree()
    return trainer.submit(tree.views(*PLACES), [dynamodb(tree, 5)], demands=(AnchoredBy(("dynamodb",)),))


def s3_asked(trainer: Trainer) -> Submission:
    """For an auditor who asks the bucket: it is empty."""
    tree = trainer.tree()
    return trainer.submit(tree.views(*PLACES), [s3(tree, 5)], online=asked((), "s3", BUCKET))


def dynamodb_asked(trainer: Trainer) -> Submission:
    """For an auditor who asks the table: another publication has that number."""
    tree = trainer.tree()
    first = Kept(tree.note(2), 0, tuple(entry.encode() for entry in tree.entries[:2]), {"table": TABLE, "number": 1})
    return trainer.submit(tree.views(*PLACES), [dynamodb(tree, 5)], online=asked((first,), "dynamodb", TABLE))


ATTEMPTS = (
    Attempt("of S3, demanded", "found no anchor that counts", s3_demanded),
    Attempt("of DynamoDB, demanded", "found no anchor that counts", dynamodb_demanded),
    Attempt("of S3, asked", "does not hold what 1 receipt of s3 says", s3_asked),
    Attempt("of DynamoDB, asked", "does not hold what 1 receipt of dynamodb says", dynamodb_asked),
)


def run() -> Outcome:
    """All attempts."""
    return outcome("a receipt written by hand", GAIN, ATTEMPTS)
