"""The kinds of anchor, one row each: what it is called, and in a sentence what it rests on. A new
kind is a folder of that name and a row here."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from zk_autograd.core.anchors import Anchor, AnchorVerifier
from zk_autograd.core.errors import UsageError
from zk_autograd.core.text import printable, quoted


@dataclass(frozen=True, slots=True)
class Row:
    """`extra`: the extra of the package that publishing takes, "" for none; `form`: what follows
    KIND: in a specification."""

    kind: str
    rests_on: str
    form: str = ""
    extra: str = ""

    def verifier(self) -> AnchorVerifier:
        """The kind's module receipt.py."""
        return cast(AnchorVerifier, import_module(f"zk_autograd.anchor.{self.kind}.receipt"))

    def opener(self) -> Callable[[str], Anchor]:
        """`open_anchor` of the kind's module publish.py."""
        module = import_module(f"zk_autograd.anchor.{self.kind}.publish")
        return cast(Callable[[str], Anchor], module.open_anchor)


KINDS = {
    row.kind: row
    for row in (
        Row("file", "on a file of the trainer's own: it protects against accidents only", "[PATH]"),
        Row("witness", "on a quorum of witnesses, each of which keeps to one branch of a log", "POLICYFILE"),
        Row(
            "rfc3161", "on time-stamp authorities: the tree head is not younger, and no more", "URL[,URL...]", "rfc3161"
        ),
        Row(
            "tpm",
            "on a TPM whose counter never goes back; a fork is seen by who sees both branches",
            "TCTI[@FILE]",
            "tpm",
        ),
        Row(
            "s3",
            "on an S3 bucket's lock, which nobody lifts before its time, for whoever asks it; else on the trainer's word",
            "BUCKET[/PREFIX][,retain=DAYS][@ENDPOINT]",
            "aws",
        ),
        Row(
            "dynamodb",
            "on a DynamoDB table, whose owner can delete from it, for whoever asks it; else on the trainer's word",
            "TABLE[@ENDPOINT]",
            "aws",
        ),
        Row(
            "evm",
            "on an EVM chain, and on the auditor's source of one block's hash",
            "RPC_URL,key=KEYFILE[,contract=0x..][,confirmations=N][,delay=N][,max_gwei=N]",
            "evm",
        ),
    )
}


def open_anchor(spec: str) -> Anchor:
    """The anchor of a text KIND or KIND:REST. UsageError for an unknown kind or a bad rest."""
    kind, _, rest = spec.partition(":")
    if kind not in KINDS:
        raise UsageError(f"{quoted(spec)} names no kind of anchor: they are {', '.join(KINDS)}")
    return KINDS[kind].opener()(rest)


def shown(spec: str) -> str:
    """A specification for people, on one line: of what is on the network no more than kind, hosts
    and the name of bucket or table, as addresses hold tokens."""
    kind, _, rest = spec.partition(":")
    if kind not in KINDS:
        return "an anchor of another version"
    if kind in _LOCAL:
        return printable(spec)
    name = _NAME.match(rest) if kind in _NAMED else None
    parts = [name[0]] if name else []
    hosts = [host.rpartition("@")[2] for host in _AUTHORITY.findall(rest)]
    if known := [host for host in hosts if _HOST.fullmatch(host)]:
        parts.append(",".join(known))
    return f"{kind}:{'@'.join(parts)}" if parts else kind


_LOCAL, _NAMED = ("file", "witness", "tpm"), ("s3", "dynamodb")
_NAME = re.compile(r"[A-Za-z0-9._-]+(?=[/,@]|$)")
_AUTHORITY = re.compile(r"https?://([^/?#,\s\\]*)")
_HOST = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")


class Verifiers(Mapping[str, AnchorVerifier]):
    """Every kind's verifier, by its name, loaded when it is first asked for: judging a receipt of
    one kind loads nothing of another."""

    def __getitem__(self, kind: str) -> AnchorVerifier:
        return KINDS[kind].verifier()

    def __iter__(self) -> Iterator[str]:
        return iter(KINDS)

    def __len__(self) -> int:
        return len(KINDS)


def verifiers() -> Mapping[str, AnchorVerifier]:
    """Every kind's verifier, by its name."""
    return Verifiers()
