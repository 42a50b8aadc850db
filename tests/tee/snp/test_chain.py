"""Each way in which a report's certificates can be wrong is refused, and named."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.tee.snp.platforms import (
    AT,
    BEGIN,
    CHIP,
    END,
    ORDER,
    PSS,
    TCB,
    TURIN_TCB,
    Platform,
    authority,
    chip_key,
    compose,
    dated,
    platform,
    raw_tcb,
    revocation_list,
    rsa_key,
    sign_report,
    signature,
    signed,
)
from zk_autograd.core import der
from zk_autograd.core.errors import AttestationError, AttestationShort, UsageError
from zk_autograd.tee.snp import ROOTS, Root
from zk_autograd.tee.snp.abi import PRODUCTS

GENOA, TURIN, VLEK = platform(), platform("turin"), platform("genoa", "vlek")


def refused(message: str, take: Callable[[], object], short: bool = False) -> None:
    with pytest.raises(AttestationError, match=message) as caught:
        take()
    assert isinstance(caught.value, AttestationShort) is short, caught.value


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("kind", ["vcek", "vlek"])
def test_a_report_is_taken_for_what_it_is(product: str, kind: str) -> None:
    """Gain of a cheat: none; this is what the others differ from."""
    of = platform(product, kind)
    claim = of.verify()
    assert (claim.product, claim.signer, claim.root) == (product, kind, "test")
    assert claim.report.measurement == of.fields["measurement"]
    assert claim.reported.parts() == (TURIN_TCB if product == "turin" else TCB)
    assert claim.chip == {"vlek": b""}.get(kind, CHIP[:8] if product == "turin" else CHIP)
    assert claim.provider == ("CN=cc-test.example" if kind == "vlek" else "")
    assert claim.unrevoked is False


def test_the_product_of_version_2_is_the_roots() -> None:
    body = {**GENOA.fields, "version": 2, "processor": bytes(3)}
    assert GENOA.verify(sign_report(compose(body), GENOA.key)).product == "genoa"


# ---- another platform's certificates: a machine would vouch for a report that it never made


def test_an_exchanged_root_is_refused() -> None:
    """Gain: a root of one's own, of AMD's names, signs any report."""
    refused("a root that is none of AMD's", lambda: GENOA.verify(roots=ROOTS))


def test_a_root_speaks_for_its_own_product_line() -> None:
    """Gain: who forges reports of Milan would forge those of Genoa."""
    (digest,) = GENOA.roots
    refused("another kind or product", lambda: GENOA.verify(roots={digest: Root("test", "milan")}))
    milan = platform("milan")
    report = GENOA.report(processor=bytes(milan.fields["processor"]))
    refused("not of one product line", lambda: GENOA.verify(report))
    named = GENOA.with_leaf({"2": der.encode(0x16, b"Milan-B0")})
    refused("not of one product line", named.verify)


def test_an_exchanged_chip_is_refused() -> None:
    """Gain: a machine whose key leaked speaks for the others."""
    other = GENOA.report(chip_id=bytes(reversed(CHIP)))
    refused("another chip's", lambda: GENOA.verify(other))
    refused("another chip's", GENOA.with_leaf({"4": bytes(reversed(CHIP))}).verify)


def test_a_masked_chip_falls_short() -> None:
    refused("masked", lambda: GENOA.verify(GENOA.report(chip_id=bytes(64))), short=True)


def test_a_vlek_takes_any_chip_id() -> None:
    assert VLEK.verify(VLEK.report(chip_id=CHIP)).chip == b""


def test_turins_chip_id_has_8_bytes_and_zeros_after_them() -> None:
    """Gain: a reader that compares 8 bytes of a longer id takes another chip."""
    refused("another chip's", lambda: TURIN.verify(TURIN.report(chip_id=CHIP)))
    refused("no hardware id of 8 bytes", TURIN.with_leaf({"4": CHIP}).verify)
    refused("no hardware id of 64 bytes", GENOA.with_leaf({"4": CHIP[:8]}).verify)


def test_a_hardware_id_may_have_its_tag_and_length() -> None:
    assert GENOA.with_leaf({"4": der.encode(der.OCTETS, CHIP)}).verify().chip == CHIP


def test_turins_tcb_has_an_order_of_its_own() -> None:
    """Gain: read in the order of the others, an old version passes for a new one."""
    assert TURIN.verify().reported.fmc == 1
    swapped = bytes([TCB["bootloader"], TCB["tee"], 0, 0, 0, 0, TCB["snp"], TCB["microcode"]])
    refused("isn't one of turin", lambda: TURIN.verify(TURIN.report(reported_tcb=swapped)))
    refused("isn't one of genoa", lambda: GENOA.verify(GENOA.report(launch_tcb=raw_tcb(TURIN_TCB, "turin"))))
    refused("an FMC", GENOA.with_leaf({"3.9": der.encode_integer(0)}).verify)
    refused("an FMC", TURIN.with_leaf({"3.9": None}).verify)


@pytest.mark.parametrize("part", TURIN_TCB)
@pytest.mark.parametrize("product", ["genoa", "turin"])
def test_another_tcbs_key_is_refused(product: str, part: str) -> None:
    """Gain: the key of an old firmware with a hole signs a report of a new one."""
    of, parts = platform(product), dict(TURIN_TCB if product == "turin" else TCB)
    if part not in parts:
        return
    newer = raw_tcb({**parts, part: parts[part] + 1}, product)
    refused("another TCB's", lambda: of.verify(of.report(reported_tcb=newer)))
    number = f"3.{ {'bootloader': 1, 'tee': 2, 'snp': 3, 'microcode': 8, 'fmc': 9}[part] }"
    refused("another TCB's", of.with_leaf({number: der.encode_integer(parts[part] - 1)}).verify)


def test_the_kind_of_key_is_the_reports() -> None:
    """Gain: a cloud's key, which its owner can copy, passes for a chip's."""
    refused("certificate of the VCEK that signed the report is missing", lambda: GENOA.verify(vcek=None), short=True)
    refused("certificate of the VLEK that signed the report is missing", lambda: VLEK.verify(vlek=None), short=True)
    refused("certificate is another's", lambda: GENOA.verify(vcek=VLEK.leaf))
    refused("certificate is another's", lambda: VLEK.verify(vlek=GENOA.leaf))
    refused("missing", lambda: VLEK.verify(GENOA.report(), vcek=None), short=True)
    refused("another kind or product", replace(VLEK, ask=GENOA.ask).with_leaf(issuer="SEV-Genoa").verify)
    refused("names a chip", VLEK.with_leaf({"4": CHIP}).verify)
    refused("names a chip", VLEK.with_leaf({"5": None}).verify)
    refused("names no chip", GENOA.with_leaf({"4": None}).verify)
    refused("names no chip", GENOA.with_leaf({"5": der.encode(0x16, b"x")}).verify)


# ---- signatures


def test_another_signature_is_refused() -> None:
    """Gain: any report."""
    body = compose(GENOA.fields)
    refused("not signed by the VCEK", lambda: GENOA.verify(sign_report(body, chip_key(2))))
    changed = bytearray(GENOA.report())
    changed[0x90] ^= 1
    refused("not signed by the VCEK", lambda: GENOA.verify(bytes(changed)))


@pytest.mark.parametrize(("r", "s"), [(0, 1), (1, 0), (0, 0), (ORDER, 1), (1, ORDER), (1, 2**576 - 1)])
def test_r_and_s_are_in_their_range(r: int, s: int) -> None:
    """Gain: in some readers zero is a signature of everything."""
    refused("none of P-384", lambda: GENOA.verify(compose(GENOA.fields) + signature(r, s)))


def test_the_other_s_is_the_same_report() -> None:
    """A report's hash is no identity: whoever has one makes a second, which says the same."""
    made = chip_key().sign(compose(GENOA.fields), ec.ECDSA(hashes.SHA384(), deterministic_signing=True))
    r, s = decode_dss_signature(made)
    other = compose(GENOA.fields) + signature(r, ORDER - s)
    assert other != GENOA.report()
    assert replace(GENOA.verify(other).report, s=s) == GENOA.verify().report


