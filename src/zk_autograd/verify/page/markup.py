"""Elements of a page, made of elements and texts: the only place where texts become HTML.

Rules: a text is escaped, always and here; there is no way to insert markup as a text. What a
browser would not show as it stands (control characters, bidirectional overrides, anything beyond
ASCII) is written out as its escape, as in the report's text form, so that a name from a run can
neither hide nor reorder what stands beside it. Typographic signs of our own are `Sign`s. Tags and
attributes are those listed here: no script, no style, no link to anywhere but this page.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from html import escape
from typing import TypeAlias

from zk_autograd.core.text import printable

_TAGS = frozenset(
    {
        *(
            "a",
            "article",
            "caption",
            "code",
            "dd",
            "div",
            "dl",
            "dt",
            "em",
            "figcaption",
            "figure",
            "footer",
            "h1",
            "h2",
        ),
        *("h3", "header", "li", "main", "nav", "ol", "p", "section", "span", "strong", "table", "tbody", "td", "th"),
        *("thead", "time", "tr", "ul"),
        *("circle", "desc", "g", "line", "path", "polyline", "rect", "svg", "text", "title"),
    }
)
_ATTRIBUTES = frozenset(
    {
        *("class", "datetime", "href", "id", "lang", "role", "scope", "tabindex"),
        *("cx", "cy", "d", "fill", "height", "points", "preserveAspectRatio", "r", "rx", "text-anchor", "viewBox", "width"),
        *("x", "x1", "x2", "y", "y1", "y2"),
    }
)  # fmt: skip
_HEX = re.compile(r"((?<![0-9a-zA-Z.])[0-9a-f]{16,}(?![0-9a-zA-Z])|[^\s+]{1,255}\+[0-9a-f]{8}\+[A-Za-z0-9+/=]{40,})")
"""Digests, and keys in C2SP's form."""


class Sign(Enum):
    """A typographic sign of the page's own."""

    DOT = "&#183;"
    DASH = "&#8211;"
    ARROW = "&#8594;"
    EQUALS = "&#8201;=&#8201;"


@dataclass(frozen=True, slots=True)
class Element:
    """An element with its attributes, names and values as texts, and what is in it."""

    tag: str
    attributes: tuple[tuple[str, str], ...]
    children: tuple["Node", ...]


Node: TypeAlias = Element | Sign | str


def element(tag: str, *children: Node, **attributes: str | int | float) -> Element:
    """An element. In an attribute's name, "_" stands for "-"; a last one is dropped (`class_`).
    ValueError for a tag or an attribute that a page has no use for."""
    named = tuple((name.rstrip("_").replace("_", "-"), str(value)) for name, value in attributes.items())
    if tag not in _TAGS:
        raise ValueError(f"a page has no element {tag}")
    for name, value in named:
        if name not in _ATTRIBUTES and not name.startswith("aria-"):
            raise ValueError(f"a page's elements have no attribute {name}")
        if name == "href" and not re.fullmatch("#[a-z0-9-]+", value):
            raise ValueError("a page has no link that leads out of it")
    return Element(tag, named, children)


def sentence(text: str) -> tuple[Node, ...]:
    """A text in which digests and keys are set as code."""
    parts = _HEX.split(text)
    return tuple(element("code", part) if i % 2 else part for i, part in enumerate(parts) if part)


def rendered(node: Node) -> str:
    """The node as HTML: ASCII, whatever it holds."""
    return "".join(_rendered(node))


def spelled(text: str) -> str:
    """A text as a page shows it, in ASCII, not yet escaped for HTML."""
    return printable(text).encode("ascii", "backslashreplace").decode()


def _rendered(node: Node) -> Iterator[str]:
    if isinstance(node, str):
        yield escape(spelled(node), quote=True)
        return
    if isinstance(node, Sign):
        yield node.value
        return
    attributes = "".join(f' {name}="{escape(spelled(value), quote=True)}"' for name, value in node.attributes)
    yield f"<{node.tag}{attributes}>"
    for child in node.children:
        yield from _rendered(child)
    yield f"</{node.tag}>"
