"""The file of a broker's key: two lines of text that only its owner can read.

    zk-autograd/broker-key/v0
    ed25519: <the secret seed, 32 bytes in base64>

Beside it lies `<file>.pub` with the public key in C2SP's form (`name+ID+base64`): what an enclave
pins. It signs the broker's answers and the checkpoints of its log.
"""

import os
from pathlib import Path

from zk_autograd.broker.decision import signer_of
from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.core.keys import SEED_BYTES, Ed25519Signer
from zk_autograd.core.text import decode_base64, encode_base64
from zk_autograd.local.secret_files import read_secret, write_pair

FORMAT = "zk-autograd/broker-key/v0"

_MAX_BYTES = 1024
_PREFIX = "ed25519: "
_ELSEWHERE = "begin anew, with a new key, in another folder (--state)"


def create(path: Path) -> Ed25519Signer:
    """Writes a new key, from the system's randomness, to `path` (mode 0600), and its public half
    beside it. UsageError if either is there, StorageError if the system refuses."""
    signer = signer_of(os.urandom(SEED_BYTES))
    text = f"{FORMAT}\n{_PREFIX}{encode_base64(signer.seed)}\n"
    public = f"{signer.public_key.encode()}\n"
    write_pair(path, text, path.with_name(path.name + ".pub"), public, "--state")
    return signer


def load(path: Path) -> Ed25519Signer:
    """The signer of a file. UsageError if there is none, if others than its owner can read it, or
    if it isn't one; its content is never repeated."""
    data = read_secret(path, "broker's key", _MAX_BYTES, _ELSEWHERE, f"bring it back, or {_ELSEWHERE}")
    try:
        form, seed, end = data.decode("ascii").split("\n")
        if form != FORMAT or end or not seed.startswith(_PREFIX):
            raise ValueError("its lines are others")
        return signer_of(decode_base64(seed.removeprefix(_PREFIX), "its seed"))
    except (VerificationError, ValueError):
        raise UsageError(f"{path} is no broker's key of this version: bring it back, or {_ELSEWHERE}") from None
