"""Whether the goal will be made: what is won, what is to come, and from which open leads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from models.forecast.result import ForecastResult
from serve.page.content.page_data import PageData
from serve.page.content.parts import Quote, Section
from serve.page.content.words import PageWords
from serve.page.sections.forecast.bars import lay_out_changes, lay_out_periods
from serve.page.sections.forecast.deals import MAX_DEALS, count_unscored, tabulate_deals
from serve.page.sections.forecast.segments import tabulate_segments, tabulate_units
from serve.page.sections.forecast.texts import (
    NAME,
    describe_expected,
    describe_past,
    describe_week,
    explain_gap,
    judge_goal,
    name_period,
    select_changes,
    select_periods,
    write_chance,
    write_ends,
    write_plain,
)
from serve.page.sections.funnel.texts import Row

# The goal stands with the summary, before all that explains it.
GROUP: Final = "today"


def build_forecast_section(data: PageData) -> Section | None:
    """Return the section: the current period beside its goal, its change, and its leads."""
    result, words = data.forecast, data.words
    if result is None or not result.forecast.num_rows:
        return None
    row = result.select_headline()
    periods, changes = select_periods(result, row["unit"]), select_changes(result, row["unit"])
    verdict = [judge_goal(words, row), describe_expected(words, row)]
    sentences = [*verdict, *explain_gap(words, result, row)]
    return Section(
        NAME,
        GROUP,
        words.text(NAME, "title_no_goal" if row["goal"] is None else "title"),
        " ".join([*sentences, describe_past(words, result)]),
        [*quote_periods(words, result), _quote_won(words, row)],
        tables=[
            *tabulate_segments(words, result, row),
            *tabulate_deals(data, result.deals, row),
            tabulate_units(words, result),
        ],
        notes=[*_explain_forecast(data, result, row)],
        template="forecast.html.j2",
        values={
            "periods": lay_out_periods(words, periods),
            "has_goal": any(period["goal"] is not None for period in periods),
            "steps": lay_out_changes(words, changes),
            "change": " ".join(describe_week(words, changes)),
            "has_track": result.summarize_track() is not None,
        },
    )


def quote_periods(words: PageWords, result: ForecastResult) -> Iterator[Quote]:
    """Yield what the current period and its quarter will bring, and the chances of their goals."""
    for row in select_main_periods(result):
        period, unit = name_period(words, row), row["unit"]
        hint = words.text(NAME, "total_hint", range=write_ends(words, row))
        label = words.text(NAME, "total_label", period=period)
        yield Quote(label, write_plain(words, row["total_mean"], unit), hint)
        if row["goal"] is not None:
            goal = words.text(NAME, "chance_hint", goal=write_plain(words, row["goal"], unit))
            label = words.text(NAME, "chance_label", period=period)
            yield Quote(label, write_chance(words, row["p_goal"]), goal)


def select_main_periods(result: ForecastResult) -> Sequence[Row]:
    """Return the rows of the current period and, of months, of the quarter; of all leads."""
    headline = result.select_headline()
    rows = select_periods(result, headline["unit"])
    return [headline, *(row for row in rows if row["period"] not in ("month", headline["period"]))]


def _quote_won(words: PageWords, row: Row) -> Quote:
    label = words.text(NAME, "won_label", period=name_period(words, row))
    return Quote(label, write_plain(words, row["won"], row["unit"]))


def _explain_forecast(data: PageData, result: ForecastResult, row: Row) -> Iterator[str]:
    words = data.words
    yield words.text(NAME, "adds")
    if unscored := count_unscored(data, result.deals):
        yield words.count(NAME, "unscored", unscored)
    if result.deals.num_rows > MAX_DEALS:
        yield words.text(NAME, "cut", more=words.number(result.deals.num_rows - MAX_DEALS))
    if result.knows_rate_only:
        yield words.text(NAME, "rate_only")
    if row["goal"] is None:
        yield words.text(NAME, "set_goal")
