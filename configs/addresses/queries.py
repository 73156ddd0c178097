"""Queries of a source: one statement that reads; what can be seen to write is refused.

A database's own protection comes on top where it has one, such as a read-only transaction. This
check sees what the text says, so that a mistake is found before any server is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from configs.addresses.sources import (
    BIGQUERY,
    DUCKDB,
    MSSQL,
    MYSQL,
    POSTGRESQL,
    SNOWFLAKE,
    SQLITE,
    TITLES,
)

# Words with which a query may begin.
_READING_WORDS = frozenset({"select", "with", "values", "table", "from"})
# Words of statements that change data, tables or rights, or run a procedure. SQL Server needs no
# semicolon between two statements, so they count in the middle of a query as well.
_WRITING_WORDS = frozenset(
    {"insert", "update", "delete", "merge", "drop", "alter", "create", "truncate", "grant"}
    | {"revoke", "exec", "execute", "call", "into"}
)
# These are functions too, and then a parenthesis follows them.
_FUNCTION_WORDS = frozenset({"insert", "truncate"})
# These engines read a query as part of another one, in which nothing can be written.
_WRAPPING_SCHEMES = (SQLITE, POSTGRESQL, DUCKDB)

# Where a backslash in a text escapes the sign after it.
_BACKSLASH_SCHEMES = (MYSQL, SNOWFLAKE, BIGQUERY)


def check_query(query: str, scheme: str) -> None:
    """Raise ValueError for a query that is no single reading statement, as far as its text says."""
    words = list(_iter_words(query, scheme))
    while words and words[-1] == ";":
        words.pop()
    if not words:
        raise ValueError("the query is empty: write SELECT … FROM …")
    if ";" in words:
        raise ValueError("the query holds several statements: keep the one that returns the rows")
    first = next((word for word in words if word != "("), "")
    if first not in _READING_WORDS:
        raise ValueError("the query does not begin with SELECT or WITH: a source is only read")
    if scheme == MYSQL and re.search(r"/\*M?!", query):
        raise ValueError("the query holds a comment that MySQL runs (/*! … */): remove it")
    if scheme in _WRAPPING_SCHEMES:
        return
    for i, word in enumerate(words):
        if word in _WRITING_WORDS and not _is_name(words, i):
            raise ValueError(
                f"the query would write, or lock rows, in {TITLES[scheme]} ({word.upper()}): "
                "a source is only read; quote it if it is a name"
            )


def _is_name(words: list[str], i: int) -> bool:
    """Return whether a word is the name of a column or function by what stands next to it."""
    before, after = words[i - 1 : i], words[i + 1 : i + 2]
    return before == ["."] or (words[i] in _FUNCTION_WORDS and after == ["("])


def _iter_words(query: str, scheme: str) -> Iterator[str]:
    """Yield the words of a query in lower case, and all other characters.

    Comments are left out; a quoted text or name is ``''``. What the engine does not take for a
    quotation is none here either, since it would hide the words in it.
    """
    pattern = (
        rf"(?P<comment>{_match_comment(scheme)})|(?P<quoted>{_match_quoted(scheme)})"
        r"|(?P<word>[^\W\d][\w$]*)|(?P<sign>\S)"
    )
    for match in re.finditer(pattern, query, re.DOTALL):
        if match["comment"] is None:
            yield "''" if match["quoted"] is not None else (match["word"] or match["sign"]).lower()


def _match_comment(scheme: str) -> str:
    # In MySQL two dashes without a blank are two signs.
    line = r"--(?=\s|\Z)[^\n]*|\#[^\n]*" if scheme == MYSQL else r"--[^\n]*"
    return rf"{line}|/\*.*?(?:\*/|\Z)"


def _match_quoted(scheme: str) -> str:
    quotes = [r"`(?:[^`]|``)*`"]
    if scheme in _BACKSLASH_SCHEMES:
        quotes += [r"'(?:[^'\\]|\\.|'')*'", r"\"(?:[^\"\\]|\\.|\"\")*\""]
    else:
        quotes += [r"[eE]'(?:[^'\\]|\\.|'')*'"] if scheme in (POSTGRESQL, DUCKDB) else []
        quotes += [r"'(?:[^']|'')*'", r"\"(?:[^\"]|\"\")*\""]
    if scheme in (POSTGRESQL, DUCKDB, SNOWFLAKE):
        quotes.append(r"(?P<tag>\$(?:[A-Za-z_]\w*)?\$).*?(?P=tag)")
    if scheme in (MSSQL, SQLITE):
        quotes.append(r"\[[^\]\n]*\]")
    return "|".join(quotes)
