"""The summary on top of the page: the goal, the leads to call, and what is in danger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from configs.goals.goals import ALL
from features.wording.language import humanize_name
from models.forecast.result import ForecastResult
from serve.page.content.page_data import PageData
from serve.page.content.parts import Section, Table
from serve.page.content.target_names import name_outcomes
from serve.page.content.words import PageWords
from serve.page.sections.forecast.bars import lay_out_periods
from serve.page.sections.forecast.deals import list_deals
from serve.page.sections.forecast.section import select_main_periods
from serve.page.sections.forecast.segments import name_segment
from serve.page.sections.forecast.texts import (
    describe_bias,
    describe_expected,
    describe_past,
    describe_week,
    explain_gap,
    judge_goal,
    name_period,
    select_changes,
    write_chance,
    write_plain,
)
from serve.page.sections.funnel.leak import describe_first_leak
from serve.page.sections.funnel.losses import describe_losses
from serve.page.sections.funnel.stuck import list_stuck_leads
from serve.page.sections.funnel.texts import Row
from serve.page.sections.leads.best_leads import find_best_leads, tabulate_leads

NAME = "summary"
# Sections that have more of what a part shows.
FORECAST_SECTION, STUCK_SECTION, LIST_SECTION = "forecast", "funnel_stuck", "lead_list"
# Rows of a part; its section has all.
MAX_DEALS, MAX_OWNERS = 3, 5
# Below this chance a goal is in danger.
DANGER = 0.5


@dataclass(frozen=True)
class Brief:
    """A part of the summary.

    Attributes:
        section: Name of the section that has all of it.
        link: Text of the link to it.
        table: What it shows, with its caption as a heading.
        is_wide: Whether it takes the whole width.
    """

    section: str
    link: str
    table: Table
    is_wide: bool = False


def build_summary(data: PageData) -> Section:
    """Return the section; without a forecast it has the leads to call alone."""
    words, result = data.words, data.forecast
    has_forecast = result is not None and result.forecast.num_rows > 0
    title, sentence = words.text(NAME, "title"), words.text(NAME, "sentence_no_forecast")
    values: dict[str, Any] = {"periods": [], "lines": [], "briefs": []}
    if result is not None and has_forecast:
        rows = select_main_periods(result)
        sentence, *values["lines"] = _describe_goals(words, result, rows)
        values["briefs"] = [*_list_owners(words, result), *_list_deals(data, result)]
        values["periods"] = lay_out_periods(words, rows)
        values["has_goal"] = any(row["goal"] is not None for row in rows)
        values["link"] = FORECAST_SECTION
    values["lines"] = [*values["lines"], *_describe_funnel(data)]
    values["briefs"] += [*_list_stuck(data), *_list_leads(data)]
    return Section(NAME, "today", title, sentence, template="summary.html.j2", values=values)


def _describe_goals(words: PageWords, result: ForecastResult, rows: Sequence[Row]) -> Iterator[str]:
    """Yield what each goal lacks, what changed in a week, and how far past forecasts were off."""
    for row in rows:
        missing = explain_gap(words, result, row)
        yield " ".join([judge_goal(words, row), describe_expected(words, row), *missing])
    if change := " ".join(describe_week(words, select_changes(result, rows[0]["unit"]))):
        yield change
    yield " ".join([describe_past(words, result), *describe_bias(words, result)])


def _describe_funnel(data: PageData) -> Iterator[str]:
    """Yield where most leads are lost, and what to change first."""
    if sentences := [*filter(None, (describe_losses(data), describe_first_leak(data)))]:
        yield " ".join(sentences)


def _list_owners(words: PageWords, result: ForecastResult) -> Iterator[Brief]:
    """Yield the segments whose goal is likelier missed than made, the worst first."""
    headline = result.select_headline()
    rows = [
        row
        for row in result.select_segments(headline)
        if row["segment"] != ALL and row["p_goal"] is not None and row["p_goal"] < DANGER
    ]
    if not rows:
        return
    cells = [
        [
            name_segment(words, row["segment"]),
            write_plain(words, row["total_mean"], row["unit"]),
            write_plain(words, row["goal"], row["unit"]),
            write_chance(words, row["p_goal"]),
        ]
        for row in rows[:MAX_OWNERS]
    ]
    by = words.text(NAME, "owner") if result.by is None else humanize_name(result.by)
    headings = [by, *(words.text(NAME, key) for key in ("total", "goal", "chance"))]
    caption = words.text(NAME, "owners", period=name_period(words, headline))
    yield Brief(
        FORECAST_SECTION,
        words.text(NAME, "owners_link"),
        Table(caption, headings, cells, frozenset({1, 2, 3}), compact=True),
    )


def _list_deals(data: PageData, result: ForecastResult) -> Iterator[Brief]:
    """Yield the open leads that add most."""
    words, headline, deals = data.words, result.select_headline(), result.deals
    if not deals.num_rows:
        return
    period = name_period(words, headline)
    caption = words.text(NAME, "deals", period=period)
    table = list_deals(data, deals.slice(0, MAX_DEALS), headline, caption, short=True)
    yield Brief(FORECAST_SECTION, words.text(NAME, "deals_link"), table)


def _list_stuck(data: PageData) -> Iterator[Brief]:
    """Yield the first stuck leads of the section on them, in its order."""
    if data.funnel is not None and data.funnel.stuck.num_rows:
        caption = data.words.text(NAME, "stuck")
        table = list_stuck_leads(data, data.funnel.stuck.slice(0, MAX_DEALS), caption)
        yield Brief(STUCK_SECTION, data.words.text(NAME, "stuck_link"), table)


def _list_leads(data: PageData) -> Iterator[Brief]:
    """Yield the leads to call first, of each target a table, if any are open."""
    words, outcomes, best = data.words, name_outcomes(data), find_best_leads(data)
    for target, rows in best.items():
        key = "leads" if len(best) == 1 else "leads_of"
        count = words.number(rows.num_rows)
        caption = words.text(NAME, key, count=count, outcome=outcomes[target])
        table = tabulate_leads(data, rows, caption)
        yield Brief(LIST_SECTION, words.text(NAME, "leads_link"), table, is_wide=True)
