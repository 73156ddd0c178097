"""Plain JSON values: what every ``to_json`` returns, and how JSON is written.

NumPy is not imported: an alarm must be written even where it is broken.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime
from pathlib import PurePath
from typing import Any


def to_json_values(value: Any) -> Any:
    """Return a nested structure as dicts, lists, texts, numbers, booleans and None.

    Instants become ISO 8601 texts in UTC, paths texts, tuples lists, and NumPy's numbers Python's.
    JSON has no NaN and no infinity, so both become None.

    Raises TypeError for anything else, such as an object or an instant without a time zone: its
    text would be no contract.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {_to_key(key): to_json_values(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [to_json_values(part) for part in value]
    # NumPy's own instants ("mM") have no time zone.
    if type(value).__module__ == "numpy" and value.dtype.kind not in "mM":
        return to_json_values(value.tolist())
    if isinstance(value, datetime):
        # Imported here: it imports NumPy.
        from features.tools.instants import format_iso

        return format_iso(value)
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no plain JSON value")


def format_json(value: Any, indent: int | None = None, *, ascii_only: bool = False) -> str:
    """Return plain JSON values as text; ValueError for NaN and infinity, TypeError for objects.

    With ``ascii_only`` all other characters are JSON's own escapes, for an encoding that may lack
    some.
    """
    return json.dumps(value, ensure_ascii=ascii_only, allow_nan=False, indent=indent)


def _to_key(key: Any) -> str:
    # json.dumps would write True as "true" and 1.5 as "1.5": keys must be texts before.
    if not isinstance(key, str):
        raise TypeError(f"{key!r} is no key of a JSON object")
    return key
