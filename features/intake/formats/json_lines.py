"""Objects of JSON lines or a JSON document as text columns; what is no object is a broken record.

Objects in objects are flattened: their leaves are columns with dotted names. Arrays stay JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError
from features.intake.csv_text.grammar import find_blank_lines
from features.intake.formats.delimited import BrokenRecord, LineBlock, find_unreadable_lines
from features.intake.formats.json_document import JsonDocument
from features.intake.formats.limits import MAX_KEYS, require_few_columns
from features.intake.storage.source_file import SourceFile
from features.tools.duckdb_sql import run_query

# Levels of objects that are flattened; what lies deeper stays JSON.
MAX_DEPTH = 16

# Keys that lead to a value, from outside.
KeyPath = tuple[str, ...]


def read_json_objects(
    document: JsonDocument, columns: frozenset[str] | None
) -> Iterator[tuple[pa.Table, np.ndarray, list[BrokenRecord]]]:
    """Yield blocks of a document: columns as text, line or number of each row, broken records.

    An object with a key twice is broken: which value is meant is unknown. The columns are the
    leaves of all objects; those not among ``columns`` are null. The number 12.0 becomes 12; a text
    is unchanged. Raises DataError if two leaves have the same dotted name.
    """
    # The file is read twice, since a key may first occur in its last line.
    paths, objects = _collect_leaves(document)
    selected = [name for name in paths if columns is None or name in columns]
    for block in document.iter_blocks():
        lines, rows, bad = _split_objects(block)
        bad[~bad] = _find_repeated_keys(lines.filter(pa.array(~bad)), objects)
        broken = [
            line.decode("utf-8", "replace") for line in lines.filter(pa.array(bad)).to_pylist()
        ]
        good = lines.filter(pa.array(~bad)).cast(pa.string())
        texts = _extract_values(good, [paths[name] for name in selected], objects)
        values = dict(zip(selected, texts, strict=True))
        null_column = pa.nulls(len(bad) - len(broken), pa.string())
        table = pa.table(
            [values.get(name, null_column) for name in paths],
            names=list(paths),
        )
        yield (
            table,
            rows[~bad],
            [BrokenRecord(int(row), text) for row, text in zip(rows[bad], broken, strict=True)],
        )


def _collect_leaves(document: JsonDocument) -> tuple[dict[str, KeyPath], set[KeyPath]]:
    """Return the path of each leaf by its dotted name, in the order of the blocks.

    Return with them the paths with an object, whose own value is in other leaves.
    """
    leaf_marks, objects = dict[KeyPath, bool](), set[KeyPath]()
    for block in document.iter_blocks():
        lines, _, bad = _split_objects(block)
        good = pa.table({"line": lines.filter(pa.array(~bad)).cast(pa.string())})
        for path, holds_object, holds_other in _iter_keys(good, (), document.file):
            leaf_marks[path] = leaf_marks.get(path, False) or holds_other
            objects |= {path} if holds_object else set()
            require_few_columns(len(leaf_marks), MAX_KEYS, document.file)
    # An object without any key is no row's value, but the config may name it.
    inner = {path[:i] for path in leaf_marks for i in range(1, len(path))}
    leaves = [path for path, is_leaf in leaf_marks.items() if is_leaf or path not in inner]
    named = dict[str, KeyPath]()
    for path in leaves:
        name = ".".join(path)
        if (other := named.setdefault(name, path)) != path:
            raise DataError(
                "two keys have the same dotted name",
                where=document.file.address,
                found=f"{name!r} is {_describe_path(other)} and {_describe_path(path)}",
                fix="rename one of them in the file",
            )
    return named, objects


def _describe_path(path: KeyPath) -> str:
    return " in ".join(f"the key {key!r}" for key in reversed(path))


def _iter_keys(
    good: pa.Table, path: KeyPath, file: SourceFile
) -> Iterator[tuple[KeyPath, bool, bool]]:
    """Yield the path of each key below a path, and whether any value is an object, or is not."""
    sql = "SELECT DISTINCT unnest(json_keys(line, $pointer)) AS key FROM lines ORDER BY key"
    names = run_query(sql, {"pointer": _make_pointer(path)}, lines=good)["key"].to_pylist()
    require_few_columns(len(names), MAX_KEYS, file)
    paths = [(*path, name) for name in names]
    kinds = _find_kinds(good, paths)
    for child, (holds_object, holds_other) in zip(paths, kinds, strict=True):
        if len(child) >= MAX_DEPTH:
            yield child, False, True
            continue
        yield child, holds_object, holds_other
        if holds_object:
            yield from _iter_keys(good, child, file)


def _find_kinds(good: pa.Table, paths: Sequence[KeyPath]) -> list[tuple[bool, bool]]:
    """Return for each path whether any of its values is an object, and whether any is not."""
    if not paths:
        return []
    # Most files have no object in another: the brace of each line is its first sign.
    nested = "SELECT bool_or(contains(substr(trim(line), 2), '{')) AS any FROM lines"
    if not run_query(nested, lines=good)["any"][0].as_py():
        return [(False, True)] * len(paths)
    columns = [
        f"bool_or(kinds[{i + 1}] = 'OBJECT') AS o{i}, "
        f"bool_or(kinds[{i + 1}] NOT IN ('OBJECT', 'NULL')) AS v{i}"
        for i in range(len(paths))
    ]
    text = f"""SELECT {", ".join(columns)} FROM (
                 SELECT json_type(line, $pointers) AS kinds FROM lines
               )"""  # noqa: S608 - positions only
    pointers = [_make_pointer(path) for path in paths]
    row = run_query(text, {"pointers": pointers}, lines=good).to_pylist()[0]
    return [(bool(row[f"o{i}"]), bool(row[f"v{i}"])) for i in range(len(paths))]


def _make_pointer(path: KeyPath) -> str:
    # The order matters: the escape of "/" contains a "~", which must not be escaped again.
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in path)


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


def _find_repeated_keys(lines: pa.Array, objects: set[KeyPath]) -> np.ndarray:
    """Return a mask of the objects that have a key twice, themselves or in one of ``objects``."""
    pointers = [_make_pointer(path) for path in [(), *sorted(objects)]]
    sql = """SELECT coalesce(list_bool_or(list_transform(
                      json_keys(line, $pointers), lambda keys: len(keys) > len(list_distinct(keys))
                    )), false) AS repeats FROM lines"""
    table = pa.table({"line": lines.cast(pa.string())})
    return run_query(sql, {"pointers": pointers}, lines=table)["repeats"].to_numpy()


def _extract_values(
    lines: pa.Array, paths: Sequence[KeyPath], objects: set[KeyPath]
) -> list[pa.ChunkedArray]:
    """Extract the values of all paths at the same time, so that each object is parsed once."""
    if not paths:
        return []
    pointers = [_make_pointer(path) for path in paths]
    columns = [
        f"{_json_text_expression(f'extracted[{i + 1}]', f'$pointers[{i + 1}]', path in objects)} "
        f"AS c{i}"
        for i, path in enumerate(paths)
    ]
    text = f"""SELECT {", ".join(columns)} FROM (
                 SELECT line, json_extract_string(line, $pointers) AS extracted FROM lines
               )"""  # noqa: S608 - positions only
    return run_query(text, {"pointers": pointers}, lines=pa.table({"line": lines})).columns


def _json_text_expression(text: str, pointer: str, may_be_object: bool) -> str:
    # Only numbers: the text "12.0" may be an id and stays as it is.
    is_float = f"json_type(line, {pointer}) = 'DOUBLE'"
    is_whole, is_large = f"ends_with({text}, '.0')", f"contains(lower({text}), 'e')"
    # DuckDB (2.0.0) writes large numbers with an exponent; all above 1e15 are whole, and 128 bits
    # hold them up to 1.7e38.
    digits = f"CAST(try_cast(try_cast({text} AS DOUBLE) AS HUGEINT) AS VARCHAR)"
    is_large += f" AND abs(try_cast({text} AS DOUBLE)) >= 1e15"
    no_object = f"WHEN json_type(line, {pointer}) = 'OBJECT' THEN NULL " if may_be_object else ""
    return (
        f"CASE {no_object}WHEN {is_whole} AND {is_float} THEN regexp_replace({text}, '[.]0$', '') "
        f"WHEN {is_large} AND {is_float} THEN coalesce({digits}, {text}) ELSE {text} END"
    )
