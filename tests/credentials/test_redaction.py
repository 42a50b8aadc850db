"""What is taken for a secret, in which spellings, and what isn't."""

import json
import time
from collections.abc import Callable
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_autograd.credentials.redaction import BEGINNING, MARK, PROCESS, Redactor, looks_secret

TOKEN = "hf_AbCdEfGhIjKlMnOpQrStUvWxYz01234567"


@pytest.mark.parametrize("token", [TOKEN, "hf_oauth_eyJhbGciOi.eyJzdWIi-0_x", "hf_jwt_eyJhbGciOi", "hf_abcdefgh"])
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
        "hf_1234567",
        "HF_TOKEN=",
        "HF_DATASETS_CACHE",
        "# key=3\n#key=4",
        "?monkey=1&mysecrets=2",
        "https://a-user@example.org/x",
        "mail someone.with.a.long.name@example.org",
        "the half_life",
        "a%20b\\n",
        "https://example.org:443/x",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert not looks_secret(text)
    assert Redactor(["s3cr3t/v+lue="]).text(text) == text


SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "in a url": lambda s: quote(s, safe=""),
    "in a path": quote,
    "in a query": lambda s: urlencode({"q": s}).removeprefix("q="),
    "small hexadecimal digits": lambda s: quote(s, safe="").lower(),
    "in a url in a url": lambda s: quote(quote(s, safe=""), safe=""),
    "upper case": str.upper,
    "lower case": str.lower,
    "json": lambda s: json.dumps(s)[1:-1],
    "json in json": lambda s: json.dumps(json.dumps(s))[3:-3],
    "url in json": lambda s: json.dumps(quote(s))[1:-1],
    "repr": lambda s: repr(s)[1:-1],
    "repr of bytes": lambda s: repr(s.encode())[2:-1],
    "repr in json": lambda s: json.dumps(repr(s))[1:-1].strip("'"),
    "json in repr": lambda s: repr(json.dumps(s))[2:-2],
}


@pytest.mark.parametrize("secret", [TOKEN, "pass/w+rd=%41~x", "quo\"te'and\\back/slash"])
@pytest.mark.parametrize("spelt", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_a_known_value_is_hidden_in_its_spellings(secret: str, spelt: Callable[[str], str]) -> None:
    assert Redactor([secret]).text(f"before {spelt(secret)} after") == f"before {MARK} after"


@given(
    st.lists(st.text(st.characters(codec="ascii", exclude_categories=["Z", "C"]), min_size=4, max_size=60), min_size=1),
    st.text(),
)
def test_no_known_value_is_left(secrets: list[str], around: str) -> None:
    hidden = Redactor(secrets).text(f"{around} {' '.join(secrets)} {around}").replace(MARK, "\0")
    assert not any(secret in hidden for secret in secrets)


def test_known_values_that_overlap_are_hidden_whole() -> None:
    assert Redactor(["token-1234", "token-1234-and-more"]).text("token-1234-and-more") == MARK
    assert Redactor(["abababababX123"]).text("ababababababX123") == MARK
    assert Redactor(["one-token-1234", "token-1234-two"]).text("one-token-1234-two") == MARK


def test_a_value_too_short_to_be_looked_for_hides_nothing() -> None:
    assert Redactor(["abc", ""]).text("abcabc") == "abcabc"


def test_a_known_value_looks_secret() -> None:
    value = "nothing-of-a-token-about-me"
    assert not looks_secret(value)
    PROCESS.add(value)
    assert looks_secret(f"csv:{value}.csv")


def test_a_known_value_is_hidden_as_far_as_it_goes_on() -> None:
    secret = "S0me/Th1ng+Without"
    redactor = Redactor([secret, "S0me/Th1ng-else"])
    for end in range(BEGINNING, len(secret) + 1):
        assert redactor.text(f"a {secret[:end]}, b") == f"a {MARK}, b"
    assert redactor.text(f"https://x/{quote(secret, safe='')[:12]}") == f"https://x/{MARK}"
    assert redactor.text("s0me/th1NG-ELSE, S0me/Th1nk S0me/Th") == f"{MARK}, {MARK}k S0me/Th"


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
        ("https://me:{}@example.org/", "https://me:{}@example.org/"),
    ],
)
def test_a_token_of_no_known_form_is_hidden_by_its_place_in_a_url(form: str, hidden: str) -> None:
    token = "1-fFAGRNJru1FTz70BzhT3Zg"
    assert looks_secret(form.replace("{}", token))
    assert Redactor().text(form.replace("{}", token)) == hidden.replace("{}", MARK)


N = 200_000


@pytest.mark.parametrize(
    "text",
    [
        "\\" * N,
        "%25" * N,
        "hf_" * N,
        "hf_oauth_" * N + "!",
        "hf_oauth_" * N,
        "://" * N,
        "://" + "a" * N,
        "://" + "a:" * N,
        "?" + "a" * N,
        "?" + "a-" * N,
        "?a_" * N,
        "#" * N,
        "?key=" * N,
        "s3cr3t/" * N,
        "s3cr3t/v" * (N // 8),
    ],
    ids=lambda text: f"{text[:9]}...{text[-1]}",
)
def test_the_time_grows_with_the_text_and_not_with_its_square(text: str) -> None:
    redactor = Redactor(["s3cr3t/v+lue="])
    began = time.process_time()
    redactor.text(text)
    assert time.process_time() - began < 5
