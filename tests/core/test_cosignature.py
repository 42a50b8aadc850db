"""ML-DSA-44 signatures over checkpoints: another implementation's, ours byte by byte, and what is
refused."""

import struct
from pathlib import Path

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import mldsa

from zk_autograd.core import cosignature
from zk_autograd.core.checkpoint import Checkpoint, checkpoint_text
from zk_autograd.core.errors import UnreadableError, VerificationError
from zk_autograd.core.keys import Algorithm, Ed25519Signer, MlDsa44Signer, PublicKey
from zk_autograd.core.note import open_note, parse_unverified, sign

VECTORS = Path(__file__).parent.parent / "data" / "cosignatures"
SEED = bytes(range(32))
ALICE = MlDsa44Signer("zk-autograd/key", SEED)
HEAD = Checkpoint("zk-autograd/5f3c", 3, bytes(range(32)))
TEXT = checkpoint_text(HEAD.origin, HEAD.size, HEAD.root)


def message(name: bytes, time: int, origin: bytes, start: int, end: int, root: bytes) -> bytes:
    """The cosigned_message of C2SP tlog-cosignature, written out from there."""
    return (
        b"subtree/v1\n\x00"
        + struct.pack(">B", len(name)) + name
        + struct.pack(">Q", time)
        + struct.pack(">B", len(origin)) + origin
        + struct.pack(">QQ", start, end)
        + root
    )  # fmt: skip


def stamped(time: int, data: bytes, seed: bytes = SEED, context: bytes | None = None) -> bytes:
    """The timestamped_signature over `data`, whatever that is."""
    return struct.pack(">Q", time) + mldsa.MLDSA44PrivateKey.from_seed_bytes(seed).sign(data, context)


def refused(text: str, signature: bytes, signer: MlDsa44Signer = ALICE) -> None:
    with pytest.raises(VerificationError, match="wrong signature by the key zk-autograd"):
        signer.public_key.verify(text, signature)


NAME, ORIGIN, ROOT = ALICE.name.encode(), HEAD.origin.encode(), HEAD.root


@pytest.mark.parametrize("vector", ["litewitness", "torchwood"])
def test_a_checkpoint_signed_by_another_implementation_is_opened(vector: str) -> None:
    key = PublicKey.parse((VECTORS / f"{vector}.vkey").read_text().strip())
    note = (VECTORS / f"{vector}.note").read_bytes()
    assert key.algorithm is Algorithm.ML_DSA_44
    opened = open_note(note, [key])
    assert opened.keys == (key,)
    for old, new in ((b"\n1\n", b"\n2\n"), (b"\n+zoE", b"\n+zoF"), (b"mldsa-log\n", b"mldsa-lag\n")):
        changed = note.replace(old, new, 1)
        assert changed != note
        with pytest.raises(VerificationError, match="wrong signature"):
            open_note(changed, [key])


def test_the_seed_of_the_litewitness_log_gives_its_key() -> None:
    seed = bytes.fromhex("2886adc2b0eabfce67c0472939127998bf886cf256bfee8ba76a253fce1146e0")
    vkey = (VECTORS / "litewitness.vkey").read_text()
    assert MlDsa44Signer("example.com/mldsa-log", seed).public_key.encode() + "\n" == vkey


def test_times_of_the_vectors() -> None:
    """One is of time 0, as ours are; the other says when it was made, which is signed with it."""
    times = {}
    for vector in ("litewitness", "torchwood"):
        (line,) = parse_unverified((VECTORS / f"{vector}.note").read_bytes()).lines
        assert len(line.signature) == cosignature.TIME_BYTES + cosignature.SIGNATURE_BYTES
        times[vector] = int.from_bytes(line.signature[:8], "big")
    assert times["litewitness"] == 0
    assert times["torchwood"] > 1.7e9


def test_what_is_signed_is_the_message_of_the_specification() -> None:
    expected = message(NAME, 0, ORIGIN, 0, 3, ROOT)
    assert cosignature.cosigned_message(ALICE.name, 0, HEAD) == expected
    signature = ALICE.sign(TEXT)
    assert signature[:8] == bytes(8)
    public = mldsa.MLDSA44PublicKey.from_public_bytes(ALICE.public_key.raw)
    public.verify(signature[8:], expected)
    ALICE.public_key.verify(TEXT, stamped(0, expected))


def test_two_signatures_over_one_text_differ_and_both_are_right() -> None:
    one, another = ALICE.sign(TEXT), ALICE.sign(TEXT)
    assert one != another
    for signature in (one, another):
        ALICE.public_key.verify(TEXT, signature)


@pytest.mark.parametrize("time", [1, 1_700_000_000, 2**63 - 1])
def test_another_time_is_accepted_where_it_was_signed(time: int) -> None:
    right = stamped(time, message(NAME, time, ORIGIN, 0, 3, ROOT))
    ALICE.public_key.verify(TEXT, right)
    refused(TEXT, bytes(8) + right[8:])
    refused(TEXT, stamped(time, message(NAME, 0, ORIGIN, 0, 3, ROOT)))


