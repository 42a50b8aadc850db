"""`zk-enclave open`: opens what an enclave sealed for a recipient: a checkpoint, or the model."""

import argparse
from pathlib import Path

from zk_autograd.cli.output import Output

HELP = "open a sealed checkpoint or model (NAME.enc, with NAME.key.json beside it) as its recipient"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument("sealed", type=Path, metavar="SEALED", help="the sealed file, NAME.enc")
    parser.add_argument("--identity", type=Path, required=True, metavar="FILE", help="the recipient's private key")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the opened file, which must not exist")
    parser.add_argument("--run", metavar="ID", help="refuse a file that was sealed for another run than this")


def run(arguments: argparse.Namespace, output: Output) -> int:
    """The exit status."""
    from zk_autograd.core.errors import UsageError
    from zk_autograd.local.new_files import require_new
    from zk_autograd.local.secret_files import read_secret
    from zk_autograd.vault.errors import VaultError
    from zk_autograd.vault.holder.recipient import MAX_TEXT, RecipientKey
    from zk_autograd.vault.keys import RECIPIENT
    from zk_autograd.vault.pairs import open_pair, read_key_file

    require_new(arguments.out, "--out")
    made = "make one with `zk-enclave new-recipient`"
    text = read_secret(arguments.identity, "recipient's private key", MAX_TEXT, made, f"name another, or {made}")
    try:
        key = RecipientKey.parse(text)
    except VaultError as error:
        raise UsageError(f"--identity {arguments.identity}: {error}") from None
    key_file = read_key_file(arguments.sealed)
    context = key_file.context
    if arguments.run is not None and arguments.run != context.run:
        raise VaultError(f"{arguments.sealed} is of the run {context.run}, not of the one that --run names")
    size = open_pair(arguments.sealed, arguments.out, key_file, key.unwrap(key_file.wrap(RECIPIENT).wrapped, context))
    output.note(
        "it was sealed for this key, by somebody who had its public half: that this is what the run trained is shown by zk-verify, not by the seal"
    )
    output.line(f"{arguments.out}: {size} bytes, of {context}")
    output.result({"out": str(arguments.out), "size": size, **context.json})
    return 0
