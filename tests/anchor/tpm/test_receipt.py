"""What a TPM's statements show, and what a trainer would gain by one that isn't a TPM's, is about
something else, or is of another checkpoint: a tree head with a place in an order that it never had.
"""

import random
import struct
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.anchor.rfc3161.authority import STAMPING, UNKNOWN, Holder, holder
from zk_autograd.anchor.tpm import receipt as kind
from zk_autograd.anchor.tpm.receipt import PURPOSE, Trust, qualifying, read_trust, verify
from zk_autograd.anchor.tpm.structures import (
    KEY_TEMPLATE,
    Statement,
    counter_public,
    key_of,
    name_of,
    place_of,
)
from zk_autograd.core.anchors import AnchorClaim, AnchorVerifier, Receipt, SignedCheckpoint, Standing
from zk_autograd.core.canonical import Json
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.ec_keys import EcPublicKey
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.text import encode_base64

DATA = Path(__file__).parents[2] / "data" / "tpm"
HEAD = Checkpoint("zk-autograd/register/" + "ab" * 32, 3, bytes(range(32)))
CHECKPOINT = SignedCheckpoint(b"the note", HEAD)
KEY = ec.generate_private_key(ec.SECP256R1())
AIK = x509.ObjectIdentifier(PURPOSE)


def public_of(key: ec.EllipticCurvePrivateKey, template: bytes = KEY_TEMPLATE) -> bytes:
    numbers = key.public_key().public_numbers()
    point = b"".join(struct.pack(">H", 32) + one.to_bytes(32, "big") for one in (numbers.x, numbers.y))
    return template + point


PUBLIC = public_of(KEY)
NAMED = Trust(names=frozenset([name_of(PUBLIC)]))


def statement(**changes: Any) -> bytes:
    """A TPMS_ATTEST of TPM2_NV_Certify, as part 2 of the specification writes it."""

    def sized(data: bytes) -> bytes:
        return struct.pack(">H", len(data)) + data

    return b"".join(
        [
            changes.get("magic", b"\xffTCG"),
            struct.pack(">H", changes.get("type", 0x8014)),
            sized(name_of(b"a key")),
            sized(changes.get("extra", qualifying(HEAD))),
            struct.pack(">QIIB", 1, 2, 3, 1),
            struct.pack(">Q", 4),
            sized(changes.get("index", name_of(counter_public(HEAD.origin)))),
            struct.pack(">H", changes.get("offset", 0)),
            sized(changes.get("contents", struct.pack(">Q", 17))),
            changes.get("after", b""),
        ]
    )


def body(said: bytes | None = None, key: ec.EllipticCurvePrivateKey = KEY, **changes: Json) -> dict[str, Json]:
    said = statement() if said is None else said
    return {
        "statement": encode_base64(said),
        "signature": encode_base64(key.sign(said, ec.ECDSA(hashes.SHA256()))),
        "key": public_of(key).hex(),
        "certificates": [],
        **changes,
    }


def claim_of(given: Mapping[str, Json], trust: Trust | None = NAMED) -> AnchorClaim:
    return verify(Receipt("tpm", HEAD.size, HEAD.root, given), CHECKPOINT, trust)


def refused(given: Mapping[str, Json], why: str, trust: Trust | None = NAMED) -> None:
    with pytest.raises(VerificationError, match=why):
        claim_of(given, trust)


def test_it_is_a_verifier() -> None:
    verifier: AnchorVerifier = kind
    assert verifier.KIND == "tpm"


def test_a_statement_shows_a_counter_and_excludes_no_fork() -> None:
    claim = claim_of(body())
    assert claim.standing is Standing.SHOWN
    assert claim.position == (f"counter {place_of(HEAD.origin):#x} of the TPM with the key {name_of(PUBLIC).hex()}", 17)
    assert not claim.excludes_forks
    assert claim.time is None
    assert claim.identity == (f"TPM key {name_of(PUBLIC).hex()}",)
    assert "that there is no other branch it doesn't show" in claim.rests_on


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"magic": b"\0TCG"}, "that the TPM made itself"),
        ({"type": 0x8018}, "about an NV index"),
        ({"extra": bytes(32)}, "another checkpoint"),
        ({"extra": b""}, "another checkpoint"),
        ({"index": name_of(counter_public("zk-autograd/register/" + "cd" * 32))}, "not about this register's counter"),
        ({"index": name_of(counter_public(HEAD.origin, written=False))}, "not about this register's counter"),
        ({"index": name_of(counter_public(HEAD.origin).replace(b"\x22\x02\x00\x12", b"\x22\x02\x00\x02"))}, "counter"),
        ({"offset": 1}, "a part of its counter"),
        ({"contents": b"\1"}, "a part of its counter"),
        ({"contents": b""}, "a part of its counter"),
        ({"after": b"\0"}, "bytes follow"),
    ],
)
def test_a_statement_about_something_else_is_refused(changes: dict[str, Any], why: str) -> None:
    refused(body(statement(**changes)), why)
    refused(body(statement(**changes)), why, None)


