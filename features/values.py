"""Texts as values: instants, numbers, and attributes of the kind their column holds."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.clock import offsets_of
from features.contracts import INSTANT
from features.reading import RawRows, query

WRONG_TYPE, UNREADABLE_TIME, IMPOSSIBLE_TIME = "wrong type", "unreadable time", "impossible time"

NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
NOT_FINITE = r"(?i)[+-]?(?:nan|inf|infinity)"
LEADING_ZERO = r"[+-]?0[0-9].*"
TIME = (
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?)?)"
    r" ?(Z|z|UTC|[+-](?:0[0-9]|1[0-5])(?::?[0-5][0-9])?)?$"
)
"""An ISO date or date and time, with or without a zone."""

PARTED = """
SELECT nr, text,
  epoch_us(try_cast(regexp_extract(text, $time, 1) AS TIMESTAMP)) AS wall,
  regexp_extract(text, $time, 2) AS zone,
  CASE WHEN length(zone) < 3 OR zone = 'UTC' THEN 0
       ELSE (CASE WHEN zone[1] = '-' THEN -60 ELSE 60 END)
            * (60 * zone[2:3]::BIGINT + coalesce(try_cast(ltrim(zone[4:], ':') AS BIGINT), 0)) END AS seconds
FROM texts
"""


def clean(texts: pa.ChunkedArray, missing: tuple[str, ...]) -> pa.ChunkedArray:
    """Return texts as written, with null for the blank ones and for those that mean “no value”."""
    trimmed = pc.utf8_trim_whitespace(texts)
    return pc.if_else(pc.is_in(trimmed, value_set=pa.array(["", *missing], pa.string())), None, texts)


def cleaned(raw: RawRows, name: str | None, missing: tuple[str, ...]) -> pa.ChunkedArray:
    """Return the column that a key of the config maps, cleaned; all null where it maps none."""
    return clean(raw.column(name, ""), missing) if name else pa.chunked_array([pa.nulls(len(raw.table), pa.string())])


def times(raw: RawRows, time: str, known: str | None, missing: tuple[str, ...], zone: ZoneInfo) -> dict[str, pa.Array]:
    """Return when a row happened and when it could be read, in microseconds, with what is wrong about them."""
    happened, problem = instants(clean(raw.column(time, ""), missing), zone)
    reached, known_problem = happened, problem
    if known is not None:
        reached, known_problem = instants(clean(raw.column(known, ""), missing), zone)
    moment = happened.cast(pa.int64())
    return {
        "time": moment,
        "available": pc.if_else(pc.is_valid(moment), pc.max_element_wise(moment, reached.cast(pa.int64())), None),
        "time_problem": pc.coalesce(problem, known_problem),
        "time_missing": pc.and_(pc.is_null(happened), pc.is_null(problem)),
    }


def instants(texts: pa.ChunkedArray, zone: ZoneInfo) -> tuple[pa.Array, pa.Array]:
    """Return UTC instants and, where a text is not one, the reason; both null where the text is.

    A time without a zone is read in ``zone``, a date as its first instant there. Of an hour that comes twice when
    the clock goes back the earlier is meant; a time that the clock jumps over is read with the offset from before
    the jump, as ``zoneinfo`` does. Digits beyond microseconds are cut off. Possible are the years 1900 to 2199; a
    bare number is no time.
    """
    parted = query(
        f"""SELECT *, CASE
              WHEN text IS NULL THEN NULL
              WHEN regexp_full_match(trim(text), $number) THEN '{WRONG_TYPE}'
              WHEN wall IS NULL THEN '{UNREADABLE_TIME}'
              WHEN wall < epoch_us(TIMESTAMP '1900-01-01') OR wall >= epoch_us(TIMESTAMP '2200-01-01')
              THEN '{IMPOSSIBLE_TIME}' END AS problem
            FROM ({PARTED}) ORDER BY nr""",  # noqa: S608 - only this file's own texts
        {"time": TIME, "number": NUMBER},
        texts=_numbered(pc.utf8_trim_whitespace(texts)),
    )
    wall = pc.if_else(pc.is_null(parted["problem"]), parted["wall"], None)
    written = pc.multiply(parted["seconds"], 1_000_000)
    naive = pc.equal(parted["zone"], "")
    local = pc.if_else(naive, wall, None)
    local = pc.fill_null(local, pc.coalesce(pc.min(local), 0)).to_numpy()
    offset = pc.if_else(naive, pa.array(offsets_of(local, zone)), written)
    return pc.subtract(wall, offset).cast(INSTANT).combine_chunks(), parted["problem"].combine_chunks()


def numbers(texts: pa.ChunkedArray) -> tuple[pa.Array, pa.Array]:
    """Return finite numbers and, where a text is not one, the reason; both null where the text is."""
    found = query(
        f"""SELECT *, CASE WHEN text IS NOT NULL AND number IS NULL THEN '{WRONG_TYPE}' END AS problem
            FROM (SELECT nr, text, {_finite("text")} AS number FROM texts) ORDER BY nr""",  # noqa: S608 - as above
        {"number": NUMBER},
        texts=_numbered(texts),
    )
    return found["number"].combine_chunks(), found["problem"].combine_chunks()


def attribute(texts: pa.ChunkedArray) -> pa.Array:
    """Return a column as float64 or as text, by what all its texts have in common.

    Numbers without leading zeros are float64 (NaN and infinity among them are null), true and false 1 and 0,
    dates and times days since 1970 by their own clock or by UTC where they carry a zone; a column without any
    value is float64, every other one text. The kind does not depend on the order of the rows.
    """
    encoded = texts.combine_chunks().dictionary_encode()
    read = query(
        f"""SELECT number, lower(trim(text)) = 'true' AS truth, (wall - seconds * 1000000) / 86400000000.0 AS time,
              NOT regexp_full_match(trim(text), $zero)
                AND (number IS NOT NULL OR regexp_full_match(trim(text), $not_finite)) AS is_number,
              lower(trim(text)) IN ('true', 'false') AS is_truth, wall IS NOT NULL AS is_time
            FROM (SELECT *, {_finite("text")} AS number FROM ({PARTED})) ORDER BY nr""",  # noqa: S608 - as above
        {"time": TIME, "number": NUMBER, "not_finite": NOT_FINITE, "zero": LEADING_ZERO},
        texts=_numbered(encoded.dictionary),
    )
    for kind in ("number", "truth", "time"):
        if pc.all(read[f"is_{kind}"], min_count=0).as_py():
            return read[kind].cast(pa.float64()).combine_chunks().take(encoded.indices)
    return texts.combine_chunks()


def _finite(column: str) -> str:
    """SQL for a text's number, null where it is none or too large; adding 0.0 makes one zero of two."""
    read = f"CASE WHEN regexp_full_match(trim({column}), $number) THEN try_cast({column} AS DOUBLE) END"
    return f"CASE WHEN isfinite({read}) THEN {read} + 0.0 END"


def _numbered(texts: pa.ChunkedArray) -> pa.Table:
    return pa.table({"nr": pa.array(np.arange(len(texts))), "text": texts})
