"""What a policy file says of register and anchors: whom the auditor trusts, and what is demanded.

register = true                     all records of the view are in the trainer's register
[anchors]
require = ["witness", "rfc3161"]    an anchor of each kind counts, over all records of the view
[anchors.KIND]                      the trust in a kind, in fields of its own (docs/anchors.md)
authorities = 2                     (of any kind) so many that vouch, over all records
[freshness]
anchored_before = "2026-12-01T00:00:00Z"    and one that says a time, this one at the latest
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from zk_autograd.core.anchors import AnchorVerifier
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.text import SHOWN, listed, quoted
from zk_autograd.verify.anchor_demands import AnchoredBefore, AnchoredBy, Authorities, InRegister
from zk_autograd.verify.demand import Demand

Read = Callable[[str], bytes]
"""The bytes of a file that lies beside the policy, by its plain name."""

MAX_BESIDE = 2**24
"""Bytes of such a file."""

_REQUIRE, _AUTHORITIES = "require", "authorities"
_MAX_KIND = 40
_MAX_AUTHORITIES = 256
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


def read_anchors(
    values: Mapping[str, Any], verifiers: Mapping[str, AnchorVerifier], read: Read
) -> tuple[dict[str, Any], list[Demand]]:
    """The trust by kind, and the demands, of a policy's values: the fields named above, and no
    others. VerificationError."""
    fields, trust, asked = Fields(dict(values), "policy"), dict[str, Any](), list[Demand]()
    if "register" in fields:
        value = fields.value("register")
        if not value.boolean():
            raise VerificationError(f"{value.where} can only be true: leave it out to ask for nothing")
        asked.append(InRegister())
    if "anchors" in fields:
        table = fields.object("anchors")
        if _REQUIRE in table:
            asked.append(AnchoredBy(_kinds(table, verifiers)))
        named = [name for name in values["anchors"] if name != _REQUIRE]
        for kind in named:
            own = _known(kind, verifiers, table)
            if _AUTHORITIES in own:
                asked.append(Authorities(kind, own.integer(_AUTHORITIES, 1, _MAX_AUTHORITIES)))
            trust[kind] = verifiers[kind].read_trust(own, read)
            own.end()
    if "freshness" in fields:
        table = fields.object("freshness")
        asked.append(AnchoredBefore(_time(table.text("anchored_before", SHOWN))))
        table.end()
    return trust, asked


def read_trust(values: Mapping[str, Any], verifiers: Mapping[str, AnchorVerifier], read: Read) -> dict[str, Any]:
    """The trust by kind in a file that holds tables [anchors.KIND] and nothing else.
    VerificationError."""
    fields, trust = Fields(dict(values), "file"), dict[str, Any]()
    table = fields.object("anchors")
    fields.end()
    for kind in values["anchors"]:
        if kind == _REQUIRE:
            raise VerificationError(
                f"{_REQUIRE} is a demand, not trust: give it as --require-anchor, or in a policy file"
            )
        own = _known(kind, verifiers, table)
        if _AUTHORITIES in own:
            raise VerificationError(
                f"{_AUTHORITIES} of [anchors.{kind}] is a demand, not trust: it goes into a policy file"
            )
        trust[kind] = verifiers[kind].read_trust(own, read)
        own.end()
    return trust


def require_known(kinds: Collection[str], verifiers: Mapping[str, AnchorVerifier]) -> None:
    """VerificationError for a kind that this version doesn't know."""
    for kind in kinds:
        if kind not in verifiers:
            raise VerificationError(
                f"this version knows no anchor {quoted(kind, SHOWN)}, and can't check one", expected=_and(verifiers)
            )


def _known(kind: str, verifiers: Mapping[str, AnchorVerifier], table: Fields) -> Fields:
    require_known([kind], verifiers)
    return table.object(kind)


def _kinds(table: Fields, verifiers: Mapping[str, AnchorVerifier]) -> tuple[str, ...]:
    kinds = table.texts(_REQUIRE, len(verifiers) or 1, _MAX_KIND, 1)
    require_known(kinds, verifiers)
    if len(set(kinds)) < len(kinds):
        raise VerificationError("policy.anchors.require names a kind twice")
    return tuple(kinds)


def _and(verifiers: Mapping[str, AnchorVerifier]) -> str:
    return listed(list(verifiers), 20) or "none"


def _time(text: str) -> int:
    """The POSIX seconds of a time in UTC."""
    try:
        if _TIME.fullmatch(text):
            return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())
    except ValueError:  # no such day
        pass
    raise VerificationError(
        "policy.freshness.anchored_before is not a time", expected='such as "2026-12-01T00:00:00Z"', found=quoted(text)
    )


def names(demands: Collection[Demand]) -> Iterator[str]:
    """The fields of those demands that an anchor can meet."""
    return (demand.field for demand in demands if isinstance(demand, AnchoredBy | Authorities | AnchoredBefore))