def test_a_statement_that_ends_early_is_refused() -> None:
    for size in (0, 3, 4, 5, 40, len(statement()) - 1):
        refused(body(statement()[:size]), "ends early|NV index|invalid")


def test_a_signature_of_another_key_is_refused() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    refused(body(key=other, key_=PUBLIC.hex()), "unknown fields")
    refused({**body(key=other), "key": PUBLIC.hex()}, "signature is not valid")
    refused({**body(), "signature": encode_base64(b"\0")}, "signature is not valid")


def test_a_key_that_nobody_vouches_for_is_not_judged() -> None:
    """Anybody can make a key and write what a TPM would say."""
    own = body(key=ec.generate_private_key(ec.SECP256R1()))
    for trust in (NAMED, None, Trust(names=frozenset([bytes(34)]))):
        claim = claim_of(own, trust)
        assert claim.standing is Standing.UNJUDGED
        assert claim.position is None


@pytest.mark.parametrize("attributes", ["00040072", "00050070", "00050052", "00070072"])
def test_a_key_that_is_not_restricted_and_fixed_to_its_tpm_is_refused(attributes: str) -> None:
    """A key that may sign what it is handed signs a statement that its owner wrote; one that may
    leave its TPM, or came from outside, signs anywhere."""
    template = KEY_TEMPLATE.replace(bytes.fromhex("00050072"), bytes.fromhex(attributes))
    public = public_of(KEY, template)
    refused({**body(), "key": public.hex()}, "restricted, and fixed", Trust(names=frozenset([name_of(public)])))


def test_a_point_off_the_curve_is_refused() -> None:
    public = bytearray(PUBLIC)
    public[-1] ^= 1
    refused({**body(), "key": public.hex()}, "no point")
    public = bytearray(PUBLIC)
    public[len(KEY_TEMPLATE) + 1] = 31
    refused({**body(), "key": public.hex()}, "no point")


def aik(issuer: Holder, key: ec.EllipticCurvePrivateKey = KEY, uses: tuple[x509.ObjectIdentifier, ...] = (AIK,)) -> str:
    return encode_base64(holder("an attestation key", issuer, uses=uses, critical=False, key=key).der)


def test_an_authority_may_vouch_for_the_key() -> None:
    root = holder("a root", ca=True)
    between = holder("between", root, ca=True)
    trust = Trust(roots=(root.certificate,))
    claim = claim_of(body(certificates=[aik(between), encode_base64(between.der)]), trust)
    assert claim.standing is Standing.SHOWN
    assert "CN=a root" in claim.rests_on
    assert claim_of(body(certificates=[aik(root)]), trust).standing is Standing.SHOWN
    assert claim_of(body(certificates=[aik(between)]), trust).standing is Standing.UNJUDGED
    assert claim_of(body(), trust).standing is Standing.UNJUDGED
    own = holder("a root", ca=True)
    assert claim_of(body(certificates=[aik(own), encode_base64(own.der)]), trust).standing is Standing.UNJUDGED


def test_a_certificate_of_another_key_or_for_another_purpose_is_refused() -> None:
    """An endorsement key's certificate, say, is none of the key that signs."""
    root = holder("a root", ca=True)
    trust = Trust(roots=(root.certificate,))
    other = ec.generate_private_key(ec.SECP256R1())
    refused(body(certificates=[aik(root, other)]), "another key's", trust)
    for uses in ((STAMPING,), (AIK, UNKNOWN), ()):
        refused(body(certificates=[aik(root, uses=uses)]), "for this purpose alone", trust)
    refused(body(certificates=[encode_base64(b"x")]), "can't be read", trust)


