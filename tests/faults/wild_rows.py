"""Corrupt rows, headers and types, in each format by its own means."""

import json
import math
import random
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa

from tests.faults.wild_files import Source

TEXT = ("csv", "gz")
ROWS = ("csv", "gz", "jsonl", "parquet", "sqlite")

# Texts that have been found in cells.
WILD = [
    "", " ", "\t", "NaN", "nan", "inf", "-Infinity", "1e300", "1e999", "-0", "00012", "0x1F",
    "1_000", "12,5", "NULL", "0000-00-00", "0000-01-01", "0001-01-01 00:00:00",
    "9999-12-31 23:59:59.999999", "2024-02-30", "2024-13-01", "24:00", "2024-01-01T25:00",
    "2024-06-31", "1e18", "99999999999999999999999999", "-9223372036854775809", "2024-01-01+99:99",
    "2024-01-01T00:00:00+15:59", "2200-01-01", "1899-12-31T23:59:59Z", "20240101", "01/02/2024",
    "\u202e\u0000x", "\ufeff", "\u2028", "é" * 300, "🙂", "[/red]", "[bold]", "${HOME}",
    "'; DROP TABLE t; --", "=1+1", "a\\", "\\N", "{}", "[]", "null", "true", "\x1b[2J",
    "x" * 10_240, "x" * 200_000, "١٢", "½", "\x85",
]  # fmt: skip

ODD_JSON = [
    {"a": {"b": [1, 2]}}, [], [[[]]], {"": ""}, 10**30, -(10**400), 1.5e308, True, None, "\ud800",
    "a\u0000b", "\udfff\ud800", 2**63, -(2**63) - 1, 0.1, 12.0, -0.0, math.nan, math.inf,
]  # fmt: skip

ODD_LINES = [
    "[]", "[1,2]", "null", "1e999", '"x"', "{", "}", "{}", '{"id":1,"id":2}',
    '{"a":' * 3000 + "1" + "}" * 3000, "[" * 100_000, '{"id": "\\ud800"}', '{"id": 01}',
    "{'id': 1}", '{"id": NaN}', '{"\\u0000": 1}', '{"": 1}', '{"id": 1e400}',
    '{"a.b": 1, "a/b": 2, "a~b": 3}', '{"id":1}{"id":2}', '{"id":1},', "// x", '{"\\ud800": 1}',
    '{"id": 123456789012345678901234567890}', '{"' + "k" * 70_000 + '": 1}',
    '{"*": 1, "$": 2, "$.id": 3}',
]  # fmt: skip


def _some(rows: list, rng: random.Random, most: int = 5) -> list[int]:
    return [rng.randrange(len(rows)) for _ in range(rng.randint(1, most))] if rows else []


def wild_cells(source: Source, rng: random.Random) -> None:
    column = rng.randrange(len(source.names)) if source.names else 0
    for i in _some(source.rows, rng, 8):
        row = source.rows[i]
        at = column if rng.random() < 0.7 else rng.randrange(max(len(row), 1))
        if at < len(row):
            row[at] = rng.choice(WILD)


def wild_column(source: Source, rng: random.Random) -> None:
    column, text = rng.randrange(max(len(source.names), 1)), rng.choice(WILD)
    for row in source.rows:
        if column < len(row):
            row[column] = text if rng.random() < 0.95 else rng.choice(WILD)


def odd_json_cells(source: Source, rng: random.Random) -> None:
    column = rng.randrange(max(len(source.names), 1))
    for i in _some(source.rows, rng, 8):
        if column < len(source.rows[i]):
            source.rows[i][column] = rng.choice(ODD_JSON)


def odd_json_lines(source: Source, rng: random.Random) -> None:
    def put(lines: list[str], rng: random.Random) -> list[str]:
        for _ in range(rng.randint(1, 4)):
            lines.insert(rng.randrange(len(lines) + 1), rng.choice(ODD_LINES))
        return lines

    source.lines.append(put)


def json_whole(source: Source, rng: random.Random) -> None:
    """Write one array, or objects over several lines, instead of one object per line."""
    indent = rng.choice([None, 2])
    source.lines.append(
        lambda lines, _: json.dumps([json.loads(line) for line in lines], indent=indent).split("\n")
    )


def keys_of_its_own(source: Source, rng: random.Random) -> None:
    """Add a unique key to each object."""

    def put(lines: list[str], rng: random.Random) -> list[str]:
        return [
            line[:-1] + f', "k{i}": {i}}}' if line.endswith("}") else line
            for i, line in enumerate(lines)
        ]

    source.lines.append(put)


