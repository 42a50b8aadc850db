"""`zk-key`: makes, shows and rotates the log key, whose public half an auditor pins."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zk_autograd.cli.output import Output, Parser, run_command
from zk_autograd.core.errors import ZkError

if TYPE_CHECKING:
    from zk_autograd.core.keys import PublicKey, Signer
    from zk_autograd.credentials.rotation import Rotation


_LOG = "log"
_RECIPIENT = "recipient"
_PURPOSES = (_LOG, _RECIPIENT)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="zk-key",
        description="The key that signs the log of your runs: an Ed25519 and an ML-DSA-44 key in one file, which sign together. Give its public "
        "half (FILE.pub) to your auditor before a run: a key that an auditor first sees in the run itself proves nothing.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    new = commands.add_parser("new", help="make a key; prints the path of its public half")
    show = commands.add_parser("show", help="print the public half of a key: one line for each algorithm")
    rotate = commands.add_parser(
        "rotate",
        help="a key of an earlier version keeps its Ed25519 key and gets an ML-DSA-44 key; any other gets two new ones",
        description="Puts another key in the place of yours, which stays beside it as FILE.1 (.2, .3 ...): runs that were begun with it are "
        "resumed with it. A key file of an earlier version keeps its Ed25519 key, its register with it, and gets an ML-DSA-44 key; any other gets two "
        "new keys, and a new register is begun for them: the old one stays for the runs that are in it.",
    )
    model = commands.add_parser(
        "new-model-key", help="make a key that signs published models (zk-run sign); prints its public half"
    )
    model.add_argument(
        "--key-file", type=Path, metavar="FILE", help="the key's file (default: model.key in your configuration folder)"
    )
    model.add_argument("--json", action="store_true", help="print one JSON object")
    worker = commands.add_parser(
        "new-worker-key",
        help="make a key for a proving worker of a cluster, for which tasks are sealed (zk-train --worker-key); prints its public half",
    )
    worker.add_argument("--key-file", type=Path, required=True, metavar="FILE", help="the worker's private key")
    worker.add_argument("--json", action="store_true", help="print one JSON object")
    for command in (new, show):
        command.add_argument(
            "--for",
            choices=_PURPOSES,
            default=_LOG,
            dest="purpose",
            metavar="PURPOSE",
            help="log: the key described above (the default); recipient: an auditor's own key, for which trainers seal what they open of a run "
            "(zk-run open)",
        )
    for command in (new, show, rotate):
        command.add_argument(
            "--key-file",
            type=Path,
            metavar="FILE",
            help="the key's file (default: log.key in your configuration folder; recipient.key with --for recipient)",
        )
        command.add_argument("--json", action="store_true", help="print one JSON object")
    for command in (new, rotate):
        command.add_argument(
            "--register",
            type=Path,
            metavar="DIR",
            help="where the key's register is begun (default: its folder in your state folder)",
        )
    new.add_argument("--name", metavar="NAME", help="the key's name, which is part of every signature")
    return parser


def _key(arguments: argparse.Namespace, output: Output) -> int:
    from zk_autograd.credentials import keyfile

    path = arguments.key_file or keyfile.default_path()
    public = keyfile.public_path(path)
    kept = None
    if arguments.command == "rotate":
        from zk_autograd.credentials.rotation import rotate

        rotation = rotate(path)
        signers, kept = rotation.signers, rotation.kept
        output.note(_told(rotation, path))
        if rotation.kept is not None and not rotation.upgraded:
            _begin_register(signers, path, arguments.register, output)
            output.note(
                f"the register of the old key stays for the runs that are in it: `zk-register show --key-file {rotation.kept}`"
            )
        output.line(str(public))
    elif arguments.command == "new":
        signers = keyfile.create(path, arguments.name or keyfile.DEFAULT_NAME)
        output.note(
            f"the secret key is {path}: keep it to yourself, and back it up. Its public half, for your auditor, is the file below"
        )
        _begin_register(signers, path, arguments.register, output)
        output.line(str(public))
    else:
        signers = keyfile.load(path)
        for signer in signers:
            output.line(signer.public_key.encode())
    output.result(_json([signer.public_key for signer in signers], path, public, kept))
    return 0


def _begin_register(signers: "Sequence[Signer]", path: Path, folder: Path | None, output: Output) -> None:
    """The register of a key that was made just now. A place that can't be had stops no key from
    being made: the register can be begun later."""
    from zk_autograd.register.place import begin_for_new_key

    try:
        place = begin_for_new_key(signers, folder)
    except ZkError as error:
        command = f"zk-register begin --key-file {path} --register DIR"
        output.note(f"the key's register was not begun: {error}. Before its first run, begin it: `{command}`")
        return
    output.note(
        f"its register, the log over all of its runs, is begun in {place}: keep that folder, and don't go on from an old copy of it"
    )


def _model_key(arguments: argparse.Namespace, output: Output) -> int:
    from zk_autograd.credentials import model_key

    path = arguments.key_file or model_key.default_path()
    public = model_key.create(path).public_key
    output.note(
        f"the secret key is {path}: keep it to yourself, and back it up. The text below, also in {model_key.public_path(path)}, "
        "is for whoever loads your models"
    )
    text = public.pem.decode("ascii")
    for line in text.splitlines():
        output.line(line)
    output.result({"key": text, "fingerprint": public.fingerprint, "key_file": str(path)})
    return 0


def _recipient_key(arguments: argparse.Namespace, output: Output) -> int:
    from zk_autograd.core.errors import UsageError
    from zk_autograd.credentials import keyfile
    from zk_autograd.vault import recipient_files

    if getattr(arguments, "name", None) is not None or getattr(arguments, "register", None) is not None:
        raise UsageError("a recipient's key signs nothing: it has no --name and no --register")
    path = arguments.key_file or keyfile.default_path().with_name(_RECIPIENT + ".key")
    public = recipient_files.public_path(path)
    if arguments.command == "new":
        key = recipient_files.create(path)
        output.note(
            f"the private key is {path}: keep it to yourself, and back it up; what is sealed for it opens with nothing else. Its public half, "
            "for whoever seals something for you (zk-run open --for), is the file below"
        )
        output.line(str(public))
    else:
        key = recipient_files.load(path)
        for line in key.recipient.text.splitlines():
            output.line(line)
    output.result(
        {
            "key": key.recipient.text,
            "fingerprint": key.recipient.fingerprint,
            "key_file": str(path),
            "public_file": str(public),
        }
    )
    return 0


def _worker_key(arguments: argparse.Namespace, output: Output) -> int:
    from zk_autograd.local.secret_files import write_pair
    from zk_autograd.vault.holder.recipient import RecipientKey

    path: Path = arguments.key_file
    public, key = path.with_name(path.name + ".pub"), RecipientKey.generate()
    write_pair(path, key.secret_text, public, key.recipient.text)
    output.note(
        f"the worker's private key is {path}: it stays on that machine, where ZK_WORKER_KEY names it. Its public half, for the trainer "
        "(zk-train --worker-key), is the file below"
    )
    output.line(str(public))
    output.result({"public_file": str(public), "key_file": str(path), "fingerprint": key.recipient.fingerprint})
    return 0


def _told(rotation: "Rotation", path: Path) -> str:
    """What was done, and what the trainer's auditors are to be told."""
    from zk_autograd.credentials.keyfile import public_path

    public = public_path(path)
    if rotation.kept is None:
        return f"an earlier rotation of {path} was interrupted before its last write, which was made up for: {public} is its public half now. Nothing else was changed"
    kept = f"the file that was there is kept as {rotation.kept}: back up both"
    earlier = public_path(rotation.kept)
    if rotation.upgraded:
        return (
            f"{path} keeps its Ed25519 key, and has an ML-DSA-44 key beside it; {kept}. New runs are signed with both: give your auditors the file below "
            f"for them. Runs that were begun before go on with the one key, and are verified with {earlier}"
        )
    return (
        f"{path} has new keys; {kept}. New runs are signed with these: give your auditors the file below for them, over a channel that they trust, and tell "
        f"them if the old keys leaked. Runs that were begun before are resumed with --key-file {rotation.kept}, and verified with {earlier}"
    )


def _json(keys: "Sequence[PublicKey]", path: Path, public: Path, kept: Path | None) -> dict[str, object]:
    rows = [
        {"key": key.encode(), "algorithm": key.algorithm.title, "name": key.name, "id": key.key_id.hex()}
        for key in keys
    ]
    return {"keys": rows, "key_file": str(path), "public_file": str(public), "kept": kept and str(kept)}


def main(argv: Sequence[str] | None = None) -> int:
    """The command's exit status."""
    arguments = _parser().parse_args(argv)
    work = {"new-model-key": _model_key, "new-worker-key": _worker_key}.get(arguments.command, _key)
    if getattr(arguments, "purpose", _LOG) == _RECIPIENT:
        work = _recipient_key
    return run_command(lambda output: work(arguments, output), json_output=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
