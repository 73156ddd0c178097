"""The curve from stranger to advocate: where leads and customers stand, and who falls off it."""

from __future__ import annotations

from collections.abc import Mapping

from models.customers.result import CustomerTables
from models.customers.states import STATES
from serve.page.content.page_data import PageData
from serve.page.content.parts import Section
from serve.page.content.words import PageWords
from serve.page.sections.customers.curve_layout import lay_out_halves
from serve.page.sections.customers.states import STRANGER, name_customer_state
from serve.page.sections.funnel.texts import GROUP, get_tables, list_stages, name_state

NAME = "customer_curve"
KINDS = ("along", "down", "back")


def build_customer_curve(data: PageData) -> Section | None:
    """Return the section; None where no customers were published."""
    if data.customers is None:
        return None
    words = data.words
    states = {row["state"]: row["customers"] for row in data.customers.list_rows("customer_states")}
    flows = read_flows(data.customers)
    stages = count_open_leads(data)
    labels = {name: name_state(words, name) for name in stages}
    labels |= {name: name_customer_state(words, name) for name in STATES}
    return Section(
        NAME,
        GROUP,
        words.text(NAME, "title"),
        _describe_moves(words, stages, flows),
        notes=[words.text(NAME, "note")],
        template="customer_curve.html.j2",
        values={
            "halves": lay_out_halves(stages, states, flows, labels),
            "captions": [words.text(NAME, key) for key in ["before_win"] * bool(stages)]
            + [words.text(NAME, "after_win")],
            "kinds": {kind: words.text(NAME, kind) for kind in KINDS},
            "labels": labels,
            "summary": "; ".join(
                f"{labels[name]}: {words.number(count)}"
                for name, count in {**stages, **states}.items()
            ),
        },
    )


def count_open_leads(data: PageData) -> dict[str, int]:
    """Return the leads that stand in each stage before the win, in the order of the stages."""
    tables = get_tables(data)
    rows = list_stages(tables) if tables else []
    return {row["stage"]: row["open"] for row in rows if row["stage"] not in STATES}


def read_flows(tables: CustomerTables) -> dict[tuple[str, str], int]:
    """Return customers by the states of 90 days before and of now."""
    rows = tables.list_rows("customer_flows")
    return {(row["from"], row["to"]): row["customers"] for row in rows}


def _describe_moves(
    words: PageWords, stages: Mapping[str, int], flows: Mapping[tuple[str, str], int]
) -> str:
    won = sum(count for (source, _), count in flows.items() if source == STRANGER)
    lapsed = sum(
        count for (source, target), count in flows.items()
        if target == "lapsed" != source and source != STRANGER
    )  # fmt: skip
    back = sum(count for (source, target), count in flows.items() if source == "lapsed" != target)
    moves = {"won": won, "lapsed": lapsed, "back": back}
    counts = {name: words.number(count) for name, count in moves.items()}
    sentence = words.text(NAME, "sentence", **counts)
    if not stages:
        return sentence
    leads = words.number(sum(stages.values()))
    return f"{words.text(NAME, 'leads_sentence', leads=leads)} {sentence}"
