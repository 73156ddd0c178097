"""Data blocks of a page: how they are packed, and how a page's texts are read back.

A block is JSON, compressed, as base64. So an id in it is found by no search of the file.
"""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
import zlib
from collections.abc import Iterator
from typing import Any

from features.tools.json_values import format_json
from serve.page.content.packed_columns import ALIGNMENT

BLOCK_TYPE = "application/octet-stream"
BLOCK = re.compile(rb'<script type="%b" id="block-[^"]*">([^<]*)</script>' % BLOCK_TYPE.encode())
# Packed columns begin with the length of their header.
HEADER_START = ALIGNMENT
SCRIPT_OR_STYLE = re.compile(rb"<(script|style)\b.*?</\1>", re.DOTALL)
# Tags, and the values of their attributes.
TEXT_LIMIT = re.compile(r'[<>"]')
# Level 6 takes a third of the time of 9 and gives nearly the same size.
COMPRESSION = 6


def pack_block(content: Any) -> str:
    """Return JSON values, or bytes, as the text of a block; the same values give the same text."""
    encoded = content if isinstance(content, bytes) else format_json(content).encode()
    # Without a time stamp.
    packed = gzip.compress(encoded, COMPRESSION, mtime=0)
    return base64.b64encode(packed).decode()


def read_page_texts(page: bytes) -> Iterator[list[str]]:
    """Yield the texts of a page: those of its HTML, and those in the values of each block.

    A block that cannot be unpacked, as in a damaged page, is left out.
    """
    shown = SCRIPT_OR_STYLE.sub(b"", page).decode("utf-8", "replace")
    yield [html.unescape(text) for text in TEXT_LIMIT.split(shown)]
    for match in BLOCK.finditer(page):
        try:
            content = gzip.decompress(base64.b64decode(match[1], validate=True))
            yield list(_list_texts(json.loads(_find_json(content))))
        # An error of base64, of UTF-8 and of JSON is a ValueError.
        except (ValueError, OSError, EOFError, zlib.error):
            continue


def _find_json(content: bytes) -> bytes:
    """Return the JSON of a block: all of it, or the header of packed columns, behind its length."""
    if content[:1] in (b"{", b"["):
        return content
    end = HEADER_START + int.from_bytes(content[:HEADER_START], "little")
    return content[HEADER_START:end]


def _list_texts(content: Any) -> Iterator[str]:
    """Yield all texts of JSON values, keys too."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for value in content:
            yield from _list_texts(value)
    elif isinstance(content, dict):
        yield from content
        yield from _list_texts(list(content.values()))
