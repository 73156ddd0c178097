"""Columns of the funnel's tables."""

from __future__ import annotations

import pyarrow as pa

from features.contracts import INSTANT, make_field

FUNNEL = pa.schema(
    [
        make_field("as_of", INSTANT, "the as-of: only rows that were known before it count"),
        make_field(
            "segment_by", pa.string(), "column whose value the segment is; `all` for all leads"
        ),
        make_field("segment", pa.string(), "the segment, or `all`"),
        make_field("stage", pa.string(), "the stage; `created` before the first one"),
        make_field("entered", pa.int64(), "visits to the stage"),
        make_field("advanced", pa.int64(), "visits that ended in the next stage"),
        make_field("skipped", pa.int64(), "visits that ended in a later stage, or won early"),
        make_field("lost", pa.int64(), "visits that ended in a loss"),
        make_field("returned", pa.int64(), "visits that ended in an earlier stage"),
        make_field("open", pa.int64(), "visits that last"),
        make_field("mature", pa.int64(), "visits that began at least 30 days ago"),
        make_field(
            "advanced_30d",
            pa.float64(),
            "share that moves on within 30 days, to the next stage, a later one or the win; null "
            "without a visit",
            nullable=True,
        ),
        make_field("advanced_30d_low", pa.float64(), "lower end of its 90 % interval", True),
        make_field("advanced_30d_high", pa.float64(), "upper end of its 90 % interval", True),
        make_field(
            "advanced_eventually",
            pa.float64(),
            "share that moves on within the longest time that was observed",
            nullable=True,
        ),
        make_field("open_too_young", pa.int64(), "open visits that began less than 30 days ago"),
        make_field(
            "median_days",
            pa.float64(),
            "days after which half of those that move on have; null if none does",
            nullable=True,
        ),
        make_field("p80_days", pa.float64(), "days after which 80 % of them have", True),
        make_field("stuck", pa.int64(), "open visits that have lasted longer than p80_days"),
        make_field(
            "change_vs_previous_cohort",
            pa.float64(),
            "advanced_30d of the visits begun in the last 90 days, less that of the 90 days before",
            nullable=True,
        ),
        make_field(
            "change_vs_previous_cohort_low", pa.float64(), "lower end of its 90 % interval", True
        ),
        make_field(
            "change_vs_previous_cohort_high", pa.float64(), "upper end of its 90 % interval", True
        ),
        make_field(
            "value_open",
            pa.float64(),
            "expected amounts of the open leads; null if none can be known",
            True,
        ),
        make_field("value_stuck", pa.float64(), "expected amounts of the stuck leads", True),
    ]
)

PATHS = pa.schema(
    [
        make_field("from", pa.string(), "the stage that was left"),
        make_field("to", pa.string(), "the stage, the win or the kind of loss that followed"),
        make_field("n", pa.int64(), "visits that ended so"),
        make_field("p30", pa.float64(), "share of the visits that end so within 30 days", True),
        make_field("p30_low", pa.float64(), "lower end of its 90 % interval", True),
        make_field("p30_high", pa.float64(), "upper end of its 90 % interval", True),
        make_field("median_days", pa.float64(), "days in which half of those that do have", True),
        make_field(
            "value",
            pa.float64(),
            "expected or won amounts of these leads; null if none is known",
            True,
        ),
    ]
)


def _list_interval_fields(name: str, meaning: str) -> list[pa.Field]:
    return [
        make_field(name, pa.float64(), meaning, True),
        make_field(f"{name}_low", pa.float64(), "lower end of its 90 % interval", True),
        make_field(f"{name}_high", pa.float64(), "upper end of its 90 % interval", True),
    ]


CYCLE = pa.schema(
    [
        make_field(
            "segment_by",
            pa.string(),
            "column whose value the segment is; `all` for all leads, `stage` for those that came "
            "to a stage, from that day on",
        ),
        make_field("segment", pa.string(), "the segment, the stage, or `all`"),
        *(
            field
            for share in (25, 50, 80)
            for field in _list_interval_fields(
                f"p{share}", f"days in which {share} % of those that are won eventually have been"
            )
        ),
        *(
            field
            for days in (30, 60, 90)
            for field in _list_interval_fields(
                f"win_by_{days}", f"share of the leads that is won within {days} days"
            )
        ),
        *(
            make_field(f"lost_by_{days}", pa.float64(), f"share lost within {days} days", True)
            for days in (30, 60, 90)
        ),
        make_field(
            "bias_of_naive",
            pa.float64(),
            "median days of those won so far, as a share above (+) or below (-) p50",
            nullable=True,
        ),
    ]
)

