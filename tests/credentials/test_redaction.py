"""What is taken for a secret, in which spellings, and what isn't."""

import json
import time
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_autograd.credentials.redaction import MARK, PIECE, PROCESS, Redactor, looks_secret

TOKEN = "hf_AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
SERVICE = "vfy_9a8b7c6d5e4f3g2h"


@pytest.mark.parametrize("token", [TOKEN, SERVICE, "hf_oauth_eyJhbGciOi.eyJzdWIi-0_x", "hf_abcdefgh"])
@pytest.mark.parametrize(
    "form",
    [
        "{}",
        "token {} given",
        "https://user:{}@example.org/repo.git",
        "https://example.org/x?token={}&y=1",
        '{{"HF_TOKEN": "{}"}}',
        "xx{}",
    ],
)
def test_a_token_is_hidden_and_what_stands_around_it_is_not(token: str, form: str) -> None:
    text = form.format(token)
    assert looks_secret(text)
    assert Redactor().text(text) == form.format(MARK)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hf_",
        "hf_hub",
        "from hf_hub import x",
        "vfy_1234567",
        "HF_TOKEN=",
        "HF_DATASETS_CACHE",
        "# key=3\n#key=4",
        "?monkey=1&mysecrets=2",
        "https://a-user@example.org/x",
        "mail someone.with.a.long.name@example.org",
        "&#1114112; \\U99999999 \\u{110000} \\777",
        "the half_life",
        "a%20b\\n",
        "https://example.org:443/x",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert not looks_secret(text)
    assert Redactor(["s3cr3t/v+lue="]).text(text) == text


def _percent(text: str) -> str:
    return "".join(f"%{ord(c):02x}" for c in text)


def _json_escapes(text: str) -> str:
    return "".join(f"\\u{ord(c):04X}" for c in text)


SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "url": lambda s: quote(s, safe=""),
    "url twice": lambda s: quote(quote(s, safe=""), safe=""),
    "percent": _percent,
    "upper case": str.upper,
    "lower case": str.lower,
    "octal": lambda s: "".join(f"\\{ord(c):03o}" for c in s),
    "octal in json": lambda s: json.dumps("".join(f"\\{ord(c):03o}" for c in s)),
    "eight digits": lambda s: "".join(f"\\U{ord(c):08x}" for c in s),
    "braces": lambda s: "".join(f"\\u{{{ord(c):x}}}" for c in s),
    "html": lambda s: "".join(f"&#{ord(c)};" for c in s),
    "hexadecimal html": lambda s: "".join(f"&#x{ord(c):X};" for c in s),
    "PERCENT": lambda s: _percent(s).upper(),
    "json": _json_escapes,
    "json in json": lambda s: json.dumps(_json_escapes(s)),
    "escaped slashes": lambda s: json.dumps(s).replace("/", "\\/"),
    "hexadecimal": lambda s: "".join(f"\\x{ord(c):02x}" for c in s),
    "repr": repr,
    "json in json in json": lambda s: json.dumps(json.dumps(json.dumps(s))),
    "repr of bytes": lambda s: repr(s.encode()),
}


@pytest.mark.parametrize("secret", [TOKEN, "pass/w+rd=%41~x", "quo\"te'and\\back/slash"])
@pytest.mark.parametrize("spelt", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_every_spelling_of_a_secret_is_hidden(secret: str, spelt: Callable[[str], str]) -> None:
    text = f"before {spelt(secret)} after"
    hidden = Redactor([secret]).text(text)
    assert hidden.count(MARK) == 1
    left = "".join(filter(str.isalnum, hidden.replace(MARK, "")))
    assert left in ("beforeafter", "beforebafter"), hidden  # b of b'...'


@given(st.text(st.characters(codec="ascii", exclude_categories=["Z", "C"]), min_size=4, max_size=60), st.data())
def test_no_piece_of_a_known_secret_is_left(secret: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(secret) - 1))
    piece = secret[start : start + data.draw(st.integers(1, len(secret)))]
    hidden = Redactor([secret]).text(f"\u00e9 {piece} \u00e9").replace(MARK, "\0")
    width = min(PIECE, len(secret))
    assert not any(secret[i : i + width] in hidden for i in range(len(secret) - width + 1))
    if len(piece) < width:
        assert hidden == f"\u00e9 {piece} \u00e9" or "hf_" in piece or "://" in piece or "=" in piece


