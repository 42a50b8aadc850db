"""The chain of a document: each rule is broken alone, under signatures that are right, so that
nothing else refuses it. What a cheat gains: a document signed with a key that AWS gave somebody for
something else, or that isn't AWS's at all."""

import warnings
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.tee.nitro.documents import (
    CA,
    ISSUES,
    NO_CA,
    NOW,
    UNKNOWN,
    Chain,
    Holder,
    content,
    encoded,
    holder,
    honest,
    read,
    real,
    signed_anew,
    signer,
    time_of,
    usage,
)
from tests.tee.test_revocation import crl
from zk_autograd.core.certificates import parse_pem
from zk_autograd.core.errors import AttestationError, AttestationShort
from zk_autograd.tee.device import emulated
from zk_autograd.tee.nitro import verify
from zk_autograd.tee.nitro.chain import AWS, ROOTS
from zk_autograd.tee.nitro.claim import EMULATED

ROOT = holder("a root")
SERVER = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
ANY = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
NAMES = x509.NameConstraints([x509.DirectoryName(x509.Name([]))], None)


def refused(chain: Chain, why: str, **arguments: Any) -> None:
    with pytest.raises(AttestationError, match=why) as error:
        chain.verify(chain.document(), **arguments)
    assert not isinstance(error.value, AttestationShort)


def below_root(**changes: Any) -> Chain:
    """An issuer with these changes, between root and signer."""
    issuer = holder("an issuer", ROOT, **changes)
    return Chain((ROOT, issuer, signer(issuer)))


def with_signer(**changes: Any) -> Chain:
    return Chain((ROOT, signer(ROOT, **changes)))


@pytest.mark.parametrize("make", [below_root, with_signer])
def test_without_a_fault_each_is_taken(make: Any) -> None:
    chain = make()
    assert chain.verify(chain.document()).root == "test"


def test_the_root_of_aws_is_the_one_that_is_pinned() -> None:
    (root,) = parse_pem(read("AWS_NitroEnclaves_Root-G1.pem"), "the root")
    der = root.public_bytes(Encoding.DER)
    assert sha256(der).hexdigest() == ROOTS[AWS] == "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b"


def test_the_emulated_root_is_the_one_in_the_package_and_says_what_it_is() -> None:
    root, key = emulated.root()
    assert sha256(root.public_bytes(Encoding.DER)).hexdigest() == ROOTS[EMULATED]
    assert root.subject.rfc4514_string() == "CN=zk-autograd emulated root: shows nothing"
    assert key.public_key() == root.public_key()
    assert set(ROOTS) == {AWS, EMULATED}


def test_an_exchanged_root_is_refused_though_it_has_the_same_name() -> None:
    """The cheat makes a root of the real one's name, and everything below it."""
    chain = honest()
    (real_root,) = parse_pem(read("AWS_NitroEnclaves_Root-G1.pem"), "the root")
    other = holder("a root")
    issuer = holder("a region", other)
    forged = Chain((other, issuer, signer(issuer)))
    with pytest.raises(AttestationError, match="another root"):
        forged.verify(forged.document(), roots=chain.roots)
    with pytest.raises(AttestationError, match="another root"):
        forged.verify(forged.document(), roots=ROOTS)
    # AWS's own root in front, which issued none of the rest
    mixed = forged.document(cabundle=[real_root.public_bytes(Encoding.DER), issuer.der])
    with pytest.raises(AttestationError, match="wasn't issued by"):
        forged.verify(mixed, roots=ROOTS)


def test_without_a_root_nothing_is_genuine() -> None:
    refused(honest(), "another root", roots={})


def test_aws_documents_are_no_emulated_ones() -> None:
    name = real("accept-at-timestamp")[0]
    with pytest.raises(AttestationError, match="another root"):
        verify(read(name), at=time_of(name), roots={EMULATED: ROOTS[EMULATED]})


def test_a_signer_that_is_an_authority_is_refused() -> None:
    """Else each of AWS's issuers could attest, and everyone to whom one of them issued."""
    refused(with_signer(basic=CA), "is a certificate authority's")
    refused(with_signer(basic=CA, uses=ISSUES), "is a certificate authority's")
    chain = honest()
    refused(Chain(chain.holders[:-1]), "signed the document, and is")


def test_a_signer_without_basic_constraints_is_none_of_an_authority() -> None:
    chain = with_signer(basic=None)
    assert chain.verify(chain.document()).root == "test"


