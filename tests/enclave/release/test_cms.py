"""What AWS KMS answers to an enclave, and what only looks like it."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from shutil import which
from typing import Any

import pytest

pytest.importorskip("asn1crypto", reason="answers of AWS KMS need the [tee] extra")

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.enclave.release.enveloped import (
    AES_256_CBC,
    DATA,
    EOC,
    SAMPLES,
    Message,
    definite,
    indefinite,
    known,
    message,
    oaep,
    recipient,
    tlv,
)
from zk_autograd.enclave.release import cms
from zk_autograd.enclave.release.cms import key_identifier, open_enveloped
from zk_autograd.vault.errors import VaultError

DEK = bytes(range(32))
SHA1 = bytes.fromhex("06052b0e03021a")

KEY = known()
OTHER = generate_private_key(65537, 2048)
PUBLIC = KEY.public_key()


def made(**changes: Any) -> bytes:
    """A message for KEY, with these parts in place of AWS's."""
    return replace(message(PUBLIC, DEK), **changes).encode()


def content_key(**changes: Any) -> bytes:
    """The same, with a recipient that is changed."""
    key = bytes(32)
    return replace(message(PUBLIC, DEK, key=key), recipients=[recipient(PUBLIC, key, **changes)]).encode()


def test_a_real_answer_is_opened() -> None:
    assert open_enveloped((SAMPLES / "enclaver_input.ber").read_bytes(), KEY, 12) == b"Hello, World"


def test_the_identifier_is_the_public_keys_hash_in_a_real_answer() -> None:
    data = (SAMPLES / "enclaver_input.ber").read_bytes()
    spki = PUBLIC.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert b"\x80\x20" + sha256(spki).digest() in data
    assert key_identifier(PUBLIC) == sha256(spki).digest()


@pytest.mark.parametrize("name", ["", "_w_ctx"])
def test_real_answers_have_the_parts_that_others_read(name: str) -> None:
    def part(what: str) -> bytes:
        return (SAMPLES / f"awssdkc_{what}{name}.bin").read_bytes()

    found, content = cms._parts(part("input_ber"))
    assert found["encrypted_key"] == part("encrypted_key_out")
    assert content["iv"] == part("iv_out")
    assert content["encrypted"] == part("ciphertext_out")
    assert len(found["rid"]) == 32


@pytest.mark.parametrize("name", ["awssdkc_input_ber.bin", "awssdkc_input_ber_w_ctx.bin"])
def test_real_answers_for_others_are_refused(name: str) -> None:
    with pytest.raises(VaultError, match="is for another recipient"):
        open_enveloped((SAMPLES / name).read_bytes(), KEY)


def test_ours_is_opened() -> None:
    assert open_enveloped(made(), KEY) == DEK
    assert open_enveloped(definite(), KEY) == bytes(32)


