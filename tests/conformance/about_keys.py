"""Cases about a run of the format run/v1, signed by two keys: Ed25519 and ML-DSA-44."""

from base64 import b64decode, b64encode
from collections.abc import Callable
from hashlib import sha256

from tests.conformance.cases import Change, refused, shown, signed, usage
from tests.conformance.draft import CHECKPOINT, DATA, Draft
from tests.verify.run_builder import SIGNER
from zk_autograd.core.keys import Ed25519Signer

CLASSIC, QUANTUM = (DATA / "test-v1.key.pub").read_text(encoding="ascii").split()
BASE, BOTH = "native-v1", {"keys": [CLASSIC, QUANTUM]}
HALF = b"\x06" + bytes(32) + b"\x00\x02\x08\x20\x80" * 256  # t1 of ML-DSA-44: 512 everywhere, which is q/2
WEAK = "trainer+" + sha256(b"trainer\n" + HALF).hexdigest()[:8] + "+" + b64encode(HALF).decode()
UNKNOWN = "trainer+00000000+" + b64encode(b"\x7f" + bytes(32)).decode()


def seed() -> bytes:
    """The secret of the Ed25519 key, which is good for tests alone."""
    (line,) = [x for x in (DATA / "test-v1.key").read_text(encoding="ascii").split("\n") if x.startswith("ed25519: ")]
    return b64decode(line.removeprefix("ed25519: "))


def lines(change: Callable[[list[bytes]], list[bytes]]) -> Change:
    """Other signature lines under the same text: [Ed25519's, ML-DSA-44's]."""

    def changed(d: Draft) -> None:
        text, signatures = d.files[CHECKPOINT].split(b"\n\n")
        kept = change(signatures.rstrip(b"\n").split(b"\n"))
        d.files[CHECKPOINT] = text + b"\n\n" + b"".join(line + b"\n" for line in kept)

    return changed


def signature(place: int, change: Callable[[bytes], bytes]) -> Change:
    """Other bytes for one of the signatures, after its key ID."""

    def changed(found: list[bytes]) -> list[bytes]:
        head, _, blob = found[place].rpartition(b" ")
        raw = b64decode(blob)
        found[place] = head + b" " + b64encode(raw[:4] + change(raw[4:]))
        return found

    return lines(changed)


def flip(at: int) -> Callable[[bytes], bytes]:
    return lambda raw: raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


shown("v1-untouched", "A run of the format run/v1 under both keys.", BASE, "L0", "L1", auditor=BOTH)
for name, about, key in (("ed25519", "Ed25519", CLASSIC), ("ml-dsa-44", "ML-DSA-44", QUANTUM)):
    shown(f"v1-{name}-pinned", f"The auditor pins the {about} key alone.", BASE, "L0", "L1", auditor={"keys": [key]})
shown(
    "v1-ml-dsa-44-dropped-and-not-pinned",
    "The ML-DSA-44 line is gone, and only Ed25519 is pinned.",
    BASE,
    "L0",
    "L1",
    change=lines(lambda found: found[:1]),
    auditor={"keys": [CLASSIC]},
)
for name, about, says, change in (
    (
        "ml-dsa-44-dropped",
        "The ML-DSA-44 line is gone.",
        "note is not signed by the key",
        lines(lambda found: found[:1]),
    ),
    ("ed25519-dropped", "The Ed25519 line is gone.", "note is not signed by the key", lines(lambda found: found[1:])),
    (
        "ml-dsa-44-first-bit",
        "The first bit of the ML-DSA-44 signature.",
        "wrong signature by the key",
        signature(1, flip(0)),
    ),
    ("ml-dsa-44-eighth-byte", "A bit of its time.", "wrong signature by the key", signature(1, flip(7))),
    ("ml-dsa-44-ninth-byte", "A bit of what follows its time.", "wrong signature by the key", signature(1, flip(8))),
    (
        "ml-dsa-44-last-bit",
        "Its last byte.",
        "wrong signature by the key",
        signature(1, lambda raw: flip(len(raw) - 1)(raw)),
    ),
    ("ml-dsa-44-short", "A byte less.", "wrong signature by the key", signature(1, lambda raw: raw[:-1])),
    ("ml-dsa-44-long", "A byte more.", "wrong signature by the key", signature(1, lambda raw: raw + b"\0")),
    ("ed25519-bit", "A bit of the Ed25519 signature.", "wrong signature by the key", signature(0, flip(0))),
    (
        "ml-dsa-44-empty",
        "64 zeros for the ML-DSA-44 signature.",
        "wrong signature by the key",
        signature(1, lambda raw: bytes(64)),
    ),
):
    refused(f"v1-{name}", f"{about} Both keys are pinned.", 2, says, change, BASE, auditor=BOTH)


def broken(d: Draft) -> None:
    """Who has broken Ed25519 signs other claims; the ML-DSA-44 line stays."""
    old = d.files[CHECKPOINT].split(b"\n")[-2]
    d.set(2, "claimed.loss", [])
    d.sign(Ed25519Signer(CLASSIC.split("+")[0], seed()))
    d.files[CHECKPOINT] += old + b"\n"


refused(
    "v1-ed25519-broken",
    "Somebody who can forge Ed25519 signs other records; the ML-DSA-44 line is the old one.",
    2,
    "wrong signature by the key",
    broken,
    BASE,
    auditor=BOTH,
)
refused(
    "v1-record-changed",
    "A claimed loss is another, under the note of both keys.",
    3,
    "the checkpoint's root is not that of the log",
    lambda d: d.set(2, "claimed.loss", []),
    BASE,
    auditor=BOTH,
)
shown(
    "v0-unknown-key",
    "A header of run/v0 names a key of an algorithm that is not known here.",
    "none",
    "L0",
    change=lambda d: d.edit(0, lambda r: r["keys"].append(UNKNOWN)).sign(SIGNER),
    auditor={"require": "L0"},
)
signed(
    "v1-unknown-key",
    "A header of run/v1 names such a key.",
    1,
    "names an invalid key",
    lambda d: d.edit(0, lambda r: r.update(format="zk-autograd/run/v1", keys=[*r["keys"], UNKNOWN])),
)
usage(
    "v1-key-for-which-anybody-signs-pinned",
    "An ML-DSA-44 key for which anybody can sign.",
    "neither a file nor a public key",
    auditor={"keys": [WEAK]},
)
signed(
    "v1-key-for-which-anybody-signs",
    "A header of run/v1 names such a key.",
    1,
    "names an invalid key",
    lambda d: d.edit(0, lambda r: r.update(format="zk-autograd/run/v1", keys=[*r["keys"], WEAK])),
)
signed(
    "v1-for-v0",
    "A proved run of run/v0 is said to be of run/v1, signed.",
    7,
    "proof 0-0: the proof does not verify",
    lambda d: d.set(0, "format", "zk-autograd/run/v1"),
    base="native",
)
shown(
    "v1-without-proofs",
    "A run of the backend none is signed as one of run/v1.",
    "none",
    "L0",
    change=lambda d: d.set(0, "format", "zk-autograd/run/v1").sign(SIGNER),
    auditor={"require": "L0"},
)
