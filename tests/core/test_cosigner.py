"""Cosignatures: what is signed, who may sign it, and what is refused."""

import base64
import struct
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from zk_autograd.core.checkpoint import checkpoint_text
from zk_autograd.core.cosignature import MAX_TIME
from zk_autograd.core.cosigner import Cosigner, CosignerKey, Ed25519Cosigner, MlDsa44Cosigner, Scheme
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.keys import Ed25519Signer, MlDsa44Signer
from zk_autograd.core.note import parse_unverified

VECTORS = Path(__file__).parent.parent / "data" / "cosignatures"
NAME = "witness.example/w"
SEED = bytes(range(32))
BOTH: list[Cosigner] = [Ed25519Cosigner(Ed25519Signer(NAME, SEED)), MlDsa44Cosigner(MlDsa44Signer(NAME, SEED))]
TEXT = checkpoint_text("log.example/a", 5, bytes(range(32)))
NOW = 1_790_000_000

both = pytest.mark.parametrize("cosigner", BOTH, ids=["Ed25519", "ML-DSA-44"])


@pytest.mark.parametrize(
    ("vector", "scheme", "time"),
    [("litewitness-v1", Scheme.ED25519, 1_796_060_928), ("torchwood", Scheme.ML_DSA_44, 1_796_048_372)],
)
def test_a_cosignature_of_another_implementation_is_verified(vector: str, scheme: Scheme, time: int) -> None:
    name, _, encoded = (VECTORS / f"{vector}.vkey").read_text().strip().split("+", 2)
    material = base64.b64decode(encoded)
    key = CosignerKey(name, scheme, material[1:])
    assert (material[0], key.encode()) == (scheme, (VECTORS / f"{vector}.vkey").read_text().strip())
    note = parse_unverified((VECTORS / f"{vector}.note").read_bytes())
    (line,) = note.lines
    assert (line.name, line.key_id) == (key.name, key.key_id)
    assert key.verify(note.text, line.signature) == time
    with pytest.raises(VerificationError, match="wrong signature"):
        key.verify(note.text.replace("\n5\n", "\n6\n").replace("\n1\n", "\n2\n"), line.signature)


@both
def test_a_cosignature_is_verified_and_gives_its_time(cosigner: Cosigner) -> None:
    for time in (1, NOW, MAX_TIME):
        assert cosigner.public_key.verify(TEXT, cosigner.cosign(TEXT, time)) == time


def test_what_ed25519_signs_is_the_message_of_the_specification() -> None:
    message = f"cosignature/v1\ntime {NOW}\n".encode() + TEXT.encode()
    expected = struct.pack(">Q", NOW) + Ed25519PrivateKey.from_private_bytes(SEED).sign(message)
    assert BOTH[0].cosign(TEXT, NOW) == expected


def test_key_ids_are_those_of_the_specification() -> None:
    for cosigner, kind in zip(BOTH, (b"\x04", b"\x06"), strict=True):
        key = cosigner.public_key
        assert key.key_id == sha256(NAME.encode() + b"\n" + kind + key.raw).digest()[:4]


@both
def test_a_log_s_signature_is_no_cosignature(cosigner: Cosigner) -> None:
    """Ed25519: over the note's text alone. ML-DSA-44: of the time 0."""
    signer = BOTH[0].signer if cosigner is BOTH[0] else BOTH[1].signer  # type: ignore[attr-defined]
    plain = signer.sign(TEXT)
    for signature in (plain, struct.pack(">Q", NOW) + plain, bytes(8) + plain):
        with pytest.raises(VerificationError):
            cosigner.public_key.verify(TEXT, signature)


@both
@pytest.mark.parametrize("time", [0, -1, MAX_TIME + 1])
def test_no_other_time_is_signed(cosigner: Cosigner, time: int) -> None:
    with pytest.raises(ValueError, match="a cosignature's time"):
        cosigner.cosign(TEXT, time)