def test_a_string_may_be_in_parts_or_in_one() -> None:
    base = message(PUBLIC, DEK)
    whole = base.content[4:-2]  # the content of the one part
    for content in (
        tlv(0x80, whole),
        indefinite(0xA0, tlv(0x04, whole[:16]), tlv(0x04, whole[16:])),
    ):
        assert open_enveloped(replace(base, content=content).encode(), KEY) == DEK


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "other key": (lambda: message(OTHER.public_key(), DEK).encode(), "another recipient"),
    "other identifier": (lambda: content_key(rid=tlv(0x80, bytes(32))), "another recipient"),
    "short identifier": (lambda: content_key(rid=tlv(0x80, bytes(20))), "another recipient"),
    "no identifier": (lambda: content_key(rid=b""), "not CMS as AWS KMS makes it"),
    "by certificate": (
        lambda: content_key(rid=tlv(0x30, tlv(0x30), b"\x02\x01\x07")),
        "by a certificate, and must by a subjectKeyIdentifier",
    ),
    "two recipients": (
        lambda: made(recipients=[recipient(PUBLIC, bytes(32)), recipient(OTHER.public_key(), bytes(32))]),
        "2 recipients",
    ),
    "the same twice": (lambda: made(recipients=[recipient(PUBLIC, bytes(32))] * 2), "2 recipients"),
    "no recipient": (lambda: made(recipients=[]), "0 recipients"),
    "a password": (
        lambda: made(recipients=[tlv(0xA3, b"\x02\x01\x00", tlv(0x30, AES_256_CBC, tlv(0x04, bytes(16))), tlv(0x04))]),
        "one of another kind",
    ),
    "SHA-1": (lambda: content_key(algorithm=oaep(hashed=SHA1, mask=SHA1)), "another algorithm than RSAES-OAEP"),
    "mask by SHA-1": (lambda: content_key(algorithm=oaep(mask=SHA1)), "another algorithm than RSAES-OAEP"),
    "parameters left out": (
        lambda: content_key(algorithm=tlv(0x30, bytes.fromhex("06092a864886f70d010107"), tlv(0x30))),
        "another algorithm than RSAES-OAEP",
    ),
    "a label": (
        lambda: content_key(
            algorithm=oaep(label=tlv(0xA2, tlv(0x30, bytes.fromhex("06092a864886f70d010109"), tlv(0x04, b"x"))))
        ),
        "another algorithm than RSAES-OAEP",
    ),
    "PKCS 1 v1.5": (
        lambda: content_key(algorithm=tlv(0x30, bytes.fromhex("06092a864886f70d010101"), b"\x05\x00")),
        "another algorithm than RSAES-OAEP",
    ),
    "AES-128": (
        lambda: made(algorithm=tlv(0x30, bytes.fromhex("0609608648016503040102"), tlv(0x04, bytes(16)))),
        "another algorithm than AES-256-CBC",
    ),
    "AES-256-GCM": (
        lambda: made(algorithm=tlv(0x30, bytes.fromhex("060960864801650304012e"), tlv(0x30, tlv(0x04, bytes(12))))),
        "another algorithm than AES-256-CBC",
    ),
    "short IV": (lambda: made(algorithm=tlv(0x30, AES_256_CBC, tlv(0x04, bytes(15)))), "initialization vector"),
    "no IV": (lambda: made(algorithm=tlv(0x30, AES_256_CBC)), "initialization vector|not CMS as AWS KMS"),
    "half a block": (lambda: made(content=tlv(0x80, bytes(17))), "whole blocks"),
    "no block": (lambda: made(content=tlv(0x80)), "whole blocks"),
    "no content": (lambda: made(content=b""), "whole blocks"),
    "version 0": (lambda: made(version=b"\x02\x01\x00"), "another version than 2"),
    "version 3": (lambda: made(version=b"\x02\x01\x03"), "another version than 2"),
    "version 9": (lambda: made(version=b"\x02\x01\x09"), "another version than 2"),
    "recipient of version 0": (lambda: content_key(version=0), "a recipient of another version"),
    "unprotected attributes": (
        lambda: made(after=tlv(0xA1, tlv(0x30, DATA, tlv(0x31, tlv(0x04, b"x"))))),
        "unprotected attributes",
    ),
    "an originator": (lambda: made(before=tlv(0xA0, tlv(0xA0))), "originator"),
    "signed data": (lambda: made(outer=bytes.fromhex("06092a864886f70d010702")), "not CMS|no EnvelopedData"),
    "plain data": (lambda: tlv(0x30, DATA, tlv(0xA0, tlv(0x04, DEK))), "no EnvelopedData"),
    "content of another type": (
        lambda: made(content_type=bytes.fromhex("06092a864886f70d010702")),
        "another type than data",
    ),
    "trailing byte": (lambda: made() + b"\x00", "1 bytes after its end"),
    "twice": (lambda: made() * 2, "bytes after its end"),
    "a field too many": (lambda: made(after=tlv(0x04, b"x")), "a field too many"),
    "a field too many in the content": (
        lambda: made(content=tlv(0x80, bytes(16)) + tlv(0x04, b"x")),
        "a field too many",
    ),
    "a field too many in the recipient": (
        lambda: made(recipients=[tlv(0x30, recipient(PUBLIC, bytes(32))[4:], tlv(0x04, b"x"))]),
        "a field too many",
    ),
    "a field too many in an algorithm": (
        lambda: made(algorithm=tlv(0x30, AES_256_CBC, tlv(0x04, bytes(16)), tlv(0x04, b"x"))),
        "a field too many",
    ),
    "a field too many outside": (
        lambda: indefinite(0x30, made()[2:-2], tlv(0x04, b"x")),
        "a field too many",
    ),
    "a string in parts, of definite length": (
        lambda: made(content=tlv(0xA0, tlv(0x04, bytes(16)))),
        "not CMS as AWS KMS makes it",
    ),
    "empty": (lambda: b"", "0 bytes"),
    "no ASN.1": (lambda: b"{}", "ends early|not CMS|length beyond|after its end"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_all_else_is_refused_by_name(name: str) -> None:
    make, said = REFUSED[name]
    with pytest.raises(VaultError, match=said):
        open_enveloped(make(), KEY)


def _nested(depth: int, form: Any) -> bytes:
    data = b"\x04\x00"
    for _ in range(depth):
        data = form(0x24, data)
    return data


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "nested, indefinite": (lambda: _nested(1400, indefinite), "nests deeper"),
    "nested, definite": (lambda: _nested(1200, tlv), "nests deeper"),
    "opened and never closed": (lambda: b"\x30\x80" * 3000, "nests deeper"),
    "fragments": (lambda: made(content=indefinite(0xA0, *[tlv(0x04, b"x")] * 1500)), "more than 96 parts"),
    "empty fragments": (lambda: indefinite(0x24, *[b"\x04\x00"] * 3000), "more than 96 parts"),
    "a length of 4 GiB": (lambda: b"\x30\x84\xff\xff\xff\xff", "a length of 4 bytes"),
    "a length of 126 bytes": (lambda: b"\x30\xfe" + b"\xff" * 126, "a length of 126 bytes"),
    "a length beyond the end": (lambda: b"\x30\x82\xff\xff\x00", "beyond its end"),
    "a part that is longer than the whole": (lambda: tlv(0x30, b"\x04\x05ab") + b"cd", "beyond its end"),
    "indefinite and primitive": (lambda: b"\x04\x80ab\x00\x00", "without a length"),
    "a tag of many bytes": (lambda: b"\x1f" + b"\xff" * 3000, "a tag that"),
    "end of contents alone": (lambda: EOC * 10, "a tag that"),
    "6 KiB and more": (lambda: tlv(0x04, bytes(6200)), "bytes, and not 1 to 6144"),
    "cut": (lambda: made()[:-1], "ends early"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_before_anything_parses_them(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cms, "_parts", lambda data: pytest.fail("it was parsed"))
    make, said = BOMBS[name]
    with pytest.raises(VaultError, match=said):
        open_enveloped(make(), KEY)


def test_whatever_the_bytes_are() -> None:
    """Cut anywhere, and each byte changed in three ways: one error class, or the same content (a
    change of what nobody reads: none is known, so none is allowed)."""
    data = made()
    for cut in range(len(data)):
        with pytest.raises(VaultError):
            open_enveloped(data[:cut], KEY)
    key_bytes = range(data.index(b"\x04\x82\x01\x00") + 8, data.index(b"\x04\x82\x01\x00") + 250)
    for place in range(len(data)):
        for mask in (1, 0x20, 0x80):
            if place in key_bytes and mask != 1:
                continue  # one RSA decryption each
            changed = data[:place] + bytes([data[place] ^ mask]) + data[place + 1 :]
            try:
                found = open_enveloped(changed, KEY)
            except VaultError:
                continue
            assert found != DEK, (place, mask)  # CBC authenticates nothing: the ciphertext's own commitment does


def test_one_error_for_whatever_does_not_decrypt() -> None:
    """A host that sends altered answers learns from the words neither what of it failed, nor a byte
    of the key by its padding."""
    base = message(PUBLIC, DEK)
    bad: list[Message] = [message(PUBLIC, b"", padded=DEK + bytes(16)), message(PUBLIC, b"", padded=DEK + b"\x11" * 16)]
    bad += [message(PUBLIC, b"", padded=DEK + bytes([*[2] * 15, 3]))]
    bad += [message(PUBLIC, content) for content in (DEK[:16], DEK[:31], DEK + b"x", bytes(48), b"")]  # of another size
    bad += [
        message(PUBLIC, b"", padded=DEK + b"\x07" * 15 + last) for last in (b"\x01", b"\x10")
    ]  # a right length alone
    spoiled = bytearray(base.recipients[0])
    spoiled[-1] ^= 1
    bad.append(replace(base, recipients=[bytes(spoiled)]))
    bad.append(replace(base, recipients=[recipient(PUBLIC, bytes(16))]))  # a key of another size
    bad.append(replace(base, recipients=[recipient(PUBLIC, bytes(32))]))  # another key
    cut = bytearray(base.recipients[0])
    bad.append(replace(base, recipients=[bytes(cut).replace(b"\x04\x82\x01\x00", b"\x04\x82\x00\xff")[:-1]]))
    said = set()
    for each in bad[:-1]:
        with pytest.raises(VaultError) as error:
            open_enveloped(each.encode(), KEY)
        said.add(str(error.value))
        assert error.value.__cause__ is None
    assert said == {"the answer for this enclave does not decrypt with this enclave's key; nothing was opened"}


@pytest.mark.parametrize("wrapped", ["spoiled", "of another size"])
def test_a_key_that_did_not_decrypt_opens_nothing_by_chance(monkeypatch: pytest.MonkeyPatch, wrapped: str) -> None:
    """Some key is used in its place, and one in 256 of them gives a right padding: here each."""
    key = bytes(range(32))
    base = message(PUBLIC, DEK, key=key)
    bad = base.recipients[0][:-1] + bytes([base.recipients[0][-1] ^ 1])
    if wrapped == "of another size":
        bad = recipient(PUBLIC, bytes(16))
    monkeypatch.setattr("os.urandom", lambda size: key)
    with pytest.raises(VaultError, match="does not decrypt"):
        open_enveloped(replace(base, recipients=[bad]).encode(), KEY)


def _openssl(*arguments: str, data: bytes) -> bytes:
    if not which("openssl"):
        pytest.skip("openssl is not installed")
    done = subprocess.run(["openssl", "cms", *arguments], input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_openssl_opens_what_the_double_makes(tmp_path: Path) -> None:
    """So the double speaks CMS, and not a dialect of our own reader."""
    pem = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    opened = _openssl("-decrypt", "-inform", "DER", "-binary", "-inkey", str(tmp_path / "key.pem"), data=made())
    assert opened == DEK


@pytest.mark.parametrize("stream", [True, False])
def test_what_openssl_makes_is_opened(tmp_path: Path, stream: bool) -> None:
    """BER with indefinite lengths (-stream), and DER."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "enclave")])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder(name, name, PUBLIC, 1, now, now + timedelta(days=9))
        .add_extension(x509.SubjectKeyIdentifier(key_identifier(PUBLIC)), critical=False)
        .sign(KEY, hashes.SHA256())
    )
    (tmp_path / "c.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    how = [
        "-keyid",
        "-keyopt",
        "rsa_padding_mode:oaep",
        "-keyopt",
        "rsa_oaep_md:sha256",
        "-keyopt",
        "rsa_mgf1_md:sha256",
    ]
    arguments = ["-encrypt", "-aes256", "-binary", "-outform", "DER", "-recip", str(tmp_path / "c.pem"), *how]
    data = _openssl(*arguments, *(["-stream"] if stream else []), data=DEK)
    assert open_enveloped(data, KEY) == DEK
    assert (data[1] == 0x80) is stream