@pytest.mark.parametrize(
    "uses",
    [
        None,
        usage(),
        usage("key_agreement", "key_encipherment"),
        usage("content_commitment"),
        usage("digital_signature", "crl_sign"),
        usage("digital_signature", "key_cert_sign"),
    ],
)
def test_a_signer_is_for_signatures_alone(uses: x509.KeyUsage | None) -> None:
    refused(with_signer(uses=uses), r"is not for signatures alone \(key usage\)")


@pytest.mark.parametrize("basic", [None, NO_CA])
def test_an_issuer_that_is_no_authority_is_refused(basic: x509.BasicConstraints | None) -> None:
    """Else whoever has one device's certificate makes others."""
    refused(below_root(basic=basic), r"is no certificate authority's \(basic constraints\)")


def test_an_issuer_whose_constraints_need_not_be_understood_is_refused() -> None:
    refused(below_root(basic_critical=False), r"is no certificate authority's \(basic constraints\)")


@pytest.mark.parametrize("uses", [None, usage("digital_signature"), usage("digital_signature", "crl_sign")])
def test_an_issuer_that_may_not_issue_is_refused(uses: x509.KeyUsage | None) -> None:
    refused(below_root(uses=uses), r"may not sign certificates \(key usage\)")


def test_a_path_longer_than_an_issuer_allows_is_refused() -> None:
    """AWS gives each instance an issuer of path length 0: it may not make issuers of its own."""
    first = holder("a region", ROOT, basic=x509.BasicConstraints(ca=True, path_length=0))
    second = holder("an instance", first)
    refused(Chain((ROOT, first, second, signer(second))), "allows 0 issuers below it, and there are 1")
    short_root = holder("a root", basic=x509.BasicConstraints(ca=True, path_length=0))
    issuer = holder("a region", short_root)
    refused(Chain((short_root, issuer, signer(issuer))), "allows 0 issuers below it, and there are 1")
    direct = Chain((short_root, signer(short_root)))
    assert direct.verify(direct.document()).root == "test"


@pytest.mark.parametrize("make", [below_root, with_signer])
def test_a_critical_extension_that_is_not_understood_is_refused(make: Any) -> None:
    """It may say that the certificate is for nothing of the kind."""
    refused(make(extensions=[(UNKNOWN, True)]), "critical extension that isn't understood, 1.3.6.1.4.1.99999.1")
    refused(make(extensions=[(NAMES, True)]), "critical extension that isn't understood, 2.5.29.30")
    lenient = make(extensions=[(UNKNOWN, False)])
    assert lenient.verify(lenient.document()).root == "test"


@pytest.mark.parametrize("make", [below_root, with_signer])
@pytest.mark.parametrize("critical", [False, True])
def test_a_certificate_for_other_purposes_is_refused(make: Any, critical: bool) -> None:
    """A server's certificate of the same authority signs no documents."""
    refused(make(extensions=[(SERVER, critical)]), r"is for other purposes \(extended key usage\)")
    lenient = make(extensions=[(ANY, critical)])
    assert lenient.verify(lenient.document()).root == "test"


@pytest.mark.parametrize("make", [below_root, with_signer])
@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP521R1()),
        ec.generate_private_key(ec.BrainpoolP384R1()),
        rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["P-256", "P-521", "brainpoolP384r1", "RSA", "Ed25519"],
)
def test_a_key_that_is_none_of_p_384_is_refused(make: Any, key: Any) -> None:
    chain = make(key=key)
    # Who signs the document doesn't matter: the key of the certificate is looked at first.
    document = Chain((*chain.holders[:-1], replace(chain.holders[-1], key=ROOT.key))).document()
    with pytest.raises(AttestationError, match=r"another key than one of the curve P-384|can't be read"):
        chain.verify(document)


@pytest.mark.parametrize("make", [below_root, with_signer])
@pytest.mark.parametrize("hashed", [hashes.SHA256(), hashes.SHA512(), hashes.SHA3_384()])
def test_a_certificate_signed_otherwise_than_es384_is_refused(make: Any, hashed: hashes.HashAlgorithm) -> None:
    refused(make(hashed=hashed), "another signature than ECDSA with SHA-384|can't be read")


@pytest.mark.parametrize("make", [below_root, with_signer])
def test_a_certificate_is_issued_by_the_one_before_it(make: Any) -> None:
    """Under the right name with another's key, and with the right key under another name."""
    refused(make(issued_by="somebody else"), "wasn't issued by")
    other = holder("a root")
    below = make().holders[1:]
    chain = Chain((other, *below))
    refused(chain, "wasn't issued by")