def same_ids(source: Source, rng: random.Random) -> None:
    share = rng.choice([0.02, 0.3, 1.0])
    for row in source.rows:
        if row and rng.random() < share:
            row[0] = rng.choice(["L0000", "", "x" * 10_240, None])


def rows_again(source: Source, rng: random.Random) -> None:
    source.rows += [list(row) for row in source.rows] * rng.choice([1, 2])
    rng.shuffle(source.rows)


def no_rows(source: Source, rng: random.Random) -> None:
    source.rows = source.rows[: rng.choice([0, 0, 1])]


def ragged(source: Source, rng: random.Random) -> None:
    for i in _some(source.rows, rng, 10):
        row = source.rows[i]
        source.rows[i] = rng.choice([row[:-1], [*row, "x"], [], [""], row * 3, row[:1]])


def header(source: Source, rng: random.Random) -> None:
    if not source.names:
        return
    i = rng.randrange(len(source.names))
    names = [
        "",
        source.names[i].upper(),
        source.names[0],
        f" {source.names[i]} ",
        "é\0",
        "x" * 140_000,
        "[/b]",
        "nr",
        "c0",
    ]
    names += ["entity_id", "created_at", "a\tb", "$.id", "\ufeffid", "file", "broken"]
    source.names[i] = rng.choice(names)


def columns_gone(source: Source, rng: random.Random) -> None:
    for _ in range(rng.choice([1, 1, 2, 9])):
        if source.names:
            i = rng.randrange(len(source.names))
            del source.names[i]
            source.rows = [row[:i] + row[i + 1 :] for row in source.rows]
    source.columns.clear()


def columns_more(source: Source, rng: random.Random) -> None:
    number = rng.choice([1, 3, 200])
    for k in range(number):
        source.names.append(rng.choice(["", "size", f"extra {k}", "Size", "id"]))
        for row in source.rows:
            row.append(rng.choice(["x", "", "1"]))


def no_header(source: Source, rng: random.Random) -> None:
    if source.rows:
        source.names = [str(cell) for cell in source.rows.pop(0)]


def delimiters(source: Source, rng: random.Random) -> None:
    source.delimiter = rng.choice([";", "\t", "|", "^", " ", "::", "\x01", "é", "\u2028"])


def line_ends(source: Source, rng: random.Random) -> None:
    ends = rng.choice(
        [["\n", "\r\n"], ["\r"], ["\n", "\r", "\r\n"], ["\n\n", "\n"], ["\n", "\r\r\n"]]
    )
    source.lines.append(lambda lines, rng: [line + rng.choice(ends) for line in lines])


def quotes(source: Source, rng: random.Random) -> None:
    """Insert quotes that are unclosed, inside a field, or around line ends and delimiters."""

    def put(lines: list[str], rng: random.Random) -> list[str]:
        for i in _some(lines, rng, 6):
            at = rng.choice([0, rng.randrange(len(lines[i]) + 1), lines[i].rfind(",") + 1])
            lines[i] = (
                lines[i][:at] + rng.choice(['"', '""', '"a\nb"', '"""', '","', "'"]) + lines[i][at:]
            )
        return lines

    source.lines.append(put)


def _bad_utf8(size: int, rng: random.Random) -> pa.Array:
    data = [rng.choice([b"ok", b"\xff", b"\xed\xa0\x80", b"a\0b"]) for _ in range(size)]
    return pa.array(data, pa.binary()).view(pa.string())


def _of(values: list[object], kind: pa.DataType) -> Callable[[int, random.Random], pa.Array]:
    return lambda size, rng: pa.array([rng.choice(values) for _ in range(size)], kind)


def _stamps(unit: str, zone: str | None) -> Callable[[int, random.Random], pa.Array]:
    edge = (2**63 - 1) // (1000 if unit == "s" else 1)  # Parquet has no seconds
    scale = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    instants = [0, -1, edge, -edge, 1_704_067_200 * scale, 1_710_000_000 * scale + 1, None]
    return lambda size, rng: pa.array([rng.choice(instants) for _ in range(size)], pa.int64()).cast(
        pa.timestamp(unit, zone)
    )


def _dictionary(size: int, rng: random.Random) -> pa.Array:
    words = rng.choice(
        [
            pa.array(["a", "", "L0001"]),
            pa.array([1, 2, 3]),
            pa.array(["x", "x", ""], pa.large_string()),
        ]
    )
    return pa.DictionaryArray.from_arrays(
        pa.array([rng.choice([0, 1, 2, None]) for _ in range(size)], pa.int8()), words
    )


