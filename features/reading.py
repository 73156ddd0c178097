"""Rows of a source as text, whatever they come from: CSV, JSON lines, Parquet, or a query on a database.

Every value becomes the text a person would write (12, 0.1, true, 2018-01-05), so that the same rows give the
same table whatever the format, and so that ids keep their leading zeros and all their digits.
"""

from __future__ import annotations

import difflib
import glob
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from configs.errors import ConfigError, DataError
from configs.source_rows import Rows
from features.database import quoted, read_query
from features.delimited import Broken, blank, line_blocks, read_csv, unreadable

CSV, JSONL, PARQUET = "csv", "jsonl", "parquet"
ENDINGS = {
    ".csv": CSV,
    ".tsv": CSV,
    ".txt": CSV,
    ".jsonl": JSONL,
    ".ndjson": JSONL,
    ".parquet": PARQUET,
    ".pq": PARQUET,
}
PACKED = (".gz", ".bz2", ".zst", ".lz4")

Block = tuple[pa.Table, np.ndarray, list[Broken]]
"""Some text rows (columns ``c0`` …), the line or row number of each (from 1), and the broken records among
them.
"""


@dataclass(frozen=True)
class RawRows:
    """One row a record of the source, in the source's order.

    ``table`` has the columns ``file``, ``row`` (line of a text file, else number of the row, from 1), ``nr``
    (place among all records of the source, from 0), ``broken`` (the text of a record that could not be read,
    else null) and ``c0`` … for the source's own columns, all text, null where there is no value, and named by
    ``names``.
    """

    names: tuple[str, ...]
    table: pa.Table
    label: str

    def column(self, name: str, key: str) -> pa.ChunkedArray:
        """Return a column by the source's name for it; raise DataError that names file, key and nearest name."""
        if name in self.names:
            return self.table[f"c{self.names.index(name)}"]
        near = difflib.get_close_matches(name, self.names, 1, 0.5)
        other = "name a column of the source" if self.names else "give the source at least a header or one row"
        raise DataError(
            "no such column",
            where=f"{self.label}: {key}",
            found=f"{name!r}; the columns are {', '.join(self.names[:20]) or 'none, the source is empty'}",
            mend=f"did you mean {near[0]}?" if near else other,
        )

    def unreadable(self) -> pa.ChunkedArray:
        """Return a mask of the broken records and of the rows that hold a NUL byte, which breaks many a
        reader.
        """
        bad = pc.is_valid(self.table["broken"])
        for i in range(len(self.names)):
            bad = pc.or_(bad, pc.fill_null(pc.match_substring(self.table[f"c{i}"], pattern="\0"), False))
        return bad


def query(text: str, values: dict[str, object] | None = None, **tables: pa.Table) -> pa.Table:
    """Run one statement of DuckDB over Arrow tables, in UTC, and return an Arrow table."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name, table in tables.items():
            connection.register(name, table)
        return connection.sql(text, params=values or None).to_arrow_table()


def read_rows(source: Rows, needed: dict[str, str]) -> RawRows:
    """Read all rows of one source. ``needed`` maps each config key to the column it names.

    Raises DataError where a file is missing, a column is missing from any one of the files, or a database or
    query fails; ConfigError for a format or database that is not known.
    """
    parts = list(_parts(source))
    for part in parts:
        for key, name in needed.items():
            part.column(name, key)
    names = tuple(dict.fromkeys(name for part in parts for name in part.names))
    table = pa.concat_tables(_aligned(part, names) for part in parts)
    return RawRows(names, table.append_column("nr", pa.array(np.arange(len(table)))), source.label)


def _aligned(part: RawRows, names: Sequence[str]) -> pa.Table:
    """Give a file's rows the columns of the whole source."""
    columns = {each: part.table[each] for each in ("file", "row", "broken")}
    for i, name in enumerate(names):
        known = name in part.names
        columns[f"c{i}"] = part.column(name, "") if known else pa.nulls(len(part.table), pa.string())
    return pa.table(columns)


def _parts(source: Rows) -> Iterator[RawRows]:
    if source.database is not None:
        names, table = read_query(source.database, source.query or "", source.label)
        yield _raw(source.label, names, [(table, 1 + np.arange(len(table)), [])])
        return
    for path in _files(source.path or ""):
        kind = source.format or _format(path)
        try:
            yield _read_file(path, kind, source.delimiter)
        except (OSError, pa.ArrowInvalid, duckdb.Error) as error:
            found = str(error).splitlines()[0]
            raise DataError("cannot read the file", where=str(path), found=found, mend=f"is it {kind}?") from error


def _read_file(path: Path, kind: str, delimiter: str | None) -> RawRows:
    if kind == PARQUET:
        return _read_parquet(path)
    return _read_jsonl(path) if kind == JSONL else _read_csv(path, delimiter)


def _files(path: str) -> list[Path]:
    """Return the files of a path, folder or glob by name; in a folder only those of known endings, none
    hidden.
    """
    where = Path(path)
    if where.is_file():
        return [where]
    if where.is_dir():
        inside = [each for each in where.rglob("*") if _kind(each)]
    else:
        inside = [Path(each) for each in glob.glob(path, recursive=True)]  # noqa: PTH207 - takes absolute patterns
    files = sorted(each for each in inside if each.is_file() and not each.name.startswith((".", "_")))
    if not files:
        what = "no file matches" if glob.has_magic(path) or where.is_dir() else "no such file"
        raise DataError(what, where=path, mend="check `sources` in the config, and LEADSCORE_DATA where it is used")
    return files


