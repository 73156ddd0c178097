"""What became of hand-overs, by month and by grade: acceptance or win, first touch, and returns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.grades import GRADE_NAMES
from models.qualification.acceptance import NO_RATE, AnsweredRate, estimate_rate
from models.qualification.schemas import ALL, QUALIFICATION
from models.qualification.states import EXPLORED, REASONS

# One row per hand-over of a lead.
FOLLOWED_HANDOVERS = pa.schema(
    [
        pa.field("step", pa.string()),
        pa.field("month", pa.string()),
        pa.field("grade", pa.string()),
        pa.field("qualified_because", pa.string()),
        pa.field("probability", pa.float64()),
        # Null where the chance of the draw is unknown.
        pa.field("handover_chance", pa.float64()),
        # Leads that depend on each other have the same number.
        pa.field("cluster", pa.int64()),
        # 1 with the outcome, 0 without it, null as long as it is immature.
        pa.field("label", pa.int8()),
        # Hours to the first touch; null without one so far.
        pa.field("touch_hours", pa.float64()),
        # Whether the time to the first touch has passed; whether the touch came in it.
        pa.field("is_due", pa.bool_()),
        pa.field("in_time", pa.bool_()),
        # One of REASONS, null for a lead that did not go back.
        pa.field("reason", pa.string()),
    ]
)


def build_qualification_table(
    followed: pa.Table, above: Mapping[str, float], as_of: datetime
) -> pa.Table:
    """Return QUALIFICATION of FOLLOWED_HANDOVERS: for each step the months, then all of them.

    ``above`` has the probability from which ``rate_all`` counts leads, by step.
    """
    rows = [
        {"as_of": as_of, "step": step, "month": month, "band": band}
        | _summarize_handovers(part, above[step] if band == ALL else None)
        for step in above
        for month, band, part in _divide_step(followed.filter(pc.equal(followed["step"], step)))
    ]
    return pa.Table.from_pylist(rows, schema=QUALIFICATION)


def _divide_step(rows: pa.Table) -> Iterator[tuple[str, str, pa.Table]]:
    """Yield month, band and rows of each part of a step that has rows."""
    months = [*sorted(pc.unique(rows["month"]).to_pylist()), ALL]
    for month in months:
        own = rows if month == ALL else rows.filter(pc.equal(rows["month"], month))
        for band in (ALL, *GRADE_NAMES.tolist()):
            part = own if band == ALL else own.filter(pc.equal(own["grade"], band))
            if part.num_rows:
                yield month, band, part


def _summarize_handovers(rows: pa.Table, above: float | None) -> dict[str, Any]:
    """Return the columns of a part; ``above`` is None where no rate of all leads is wanted."""
    mature = rows.filter(rows["label"].is_valid())
    label, due = mature["label"].to_numpy(), rows.filter(rows["is_due"])
    in_time = due["in_time"].to_numpy(zero_copy_only=False)
    explored = pc.equal(rows["qualified_because"], EXPLORED)
    columns: dict[str, Any] = {
        "handed_over": rows.num_rows,
        "explored": pc.sum(explored, min_count=0).as_py(),
        "mature": mature.num_rows,
        "complete": mature.num_rows == rows.num_rows,
        "outcomes": int(label.sum()),
        **_name_rate("rate", _estimate_plain(label, mature)),
        **_name_rate("rate_all", NO_RATE if above is None else _estimate_all(mature, above)),
        "above": above if above is not None and np.isfinite(above) else None,
        "due": due.num_rows,
        "in_time": int(in_time.sum()),
        **_name_rate("in_time_share", _estimate_plain(in_time, due)),
        "touch_hours_50": _find_median(due["touch_hours"]),
    }
    counts = {
        reason: pc.sum(pc.equal(rows["reason"], reason), min_count=0).as_py() for reason in REASONS
    }
    return columns | counts


def _estimate_plain(outcome: np.ndarray, rows: pa.Table) -> AnsweredRate:
    return estimate_rate(outcome, np.ones(rows.num_rows), rows["cluster"].to_numpy())


def _estimate_all(mature: pa.Table, above: float) -> AnsweredRate:
    """Return the rate of all leads above a probability, from those whose chance is known."""
    counted = pc.and_(
        pc.greater_equal(mature["probability"], above), mature["handover_chance"].is_valid()
    )
    rows = mature.filter(counted)
    label, chance, cluster = (
        rows[name].to_numpy() for name in ("label", "handover_chance", "cluster")
    )
    return estimate_rate(label, chance, cluster)


def _find_median(hours: pa.ChunkedArray) -> float | None:
    """Return the median, a null being later than every number; None if it is one."""
    if not len(hours):
        return None
    # The lower one of two in the middle, since a mean with a lead that was never touched is none.
    ordered = np.sort(pc.fill_null(hours, np.inf).to_numpy())
    middle = float(ordered[(len(ordered) - 1) // 2])
    return middle if np.isfinite(middle) else None


def _name_rate(name: str, rate: AnsweredRate) -> dict[str, float | None]:
    ends = {name: rate.rate, f"{name}_low": rate.low, f"{name}_high": rate.high}
    return {key: None if np.isnan(value) else value for key, value in ends.items()}
