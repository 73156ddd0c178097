"""Where leads are lost: what became of the visits to each stage, and whether it gets better."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from models.funnel.result import FunnelTables
from serve.page.content.charts import AXIS_COUNT, AXIS_SHARE, BAR_HEIGHT
from serve.page.content.page_data import PageData
from serve.page.content.parts import Chart, Quote, Section, Table
from serve.page.content.words import PageWords
from serve.page.sections.funnel.segments import compare_segments
from serve.page.sections.funnel.texts import (
    COLOURS,
    GROUP,
    LEGEND,
    UNKNOWN,
    Row,
    choose_time_unit,
    count_losses,
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
# Leads that each stage lost, by kind of loss.
Losses = Mapping[str, Mapping[str, int]]
CHANGE = "change_vs_previous_cohort"
BETTER, WORSE, SAME, NOT_KNOWN = "better", "worse", "same", "not_known"
# What becomes of a visit, in the order of the bars.
ENDINGS = ("advanced", "skipped", "returned", "lost", "open")
# Kinds of loss have these colours; more kinds than these are shown as one.
LOSS_COLOURS = ("var(--bad)", "var(--series-4)", "var(--warn)")


def build_losses(data: PageData) -> Section | None:
    """Return the section: each stage with what became of its visits."""
    tables = get_tables(data)
    if tables is None:
        return None
    words, stages = data.words, list_stages(tables)
    kinds = _select_kinds(tables)
    segments = [*compare_segments(words, tables)]
    notes = ["visits", "shares", "changes", *["segments"] * bool(segments)]
    return Section(
        NAME,
        GROUP,
        words.text(NAME, "title"),
        f"{_name_largest_loss(words, stages)} {_judge_changes(words, stages)}",
        [*_quote_totals(words, stages, kinds)],
        [_draw_endings(words, stages, kinds), _draw_shares(words, stages)],
        [_list_stage_rows(words, stages, kinds), *segments],
        [words.text(NAME, key) for key in notes],
    )


def describe_losses(data: PageData) -> str | None:
    """Return in a sentence where most leads are lost; None without a funnel."""
    tables = get_tables(data)
    return None if tables is None else _name_largest_loss(data.words, list_stages(tables))


def _select_kinds(tables: FunnelTables) -> Losses:
    """Return the losses by kind, where there are several and few enough to be shown apart."""
    kinds = count_losses(tables)
    return kinds if 1 < len(kinds) <= len(LOSS_COLOURS) else {}


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


def _quote_totals(words: PageWords, stages: list[Row], kinds: Losses) -> Iterator[Quote]:
    sums = {kind: words.number(sum(counts.values())) for kind, counts in kinds.items()}
    by_kind = ", ".join(f"{name_state(words, kind)}: {count}" for kind, count in sums.items())
    hints = {"stuck": words.text(NAME, "stuck_hint"), "lost": by_kind}
    for name in ("open", "stuck", "lost"):
        hint = hints.get(name, "")
        count = sum(row[name] for row in stages)
        yield Quote(words.text(NAME, f"{name}_label"), words.number(count), hint)


class _Ending(NamedTuple):
    """What became of visits: its name, its colour and the visits of each stage."""

    name: str
    colour: str
    visits: list[int]


def _list_losses(words: PageWords, stages: list[Row], kinds: Losses) -> list[_Ending]:
    """Return the losses of each stage, by kind if there are any."""
    if not kinds:
        lost = [row["lost"] for row in stages]
        return [_Ending(words.text(NAME, "lost"), COLOURS["lost"], lost)]
    return [
        _Ending(name_state(words, kind), colour, [counts.get(row["stage"], 0) for row in stages])
        for (kind, counts), colour in zip(kinds.items(), LOSS_COLOURS, strict=False)
    ]


def _list_endings(words: PageWords, stages: list[Row], kinds: Losses) -> list[_Ending]:
    """Return what became of the visits to each stage, in the order of the bars."""
    endings = []
    for name in ENDINGS:
        if name == "lost":
            endings += _list_losses(words, stages, kinds)
        else:
            visits = [row[name] for row in stages]
            endings.append(_Ending(words.text(NAME, name), COLOURS[name], visits))
    return endings


def _draw_endings(words: PageWords, stages: list[Row], kinds: Losses) -> Chart:
    """Return the bars of the visits to each stage, parted by what became of them."""
    endings = _list_endings(words, stages, kinds)
    rows: list[dict[str, Any]] = [
        {
            "stage": name_state(words, row["stage"]),
            "ending": ending.name,
            "visits": ending.visits[at],
            "place": place,
        }
        for at, row in enumerate(stages)
        for place, ending in enumerate(endings)
    ]
    colours = {
        "domain": [ending.name for ending in endings],
        "range": [ending.colour for ending in endings],
    }
    came = {"field": "visits", "type": "quantitative", "title": words.text(NAME, "came")}
    spec = {
        "height": BAR_HEIGHT * len(stages) + 12,
        "mark": {"type": "bar", "stroke": "var(--card)", "strokeWidth": 1},
        "encoding": {
            "y": order_axis(row["stage"] for row in rows),
            "x": came | AXIS_COUNT,
            "color": {"field": "ending", "scale": colours, "title": None, "legend": LEGEND},
            "order": {"field": "place"},
        },
    }
    headings = [words.text(NAME, key) for key in ("stage", "came")]
    headings += [ending.name for ending in endings]
    cells = [
        [
            name_state(words, row["stage"]),
            words.number(row["entered"]),
            *(words.number(ending.visits[at]) for ending in endings),
        ]
        for at, row in enumerate(stages)
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


def _list_stage_rows(words: PageWords, stages: list[Row], kinds: Losses) -> Table:
    losses = _list_losses(words, stages, kinds)
    unit = choose_time_unit(row["median_days"] for row in stages)
    rows = [
        [
            name_state(words, row["stage"]),
            words.number(row["entered"]),
            *(words.number(loss.visits[at]) for loss in losses),
            *(words.number(row[name]) for name in ("open", "stuck")),
            write_range(words, row, "advanced_30d"),
            write_days(words, row["median_days"], unit),
            _describe_change(words, row),
        ]
        for at, row in enumerate(stages)
    ]
    keys = ("open", "stuck", "advanced_30d", "median_days", "change")
    headings = [words.text(NAME, key) for key in ("stage", "came")]
    headings += [loss.name for loss in losses]
    headings += [words.text(NAME, key) for key in keys]
    numeric = frozenset(range(1, len(headings) - 1))
    return Table(words.text(NAME, "caption"), headings, rows, numeric)


def _describe_change(words: PageWords, row: Row) -> str:
    verdict = judge_change(row)
    if verdict == NOT_KNOWN:
        return UNKNOWN
    change = write_range(words, row, CHANGE, write_points, write_signed)
    return f"{words.text(NAME, verdict)}: {change}"
