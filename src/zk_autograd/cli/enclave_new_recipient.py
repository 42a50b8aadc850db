"""`zk-enclave new-recipient`: the key pair for which an enclave seals checkpoints and the model, or
an owner the key of a job."""

import argparse
from pathlib import Path

from zk_autograd.cli.output import Output

HELP = "make a key pair: its public half is what things are sealed for, its private half opens them"
OPTION = "--out"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument(
        OPTION, type=Path, required=True, metavar="FILE", help="the private key; its public half is FILE.pub"
    )


def run(arguments: argparse.Namespace, output: Output) -> int:
    """The exit status."""
    from zk_autograd.local.secret_files import write_pair
    from zk_autograd.vault.holder.recipient import RecipientKey

    path: Path = arguments.out
    public = path.with_name(path.name + ".pub")
    key = RecipientKey.generate()
    write_pair(path, key.secret_text, public, key.recipient.text, OPTION)
    output.note(
        f"the private key is {path}: keep it to yourself, and back it up; what is sealed for it opens with nothing else. Its public half is the "
        "file below"
    )
    output.line(str(public))
    output.result({"public_file": str(public), "key_file": str(path), "fingerprint": key.recipient.fingerprint})
    return 0
