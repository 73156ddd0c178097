"""JSON lines: one object a line, every value as text, and the lines that hold none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.intake.formats.delimited import Broken, Lines, blank, line_blocks, unreadable
from features.tools.duckdb_sql import query


def read_json_lines(
    path: Path, wanted: frozenset[str] | None
) -> Iterator[tuple[pa.Table, np.ndarray, list[Broken]]]:
    """Yield blocks of a file: its columns as text, each row's line, and the lines that are no object.

    The columns are the keys of all objects; one that is not ``wanted`` holds nothing. The number 12.0 becomes 12, a
    text stays as it is.
    """
    names = _collect_keys(path)
    read = [name for name in names if wanted is None or name in wanted]
    for block in line_blocks(path):
        lines, rows, bad = _split_objects(block)
        broken = [
            line.decode("utf-8", "replace") for line in lines.filter(pa.array(bad)).to_pylist()
        ]
        values = _extract_values(lines.filter(pa.array(~bad)).cast(pa.string()), read)
        none = pa.nulls(len(bad) - len(broken), pa.string())
        table = pa.table(
            [values[read.index(name)] if name in read else none for name in names], names=names
        )
        yield (
            table,
            rows[~bad],
            [Broken(int(row), text) for row, text in zip(rows[bad], broken, strict=True)],
        )


def _collect_keys(path: Path) -> list[str]:
    """Return the keys of all objects, those of earlier blocks first."""
    found = dict[str, None]()
    for block in line_blocks(path):
        lines, _, bad = _split_objects(block)
        good = pa.table({"line": lines.filter(pa.array(~bad)).cast(pa.string())})
        keys = query(
            "SELECT DISTINCT unnest(json_keys(line)) AS key FROM lines ORDER BY key", lines=good
        )
        found |= dict.fromkeys(keys["key"].to_pylist())
    return list(found)


def _split_objects(block: Lines) -> tuple[pa.Array, np.ndarray, np.ndarray]:
    """Return the lines that are not blank, the number of each, and a mask of those that are no object."""
    use = ~blank(block.lines)
    lines, rows = block.lines.filter(pa.array(use)), block.first + np.flatnonzero(use)
    bad = unreadable(lines)
    whole = "SELECT CASE WHEN json_valid(line) THEN json_type(line) = 'OBJECT' END AS ok FROM lines"
    readable = pa.table({"line": lines.filter(pa.array(~bad)).cast(pa.string())})
    bad[~bad] = ~pc.fill_null(query(whole, lines=readable)["ok"], False).to_numpy()
    return lines, rows, bad


def _extract_values(lines: pa.Array, names: Sequence[str]) -> list[pa.ChunkedArray]:
    """Take each key's value out of the objects, all of one object at once: it is parsed once for them."""
    if not names:
        return []
    pointers = ["/" + name.replace("~", "~0").replace("/", "~1") for name in names]
    columns = [
        f"{_json_text_expression(f'found[{i + 1}]', f'$pointers[{i + 1}]')} AS c{i}" for i in range(len(names))
    ]
    text = f"""SELECT {", ".join(columns)}
               FROM (SELECT line, json_extract_string(line, $pointers) AS found FROM lines)"""  # noqa: S608 - positions
    return query(text, {"pointers": pointers}, lines=pa.table({"line": lines})).columns


def _json_text_expression(text: str, at: str) -> str:
    whole = f"ends_with({text}, '.0') AND json_type(line, {at}) = 'DOUBLE'"
    return f"CASE WHEN {whole} THEN regexp_replace({text}, '[.]0$', '') ELSE {text} END"
