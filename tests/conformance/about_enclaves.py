"""Cases about runs of the format run/v3: an enclave's, whose genesis names an attestation."""

from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Any

from tests.conformance.about_register import BASE, header
from tests.conformance.cases import less, refused, shown, signed
from tests.conformance.draft import Draft
from tests.verify.run_builder import SIGNER
from zk_autograd.core.attestation import Collateral, Document

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


def _put(value: Any, record: Any) -> None:
    record["attestation"] = value


for name, about, says, value in (
    ("short", "A digest of 31 bytes.", "record.attestation is invalid", "07" * 31),
    ("no-digest", "An empty digest.", "record.attestation is invalid", ""),
    ("capitals", "A digest in capitals.", "record.attestation is invalid", "AB" * 32),
    ("array", "An array of a digest.", "record.attestation is invalid", ["07" * 32]),
):
    signed(f"attestation-{name}", f"{about} Signed.", 1, says, named(partial(_put, value)), BASE)
signed("attestation-missing", "A run of an enclave that names no attestation. Signed.", 1, "record.attestation is missing",
       named(lambda _: None), BASE)  # fmt: skip
signed("attestation-of-v2", "A run of run/v2 that names an attestation. Signed.", 1, "unknown fields",
       lambda d: d.edit(1, lambda r: r.update(attestation="07" * 32)), BASE)  # fmt: skip

# ---- the document (step 8)

ENCLAVE, L0 = "enclave", {"require": "L0"}
DOCUMENT, COLLATERAL = "attestation/document.json", "attestation/collateral.json"

shown(
    "attestation-untouched",
    "A run of an enclave, whose document is genuine, about it, and trusted by nobody.",
    ENCLAVE,
    "L0",
    auditor=L0,
    says="it is signed under the root emulated, as anybody can, and about this run",
)
less(
    "attestation-trusted-by-nobody",
    "L2 is asked for, and the auditor names no measurement.",
    ENCLAVE,
    "L0",
    auditor={"require": "L2"},
    says="your policy trusts no attestation of the kind nitro",
)
less(
    "attestation-of-no-enclave",
    "L2 is asked of a run of no enclave.",
    "none",
    "L0",
    auditor={"require": "L2"},
    says="its header names no attestation",
)
shown(
    "attestation-with-collateral",
    "Collateral that no record names lies beside the document.",
    ENCLAVE,
    "L0",
    auditor=L0,
    change=lambda d: d.files.update({COLLATERAL: Collateral().encode()}),
)
less(
    "attestation-beside-another-run",
    "A document beside a run whose header says nothing of an enclave.",
    "none",
    "L0",
    auditor=L0,
    says="no record in this view names",
    change=lambda d: d.files.update({DOCUMENT: Draft(ENCLAVE).files[DOCUMENT]}),
)


def document(change: Callable[[Document], bytes]) -> Callable[[Draft], object]:
    """Another document, which the genesis names."""

    def changed(d: Draft) -> None:
        d.files[DOCUMENT] = change(Document.parse(d.files[DOCUMENT]))
        d.set(1, "attestation", sha256(d.files[DOCUMENT]).hexdigest())

    return changed


def flipped(raw: bytes, at: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at:][1:]


for name, about, says, change in (
    ("trailing", "A byte after the device's document.", "attestation/document.json: ",
     lambda d: Document(d.kind, d.raw + b"\0", d.release_key, d.nonce).encode()),
    ("cut", "The device's document without its last byte.", "attestation/document.json: ",
     lambda d: Document(d.kind, d.raw[:-1], d.release_key, d.nonce).encode()),
    ("signature", "A bit of the device's signature is changed.", "attestation/document.json: ",
     lambda d: Document(d.kind, flipped(d.raw, len(d.raw) - 5), d.release_key, d.nonce).encode()),
    ("release-key", "Another release key beside the device's document.", "is of another run",
     lambda d: Document(d.kind, d.raw, b"another", d.nonce).encode()),
    ("nonce", "A nonce beside the device's document, which it didn't sign.", "is of another run",
     lambda d: Document(d.kind, d.raw, d.release_key, bytes(16)).encode()),
    ("job", "A job beside the device's document, which it didn't sign.", "is of another run",
     lambda d: Document(d.kind, d.raw, d.release_key, d.nonce, bytes(32)).encode()),
    ("job-length", "A job's hash of 31 bytes.", "document.job is invalid",
     lambda d: Document(d.kind, d.raw, d.release_key, d.nonce, bytes(31)).encode()),
    ("blank", "White space after the file's object.", "not canonical JSON", lambda d: d.encode() + b" "),
    ("empty", "A file without a byte.", "not canonical JSON", lambda _: b""),
    ("no-raw", "No device's document in it.", "document.document is invalid", lambda d: Document(d.kind, b"").encode()),
):  # fmt: skip
    signed(f"attestation-{name}", f"{about} The genesis names it. Signed.", 8, says, document(change), ENCLAVE)
signed("attestation-another-header", "The header was changed after the device signed. Signed.", 8, "is of another run",
       lambda d: d.set(0, "package", "0.1.1"), ENCLAVE)  # fmt: skip
signed("attestation-another-run", "Another run's id, with the document of this one. Signed.", 8, "is of another run",
       lambda d: d.set(0, "run", "11" * 16), ENCLAVE)  # fmt: skip
refused("attestation-missing-file", "The document is missing.", 8, "is missing: the genesis names it",
        lambda d: d.files.pop(DOCUMENT), ENCLAVE)  # fmt: skip
refused("attestation-not-named", "Another document than the genesis names.", 8, "is not the attestation that the genesis names",
        lambda d: d.files.update({DOCUMENT: Document("nitro", b"\1").encode()}), ENCLAVE)  # fmt: skip
refused("attestation-collateral-none", "Collateral that is none.", 8, "attestation/collateral.json: not canonical JSON",
        lambda d: d.files.update({COLLATERAL: b"garbage"}), ENCLAVE)  # fmt: skip


def unknown(d: Draft) -> None:
    document(lambda found: Document("sgx", found.raw).encode())(d)
    d.sign(SIGNER)


less("attestation-unknown-kind", "A kind of device that nobody knows. Signed.", ENCLAVE, "L0", auditor={"require": "L2"},
     says="knows no attestation of the kind 'sgx'", change=unknown)  # fmt: skip
