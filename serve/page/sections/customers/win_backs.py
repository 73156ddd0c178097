"""Customers who have lapsed: who may come back, and whom to write to first."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from models.customers.result import CustomerTables
from serve.page.content.page_data import PageData
from serve.page.content.parts import Section, Table
from serve.page.content.words import PageWords
from serve.page.sections.funnel.lead_cells import Cell, list_in_parts, name_lead
from serve.page.sections.funnel.texts import GROUP, UNKNOWN, Row, write_amount, write_range

NAME = "customer_win_backs"
# Customers that are listed; the file has all.
MAX_CUSTOMERS = 60


def build_win_backs(data: PageData) -> Section | None:
    """Return the section; None without a chance of a return."""
    if data.customers is None:
        return None
    customers = data.customers.tables["win_backs"]
    listed = customers.filter(pc.is_valid(customers["p_return_90d"]))
    if not listed.num_rows:
        return None
    words = data.words
    values = {"count": words.number(listed.num_rows)}
    values["back"] = words.number(pc.sum(listed["p_return_90d"]).as_py())
    margin = pc.sum(listed["expected_margin"]).as_py()
    sentence = words.text(NAME, "sentence", **values)
    if margin is not None:
        sentence += " " + words.text(NAME, "margin", amount=words.amount(margin))
    notes = [*_describe_track(words, data.customers), words.text(NAME, "note")]
    if listed.num_rows > MAX_CUSTOMERS:
        more = words.number(listed.num_rows - MAX_CUSTOMERS)
        notes.insert(0, words.text(NAME, "cut", more=more))
    tables = [*_list_customers(data, listed)]
    return Section(NAME, GROUP, words.text(NAME, "title"), sentence, tables=tables, notes=notes)


def _describe_track(words: PageWords, tables: CustomerTables) -> Iterator[str]:
    """Yield how many came back of those who were expected to, 90 days before."""
    for row in tables.list_rows("win_back_track"):
        if row["chosen"]:
            yield words.text(
                NAME,
                "track",
                customers=words.number(row["customers"]),
                returned=words.number(row["returned"]),
                expected=words.number(row["expected"]),
            )


def _list_customers(data: PageData, listed: pa.Table) -> Iterator[Table]:
    """Yield the first customers, and the next ones as a table that is opened."""
    words = data.words

    def write_cells(row: Row, target: str | None) -> dict[str, Cell]:
        return {
            "customer": name_lead(words, row["entity_id"], target),
            "account_id": row["account_id"] or UNKNOWN,
            "owner": row["owner"] or UNKNOWN,
            "purchases": words.number(row["purchases"]),
            "lapsed_days": words.language.days(row["lapsed_days"]),
            # The model of purchases gives no interval of a chance.
            "p_return_90d": write_range(words, row, "p_return_90d")
            if row["p_return_90d_low"] is not None
            else words.percent(row["p_return_90d"]),
            "margin_if_back": write_amount(words, row["margin_if_back"]),
            "expected_margin": write_amount(words, row["expected_margin"]),
        }

    numeric = ("purchases", "lapsed_days", "p_return_90d", "margin_if_back", "expected_margin")
    extra = ("account_id", "purchases", "margin_if_back")
    return list_in_parts(data, NAME, listed, numeric, write_cells, MAX_CUSTOMERS, extra)
