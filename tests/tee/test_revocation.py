"""Revocation lists beside an attestation. What a host gains whose list is believed: a list of their
own that covers a revoked certificate, or that revokes what isn't theirs."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from tests.tee.nitro.documents import (
    ISSUES,
    NOW,
    UNKNOWN,
    Chain,
    Holder,
    content,
    encoded,
    holder,
    honest,
    signed_anew,
    signer,
    usage,
)
from zk_autograd.core.attestation import MAX_CRL, MAX_CRLS
from zk_autograd.core.errors import AttestationError, AttestationShort
from zk_autograd.tee.revocation import check

CHAIN = honest()
CERTIFICATES = [one.certificate for one in CHAIN.holders]
LEAF = CERTIFICATES[-1].serial_number


def point(name: str) -> x509.DistributionPoint:
    """Where a list is to be had."""
    return x509.DistributionPoint([x509.UniformResourceIdentifier(f"http://a.example/{name}.crl")], None, None, None)


def crl(
    certificate: x509.Certificate,
    key: Any,
    serials: Sequence[int],
    begin: datetime = NOW,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    invalid: datetime | None = None,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> bytes:
    """A list of the issuer's, made at `begin`, with entries for these serial numbers since
    `since`."""
    begin = begin.replace(microsecond=0)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(certificate.subject)
        .last_update(begin)
        .next_update(until or begin + timedelta(days=1))
    )
    for serial in serials:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(since or begin)
        if invalid is not None:
            entry = entry.add_extension(x509.InvalidityDate(invalid.replace(tzinfo=None)), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(key, hashes.SHA384()).public_bytes(Encoding.DER)


def of(place: int, *serials: int, **changes: Any) -> bytes:
    """A list of one of the chain's issuers."""
    one: Holder = CHAIN.holders[place]
    return crl(one.certificate, one.key, serials, **changes)


def scope(**only: Any) -> x509.IssuingDistributionPoint:
    flags = dict.fromkeys(
        ("only_contains_user_certs", "only_contains_ca_certs", "indirect_crl", "only_contains_attribute_certs"), False
    )
    others = dict.fromkeys(("full_name", "relative_name", "only_some_reasons"))
    return x509.IssuingDistributionPoint(**{**flags, **others, **only})


def covered(*arguments: Any) -> int:
    """How many certificates lists of the time cover."""
    return check(*arguments)[0]


def test_no_list_covers_nothing_and_refuses_nothing() -> None:
    assert covered(CERTIFICATES, [], NOW) == 0


def test_lists_of_the_time_cover_what_they_do_not_name() -> None:
    assert covered(CERTIFICATES, [of(2)], NOW) == 1
    assert covered(CERTIFICATES, [of(0, 1, 2, 3), of(1), of(2)], NOW) == 3
    assert covered(CERTIFICATES, [of(2), of(2)], NOW) == 1


@pytest.mark.parametrize("place", [0, 1, 2])
def test_each_certificate_below_the_root_can_be_revoked(place: int) -> None:
    serial = CERTIFICATES[place + 1].serial_number
    with pytest.raises(AttestationShort, match="was revoked at that time") as short:
        check(CERTIFICATES, [of(place, 7, serial, 9)], NOW)
    assert short.value.exit_status == 3


def test_a_document_with_a_list_that_revokes_its_signer_is_short() -> None:
    assert CHAIN.verify(CHAIN.document(), crls=[of(2, 5)]).listed == 1
    with pytest.raises(AttestationShort, match="was revoked"):
        CHAIN.verify(CHAIN.document(), crls=[of(2, LEAF)])


def test_what_counts_is_when_it_was_revoked() -> None:
    """Also where the list was made long after: a trainer doesn't get to choose an earlier one."""
    hour = timedelta(hours=1)
    later = of(2, LEAF, since=NOW + hour, begin=NOW + 2 * hour)
    assert covered(CERTIFICATES, [later], NOW) == 0
    assert covered(CERTIFICATES, [of(2, LEAF, since=NOW + hour)], NOW) == 1
    with pytest.raises(AttestationShort):
        check(CERTIFICATES, [later], NOW + hour)
    with pytest.raises(AttestationShort):
        check(CERTIFICATES, [of(2, LEAF, since=NOW, begin=NOW + 24 * hour)], NOW)
    second = NOW.replace(microsecond=0)
    with pytest.raises(AttestationShort):  # in that very second
        check(CERTIFICATES, [of(2, LEAF, since=second)], second)


