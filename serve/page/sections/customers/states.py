"""Customers after the win: their states, what they will bring, and retention."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from models.customers.result import CustomerTables
from models.customers.states import STATES
from serve.page.content.charts import AXIS_SHARE
from serve.page.content.page_data import PageData
from serve.page.content.parts import Chart, Quote, Section, Table
from serve.page.content.words import PageWords
from serve.page.sections.funnel.texts import GROUP, UNKNOWN, Row, write_amount

NAME = "customer_states"
STRANGER = "stranger"
# Cohorts that are shown: the latest; the file has all.
MAX_COHORTS = 6
# Texts that differ for customers with contracts.
CONTRACT_TEXTS = {
    "orders_12m",
    "retention_caption",
    "retention_summary",
    "track_caption",
    "states_note",
    "values_note",
}
TABLE_MONTHS = (1, 2, 3, 6, 9, 12, 18, 24)
CHART_HEIGHT = 220


def build_customer_states(data: PageData) -> Section | None:
    """Return the section; None where no customers were published."""
    if data.customers is None:
        return None
    words, tables = data.words, data.customers
    basis = tables.list_rows("customer_basis")[0]
    states = tables.list_rows("customer_states")
    return Section(
        NAME,
        GROUP,
        words.text(NAME, "title"),
        _describe_customers(words, states, basis),
        [*_quote_totals(words, basis)],
        [*_draw_retention(words, tables)],
        [
            _list_states(words, states),
            *_list_flows(words, tables),
            *_list_track(words, tables),
        ],
        [*_list_notes(words, basis)],
    )


def name_customer_state(words: PageWords, state: str) -> str:
    """Return the name of a state in the page's language."""
    return words.text(NAME, state)


def _describe_customers(words: PageWords, states: Sequence[Row], basis: Row) -> str:
    shares = {row["state"]: words.percent(row["share"], 0) for row in states}
    at_risk = next(row["customers"] for row in states if row["state"] == "at_risk")
    return words.text(
        NAME,
        "sentence",
        customers=words.number(basis["customers"]),
        active=shares["active"],
        lapsed=shares["lapsed"],
        at_risk=words.number(at_risk),
    )


def _quote_totals(words: PageWords, basis: Row) -> Iterator[Quote]:
    """Yield what all customers will bring, with intervals."""
    for name in ("orders_12m", "margin_12m", "clv"):
        if basis[name] is None:
            continue
        write = words.number if name == "orders_12m" else words.amount
        low, high = (write(basis[f"{name}_{end}"]) for end in ("low", "high"))
        years = words.number(basis["horizon_days"] / 365, 0)
        label = words.text(NAME, _choose_key(basis, name), years=years)
        yield Quote(label, write(basis[name]), words.text(NAME, "interval", low=low, high=high))


def _choose_key(basis: Row, key: str) -> str:
    """Return the key of a text, which is another one for customers with contracts."""
    has_contracts = basis["contract_days"] is not None
    return f"{key}_contract" if has_contracts and key in CONTRACT_TEXTS else key


def _list_states(words: PageWords, states: Sequence[Row]) -> Table:
    """Return the curve from stranger to advocate: counts, flows, and what is expected."""
    has_values = any(row["clv"] is not None for row in states)
    keys = ["state", "customers", "share", "entered_90d", "left_90d"]
    amounts = ["expected_margin_12m", "clv", "save_value"] * has_values
    rows = [
        [
            name_customer_state(words, row["state"]),
            words.number(row["customers"]),
            words.percent(row["share"], 0),
            words.number(row["entered_90d"]),
            words.number(row["left_90d"]),
            *(write_amount(words, row[name]) for name in amounts),
        ]
        for row in states
    ]
    names = ["expected_margin_12m", "value", "save_value"] * has_values
    headings = [words.text(NAME, key) for key in [*keys, *names]]
    numeric = frozenset(range(1, len(headings)))
    return Table(words.text(NAME, "states_caption"), headings, rows, numeric)


