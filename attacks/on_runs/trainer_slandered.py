"""Attack: without the trainer's key, make evidence of a fork that an honest trainer never made.

Gain: an honest trainer stands convicted, by a file that anybody can check.

Why it fails: nothing counts against a signer but what the signer signed (verify.consistency). Both
checkpoints must carry a valid signature of the pinned key and be of one origin; the hashes between
them must lead to the root that was signed for the larger size, and then what they say of its
beginning is true. Records that anybody put beside a true checkpoint count only if their root is the
signed one.
"""

import base64
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from attacks.tools.attempt import Scene
from attacks.tools.forge import Forgery
from attacks.tools.outcome import Outcome
from zk_autograd.core.keys import Ed25519Signer, PublicKey, Signer
from zk_autograd.core.merkle import consistency_proof, leaf_hash, root
from zk_autograd.core.note import checkpoint_text, sign
from zk_autograd.core.record_bytes import to_bytes
from zk_autograd.evidence.fork_evidence import ForkEvidence, SignedHead
from zk_autograd.evidence.layout import CHECKPOINT, LOG
from zk_autograd.verify.comparison import compare
from zk_autograd.verify.consistency import Decision, Verdict, decide

GAIN = "an honest trainer is convicted of two logs"
NAMESAKE = Ed25519Signer("trainer", sha256(b"another key of the trainer's name").digest())
SMALLER = 3
"""Records under the older of the trainer's two checkpoints."""


def false_prefix(scene: Scene) -> Decision:
    """The true proof, and another root for the beginning than the one that it leads to."""
    older, newer, leaves = _signed(scene)
    return _decided(scene, ForkEvidence.of(older, newer, bytes(32), consistency_proof(leaves, SMALLER, len(leaves))))


def false_proof(scene: Scene) -> Decision:
    """The hashes of a log that the attacker made, which lead to another root."""
    older, newer, _ = _signed(scene)
    leaves = _hashes(_other(scene).leaves())
    proof = consistency_proof(leaves, SMALLER, len(leaves))
    return _decided(scene, ForkEvidence.of(older, newer, root(leaves[:SMALLER]), proof))


def shorter_tree(scene: Scene) -> Decision:
    """A true proof between two other sizes of the trainer's own log."""
    older, newer, leaves = _signed(scene)
    proof = consistency_proof(leaves, SMALLER - 1, len(leaves))
    return _decided(scene, ForkEvidence.of(older, newer, root(leaves[: SMALLER - 1]), proof))


def false_records(scene: Scene) -> Decision:
    """The trainer's newest checkpoint beside records that the attacker made."""
    older, newer, _ = _signed(scene)
    path = _other(scene).write(scene.place())
    (path / LOG / CHECKPOINT).write_bytes(newer.note)
    return _compared(scene, older, path)


def another_key(scene: Scene) -> Decision:
    """Another log, signed by a key of the trainer's name."""
    leaves = _hashes(_other(scene).leaves())
    return _decided(scene, ForkEvidence.of(_signed(scene)[1], _head(scene, leaves, NAMESAKE)))


def key_id_of_the_trainer(scene: Scene) -> Decision:
    """As before, with the trainer's key ID on the signature line."""
    note = _head(scene, _hashes(_other(scene).leaves()), NAMESAKE).note
    text, line = note.decode().rsplit("\n\n", 1)
    dash, name, blob = line.split()
    raw = scene.victim.keys[0].key_id + base64.b64decode(blob)[4:]
    forged = SignedHead.parse(f"{text}\n\n{dash} {name} {base64.b64encode(raw).decode()}\n".encode())
    return _decided(scene, ForkEvidence.of(_signed(scene)[1], forged))


def old_signature(scene: Scene) -> Decision:
    """Another root over the trainer's signature."""
    newer = _signed(scene)[1]
    text = checkpoint_text(newer.checkpoint.origin, newer.checkpoint.size, bytes(32))
    forged = SignedHead.parse(text.encode() + newer.note[len(newer.parsed.text) :])
    return _decided(scene, ForkEvidence.of(newer, forged))


def another_run(scene: Scene) -> Decision:
    """A checkpoint of one size that the trainer did sign, of another run of theirs."""
    run = scene.victim.forgery()
    leaves = [to_bytes(replace(run.header, run=bytes(16))), *run.leaves()[1:]]
    origin = "zk-autograd/" + bytes(16).hex()
    other = SignedHead.parse(sign(checkpoint_text(origin, len(leaves), root(_hashes(leaves))), run.signers))
    return _decided(scene, ForkEvidence.of(_signed(scene)[1], other))


def _other(scene: Scene) -> Forgery:
    run = scene.victim.forgery()
    run.edit(0, loss=("0.1",) * len(run.segments[0].loss))
    return run


def _hashes(leaves: Sequence[bytes]) -> list[bytes]:
    return [leaf_hash(leaf) for leaf in leaves]


def _head(scene: Scene, leaves: Sequence[bytes], *signers: Signer) -> SignedHead:
    origin = scene.victim.forgery().header.origin
    return SignedHead.parse(sign(checkpoint_text(origin, len(leaves), root(leaves)), signers))


def _signed(scene: Scene) -> tuple[SignedHead, SignedHead, list[bytes]]:
    """Two checkpoints that the honest trainer signed, and the hashes of the records under them."""
    leaves = _hashes(scene.victim.forgery().leaves())
    signers = scene.victim.signers
    return _head(scene, leaves[:SMALLER], *signers), _head(scene, leaves, *signers), leaves


def _decided(scene: Scene, evidence: ForkEvidence) -> Decision:
    return decide(ForkEvidence.parse(evidence.encode()), _keys(scene))


def _compared(scene: Scene, older: SignedHead, run: Path) -> Decision:
    note = scene.place()
    note.write_bytes(older.note)
    return compare(str(note), str(run), _keys(scene)).decision


def _keys(scene: Scene) -> tuple[PublicKey, ...]:
    return scene.victim.keys


SLANDERS: dict[str, tuple[Callable[[Scene], Decision], str]] = {
    "a false beginning": (false_prefix, "does not lead to the first root"),
    "a false proof": (false_proof, "does not lead to the second root"),
    "a proof between other sizes": (shorter_tree, "consistency proof"),
    "false records beside a true checkpoint": (false_records, "are not those of its checkpoint"),
    "another key of the trainer's name": (another_key, "no pinned key signed both"),
    "the trainer's key ID on it": (key_id_of_the_trainer, "wrong signature by the key"),
    "another root over the trainer's signature": (old_signature, "wrong signature by the key"),
    "another run of the trainer's": (another_run, "two logs"),
}
"""Each with a few words of why nothing can be told."""


def run(scene: Scene) -> Outcome:
    """All slanders, of the victim's trainer."""
    refused = True
    for slander, words in SLANDERS.values():
        found = slander(scene)
        refused &= found.verdict is Verdict.UNTOLD and words in " ".join(found.sentences)
    return Outcome("an honest trainer slandered", refused, "verify.consistency", GAIN)
