"""Whether the order of rows without times stands for time."""

from __future__ import annotations

import numpy as np

from pipelines.proposal.reading.column_profile import (
    CATEGORY,
    EMPTY,
    NUMBER,
    TIME,
    TRUTH,
    ColumnProfile,
)
from pipelines.proposal.reading.source_tables import SourceTable
from pipelines.proposal.reading.words import matches_words

ROWS = "rows"
# Rank correlation of a number with the rows from which on it counts them.
MIN_RISE = 0.98
# Excess of the share of neighbouring rows with the same value over that by chance.
MIN_SAME_NEIGHBORS = 0.4


def propose_order(table: SourceTable, entity_id: str | None) -> tuple[str, str]:
    """Return the column, or ``rows``, that stands for time, and the evidence; empty for none."""
    if table.is_sample:
        return "", ""
    if entity_id is not None and table.profiles[entity_id].kind == NUMBER:
        rise = _measure_rise(table, entity_id)
        if abs(rise) >= MIN_RISE:
            direction = "rises" if rise > 0 else "falls"
            return entity_id, f"{entity_id} {direction} with the rows"
    # A file that is sorted by any other column has runs too.
    runs = {
        profile.name: _measure_runs(table, profile)
        for profile in table.profiles.values()
        if profile.kind not in (EMPTY, TIME)
        and 2 < profile.distinct <= 0.5 * profile.filled
        and matches_words(profile.name, "columns.period")
    }
    if not runs:
        return "", ""
    name = max(runs, key=lambda column: runs[column])
    if runs[name] < MIN_SAME_NEIGHBORS:
        return "", ""
    return ROWS, f"equal values of {name} follow each other, as in a log"


def _measure_rise(table: SourceTable, name: str) -> float:
    """Return the rank correlation of a number with the position of its row."""
    from scipy.stats import rankdata

    from features.intake.formats.number_signs import parse_plain_numbers
    from features.intake.formats.texts import to_supported_type

    numbers = parse_plain_numbers(to_supported_type(table.columns[name])).to_numpy(
        zero_copy_only=False
    )
    known = ~np.isnan(numbers)
    if known.sum() < 20:
        return 0.0
    return float(np.corrcoef(rankdata(numbers[known]), np.arange(known.sum()))[0, 1])


def _measure_runs(table: SourceTable, profile: ColumnProfile) -> float:
    """Return how much more often neighbouring rows share a value than by chance.

    0 by chance, 1 where equal values all follow each other.
    """
    codes = table.columns[profile.name].combine_chunks().dictionary_encode().indices.drop_null()
    places = codes.to_numpy()
    if len(places) < 20 or profile.kind not in (CATEGORY, NUMBER, TRUTH):
        return 0.0
    chance = float((np.square(np.bincount(places) / len(places))).sum())
    same = float((np.diff(places) == 0).mean())
    return (same - chance) / (1 - chance) if chance < 1 else 0.0