def test_a_key_that_was_stolen_before_it_was_revoked_counts_from_then_on() -> None:
    hour = timedelta(hours=1)
    stolen = of(2, LEAF, since=NOW + hour, invalid=NOW - hour)
    with pytest.raises(AttestationShort, match="was revoked"):
        check(CERTIFICATES, [stolen], NOW)
    assert covered(CERTIFICATES, [stolen], NOW - 2 * hour) == 0


def test_a_list_of_another_time_covers_nothing() -> None:
    day = timedelta(days=1)
    assert covered(CERTIFICATES, [of(2, begin=NOW - 3 * day, until=NOW - 2 * day)], NOW) == 0
    assert covered(CERTIFICATES, [of(2, begin=NOW + day)], NOW) == 0


def test_lists_of_other_issuers_say_nothing() -> None:
    other = holder("somebody else")
    assert covered(CERTIFICATES, [crl(other.certificate, other.key, [LEAF])], NOW) == 0


def test_a_list_that_its_issuer_did_not_sign_is_false() -> None:
    """A host that signs one under an issuer's name, to cover a revoked certificate, or to have
    somebody else's evidence refused."""
    other = holder("an instance")
    for serials in ([], [LEAF]):
        with pytest.raises(AttestationError, match="isn't signed by its issuer") as false:
            check(CERTIFICATES, [crl(other.certificate, other.key, serials)], NOW)
        assert not isinstance(false.value, AttestationShort)


def test_an_issuer_that_may_sign_no_lists_signs_none() -> None:
    root = holder("a root", uses=usage("key_cert_sign"))
    certificates = [root.certificate, signer(root).certificate]
    with pytest.raises(AttestationError, match="isn't signed by its issuer"):
        check(certificates, [crl(root.certificate, root.key, [])], NOW)


def test_a_list_of_another_key_of_the_same_name_says_nothing() -> None:
    """An issuer that was given a new key keeps its name: each key's list names the key."""
    own = holder("a root")
    key_id = x509.SubjectKeyIdentifier.from_public_key(own.key.public_key())
    root = holder("a root", key=own.key, uses=ISSUES, extensions=[(key_id, False)])
    leaf = signer(root)
    other = holder("a root")
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(other.key.public_key())
    foreign = crl(other.certificate, other.key, [leaf.certificate.serial_number], extensions=[(authority, False)])
    chain = Chain((root, leaf))
    certificates = [one.certificate for one in chain.holders]
    assert covered(certificates, [foreign], NOW) == 0
    named = x509.AuthorityKeyIdentifier.from_issuer_public_key(root.key.public_key())
    assert covered(certificates, [crl(root.certificate, root.key, [], extensions=[(named, False)])], NOW) == 1


def test_a_list_may_name_its_issuer_without_the_key() -> None:
    own = holder("a root")
    key_id = x509.SubjectKeyIdentifier.from_public_key(own.key.public_key())
    root = holder("a root", key=own.key, extensions=[(key_id, False)])
    name = x509.DirectoryName(root.certificate.subject)
    authority = x509.AuthorityKeyIdentifier(None, [name], root.certificate.serial_number)
    made = crl(root.certificate, root.key, [], extensions=[(authority, False)])
    assert covered([root.certificate, signer(root).certificate], [made], NOW) == 1


def altered(made: bytes, old: bytes, new: bytes) -> bytes:
    """The same list of the signer's issuer, with other bytes in it."""
    part = content(x509.load_der_x509_crl(made).tbs_certlist_bytes)
    assert part.count(old) == 1
    return signed_anew(encoded(0x30, part.replace(old, new)), CHAIN.holders[2].key)


def test_a_list_that_does_not_say_until_when_covers_nothing() -> None:
    """Gain: a list from before the revocation is one of any later time."""
    until = NOW.replace(microsecond=0) + timedelta(days=1)
    field = encoded(0x17, f"{until:%y%m%d%H%M%S}Z".encode())
    assert covered(CERTIFICATES, [altered(of(2), field, field)], NOW) == 1
    assert covered(CERTIFICATES, [altered(of(2), field, b"")], NOW) == 0


