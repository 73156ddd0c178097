"""Customers whose margin is at stake: whom to look at before they are lost."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from serve.page.content.page_data import PageData
from serve.page.content.parts import Section, Table
from serve.page.sections.customers.states import name_customer_state
from serve.page.sections.funnel.lead_cells import Cell, list_in_parts, name_lead
from serve.page.sections.funnel.texts import GROUP, UNKNOWN, Row, write_amount, write_range

NAME = "customers_at_stake"
# Customers that are listed; the file has all.
MAX_CUSTOMERS = 60


def build_customers_at_stake(data: PageData) -> Section | None:
    """Return the section; None without customers whose margin is predicted."""
    if data.customers is None:
        return None
    customers = data.customers.tables["customers"]
    listed = select_at_stake(customers)
    if not listed.num_rows:
        return None
    words = data.words
    total = pc.sum(listed["save_value"]).as_py()
    sentence = words.text(
        NAME, "sentence", count=words.number(listed.num_rows), amount=words.amount(total)
    )
    basis = data.customers.list_rows("customer_basis")[0]
    notes = [words.text(NAME, "note" if basis["contract_days"] is None else "note_contract")]
    if listed.num_rows > MAX_CUSTOMERS:
        more = words.number(listed.num_rows - MAX_CUSTOMERS)
        notes.insert(0, words.text(NAME, "cut", more=more))
    tables = [*_list_customers(data, listed)]
    return Section(NAME, GROUP, words.text(NAME, "title"), sentence, tables=tables, notes=notes)


def select_at_stake(customers: pa.Table) -> pa.Table:
    """Return the customers who have not lapsed, those with most margin at stake first."""
    is_listed = pc.and_(
        pc.not_equal(customers["state"], "lapsed"), pc.is_valid(customers["save_value"])
    )
    listed = customers.filter(is_listed)
    return listed.sort_by([("save_value", "descending"), ("entity_id", "ascending")])


def _list_customers(data: PageData, listed: pa.Table) -> Iterator[Table]:
    """Yield the first customers, and the next ones as a table that is opened."""
    words = data.words

    def write_cells(row: Row, target: str | None) -> dict[str, Cell]:
        gap = row["usual_gap_days"]
        return {
            "customer": name_lead(words, row["entity_id"], target),
            "account_id": row["account_id"] or UNKNOWN,
            "owner": row["owner"] or UNKNOWN,
            "state": name_customer_state(words, row["state"]),
            "silent_days": words.language.days(row["silent_days"]),
            "usual_gap_days": UNKNOWN if gap is None else words.language.days(round(gap)),
            "save_value": write_amount(words, row["save_value"]),
            "clv": write_range(words, row, "clv", type(words).amount),
            "next_review": words.day(row["next_review"]),
        }

    numeric = ("silent_days", "usual_gap_days", "save_value", "clv", "next_review")
    return list_in_parts(data, NAME, listed, numeric, write_cells, MAX_CUSTOMERS)
