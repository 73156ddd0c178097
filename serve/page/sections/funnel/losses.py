"""Where leads are lost: what became of the visits to each stage, and whether it gets better."""

from __future__ import annotations

from collections.abc import Iterator

from serve.page.content.charts import AXIS_COUNT, AXIS_SHARE, BAR_HEIGHT
from serve.page.content.page_data import PageData
from serve.page.content.parts import Chart, Quote, Section, Table
from serve.page.content.words import PageWords
from serve.page.sections.funnel.segments import compare_segments
from serve.page.sections.funnel.texts import (
    COLOURS,
    GROUP,
    UNKNOWN,
    Row,
    get_tables,
    list_stages,
    name_state,
    order_axis,
    write_days,
    write_points,
    write_range,
    write_signed,
)

NAME = "funnel_losses"
CHANGE = "change_vs_previous_cohort"
BETTER, WORSE, SAME, NOT_KNOWN = "better", "worse", "same", "not_known"
# What becomes of a visit, in the order of the bars.
ENDINGS = ("advanced", "skipped", "returned", "lost", "open")


def build_losses(data: PageData) -> Section | None:
    """Return the section: each stage with what became of its visits."""
    tables = get_tables(data)
    if tables is None:
        return None
    words, stages = data.words, list_stages(tables)
    segments = [*compare_segments(words, tables)]
    notes = ["visits", "shares", "changes", *["segments"] * bool(segments)]
    return Section(
        NAME,
        GROUP,
        words.text(NAME, "title"),
        f"{_name_largest_loss(words, stages)} {_judge_changes(words, stages)}",
        [*_quote_totals(words, stages)],
        [_draw_endings(words, stages), _draw_shares(words, stages)],
        [_list_stage_rows(words, stages), *segments],
        [words.text(NAME, key) for key in notes],
    )


def judge_change(row: Row) -> str:
    """Return whether a stage moves on more than before: better, worse, same or not known."""
    if row[CHANGE] is None or row[f"{CHANGE}_low"] is None:
        return NOT_KNOWN
    # As they are written: nobody acts on a change of 0.0 points.
    low, high = (round(100 * row[f"{CHANGE}_{end}"], 1) for end in ("low", "high"))
    if low > 0:
        return BETTER
    return WORSE if high < 0 else SAME


def _name_largest_loss(words: PageWords, stages: list[Row]) -> str:
    total = sum(row["lost"] for row in stages)
    if not total:
        return words.text(NAME, "none_lost")
    worst = max(stages, key=lambda row: row["lost"])
    return words.text(
        NAME,
        "most_lost",
        stage=name_state(words, worst["stage"]),
        lost=words.number(worst["lost"]),
        all=words.number(total),
        share=words.percent(worst["lost"] / total, 0),
    )


def _judge_changes(words: PageWords, stages: list[Row]) -> str:
    """Return which stages got better or worse, in a sentence."""
    verdicts = {row["stage"]: judge_change(row) for row in stages}
    changed = [*_name_changed(words, stages, verdicts)]
    if set(verdicts.values()) == {NOT_KNOWN}:
        return words.text(NAME, "no_earlier")
    if not changed:
        return words.text(NAME, "nothing_changed")
    rest = SAME in verdicts.values()
    return " ".join([*changed, *[words.text(NAME, "rest_same")] * rest])


def _name_changed(words: PageWords, stages: list[Row], verdicts: dict[str, str]) -> Iterator[str]:
    for verdict in (WORSE, BETTER):
        named = [
            f"{name_state(words, row['stage'])} ({write_points(words, row[CHANGE])})"
            for row in stages
            if verdicts[row["stage"]] == verdict
        ]
        if named:
            yield words.text(NAME, f"{verdict}_at", stages=", ".join(named))


def _quote_totals(words: PageWords, stages: list[Row]) -> Iterator[Quote]:
    for name in ("open", "stuck", "lost"):
        hint = words.text(NAME, "stuck_hint") if name == "stuck" else ""
        count = sum(row[name] for row in stages)
        yield Quote(words.text(NAME, f"{name}_label"), words.number(count), hint)


