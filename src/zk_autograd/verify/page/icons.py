"""Small signs beside words, one shape for each meaning, so that none depends on its colour."""

from zk_autograd.verify.page.markup import Element, element

_RING = "M10 1.5a8.5 8.5 0 1 0 0 17a8.5 8.5 0 0 0 0-17Z"
_BOX = "M2 2H18V18H2Z"
_SHAPES = {
    # a disc with a tick, a square with a cross, a triangle, rings with what is missing
    "passed": ("disc", _RING, "M5.8 10.4L8.8 13.4L14.4 7"),
    "failed": ("disc", _BOX, "M6.2 6.2L13.8 13.8M13.8 6.2L6.2 13.8"),
    "not shown": ("ring", "M10 2L18.6 17.5H1.4Z", "M10 7.5V12M10 14.2V15.4"),
    "skipped": ("ring", _RING, "M6 10H14"),
    "absent": ("ring", _RING, ""),
    "not reached": ("ring dotted", _RING, ""),
    "unreadable": ("ring", _BOX, "M7.4 7.6A2.7 2.7 0 1 1 10 10.4V12M10 14V15"),
    "partly": ("ring", _RING, "M10 1.5V18.5"),
    "attested": ("ring", "M10 1.5L17.5 5V10.5C17.5 14.5 14 17.5 10 18.5C6 17.5 2.5 14.5 2.5 10.5V5Z", "M6.4 10L9.2 12.8L13.8 7.6"),
    "replayed": ("ring", _RING, "M10 5V10L13.4 12"),
    "anchored": ("ring", _RING, "M10 6V14.5M10 6A1.4 1.4 0 1 0 9.99 6M6 11.5Q6.6 14.5 10 14.5Q13.4 14.5 14 11.5"),
    "claimed by the trainer": ("ring", "M3 2.5H17V13.5H9L5 17.5V13.5H3Z", ""),
}  # fmt: skip
_SAME_AS = {"shown": "passed", "less": "not shown", "unpinned": "unreadable", "unjudged": "skipped", "proved": "passed"}


def icon(meaning: str, size: str = "") -> Element:
    """The sign of a status, a source or a standing. A word beside it says the same, so it is hidden
    from those who listen."""
    kind, outline, inside = _SHAPES[_SAME_AS.get(meaning, meaning)]
    return element(
        "svg",
        element("path", d=outline, class_=kind),
        *([element("path", d=inside, class_=f"in {kind}")] if inside else []),
        class_=f"icon {meaning.replace(' ', '-')} {size}".strip(),
        viewBox="0 0 20 20",
        width=20,
        height=20,
        aria_hidden="true",
    )
