"""Keys that sign notes: vectors of C2SP, Go and RFC 8032; texts, names and key material that are
refused."""

import copy
import pickle
from hashlib import shake_256

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.core.keys import (
    Algorithm,
    Ed25519Signer,
    MlDsa44Signer,
    PublicKey,
    SeedSigner,
    label_of,
    parse_keys,
    text_signers,
)

# C2SP signed-note, "Verifier keys", example.
C2SP_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"

# golang.org/x/mod, sumdb/note/note_test.go.
PETER_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
ENOCH_KEY = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"

ALICE = Ed25519Signer("zk-autograd/key", bytes(range(32)))
PQ = MlDsa44Signer("zk-autograd/key", bytes(range(32)))

P = 2**255 - 19  # the field of Curve25519
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493  # L of RFC 8032


def test_key_of_the_specification_is_read() -> None:
    key = PublicKey.parse(C2SP_KEY)
    assert (key.name, key.key_id.hex(), key.algorithm) == ("example.com/foo", "530d903a", Algorithm.ED25519)


def test_signer_makes_the_key_and_signature_of_rfc_8032_section_7_1_test_1() -> None:
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    signer = Ed25519Signer("k", seed)
    assert signer.public_key.raw.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert signer.sign("").hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )


def test_signature_is_of_one_text_by_one_key() -> None:
    key, signature = ALICE.public_key, ALICE.sign("text\n")
    key.verify("text\n", signature)
    bad = [signature[:-1], signature + b"\x00", bytes(64), b"", signature[32:] + signature[:32]]
    for wrong in bad:
        with pytest.raises(VerificationError, match="wrong signature by the key zk-autograd/key"):
            key.verify("text\n", wrong)
    for text in ("text", "Text\n", ""):
        with pytest.raises(VerificationError, match="wrong signature"):
            key.verify(text, signature)
    with pytest.raises(VerificationError, match="wrong signature"):
        Ed25519Signer(ALICE.name, bytes(32)).public_key.verify("text\n", signature)


def test_text_with_a_surrogate_is_not_signed() -> None:
    with pytest.raises(VerificationError, match="lone surrogate"):
        ALICE.sign("\ud800")
    with pytest.raises(VerificationError, match="lone surrogate"):
        ALICE.public_key.verify("\ud800", bytes(64))


def test_signature_with_the_group_order_added_is_wrong() -> None:
    good = ALICE.sign("text\n")
    scalar = int.from_bytes(good[32:], "little") + GROUP_ORDER
    with pytest.raises(VerificationError, match="wrong signature"):
        ALICE.public_key.verify("text\n", good[:32] + scalar.to_bytes(32, "little"))


@pytest.mark.parametrize("vkey", [PETER_KEY, ENOCH_KEY, C2SP_KEY, ALICE.public_key.encode()])
def test_key_has_one_text(vkey: str) -> None:
    assert PublicKey.parse(vkey).encode() == vkey
    for start in range(len(vkey)):
        for end in range(start, len(vkey) + (start > 0)):
            with pytest.raises(VerificationError):
                PublicKey.parse(vkey[start:end])
    for index, character in enumerate(vkey):
        with pytest.raises(VerificationError):
            PublicKey.parse(vkey[:index] + chr(ord(character) + 1) + vkey[index + 1 :])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not of the form"),
        ("k", "not of the form"),
        ("k+00000000", "not of the form"),
        (f"{PETER_KEY}\n", "not base64"),
        (f"{PETER_KEY}+", "not (canonical )?base64"),
        (PETER_KEY.replace("c74f20a3", "C74F20A3"), "ID that is not the hash"),
        (PETER_KEY.replace("c74f20a3", "0c74f20a3"), "ID that is not the hash"),
        (PETER_KEY.replace("PeterNeumann", "Peter"), "ID that is not the hash"),
        (
            "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
            "not canonical base64",
        ),
        ("k+00000000+", "unsupported signature type"),
        ("k+00000000+AQ==", "wrong length"),
        # The next is Go's: a signature type that nobody knows, with its right hash.
        ("PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "signature type .* found 65"),
        ("k+00000000+BBpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "signature type .* found 04"),
    ],
)
def test_text_that_is_no_key_is_refused(text: str, reason: str) -> None:
    with pytest.raises(VerificationError, match=reason):
        PublicKey.parse(text)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(VerificationError, match="wrong length"):
        PublicKey("k", Algorithm.ED25519, b"\x09" * length)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a b",
        "a+b",
        "a\nb",
        "a\u00a0b",
        "a\u2028b",
        "a\x85b",
        "a\x00",
        "\x1f",
        "\x9b",
        "\ud800",
        "k" * 256,
    ],
    ids=ascii,
)
def test_name_that_can_not_stand_in_a_note_is_refused(name: str) -> None:
    with pytest.raises(VerificationError, match="key name"):
        PublicKey(name, Algorithm.ED25519, ALICE.public_key.raw)
    with pytest.raises(VerificationError, match="key name"):
        Ed25519Signer(name, ALICE.seed)
    with pytest.raises(VerificationError, match="key name"):
        MlDsa44Signer(name, PQ.seed)


