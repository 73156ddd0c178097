"""How old the open leads are: young for their stage, slow, or stuck."""

from __future__ import annotations

from typing import Any

from serve.page.content.charts import AXIS_COUNT, BAR_HEIGHT
from serve.page.content.page_data import PageData
from serve.page.content.parts import Chart, Section, Table
from serve.page.content.words import PageWords
from serve.page.sections.funnel.texts import (
    GROUP,
    LEGEND,
    UNKNOWN,
    Row,
    choose_time_unit,
    get_tables,
    list_stages,
    name_state,
    order_axis,
    write_amount,
    write_days,
)

NAME = "funnel_aging"
# Classes of age with their colours, from young to old.
COLOURS = {
    "up_to_median": "var(--series-1)",
    "up_to_p80": "var(--series-2)",
    "stuck": "var(--bad)",
    "unknown": "var(--grade-d)",
}
# Without a unit at zero, as in 0M.
AXIS_AMOUNT = {
    "axis": {
        "tickCount": 5,
        "format": "~s",
        "labelExpr": "datum.value == 0 ? '0' : datum.label",
    }
}


def build_aging(data: PageData) -> Section | None:
    """Return the section: the open leads of each stage by age, as numbers and as amounts."""
    tables = get_tables(data)
    if tables is None:
        return None
    words, stages = data.words, list_stages(tables)
    title, open_leads = words.text(NAME, "title"), sum(row["open"] for row in stages)
    if not open_leads:
        return Section(NAME, GROUP, title, words.text(NAME, "none_open"))
    aging = _select_open(tables.aging.to_pylist())
    charts = [_draw_ages(words, aging, "open")]
    if has_values := any(row["value"] is not None for row in aging):
        charts.append(_draw_ages(words, aging, "value"))
    return Section(
        NAME,
        GROUP,
        title,
        _describe_stuck(words, stages, open_leads, has_values),
        charts=charts,
        tables=[_list_stages(words, stages, aging, has_values)],
        notes=[words.text(NAME, "classes")],
    )


def _select_open(aging: list[Row]) -> list[Row]:
    """Return the rows of the stages with an open lead."""
    stages = {row["stage"] for row in aging if row["open"]}
    return [row for row in aging if row["stage"] in stages]


def _describe_stuck(words: PageWords, stages: list[Row], total: int, has_values: bool) -> str:
    stuck = sum(row["stuck"] for row in stages)
    values = {
        "stuck": words.number(stuck),
        "all": words.number(total),
        "share": words.percent(stuck / total, 0),
    }
    sentence = words.text(NAME, "sentence", **values)
    if not has_values:
        return sentence
    amounts = {
        name: write_amount(words, sum(row[column] or 0 for row in stages))
        for name, column in (("stuck", "value_stuck"), ("all", "value_open"))
    }
    return f"{sentence} {words.text(NAME, 'amounts', **amounts)}"


def _draw_ages(words: PageWords, aging: list[Row], measure: str) -> Chart:
    """Return the bars of the stages, parted by class of age; of leads, or of amounts."""
    rows: list[dict[str, Any]] = [
        {
            "stage": name_state(words, row["stage"]),
            "age": words.text(NAME, row["age_class"]),
            "place": list(COLOURS).index(row["age_class"]),
            "size": row[measure] or 0,
        }
        for row in aging
    ]
    shown = [name for name in COLOURS if any(row["age_class"] == name for row in aging)]
    colours = {
        "domain": [words.text(NAME, name) for name in shown],
        "range": [COLOURS[name] for name in shown],
    }
    title = words.text(NAME, f"{measure}_axis")
    axis = AXIS_COUNT if measure == "open" else AXIS_AMOUNT
    stages = [*dict.fromkeys(row["stage"] for row in rows)]
    spec = {
        "height": BAR_HEIGHT * len(stages) + 12,
        "mark": {"type": "bar", "stroke": "var(--card)", "strokeWidth": 1},
        "encoding": {
            "y": order_axis(stages),
            "x": {"field": "size", "type": "quantitative", "title": title, **axis},
            "color": {
                "field": "age",
                "scale": colours,
                "title": None,
                "legend": LEGEND,
            },
            "order": {"field": "place"},
        },
    }
    cells = [[row["stage"], row["age"], words.number(row["size"])] for row in rows]
    headings = [words.text(NAME, "stage"), words.text(NAME, "age"), title]
    caption = words.text(NAME, f"{measure}_caption")
    table = Table(caption, headings, cells, frozenset({2}))
    summary = "; ".join(
        f"{cell[0]}: {cell[2]}"
        for cell, row in zip(cells, aging, strict=True)
        if row["age_class"] == "stuck"
    )
    summary = words.text(NAME, "summary", stages=summary) if summary else ""
    return Chart(f"{NAME}-{measure}", caption, f"{caption}. {summary}", spec, rows, table)


def _list_stages(words: PageWords, stages: list[Row], aging: list[Row], has_values: bool) -> Table:
    counts = {(row["stage"], row["age_class"]): row["open"] for row in aging}
    classes = ("up_to_median", "up_to_p80", "stuck")
    keys = ["stage", "open", "young", "slow", "stuck", "median_days", "p80_days"]
    keys += ["value_open", "value_stuck"] * has_values
    units = {
        name: choose_time_unit(row[name] for row in stages) for name in ("median_days", "p80_days")
    }
    rows = [
        [
            name_state(words, row["stage"]),
            words.number(row["open"]),
            *(_write_count(words, counts.get((row["stage"], name))) for name in classes),
            *(write_days(words, row[name], unit) for name, unit in units.items()),
            *(
                write_amount(words, row[name])
                for name in ("value_open", "value_stuck") * has_values
            ),
        ]
        for row in stages
        if row["open"]
    ]
    headings = [words.text(NAME, f"{key}_heading") for key in keys]
    numeric = frozenset(range(1, len(keys)))
    return Table(words.text(NAME, "caption"), headings, rows, numeric, folded=True)


def _write_count(words: PageWords, count: int | None) -> str:
    """Return a count; a dash for None, where no age is old because nobody moved on yet."""
    return UNKNOWN if count is None else words.number(count)
