"""The error of sealed files."""

from typing import ClassVar

from zk_autograd.core.errors import ExitStatus, ZkError


class VaultError(ZkError):
    """A sealed file or a wrapped key does not open, or is malformed: it was changed or cut, or it
    is for something else. Its message never says more of a secret than that."""

    exit_status: ClassVar[ExitStatus] = ExitStatus.REFUSED


class KeyRefused(VaultError):
    """Who holds a key refuses it, and says why: nothing was decrypted, so this says nothing of any
    secret."""


class KeyServiceDown(VaultError):
    """A service that holds keys can't be reached or gave no whole answer: worth trying again."""

    exit_status: ClassVar[ExitStatus] = ExitStatus.UNJUDGED