def _kind(path: Path) -> str | None:
    plain = Path(path.stem) if path.suffix.lower() in PACKED else path
    return ENDINGS.get(plain.suffix.lower())


def _format(path: Path) -> str:
    if kind := _kind(path):
        return kind
    raise ConfigError("format not known by its ending", where=str(path), mend="give format: csv, parquet or jsonl")


def _raw(label: str, names: Sequence[str], blocks: Iterable[Block]) -> RawRows:
    """Put rows and broken records of one file together in the order of their lines."""
    own = [f"c{i}" for i in range(len(names))]
    schema = pa.schema([("row", pa.int64()), ("broken", pa.string()), *[(each, pa.string()) for each in own]])
    tables = [schema.empty_table()]
    for table, rows, broken in blocks:
        good = table.append_column("row", pa.array(rows, pa.int64()))
        bad = {"row": [each.line for each in broken], "broken": [each.text for each in broken]}
        both = pa.concat_tables(
            [schema.empty_table(), good, pa.table(bad, schema=pa.schema([schema.field(0), schema.field(1)]))],
            promote_options="default",
        )
        tables.append(both.sort_by("row") if broken else both)
    table = pa.concat_tables(tables)
    for each in own:
        table = table.set_column(
            table.column_names.index(each), each, pc.if_else(pc.equal(table[each], ""), None, table[each])
        )
    return RawRows(tuple(names), table.append_column("file", pa.repeat(label, len(table))), label)


def _read_csv(path: Path, delimiter: str | None) -> RawRows:
    blocks = list(read_csv(path, delimiter))
    names = blocks[-1][0]
    return _raw(str(path), _distinct(names), [block[1:] for block in blocks if len(block[0]) == len(names)])


def _distinct(names: Sequence[str]) -> list[str]:
    """Number a name that occurs again: a spreadsheet leaves several columns without one."""
    seen = [names[:i].count(name) for i, name in enumerate(names)]
    return [f"{name} ({times + 1})" if times else name for name, times in zip(names, seen, strict=True)]


def _read_jsonl(path: Path) -> RawRows:
    names, blocks = dict[str, None](), list[Block]()
    for block in line_blocks(path):
        use = ~blank(block.lines)
        lines, rows = block.lines.filter(pa.array(use)), block.first + np.flatnonzero(use)
        bad = unreadable(lines)
        bad[~bad] = ~_is_object(lines.filter(pa.array(~bad)).cast(pa.string()))
        good = pa.table({"line": lines.filter(pa.array(~bad)).cast(pa.string())})
        keys = query("SELECT DISTINCT unnest(json_keys(line)) AS key FROM lines ORDER BY key", lines=good)
        names |= dict.fromkeys(keys["key"].to_pylist())
        texts = [line.decode("utf-8", "replace") for line in lines.filter(pa.array(bad)).to_pylist()]
        blocks.append((good, rows[~bad], [Broken(int(row), text) for row, text in zip(rows[bad], texts, strict=True)]))
    return _raw(str(path), list(names), [(_values(good, list(names)), *rest) for good, *rest in blocks])


def _is_object(lines: pa.Array) -> np.ndarray:
    whole = "SELECT CASE WHEN json_valid(line) THEN json_type(line) = 'OBJECT' END AS ok FROM lines"
    return pc.fill_null(query(whole, lines=pa.table({"line": lines}))["ok"], False).to_numpy()


def _values(lines: pa.Table, names: Sequence[str]) -> pa.Table:
    """Take each key's value as text; the number 12.0 becomes 12, a text stays as it is."""
    pointers = {f"p{i}": "/" + name.replace("~", "~0").replace("/", "~1") for i, name in enumerate(names)}
    columns = [_json_text(f"${name}") + f" AS c{i}" for i, name in enumerate(pointers)]
    if not names:
        return pa.table({})
    return query(f"SELECT {', '.join(columns)} FROM lines", dict(pointers), lines=lines)  # noqa: S608 - positions only


def _json_text(at: str) -> str:
    text = f"json_extract_string(line, {at})"
    return f"CASE WHEN json_type(line, {at}) = 'DOUBLE' THEN regexp_replace({text}, '\\.0$', '') ELSE {text} END"


def _read_parquet(path: Path) -> RawRows:
    names, file = parquet.read_schema(path).names, {"path": str(path)}
    kinds = query("DESCRIBE SELECT * FROM read_parquet($path)", dict(file))["column_type"].to_pylist()
    columns = [
        _as_text(quoted(name), kind) + f" AS c{i}" for i, (name, kind) in enumerate(zip(names, kinds, strict=True))
    ]
    table = query(f"SELECT {', '.join(columns)} FROM read_parquet($path)", dict(file))  # noqa: S608 - quoted names
    return _raw(str(path), names, [(table, 1 + np.arange(len(table)), [])])


def _as_text(column: str, kind: str) -> str:
    """SQL for a value's text: 12.0 of a float column is 12, and its NaN is no value.

    NaN is told by its text, since DuckDB 2.0.0 takes ``isnan`` for false where a file's statistics give a finite
    minimum and maximum, which leave NaN out.
    """
    text = f"CAST({column} AS VARCHAR)"
    return f"regexp_replace(nullif({text}, 'nan'), '\\.0$', '')" if kind in ("FLOAT", "DOUBLE") else text
