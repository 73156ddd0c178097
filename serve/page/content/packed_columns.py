"""Columns of numbers as a page's script reads them: a JSON header, then the bytes of each array.

A script reads such an array in place, where a list of JSON numbers would take it a second for
100,000 leads. Numbers are integers of the digits that are shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from features.tools.json_values import format_json

Number = np.integer[Any] | np.floating[Any]
# The script's typed arrays need offsets that are multiples of their element's size.
ALIGNMENT = 8
# Names of the script's typed arrays.
ARRAY_TYPES = {
    "uint8": "Uint8Array",
    "int8": "Int8Array",
    "uint16": "Uint16Array",
    "uint32": "Uint32Array",
    "int32": "Int32Array",
    "float32": "Float32Array",
    "float64": "Float64Array",
}
# Distance from a half below which a product of two floats may lie on the wrong side of it.
TIE_DISTANCE = 1e-6


def pack_columns(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return a header and arrays as bytes: the header's length, the header, the arrays.

    The header gets ``arrays``: type, offset from the end of the header, and length, by name.
    """
    places, offset, parts = {}, 0, list[bytes]()
    for name, array in arrays.items():
        places[name] = [ARRAY_TYPES[array.dtype.name], offset, len(array)]
        # Little endian, as in every browser that is in use.
        content = _align_content(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
        parts.append(content)
        offset += len(content)
    text = _align_content(format_json({**header, "arrays": places}).encode(), b" ")
    return b"".join([len(text).to_bytes(ALIGNMENT, "little"), text, *parts])


def null_of(dtype: type[Number]) -> float:
    """Return the number that stands for a missing value of a type."""
    if issubclass(dtype, np.floating):
        return float("nan")
    limits = np.iinfo(dtype)
    return limits.max if issubclass(dtype, np.unsignedinteger) else limits.min


def to_array(column: pa.ChunkedArray | pa.Array, dtype: type[Number]) -> np.ndarray:
    """Return whole numbers as an array of a type, nulls as its ``null_of``."""
    chunk = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    # Wide enough for the null of each type.
    wide = chunk.cast(pa.int64())
    return np.asarray(wide.fill_null(int(null_of(dtype)))).astype(dtype)


def round_as_shown(values: np.ndarray, digits: int) -> np.ndarray:
    """Return floats as they are written with ``digits`` decimals, times 10 to that power.

    NaN stays NaN. The result has the digits of Python's ``format``, which rounds the exact value.
    """
    scaled = values * 10.0**digits
    rounded = np.rint(scaled)
    distance = np.abs(np.abs(scaled - np.floor(scaled)) - 0.5)
    doubtful = distance < TIE_DISTANCE + np.abs(scaled) * 4 * np.finfo(float).eps
    for place in np.flatnonzero(doubtful):
        rounded[place] = float(f"{values[place]:.{digits}f}".replace(".", ""))
    return rounded


def _align_content(content: bytes, filler: bytes = b"\0") -> bytes:
    return content + filler * (-len(content) % ALIGNMENT)