def test_an_entry_that_can_not_be_read_is_refused() -> None:
    """Two extensions of one name, which the library meets only when it looks for the entry. A
    stranger's exception would end the program in place of a verdict."""
    invalid, reason = bytes.fromhex("0603551d18"), bytes.fromhex("0603551d15")
    entry = (
        x509.RevokedCertificateBuilder()
        .serial_number(LEAF)
        .revocation_date(NOW.replace(microsecond=0))
        .add_extension(x509.InvalidityDate(NOW.replace(microsecond=0, tzinfo=None)), critical=False)
        .add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False)
        .build()
    )
    issuer = CHAIN.holders[2]
    made = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(NOW)
        .next_update(NOW + timedelta(days=1))
        .add_revoked_certificate(entry)
        .sign(issuer.key, hashes.SHA384())
        .public_bytes(Encoding.DER)
    )
    with pytest.raises(AttestationShort, match="was revoked"):
        check(CERTIFICATES, [altered(made, reason, reason)], NOW)
    with pytest.raises(AttestationError, match="an entry of a revocation list can't be read") as false:
        check(CERTIFICATES, [altered(made, reason, invalid)], NOW)
    assert false.value.exit_status == 1


def test_names_are_looked_up_and_not_compared_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gain: hours of an auditor's time, for two lists with as many names as they have room for."""
    own, other = x509.UniformResourceIdentifier("a"), x509.UniformResourceIdentifier("b")
    root = holder("a root")
    points = x509.CRLDistributionPoints([x509.DistributionPoint([own] * 100, None, None, None)])
    leaf = signer(root, extensions=[(points, False)])
    made = crl(root.certificate, root.key, [], extensions=[(scope(full_name=[other] * 1000), True)])
    compared, equal = [0], x509.UniformResourceIdentifier.__eq__

    def counting(one: x509.UniformResourceIdentifier, two: object) -> bool:
        compared[0] += 1
        return equal(one, two)

    monkeypatch.setattr(x509.UniformResourceIdentifier, "__eq__", counting)
    assert check([root.certificate, leaf.certificate], [made], NOW) == (0, 1)
    assert compared[0] < 2000


@pytest.mark.parametrize(
    ("extension", "critical"),
    [
        (x509.DeltaCRLIndicator(1), True),
        (UNKNOWN, True),
        (scope(indirect_crl=True), True),
        (scope(only_contains_attribute_certs=True), True),
        (scope(only_some_reasons=frozenset([x509.ReasonFlags.key_compromise])), True),
        (scope(indirect_crl=True), False),
    ],
)
def test_a_list_that_means_something_else_is_not_relied_upon(extension: x509.ExtensionType, critical: bool) -> None:
    with pytest.raises(AttestationShort, match="isn't understood here"):
        check(CERTIFICATES, [of(2, extensions=[(extension, critical)])], NOW)


def test_a_list_covers_only_the_certificates_that_it_is_for() -> None:
    users, authorities = scope(only_contains_user_certs=True), scope(only_contains_ca_certs=True)
    found = [
        [covered(CERTIFICATES, [of(place, extensions=[(kind, True)])], NOW) for kind in (users, authorities)]
        for place in (1, 2)
    ]
    assert found == [[0, 1], [1, 0]]
    with pytest.raises(AttestationShort, match="was revoked"):
        check(CERTIFICATES, [of(2, LEAF, extensions=[(authorities, True)])], NOW)


@pytest.mark.parametrize(("place", "names"), [("one", True), ("two", False), (None, False)])
def test_a_part_of_an_issuers_lists_covers_what_points_to_it(place: str | None, names: bool) -> None:
    root = holder("a root")
    points = [(x509.CRLDistributionPoints([point(place)]), False)] if place else []
    leaf = signer(root, extensions=points)
    part = scope(full_name=point("one").full_name)
    made = crl(root.certificate, root.key, [], extensions=[(part, True)])
    assert check([root.certificate, leaf.certificate], [made], NOW) == (int(names), int(place == "two"))
    assert check([root.certificate, leaf.certificate], [], NOW) == (0, int(place is not None))


@pytest.mark.parametrize("data", [b"", b"\x30\x00", of(2)[:-1], of(2) + b"\0", CHAIN.holders[0].der])
def test_what_is_no_list_is_refused(data: bytes) -> None:
    with pytest.raises(AttestationError, match="can't be read"):
        check(CERTIFICATES, [data], NOW)


def test_lists_are_bounded() -> None:
    with pytest.raises(AttestationError, match=f"more than {MAX_CRL} bytes"):
        check(CERTIFICATES, [bytes(MAX_CRL + 1)], NOW)
    with pytest.raises(AttestationError, match=f"more than {MAX_CRLS} revocation lists"):
        check(CERTIFICATES, [of(2)] * (MAX_CRLS + 1), NOW)
