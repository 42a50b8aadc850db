"""Cases about runs of the format run/v3: an enclave's, whose genesis names an attestation."""

from collections.abc import Callable
from typing import Any

from tests.conformance.about_register import BASE, header
from tests.conformance.cases import signed
from tests.conformance.draft import Draft

V3 = "zk-autograd/run/v3"
INSIDE = {"proving": "inside"}

# ---- what a header may say of it

for name, about, says, members in (
    ("text", "A text for an object.", "record.enclave is invalid", {"enclave": "inside"}),
    ("empty", "Nothing is said of the enclave.", "record.enclave.proving is missing", {"enclave": {}}),
    ("elsewhere", "A place of proving that nobody knows.", "record.enclave.proving is invalid", {"enclave": {"proving": "elsewhere"}}),
    ("none", "No place of proving.", "record.enclave.proving is invalid", {"enclave": {"proving": ""}}),
    ("true", "True for a place of proving.", "record.enclave.proving is invalid", {"enclave": {"proving": True}}),
    ("more", "A member more.", "unknown fields", {"enclave": {**INSIDE, "kind": "nitro"}}),
):  # fmt: skip
    signed(f"enclave-{name}", f"{about} Signed.", 1, says, header(format=V3, **members), BASE)
signed("enclave-of-v2", "A header of run/v2 that is an enclave's. Signed.", 1, "unknown fields", header(enclave=INSIDE), BASE)  # fmt: skip


# ---- what the genesis names


def named(change: Callable[[Any], object]) -> Callable[[Draft], object]:
    """The run as an enclave's, with this change of its genesis."""

    def changed(d: Draft) -> None:
        header(format=V3, enclave=INSIDE)(d)
        d.edit(1, change)

    return changed


for name, about, says, value in (
    ("short", "A digest of 31 bytes.", "record.attestation is invalid", "07" * 31),
    ("empty", "An empty digest.", "record.attestation is invalid", ""),
    ("capitals", "A digest in capitals.", "record.attestation is invalid", "AB" * 32),
    ("array", "An array of a digest.", "record.attestation is invalid", ["07" * 32]),
):
    signed(f"attestation-{name}", f"{about} Signed.", 1, says, named(lambda r, v=value: r.update(attestation=v)), BASE)
signed("attestation-missing", "A run of an enclave that names no attestation. Signed.", 1, "record.attestation is missing",
       named(lambda _: None), BASE)  # fmt: skip
signed("attestation-of-v2", "A run of run/v2 that names an attestation. Signed.", 1, "unknown fields",
       lambda d: d.edit(1, lambda r: r.update(attestation="07" * 32)), BASE)  # fmt: skip
