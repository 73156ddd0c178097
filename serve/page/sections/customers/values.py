"""How the value of all customers is spread over them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from serve.page.content.charts import AXIS_SHARE, BAR_HEIGHT
from serve.page.content.page_data import PageData
from serve.page.content.parts import Chart, Section, Table
from serve.page.content.words import PageWords
from serve.page.sections.funnel.texts import GROUP, Row, order_axis

NAME = "customer_values"
PARTS = 10
# Fewer customers than these are not divided into tenths.
MIN_CUSTOMERS = 50


def build_customer_values(data: PageData) -> Section | None:
    """Return the section; None for few customers, and where nothing is predicted."""
    if data.customers is None:
        return None
    value = data.customers.tables["customers"]["clv"].drop_null().to_numpy()
    if len(value) < MIN_CUSTOMERS or value.sum() <= 0:
        return None
    words, tenths = data.words, divide_tenths(value)
    basis = data.customers.list_rows("customer_basis")[0]
    sentence = words.text(
        NAME,
        "sentence",
        best=words.percent(tenths[0]["share"], 0),
        rest=words.percent(sum(row["share"] for row in tenths[PARTS // 2 :]), 0),
        median=words.amount(float(np.median(value))),
        mean=words.amount(float(value.mean())),
    )
    years = words.number(basis["horizon_days"] / 365, 0)
    chart = _draw_tenths(words, tenths)
    note = words.text(NAME, "note", years=years)
    return Section(NAME, GROUP, words.text(NAME, "title"), sentence, charts=[chart], notes=[note])


def divide_tenths(value: np.ndarray) -> list[Row]:
    """Return the tenths of customers, the most valuable first: bounds, sum and share.

    ``value`` is float64 (customers,). Where the number is no multiple of ten, the first have one
    more.
    """
    ordered = np.sort(value)[::-1]
    return [
        {
            "low": float(part[-1]),
            "high": float(part[0]),
            "customers": len(part),
            "sum": float(part.sum()),
            "share": float(part.sum() / value.sum()),
        }
        for part in np.array_split(ordered, PARTS)
    ]


def _draw_tenths(words: PageWords, tenths: Sequence[Row]) -> Chart:
    names = [words.text(NAME, "tenth", n=words.number(n + 1)) for n in range(PARTS)]
    rows = [{"stage": n, "share": row["share"]} for n, row in zip(names, tenths, strict=True)]
    spec = {
        "height": BAR_HEIGHT * PARTS + 12,
        "mark": "bar",
        "encoding": {
            "y": order_axis(names),
            "x": {"field": "share", "type": "quantitative", "title": None} | AXIS_SHARE,
        },
    }
    cells = [
        [
            name,
            words.number(row["customers"]),
            words.amounts(row["low"], row["high"]),
            words.amount(row["sum"]),
            words.percent(row["share"]),
        ]
        for name, row in zip(names, tenths, strict=True)
    ]
    keys = ("customers_by_value", "customers", "value", "sum", "share")
    headings = [words.text(NAME, key) for key in keys]
    caption = words.text(NAME, "caption")
    summary = f"{caption}. {'; '.join(f'{cell[0]}: {cell[-1]}' for cell in cells)}"
    table = Table(caption, headings, cells, frozenset({1, 2, 3, 4}))
    return Chart(NAME, caption, summary, spec, rows, table)
