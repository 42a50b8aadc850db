"""The file of a witness's keys: four lines of text that only its owner can read.

    zk-autograd/witness-key/v1
    name: <the witness's name>
    ed25519: <the secret seed, 32 bytes in base64>
    mldsa44: <another secret seed, 32 bytes in base64>

Beside it lies `<file>.pub` with the public keys in C2SP's form (`name+ID+base64`), one on each
line: what goes into a tlog-policy. They cosign checkpoints, and nothing else: the format's name
differs from a log key's, so that neither file is taken for the other.
"""

import os
from pathlib import Path

from zk_autograd.core.cosigner import Cosigner, Ed25519Cosigner, MlDsa44Cosigner
from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.core.keys import SEED_BYTES, Ed25519Signer, MlDsa44Signer, check_name
from zk_autograd.core.text import decode_base64, encode_base64
from zk_autograd.local.secret_files import read_secret, write_pair

FORMAT = "zk-autograd/witness-key/v1"

_MAX_BYTES = 4096
_PREFIXES = ("name: ", "ed25519: ", "mldsa44: ")
_NEW_KEY = "make a witness with `zk-witness new-key`"


def public_path(path: Path) -> Path:
    """The file of the public half."""
    return path.with_name(path.name + ".pub")


def create(path: Path, name: str) -> list[Cosigner]:
    """Writes new keys, from the system's randomness, to `path` (mode 0600), and their public half
    beside it.

    UsageError if either file exists, or the name can't name a key; StorageError if the system
    refuses; then nothing is left behind.
    """
    try:
        check_name(name)
    except VerificationError as error:
        raise UsageError(f"{error}: a witness's name is best a URL without https://, witness.example/w1") from error
    seeds = [os.urandom(SEED_BYTES), os.urandom(SEED_BYTES)]
    values = (name, *map(encode_base64, seeds))
    lines = [FORMAT, *(prefix + value for prefix, value in zip(_PREFIXES, values, strict=True))]
    cosigners = _cosigners(name, *seeds)
    public = "".join(f"{cosigner.public_key.encode()}\n" for cosigner in cosigners)
    write_pair(path, "".join(f"{line}\n" for line in lines), public_path(path), public, "--dir")
    return cosigners


def load(path: Path) -> list[Cosigner]:
    """The cosigners of a file: Ed25519 and ML-DSA-44. UsageError if there is none, if others than
    its owner can read it, or if it isn't one; its content is never repeated."""
    there = f"make a witness with `zk-witness new-key NAME --dir {path.parent}`"
    data = read_secret(path, "witness's key", _MAX_BYTES, _NEW_KEY, there)
    try:
        version, *lines = data.decode("utf-8").split("\n")
        if version != FORMAT or len(lines) != 4 or lines[3] or not all(map(str.startswith, lines, _PREFIXES)):
            raise ValueError(f"its lines are not {FORMAT}, name, ed25519 and mldsa44")
        name, *seeds = (line[len(prefix) :] for line, prefix in zip(lines, _PREFIXES, strict=False))
        return _cosigners(name, *(decode_base64(seed, "its seed") for seed in seeds))
    except (VerificationError, ValueError) as error:
        raise UsageError(f"{path} is no witness's key of this version ({error}): name another, or {_NEW_KEY}") from None


def _cosigners(name: str, ed25519: bytes, mldsa44: bytes) -> list[Cosigner]:
    return [Ed25519Cosigner(Ed25519Signer(name, ed25519)), MlDsa44Cosigner(MlDsa44Signer(name, mldsa44))]
