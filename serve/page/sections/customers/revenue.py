"""Why the margin of a quarter is another than before, what comes, and what a customer costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from features.tools.json_values import format_json
from models.customers.result import CustomerTables
from serve.page.content.charts import BAR_HEIGHT
from serve.page.content.page_data import PageData
from serve.page.content.parts import Chart, Section, Table
from serve.page.content.words import PageWords
from serve.page.sections.funnel.texts import (
    GROUP,
    UNKNOWN,
    Row,
    write_amount,
    write_range,
)

NAME = "customer_revenue"
# Quarters that the table shows; the file has all.
MAX_QUARTERS = 6
TOTALS = ("start", "end")
LOWERING = ("contraction", "lost")
COLOURS = {
    "total": "var(--series-1)",
    "raised": "var(--good)",
    "lowered": "var(--bad)",
}
# How strongly a bar of a forecast is drawn.
FAINT = 0.5


def build_customer_revenue(data: PageData) -> Section | None:
    """Return the section; None where no customer has brought anything."""
    if data.customers is None:
        return None
    quarters = read_quarters(data.customers)
    if not any(row["amount"] for quarter in quarters for row in quarter):
        return None
    words, basis = data.words, data.customers.list_rows("customer_basis")[0]
    over = [quarter for quarter in quarters if not is_forecast(quarter)]
    ahead = quarters[len(over) :]
    return Section(
        NAME,
        GROUP,
        words.text(NAME, "title"),
        _describe_quarter(words, over[-1], ahead),
        charts=[_draw_steps(words, [over[-1], *ahead], basis)],
        tables=[
            _list_quarters(words, [*over[-MAX_QUARTERS:], *ahead], basis),
            *_list_acquisition(words, data.customers),
        ],
        notes=[*_list_notes(words, data.customers, basis)],
    )


def read_quarters(tables: CustomerTables) -> list[list[Row]]:
    """Return the rows of each quarter, in the order of time; its steps lead from start to end."""
    quarters: dict[str, list[Row]] = {}
    for row in tables.list_rows("revenue_bridge"):
        quarters.setdefault(row["period"], []).append(row)
    return [quarters[period] for period in sorted(quarters)]


def is_forecast(quarter: Sequence[Row]) -> bool:
    """Return whether a quarter is not over."""
    return bool(quarter[0]["kind"] == "forecast")


def _describe_quarter(words: PageWords, last: Sequence[Row], ahead: Sequence[Sequence[Row]]) -> str:
    """Return how the last quarter changed, its largest steps, and what is expected next."""
    steps = {row["step"]: row["amount"] for row in last}
    raising = [step for step in steps if step not in (*TOTALS, *LOWERING)]
    up, down = (max(names, key=lambda step: steps[step]) for names in (raising, LOWERING))
    sentence = words.text(
        NAME,
        "sentence",
        quarter=last[0]["period"],
        start=words.amount(steps["start"]),
        end=words.amount(steps["end"]),
        up=words.text(NAME, up),
        gained=words.amount(steps[up]),
        down=words.text(NAME, down),
        fell=words.amount(steps[down]),
    )
    if not ahead:
        return sentence
    end = ahead[0][-1]
    low, high = (words.amount(end[name]) for name in ("low", "high"))
    expected = words.text(
        NAME,
        "expected",
        quarter=end["period"],
        amount=words.amount(end["amount"]),
        low=low,
        high=high,
    )
    return f"{sentence} {expected}"


def _draw_steps(words: PageWords, quarters: Sequence[Sequence[Row]], basis: Row) -> Chart:
    """Return the steps of quarters one below the other, each from where the last one ended."""
    rows = [*lay_out_steps(words, quarters)]
    across: dict[str, Any] = {"type": "quantitative", "title": None}
    across |= {"axis": {"tickCount": 6, "format": "~s"}}
    colours = {"domain": [words.text(NAME, kind) for kind in COLOURS]}
    colours |= {"range": [*COLOURS.values()]}
    spec = {
        "height": BAR_HEIGHT * len(rows) + 12,
        "encoding": {"y": _name_bars([row["stage"] for row in rows])},
        "layer": [
            {
                "mark": "bar",
                "encoding": {
                    "x": {"field": "from", **across},
                    "x2": {"field": "to"},
                    "color": {"field": "kind", "type": "nominal", "title": None, "scale": colours},
                    "opacity": {"field": "opacity", "type": "quantitative", "scale": None},
                },
            },
            {
                "mark": {"type": "rule", "color": "var(--ink)", "strokeWidth": 2},
                "encoding": {"x": {"field": "low", **across}, "x2": {"field": "high"}},
            },
        ],
    }
    cells = [[row["stage"], row["text"]] for row in rows]
    headings = [words.text(NAME, key) for key in ("step", "margin")]
    caption = words.text(NAME, _choose_key(basis, "chart"))
    summary = f"{caption}. {'; '.join(': '.join(cell) for cell in cells)}"
    table = Table(caption, headings, cells, frozenset({1}))
    return Chart(NAME, caption, summary, spec, rows, table)


def _name_bars(names: Sequence[str]) -> dict[str, Any]:
    """Return the axis of the bars by place: steps of two quarters have the same names."""
    labels = {"labelExpr": f"({format_json(names)})[datum.value]", "labelOverlap": False}
    return {"field": "place", "type": "ordinal", "title": None, "axis": labels}


def lay_out_steps(words: PageWords, quarters: Sequence[Sequence[Row]]) -> Iterator[dict[str, Any]]:
    """Yield the bars from the margin before the first quarter to that of the last one.

    A forecast's end has its interval. The margin before a quarter is that of the one before it.
    """
    place = 0
    for number, quarter in enumerate(quarters):
        level = 0.0
        period = _name_quarter(words, quarter)
        for row in quarter:
            step, amount = row["step"], float(row["amount"])
            is_total = step in TOTALS
            begin = 0.0 if is_total else level
            level = amount if is_total else level + _find_sign(step) * amount
            if step == "start" and number:
                continue
            has_interval = step == "end" and is_forecast(quarter)
            kind = "total" if is_total else "raised" if _find_sign(step) > 0 else "lowered"
            yield {
                "place": place,
                "stage": period if step == "end" else words.text(NAME, step),
                "from": begin,
                "to": level,
                "low": float(row["low"]) if has_interval else None,
                "high": float(row["high"]) if has_interval else None,
                "kind": words.text(NAME, kind),
                "opacity": FAINT if is_forecast(quarter) else 1.0,
                "text": _write_step(words, step, amount),
            }
            place += 1


def _find_sign(step: str) -> int:
    return -1 if step in LOWERING else 1


def _name_quarter(words: PageWords, quarter: Sequence[Row]) -> str:
    period = str(quarter[0]["period"])
    return words.text(NAME, "expected_quarter", quarter=period) if is_forecast(quarter) else period


def _list_quarters(words: PageWords, quarters: Sequence[Sequence[Row]], basis: Row) -> Table:
    """Return the steps from the margin of each quarter to that of the next."""
    has_forecast = is_forecast(quarters[-1])
    lines = []
    for quarter in quarters:
        end = quarter[-1]
        ends = words.amounts(end["low"], end["high"]) if is_forecast(quarter) else UNKNOWN
        own = [_write_step(words, row["step"], row["amount"]) for row in quarter]
        lines.append([_name_quarter(words, quarter), *own, *[ends] * has_forecast])
    steps = [row["step"] for row in quarters[0]]
    headings = [words.text(NAME, key) for key in ("quarter", *steps, *["ends"] * has_forecast)]
    numeric = frozenset(range(1, len(headings)))
    return Table(words.text(NAME, _choose_key(basis, "caption")), headings, lines, numeric)


def _write_step(words: PageWords, step: str, amount: float) -> str:
    if step in TOTALS:
        return words.amount(amount)
    return ("−" if step in LOWERING else "+") + words.amount(amount)


def _choose_key(basis: Row, key: str) -> str:
    """Return the key of a text, which is another one for customers with contracts."""
    return key if basis["contract_days"] is None else f"{key}_contract"


def _list_acquisition(words: PageWords, tables: CustomerTables) -> Iterator[Table]:
    """Yield what a customer of each quarter of entry cost, and how it was paid back."""
    rows = tables.list_rows("acquisition")
    if not rows:
        return
    keys = ("cohort", "entered", "customers", "cost", "cac", "ltv", "ltv_to_cac", "payback_months")
    lines = [
        [
            row["cohort"],
            words.number(row["entered"]),
            words.number(row["customers"]),
            write_amount(words, row["cost"]),
            write_range(words, row, "cac", type(words).amount),
            write_range(words, row, "ltv", type(words).amount),
            write_range(words, row, "ltv_to_cac", _write_ratio),
            _write_payback(words, row),
        ]
        for row in rows
    ]
    headings = [words.text(NAME, key) for key in keys]
    numeric = frozenset(range(1, len(headings)))
    yield Table(words.text(NAME, "acquisition_caption"), headings, lines, numeric)


def _write_ratio(words: PageWords, ratio: float) -> str:
    return words.number(ratio, 1)


def _write_payback(words: PageWords, row: Row) -> str:
    """Return the months until the cost was paid back, or how long it has not been."""
    if row["payback_months"] is not None:
        return words.number(row["payback_months"])
    if row["cac"] is None:
        return UNKNOWN
    return words.text(NAME, "not_yet", months=words.number(row["followed_months"]))


def _list_notes(words: PageWords, tables: CustomerTables, basis: Row) -> Iterator[str]:
    if basis["bridge_limits"]:
        yield words.text(NAME, "no_forecast")
    else:
        yield words.text(
            NAME,
            "forecast_note",
            quarters=words.number(basis["bridge_quarters"]),
            bias=words.percent(basis["bridge_bias"]),
            held=words.number(basis["bridge_held"]),
        )
    if tables.list_rows("acquisition"):
        yield words.text(NAME, "acquisition_note")