def _draw_endings(words: PageWords, stages: list[Row]) -> Chart:
    """Return the bars of the visits to each stage, parted by what became of them."""
    rows = [
        {
            "stage": name_state(words, row["stage"]),
            "ending": words.text(NAME, ending),
            "visits": row[ending],
            "place": place,
        }
        for row in stages
        for place, ending in enumerate(ENDINGS)
    ]
    colours = {
        "domain": [words.text(NAME, e) for e in ENDINGS],
        "range": [COLOURS[e] for e in ENDINGS],
    }
    spec = {
        "height": BAR_HEIGHT * len(stages) + 12,
        "mark": {"type": "bar", "stroke": "var(--card)", "strokeWidth": 1},
        "encoding": {
            "y": order_axis(row["stage"] for row in rows),
            "x": {
                "field": "visits",
                "type": "quantitative",
                "title": words.text(NAME, "came"),
                **AXIS_COUNT,
            },
            "color": {
                "field": "ending",
                "scale": colours,
                "title": None,
                "legend": {"columns": 2},
            },
            "order": {"field": "place"},
        },
    }
    headings = [words.text(NAME, key) for key in ("stage", "came", *ENDINGS)]
    cells = [
        [name_state(words, row["stage"]), *(words.number(row[e]) for e in ("entered", *ENDINGS))]
        for row in stages
    ]
    caption = words.text(NAME, "endings")
    table = Table(caption, headings, cells, frozenset(range(1, len(headings))))
    summary = _name_largest_loss(words, stages)
    return Chart(f"{NAME}-endings", caption, summary, spec, rows, table)


def _draw_shares(words: PageWords, stages: list[Row]) -> Chart:
    """Return the share of each stage that moves on within 30 days, with its interval."""
    known = [row for row in stages if row["advanced_30d"] is not None]
    rows = [
        {
            "stage": name_state(words, row["stage"]),
            "share": row["advanced_30d"],
            "low": row["advanced_30d_low"],
            "high": row["advanced_30d_high"],
        }
        for row in known
    ]
    title = words.text(NAME, "share_axis")
    across = {"type": "quantitative", "title": title, "scale": {"zero": True}, **AXIS_SHARE}
    spec = {
        "height": BAR_HEIGHT * len(rows) + 12,
        "encoding": {"y": order_axis(row["stage"] for row in rows)},
        "layer": [
            {
                "mark": {"type": "rule", "color": "var(--series-1)", "strokeWidth": 3},
                "encoding": {"x": {"field": "low", **across}, "x2": {"field": "high"}},
            },
            {
                "mark": {"type": "point", "color": "var(--series-1)", "size": 70},
                "encoding": {"x": {"field": "share", **across}},
            },
        ],
    }
    caption = words.text(NAME, "within_30")
    headings = [words.text(NAME, key) for key in ("stage", "advanced_30d")]
    cells = [
        [name_state(words, row["stage"]), write_range(words, row, "advanced_30d")] for row in known
    ]
    table = Table(caption, headings, cells, frozenset({1}))
    summary = "; ".join(f"{stage}: {share}" for stage, share in cells)
    return Chart(f"{NAME}-shares", caption, f"{caption}. {summary}", spec, rows, table)


def _list_stage_rows(words: PageWords, stages: list[Row]) -> Table:
    counts = ("entered", "lost", "open", "stuck")
    keys = ("stage", "came", *counts[1:], "advanced_30d", "median_days", "change")
    rows = [
        [
            name_state(words, row["stage"]),
            *(words.number(row[name]) for name in counts),
            write_range(words, row, "advanced_30d"),
            write_days(words, row["median_days"]),
            _describe_change(words, row),
        ]
        for row in stages
    ]
    headings = [words.text(NAME, key) for key in keys]
    return Table(words.text(NAME, "caption"), headings, rows, frozenset(range(1, len(keys) - 1)))


def _describe_change(words: PageWords, row: Row) -> str:
    verdict = judge_change(row)
    if verdict == NOT_KNOWN:
        return UNKNOWN
    change = write_range(words, row, CHANGE, write_points, write_signed)
    return f"{words.text(NAME, verdict)}: {change}"
