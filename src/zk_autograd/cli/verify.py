"""`zk-verify`: judges a published file, a run, a bundle of it, or a root of it, as an auditor does;
its subcommands are in modules of their own."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zk_autograd.cli import verify_outputs, verify_replay
from zk_autograd.cli.output import EXIT_STATUSES, Output, Parser, run_command
from zk_autograd.cli.pinned import pinned
from zk_autograd.core.errors import UnreadableError, UsageError, VerificationError

if TYPE_CHECKING:
    from zk_autograd.core.ec_keys import EcPublicKey
    from zk_autograd.evidence.finding import Found
    from zk_autograd.verify.earlier import Earlier
    from zk_autograd.verify.outcome import Level
    from zk_autograd.verify.policy import Flags, TreeHead
    from zk_autograd.verify.sampling import Detection

SUBCOMMANDS = {
    "compare": ("zk_autograd.cli.compare", "two views of one log: consistent, forked, or can't tell"),
    "init-policy": ("zk_autograd.cli.init_policy", "a policy file for review, from a run"),
    "monitor": ("zk_autograd.cli.monitor", "watches a log for new roots, and for forks"),
}
"""What a first word means before it can name a run: a run so named is ./compare."""

_STYLES = {
    r"(?m)^ ?\d+  [A-Z][a-z ]+ (?P<ok>passed)$": "green",
    r"(?m)^ ?\d+  [A-Z][a-z ]+ (?P<bad>failed|unreadable)$": "bold red",
    r"(?m)^ ?\d+  [A-Z][a-z ]+ (?P<less>not shown|skipped|absent|not reached)$": "yellow",
    r"(?m)^verdict: (?P<bad>FAILED|NOT JUDGED)$": "bold red",
    r"(?m)^verdict: (?P<less>UNPINNED)$": "bold yellow",
    r"(?m)^verdict: (?P<ok>L0.*)$": "bold green",
}


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="zk-verify",
        usage="%(prog)s [options] FILE | RUN | ROOT@SIZE | EVIDENCE\n       %(prog)s COMMAND ...",
        description="Judges a training run by its evidence, in eleven numbered steps, and says which levels it reaches. Begin with what you "
        "have: weights or a model folder, beside which the evidence lies; a run or a bundle; or a published root.",
        epilog="Commands: "
        + "; ".join(f"{name}: {what}" for name, (_, what) in SUBCOMMANDS.items())
        + f". A run so named is ./compare. {EXIT_STATUSES}",
    )
    parser.add_argument(
        "target",
        metavar="FILE | RUN | ROOT@SIZE | EVIDENCE",
        help="a file that a run published, or a folder of such files; a run: its folder, or a bundle of it, or the https:// URL of either (a "
        "folder's ends in /); or a root and its size, obtained elsewhere; or evidence of a fork that `zk-verify compare` wrote",
    )
    parser.add_argument(
        "--from",
        dest="source",
        metavar="RUN",
        help="the folder, bundle or URL that should have this root, or that published this file",
    )
    parser.add_argument(
        "--key",
        action="append",
        default=[],
        metavar="KEY",
        help="the trainer's public keys: a file with them (FILE.pub beside a log key), or one or more as text; all of them must have signed",
    )
    parser.add_argument(
        "--srs-digest",
        action="append",
        default=[],
        metavar="HEX",
        help="for EZKL's proofs: SHA-256 of an SRS that the trainer can't have made; those of public ceremonies are known",
    )
    parser.add_argument(
        "--srs",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="for EZKL's proofs: an SRS file to keep in the cache; this does not allow it",
    )
    parser.add_argument(
        "--sample", type=int, metavar="K", help="verify K proofs instead of all: first, last and K-2 at random"
    )
    parser.add_argument(
        "--beacon",
        metavar="TEXT",
        help="draw the sample, or with --draw the segments, from this text, newer than the log, instead of the verifier's randomness",
    )
    parser.add_argument(
        "--target-detection",
        metavar="P",
        help="draw as many proofs as find one of --bad bad ones with this probability, such as 0.99",
    )
    parser.add_argument(
        "--bad", metavar="M", help="how many proofs --target-detection takes for bad: a share, 1%%, or a number, 3"
    )
    parser.add_argument(
        "--continue",
        dest="earlier",
        type=Path,
        metavar="REPORT",
        help="verify what the sample of your own earlier --json report left; nothing is drawn again",
    )
    parser.add_argument("--keep-going", action="store_true", help="verify all chosen proofs, also after a false one")
    parser.add_argument(
        "--accept-sample", action="store_true", help="let a sample be enough where L1 or L3 is required"
    )
    parser.add_argument(
        "--accept-uncovered",
        action="append",
        default=[],
        metavar="NAME",
        help="a file or folder of the run that no record names but that you know, by its path in the run (model/extra.bin); may be repeated",
    )
    parser.add_argument(
        "--require",
        metavar="LEVELS",
        help="what must be shown, one or more of L0, L1, L2 and L3, with commas between them (default: L1); L2 takes a policy file, L3 --openings",
    )
    parser.add_argument(
        "--policy",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="what must be shown, in a policy file of your own; the other flags add to it and never loosen it",
    )
    parser.add_argument(
        "--model-key",
        type=Path,
        metavar="FILE",
        help="the public key (PEM) that must have signed the published model (OpenSSF model signing)",
    )
    parser.add_argument(
        "--model-signature",
        type=Path,
        metavar="FILE",
        help="with --model-key: the signature's file (default: model.sig in the run)",
    )
    parser.add_argument(
        "--trust-anchors",
        type=Path,
        metavar="FILE",
        help="whom you trust to anchor: a file of your own with tables [anchors.KIND], as in a policy file",
    )
    parser.add_argument(
        "--require-anchor",
        action="append",
        default=[],
        metavar="KIND",
        help="an anchor of this kind must count, over all records of the run; may be repeated",
    )
    parser.add_argument(
        "--online",
        action="append",
        default=[],
        metavar="ANCHOR",
        help="ask this anchor's service (KIND:REST, as in zk-train --anchor) for all that it holds under the trainer's key; may be repeated",
    )
    verify_replay.add_flags(parser)
    parser.add_argument("--long", action="store_true", help="print the whole report, step by step")
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")
    verify_outputs.add_flags(parser)
    return parser


def _head(target: str) -> "TreeHead | None":
    """The root that the target is; None if it is a path. UsageError for one that is malformed."""
    from zk_autograd.evidence.url import is_url
    from zk_autograd.verify.policy import TreeHead

    # What has the form of a root is one, whatever file of that name somebody put there.
    if TreeHead.is_meant(target) or ("@" in target and not is_url(target) and not os.path.lexists(target)):
        return TreeHead.parse(target)
    return None


def _found(target: str, source: str | None, head: "TreeHead | None") -> "Found":
    """What was named and where its evidence is. UsageError if there is none."""
    from zk_autograd.evidence.finding import Found, find, located

    if head is None:
        return find(target, source)
    if source is None:
        raise UsageError("a root alone holds no evidence: say where the run is with --from RUN")
    return Found(target, located(source), "from")


def _flags(arguments: argparse.Namespace, head: "TreeHead | None") -> "Flags":
    """What the flags ask for."""
    from zk_autograd.auditing import anchored_by
    from zk_autograd.verify.policy import Flags

    return Flags(
        keys=tuple(key for text in arguments.key for key in pinned(text)),
        srs=frozenset(_digest(text) for text in arguments.srs_digest),
        require=None if arguments.require is None else frozenset(map(_level, arguments.require.split(","))),
        head=head,
        sample=arguments.sample,
        beacon=arguments.beacon if arguments.draw is None else None,
        accept_sample=arguments.accept_sample,
        accept_uncovered=frozenset(arguments.accept_uncovered),
        detection=_detection(arguments.target_detection, arguments.bad),
        earlier=None if arguments.earlier is None else _earlier(arguments.earlier),
        keep_going=arguments.keep_going,
        model_key=_model_key(arguments.model_key),
        model_signature=_model_signature(arguments.model_signature),
        demands=anchored_by(arguments.require_anchor),
    )


def _model_key(path: Path | None) -> "EcPublicKey | None":
    if path is None:
        return None
    from zk_autograd.core.ec_keys import MAX_PEM, EcPublicKey
    from zk_autograd.local.named_files import read_named

    try:
        return EcPublicKey.parse(read_named(path, "--model-key", MAX_PEM))
    except VerificationError as error:  # the file's content is not repeated: it may be a secret key
        raise UsageError(f"--model-key {path}: {error}") from error


def _model_signature(path: Path | None) -> bytes | None:
    if path is None:
        return None
    from zk_autograd.evidence.layout import MAX_MODEL_SIGNATURE
    from zk_autograd.local.named_files import read_named

    return read_named(path, "--model-signature", MAX_MODEL_SIGNATURE)


def _digest(text: str) -> bytes:
    try:
        return bytes.fromhex(text)  # its length is the policy's concern
    except ValueError as error:
        raise UsageError(
            f"--srs-digest {text[:100]!r} is not 64 hexadecimal digits; `zk-circuit srs --digest FILE` prints an SRS's"
        ) from error


def _level(text: str) -> "Level":
    from zk_autograd.verify.outcome import Level

    try:
        return Level(text)
    except ValueError as error:
        raise UsageError(f"--require: there is no level {text[:40]!r} yet; the levels are L0, L1, L2 and L3") from error


def _detection(target: str | None, bad: str | None) -> "Detection | None":
    from zk_autograd.verify.sampling import Detection

    if (target is None) != (bad is None):
        raise UsageError("--target-detection and --bad go together: how surely, and how many bad proofs")
    return None if target is None or bad is None else Detection.parse(target, bad)


def _earlier(path: Path) -> "Earlier":
    """The sample of the report that is continued."""
    from zk_autograd.evidence.files import read_bounded
    from zk_autograd.verify.earlier import MAX_REPORT, Earlier

    try:
        return Earlier.read(read_bounded(path.resolve(), MAX_REPORT))
    except UnreadableError:
        raise
    except (VerificationError, OSError, RuntimeError) as error:
        raise UsageError(f"--continue {path}: {error}") from error


def _verify(arguments: argparse.Namespace, output: Output) -> int:
    from dataclasses import replace

    from zk_autograd.auditing import ask, judge, trusting, with_file
    from zk_autograd.evidence.finding import require_outside_run
    from zk_autograd.evidence.kinds import Kind, kind_of

    head = _head(arguments.target)
    if head is None and arguments.source is None and kind_of(arguments.target) is Kind.EVIDENCE:
        return _check_evidence(arguments, output)
    flags = _flags(arguments, head)
    found = _found(arguments.target, arguments.source, head)
    if len(arguments.policy) > 1:  # which of them counts must not depend on their order
        raise UsageError("--policy is given twice: name one policy file, and put all demands into it")
    flags = trusting(flags, arguments.trust_anchors, found)
    policy = with_file(flags, next(iter(arguments.policy), None), found)
    if arguments.earlier is not None:
        require_outside_run(arguments.earlier, found.run, "--continue")
    if arguments.draw is not None:
        return verify_replay.draw(arguments, found, policy, output)
    outputs = verify_outputs.prepared(arguments, found.run)
    if arguments.srs:
        from zk_autograd.prove.ezkl.keys import Cache

        for path in arguments.srs:
            Cache().add_srs(path)
    policy = replace(policy, online=ask(arguments.online, policy.keys))
    with output.progress() as progress:
        report = judge(found, policy, progress, verify_replay.given(arguments))
    outputs.write(report, output)
    output.text(outputs.text(report, output.width, long=arguments.long), _STYLES)
    output.result(outputs.json(report))
    return report.exit_status


def _check_evidence(arguments: argparse.Namespace, output: Output) -> int:
    """Says what fork evidence shows. UsageError for flags that are about runs."""
    from zk_autograd.cli.compare import check
    from zk_autograd.evidence.kinds import MODEL_SUFFIXES

    # Anybody can make evidence that agrees with itself. Under a model's name it would pass for a
    # model that was verified, with status 0, before a script that asks no more.
    if arguments.target.lower().endswith(MODEL_SUFFIXES):
        raise UsageError(
            f"{arguments.target} is fork evidence under the name of a model or a bundle: rename it, if you trust it"
        )
    defaults = vars(_parser().parse_args([arguments.target]))
    for name, value in vars(arguments).items():
        if name not in ("target", "key", "json") and value != defaults[name]:
            flag = {"earlier": "continue"}.get(name, name.replace("_", "-"))
            raise UsageError(f"--{flag} is about runs, and {arguments.target} is fork evidence: give --key alone")
    return check(arguments.target, arguments.key, output)


def main(argv: Sequence[str] | None = None) -> int:
    """The command's exit status."""
    words = sys.argv[1:] if argv is None else list(argv)
    if words and words[0] in SUBCOMMANDS:
        from importlib import import_module

        status: int = import_module(SUBCOMMANDS[words[0]][0]).main(words[1:])
        return status
    arguments = _parser().parse_args(words)
    return run_command(lambda output: _verify(arguments, output), json_output=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
