"""Whether the goal will be made: what is won, what is to come, and from which deals."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pyarrow as pa

from configs.goals.goals import ALL, MISSING, OTHER
from models.forecast.result import ForecastResult
from serve.page.content.page_data import PageData
from serve.page.content.parts import LeadCell, Quote, Section, Table
from serve.page.content.words import PageWords
from serve.page.sections.funnel.forecast_charts import draw_changes, draw_parts
from serve.page.sections.funnel.forecast_texts import (
    NAME,
    count_changes,
    name_period,
    write_chance,
    write_part,
    write_plain,
    write_quantity,
)
from serve.page.sections.funnel.lead_cells import find_targets, name_lead
from serve.page.sections.funnel.texts import (
    GROUP,
    UNKNOWN,
    Row,
    name_state,
    write_amount,
    write_days,
)

# Deals that are listed, and those that are seen without a press; the file of the deals has all.
MAX_DEALS, FIRST_DEALS = 100, 15
# Columns of quantities.
_PARTS = ("won", "from_open", "from_new", "total")
_COLUMNS = (*_PARTS, "goal", "chance_column", "gap_column", "needed")
# Chances from which the goal is likely, and below which it is not.
LIKELY, UNLIKELY = 0.75, 0.25


def build_forecast_section(data: PageData) -> Section | None:
    """Return the section: the current period beside its goal, its change, and its deals."""
    result, words = data.forecast, data.words
    if result is None or not result.forecast.num_rows:
        return None
    row = result.select_headline()
    title = "title_no_goal" if row["goal"] is None else "title"
    changes = [step for step in result.changes.to_pylist() if step["unit"] == row["unit"]]
    return Section(
        NAME,
        GROUP,
        words.text(NAME, title),
        " ".join([_judge_goal(words, row), *_describe_missing(words, row)]),
        [*_quote_headline(words, row)],
        [draw_parts(words, result, row["unit"]), *draw_changes(words, changes)],
        [
            *_list_segments(words, result, row),
            *_list_deals(data, result),
            _list_periods(words, result),
        ],
        [*_explain_forecast(words, result, row, changes)],
    )


def _judge_goal(words: PageWords, row: Row) -> str:
    period, goal, chance = name_period(words, row), row["goal"], row["p_goal"]
    if goal is None:
        verdict = words.text(NAME, "no_goal", period=period)
    else:
        key = "open"
        if row["won"] >= goal:
            key = "reached"
        elif chance >= LIKELY:
            key = "probably"
        elif chance < UNLIKELY:
            key = "hardly"
        values = {"goal": write_quantity(words, goal, row["unit"]), "period": period}
        verdict = words.text(NAME, key, **values, chance=write_chance(words, chance))
    total = write_quantity(words, row["total_mean"], row["unit"])
    low, high = (write_plain(words, row[f"total_{end}"]) for end in ("p10", "p90"))
    return f"{verdict} {words.text(NAME, 'expected', total=total, low=low, high=high)}"


def _describe_missing(words: PageWords, row: Row) -> Iterator[str]:
    """Yield what is missing and what it would take, if anything is."""
    if row["gap"] is None or row["gap"] <= 0 or row["won"] >= row["goal"]:
        return
    gap, needed = write_quantity(words, row["gap"], row["unit"]), row["needed_new_deals"]
    if needed is None:
        yield words.text(NAME, "missing_late", gap=gap)
    else:
        yield words.count(NAME, "missing", math.ceil(needed), gap=gap)


def _quote_headline(words: PageWords, row: Row) -> Iterator[Quote]:
    low, high = (write_plain(words, row[f"total_{end}"]) for end in ("p10", "p90"))
    label = words.text(NAME, "total_label", period=name_period(words, row))
    hint = words.text(NAME, "total_hint", low=low, high=high)
    yield Quote(label, write_plain(words, row["total_mean"]), hint)
    yield Quote(words.text(NAME, "won_label"), write_plain(words, row["won"]))
    if row["goal"] is not None:
        goal = words.text(NAME, "chance_hint", goal=write_plain(words, row["goal"]))
        yield Quote(words.text(NAME, "chance_label"), write_chance(words, row["p_goal"]), goal)
        if row["gap"] > 0:
            yield Quote(words.text(NAME, "gap_label"), write_plain(words, row["gap"]))


def _list_segments(words: PageWords, result: ForecastResult, headline: Row) -> Iterator[Table]:
    """Yield the current period by segment, if there are any."""
    rows = [
        row
        for row in result.forecast.to_pylist()
        if all(row[key] == headline[key] for key in ("unit", "period", "period_start"))
    ]
    if result.by is None or len(rows) < 2:
        return
    keys = ["segment", *_COLUMNS]
    cells = [[_name_segment(words, row["segment"]), *_write_row(words, row)] for row in rows]
    period = name_period(words, headline)
    caption = words.text(NAME, "segments", column=result.by, period=period)
    yield _make_table(words, caption, keys, cells)


def _list_periods(words: PageWords, result: ForecastResult) -> Table:
    """Return all units of the current period and of the next."""
    cells = [
        [
            name_period(words, row),
            words.text(NAME, f"unit_{row['unit']}"),
            *_write_row(words, row),
        ]
        for row in result.forecast.to_pylist()
        if row["segment"] == ALL
    ]
    return _make_table(words, words.text(NAME, "periods"), ["period", "unit", *_COLUMNS], cells)


def _write_row(words: PageWords, row: Row) -> list[str]:
    needed = row["needed_new_deals"]
    return [
        # The chart's table has the intervals of the parts.
        *(write_plain(words, row[name]) for name in ("won", "from_open_mean", "from_new_mean")),
        write_part(words, row, "total"),
        write_plain(words, row["goal"]),
        write_chance(words, row["p_goal"]),
        write_plain(words, row["gap"]),
        UNKNOWN if needed is None else words.number(math.ceil(needed)),
    ]


def _make_table(words: PageWords, caption: str, keys: list[str], cells: list[list[str]]) -> Table:
    first = keys.index("won")
    headings = [words.text(NAME, key) for key in keys]
    return Table(caption, headings, cells, frozenset(range(first, len(keys))))


def _name_segment(words: PageWords, segment: str) -> str:
    names = {ALL: "all", OTHER: "other", MISSING: "none"}
    return words.text(NAME, names[segment]) if segment in names else segment.strip('"')


def _list_deals(data: PageData, result: ForecastResult) -> Iterator[Table]:
    """Yield the deals that add most, and the next ones as a table that is opened."""
    words, deals = data.words, result.deals
    known = {name: deals[name].null_count < deals.num_rows for name in ("owner", "amount")}
    keys = ["lead", "stage", *["owner"] * known["owner"], "age_days", "probability"]
    numeric = range(keys.index("age_days"), len(keys) + 2 * known["amount"])
    keys += ["amount_column", "contribution"] * known["amount"]
    headings = [words.text(NAME, key) for key in keys]
    for key, start, end in (("deals", 0, FIRST_DEALS), ("next", FIRST_DEALS, MAX_DEALS)):
        part = deals.slice(start, end - start)
        if part.num_rows:
            caption = words.text(NAME, key, shown=words.number(part.num_rows))
            cells = [*_describe_deals(data, part, known)]
            yield Table(caption, headings, cells, frozenset(numeric), folded=start > 0)


def _describe_deals(
    data: PageData, part: pa.Table, known: dict[str, bool]
) -> Iterator[list[str | LeadCell]]:
    words = data.words
    for row, target in zip(part.to_pylist(), find_targets(data, part), strict=True):
        yield [
            name_lead(words, row["entity_id"], target),
            name_state(words, row["stage"]),
            *[row["owner"] or words.text(NAME, "nobody")] * known["owner"],
            write_days(words, row["age_days"]),
            words.percent(row["probability"]),
            *[write_amount(words, row["amount"])] * known["amount"],
            *[write_amount(words, row["contribution"])] * known["amount"],
        ]


def _explain_forecast(
    words: PageWords, result: ForecastResult, row: Row, changes: list[Row]
) -> Iterator[str]:
    if changes:
        yield count_changes(words, changes, row["unit"])
    if result.deals.num_rows > MAX_DEALS:
        yield words.text(NAME, "cut", more=words.number(result.deals.num_rows - MAX_DEALS))
    if result.past_forecasts and math.isfinite(result.error_share):
        share = words.percent(result.error_share, 0)
        yield words.count(NAME, "errors", result.past_forecasts, share=share)
    else:
        yield words.text(NAME, "no_errors")
    if result.knows_rate_only:
        yield words.text(NAME, "rate_only")
    yield words.text(NAME, "parts")
    if row["goal"] is None:
        yield words.text(NAME, "set_goal")
