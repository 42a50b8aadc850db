"""One door for the auditor's opinion on a verified document, of whatever kind."""

from importlib import import_module
from typing import Any

from zk_autograd.core.errors import UsageError
from zk_autograd.core.text import quoted
from zk_autograd.tee.kinds import KINDS


def judge(claim: Any, policy: Any) -> None:
    """Holds a claim (NitroClaim, SnpClaim) against a policy of the same kind (NitroPolicy,
    SnpPolicy). AttestationShort names what it falls short of; UsageError for a policy of another
    kind, and for what is no claim."""
    kind = getattr(claim, "kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise UsageError(f"a {quoted(type(claim).__name__)} is no claim of a verified document")
    import_module(f"zk_autograd.tee.{kind}.judge").judge(claim, policy)
