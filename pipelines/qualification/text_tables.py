"""What became of hand-overs as tables of texts; the first row of a table holds the headers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from models.qualification.schemas import ALL
from models.qualification.states import REASONS

HEADERS = (
    "hand-over",
    "month",
    "grade",
    "handed over",
    "mature",
    "outcomes",
    "rate (90 %)",
    "rate of all leads (90 %)",
    "touched in time (90 %)",
    "hours to touch",
    *REASONS,
)
UNKNOWN = "–"


def tabulate_handovers(handovers: pa.Table) -> list[list[list[str]]]:
    """Return one table of QUALIFICATION: each month, and all of them by grade; none without rows.

    Immature hand-overs have no rate: the numbers of mature ones stand next to it.
    """
    rows = [row for row in handovers.to_pylist() if row["band"] == ALL or row["month"] == ALL]
    return [[[*HEADERS], *(_format_row(row) for row in rows)]] if rows else []


def _format_row(row: Mapping[str, Any]) -> list[str]:
    hours = row["touch_hours_50"]
    return [
        row["step"],
        row["month"],
        row["band"],
        *(f"{row[name]:,}" for name in ("handed_over", "mature", "outcomes")),
        *(_format_share(row, name) for name in ("rate", "rate_all", "in_time_share")),
        UNKNOWN if hours is None else f"{hours:,.1f}",
        *(f"{row[reason]:,}" for reason in REASONS),
    ]


def _format_share(row: Mapping[str, Any], name: str) -> str:
    if row[name] is None:
        return UNKNOWN
    return f"{row[name]:.1%} ({row[f'{name}_low']:.1%} to {row[f'{name}_high']:.1%})"