def test_a_key_of_another_curve_is_refused() -> None:
    key = ec.derive_private_key(1, ec.SECP256R1())
    refused("not one of P-384", GENOA.with_leaf(key=key).verify)
    refused("not one of P-384", GENOA.with_leaf(key=rsa_key("stranger")).verify)


def test_the_certificates_are_signed_by_those_they_name() -> None:
    """Gain: a key of one's own in a certificate that looks like AMD's."""
    stranger = rsa_key("stranger")
    refused("VCEK is not signed by its issuer", GENOA.with_leaf(by=stranger).verify)
    refused("VCEK is not signed by its issuer", lambda: GENOA.with_leaf(by=stranger).verify(chain=[*GENOA.chain] * 2))
    builder = authority(dated("SEV-Genoa", "ARK-Genoa", rsa_key("ask")), 0)
    refused("is not signed by its issuer", replace(GENOA, ask=signed(builder, stranger)).verify)


@pytest.mark.parametrize(
    ("hashed", "form"),
    [
        (hashes.SHA256(), padding.PSS(padding.MGF1(hashes.SHA256()), 32)),
        (hashes.SHA384(), padding.PKCS1v15()),
        (hashes.SHA512(), PSS),
    ],
    ids=["sha-256", "pkcs1", "sha-512"],
)
def test_certificates_have_one_kind_of_signature(hashed: Any, form: Any) -> None:
    refused("another algorithm than RSASSA-PSS", GENOA.with_leaf(hashed=hashed, form=form).verify)


