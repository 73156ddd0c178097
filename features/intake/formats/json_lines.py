"""JSON lines: one object per line, every value as text; other lines are broken records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.intake.formats.csv_grammar import find_blank_lines
from features.intake.formats.delimited import (
    BrokenRecord,
    LineBlock,
    find_unreadable_lines,
    read_line_blocks,
)
from features.intake.formats.limits import MAX_KEYS, require_few_columns
from features.intake.storage.source_file import SourceFile
from features.tools.duckdb_sql import run_query


def read_json_lines(
    file: SourceFile, columns: frozenset[str] | None
) -> Iterator[tuple[pa.Table, np.ndarray, list[BrokenRecord]]]:
    """Yield blocks of a file: columns as text, line of each row, broken records.

    The columns are the keys of all objects; those not ``wanted`` are null. The number 12.0 becomes
    12; a text is unchanged.
    """
    # The file is read twice, since a key may first occur in its last line.
    names = _collect_keys(file)
    selected = [name for name in names if columns is None or name in columns]
    for block in read_line_blocks(file):
        lines, rows, bad = _split_objects(block)
        broken = [
            line.decode("utf-8", "replace") for line in lines.filter(pa.array(bad)).to_pylist()
        ]
        texts = _extract_values(lines.filter(pa.array(~bad)).cast(pa.string()), selected)
        values = dict(zip(selected, texts, strict=True))
        null_column = pa.nulls(len(bad) - len(broken), pa.string())
        table = pa.table(
            [values.get(name, null_column) for name in names],
            names=names,
        )
        yield (
            table,
            rows[~bad],
            [BrokenRecord(int(row), text) for row, text in zip(rows[bad], broken, strict=True)],
        )


def _collect_keys(file: SourceFile) -> list[str]:
    """Return the keys of all objects, in the order of the blocks."""
    all_keys = dict[str, None]()
    for block in read_line_blocks(file):
        lines, _, bad = _split_objects(block)
        good = pa.table({"line": lines.filter(pa.array(~bad)).cast(pa.string())})
        keys = run_query(
            "SELECT DISTINCT unnest(json_keys(line)) AS key FROM lines ORDER BY key", lines=good
        )
        all_keys |= dict.fromkeys(keys["key"].to_pylist())
        require_few_columns(len(all_keys), MAX_KEYS, file)
    return list(all_keys)


def _split_objects(block: LineBlock) -> tuple[pa.Array, np.ndarray, np.ndarray]:
    """Return the nonblank lines, their line numbers, and a mask of those that are no object."""
    nonblank = ~find_blank_lines(block.lines)
    lines, rows = block.lines.filter(pa.array(nonblank)), block.first + np.flatnonzero(nonblank)
    bad = find_unreadable_lines(lines)
    # Validity first: DuckDB (2.0.0) raises an error for the type of malformed JSON.
    is_object = (
        "SELECT CASE WHEN json_valid(line) THEN json_type(line) = 'OBJECT' END AS ok FROM lines"
    )
    readable = pa.table({"line": lines.filter(pa.array(~bad)).cast(pa.string())})
    bad[~bad] = ~pc.fill_null(run_query(is_object, lines=readable)["ok"], False).to_numpy()
    return lines, rows, bad


def _extract_values(lines: pa.Array, names: Sequence[str]) -> list[pa.ChunkedArray]:
    """Extract the values of all keys at the same time, so that each object is parsed once."""
    if not names:
        return []
    # The order matters: the escape of "/" contains a "~", which must not be escaped again.
    pointers = ["/" + name.replace("~", "~0").replace("/", "~1") for name in names]
    columns = [
        f"{_json_text_expression(f'extracted[{i + 1}]', f'$pointers[{i + 1}]')} AS c{i}"
        for i in range(len(names))
    ]
    text = f"""SELECT {", ".join(columns)} FROM (
                 SELECT line, json_extract_string(line, $pointers) AS extracted FROM lines
               )"""  # noqa: S608 - positions only
    return run_query(text, {"pointers": pointers}, lines=pa.table({"line": lines})).columns


def _json_text_expression(text: str, pointer: str) -> str:
    # Only numbers: the text "12.0" may be an id and stays as it is.
    is_float = f"json_type(line, {pointer}) = 'DOUBLE'"
    is_whole, is_large = f"ends_with({text}, '.0')", f"contains(lower({text}), 'e')"
    # DuckDB (2.0.0) writes large numbers with an exponent; all above 1e15 are whole, and 128 bits
    # hold them up to 1.7e38.
    digits = f"CAST(try_cast(try_cast({text} AS DOUBLE) AS HUGEINT) AS VARCHAR)"
    is_large += f" AND abs(try_cast({text} AS DOUBLE)) >= 1e15"
    return (
        f"CASE WHEN {is_whole} AND {is_float} THEN regexp_replace({text}, '[.]0$', '') "
        f"WHEN {is_large} AND {is_float} THEN coalesce({digits}, {text}) ELSE {text} END"
    )
