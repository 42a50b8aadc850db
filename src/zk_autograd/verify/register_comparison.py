"""What two runs, or two files of views, show of their trainer's one register: two signed roots for
one size, anywhere in them, are a fork."""

from collections.abc import Sequence
from contextlib import closing

from zk_autograd.core.keys import PublicKey
from zk_autograd.core.record_bytes import parse
from zk_autograd.core.records import Header
from zk_autograd.core.register import View
from zk_autograd.core.text import counted
from zk_autograd.evidence.fork_evidence import ForkEvidence, SignedHead
from zk_autograd.evidence.run import Evidence
from zk_autograd.verify.consistency import Decision, Verdict, decide, is_one_log, two_logs, untold

_ASK = (
    "ask an anchor that holds the register for all of it (`zk-verify RUN --online ANCHOR`), or watch it where its trainer publishes it (`zk-verify "
    "monitor`)"
)


def heads_of_run(files: Evidence) -> list[SignedHead]:
    """The register's checkpoints that a run shows; none if its header names no register.
    VerificationError for what can't be read as such."""
    with closing(files.lines()) as lines:
        header = parse(next(lines, b""), None)
    if not isinstance(header, Header) or not header.register:
        return []
    with closing(files.views()) as lines:
        return [SignedHead.parse(View.parse(line).note) for line in lines]


def heads_of_file(data: bytes) -> list[SignedHead]:
    """The register's checkpoints in a file register/views.jsonl. VerificationError."""
    return [SignedHead.parse(View.parse(line).note) for line in data.removesuffix(b"\n").split(b"\n")]


def compare_registers(
    one: Sequence[SignedHead], other: Sequence[SignedHead], keys: tuple[PublicKey, ...]
) -> tuple[Decision, tuple[SignedHead, SignedHead], ForkEvidence | None]:
    """What the two show, the two heads that show it, and the evidence. Neither may be empty."""
    newest = one[-1], other[-1]
    if not is_one_log(*newest):
        return two_logs(*newest), newest, None
    sizes = {head.checkpoint.size: head for head in one}
    shared = [(sizes[head.checkpoint.size], head) for head in other if head.checkpoint.size in sizes]
    for pair in shared:
        evidence = ForkEvidence.of(*pair)
        if (found := decide(evidence, keys)).verdict is Verdict.FORK:
            return found, pair, evidence
    least = min(head.checkpoint.size for head in newest)
    pair = max(shared, key=lambda pair: pair[0].checkpoint.size, default=newest)
    if not shared or pair[0].checkpoint.size < least:
        agreed = pair[0].checkpoint.size if shared else 0
        said = f"they agree in the register's first {counted(agreed, 'record')}; " if shared else ""
        why = f"{said}no larger size has a checkpoint in both, so that nothing shows whether one continues the other"
        return untold(why, fix=_ASK), newest, None
    evidence = ForkEvidence.of(*pair)
    return decide(evidence, keys), pair, evidence