def test_a_short_key_issues_nothing() -> None:
    small = rsa.generate_private_key(65537, 2048)
    builder = authority(dated("SEV-Genoa", "ARK-Genoa", small), 0)
    weak = replace(GENOA, ask=signed(builder, rsa_key("ark"))).with_leaf(by=small)
    refused("no RSA key of 4096 bits", weak.verify)


# ---- what certificates may do


def _ask(**changed: Any) -> Platform:
    extra = changed.pop("more", None)
    builder = authority(dated("SEV-Genoa", "ARK-Genoa", rsa_key("ask"), **changed.pop("dates", {})), **changed)
    if extra is not None:
        builder = builder.add_extension(extra, True)
    return replace(GENOA, ask=signed(builder, rsa_key("ark")))


UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")


def test_only_an_authority_issues() -> None:
    """Gain: whoever has one machine's key issues certificates for others."""
    refused("isn't for signing certificates", _ask(depth=0, sign=False).verify)
    bare = dated("SEV-Genoa", "ARK-Genoa", rsa_key("ask"))
    refused("no certificate authority's", replace(GENOA, ask=signed(bare, rsa_key("ark"))).verify)
    leaf = bare.add_extension(x509.BasicConstraints(False, None), True)
    refused("no certificate authority's", replace(GENOA, ask=signed(leaf, rsa_key("ark"))).verify)
    refused("isn't known", _ask(depth=0, more=UNKNOWN).verify)
    short = signed(authority(dated("ARK-Genoa", "ARK-Genoa", rsa_key("ark")), 0), rsa_key("ark"))
    refused("too short a path", replace(GENOA, ark=short).verify)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ((x509.BasicConstraints(True, None), True), "authority's"),
        ((x509.KeyUsage(False, False, False, False, False, True, False, False, False), True), "authority's"),
        ((UNKNOWN, True), "isn't known"),
    ],
)
def test_the_signing_keys_certificate_is_no_authoritys(more: tuple[Any, bool], message: str) -> None:
    refused(message, GENOA.with_leaf(more=[more]).verify)


def test_an_unknown_extension_that_is_not_critical_is_passed_over() -> None:
    assert GENOA.with_leaf(more=[(UNKNOWN, False)]).verify().product == "genoa"