@both
def test_a_cosignature_of_time_0_is_refused(cosigner: Cosigner) -> None:
    """Rightly signed, but tlog-witness wants a time."""
    if cosigner is BOTH[0]:
        signature = bytes(8) + Ed25519PrivateKey.from_private_bytes(SEED).sign(
            b"cosignature/v1\ntime 0\n" + TEXT.encode()
        )
    else:
        signature = MlDsa44Signer(NAME, SEED).sign(TEXT)
    with pytest.raises(VerificationError, match="has no time"):
        cosigner.public_key.verify(TEXT, signature)


def test_a_time_beyond_the_specification_s_is_refused() -> None:
    late = MAX_TIME + 1
    message = f"cosignature/v1\ntime {late}\n".encode() + TEXT.encode()
    signature = struct.pack(">Q", late) + Ed25519PrivateKey.from_private_bytes(SEED).sign(message)
    with pytest.raises(VerificationError, match="has no time"):
        BOTH[0].public_key.verify(TEXT, signature)


@both
@pytest.mark.parametrize(
    "other",
    [
        checkpoint_text("log.example/b", 5, bytes(range(32))),
        checkpoint_text("log.example/a", 6, bytes(range(32))),
        checkpoint_text("log.example/a", 5, bytes(32)),
    ],
    ids=["log", "size", "root"],
)
def test_a_cosignature_of_another_tree_head_is_refused(cosigner: Cosigner, other: str) -> None:
    with pytest.raises(VerificationError, match="wrong signature"):
        cosigner.public_key.verify(other, cosigner.cosign(TEXT, NOW))


@both
@pytest.mark.parametrize("text", ["", "hello\n", TEXT + "an extension\n", TEXT[:-1]])
def test_only_checkpoints_are_cosigned(cosigner: Cosigner, text: str) -> None:
    with pytest.raises(VerificationError):
        cosigner.cosign(text, NOW)
    with pytest.raises(VerificationError):
        cosigner.public_key.verify(text, cosigner.cosign(TEXT, NOW))


def test_a_right_signature_over_another_text_is_no_cosignature() -> None:
    text = TEXT + "an extension\n"
    message = f"cosignature/v1\ntime {NOW}\n{text}".encode()
    signature = struct.pack(">Q", NOW) + Ed25519PrivateKey.from_private_bytes(SEED).sign(message)
    with pytest.raises(VerificationError, match="checkpoint is not the three lines"):
        BOTH[0].public_key.verify(text, signature)


def test_the_name_is_bound_by_ml_dsa_44_alone() -> None:
    """So an Ed25519 key must not be that of two cosigners (tlog-cosignature)."""
    for cosigner, bound in zip(BOTH, (False, True), strict=True):
        key = CosignerKey("other", cosigner.public_key.scheme, cosigner.public_key.raw)
        signature = cosigner.cosign(TEXT, NOW)
        if bound:
            with pytest.raises(VerificationError, match="wrong signature"):
                key.verify(TEXT, signature)
        else:
            assert key.verify(TEXT, signature) == NOW


@given(st.binary(max_size=80) | st.binary(min_size=2428, max_size=2428), st.sampled_from([0, 1]))
def test_any_other_bytes_are_refused(signature: bytes, which: int) -> None:
    with pytest.raises(VerificationError):
        BOTH[which].public_key.verify(TEXT, signature)


@both
@given(st.data())
def test_every_changed_bit_is_seen(cosigner: Cosigner, data: st.DataObject) -> None:
    signature = bytearray(cosigner.cosign(TEXT, NOW))
    bit = data.draw(st.integers(0, 8 * len(signature) - 1))
    signature[bit // 8] ^= 1 << bit % 8
    with pytest.raises(VerificationError):
        cosigner.public_key.verify(TEXT, bytes(signature))


@pytest.mark.parametrize(
    ("scheme", "raw", "why"),
    [
        (Scheme.ED25519, bytes(32), "small order"),
        (Scheme.ED25519, bytes(31), "wrong length"),
        (Scheme.ML_DSA_44, bytes(1312), "so regular"),
        (Scheme.ML_DSA_44, bytes(1311), "wrong length"),
    ],
)
def test_a_key_that_anybody_could_sign_for_is_none(scheme: Scheme, raw: bytes, why: str) -> None:
    with pytest.raises(VerificationError, match=why):
        CosignerKey(NAME, scheme, raw)
