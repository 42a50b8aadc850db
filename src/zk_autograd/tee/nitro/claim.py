"""What a genuine Nitro document says, once signature and chain are checked: no opinion yet."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

EMULATED = "emulated"
"""The name of the root whose private key is public: whatever ends there shows nothing."""


@dataclass(frozen=True, slots=True)
class NitroClaim:
    """`root`: the name of the root that the chain ends in; `at`: the time for which the chain was
    checked, None if that was only the document's own; `time`: the document's own clock; `pcrs`: 1
    to 32 registers of 48 bytes, by number; None for a field that the enclave left out. `listed`: of
    how many of the `certificates` below the root a revocation list of the time says that they
    weren't revoked; `unlisted`: how many more name such a list, which isn't there.

    A claim is no verdict: `tee.policy.judge` has the opinion. The document's bytes, and any hash of
    them, are no identity: where (r, s) is a signature, so is (r, n - s), and headers and lengths
    have several forms. Compare fields.
    """

    root: str
    module: str
    at: datetime | None
    time: datetime
    pcrs: Mapping[int, bytes]
    public_key: bytes | None
    user_data: bytes | None
    nonce: bytes | None
    certificates: int
    listed: int
    unlisted: int

    @property
    def emulated(self) -> bool:
        """Whether anybody could have signed the document."""
        return self.root == EMULATED