def _list_flows(words: PageWords, tables: CustomerTables) -> Iterator[Table]:
    """Yield how many customers went from each state to each within 90 days."""
    flows = {
        (row["from"], row["to"]): row["customers"] for row in tables.list_rows("customer_flows")
    }
    starts = [name for name in (STRANGER, *STATES) if any(key[0] == name for key in flows)]
    ends = [name for name in STATES if any(key[1] == name for key in flows)]
    rows = [
        [
            name_customer_state(words, start),
            *(
                words.number(flows[start, end]) if (start, end) in flows else UNKNOWN
                for end in ends
            ),
        ]
        for start in starts
    ]
    headings = [words.text(NAME, "before"), *(name_customer_state(words, end) for end in ends)]
    numeric = frozenset(range(1, len(headings)))
    yield Table(words.text(NAME, "flows_caption"), headings, rows, numeric, folded=True)


def _select_cohorts(tables: CustomerTables) -> list[str]:
    return sorted({row["cohort"] for row in tables.list_rows("retention")})[-MAX_COHORTS:]


def _draw_retention(words: PageWords, tables: CustomerTables) -> Iterator[Chart]:
    """Yield the curves of the cohorts: who buys in each month after the first purchase."""
    cohorts = _select_cohorts(tables)
    if not cohorts:
        return
    rows = [
        {"cohort": row["cohort"], "month": row["month"], "share": row["share"]}
        for row in tables.list_rows("retention")
        if row["cohort"] in cohorts
    ]
    first = [row["share"] for row in rows if row["cohort"] == cohorts[0]]
    basis = tables.list_rows("customer_basis")[0]
    summary = words.text(
        NAME,
        _choose_key(basis, "retention_summary"),
        cohort=cohorts[0],
        first=words.percent(first[0]),
        last=words.percent(first[-1]),
        month=words.number(len(first)),
    )
    yield Chart(
        f"{NAME}-retention",
        words.text(NAME, _choose_key(basis, "retention_caption")),
        summary,
        _build_retention_spec(words),
        rows,
        next(_list_retention(words, tables)),
    )


def _build_retention_spec(words: PageWords) -> dict[str, Any]:
    return {
        "height": CHART_HEIGHT,
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": {
                "field": "month",
                "type": "quantitative",
                "title": words.text(NAME, "months_after"),
                "axis": {"tickMinStep": 1, "grid": False},
            },
            "y": {"field": "share", "type": "quantitative", "title": None} | AXIS_SHARE,
            "color": {
                "field": "cohort",
                "type": "ordinal",
                "title": words.text(NAME, "cohort"),
                "legend": {"columns": 3},
            },
        },
    }


def _list_retention(words: PageWords, tables: CustomerTables) -> Iterator[Table]:
    cells = {(row["cohort"], row["month"]): row for row in tables.list_rows("retention")}
    cohorts = _select_cohorts(tables)
    months = [month for month in TABLE_MONTHS if any(key[1] == month for key in cells)]
    rows = []
    for cohort in cohorts:
        own = [cells.get((cohort, month)) for month in months]
        size = max(row["customers"] for key, row in cells.items() if key[0] == cohort)
        shares = [UNKNOWN if row is None else words.percent(row["share"]) for row in own]
        rows.append([cohort, words.number(size), *shares])
    if rows:
        headings = [words.text(NAME, key) for key in ("cohort", "customers")]
        headings += [words.text(NAME, "month", n=words.number(month)) for month in months]
        numeric = frozenset(range(1, len(headings)))
        yield Table(words.text(NAME, "retention_table"), headings, rows, numeric, folded=True)


def _list_track(words: PageWords, tables: CustomerTables) -> Iterator[Table]:
    """Yield the past forecasts of the model that is used, beside what came."""
    rows = [
        [
            words.day(row["forecast_as_of"]),
            words.language.days(row["days"]),
            words.number(row["expected"]),
            words.number(row["actual"]),
            words.percent(row["expected"] / row["actual"] - 1),
        ]
        for row in tables.list_rows("customer_track")
        if row["chosen"]
    ]
    if rows:
        keys = ("track_as_of", "track_days", "track_expected", "track_actual", "track_off")
        headings = [words.text(NAME, key) for key in keys]
        basis = tables.list_rows("customer_basis")[0]
        caption = words.text(NAME, _choose_key(basis, "track_caption"))
        yield Table(caption, headings, rows, frozenset({1, 2, 3, 4}), folded=True)


def _list_notes(words: PageWords, basis: Row) -> Iterator[str]:
    days = words.language.days(basis["lapse_days"])
    grace = words.language.days(basis["grace_days"] or 0)
    yield words.text(NAME, _choose_key(basis, "states_note"), lapse=days, grace=grace)
    yield words.text(NAME, _choose_key(basis, "values_note") if basis["model"] else "no_model")
