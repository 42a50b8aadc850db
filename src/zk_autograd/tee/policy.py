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
    kind = _kind(claim, "Claim")
    if kind is None:
        raise UsageError(f"a {quoted(type(claim).__name__)} is no claim of a verified document")
    if _kind(policy, "Policy") != kind:
        raise UsageError(f"a claim of the kind {kind} isn't judged by a {quoted(type(policy).__name__)}")
    import_module(f"zk_autograd.tee.{kind}.judge").judge(claim, policy)


def _kind(value: Any, name: str) -> str | None:
    """The kind whose folder has the class of `value`, if that is named so."""
    cls = type(value)
    own = [kind for kind in KINDS if cls.__module__.startswith(f"zk_autograd.tee.{kind}.")]
    return own[0] if own and cls.__name__ == f"{own[0].capitalize()}{name}" else None