STUCK = pa.schema(
    [
        make_field("entity_id", pa.string(), "the lead"),
        make_field("stage", pa.string(), "the stage that it is in"),
        make_field("owner", pa.string(), "who works it; null without `capacity.owner`", True),
        make_field("age_days", pa.float64(), "days in the stage"),
        make_field("p80_days", pa.float64(), "days after which 80 % of those that move on have"),
        make_field(
            "silent_days",
            pa.float64(),
            "days since its last event that is no touch of ours, or since its creation",
        ),
        make_field(
            "value",
            pa.float64(),
            "what a win is expected to bring; null if it cannot be known",
            True,
        ),
        make_field(
            "probability",
            pa.float64(),
            "share of the leads of its stage and age that is won within the longest time that was "
            "observed",
            nullable=True,
        ),
        make_field(
            "expected_value",
            pa.float64(),
            "probability times value; without amounts, probability",
            nullable=True,
        ),
        make_field(
            "moved_others",
            pa.string(),
            "last event before others moved on from the stage, with its share; a description, not "
            "a cause",
            nullable=True,
        ),
    ]
)

LEAKS = pa.schema(
    [
        make_field("stage", pa.string(), "the stage; the one that would add most wins comes first"),
        make_field(
            "now_30d",
            pa.float64(),
            "share of the visits of the last 90 days that move on within 30 days",
        ),
        make_field("best_30d", pa.float64(), "that share in the best 90 days"),
        make_field("now_from", INSTANT, "begin of the last 90 days"),
        make_field("best_from", INSTANT, "begin of the best 90 days"),
        make_field(
            "added_wins",
            pa.float64(),
            "wins to expect in addition if the last 90 days were like the best",
        ),
        make_field("added_wins_low", pa.float64(), "lower end of its 90 % interval"),
        make_field("added_wins_high", pa.float64(), "upper end of its 90 % interval"),
    ]
)

CURVES = pa.schema(
    [
        make_field("stage", pa.string(), "the stage"),
        make_field("age_days", pa.float64(), "days since a visit to the stage began"),
        make_field("advanced", pa.float64(), "share that has moved on to the next stage by then"),
        make_field("skipped", pa.float64(), "share that has moved on to a later stage or to a win"),
        make_field("lost", pa.float64(), "share that has been lost by then"),
        make_field("returned", pa.float64(), "share that has gone back to an earlier stage"),
    ]
)

AGING = pa.schema(
    [
        make_field("stage", pa.string(), "the stage"),
        make_field(
            "age_class",
            pa.string(),
            "days in the stage: `up_to_median` of those that move on, `up_to_p80`, beyond it "
            "`stuck`; `unknown` where none has moved on",
        ),
        make_field("open", pa.int64(), "open visits of that age"),
        make_field(
            "value", pa.float64(), "their expected amounts; null if none can be known", True
        ),
    ]
)

ENTRIES = pa.schema(
    [
        make_field("stage", pa.string(), "the stage in which leads begin, new or reopened"),
        make_field("n", pa.int64(), "leads that began in it; one more for each reopening"),
        make_field("share", pa.float64(), "their share of all"),
        *_list_interval_fields("win_by_30", "share of them that is won within 30 days"),
        *_list_interval_fields(
            "win_eventually", "share that is won within the longest time that was observed"
        ),
        make_field("median_days", pa.float64(), "days in which half of those wins happen", True),
    ]
)

SILENCE = pa.schema(
    [
        make_field("silent_days", pa.int64(), "days without an activity of an open lead"),
        make_field(
            "p_return_30d", pa.float64(), "share that becomes active again within 30 more days"
        ),
        make_field("p_return_30d_low", pa.float64(), "lower end of its 90 % interval"),
        make_field("p_return_30d_high", pa.float64(), "upper end of its 90 % interval"),
        make_field("at_risk", pa.int64(), "silences that lasted as long"),
        make_field("open_silent", pa.int64(), "open leads that are silent for at least as long"),
        make_field(
            "threshold_days",
            pa.int64(),
            "silent_days from which on a lead counts as silent; null if from none",
            nullable=True,
        ),
    ]
)
