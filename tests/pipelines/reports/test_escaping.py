"""Texts of the data in reports: a renderer of Markdown must show each one as it is."""

import io
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

from configs.errors import escape_controls
from pipelines.reports.escaping import escape_markdown, format_code
from pipelines.reports.markdown import render_markdown_table
from pipelines.reports.terminal import escape_text, render_table

ODD = [
    "a|b",
    "a\nb",
    "a\r\n\r\n# head",
    "`code`",
    "a``b",
    "*strong* __strong__ _emphasis_ ~~gone~~",
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "&lt;b&gt; &amp; &#60;",
    "[click](https://evil.example)",
    "![x](https://evil.example/x.png)",
    "https://evil.example/?a=b www.evil.example me@evil.example",
    "[x]: https://evil.example",
    "# head",
    "- item",
    "> quote",
    "1. item",
    "\u202eabc\u202c",
    "\x1b[31mred\x1b[0m\x07",
    "back\\slash \\| \\",
    "page_view_count_7d",
    " padded ",
    "---",
    "||",
    "`|`",
    "\\`",
]
RENDERER = MarkdownIt("gfm-like", {"linkify": False})
TAGS = {"table", "thead", "tbody", "tr", "th", "td", "p", "code"}


class Page(HTMLParser):
    """Collects the tags of a page, and the text of each cell or paragraph."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.tags, self.texts = set(), []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag in ("td", "th", "p"):
            self.texts.append("")

    def handle_data(self, data):
        if self.texts:
            self.texts[-1] += data


def shown(text):
    """Return what a reader has to see of a text: blanks count once, controls are visible."""
    return re.sub(r"\s+", " ", escape_controls(text, keep="")).strip()


def read_table(cells):
    html = RENDERER.render("\n".join(render_markdown_table([["a"] * len(cells), cells])))
    page = Page(html)
    assert page.tags <= TAGS
    return [re.sub(r"\s+", " ", text).strip() for text in page.texts if text.strip("\n")]


@pytest.mark.parametrize("text", ODD)
def test_cell_shows_a_text_as_it_is(text):
    assert read_table([text, "z"])[2:] == [shown(text), "z"]


@pytest.mark.parametrize("text", ODD)
def test_code_shows_a_text_as_it_is(text):
    assert read_table([format_code(text), "z"])[2:] == [shown(text), "z"]
    page = Page(RENDERER.render(f"- passed: {format_code(text)} and more"))
    assert page.tags <= TAGS | {"ul", "li"}


@settings(max_examples=150, deadline=None)
@given(st.text(min_size=1).filter(lambda text: shown(text) and "\0" not in text))
def test_sentence_shows_any_text_as_it_is(text):
    page = Page(RENDERER.render(f"passed: {escape_markdown(text)} end"))
    assert page.tags == {"p"}
    assert shown(page.texts[0].strip()) == shown(f"passed: {text} end")


def test_bare_address_is_no_link():
    assert "://" not in escape_markdown("https://evil.example")
    assert "www." not in escape_markdown("www.evil.example")


def test_ordinary_names_stay_readable():
    assert escape_markdown("page_view_count_7d (3.5 %)") == "page_view_count_7d (3.5 %)"


@pytest.mark.parametrize("text", ODD)
def test_terminal_shows_no_control_character(text):
    out = io.StringIO()
    console = Console(file=out, width=200, force_terminal=False)
    console.print(render_table([["a"], [text]]))
    console.print(escape_text(text))
    assert escape_controls(out.getvalue()) == out.getvalue()
    assert shown(text.partition("\n")[0].strip()) in re.sub(r"\s+", " ", out.getvalue())
