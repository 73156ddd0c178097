"""The texts of a file's cells, as its CRM takes them."""

from __future__ import annotations

import json
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from features.contracts import INSTANT
from serve.crm.formats import Format
from serve.delimited import UNSAFE, cells, harmless, instants, quoted, safe

CALLABLE = r"^=|^[+\-@].*[^A-Za-z0-9_.\-]"
"""A text that a spreadsheet would take for a formula; after a sign, only what can call nothing and point nowhere."""
ESCAPED = r'["\\\x00-\x1f]'


def rendered(table: pa.Table, form: Format) -> pa.Table:
    """Return the cells of a table as texts without nulls, some of them dictionaries; the first column is the key.

    The key is written as it is: see ``unfit``. JSON lines and Parquet get JSON's own texts.
    """
    write = _json if form.ending != "csv" else lambda column: _csv(column, form)
    columns = [_each(column, write) for column in table.columns]
    if form.ending == "csv":
        columns[0] = _each(table.column(0), quoted)
    return pa.table(columns, names=table.column_names)


def unfit(keys: pa.ChunkedArray, form: Format) -> pa.ChunkedArray:
    """Say of each key whether it cannot be written without becoming another key or a danger.

    A changed key would miss its record, so such a lead is not delivered at all. Unfit is the empty text; in a CSV
    also one with a control character or a line break, one that a spreadsheet could run (it begins with ``=``; or with
    ``+``, ``-`` or ``@`` and holds more than letters, digits, ``_``, ``.`` and ``-``), what the CRM takes for no
    value, and one that is too long for it.
    """
    bad = pc.equal(keys, "")
    if not form.spreadsheet:
        return bad
    bad = pc.or_(bad, pc.match_substring_regex(keys, UNSAFE))
    bad = pc.or_(bad, pc.match_substring_regex(keys, CALLABLE))
    for text in {form.missing, form.missing_text} - {""}:
        bad = pc.or_(bad, pc.equal(keys, text))
    return (
        pc.or_(bad, pc.greater(pc.utf8_length(keys), form.longest_key)) if form.longest_key else bad
    )


def _each(column: pa.ChunkedArray, write: Callable[[pa.Array], pa.Array]) -> pa.ChunkedArray:
    chunks = [_encoded(chunk, write) for chunk in column.chunks]
    kind = (
        pa.dictionary(pa.int32(), pa.string())
        if pa.types.is_dictionary(column.type)
        else pa.string()
    )
    return pa.chunked_array(chunks, kind)


def _encoded(chunk: pa.Array, write: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """Write each different text of a dictionary once."""
    if not pa.types.is_dictionary(chunk.type):
        return write(chunk)
    texts = pa.concat_arrays([chunk.dictionary, pa.nulls(1, pa.string())])
    places = pc.fill_null(chunk.indices, len(texts) - 1).cast(pa.int32())
    return pa.DictionaryArray.from_arrays(places, write(texts))


def _csv(column: pa.Array, form: Format) -> pa.Array:
    if column.type == INSTANT:
        return pc.fill_null(form.instant(column), form.missing)
    if column.type != pa.string():
        return pc.fill_null(cells(column), form.missing)
    texts = column if harmless(column) else quoted(safe(column))
    if form.missing_text:
        # What would be read as no value is a text all the same.
        texts = pc.if_else(pc.equal(texts, form.missing_text), f"'{form.missing_text}", texts)
    return pc.fill_null(texts, form.missing_text)


def _json(column: pa.Array) -> pa.Array:
    if column.type == pa.string():
        return pc.fill_null(_json_texts(column), "null")
    if column.type == INSTANT:
        return pc.fill_null(pc.binary_join_element_wise('"', instants(column), '"', ""), "null")
    return pc.fill_null(column.cast(pa.string()), "null")


def _json_texts(column: pa.Array) -> pa.Array:
    odd = pc.fill_null(pc.match_substring_regex(column, ESCAPED), False)
    plain = pc.binary_join_element_wise('"', column, '"', "")
    if not pc.any(odd).as_py():
        return plain
    spelt = [json.dumps(text, ensure_ascii=False) for text in column.filter(odd).to_pylist()]
    return pc.replace_with_mask(plain, odd, pa.array(spelt, pa.string()))