# Types of Parquet columns other than text.
TYPES = [
    _bad_utf8,
    _dictionary,
    *(
        _stamps(unit, zone)
        for unit in ("s", "ms", "us", "ns")
        for zone in (None, "UTC", "Asia/Kathmandu", "+05:30")
    ),
    _of([1, -(2**63), 2**63 - 1, None], pa.int64()),
    _of([2**64 - 1, 0, None], pa.uint64()),
    _of([1, 2, None], pa.int8()),
    _of([math.nan, math.inf, -math.inf, 1e300, -0.0, 5e-324, None], pa.float64()),
    _of([math.nan, math.inf, 3e38, 0.1, None], pa.float32()),
    _of([np.float16(0.1), np.float16(1.0), None], pa.float16()),
    _of([True, False, None], pa.bool_()),
    _of([None], pa.null()),
    _of([date(1, 1, 1), date(9999, 12, 31), date(2024, 1, 1), None], pa.date32()),
    _of([date(2024, 1, 1), date(1, 1, 1), None], pa.date64()),
    _of([time(1, 2, 3), None], pa.time32("ms")),
    _of([time(1, 2, 3), None], pa.time64("ns")),
    _of([timedelta(days=1), None], pa.duration("us")),
    _of([Decimal("1.10"), Decimal("-0.01"), None], pa.decimal128(38, 2)),
    _of([Decimal("1" * 50), Decimal("0.5"), None], pa.decimal256(76, 2)),
    _of([b"\xff\0", b"abc", None], pa.binary()),
    _of([b"abcd", None], pa.binary(4)),
    _of(["L0001", "", None], pa.large_string()),
    _of(["L0001", "a longer text than fits", None], pa.string_view()),
    _of([["a", None], [], None], pa.list_(pa.string())),
    _of([[1.0, 2.0], [math.nan, -1.0]], pa.list_(pa.float64(), 2)),
    _of([{"x": 1, "y": ["a"]}, None], pa.struct([("x", pa.int64()), ("y", pa.list_(pa.string()))])),
    _of([[("k", 1)], [], None], pa.map_(pa.string(), pa.int64())),
    _of([datetime(2024, 1, 1, 12), None], pa.timestamp("us")),  # noqa: DTZ001 - naive on purpose
]


def typed_column(source: Source, rng: random.Random) -> None:
    for _ in range(rng.choice([1, 1, 2])):
        source.columns[rng.randrange(max(len(source.names), 1))] = rng.choice(TYPES)


def typed_cells(source: Source, rng: random.Random) -> None:
    """Put numbers, blobs and malformed texts into one SQLite column, which types each value."""
    column = rng.randrange(max(len(source.names), 1))
    values = [
        1,
        -(2**63),
        2**63 - 1,
        1.5,
        math.inf,
        1e300,
        -9.3e18,
        b"\xff\0",
        b"",
        "a\0b",
        None,
        12.0,
    ]
    for i in _some(source.rows, rng, 8):
        if column < len(source.rows[i]):
            source.rows[i][column] = rng.choice(values)


def bad_text(source: Source, rng: random.Random) -> None:
    def statements(names: list[str], rng: random.Random) -> list[str]:
        name = rng.choice(names)
        return [
            f"UPDATE r SET {name} = CAST(x'{rng.choice(['ff', '61ff62', 'eda080'])}' AS TEXT) "
            "WHERE rowid % 7 = 3"
        ]

    source.lines.append(statements)


# Corruptions of rows: the formats they apply to, and the function that applies them.
WRONG: dict[str, tuple[tuple[str, ...], Callable[[Source, random.Random], None]]] = {
    "wild cells": (ROWS, wild_cells),
    "a wild column": (ROWS, wild_column),
    "ids empty, huge or the same": (ROWS, same_ids),
    "rows again": (ROWS, rows_again),
    "no or one row": (ROWS, no_rows),
    "ragged rows": (ROWS, ragged),
    "a name of the header": (ROWS, header),
    "columns gone": (("csv", "gz", "jsonl", "parquet"), columns_gone),
    "columns more": (("csv", "gz", "jsonl", "parquet"), columns_more),
    "no header": (("csv", "gz", "parquet"), no_header),
    "delimiters": (TEXT, delimiters),
    "line ends": ((*TEXT, "jsonl"), line_ends),
    "quotes": ((*TEXT, "jsonl"), quotes),
    "JSON values": (("jsonl",), odd_json_cells),
    "JSON lines that are none": (("jsonl",), odd_json_lines),
    "JSON not by line": (("jsonl",), json_whole),
    "a key an object": (("jsonl",), keys_of_its_own),
    "types of Parquet": (("parquet",), typed_column),
    "types of SQLite": (("sqlite",), typed_cells),
    "text of SQLite that is none": (("sqlite",), bad_text),
}
