"""The text of each cell, as its CRM reads it."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from features.contracts import INSTANT
from features.tools.json_values import format_json
from serve.crm.formats import CrmFormat
from serve.delimited import (
    UNSAFE_CHARACTERS,
    escape_for_spreadsheet,
    format_cells,
    format_instants,
    needs_no_escaping,
    quote_texts,
)

# A text that a spreadsheet may read as a formula. After a sign only characters are safe that can
# neither call a function nor refer to a cell.
FORMULA_PATTERN = r"^=|^[+\-@].*[^A-Za-z0-9_.\-]"
# Characters that JSON escapes.
JSON_ESCAPED = r'["\\\x00-\x1f]'


def render_cells(table: pa.Table, crm_format: CrmFormat) -> pa.Table:
    """Return the cells of a table as texts without nulls, some of them dictionary-encoded.

    The first column is the key, which is written unescaped: see ``find_unfit_keys``. JSON lines and
    Parquet get the text of JSON values.
    """
    format_chunk = (
        _format_json_cells
        if crm_format.extension != "csv"
        else lambda column: _format_csv_cells(column, crm_format)
    )
    columns = [_write_chunks(column, format_chunk) for column in table.columns]
    if crm_format.extension == "csv":
        columns[0] = _write_chunks(table.column(0), quote_texts)
    return pa.table(columns, names=table.column_names)


def find_unfit_keys(keys: pa.ChunkedArray, crm_format: CrmFormat) -> pa.ChunkedArray:
    """Return a mask of keys that cannot be written unchanged and safely.

    A changed key would miss its record, so such a lead is not delivered. The empty text is unfit.
    In CSV, also unfit are keys with a control character or a line break; keys that a spreadsheet
    could execute (starting with ``=``, or with ``+``, ``-`` or ``@`` and holding more than letters,
    digits, ``_``, ``.`` and ``-``); keys that the CRM reads as no value; and keys longer than it
    accepts.
    """
    is_unfit = pc.equal(keys, "")
    if not crm_format.is_spreadsheet:
        return is_unfit
    is_unfit = pc.or_(is_unfit, pc.match_substring_regex(keys, UNSAFE_CHARACTERS))
    is_unfit = pc.or_(is_unfit, pc.match_substring_regex(keys, FORMULA_PATTERN))
    for text in {crm_format.missing_value, crm_format.missing_text} - {""}:
        is_unfit = pc.or_(is_unfit, pc.equal(keys, text))
    return (
        pc.or_(is_unfit, pc.greater(pc.utf8_length(keys), crm_format.max_key_length))
        if crm_format.max_key_length
        else is_unfit
    )


def _write_chunks(
    column: pa.ChunkedArray, format_chunk: Callable[[pa.Array], pa.Array]
) -> pa.ChunkedArray:
    chunks = [_write_chunk(chunk, format_chunk) for chunk in column.chunks]
    result_type = (
        pa.dictionary(pa.int32(), pa.string())
        if pa.types.is_dictionary(column.type)
        else pa.string()
    )
    return pa.chunked_array(chunks, result_type)


def _write_chunk(chunk: pa.Array, format_chunk: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """Format a chunk; each distinct text of a dictionary only once."""
    if not pa.types.is_dictionary(chunk.type):
        return format_chunk(chunk)
    # Null is formatted as one more text of the dictionary, since a cell must not be null.
    texts = pa.concat_arrays([chunk.dictionary, pa.nulls(1, pa.string())])
    indices = pc.fill_null(chunk.indices, len(texts) - 1).cast(pa.int32())
    return pa.DictionaryArray.from_arrays(indices, format_chunk(texts))


def _format_csv_cells(column: pa.Array, crm_format: CrmFormat) -> pa.Array:
    if column.type == INSTANT:
        return pc.fill_null(crm_format.format_instants(column), crm_format.missing_value)
    if column.type != pa.string():
        return pc.fill_null(format_cells(column), crm_format.missing_value)
    texts = column if needs_no_escaping(column) else quote_texts(escape_for_spreadsheet(column))
    if crm_format.missing_text:
        # Mark a text that the CRM would read as no value.
        texts = pc.if_else(
            pc.equal(texts, crm_format.missing_text), f"'{crm_format.missing_text}", texts
        )
    return pc.fill_null(texts, crm_format.missing_text)


def _format_json_cells(column: pa.Array) -> pa.Array:
    if column.type == pa.string():
        return pc.fill_null(_format_json_texts(column), "null")
    if column.type == INSTANT:
        return pc.fill_null(
            pc.binary_join_element_wise('"', format_instants(column), '"', ""), "null"
        )
    return pc.fill_null(column.cast(pa.string()), "null")


def _format_json_texts(column: pa.Array) -> pa.Array:
    needs_escape = pc.fill_null(pc.match_substring_regex(column, JSON_ESCAPED), False)
    quoted = pc.binary_join_element_wise('"', column, '"', "")
    if not pc.any(needs_escape).as_py():
        return quoted
    # Arrow cannot escape for JSON, so only the texts that need it take the slow way.
    escaped = [format_json(text) for text in column.filter(needs_escape).to_pylist()]
    return pc.replace_with_mask(quoted, needs_escape, pa.array(escaped, pa.string()))
