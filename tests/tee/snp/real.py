"""The real reports and certificates of tests/data/attestation/sev-snp."""

import json
import warnings
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509

from tests.tee.snp.platforms import DATA
from zk_autograd.tee.snp import SnpClaim, verify

AUTHORITIES = (
    "67d303bd3905fd38",  # SEV-Milan
    "c5e081f59b7efab1",  # SEV-VLEK-Milan
    "69d063b45344d26a",  # ARK-Milan
    "5464738c1546aed5",
    "197e610743a917d6",
    "4c6598d19c18719c",
    "5b77ef5fe7a7a004",
    "104e10a8bd060a3c",
    "1f084161a44bb6d9",
)
"""All of AMD's that are there, of Milan, Genoa and Turin: ASK, ASVK, ARK."""


def certificate(name: str) -> bytes:
    return (DATA / "certs" / f"{name}.der").read_bytes()


@cache
def manifest() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / "manifest.json").read_text())
    return found


def chain() -> list[bytes]:
    return [certificate(name) for name in AUTHORITIES]


def leaves() -> dict[str, bytes]:
    """Certificates of VCEKs and VLEKs, by name."""
    return {name: certificate(name) for name in manifest()["certificates"] if name not in AUTHORITIES}


def first_day(der: bytes) -> datetime:
    """A day after a certificate's time begins."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # AMD numbers them zero
        return x509.load_der_x509_certificate(der).not_valid_before_utc + timedelta(days=1)


@dataclass(frozen=True)
class Real:
    """A report, what the manifest says of it, and the names of certificates of the key."""

    name: str
    entry: dict[str, Any]
    data: bytes

    @property
    def signers(self) -> list[str]:
        return [file.removeprefix("certs/").removesuffix(".der") for file in self.entry["signer"]]

    @property
    def debug(self) -> bool:
        return str(self.entry["expect"]) == "reject: policy debug bit"

    def verify(self, signer: str | None = None, at: datetime | None = None) -> SnpClaim:
        """With its own key's certificate, or that of this name."""
        leaf = certificate(signer or self.signers[0])
        return verify(self.data, vcek=leaf, vlek=leaf, chain=chain(), at=at or first_day(leaf))


def reports() -> list[Real]:
    found = manifest()["reports"]
    return [Real(entry["file"][8:-4], entry, (DATA / entry["file"]).read_bytes()) for entry in found]


def signed_reports() -> list[Real]:
    return [one for one in reports() if one.signers]
