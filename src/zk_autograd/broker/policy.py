"""A broker's policy: which enclaves a key is released to. A TOML file of the operator's:

    format = "zk-autograd/broker-policy/v0"
    [attestation.nitro]         the tables of a zk-verify policy (docs/policy.md), and nothing else
    measurements = [...]

A kind of attestation without a table is refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from zk_autograd.core import bounded_toml
from zk_autograd.core.attestation import AttestationVerifier
from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.text import SHOWN, listed, quoted
from zk_autograd.evidence.files import read_bounded
from zk_autograd.evidence.layout import PLAIN_NAME
from zk_autograd.local.named_files import read_named

FORMAT = "zk-autograd/broker-policy/v0"

_MAX_BESIDE = 2**24


@dataclass(frozen=True, slots=True)
class Policy:
    """By kind of attestation: what verifies it, and the operator's trust in it. `digest`: SHA-256
    of the file."""

    trust: Mapping[str, tuple[AttestationVerifier, Any]]
    digest: bytes

    @property
    def emulated(self) -> bool:
        """Whether a device that shows nothing is taken, too."""
        return any(getattr(trust, "emulated", False) for _, trust in self.trust.values())


def load(path: Path, verifiers: Mapping[str, AttestationVerifier]) -> Policy:
    """The policy of a file. UsageError unless it is one, StorageError if it can't be read."""
    what = f"the policy {str(path)[:200]}"
    data = read_named(path, "the policy", bounded_toml.MAX_BYTES)
    try:
        values = bounded_toml.parse(data.decode("utf-8"), what)
        trust = _trust(values, verifiers, lambda name: _beside(path.absolute().parent, name))
    except UnicodeDecodeError as error:
        raise UsageError(f"{what} is not UTF-8: {error.reason} at byte {error.start}") from error
    except VerificationError as error:
        raise UsageError(f"{what}: {error}") from error
    return Policy(trust, sha256(data).digest())


def _trust(
    values: dict[str, Any], verifiers: Mapping[str, AttestationVerifier], read: Callable[[str], bytes]
) -> dict[str, tuple[AttestationVerifier, Any]]:
    fields, trust = Fields(values, "policy"), dict[str, tuple[AttestationVerifier, Any]]()
    fields.choice("format", (FORMAT,))
    tables = fields.object("attestation")
    fields.end()
    for kind in values["attestation"]:
        if kind not in verifiers:
            raise VerificationError(
                f"this version knows no attestation {quoted(kind, SHOWN)}, and can't check one",
                expected=listed(list(verifiers), 20),
            )
        own = tables.object(kind)
        trust[kind] = (verifiers[kind], verifiers[kind].read_trust(own, read))
        own.end()
    if not trust:
        raise VerificationError("policy.attestation allows no enclave: it needs a table, such as [attestation.nitro]")
    return trust


def _beside(folder: Path, name: str) -> bytes:
    if not PLAIN_NAME.fullmatch(name):
        raise VerificationError(
            "this is not the name of a file beside the policy",
            expected="letters, digits, _ - .",
            found=quoted(name, SHOWN),
        )
    return read_bounded(folder / name, _MAX_BESIDE)
