"""Plain JSON values: what every ``to_json`` returns, and how JSON is written."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime
from pathlib import PurePath
from typing import Any

import numpy as np

from features.tools.instants import format_iso


def to_json_values(value: Any) -> Any:
    """Return a nested structure as dicts, lists, texts, numbers, booleans and None.

    Instants become ISO 8601 texts in UTC, paths texts, tuples lists, and NumPy's numbers Python's.
    JSON has no NaN and no infinity, so both become None.

    Raises TypeError for anything else, such as an object or an instant without a time zone: its
    text would be no contract.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {_to_key(key): to_json_values(part) for key, part in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [to_json_values(part) for part in value]
    if isinstance(value, np.bool_ | np.integer):
        return value.item()
    if isinstance(value, datetime):
        return format_iso(value)
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no plain JSON value")


def format_json(value: Any, indent: int | None = None) -> str:
    """Return plain JSON values as text; ValueError for NaN and infinity, TypeError for objects."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)


def _to_key(key: Any) -> str:
    # json.dumps would write True as "true" and 1.5 as "1.5": keys must be texts before.
    if not isinstance(key, str):
        raise TypeError(f"{key!r} is no key of a JSON object")
    return key
