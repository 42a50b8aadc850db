"""The whole page: what a browser may do with it, its style, and its sections in order.

The browser is told to load nothing and to run nothing (Content-Security-Policy `default-src
'none'`); of styles only the page's one element is allowed, by its hash.
"""

from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files

from zk_autograd.verify.page import sections, steps, verdict, words
from zk_autograd.verify.page.markup import Element, Sign, element, rendered, spelled
from zk_autograd.verify.report import Report
from zk_autograd.verify.standing import Standing
from zk_autograd.version import __version__


def page(report: Report, made: datetime, *, annex_xi: bool = False) -> str:
    """The report as HTML, in ASCII. `made` is when it was judged, with its time zone; `annex_xi`
    adds the section on that annex."""
    style = _style()
    policy = f"default-src 'none'; style-src 'sha256-{_hash(style)}'; base-uri 'none'; form-action 'none'"
    return "\n".join(
        (
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{escape(spelled(_title(report)))}</title>",
            f"<style>{style}</style>",
            "</head>",
            f'<body class="{Standing.of(report).value}">',
            rendered(element("main", verdict.banner(report), *_sections(report, annex_xi))),
            rendered(_footer(made)),
            "</body>",
            "</html>",
            "",
        )
    )


def _sections(report: Report, annex_xi: bool) -> Iterator[Element]:
    if report.judged:
        yield verdict.levels(report)
    yield from sections.your_policy(report)
    yield from words.in_plain_words(report)
    yield from sections.what_this_does_not_show(report)
    yield from steps.checked_and_skipped(report)
    yield steps.the_eleven_steps(report)
    yield from sections.the_chain(report)
    yield from sections.claims_by_source(report)
    yield from sections.what_the_trainer_says(report)
    yield from sections.the_keys(report)
    yield from sections.files_that_no_record_names(report)
    if annex_xi:
        yield sections.annex_xi(report)
    yield sections.judge_it_yourself(report)


def _title(report: Report) -> str:
    of_run = f", run {report.summary.run[:8]}" if report.summary is not None else ""
    return f"{report.verdict}{of_run}: zk-verify report"


def _footer(made: datetime) -> Element:
    shown = made.strftime("%Y-%m-%d %H:%M:%S %Z")
    return element(
        "footer",
        element("p", f"zk-verify {__version__} ", Sign.DOT, " ", element("time", shown, datetime=made.isoformat(timespec="seconds"))),
    )  # fmt: skip


@cache
def _style() -> str:
    text = files(__package__).joinpath("style.css").read_text(encoding="ascii")
    return "\n" + text


def _hash(style: str) -> str:
    return b64encode(sha256(style.encode("ascii")).digest()).decode("ascii")