def test_key_names_are_otherwise_free() -> None:
    for name in ("k", "k" * 255, "\u00e9" * 127, "zk-autograd/key", "oid/1.3.6.1.4.1", "=\u2014="):
        key = Ed25519Signer(name, ALICE.seed).public_key
        assert PublicKey.parse(key.encode()) == key


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_seed_of_another_length_is_refused(length: int) -> None:
    for kind in (Ed25519Signer, MlDsa44Signer):
        with pytest.raises(ValueError, match="32 bytes"):
            kind("k", bytes(length))


@pytest.mark.parametrize("signer", [ALICE, PQ])
def test_seed_is_not_printed(signer: SeedSigner) -> None:
    assert signer.seed.hex() not in repr(signer)
    assert repr(signer.seed) not in repr(signer)
    with pytest.raises(UsageError, match="can't be pickled") as caught:
        pickle.dumps(signer)
    assert repr(signer.seed) not in str(caught.value)
    assert copy.deepcopy(signer) is copy.copy(signer) is signer


def test_signers_of_one_seed_and_two_algorithms_are_two() -> None:
    pair: list[SeedSigner] = [ALICE, PQ]
    assert pair[0] != pair[1]
    assert Ed25519Signer(ALICE.name, ALICE.seed) == ALICE
    assert text_signers([PQ, ALICE]) == [ALICE]


@pytest.mark.parametrize("length", [0, 32, 1311, 1313])
def test_an_ml_dsa_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(VerificationError, match=r"ML-DSA-44 key has the wrong length .*expected 1312 bytes"):
        PublicKey("k", Algorithm.ML_DSA_44, bytes(length))


@pytest.mark.parametrize(
    ("t1", "w1"),
    [
        ([0] * 256, 0),
        ([1023] * 256, 0),
        ([0, 1023] * 128, 0),
        ([2, *[0] * 255], 0),
        ([*[0] * 255, 1020], 0),
        ([512] * 256, 22),  # 22 * 190464 is near (q - 1) / 2
    ],
    ids=["zero", "minus one", "zero and minus one", "one coefficient", "another", "half"],
)
def test_an_ml_dsa_key_for_which_anybody_signs_is_refused(t1: list[int], w1: int) -> None:
    """FIPS 204, algorithm 8: with z = 0 the commitment is the high bits of challenge * t1 * 2^13,
    which are the same for nearly every challenge, and for all of these."""
    raw = bytes(range(32)) + 4 * _packed(t1, 10)
    assert all(_anybody_signs(raw, b"message %d" % i, w1) for i in range(20))
    with pytest.raises(VerificationError, match="anybody could sign for it"):
        PublicKey("k", Algorithm.ML_DSA_44, raw)


def _anybody_signs(raw: bytes, message: bytes, w1: int) -> bool:
    """Whether the message has a signature under the key that is made without its secret."""
    mu = shake_256(shake_256(raw).digest(64) + b"\0\0" + message).digest(64)  # pure, with an empty context
    challenge = shake_256(mu + 4 * _packed([w1] * 256, 6)).digest(32)
    z = 4 * _packed([2**17] * 256, 18)  # 0, which is encoded as gamma1
    try:
        MLDSA44PublicKey.from_public_bytes(raw).verify(challenge + z + bytes(84), message)
    except InvalidSignature:
        return False
    return True


