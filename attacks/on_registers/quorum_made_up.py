"""Attack: be one's own witness, or come with fewer than the auditor asks for.

Gain: a register that seems to be held by witnesses who keep to one branch.

Why it fails: only witnesses that the auditor's own tlog-policy names count, and only in a set that
it calls a quorum; what is demanded is demanded of all records, and a wrong
cosignature in the name of one of them is refused (step 4).
"""

from collections.abc import Sequence
from hashlib import sha256

from attacks.tools.outcome import Outcome
from attacks.tools.register_tree import Tree
from attacks.tools.registered import NOON, PLACES, Attempt, Submission, Trainer, outcome
from zk_autograd.core.anchors import Receipt
from zk_autograd.core.cosigner import Ed25519Cosigner
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.core.note import parse_unverified, signature_line
from zk_autograd.core.tlog_policy import TlogPolicy, parse
from zk_autograd.verify.anchor_demands import AnchoredBy

GAIN = "a register that seems to be held by witnesses"


def witness(name: str) -> Ed25519Cosigner:
    """A witness of this name."""
    return Ed25519Cosigner(Ed25519Signer(f"{name}.example/witness", sha256(name.encode()).digest()))


WITNESSES = tuple(witness(name) for name in ("one", "two", "three"))
OWN = tuple(witness(name) for name in ("mine", "my-own"))


def two_of_three() -> TlogPolicy:
    """What the auditor trusts."""
    names = ("one", "two", "three")
    lines = [f"witness {name} {by.public_key.encode()}" for name, by in zip(names, WITNESSES, strict=True)]
    return parse("\n".join([*lines, "group most 2 one two three", "quorum most", ""]).encode())


def cosigned(tree: Tree, size: int, by: Sequence[Ed25519Cosigner], over: int | None = None) -> Receipt:
    """A receipt for the first `size` entries, with cosignatures over the first `over`."""
    text = parse_unverified(tree.note(over or size)).text
    lines = [signature_line(one.public_key.name, one.public_key.key_id, one.cosign(text, NOON)) for one in by]
    return tree.receipt(size, "witness", signatures="".join(lines))


def _submitted(trainer: Trainer, by: Sequence[Ed25519Cosigner], over: int | None = None, size: int = 5) -> Submission:
    tree = trainer.tree()
    trust, demands = {"witness": two_of_three()}, (AnchoredBy(("witness",)),)
    return trainer.submit(tree.views(*PLACES), [cosigned(tree, size, by, over)], anchors=trust, demands=demands)


def own_witnesses(trainer: Trainer) -> Submission:
    """Two witnesses of the trainer's own."""
    return _submitted(trainer, OWN)


def one_of_three(trainer: Trainer) -> Submission:
    """One of those that the auditor trusts, and two of the trainer's own."""
    return _submitted(trainer, (WITNESSES[0], *OWN))


def over_another_tree(trainer: Trainer) -> Submission:
    """Two that the auditor trusts, who cosigned an earlier tree."""
    return _submitted(trainer, WITNESSES[:2], over=4)


def stale(trainer: Trainer) -> Submission:
    """Two that the auditor trusts, for the begin; nothing after it was anchored."""
    return _submitted(trainer, WITNESSES[:2], size=2)


ATTEMPTS = (
    Attempt("witnesses of one's own", "found no anchor that counts", own_witnesses),
    Attempt("fewer than the quorum", "found no anchor that counts", one_of_three),
    Attempt("of the begin alone", "found no anchor that counts", stale),
    Attempt("cosignatures over another tree", "anchors/receipts.jsonl, line 1", over_another_tree),
)


def run() -> Outcome:
    """All attempts."""
    return outcome("a quorum made up", GAIN, ATTEMPTS)