def test_trust_is_read_from_names_keys_and_roots() -> None:
    root, leaf = holder("a root", ca=True), holder("a leaf", ca=False)
    pem = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    files = {"ak.pem": pem, "ca.pem": root.pem + leaf.pem}
    table: dict[str, Json] = {"names": [name_of(PUBLIC).hex()], "ak": ["ak.pem"], "roots": ["ca.pem"]}
    trust = read_trust(Fields(table, "it"), files.__getitem__)
    assert trust.names == NAMED.names
    assert root.certificate in trust.roots
    claim = claim_of(body(), replace(trust, names=frozenset()))
    assert claim.standing is Standing.SHOWN
    assert "of which the receipt alone says" in claim.rests_on
    other = body(key=ec.generate_private_key(ec.SECP256R1()))
    assert claim_of(other, replace(trust, names=frozenset())).standing is Standing.UNJUDGED
    tables: list[dict[str, Json]] = [{}, {"names": []}, {"names": ["00"]}, {"ak": ["ca.pem"]}, {"roots": ["ak.pem"]}]
    for wrong in tables:
        with pytest.raises(VerificationError):
            read_trust(Fields(wrong, "it"), files.__getitem__)


def test_receipts_of_other_heads_and_forms_are_refused() -> None:
    with pytest.raises(VerificationError, match="another tree head"):
        verify(Receipt("tpm", 4, HEAD.root, body()), CHECKPOINT, NAMED)
    for other in (replace(HEAD, size=4), replace(HEAD, root=bytes(32)), replace(HEAD, origin=HEAD.origin[:-1] + "0")):
        with pytest.raises(VerificationError, match="another checkpoint"):
            verify(Receipt("tpm", other.size, other.root, body()), SignedCheckpoint(b"", other), NAMED)
    for missing in body():
        refused({name: value for name, value in body().items() if name != missing}, "missing")
    refused({**body(), "statement": encode_base64(bytes(513))}, "too large|invalid")
    refused({**body(), "key": "00"}, "invalid")
    refused({**body(), "certificates": [""]}, "invalid")


def test_no_byte_of_a_receipt_can_be_altered_unnoticed() -> None:
    honest, claim = body(), claim_of(body())
    rng = random.Random(1)
    for field in ("statement", "signature"):
        for place in range(len(str(honest[field]))):
            text = list(str(honest[field]))
            text[place] = rng.choice([one for one in "ABCDEFGHabcdefgh01234567+/" if one != text[place]])
            try:
                found = claim_of({**honest, field: "".join(text)})
            except VerificationError:
                continue
            assert found == claim


GOLDEN_NAME = "000b4c42e4de5a8ee5199a2e2fab2ba62a2a83b2978ef76e72c053452316594275ca"


def golden() -> list[tuple[Receipt, SignedCheckpoint]]:
    """The receipts that are verified for ever, each with its checkpoint."""
    receipts = [Receipt.parse(line) for line in (DATA / "golden.jsonl").read_bytes().splitlines()]
    return [(one, SignedCheckpoint(b"", Checkpoint(HEAD.origin, one.size, bytes([one.size] * 32)))) for one in receipts]


def test_receipts_of_this_version_are_verified_for_ever() -> None:
    trust = Trust(names=frozenset([bytes.fromhex(GOLDEN_NAME)]))
    claims = [verify(receipt, checkpoint, trust) for receipt, checkpoint in golden()]
    assert [claim.standing for claim in claims] == [Standing.SHOWN] * 2
    assert [claim.position and claim.position[1] for claim in claims] == [1, 2]


def test_the_statement_of_a_tpm_is_read() -> None:
    said = (DATA / "nv.attest").read_bytes()
    found = Statement.parse(said)
    assert found.extra.hex() == "00112233445566778899aabbccddeeff"
    assert found.contents == (1).to_bytes(8, "big")
    assert found.index == name_of(struct.pack(">IHIHH", 0x01500016, 0x000B, 0x20060016, 0, 8))
    EcPublicKey.parse((DATA / "ak.pem").read_bytes()).verify(said, (DATA / "nv.sig").read_bytes())


def test_the_place_of_a_counter_is_the_owners_and_the_registers() -> None:
    places = {place_of(f"zk-autograd/register/{number:064x}") for number in range(1000)}
    assert len(places) > 990
    assert all(0x01800000 <= place <= 0x01BFFFFF for place in places)
    assert key_of(PUBLIC) == KEY.public_key()
    assert name_of(b"")[2:] == sha256(b"").digest()
