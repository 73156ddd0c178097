"""Readable values of attributes: categories as they are, numbers in bands with round limits."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from models.encoding import encode_categories, rank_by_frequency

# Categories of an attribute that may enter a profile, those with most units.
MAX_VALUES = 20
# A number of at most so many distinct values is shown value by value, such as 0 and 1.
MAX_SEPARATE = 6
# Limits of bands lie at the quartiles, rounded to so many digits: `50–<200`. They are
# written without words, so that they are the same in every language.
BAND_LIMITS, LIMIT_DIGITS = (0.25, 0.5, 0.75), 2


@dataclass(frozen=True)
class EntryValues:
    """Values of units at their entry; one element per value that may enter a profile.

    Attributes:
        attributes: Names of the attributes.
        attribute: Number of each value's attribute, int64 (values,).
        names: Each value as text.
        codes: Number of each unit's value, int64 (attributes, units); -1 where it is missing or
            rare.
        texts: Each unit's value as text by attribute, also a rare one; null where it is missing.
    """

    attributes: tuple[str, ...]
    attribute: np.ndarray
    names: tuple[str, ...]
    codes: np.ndarray
    texts: tuple[pa.Array, ...]

    def list_sizes(self, rows: np.ndarray) -> np.ndarray:
        """Return how many of some units have each value, int64 (values,)."""
        codes = self.codes[:, rows]
        return np.bincount(codes[codes >= 0], minlength=len(self.names))


def divide_values(columns: Mapping[str, pa.Array], cohort: np.ndarray) -> EntryValues:
    """Return the values of all units; those of the mature ones decide what the values are.

    ``columns`` holds one float64 or string column by attribute, ``cohort`` the rows of the mature
    units. The outcome plays no part.
    """
    names, owner, codes, texts = list[str](), list[int](), [], []
    for number, column in enumerate(columns.values()):
        if pa.types.is_floating(column.type):
            own_names, own = _divide_numbers(column, cohort)
            texts.append(pa.array([*own_names, None]).take(pa.array(own)))
        else:
            own_names = rank_by_frequency(pa.chunked_array([column.take(pa.array(cohort))]))
            own_names = own_names[:MAX_VALUES]
            own = encode_categories(pa.chunked_array([column]), own_names)
            own = np.nan_to_num(own, nan=len(own_names)).astype(np.int64)
            texts.append(column)
        codes.append(np.where(own < len(own_names), own + len(names), -1))
        owner += [number] * len(own_names)
        names += own_names
    units = len(next(iter(columns.values()))) if columns else 0
    joined = np.stack(codes) if codes else np.empty((0, units), np.int64)
    return EntryValues(
        tuple(columns), np.array(owner, np.int64), tuple(names), joined, tuple(texts)
    )


def _divide_numbers(column: pa.Array, cohort: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Return the bands of a number, and each unit's; missing ones come after the last band."""
    values = column.to_numpy(zero_copy_only=False)
    is_known = np.isfinite(values)
    known = values[cohort][is_known[cohort]]
    distinct = np.unique(known)
    if len(distinct) <= MAX_SEPARATE:
        place = np.searchsorted(distinct, values)
        is_known &= np.isin(values, distinct)
        return [format_limit(value) for value in distinct], np.where(is_known, place, len(distinct))
    limits = np.unique([round_limit(limit) for limit in np.quantile(known, BAND_LIMITS)])
    texts = [format_limit(limit) for limit in limits]
    between = [f"{low}–<{high}" for low, high in itertools.pairwise(texts)]
    names = [f"<{texts[0]}", *between, f"≥{texts[-1]}"]
    place = np.searchsorted(limits, values, side="right")
    return names, np.where(is_known, place, len(names))


def round_limit(value: float) -> float:
    """Return a number with LIMIT_DIGITS digits."""
    return float(f"{value:.{LIMIT_DIGITS}g}")


def format_limit(value: float) -> str:
    """Return a number in full, grouped by thousands, without trailing zeros."""
    return f"{value:,.0f}" if value == round(value) else f"{value:,.6g}"
