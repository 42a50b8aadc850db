"""Revocation lists: who may issue them, when they count, and whom they strike."""

from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from tests.tee.snp.platforms import AT, platform, revocation_list, rsa_key, serial
from zk_autograd.core.errors import AttestationError, AttestationShort

GENOA = platform()
DAY = timedelta(days=1)
ASK, ARK = serial(GENOA.ask), serial(GENOA.ark)


def test_a_list_of_the_time_clears() -> None:
    assert GENOA.verify(crls=[revocation_list()]).unrevoked
    assert GENOA.verify(crls=[revocation_list([(1, AT - DAY, "superseded")])]).unrevoked


@pytest.mark.parametrize(("begin", "end"), [(AT - 9 * DAY, AT - DAY), (AT + DAY, AT + 9 * DAY)])
def test_a_list_of_another_time_clears_nothing(begin: datetime, end: datetime) -> None:
    """Gain: an old list that doesn't have the certificate yet."""
    assert not GENOA.verify(crls=[revocation_list(begin=begin, end=end)]).unrevoked


@pytest.mark.parametrize("number", [ASK, ARK], ids=["ASK", "ARK"])
@pytest.mark.parametrize("reason", ["", "superseded", "keyCompromise"])
def test_a_revoked_certificate_falls_short(number: int, reason: str) -> None:
    for begin in (AT - 30 * DAY, AT + DAY):
        crl = revocation_list([(number, AT - DAY, reason)], begin=begin)
        with pytest.raises(AttestationShort, match="was revoked on 2026-05-31"):
            GENOA.verify(crls=[revocation_list(), crl])


def test_what_was_revoked_later_counts_if_the_key_was_stolen() -> None:
    """When a key was stolen nobody knows; one that was replaced was good before."""
    begin = AT + DAY
    crl = revocation_list([(ASK, begin, "superseded")], begin=begin)
    assert GENOA.verify(crls=[crl]).unrevoked is False
    for reason in ("keyCompromise", "cACompromise"):
        with pytest.raises(AttestationShort, match=reason):
            GENOA.verify(crls=[revocation_list([(ASK, begin, reason)], begin=begin)])


def test_another_issuers_list_is_passed_over() -> None:
    crl = revocation_list([(ASK, AT - DAY, "")], issuer="ARK-Milan", key=rsa_key("stranger"))
    assert GENOA.verify(crls=[crl]).unrevoked is False


def test_a_list_that_the_root_didnt_sign_is_refused() -> None:
    """Gain: an empty list of one's own clears what AMD revoked."""
    crls = [
        revocation_list(key=rsa_key("stranger")),
        revocation_list(form=padding.PKCS1v15()),
        revocation_list(form=padding.PSS(padding.MGF1(hashes.SHA384()), 20)),
    ]
    for crl in crls:
        with pytest.raises(AttestationError, match=r"revocation list is (not )?signed") as caught:
            GENOA.verify(crls=[crl])
        assert not isinstance(caught.value, AttestationShort)


def test_a_list_of_a_part_is_refused() -> None:
    with pytest.raises(AttestationError, match="critical extension"):
        GENOA.verify(crls=[revocation_list(critical=True)])


@pytest.mark.parametrize("junk", [b"", b"\x30\x00", GENOA.ark, b"x" * (2**20 + 1), revocation_list() + b"\0"])
def test_what_is_no_list_is_refused(junk: bytes) -> None:
    with pytest.raises(AttestationError, match=r"can't be read|too large"):
        GENOA.verify(crls=[junk])
