"""Texts become HTML in one place, escaped."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_autograd.verify.page.markup import Sign, element, rendered, sentence

TEXTS = st.text(max_size=80) | st.lists(
    st.sampled_from(["<", ">", "&", '"', "'", "</style>", "<script>", "\u202e", "\x00", "\x1b", "&#60;", "-->", "\udc80", "\n"]), max_size=8
).map("".join)  # fmt: skip


class Seen(HTMLParser):
    """The tags, attributes and texts of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


@given(text=TEXTS)
def test_a_text_stays_a_text(text: str) -> None:
    html = rendered(element("p", text, class_=text))
    seen = Seen(html)
    assert (seen.tags, [name for name, _ in seen.attributes]) == (["p"], ["class"])
    assert html.isascii() and html.isprintable()
    assert seen.text == seen.attributes[0][1]
    assert seen.text.isprintable() and seen.text.isascii()
    if text.isascii() and text.isprintable():
        assert seen.text == text


def test_what_a_browser_would_obey_is_spelled_out() -> None:
    assert rendered("a\u202eb\x1b\u05d0\ud800") == "a\\u202eb\\x1b\\u05d0\\ud800"
    assert rendered(Sign.DOT) == "&#183;"


@pytest.mark.parametrize("tag", ["script", "style", "iframe", "img", "a onclick", "", "object"])
def test_a_page_has_no_other_elements(tag: str) -> None:
    with pytest.raises(ValueError, match="a page has no element"):
        element(tag)


@pytest.mark.parametrize(
    "attributes", [{"onclick": "x"}, {"style": "x"}, {"src": "x"}, {"href": "https://x"}, {"href": "javascript:x"}]
)
def test_nor_other_attributes(attributes: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="a page"):
        element("a", **attributes)


def test_digests_and_keys_are_set_as_code() -> None:
    key = "zk-autograd-test+e90c78e4+AZ0r+vfOrGTnJ6hdbCr0uu0cJlDlp8do5ACZHUDmqt2t"
    for code in ("ab" * 32, key):
        assert rendered(element("p", *sentence(f"it is {code}, so"))) == f"<p>it is <code>{code}</code>, so</p>"
    assert rendered(element("p", *sentence("eps 0.00000099837779998779296875"))).count("<code>") == 0


@given(text=TEXTS)
def test_a_sentence_is_its_text(text: str) -> None:
    assert Seen(rendered(element("p", *sentence(text)))).text == Seen(rendered(element("p", text))).text
