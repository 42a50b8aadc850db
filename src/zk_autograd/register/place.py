"""Where a trainer's register lies, and how it is begun with its key."""

import os
from collections.abc import Sequence
from pathlib import Path

from zk_autograd.core.errors import UsageError
from zk_autograd.core.keys import PublicKey, Signer
from zk_autograd.core.register import key_id
from zk_autograd.local.own_folders import home
from zk_autograd.register.database import DATABASE
from zk_autograd.register.register import Register


def place_of(keys: Sequence[PublicKey]) -> Path:
    """Where the register of these keys lies unless another place is named: the folder of the key's
    ID in zk-autograd in the user's state folder (XDG_STATE_HOME, if it is absolute).

    NoHomeError if there is neither that nor a home folder, UsageError for keys that have no
    register.
    """
    named = os.environ.get("XDG_STATE_HOME", "")
    state = (
        Path(named)
        if os.path.isabs(named)
        else home("say where the register lies, with --register or register=") / ".local" / "state"
    )
    return state / "zk-autograd" / key_id(keys)


def begin_for_new_key(signers: Sequence[Signer], folder: Path | None = None) -> Path:
    """Begins the register of a key that was made just now, in `folder` or its default place; gives
    the folder. One that another process began for the same key is as good. Errors as
    `Register.begin`."""
    place = folder or place_of([signer.public_key for signer in signers])
    try:
        Register.begin(place, signers).close()
    except UsageError:
        if not (place / DATABASE).exists():
            raise
        Register(place, signers).close()
    return place
