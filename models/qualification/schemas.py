"""Columns of the tables on hand-overs."""

from __future__ import annotations

import pyarrow as pa

from features.contracts import INSTANT, make_field

# Stands for all months and for all grades.
ALL = "all"


def _list_rate_fields(name: str, meaning: str) -> list[pa.Field]:
    return [
        make_field(name, pa.float64(), f"{meaning}; null without one", nullable=True),
        make_field(f"{name}_low", pa.float64(), "lower end of its 90 % interval", nullable=True),
        make_field(f"{name}_high", pa.float64(), "upper end of its 90 % interval", nullable=True),
    ]


QUALIFICATION = pa.schema(
    [
        make_field("as_of", INSTANT, "the as-of: only rows that were known before it count"),
        make_field(
            "step", pa.string(), "mql: handed over to sales; sql: accepted and sales-qualified"
        ),
        make_field(
            "month", pa.string(), "month of the hand-over in the company's zone, 2025-02; or all"
        ),
        make_field("band", pa.string(), "grade of the target's score at the hand-over, or all"),
        make_field("handed_over", pa.int64(), "leads that were handed over"),
        make_field("explored", pa.int64(), "those that were drawn at random for the week's list"),
        make_field(
            "mature", pa.int64(), "those whose horizon has passed; the others are no refusals"
        ),
        make_field("complete", pa.bool_(), "whether all of them are mature"),
        make_field(
            "outcomes",
            pa.int64(),
            "mature ones with the outcome of the step's target: the acceptance, or the win",
        ),
        *_list_rate_fields("rate", "outcomes / mature, of the leads that were handed over"),
        *_list_rate_fields(
            "rate_all",
            "the same of all leads above `above`, of which the drawn ones stand for those that "
            "were not handed over; of band all",
        ),
        make_field(
            "above", pa.float64(), "probability from which rate_all counts leads", nullable=True
        ),
        make_field("due", pa.int64(), "leads whose time to the first touch (sla) has passed"),
        make_field("in_time", pa.int64(), "those that sales touched in that time"),
        *_list_rate_fields("in_time_share", "in_time / due"),
        make_field(
            "touch_hours_50",
            pa.float64(),
            "median hours to the first touch, of those due; null if half of them had none",
            nullable=True,
        ),
        make_field("rejected", pa.int64(), "leads that sales rejected after the hand-over"),
        make_field("returned", pa.int64(), "leads that sales gave back"),
        make_field("silent", pa.int64(), "leads that went back because they fell silent"),
        make_field("cooled", pa.int64(), "leads that went back because their score fell"),
    ]
)

THRESHOLDS = pa.schema(
    [
        make_field("as_of", INSTANT, "the as-of"),
        make_field("step", pa.string(), "mql or sql"),
        make_field("target", pa.string(), "target whose probability is compared"),
        make_field(
            "threshold",
            pa.float64(),
            "probability from which a lead is handed over and keeps it; null if none can reach it",
            nullable=True,
        ),
        make_field("limit", pa.string(), "capacity or value: which of both sets the threshold"),
        make_field(
            "applied",
            pa.float64(),
            "probability from which leads were handed over this night: higher where the places of "
            "the last seven days are used; null if none can reach it",
            nullable=True,
        ),
        make_field(
            "break_even",
            pa.float64(),
            "probability above which an outcome pays for its cost; null without a value",
            nullable=True,
        ),
        make_field("cost", pa.float64(), "cost of working a lead"),
        make_field("value", pa.float64(), "value of one outcome", nullable=True),
        make_field("per_week", pa.int64(), "capacity: hand-overs a week"),
        make_field("explored_per_week", pa.int64(), "places of these for leads drawn at random"),
        make_field(
            "expected_per_week",
            pa.float64(),
            "hand-overs a week that the threshold would have made in the last weeks, and the drawn",
        ),
        make_field("weeks", pa.float64(), "weeks of scores that this is counted over; 1 at first"),
        make_field("used", pa.int64(), "hand-overs of the seven days before, without drawn leads"),
        make_field("handed_over", pa.int64(), "leads that were handed over this night"),
        make_field("open", pa.int64(), "leads that are in the hands of sales after this night"),
    ]
)