def test_a_second_path_in_the_bundle_is_refused() -> None:
    """Certificates to spare are there to be picked from: a reader that looks for some path finds
    one, and which one decides whose key it trusts."""
    chain = honest()
    root, region, instance, _ = (one.der for one in chain.holders)
    other = holder("a region", chain.holders[0])
    again = holder("a region", chain.holders[0], key=chain.holders[1].key)  # of the same key and name
    for bundle in (
        [root, root, region, instance],
        [root, region, region, instance],
        [root, region, instance, instance],
        [root, other.der, region, instance],
        [root, region, other.der, instance],
        [root, again.der, region, instance],
        [root, region, again.der, instance],
        [root, region, instance, root],
    ):
        with pytest.raises(AttestationError) as error:
            chain.verify(chain.document(cabundle=bundle))
        assert not isinstance(error.value, AttestationShort)
    assert chain.verify(chain.document(cabundle=[root, again.der, instance])).root == "test"


def test_a_root_that_issued_itself_twice_is_no_longer_path() -> None:
    """A second certificate of the root's own key and name, which it issued: a link that the length
    of a path doesn't count by RFC 5280 (self-issued), and that nothing needs."""
    twin = holder("a root", ROOT, key=ROOT.key)
    chain = Chain((ROOT, twin, signer(twin)))
    with pytest.raises(AttestationError, match="no path by the rules"):
        chain.verify(chain.document())


def test_a_document_signed_by_another_key_of_the_chain_is_refused() -> None:
    chain = honest()
    for one in chain.holders[:-1]:
        forged = Chain((*chain.holders[:-1], Holder(chain.holders[-1].certificate, one.key)))
        refused(forged, "the document's signature is wrong")


def test_a_certificate_cut_or_made_longer_is_refused() -> None:
    chain = honest()
    leaf = chain.holders[-1].der
    for der in (leaf[:-1], leaf + b"\x00", b"\x30\x00", leaf[:200]):
        with pytest.raises(AttestationError, match="certificate 3 of the document's chain can't be read"):
            chain.verify(chain.document(certificate=der))


@pytest.mark.parametrize("place", range(4))
def test_each_certificate_has_to_be_valid_at_the_time(place: int) -> None:
    """At the document's own time each was; at the time that is asked for, one alone wasn't."""
    end = NOW + timedelta(minutes=1)

    def until(here: int) -> dict[str, Any]:
        return {"end": end} if here == place else {}

    first = holder("a root", **until(0))
    second = holder("a region", first, **until(1))
    third = holder("an instance", second, **until(2))
    chain = Chain((first, second, third, signer(third, **until(3))))
    assert chain.verify(chain.document(), at=NOW + timedelta(seconds=50)).root == "test"
    with pytest.raises(AttestationShort, match="wasn't valid at the time for which it is judged") as short:
        chain.verify(chain.document(), at=NOW + timedelta(minutes=2))
    assert short.value.exit_status == 3


def test_a_false_document_is_not_merely_short_at_another_time() -> None:
    """What is false stays so: status 1, though its certificates have ended, too."""
    chain = honest()
    later = NOW + timedelta(days=30)
    refused(Chain((*chain.holders[:-1], replace(chain.holders[-1], key=ROOT.key))), "signature is wrong", at=later)
    refused(with_signer(uses=usage()), "key usage", at=later)


@pytest.mark.parametrize("serial", ["00", "ff"])
def test_a_serial_number_that_is_not_positive_brings_no_warning(serial: str) -> None:
    """The library warns of it, on standard error, with paths of the auditor's machine."""
    one = signer(ROOT, serial=1)
    part = content(one.certificate.tbs_certificate_bytes)
    version = bytes.fromhex("a0030201020201")
    assert part.startswith(version + b"\1")
    der = signed_anew(encoded(0x30, part.replace(version + b"\1", version + bytes.fromhex(serial), 1)), ROOT.key)
    chain = Chain((ROOT, one))
    with warnings.catch_warnings(record=True) as seen, suppress(AttestationError):  # a negative one is on no path
        warnings.simplefilter("always")
        chain.verify(chain.document(certificate=der), crls=[crl(ROOT.certificate, ROOT.key, [5])])
    assert not seen
