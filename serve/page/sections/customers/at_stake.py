"""Customers whose margin is at stake: whom to look at before they are lost."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from serve.page.content.page_data import PageData
from serve.page.content.parts import Section, Table
from serve.page.sections.customers.states import name_customer_state
from serve.page.sections.funnel.lead_cells import find_targets, name_lead
from serve.page.sections.funnel.texts import GROUP, UNKNOWN, write_amount, write_range

NAME = "customers_at_stake"
# Customers that are listed, and those that are seen without a press; the file has all.
MAX_CUSTOMERS, FIRST_CUSTOMERS = 60, 15


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
    has = {name: listed[name].null_count < listed.num_rows for name in ("account_id", "owner")}
    keys = ["customer", *(name for name in ("account_id", "owner") if has[name]), "state"]
    keys += ["silent_days", "usual_gap_days", "save_value", "clv", "next_review"]
    headings = [words.text(NAME, key) for key in keys]
    numeric = frozenset(range(keys.index("silent_days"), len(keys)))
    for key, start, end in (
        ("first", 0, FIRST_CUSTOMERS),
        ("next", FIRST_CUSTOMERS, MAX_CUSTOMERS),
    ):
        part = listed.slice(start, end - start)
        rows = []
        for row, target in zip(part.to_pylist(), find_targets(data, part), strict=True):
            gap = row["usual_gap_days"]
            cells = {
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
            rows.append([cells[name] for name in keys])
        if rows:
            caption = words.text(NAME, key, shown=words.number(len(rows)))
            yield Table(caption, headings, rows, numeric, folded=start > 0, compact=True)
