"""Whom to touch next, and how likely a reply is by the number of the touch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from models.touches.result import TouchTables
from serve.page.content.charts import AXIS_SHARE
from serve.page.content.page_data import PageData
from serve.page.content.parts import Chart, Section, Table
from serve.page.content.words import PageWords
from serve.page.sections.funnel.lead_cells import Cell, list_in_parts, name_lead
from serve.page.sections.funnel.texts import UNKNOWN, Row, write_amount

NAME = "next_touches"
GROUP: Final = "leads"
DUE, TESTED = "due", "tested"
# Leads that are listed; the file has all.
MAX_LEADS = 60
CHART_HEIGHT = 220


def build_next_touches_section(data: PageData) -> Section | None:
    """Return the section; None where no touches were published."""
    if data.touches is None:
        return None
    words, tables = data.words, data.touches
    basis = tables.list_rows("touch_basis")[0]
    touches = tables.tables["next_touch"]
    listed = touches.filter(pc.equal(touches["state"], DUE))
    counts = {
        name: words.number(basis[name])
        for name in ("due", "waiting", "replied", "stopped", "opted_out")
    }
    notes = [*_list_notes(words, tables, basis)]
    if listed.num_rows > MAX_LEADS:
        more = words.number(listed.num_rows - MAX_LEADS)
        notes.insert(0, words.text(NAME, "cut", more=more))
    return Section(
        NAME,
        GROUP,
        words.text(NAME, "title"),
        words.text(NAME, "sentence", **counts),
        charts=[*_draw_hazard(words, tables)],
        tables=[*_list_leads(data, listed)],
        notes=notes,
    )


def _list_leads(data: PageData, listed: pa.Table) -> Iterator[Table]:
    """Yield the leads to touch now, those worth most first, in the order of the night."""
    words = data.words

    def write_cells(row: Row, target: str | None) -> dict[str, Cell]:
        return {
            "lead": name_lead(words, row["entity_id"], target),
            "account_id": row["account_id"] or UNKNOWN,
            "channel": row["channel"] or UNKNOWN,
            "touch_no": words.number(row["touch_no"]),
            "p_reply_14d": _write_chance(words, row),
            "net_value": write_amount(words, row["net_value"]),
            "why": row["why"],
        }

    numeric = ("touch_no", "p_reply_14d", "net_value")
    extra = ("account_id", "touch_no", "why")
    return list_in_parts(data, NAME, listed, numeric, write_cells, MAX_LEADS, extra)


def _write_chance(words: PageWords, row: Row) -> str:
    if row["p_reply_14d"] is None:
        return UNKNOWN
    low, high = (words.number(100 * row[f"p_reply_{end}"], 1) for end in ("low", "high"))
    return words.text(NAME, "chance", value=words.percent(row["p_reply_14d"]), low=low, high=high)


def list_hazard(tables: TouchTables) -> list[Row]:
    """Return the rows of all touches by number, those with enough touches at risk."""
    rows = tables.list_rows("touch_hazard")
    return [
        row for row in rows if row["cut"] == "all" and row["touch_no"] and row["hazard"] is not None
    ]


def _draw_hazard(words: PageWords, tables: TouchTables) -> Iterator[Chart]:
    """Yield the chance of a reply by touch number, with the naive figure as a warning."""
    hazard = list_hazard(tables)
    if not hazard:
        return
    own, naive = words.text(NAME, "hazard"), words.text(NAME, "naive")
    rows = [
        {
            "number": row["touch_no"],
            "kind": own,
            "share": row["hazard"],
            "low": row["hazard_low"],
            "high": row["hazard_high"],
        }
        for row in hazard
    ]
    rows += [
        {"number": row["touch_no"], "kind": naive, "share": row["naive"], "low": None, "high": None}
        for row in hazard
        if row["naive"] is not None
    ]
    first, last = hazard[0], hazard[-1]
    caption = words.text(NAME, "caption")
    summary = words.text(
        NAME,
        "summary",
        first=words.percent(first["hazard"]),
        number=words.number(last["touch_no"]),
        last=words.percent(last["hazard"]),
    )
    spec = _build_hazard_spec(words, (own, naive))
    yield Chart(NAME, caption, f"{caption}. {summary}", spec, rows, _list_hazard(words, hazard))


def _build_hazard_spec(words: PageWords, kinds: tuple[str, str]) -> dict[str, Any]:
    x = {
        "field": "number",
        "type": "quantitative",
        "title": words.text(NAME, "number"),
        "axis": {"tickMinStep": 1, "grid": False},
    }
    share: dict[str, Any] = {"type": "quantitative", "title": None} | AXIS_SHARE
    colours = {"domain": [*kinds], "range": ["var(--series-1)", "var(--bad)"]}
    dashes = {"domain": [*kinds], "range": [[1, 0], [4, 4]]}
    kind: dict[str, Any] = {"field": "kind", "type": "nominal", "title": None}
    return {
        "height": CHART_HEIGHT,
        "encoding": {"x": x},
        "layer": [
            {
                "mark": {"type": "rule", "color": "var(--series-1)", "strokeWidth": 2},
                "encoding": {"y": {"field": "low", **share}, "y2": {"field": "high"}},
            },
            {
                "mark": {"type": "line", "point": True},
                "encoding": {
                    "y": {"field": "share", **share},
                    "color": kind | {"scale": colours, "legend": {"columns": 1}},
                    "strokeDash": kind | {"scale": dashes, "legend": None},
                },
            },
        ],
    }


def _list_hazard(words: PageWords, hazard: Sequence[Row]) -> Table:
    keys = ("touch_no", "at_risk", "replies", "hazard_range", "naive", "opt_outs")
    rows = [
        [
            words.number(row["touch_no"]),
            words.number(row["at_risk"]),
            words.number(row["replies"]),
            words.text(
                NAME,
                "chance",
                value=words.percent(row["hazard"]),
                low=words.number(100 * row["hazard_low"], 1),
                high=words.number(100 * row["hazard_high"], 1),
            ),
            UNKNOWN if row["naive"] is None else words.percent(row["naive"]),
            UNKNOWN if row["opt_out_rate"] is None else words.percent(row["opt_out_rate"]),
        ]
        for row in hazard
    ]
    headings = [words.text(NAME, key) for key in keys]
    numeric = frozenset(range(len(keys)))
    return Table(words.text(NAME, "caption"), headings, rows, numeric)


def _list_notes(words: PageWords, tables: TouchTables, basis: Row) -> Iterator[str]:
    days = words.language.days(basis["horizon_days"])
    yield words.text(NAME, "rule", days=days)
    yield words.text(NAME, "naive_note")
    evidence = {row["evidence"] for row in tables.list_rows("next_touch")}
    if TESTED not in evidence:
        yield words.text(NAME, "descriptive")
    if basis["reply_value"] is None:
        yield words.text(NAME, "no_stop")
