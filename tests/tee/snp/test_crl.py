"""Revocation lists beside a report: AMD's roots issue them, for the keys that issue VCEKs and VLEKs
(tests/tee/test_revocation.py has the rest)."""

from datetime import datetime, timedelta

import pytest

from tests.tee.snp.platforms import AT, platform, revocation_list, rsa_key, serial
from zk_autograd.core.errors import AttestationError, AttestationShort

GENOA = platform()
DAY = timedelta(days=1)
ASK = serial(GENOA.ask)


def test_a_list_of_the_time_clears() -> None:
    assert GENOA.verify(crls=[revocation_list()]).unrevoked
    assert GENOA.verify(crls=[revocation_list([(1, AT - DAY, "superseded")])]).unrevoked


@pytest.mark.parametrize(("begin", "end"), [(AT - 9 * DAY, AT - DAY), (AT + DAY, AT + 9 * DAY)])
def test_a_list_of_another_time_clears_nothing(begin: datetime, end: datetime) -> None:
    """Gain: an old list that doesn't have the certificate yet."""
    assert not GENOA.verify(crls=[revocation_list(begin=begin, end=end)]).unrevoked


@pytest.mark.parametrize("reason", ["", "superseded", "keyCompromise"])
def test_a_revoked_certificate_falls_short(reason: str) -> None:
    for begin in (AT - 30 * DAY, AT + DAY):
        crl = revocation_list([(ASK, AT - DAY, reason)], begin=begin)
        with pytest.raises(AttestationShort, match="was revoked at that time"):
            GENOA.verify(crls=[revocation_list(), crl])


def test_what_was_revoked_later_was_good_at_the_time() -> None:
    begin = AT + DAY
    crl = revocation_list([(ASK, begin, "superseded")], begin=begin)
    assert GENOA.verify(crls=[crl]).unrevoked is False


def test_another_issuers_list_is_passed_over() -> None:
    crl = revocation_list([(ASK, AT - DAY, "")], issuer="ARK-Milan", key=rsa_key("stranger"))
    assert GENOA.verify(crls=[crl]).unrevoked is False


def test_a_list_that_the_root_didnt_sign_is_refused() -> None:
    """Gain: an empty list of one's own clears what AMD revoked."""
    for crl in (revocation_list(key=rsa_key("stranger")), revocation_list(key=rsa_key("ask"))):
        with pytest.raises(AttestationError, match="isn't signed by its issuer") as caught:
            GENOA.verify(crls=[crl])
        assert not isinstance(caught.value, AttestationShort)


def test_a_list_of_a_part_is_refused() -> None:
    with pytest.raises(AttestationShort, match="isn't understood here"):
        GENOA.verify(crls=[revocation_list(critical=True)])


def test_a_list_of_the_key_that_issued_says_nothing_of_the_root() -> None:
    """That key may sign no lists."""
    with pytest.raises(AttestationError, match="isn't signed by its issuer"):
        GENOA.verify(crls=[revocation_list(issuer="SEV-Genoa", key=rsa_key("ask"))])


@pytest.mark.parametrize("junk", [b"", b"\x30\x00", GENOA.ark, b"x" * (2**20 + 1), revocation_list() + b"\0"])
def test_what_is_no_list_is_refused(junk: bytes) -> None:
    with pytest.raises(AttestationError, match=r"can't be read|more than"):
        GENOA.verify(crls=[junk])