def test_a_time_beyond_2_to_the_63_is_refused() -> None:
    for time in (2**63, 2**64 - 1):
        refused(TEXT, stamped(time, message(NAME, time, ORIGIN, 0, 3, ROOT)))


OTHERS = {
    "of another name": stamped(0, message(b"zk-autograd/kex", 0, ORIGIN, 0, 3, ROOT)),
    "of another origin": stamped(0, message(NAME, 0, b"zk-autograd/5f3d", 0, 3, ROOT)),
    "of name and origin shifted": stamped(0, message(NAME + b"\0", 0, ORIGIN[1:], 0, 3, ROOT)),
    "of another start": stamped(0, message(NAME, 0, ORIGIN, 1, 3, ROOT)),
    "of another size": stamped(0, message(NAME, 0, ORIGIN, 0, 4, ROOT)),
    "of another root": stamped(0, message(NAME, 0, ORIGIN, 0, 3, bytes(32))),
    "of the text": stamped(0, TEXT.encode()),
    "of a cosignature of type 0x04": stamped(0, b"cosignature/v1\ntime 0\n" + TEXT.encode()),
    "of another key": stamped(0, message(NAME, 0, ORIGIN, 0, 3, ROOT), seed=bytes(32)),
    "with a context": stamped(0, message(NAME, 0, ORIGIN, 0, 3, ROOT), context=b"x"),
    "without a time": stamped(0, message(NAME, 0, ORIGIN, 0, 3, ROOT))[8:],
    "with a byte more": ALICE.sign(TEXT) + b"\0",
    "with a byte less": ALICE.sign(TEXT)[:-1],
    "with a bit flipped": bytes([*ALICE.sign(TEXT)[:-1], ALICE.sign(TEXT)[-1] ^ 1]),
    "of Ed25519": Ed25519Signer(ALICE.name, SEED).sign(TEXT),
    "of Ed25519 after a time": bytes(8) + Ed25519Signer(ALICE.name, SEED).sign(TEXT),
    "of nothing": b"",
    "of a time alone": bytes(8),
    "of zeros": bytes(8 + cosignature.SIGNATURE_BYTES),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_signature_of_something_else_is_refused(name: str) -> None:
    refused(TEXT, OTHERS[name])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text\n",
        TEXT[:-1],
        TEXT + "extension\n",
        TEXT + "\n",
        "\n" + TEXT,
        TEXT.replace("\n3\n", "\n03\n"),
        "\ud800",
    ],
    ids=ascii,
)
def test_a_text_that_is_no_checkpoint_is_neither_signed_nor_verified(text: str) -> None:
    for attempt in (lambda: ALICE.sign(text), lambda: ALICE.public_key.verify(text, ALICE.sign(TEXT))):
        with pytest.raises(VerificationError):
            attempt()
    with pytest.raises(VerificationError):
        sign(text, [ALICE])


@pytest.mark.parametrize("length", [1, 255])
def test_names_and_origins_are_of_1_to_255_bytes(length: int) -> None:
    signer, text = MlDsa44Signer("n" * length, SEED), checkpoint_text("o" * length, 1, bytes(32))
    note = sign(text, [signer])
    assert open_note(note, [signer.public_key]).text == text
    made = cosignature.cosigned_message(signer.name, 0, Checkpoint("o" * length, 1, bytes(32)))
    assert made == message(b"n" * length, 0, b"o" * length, 0, 1, bytes(32))


@pytest.mark.parametrize("length", [0, 256])
def test_longer_or_empty_ones_are_refused(length: int) -> None:
    with pytest.raises(VerificationError, match="key name"):
        MlDsa44Signer("n" * length, SEED)
    with pytest.raises(VerificationError, match="no usable origin"):
        ALICE.sign(f"{'o' * length}\n1\n{TEXT.splitlines()[2]}\n")
    for name, origin in (("n" * length, "o"), ("n", "o" * length)):
        with pytest.raises(VerificationError, match=f"expected 1 to 255 bytes, found {length}"):
            cosignature.cosigned_message(name, 0, Checkpoint(origin, 1, bytes(32)))


def test_a_machine_without_ml_dsa_judges_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A `cryptography` that was built against an older OpenSSL: not evidence against a run."""

    def missing(*_: object) -> None:
        raise UnsupportedAlgorithm("ML-DSA-44 is not supported by this backend.")

    signature, key = ALICE.sign(TEXT), ALICE.public_key
    monkeypatch.setattr(mldsa.MLDSA44PublicKey, "from_public_bytes", missing)
    monkeypatch.setattr(mldsa.MLDSA44PrivateKey, "from_seed_bytes", missing)
    for attempt in (lambda: key.verify(TEXT, signature), lambda: ALICE.sign(TEXT), lambda: ALICE.public_key):
        with pytest.raises(UnreadableError, match="built without ML-DSA-44"):
            attempt()
