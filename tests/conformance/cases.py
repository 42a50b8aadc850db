"""The cases of the conformance suite, by what they are about. What is expected of each is written
here by hand: `says` is a part of this verifier's sentence, the rest any verifier's duty."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.conformance.draft import Draft
from tests.verify.ideal import golden_signer
from tests.verify.run_builder import SECOND, SIGNER
from zk_autograd.core.keys import Signer

TRAINER = SIGNER.public_key.encode()
SIGNERS: dict[str, tuple[Signer, ...]] = {
    "none": (SIGNER,),
    "none-two-keys": (SIGNER, SECOND),
    "none-open": (golden_signer(),),
    "native": (golden_signer(),),
    "native-v1": (),  # one of its two keys signs with fresh coins each time: no case signs it anew
    "native-blocks": (SIGNER,),
    "registered": (SIGNER,),
    "registered-beacon": (SIGNER,),
    "native-v2": (),
    "native-beacon": (),
    "enclave": (SIGNER,),
    "exact": (SIGNER,),
    "bundle": (SIGNER,),
    "empty": (SIGNER,),
}
"""Who signed a base; the auditor pins all of them, unless the case says otherwise."""

Change = Callable[[Draft], object]


@dataclass(frozen=True, slots=True)
class Case:
    """A case: what is changed, what the auditor asks, what must come of it."""

    name: str
    about: str
    base: str
    change: Change
    status: int
    levels: tuple[str, ...] = ()
    step: int | None = None
    says: str = ""
    target: str = "."
    auditor: dict[str, Any] = field(default_factory=dict)


CASES: list[Case] = []


def shown(name: str, about: str, base: str, *levels: str, change: Change = lambda _: None, **more: Any) -> None:
    """A case of exit status 0."""
    CASES.append(Case(name, about, base, change, 0, levels, **more))


def less(
    name: str, about: str, base: str, *levels: str, says: str, change: Change = lambda _: None, **more: Any
) -> None:
    """A case of exit status 3."""
    CASES.append(Case(name, about, base, change, 3, levels, says=says, **more))


def usage(name: str, about: str, says: str, base: str = "none", change: Change = lambda _: None, **more: Any) -> None:
    """A case of exit status 2."""
    CASES.append(Case(name, about, base, change, 2, says=says, **more))


def refused(name: str, about: str, step: int, says: str, change: Change, base: str = "none", **more: Any) -> None:
    """A case of exit status 1: the change as it is."""
    CASES.append(Case(name, about, base, change, 1, (), step, says, **more))


def signed(name: str, about: str, step: int, says: str, change: Change, base: str = "none", **more: Any) -> None:
    """A case of exit status 1: the trainer signs what was changed."""

    def changed(draft: Draft) -> None:
        change(draft)
        draft.sign(*SIGNERS[base])

    refused(name, about, step, says, changed, base, **more)
