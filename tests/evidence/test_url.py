"""Which URLs are taken, and whom they lead to."""

import pytest

from zk_autograd.core.errors import UsageError
from zk_autograd.evidence.url import MAX_URL, Address, is_url, parse_url


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://host/", Address("https", "host", 443, "/")),
        ("https://host", Address("https", "host", 443, "/")),
        ("HTTPS://Host.Example:8443/a/b.bundle", Address("https", "host.example", 8443, "/a/b.bundle")),
        ("https://host/a%20b/~c/", Address("https", "host", 443, "/a%20b/~c/")),
        ("https://10.0.0.1/x/", Address("https", "10.0.0.1", 443, "/x/")),
        ("https://[2001:db8::1]:444/x/", Address("https", "2001:db8::1", 444, "/x/")),
        ("https://xn--bcher-kva.example/x/", Address("https", "xn--bcher-kva.example", 443, "/x/")),
        ("http://localhost:80/x/", Address("http", "localhost", 80, "/x/", ("127.0.0.1", "::1"))),
        ("http://127.0.0.1/", Address("http", "127.0.0.1", 80, "/", ("127.0.0.1",))),
        ("http://127.255.0.9:1/", Address("http", "127.255.0.9", 1, "/", ("127.255.0.9",))),
        ("http://[::1]:8000/x", Address("http", "::1", 8000, "/x", ("::1",))),
        ("http://[0:0:0:0:0:0:0:1]/x", Address("http", "0:0:0:0:0:0:0:1", 80, "/x", ("::1",))),
    ],
)
def test_urls_that_are_taken(text: str, address: Address) -> None:
    assert parse_url(text) == address
    assert address.is_folder == (not text.rpartition("/")[2] or text == "https://host")
    assert parse_url(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "http://example.com/",
        "http://10.0.0.1/",
        "http://0.0.0.0/",
        "http://127.1/",
        "http://127.0.0.01/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://localhost./",
        "http://localhost.example/",
        "http://127.0.0.1.nip.io/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::]/",
        "http://[fe80::1]/",
    ],
)
def test_http_leads_to_this_machine_alone(text: str) -> None:
    with pytest.raises(UsageError, match="for this machine alone"):
        parse_url(text)


@pytest.mark.parametrize("text", ["file:///etc/passwd", "ftp://host/x/", "s3://bucket/x/", "x://", "javascript://x/"])
def test_other_schemes_are_refused(text: str) -> None:
    assert is_url(text)
    with pytest.raises(UsageError, match="is read from https://"):
        parse_url(text)


@pytest.mark.parametrize(
    "text",
    [
        "https://name:hunter2@host/",
        "https://hunter2@host/",
        "https://host@hunter2/",
        "https://host/x?token=hunter2",
        "https://host/#hunter2",
        "https://host?hunter2",
    ],
)
def test_what_may_be_secret_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(UsageError, match="give it without") as refused:
        parse_url(text)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "path",
    [
        "/../x",
        "/x/..",
        "/./x",
        "/a b",
        "/a\r\nHost: other",
        "/a\x00",
        "/a\\b",
        "/\u00fc",
        "/%zz",
        "/%",
        "/a\t",
        "/a/\n",
        '/"',
        "/<",
        "/[",
    ],
)
def test_paths_that_are_refused(path: str) -> None:
    with pytest.raises(UsageError, match="the URL's path"):
        parse_url(f"https://host{path}")


@pytest.mark.parametrize(
    "authority",
    [
        "",
        ":443",
        "host:0",
        "host:65536",
        "host:443x",
        "host:",
        "ho st",
        "h\u00f6st",
        "host\n",
        "-host",
        "host..x",
        "h" * 64,
        "[::1",
        "::1",
        "[host]",
        "[::1%eth0]",
        "a." * 127 + "aa",
    ],
)
def test_hosts_that_are_refused(authority: str) -> None:
    with pytest.raises(UsageError, match="is not a host and a port"):
        parse_url(f"https://{authority}/")


def test_the_length_is_bounded() -> None:
    parse_url("https://host/" + "x" * (MAX_URL - 13))
    with pytest.raises(UsageError, match="2001 characters"):
        parse_url("https://host/" + "x" * (MAX_URL - 12))


@pytest.mark.parametrize("text", ["run", "./https://x", "/https://x", "a@b", "https:/x", "://x", "1x://y"])
def test_paths_are_no_urls(text: str) -> None:
    assert not is_url(text)
