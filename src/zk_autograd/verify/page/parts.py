"""What sections are built from: a heading with what is under it, and tables."""

from zk_autograd.verify.page.markup import Element, Node, element


def section(title: str, *children: Node) -> Element:
    """A section under its heading."""
    name = title.lower().replace(" ", "-")
    return element("section", element("h2", title, id=name), *children, aria_labelledby=name)


def table(name: str, columns: tuple[str, ...], rows: list[Element], class_: str = "") -> Element:
    """A table with its caption, that scrolls where a screen is too narrow for it."""
    head = element("thead", element("tr", *(element("th", column, scope="col") for column in columns)))
    whole = element("table", element("caption", name), head, element("tbody", *rows), class_=class_)
    return element("div", whole, class_="wide", role="region", aria_label=name, tabindex=0)
