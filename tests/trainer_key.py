"""Keys of trainers in files, each with its register, as `zk-key new` makes them."""

from pathlib import Path

from zk_autograd.core.keys import SeedSigner
from zk_autograd.credentials import keyfile
from zk_autograd.register.place import begin_for_new_key


def create(path: Path, name: str) -> list[SeedSigner]:
    """A new key file, and its register in the default place."""
    signers = keyfile.create(path, name)
    begin_for_new_key(signers)
    return signers
