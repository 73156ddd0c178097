"""SQL that gives the values of SQLite and PostgreSQL as text, where their type is not kept."""

from __future__ import annotations

import pyarrow as pa

from configs.addresses.database import SQLITE


def quote_identifier(name: str) -> str:
    """Return a name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def select_expression(field: pa.Field, column: str, kind: str) -> str:
    """Return the SQL of a column: the column itself, or its text; ``field`` has its type."""
    typed = (
        pa.types.is_integer(field.type)
        or pa.types.is_floating(field.type)
        or pa.types.is_boolean(field.type)
    )
    return column if typed and kind != SQLITE else _text_expression(column, kind)


def _text_expression(column: str, kind: str) -> str:
    """Return the SQL of a value's text.

    SQLite types each value, not the column, and its own cast rounds to 15 digits.
    """
    if kind != SQLITE:
        # A numeric keeps the zeros of its scale, which are no part of a whole number.
        return (
            f"CASE WHEN pg_typeof({column}) = 'numeric'::regtype "
            f"THEN regexp_replace(CAST({column} AS text), '[.]0+$', '') "
            f"ELSE CAST({column} AS text) END"
        )
    # Whole numbers in plain digits: 64-bit integers exactly, larger ones by printf, with ".0". Of
    # the others the fewest digits that identify the float, at most 17, so that no two values of the
    # database become equal texts.
    is_integer = f"{column} = CAST({column} AS INTEGER) AND abs({column}) < 9.2e18"
    integer_text = f"CAST(CAST({column} AS INTEGER) AS TEXT)"
    large_text = f"replace(printf('%!.0f', {column}), '.0', '')"
    shortest = " ".join(
        f"WHEN CAST(printf('%!.{digits}g', {column}) AS REAL) = {column} "
        f"THEN printf('%!.{digits}g', {column})"
        for digits in (15, 16)
    )
    real_text = (
        f"CASE WHEN {is_integer} THEN {integer_text} "
        # Infinity has no digits.
        f"WHEN abs({column}) BETWEEN 9.2e18 AND 1e300 THEN {large_text} "
        f"{shortest} ELSE printf('%!.17g', {column}) END"
    )
    other_cases = f"WHEN 'blob' THEN hex({column}) ELSE CAST({column} AS TEXT) END"
    # The driver infers a column's type from its first rows, so they must not be null.
    return f"coalesce(CASE typeof({column}) WHEN 'real' THEN {real_text} {other_cases}, '')"