def _packed(values: list[int], bits: int) -> bytes:
    """FIPS 204, algorithm 16."""
    return sum(value << bits * i for i, value in enumerate(values)).to_bytes(bits * len(values) // 8, "little")


def test_an_ml_dsa_key_that_was_made_is_far_from_that() -> None:
    """768 of its coefficients are far from 0 and q/2, with a standard deviation of 14."""
    for seed in range(32):
        t1 = int.from_bytes(MlDsa44Signer("k", bytes([seed]) * 32).public_key.raw[32:], "little")
        near = {*range(64), *range(448, 576), *range(960, 1024)}
        assert 680 < sum(t1 >> 10 * i & 1023 not in near for i in range(1024)) < 850


@pytest.mark.parametrize("far", [511, 512])
def test_half_of_the_coefficients_of_an_ml_dsa_key_must_be_far(far: int) -> None:
    edges = [64, 447, 576, 959], [63, 448, 575, 960]  # far and near
    raw = bytes(32) + _packed([edges[i >= far][i % 4] for i in range(1024)], 10)
    if far == 512:
        assert PublicKey("k", Algorithm.ML_DSA_44, raw).raw == raw
    else:
        with pytest.raises(VerificationError, match="anybody could sign for it"):
            PublicKey("k", Algorithm.ML_DSA_44, raw)


def test_an_ml_dsa_key_has_one_text() -> None:
    text = PQ.public_key.encode()
    assert PublicKey.parse(text) == PQ.public_key
    assert len(text) == len("zk-autograd/key+01020304+") + 1752
    for index in range(0, len(text), 7):
        with pytest.raises(VerificationError):
            PublicKey.parse(text[:index] + chr(ord(text[index]) + 1) + text[index + 1 :])
    for other in (text[:-4], text + "AAAA", text + " ", text.replace("+Bt", "+AS"), text.replace("+Bt", "+BC")):
        assert other != text
        with pytest.raises(VerificationError):
            PublicKey.parse(other)


def test_a_message_calls_a_key_by_name_id_and_algorithm() -> None:
    for key, kind in ((ALICE.public_key, "Ed25519"), (PQ.public_key, "ML-DSA-44")):
        assert key.label == f"zk-autograd/key+{key.key_id.hex()} ({kind})"
        assert label_of(key.encode()) == key.label
    assert label_of("another+01020304+BAAA") == "'another+01020304+BAAA'"
    assert ALICE.public_key.key_id != PQ.public_key.key_id


def test_keys_are_one_a_line() -> None:
    both = (ALICE.public_key, PQ.public_key)
    lines = [key.encode() for key in both]
    for text in ("\n".join(lines), "\r\n".join([*lines, ""]), f"\n {lines[0]} \n\n{lines[1]}\n"):
        assert parse_keys(text) == both
    assert parse_keys(lines[1]) == both[1:]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\n\n",
        f"{C2SP_KEY}\n# mine",
        f"{C2SP_KEY}\nname: x",
        f"{C2SP_KEY},{C2SP_KEY}",
        f"{C2SP_KEY} {PETER_KEY}",
    ],
)
def test_a_text_with_no_key_or_with_more_than_keys_gives_none(text: str) -> None:
    with pytest.raises(VerificationError):
        parse_keys(text)


def encoded(y: int, sign: int) -> bytes:
    return (y | sign << 255).to_bytes(32, "little")


@pytest.mark.parametrize("sign", [0, 1])
def test_key_of_small_order_is_refused(sign: int) -> None:
    # A point of order 8 doubled has order 4 and y = 0, so that x^2 = -y^2 by the addition law, and
    # the curve's equation becomes d y^4 + 2 y^2 - 1 = 0. Roots by exponentiation, since P = 5 mod
    # 8.
    d = -121665 * pow(121666, -1, P) % P
    i = pow(2, (P - 1) // 4, P)

    def roots(square: int) -> list[int]:
        candidates = [pow(square, (P + 3) // 8, P) * factor % P for factor in (1, i, -1, -i)]
        return [root for root in candidates if root * root % P == square % P]

    eighth = {y for root in roots(1 + d) for y in roots((root - 1) * pow(d, -1, P))}
    assert len(eighth) == 2
    assert all((d * y**4 + 2 * y**2 - 1) % P == 0 for y in eighth)
    for y in {0, 1, P - 1} | eighth:
        with pytest.raises(VerificationError, match="small order"):
            PublicKey("k", Algorithm.ED25519, encoded(y, sign))


def test_key_of_small_order_would_verify_every_text() -> None:
    identity = encoded(1, 0)
    key = Ed25519PublicKey.from_public_bytes(identity)
    for text in (b"one text", b"another"):
        key.verify(identity + bytes(32), text)  # raises nothing: this is why such keys are refused


@pytest.mark.parametrize("sign", [0, 1])
def test_key_that_is_not_reduced_is_refused(sign: int) -> None:
    for y in range(P, 2**255):
        with pytest.raises(VerificationError, match="not canonical"):
            PublicKey("k", Algorithm.ED25519, encoded(y, sign))
