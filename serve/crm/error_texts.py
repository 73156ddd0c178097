"""Error texts of a CRM: shortened, safe for spreadsheets, and without values of the row.

A CRM quotes what it rejects: an address, a telephone number, an id, or the value of a field. What
remains is its code and its own words; a name that the CRM wrote by itself cannot be recognised.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from serve.delimited import escape_for_spreadsheet

MAX_CHARACTERS = 200
MASK = "***"
# A shorter cell, such as a grade or a score, may be part of any word.
MIN_CELL_CHARACTERS = 4
# An address; quoted text other than one word, which may be the name of a field; a number of four
# digits or more with what is attached to it, as in ids; and groups of digits, as in telephone
# numbers.
PERSONAL_PATTERNS = (
    r"""[^\s"'<>(),;:]+@[^\s"'<>(),;:]+""",
    r'"[^"]*[^\w"][^"]*"',
    r"'[^']*[^\w'][^']*'",
    r"\w*\d{4,}\w*",
    r"\+?\d[\d ()/.-]{5,}\d",
)


def clean_errors(errors: pa.Array, cells: Sequence[pa.Array]) -> pa.Array:
    """Return error texts without values of their row; a blank one is null.

    ``cells`` are the columns of the rows.
    """
    # Cut before anything else: the file may hold texts of any length. A value that is cut here is
    # found by no pattern, so twice the length is kept until the values are gone.
    texts = pc.utf8_slice_codeunits(errors, 0, 2 * MAX_CHARACTERS)
    columns = [column.to_pylist() for column in cells]
    masked = [
        _mask_cells(text, row) for text, *row in zip(texts.to_pylist(), *columns, strict=True)
    ]
    texts = pa.array(masked, pa.string())
    for pattern in PERSONAL_PATTERNS:
        texts = pc.replace_substring_regex(texts, pattern, MASK)
    texts = pc.utf8_trim_whitespace(escape_for_spreadsheet(texts))
    texts = pc.utf8_slice_codeunits(texts, 0, MAX_CHARACTERS)
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _mask_cells(text: str, row: Sequence[str]) -> str:
    """Replace the cells of the row, the longest first, since one may be part of another."""
    cells = {cell.strip() for cell in row if len(cell.strip()) >= MIN_CELL_CHARACTERS}
    for cell in sorted((cell for cell in cells if cell in text), key=len, reverse=True):
        # Only whole words: a cell "Lead" must not take apart "Leading".
        text = re.sub(rf"(?<!\w){re.escape(cell)}(?!\w)", MASK, text)
    return text