@given(st.text(max_size=200))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    once = Redactor([TOKEN]).text(text)
    assert Redactor([TOKEN]).text(once) == once


def test_bytes_of_another_encoding_keep_what_is_no_secret() -> None:
    assert Redactor().data(b"\xff\x00" + TOKEN.encode() + b"\xe4 \n") == b"\xff\x00" + MARK.encode() + b"\xe4 \n"


def test_a_value_too_short_to_be_looked_for_hides_nothing() -> None:
    assert Redactor(["abc", ""]).text("abcabc") == "abcabc"


def test_a_known_value_looks_secret() -> None:
    value = "nothing-of-a-token-about-me"
    assert not looks_secret(value)
    PROCESS.add(value)
    assert looks_secret(f"csv:{value}.csv")


@pytest.mark.parametrize(
    ("form", "hidden"),
    [
        ("https://x.org/a?X-Amz-Security-Token={}&b=1", "https://x.org/a?X-Amz-Security-Token={}&b=1"),
        ("https://x.org/a?a=1&X-Amz-Credential={}", "https://x.org/a?a=1&X-Amz-Credential={}"),
        ("https://x.org/a?X-Amz-Signature={}", "https://x.org/a?X-Amz-Signature={}"),
        ("https://x.org/#access_token={}&b=1", "https://x.org/#access_token={}&b=1"),
        ("https://x.org/cb#state=1&accessToken={}", "https://x.org/cb#state=1&accessToken={}"),
        ("?apikey={};sig={}", "?apikey={};sig={}"),
        ("https://{}@example.org/repo.git", "https://{}@example.org/repo.git"),
        ("https://{}:@example.org/repo.git", "https://{}:@example.org/repo.git"),
        ("https://{}:x-oauth-basic@example.org/", "https://{}:{}@example.org/"),
        ("https://x.org/?go=https%3A%2F%2F{}%40example.org", "https://x.org/?go=https%3A%2F%2F{}%40example.org"),
    ],
)
def test_a_token_of_no_known_form_is_hidden_by_its_place_in_a_url(form: str, hidden: str) -> None:
    token = "1/fFAGRNJru1FTz70BzhT3Zg".replace("/", "-")
    assert Redactor().text(form.replace("{}", token)) == hidden.replace("{}", MARK)


def test_a_secret_of_capitals_is_hidden_in_small_letters_and_followed() -> None:
    redactor = Redactor(["S3CR3T-WITH-CAPITALS"])
    assert redactor.text("a s3cr3t-with-capitals b 3cr3t-WI c") == f"a {MARK} b {MARK} c"
    assert redactor.begun("a s3cr3t-w") == 2
    assert redactor.goes_on("s3cr3t-w")
    assert not redactor.goes_on("s3cr3t-with-capitals")


N = 200_000


@pytest.mark.parametrize(
    "text",
    [
        "\\" * N,
        "\\" * N + "u",
        "\\x" * N,
        "%" * N,
        "%25" * N,
        "&#" * N,
        "hf_" * N,
        "hf_oauth_" * N + "!",
        "hf_oauth_" * N,
        "vfy_" * N + "!",
        "a" * N + "_h!",
        "://" * N,
        "://" + "a" * N,
        "://" + "a:" * N,
        "?" + "a" * N,
        "?" + "a-" * N,
        "?a_" * N,
        "#" * N,
        "?key=" * N,
    ],
    ids=lambda text: f"{text[:9]}...{text[-1]}",
)
def test_the_time_grows_with_the_text_and_not_with_its_square(text: str) -> None:
    redactor = Redactor()
    began = time.process_time()
    redactor.text(text)
    redactor.begun(text)
    redactor.goes_on(text)
    assert time.process_time() - began < 5
