"""Escaping of texts in Markdown: names and values of the data may hold markup."""

from __future__ import annotations

import re

from configs.errors import escape_controls

# Inside of words an underscore means nothing, and names of features are full of them.
_SPECIAL = re.compile(r"[\\`*\[\]|~@]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|^\s*[#>+-]")
_ADDRESS = re.compile(r"(?i)://|\bwww\.")


class MarkdownText(str):
    """A text that is Markdown already, so that a table does not escape it again."""

    __slots__ = ()


def escape_markdown(text: str) -> str:
    """Return Markdown of one line that shows a text as it is, without links and HTML."""
    text = escape_controls(text, keep="")
    text = _SPECIAL.sub(lambda match: f"{match[0][:-1]}\\{match[0][-1]}", text)
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    # Many renderers make a link of a bare address.
    return _ADDRESS.sub(lambda match: f"{match[0][:-1]}\\{match[0][-1]}", text)


def format_code(text: str) -> MarkdownText:
    """Return Markdown of one line that shows a text as code."""
    text = escape_controls(text, keep="")
    # A fence is longer than each run of backticks inside of it.
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence, space = "`" * (longest + 1), " " if longest or not text.strip() else ""
    return MarkdownText(f"{fence}{space}{text}{space}{fence}")


def escape_cell(text: str) -> str:
    """Return the Markdown of a cell of a table."""
    if isinstance(text, MarkdownText):
        # A bar ends a cell in code, too.
        return text.replace("|", "\\|")
    return escape_markdown(text)