@pytest.mark.parametrize(
    ("number", "value", "message"),
    [
        ("2", None, "that can be read"),
        ("2", b"Genoa", "that can be read"),
        ("2", der.encode(0x0C, b"Genoa"), "that can be read"),
        ("2", der.encode(0x16, b"Gen\x00oa"), "no text"),
        ("2", der.encode(0x16, b""), "no text"),
        ("3.3", None, "that can be read"),
        ("3.3", der.encode_integer(23) + b"\x00", "that can be read"),
        ("3.3", der.encode_integer(256), "0 to 255"),
        ("3.3", b"\x02\x01\x97", "0 to 255"),
        ("3.3", b"\x02\x02\x00\x17", "0 to 255"),
        ("3.3", b"\x02\x00", "0 to 255"),
        ("3.4", der.encode_integer(1), "isn't known"),
        ("4", bytes(64), "no hardware id"),
        ("4", b"", "no hardware id"),
    ],
)
def test_amds_extensions_are_read_strictly(number: str, value: bytes | None, message: str) -> None:
    refused(message, GENOA.with_leaf({number: value}).verify)


def test_missing_certificates_fall_short() -> None:
    refused("issuer of the VCEK is missing", lambda: GENOA.verify(chain=[GENOA.ark]), short=True)
    refused("is missing", lambda: GENOA.verify(chain=[GENOA.ask]), short=True)
    refused("is missing", lambda: GENOA.verify(chain=[]), short=True)
    refused("more than 16", lambda: GENOA.verify(chain=GENOA.chain * 9))


def test_other_certificates_are_passed_over() -> None:
    chain = [*TURIN.chain, GENOA.ark, GENOA.leaf, *VLEK.chain, GENOA.ask]
    assert GENOA.verify(chain=chain).root == "test"


@pytest.mark.parametrize("junk", [b"", b"\x30\x00", b"x" * 2**14])
def test_what_is_no_certificate_is_refused(junk: bytes) -> None:
    refused("can't be read", lambda: GENOA.verify(chain=[*GENOA.chain, junk]))
    refused("can't be read", lambda: GENOA.verify(vcek=junk))
    refused("can't be read", lambda: GENOA.verify(vcek=GENOA.leaf + b"\x00"))


def test_a_certificate_has_its_bound() -> None:
    large = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), bytes(2**14))
    refused("too large", GENOA.with_leaf(more=[(large, False)]).verify)


# ---- times


@pytest.mark.parametrize("at", [BEGIN - timedelta(seconds=1), END + timedelta(seconds=1)])
def test_certificates_are_valid_at_the_time_of_verification(at: datetime) -> None:
    """Gain: a key that was given up speaks on."""
    refused("was not valid at that time", lambda: GENOA.verify(at=at), short=True)


@pytest.mark.parametrize("at", [BEGIN, END, END + timedelta(microseconds=1)])
def test_a_certificates_first_and_last_second_count(at: datetime) -> None:
    assert GENOA.verify(at=at).root == "test"


def test_each_certificate_has_its_time() -> None:
    late = AT + timedelta(days=1)
    refused("SEV-VCEK was not valid", GENOA.with_leaf(begin=late).verify, short=True)
    refused("SEV-Genoa was not valid", _ask(depth=0, dates={"begin": late}).verify, short=True)
    root = authority(dated("ARK-Genoa", "ARK-Genoa", rsa_key("ark"), AT + timedelta(days=1), END), None)
    refused("ARK-Genoa was not valid", replace(GENOA, ark=signed(root, rsa_key("ark"))).verify, short=True)


def test_a_time_has_its_zone() -> None:
    with pytest.raises(UsageError, match="time zone"):
        GENOA.verify(at=datetime(2026, 6, 1))


def test_a_false_signature_is_said_before_an_ended_certificate() -> None:
    """Otherwise something false would count as something genuine that ended."""
    broken = bytearray(GENOA.report())
    broken[0x90] ^= 1
    refused("not signed", lambda: GENOA.verify(bytes(broken), at=datetime(2050, 1, 1, tzinfo=UTC)))
    refused("not signed", lambda: GENOA.verify(bytes(broken), chain=[]))


def test_too_many_lists_are_refused() -> None:
    refused("more than 16", lambda: GENOA.verify(crls=[revocation_list()] * 17))
